<?php
// The provider itself. Of the two key pairs "idp" and "next", state.json says which one signs and which are announced.
use SAML2\Constants;

$state = json_decode(file_get_contents(getenv('IDP_DIR') . '/state.json'), true);
$metadata[$state['base'] . 'idp'] = $state['keys'] + [
    'host' => '__DEFAULT__', 'auth' => 'people',
    'SingleSignOnServiceBinding' => [Constants::BINDING_HTTP_REDIRECT, Constants::BINDING_HTTP_POST],
    'SingleLogoutServiceBinding' => [Constants::BINDING_HTTP_REDIRECT, Constants::BINDING_HTTP_POST],
    'attributes.NameFormat' => Constants::NAMEFORMAT_URI,
    'NameIDFormat' => [Constants::NAMEID_EMAIL_ADDRESS, Constants::NAMEID_PERSISTENT, Constants::NAMEID_TRANSIENT],
    'authproc' => [
        10 => ['class' => 'saml:AttributeNameID', 'attribute' => $state['email'], 'Format' => Constants::NAMEID_EMAIL_ADDRESS],
        20 => ['class' => 'saml:PersistentNameID', 'attribute' => 'uid'],
        30 => ['class' => 'saml:TransientNameID'],
    ],
];
