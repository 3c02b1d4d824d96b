// Two releases over one database, as during a rolling restart: the previous one (e2e/previous/release) and that of the working tree. `make e2e` builds the
// previous one and says with WEIR_PREVIOUS where it is.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { join } from 'node:path'
import * as cognito from '@aws-sdk/client-cognito-identity-provider'
import { Agent } from '../lib/agent.js'
import { alpha, clients, pools, provider, redirectURI, upstreamSecret } from '../lib/deployment.js'
import { Balancer, retried, signIn, startFerret } from '../lib/nodes.js'
import { begin, connect, oidc } from '../lib/rp.js'
import { people, startUpstream } from '../lib/upstream.js'
import { Weir, administrator, buildWeir, waitFor } from '../lib/weir.js'

const UserPoolId = alpha
let binary, ferret, balancer, upstream, rp, admin
let old, next // the nodes: of the previous release, which made the store, and of this one

before(async () => {
  assert.ok(process.env.WEIR_PREVIOUS, 'WEIR_PREVIOUS names the binary of the previous release: see .ci/previous')
  binary = await buildWeir()
  ferret = await startFerret()
  balancer = await Balancer.start()
  upstream = await startUpstream(
    ['weir-alpha', 'weir-bravo'].map((client_id) => ({ client_id, client_secret: upstreamSecret, redirect_uris: [`${balancer.base}/oauth2/idpresponse`] })),
  )
  const store = `mongodb://127.0.0.1:${ferret.port}/weir`
  old = await Weir.create(process.env.WEIR_PREVIOUS, { base: balancer.base, store })
  await old.writePools(pools(upstream.issuer))
  await old.start()
  next = await Weir.create(binary.path, { base: balancer.base, store, sealingKeys: join(old.dir, 'sealing.keys'), apply: false })
  await next.start()
  balancer.use([old, next])
  rp = await connect(`${balancer.base}/${alpha}`, clients.web)
  admin = new cognito.CognitoIdentityProvider({ endpoint: balancer.base, region: 'local', credentials: administrator })
})
after(async () => {
  await next?.remove()
  await old?.remove()
  await upstream?.stop()
  balancer?.stop()
  await ferret?.stop()
  await binary?.remove()
})

// through has one node alone answer.
async function through(node, f) {
  balancer.use([node])
  try {
    return await f()
  } finally {
    balancer.use([old, next])
  }
}

// seen is what a node answers, without what is of the answer alone.
async function seen(node, call) {
  const { $metadata, ...rest } = await through(node, call)
  return rest
}

// both asks both nodes, which have to say the same: after five seconds at most, for which they may remember.
async function both(what, call, right) {
  return waitFor(`both releases to show ${what}`, async () => {
    const [a, b] = [await seen(old, call), await seen(next, call)]
    if (!right(a) || !right(b)) return undefined
    assert.deepEqual(a, b)
    return a
  })
}

const refresh = (tokens) => oidc.refreshTokenGrant(rp.config, tokens.refresh_token)
const attributes = (user) => Object.fromEntries(user.UserAttributes.map((a) => [a.Name, a.Value]))

const pairs = () => [
  { made: next, rewritten: old, login: 'ada', how: 'made by the new release and rewritten by the old one' },
  { made: old, rewritten: next, login: 'bob', how: 'made by the old release and rewritten by the new one' },
]

