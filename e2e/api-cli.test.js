// A user pool that the AWS CLI alone has set up, from nothing to people who sign in: by SAML, by OpenID Connect, and as a user whom an
// administrator made and linked.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { readFile } from 'node:fs/promises'
import { Agent } from './lib/agent.js'
import { commandLine, shell } from './lib/aws.js'
import { upstreamSecret } from './lib/deployment.js'
import { begin, connect, finish } from './lib/rp.js'
import { travel } from './lib/saml.js'
import { emailClaim, groupClaim, SimpleSAMLphp } from './lib/simplesamlphp.js'
import { startUpstream } from './lib/upstream.js'
import { administrator, buildWeir, Process, Weir } from './lib/weir.js'

const redirectURI = 'http://127.0.0.1:1/callback' // nobody listens: the agent stops there
const json = JSON.stringify

let binary, weir, upstream, idp, aws
const pool = {}

before(async () => {
  binary = await buildWeir()
  weir = await Weir.create(binary.path)
  await weir.writePools({ UserPools: [] })
  const callback = { client_id: 'weir', client_secret: upstreamSecret, redirect_uris: [`${weir.base}/oauth2/idpresponse`] }
  upstream = await startUpstream([callback])
  idp = await SimpleSAMLphp.create()
  await idp.start()
  await weir.start()
  aws = commandLine(weir.base)
  await configure()
})
after(async () => {
  await weir?.remove()
  await upstream?.stop()
  await idp?.remove()
  await binary?.remove()
})

// What is given to the CLI, so that what it shows can be compared with it.
const given = {
  pool: ['--schema', 'Name=groups,AttributeDataType=String,Mutable=true,StringAttributeConstraints={MinLength=0,MaxLength=2048}', '--user-pool-tags', 'team=identity'],
  saml: () => ({ MetadataURL: idp.metadataURL, IDPSignout: 'false' }),
  samlMapping: { email: emailClaim, name: 'name', 'custom:groups': groupClaim },
  oidc: () => ({
    client_id: 'weir', client_secret: upstreamSecret, oidc_issuer: upstream.issuer, authorize_scopes: 'openid email profile', attributes_request_method: 'GET',
  }),
  oidcMapping: { email: 'email', email_verified: 'email_verified', name: 'name' },
  scopes: [{ ScopeName: 'read', ScopeDescription: 'Read books' }, { ScopeName: 'write', ScopeDescription: 'Write books' }],
}

async function configure() {
  pool.made = (await aws('create-user-pool', '--pool-name', 'staff', ...given.pool)).UserPool
  pool.id = pool.made.Id
  const of = ['--user-pool-id', pool.id]
  await aws('create-user-pool-domain', '--domain', 'staff-e2e', ...of)
  await aws('create-resource-server', ...of, '--identifier', 'https://books.example.com', '--name', 'Books', '--scopes', json(given.scopes))
  await aws('create-identity-provider', ...of, '--provider-name', 'Adfs', '--provider-type', 'SAML',
    '--provider-details', json(given.saml()), '--attribute-mapping', json(given.samlMapping), '--idp-identifiers', 'corp.example')
  await aws('create-identity-provider', ...of, '--provider-name', 'Corp', '--provider-type', 'OIDC',
    '--provider-details', json(given.oidc()), '--attribute-mapping', json(given.oidcMapping))
  pool.client = (await aws('create-user-pool-client', ...of, '--client-name', 'web', '--generate-secret',
    '--allowed-o-auth-flows-user-pool-client', '--allowed-o-auth-flows', 'code', '--allowed-o-auth-scopes', 'openid', 'email', 'profile', 'https://books.example.com/read',
    '--callback-urls', redirectURI, '--supported-identity-providers', 'Adfs', 'Corp')).UserPoolClient
  await aws('create-group', ...of, '--group-name', 'staff', '--description', 'All of us', '--precedence', '2')
  pool.ada = (await aws('admin-create-user', ...of, '--username', 'ada', '--message-action', 'SUPPRESS',
    '--user-attributes', 'Name=email,Value=ada@example.com', 'Name=email_verified,Value=true')).User
  await aws('admin-link-provider-for-user', ...of, '--destination-user', 'ProviderName=Cognito,ProviderAttributeValue=ada',
    '--source-user', 'ProviderName=Corp,ProviderAttributeName=Cognito_Subject,ProviderAttributeValue=ada')
  await trust()
}

// The SAML provider takes Weir on by the metadata of the new provider.
async function trust() {
  const res = await fetch(`${weir.base}/saml2/metadata?${new URLSearchParams({ user_pool_id: pool.id, identity_provider: 'Adfs' })}`)
  assert.equal(res.status, 200)
  const { metadata, signed } = await idp.read(await res.text())
  assert.ok(signed)
  await idp.trust(metadata, { 'validate.authnrequest': true, 'saml20.sign.assertion': true })
}

