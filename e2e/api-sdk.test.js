// The JSON API by AWS's SDK for JavaScript: administration from Node.js, and what an application calls from a browser, across origins.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import * as cognito from '@aws-sdk/client-cognito-identity-provider'
import { build } from 'esbuild'
import { Agent } from './lib/agent.js'
import { launch, withPage } from './lib/browser.js'
import { alpha, clients, deploy, provider, redirectURI } from './lib/deployment.js'
import { begin, connect, finish } from './lib/rp.js'
import { administrator, buildWeir } from './lib/weir.js'

let binary, d

before(async () => {
  binary = await buildWeir()
  d = await deploy(binary.path)
})
after(async () => {
  await d?.remove()
  await binary?.remove()
})

// ada's tokens at the application without a secret.
async function signIn() {
  const rp = await connect(d.issuers.alpha, { ...clients.spa, scope: 'openid email profile aws.cognito.signin.user.admin' })
  const { url, expect } = await begin(rp)
  const agent = new Agent()
  const at = await agent.open(url, { until: redirectURI })
  return finish(rp, (await agent.submit(at, { login: 'ada', do: 'sign-in' }, { until: redirectURI })).url, expect)
}

const connection = (credentials) => new cognito.CognitoIdentityProvider({ endpoint: d.weir.base, region: 'local', credentials })