describe('two releases', () => {
  test('serve one sign-in together, whichever it begins at', async () => {
    const [subs, beginnings] = [new Set(), new Set()]
    for (let i = 0; i < 4; i++) {
      balancer.served.length = 0
      const tokens = await signIn(rp, 'ada')
      assert.equal(new Set(balancer.served).size, 2, `requests went to ${balancer.served}`)
      subs.add(tokens.claims().sub)
      beginnings.add(balancer.served[0])
      for (const node of [old, next, old]) {
        const again = await through(node, () => refresh(tokens))
        const other = node === old ? next : old
        const info = await through(other, () => oidc.fetchUserInfo(rp.config, again.access_token, tokens.claims().sub))
        assert.equal(info.email, 'ada@example.com')
      }
      if (i === 1) await fetch(`${balancer.base}/${alpha}/.well-known/jwks.json`) // so that not all begin at one node
    }
    assert.equal(subs.size, 1)
    assert.equal(beginnings.size, 2)
    await admin.adminDeleteUser({ UserPoolId, Username: (await signIn(rp, 'ada')).claims()['cognito:username'] })
  })

  test('spend a code once', async () => {
    for (const [first, second] of [[old, next], [next, old]]) {
      const { url, expect } = await begin(rp)
      const agent = new Agent()
      const at = await agent.submit(await agent.open(url, { until: redirectURI }), { login: 'ada', do: 'sign-in' }, { until: redirectURI })
      const spend = () => oidc.authorizationCodeGrant(rp.config, new URL(at.url), expect)
      const tokens = await through(first, spend)
      await assert.rejects(through(second, spend), { error: 'invalid_grant' })
      await assert.rejects(through(first, () => refresh(tokens)), { error: 'invalid_grant' }) // what it gave has ended
    }
    await admin.adminDeleteUser({ UserPoolId, Username: (await signIn(rp, 'ada')).claims()['cognito:username'] })
  })

  for (const n of [0, 1]) {
    test(`have the same people: ${n ? 'made by the old one' : 'made by the new one'} and rewritten by the other`, async () => {
      const { made, rewritten, login, how } = pairs()[n]
      const was = people[login].name
      const first = await through(made, () => signIn(rp, login))
      const { sub, 'cognito:username': Username } = first.claims()
      const get = () => admin.adminGetUser({ UserPoolId, Username })
      const before = await seen(made, get)
      try {
        people[login].name = `${was} ${n}` // at the provider
        const again = await through(rewritten, () => signIn(rp, login))
        assert.equal(again.claims().sub, sub, how)
        const GroupName = `group-${n}`
        await through(rewritten, () => admin.createGroup({ UserPoolId, GroupName }))
        await through(rewritten, () => admin.adminAddUserToGroup({ UserPoolId, Username, GroupName }))
        await through(rewritten, () => admin.adminUpdateUserAttributes({ UserPoolId, Username, UserAttributes: [{ Name: 'nickname', Value: 'x' }] }))
        const now = await both('the change', get, (user) => attributes(user).nickname === 'x')
        assert.deepEqual(attributes(now), { ...attributes(before), name: `${was} ${n}`, nickname: 'x' })
        assert.deepEqual([now.UserCreateDate, now.UserStatus, now.Enabled], [before.UserCreateDate, before.UserStatus, before.Enabled])
        await waitFor('the group in tokens', async () => (await through(made, () => signIn(rp, login))).claims()['cognito:groups']?.includes(GroupName))
        await through(made, () => admin.adminDeleteUserAttributes({ UserPoolId, Username, UserAttributeNames: ['nickname'] }))
        await both('the removal', get, (user) => !attributes(user).nickname)
        assert.ok((await through(made, () => refresh(first))).access_token)
        await through(rewritten, () => admin.adminUserGlobalSignOut({ UserPoolId, Username }))
        await assert.rejects(through(made, () => refresh(first)), { error: 'invalid_grant' })
        await through(made, () => admin.adminDisableUser({ UserPoolId, Username }))
        await assert.rejects(through(rewritten, () => signIn(rp, login)))
        await through(rewritten, () => admin.adminEnableUser({ UserPoolId, Username }))
        assert.equal((await through(made, () => signIn(rp, login))).claims().sub, sub)
      } finally {
        people[login].name = was
      }
    })
  }

  for (const n of [0, 1]) {
    test(`administer one pool: ${n ? 'begun by the old one' : 'begun by the new one'} and changed by the other`, async () => {
      const { made, rewritten } = pairs()[n]
      const on = { UserPoolId }
      const client = await through(made, () =>
        admin.createUserPoolClient({
          ...on, ClientName: `client ${n}`, GenerateSecret: true, CallbackURLs: [redirectURI], AllowedOAuthFlows: ['code'], AllowedOAuthScopes: ['openid'],
          AllowedOAuthFlowsUserPoolClient: true, SupportedIdentityProviders: [provider], RefreshTokenRotation: { Feature: 'ENABLED', RetryGracePeriodSeconds: 10 },
        }),
      )
      const { $metadata, ...settings } = { ...client.UserPoolClient }
      const describeClient = () => admin.describeUserPoolClient({ ...on, ClientId: settings.ClientId })
      await both('the client', describeClient, (c) => c.UserPoolClient.ClientName === `client ${n}`)
      const { LastModifiedDate, CreationDate, ...kept } = settings
      await through(rewritten, () => admin.updateUserPoolClient({ ...on, ...kept, ClientSecret: undefined, ClientName: `renamed ${n}` }))
      const renamed = await both('the change', describeClient, (c) => c.UserPoolClient.ClientName === `renamed ${n}`)
      assert.deepEqual({ ...renamed.UserPoolClient, LastModifiedDate }, { ...settings, ClientName: `renamed ${n}` })

      const ProviderName = `Other${n}`
      const details = { client_id: 'weir', client_secret: 'onlyForTests', oidc_issuer: upstream.issuer, authorize_scopes: 'openid', attributes_request_method: 'GET' }
      await through(made, () => admin.createIdentityProvider({ ...on, ProviderName, ProviderType: 'OIDC', ProviderDetails: details, IdpIdentifiers: [`n${n}.example`] }))
      await through(rewritten, () => admin.updateIdentityProvider({ ...on, ProviderName, AttributeMapping: { email: 'email' } }))
      const described = await both('the provider', () => admin.describeIdentityProvider({ ...on, ProviderName }), (p) => p.IdentityProvider.AttributeMapping?.email)
      assert.deepEqual(described.IdentityProvider.IdpIdentifiers, [`n${n}.example`])
      assert.equal(described.IdentityProvider.ProviderDetails.oidc_issuer, upstream.issuer)

      const Identifier = `orders-${n}`
      await through(made, () => admin.createResourceServer({ ...on, Identifier, Name: 'a', Scopes: [{ ScopeName: 'read', ScopeDescription: 'Read' }] }))
      await through(rewritten, () => admin.updateResourceServer({ ...on, Identifier, Name: 'b', Scopes: [{ ScopeName: 'read', ScopeDescription: 'Read' }] }))
      await both('the resource server', () => admin.describeResourceServer({ ...on, Identifier }), (s) => s.ResourceServer.Name === 'b')

      const { UserPool } = await through(made, () => admin.createUserPool({ PoolName: `pool-${n}`, UserPoolTags: { a: 'b' } }))
      const describePool = () => admin.describeUserPool({ UserPoolId: UserPool.Id })
      await both('the pool', describePool, (p) => p.UserPool.Name === `pool-${n}`)
      await through(rewritten, () => admin.updateUserPool({ UserPoolId: UserPool.Id, UserPoolTags: { a: 'c' }, DeletionProtection: 'INACTIVE' }))
      await both('its tags', describePool, (p) => p.UserPool.UserPoolTags?.a === 'c')
      await through(made, () => admin.deleteUserPool({ UserPoolId: UserPool.Id }))
      await waitFor('the deletion on the other', () => // which may remember the pool for five seconds
        through(rewritten, describePool).then(() => false, (err) => assert.equal(err.name, 'ResourceNotFoundException') ?? true))
    })
  }

  test('do each periodic job on one node', async () => {
    const held = async (node) => {
      const text = await (await fetch(`${node.operations}/metrics`)).text()
      return Object.fromEntries([...text.matchAll(/^weir_lease_held\{lease="(\w+)"\} (\d)$/gm)].map(([, lease, n]) => [lease, Number(n)]))
    }
    await waitFor('one holder for each lease', async () => {
      const [a, b] = [await held(old), await held(next)]
      const leases = new Set([...Object.keys(a), ...Object.keys(b)])
      return leases.size >= 4 && [...leases].every((lease) => (a[lease] ?? 0) + (b[lease] ?? 0) === 1)
    }, 30_000)
  })

  // Last, because it changes which release is where.
  test('take turns: a rolling restart to the new one, back to the old one and forth again, in the middle of sign-ins', async (t) => {
    const total = 120
    const turns = [
      { node: old, to: () => binary.path },
      { node: next, to: () => process.env.WEIR_PREVIOUS }, // a rollback
      { node: next, to: () => binary.path },
    ]
    const acknowledged = [await signIn(rp, 'ada'), await signIn(rp, 'bob')]
    const subs = acknowledged.map((tokens) => tokens.claims().sub)
    const restarts = []
    let [begun, extra, restarting] = [0, 0, Promise.resolve()]
    const worker = async () => {
      while (begun < total) {
        const n = begun++
        const turn = n > 0 && n % (total / 4) === 0 ? turns[n / (total / 4) - 1] : undefined
        if (turn) {
          restarting = restarting.then(async () => {
            assert.equal((await turn.node.stop()).code, 0)
            turn.node.binary = turn.to()
            await turn.node.start()
            restarts.push(turn)
          })
        }
        const { got, tries } = await retried(() => signIn(rp, n % 2 ? 'bob' : 'ada'))
        assert.equal(got.claims().sub, subs[n % 2])
        acknowledged.push(got)
        extra += tries - 1
      }
    }
    await Promise.all(Array.from({ length: 3 }, worker))
    await restarting
    assert.equal(restarts.length, turns.length)
    assert.equal(acknowledged.length, total + 2)
    for (const tokens of acknowledged) assert.ok((await refresh(tokens)).access_token)
    const users = await admin.listUsers({ UserPoolId })
    assert.equal(users.Users.length, 2)
    t.diagnostic(`${total} sign-ins finished, ${extra} of them were begun again; every refresh token of theirs is good`)
  })
})