// A sign-in to the end, at the provider as login.
async function signIn(provider, login) {
  const rp = await connect(`${weir.base}/${pool.id}`, { clientId: pool.client.ClientId, clientSecret: pool.client.ClientSecret, redirectURI })
  const { url, expect } = await begin(rp, { identity_provider: provider })
  const agent = new Agent()
  const at = await agent.open(url, { until: redirectURI })
  const { page } = provider === 'Corp' ? { page: await agent.submit(at, { login, do: 'sign-in' }, { until: redirectURI }) } : await travel(agent, at, { login })
  assert.equal(page.status, 0, `the browser stayed at ${page.url}: ${page.body.slice(0, 300)}`)
  const tokens = await finish(rp, page.url, expect)
  return { id: tokens.claims(), access: JSON.parse(Buffer.from(tokens.access_token.split('.')[1], 'base64url')) }
}

const attributes = (list) => Object.fromEntries(list.map(({ Name, Value }) => [Name, Value]))
const of = () => ['--user-pool-id', pool.id]

describe('what was set up', () => {
  test('is described as it was given', async () => {
    const { UserPool } = await aws('describe-user-pool', ...of())
    assert.deepEqual([UserPool.Name, UserPool.Domain, UserPool.UserPoolTags, UserPool.Arn], ['staff', 'staff-e2e', { team: 'identity' }, `arn:aws:cognito-idp:local:000000000000:userpool/${pool.id}`])
    const groups = UserPool.SchemaAttributes.find((a) => a.Name === 'custom:groups')
    assert.deepEqual(groups, {
      Name: 'custom:groups', AttributeDataType: 'String', DeveloperOnlyAttribute: false, Mutable: true, Required: false,
      StringAttributeConstraints: { MinLength: '0', MaxLength: '2048' },
    })
    const { DomainDescription } = await aws('describe-user-pool-domain', '--domain', 'staff-e2e')
    assert.deepEqual([DomainDescription.UserPoolId, DomainDescription.Status], [pool.id, 'ACTIVE'])
    const { ResourceServer } = await aws('describe-resource-server', ...of(), '--identifier', 'https://books.example.com')
    assert.deepEqual(ResourceServer, { UserPoolId: pool.id, Identifier: 'https://books.example.com', Name: 'Books', Scopes: given.scopes })
    const { Group } = await aws('get-group', ...of(), '--group-name', 'staff')
    assert.deepEqual([Group.Description, Group.Precedence], ['All of us', 2])
  })

  test('providers too', async () => {
    const { IdentityProvider: saml } = await aws('describe-identity-provider', ...of(), '--provider-name', 'Adfs')
    assert.deepEqual([saml.ProviderType, saml.AttributeMapping, saml.IdpIdentifiers], ['SAML', given.samlMapping, ['corp.example']])
    for (const [key, value] of Object.entries(given.saml())) assert.equal(saml.ProviderDetails[key], value)
    const { IdentityProvider: oidc } = await aws('describe-identity-provider', ...of(), '--provider-name', 'Corp')
    assert.deepEqual([oidc.ProviderType, oidc.AttributeMapping], ['OIDC', given.oidcMapping])
    for (const [key, value] of Object.entries(given.oidc())) assert.equal(oidc.ProviderDetails[key], value)
    const { Providers } = await aws('list-identity-providers', ...of(), '--page-size', '1')
    assert.deepEqual(Providers.map((p) => p.ProviderName).sort(), ['Adfs', 'Corp'])
  })

  test('and the application, with the secret that was made', async () => {
    const { UserPoolClient } = await aws('describe-user-pool-client', ...of(), '--client-id', pool.client.ClientId)
    assert.deepEqual(UserPoolClient, pool.client)
    assert.deepEqual([UserPoolClient.CallbackURLs, UserPoolClient.AllowedOAuthFlows, UserPoolClient.SupportedIdentityProviders], [[redirectURI], ['code'], ['Adfs', 'Corp']])
    assert.ok(UserPoolClient.ClientSecret.length > 40)
  })
})

