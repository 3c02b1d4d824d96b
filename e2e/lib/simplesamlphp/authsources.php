<?php
// The people of state.json, who sign in with a name and a password.
$people = json_decode(file_get_contents(getenv('IDP_DIR') . '/state.json'), true)['people'];
$config = ['people' => ['exampleauth:UserPass']];
foreach ($people as $login => $person) {
    $config['people']["$login:{$person['password']}"] = $person['attributes'];
}
