<?php
// php tool.php keys NAME…   makes key pairs with self-signed certificates
// php tool.php read CERT    reads metadata of a service provider with SimpleSAMLphp's own parser: its input is the document,
//                           its output what saml20-sp-remote.php wants and whether that certificate's key signed the document
require_once '/usr/share/simplesamlphp/lib/_autoload.php';

$certs = getenv('IDP_DIR') . '/cert';
$arguments = array_slice($argv, 2);
switch ($argv[1]) {
    case 'keys':
        foreach ($arguments as $name) {
            $key = openssl_pkey_new(['private_key_bits' => 2048, 'private_key_type' => OPENSSL_KEYTYPE_RSA]);
            $request = openssl_csr_new(['commonName' => $name], $key, ['digest_alg' => 'sha256']);
            $certificate = openssl_csr_sign($request, null, $key, 365, ['digest_alg' => 'sha256'], random_int(1, PHP_INT_MAX));
            openssl_x509_export_to_file($certificate, "$certs/$name.crt");
            openssl_pkey_export_to_file($key, "$certs/$name.key");
        }
        break;
    case 'read':
        $entity = SimpleSAML\Metadata\SAMLParser::parseString(stream_get_contents(STDIN));
        echo json_encode(['metadata' => $entity->getMetadata20SP(), 'signed' => $entity->validateSignature($arguments)]);
        break;
    default:
        exit(2);
}