describe('people sign in', () => {
  test('by SAML, and are in a group from the next sign-in on', async () => {
    const first = (await signIn('Adfs', 'asa')).id
    assert.deepEqual([first.email, first.name, first['cognito:groups']], ['asa@corp.example', 'Åsa 明子 Ångström & <Söhne>', undefined])
    const who = ['--username', first['cognito:username']]
    await aws('admin-add-user-to-group', ...of(), ...who, '--group-name', 'staff')
    const { id, access } = await signIn('Adfs', 'asa')
    assert.equal(id.sub, first.sub)
    assert.deepEqual([id['cognito:groups'], access['cognito:groups']], [['staff'], ['staff']])
    const { Users } = await aws('list-users-in-group', ...of(), '--group-name', 'staff')
    assert.deepEqual(Users.map((u) => u.Username), [first['cognito:username']])
    const user = await aws('admin-get-user', ...of(), ...who)
    assert.deepEqual([user.UserStatus, user.Enabled, attributes(user.UserAttributes).sub], ['EXTERNAL_PROVIDER', true, first.sub])
  })

  test('by OpenID Connect', async () => {
    const { id } = await signIn('Corp', 'bob')
    assert.deepEqual([id.email, id.email_verified, id.name, id['cognito:username']], ['bob@example.com', false, 'Bob Bobson', 'Corp_bob'])
  })

  test('as the user whom the administrator linked', async () => {
    const { id } = await signIn('Corp', 'ada')
    assert.deepEqual([id['cognito:username'], id.sub], ['ada', attributes(pool.ada.Attributes).sub])
    assert.deepEqual([id.name, id.identities.map((i) => [i.providerName, i.userId])], ['Ada Lovelace', [['Corp', 'ada']]])
  })

  test('and can be found, disabled and deleted', async () => {
    const found = async (filter) => (await aws('list-users', ...of(), '--filter', filter)).Users.map((u) => u.Username).sort()
    assert.deepEqual(await found('email = "ada@example.com"'), ['ada'])
    assert.deepEqual(await found('username ^= "Corp_"'), ['Corp_bob'])
    assert.deepEqual(await found('cognito:user_status = "EXTERNAL_PROVIDER"'), ['Adfs_asa@corp.example', 'Corp_bob'])
    await aws('admin-disable-user', ...of(), '--username', 'Corp_bob')
    assert.deepEqual(await found('status = "Disabled"'), ['Corp_bob'])
    await assert.rejects(signIn('Corp', 'bob'))
    await aws('admin-delete-user', ...of(), '--username', 'Corp_bob')
    assert.deepEqual(await found('username ^= "Corp_"'), [])
  })
})

describe('what goes wrong', () => {
  const refused = async (says, ...args) => assert.rejects(aws(...args), (err) => {
    assert.equal(err.message.replace(/^\s*aws: \[ERROR\]: /, ''), `An error occurred ${says}`)
    assert.ok([254, 255].includes(err.code), `exit ${err.code}`) // release 2, release 1
    return true
  })

  test('is said as the CLI says it', async () => {
    await refused('(GroupExistsException) when calling the CreateGroup operation: A group with the name already exists.', 'create-group', ...of(), '--group-name', 'staff')
    await refused('(UserNotFoundException) when calling the AdminGetUser operation: User does not exist.', 'admin-get-user', ...of(), '--username', 'nobody')
    await assert.rejects(aws('list-users', '--user-pool-id', 'local_Nowhere01'), /\(ResourceNotFoundException\) when calling the ListUsers operation: User pool local_Nowhere01 does not exist\./)
    await assert.rejects(aws('create-user-import-job', ...of(), '--job-name', 'job', '--cloud-watch-logs-role-arn', 'arn:aws:iam::000000000000:role/import'), /\(NotImplementedException\)/)
  })

  test('a wrong key', async () => {
    await assert.rejects(commandLine(weir.base, { ...administrator, secretAccessKey: 'not the secret of the key' })('list-users', ...of()), /\(InvalidSignatureException\)/)
    await assert.rejects(commandLine(weir.base, { ...administrator, accessKeyId: 'STRANGER' })('list-users', ...of()), /\(UnrecognizedClientException\)/)
  })
})

describe('the documentation', () => {
  test('its commands work as they stand', async () => {
    const page = await readFile(new URL('../docs/api.md', import.meta.url), 'utf8')
    const script = page.match(/## AWS CLI[\s\S]*?```sh\n([\s\S]*?)```/)[1]
      .replaceAll('https://login.example.com', weir.base).replaceAll('https://idp.example.com', upstream.issuer)
    const { code, stdout, stderr } = await shell(script, { AWS_ACCESS_KEY_ID: '', WEIR_ADMIN_SECRET: administrator.secretAccessKey, CORP_SECRET: upstreamSecret })
    assert.equal(code, 0, stderr)
    assert.match(stdout, /^[a-z0-9]{26}\t\S{40,}$/m)
    assert.match(stdout, /^GROUP\t.*All of us/m)
  })

  test('and so does what weir demo prints', async () => {
    const demo = new Process(binary.path, ['demo'])
    try {
      const command = await demo.until('the command', () => demo.output.match(/\b(AWS_ACCESS_KEY_ID=.*)\n/)?.[1])
      const { code, stdout, stderr } = await shell(command, { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' })
      assert.equal(code, 0, stderr)
      assert.deepEqual(JSON.parse(stdout).UserPools.map((p) => p.Name), ['demo'])
    } finally {
      await demo.stop('SIGINT')
    }
  })
})
