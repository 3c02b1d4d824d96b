<?php
// The service providers, as tool.php read them from their metadata.
$metadata = json_decode(file_get_contents(getenv('IDP_DIR') . '/state.json'), true)['trusted'];