describe('from Node.js', () => {
  const UserPoolId = alpha

  test('an error is of its class, with a reference', async () => {
    const admin = connection(administrator)
    await admin.createGroup({ UserPoolId, GroupName: 'staff', Description: 'All of us', Precedence: 3 })
    const refused = await admin.createGroup({ UserPoolId, GroupName: 'staff' }).catch((err) => err)
    assert.ok(refused instanceof cognito.GroupExistsException && refused instanceof cognito.CognitoIdentityProviderServiceException)
    assert.deepEqual([refused.name, refused.message, refused.$fault], ['GroupExistsException', 'A group with the name already exists.', 'client'])
    assert.match(refused.$metadata.requestId, /^[0-9A-Z]{4}(-[0-9A-Z]{4}){3}$/)
    assert.equal(refused.$metadata.attempts, 1)
    await assert.rejects(admin.getGroup({ UserPoolId, GroupName: 'nobody' }), cognito.ResourceNotFoundException)
    await assert.rejects(admin.adminGetUser({ UserPoolId, Username: 'nobody' }), cognito.UserNotFoundException)
    await assert.rejects(admin.listUsers({ UserPoolId: 'local_Nowhere01' }), { name: 'ResourceNotFoundException' })
    await assert.rejects(admin.createGroup({ UserPoolId, GroupName: 'no spaces' }), cognito.InvalidParameterException)
    const google = { client_id: 'weir', client_secret: 'onlyForTests', authorize_scopes: 'openid' }
    await assert.rejects(admin.createIdentityProvider({ UserPoolId, ProviderName: provider, ProviderType: 'Google', ProviderDetails: google }), cognito.DuplicateProviderException)
    const { Group } = await admin.getGroup({ UserPoolId, GroupName: 'staff' })
    assert.ok(Group.CreationDate instanceof Date && Math.abs(Date.now() - Group.CreationDate) < 60_000)
    assert.deepEqual([Group.Description, Group.Precedence], ['All of us', 3])
  })

  test('the door’s refusals have the names that the SDK knows', async () => {
    await assert.rejects(connection({ ...administrator, secretAccessKey: 'not the secret of the key' }).listGroups({ UserPoolId }), { name: 'InvalidSignatureException' })
    await assert.rejects(connection({ ...administrator, accessKeyId: 'STRANGER' }).listGroups({ UserPoolId }), { name: 'UnrecognizedClientException' })
    await assert.rejects(connection(administrator).listUserImportJobs({ UserPoolId, MaxResults: 1 }), { name: 'NotImplementedException' })
  })

  test('its paginators see everything once', async () => {
    const client = connection(administrator)
    const { UserPool } = await client.createUserPool({ PoolName: 'paged-pool' })
    const pool = { UserPoolId: UserPool.Id }
    const name = (what, i) => `paged-${what}-${i}`
    const google = { client_id: 'weir', client_secret: 'onlyForTests', authorize_scopes: 'openid email' }
    // What is made, and how it is listed: the pages, and the names on one.
    const lists = {
      group: [(GroupName) => client.createGroup({ ...pool, GroupName }), cognito.paginateListGroups, (page) => page.Groups.map((g) => g.GroupName)],
      user: [(Username) => client.adminCreateUser({ ...pool, Username, MessageAction: 'SUPPRESS' }), cognito.paginateListUsers, (page) => page.Users.map((u) => u.Username)],
      member: [
        (_, i) => client.adminAddUserToGroup({ ...pool, GroupName: name('group', 0), Username: name('user', i) }),
        (paging, input) => cognito.paginateListUsersInGroup(paging, { ...input, GroupName: name('group', 0) }),
        (page) => page.Users.map((u) => u.Username.replace('user', 'member')),
      ],
      client: [(ClientName) => client.createUserPoolClient({ ...pool, ClientName }), cognito.paginateListUserPoolClients, (page) => page.UserPoolClients.map((c) => c.ClientName)],
      provider: [
        (ProviderName) => client.createIdentityProvider({ ...pool, ProviderName, ProviderType: 'Google', ProviderDetails: google }),
        cognito.paginateListIdentityProviders,
        (page) => page.Providers.map((p) => p.ProviderName),
      ],
      server: [(Identifier) => client.createResourceServer({ ...pool, Identifier, Name: Identifier }), cognito.paginateListResourceServers, (page) => page.ResourceServers.map((r) => r.Identifier)],
    }
    for (const [what, [make, paginate, names]] of Object.entries(lists)) {
      const made = Array.from({ length: 5 }, (_, i) => name(what, i))
      for (const [i, one] of made.entries()) await make(one, i)
      const seen = []
      for await (const page of paginate({ client, pageSize: 2 }, { ...pool })) { // which it writes into
        assert.ok(names(page).length <= 2, what)
        seen.push(...names(page))
      }
      assert.deepEqual(seen.sort(), made)
    }
    const pools = []
    for await (const page of cognito.paginateListUserPools({ client, pageSize: 2 }, {})) pools.push(...page.UserPools.map((p) => p.Name))
    assert.deepEqual(pools.sort(), ['E2eAlpha1', 'E2eBravo1', 'paged-pool'])
    await client.deleteUserPool(pool)
    await assert.rejects(client.describeUserPool(pool), cognito.ResourceNotFoundException)
  })

  test('the program in the documentation works as it stands', async () => {
    const page = await readFile(new URL('../docs/api.md', import.meta.url), 'utf8')
    const program = page.match(/## JavaScript[\s\S]*?```js\n([\s\S]*?)```/)[1].replace('https://login.example.com', d.weir.base)
    await connection(administrator).adminCreateUser({ UserPoolId, Username: 'documented', MessageAction: 'SUPPRESS' })
    const shown = []
    const given = { ...cognito, UserPoolId, show: (users) => shown.push(...users), process: { env: { WEIR_ADMIN_SECRET: administrator.secretAccessKey } } }
    const AsyncFunction = (async () => {}).constructor
    await new AsyncFunction('given', `const { CognitoIdentityProvider, paginateListUsers, UserPoolId, show, process } = given\n${program}`)(given)
    assert.ok(shown.some((user) => user.Username === 'documented'))
  })

  test('a wrong clock is corrected by the answer’s date', async () => {
    const client = connection(administrator)
    client.config.systemClockOffset = -10 * 60_000
    assert.equal((await client.listGroups({ UserPoolId })).$metadata.attempts, 2)
    assert.ok(Math.abs(client.config.systemClockOffset) < 60_000, `${client.config.systemClockOffset} ms`)
  })
})

describe('in a browser, on a page of another origin', () => {
  let server, browser, origin

  before(async () => {
    const contents = "export * from '@aws-sdk/client-cognito-identity-provider'"
    const bundle = await build({ stdin: { contents, resolveDir: import.meta.dirname }, bundle: true, format: 'iife', globalName: 'cognito', platform: 'browser', write: false })
    const pages = {
      '/': ['text/html', '<!doctype html><html lang="en"><title>An application</title><link rel="icon" href="data:,"><script src="/sdk.js"></script>'],
      '/sdk.js': ['text/javascript', bundle.outputFiles[0].text],
    }
    server = createServer((req, res) => {
      const [type, body] = pages[req.url]
      res.writeHead(200, { 'content-type': type }).end(body)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    origin = `http://127.0.0.1:${server.address().port}`
    browser = await launch()
  })
  after(async () => {
    await browser?.close()
    server?.close()
  })

  // Runs a function in the page, with a client that has no credentials, the SDK and what is given, and returns what it returns.
  async function inPage(name, given, run) {
    let got
    await withPage(browser, name, {}, async (page) => {
      await page.goto(origin)
      got = await page.evaluate(
        async ({ endpoint, given, source }) => {
          const client = new globalThis.cognito.CognitoIdentityProvider({ endpoint, region: 'local' })
          return new Function(`return ${source}`)()(client, globalThis.cognito, given)
        },
        { endpoint: d.weir.base, given, source: run.toString() },
      )
    })
    return got
  }

  test('who one is, new tokens, and signing out everywhere', async () => {
    const tokens = await signIn()
    const given = { AccessToken: tokens.access_token, RefreshToken: tokens.refresh_token, ClientId: clients.spa.clientId }
    const { user, renewed, newer } = await inPage('api-sdk', given, async (client, sdk, { AccessToken, RefreshToken, ClientId }) => ({
      user: await client.getUser({ AccessToken }),
      renewed: await client.initiateAuth({ AuthFlow: 'REFRESH_TOKEN_AUTH', ClientId, AuthParameters: { REFRESH_TOKEN: RefreshToken } }),
      newer: await client.getTokensFromRefreshToken({ ClientId, RefreshToken }),
    }))
    const attributes = Object.fromEntries(user.UserAttributes.map(({ Name, Value }) => [Name, Value]))
    assert.deepEqual([user.Username, attributes.sub, attributes.email], ['Corp_ada', tokens.claims().sub, 'ada@example.com'])
    for (const { AuthenticationResult: got } of [renewed, newer]) {
      assert.deepEqual([got.TokenType, got.ExpiresIn, got.RefreshToken], ['Bearer', 3600, undefined])
      const claims = JSON.parse(Buffer.from(got.IdToken.split('.')[1], 'base64url'))
      assert.deepEqual([claims.sub, claims.aud], [tokens.claims().sub, clients.spa.clientId])
    }
    const after = await inPage('api-sdk-out', given, async (client, sdk, { AccessToken, RefreshToken, ClientId }) => {
      await client.globalSignOut({ AccessToken })
      const refused = (call) => call.then(() => 'no error', (err) => [err instanceof sdk.NotAuthorizedException, err.name, err.message, Boolean(err.$metadata.requestId)])
      return [await refused(client.getUser({ AccessToken })), await refused(client.getTokensFromRefreshToken({ ClientId, RefreshToken }))]
    })
    assert.deepEqual(after, [
      [true, 'NotAuthorizedException', 'Access Token has been revoked', true],
      [true, 'NotAuthorizedException', 'Refresh Token has been revoked', true],
    ])
  })

  test('an administrator’s call, signed in the page', async () => {
    const given = { credentials: administrator, endpoint: d.weir.base, UserPoolId: alpha }
    const names = await inPage('api-sdk-admin', given, async (_, sdk, { credentials, endpoint, UserPoolId }) => {
      const client = new sdk.CognitoIdentityProvider({ endpoint, region: 'local', credentials })
      const { Providers } = await client.listIdentityProviders({ UserPoolId })
      const refused = await new sdk.CognitoIdentityProvider({ endpoint, region: 'local', credentials: { ...credentials, secretAccessKey: 'another' } }).listUsers({ UserPoolId }).catch((err) => err.name)
      return [Providers.map((p) => p.ProviderName), refused]
    })
    assert.deepEqual(names, [[provider], 'InvalidSignatureException'])
  })
})
