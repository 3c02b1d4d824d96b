<?php
// SimpleSAMLphp as the tests run it. Everything that differs between runs is in the directory that IDP_DIR names; its
// state.json is read again on every request, so that a test can change the provider without a restart.
$dir = getenv('IDP_DIR');
$state = json_decode(file_get_contents("$dir/state.json"), true);
$config = [
    'baseurlpath' => $state['base'],
    'certdir' => "$dir/cert/", 'loggingdir' => "$dir/log/", 'datadir' => "$dir/data/", 'tempdir' => "$dir/tmp",
    'metadatadir' => __DIR__, 'metadata.sources' => [['type' => 'flatfile']],
    'secretsalt' => $state['salt'], 'auth.adminpassword' => $state['salt'],
    'technicalcontact_name' => 'tests', 'technicalcontact_email' => 'na@example.org',
    'timezone' => 'UTC', 'admin.checkforupdates' => false,
    'logging.level' => SimpleSAML\Logger::INFO, 'logging.handler' => 'file', 'logging.logfile' => 'idp.log',
    'showerrors' => true, 'errorreporting' => false,
    'enable.saml20-idp' => true,
    'module.enable' => ['core' => true, 'saml' => true, 'exampleauth' => true],
    'store.type' => 'phpsession', 'session.phpsession.savepath' => "$dir/sessions",
    'session.cookie.secure' => false, 'session.cookie.samesite' => null,
    'language.cookie.secure' => false, 'language.cookie.samesite' => null,
    'authproc.idp' => [], 'authproc.sp' => [],
];
