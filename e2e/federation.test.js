// Whole sign-ins over HTTP: oidc-provider upstream, Weir, openid-client downstream.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Agent } from './lib/agent.js'
import { clients, deploy, logoutURI, provider, redirectURI, upstreamSecret } from './lib/deployment.js'
import { begin, connect, finish, oidc } from './lib/rp.js'
import { buildWeir } from './lib/weir.js'

let binary, d

before(async () => {
  binary = await buildWeir()
  d = await deploy(binary.path)
})
after(async () => {
  await d?.remove()
  await binary?.remove()
})

// A whole sign-in of a person in a browser; what the application got in the end.
async function signIn(rp, login, agent = new Agent()) {
  const { url, expect } = await begin(rp)
  let at = await agent.open(url, { until: redirectURI })
  const askedUpstream = at.status !== 0
  if (askedUpstream) at = await agent.submit(at, { login, do: 'sign-in' }, { until: redirectURI })
  assert.equal(at.status, 0, `the browser did not come back but stayed at ${at.url}: ${at.body.slice(0, 500)}`)
  return { tokens: await finish(rp, at.url, expect), back: at.url, expect, agent, askedUpstream }
}

// An answer that is a page for people and leads nowhere.
function assertPage(page, ...statuses) {
  assert.ok(statuses.includes(page.status), `status ${page.status} at ${page.url}, want ${statuses}`)
  assert.match(page.headers.get('content-type'), /^text\/html/)
  assert.equal(page.headers.get('location'), null)
  assert.equal(page.visited.length, 1, `redirected: ${page.visited}`)
}

// RFC 6749 section 5.2: invalid_client, with status 401 and a challenge where the client used HTTP authentication
// (openid-client then reports the challenge instead of the body).
const refusedClient = (err) => err.error === 'invalid_client' || err.status === 401

const payload = (jwt) => JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url'))
const web = (extra) => connect(d.issuers.alpha, { ...clients.web, ...extra })
const spa = () => connect(d.issuers.alpha, clients.spa)
const bravo = () => connect(d.issuers.bravo, clients.bravo)
const userInfo = (rp, token) =>
  fetch(rp.config.serverMetadata().userinfo_endpoint, { headers: { authorization: `Bearer ${token}` } })

describe('discovery', () => {
  test('names the endpoints of the domain under the issuer of the pool', async () => {
    const meta = (await web()).config.serverMetadata()
    assert.equal(meta.issuer, d.issuers.alpha)
    assert.equal(meta.authorization_endpoint, `${d.weir.base}/oauth2/authorize`)
    assert.equal(meta.token_endpoint, `${d.weir.base}/oauth2/token`)
    assert.equal(meta.userinfo_endpoint, `${d.weir.base}/oauth2/userInfo`)
    assert.equal(meta.jwks_uri, `${d.issuers.alpha}/.well-known/jwks.json`)
    assert.deepEqual(meta.code_challenge_methods_supported, ['S256'])
  })

  test('publishes two keys and nothing private', async () => {
    const { keys } = await (await fetch(`${d.issuers.alpha}/.well-known/jwks.json`)).json()
    assert.equal(keys.length, 2)
    for (const key of keys) for (const part of ['d', 'p', 'q', 'k']) assert.ok(!(part in key), `the JWKS holds ${part}`)
  })
})

describe('a first sign-in', () => {
  let rp, got, id, access

  before(async () => {
    rp = await web()
    got = await signIn(rp, 'ada')
    id = got.tokens.claims()
    access = payload(got.tokens.access_token)
  })

  test('asks the provider', () => assert.ok(got.askedUpstream))

  test('gives an ID token with the mapped attributes', () => {
    assert.match(id.sub, /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/)
    assert.equal(id.token_use, 'id')
    assert.equal(id['cognito:username'], `${provider}_ada`)
    assert.equal(id.email, 'ada@example.com')
    assert.equal(id.email_verified, true)
    assert.equal(id.name, 'Ada Lovelace')
    assert.equal(id.identities[0].providerName, provider)
    assert.equal(id.identities[0].userId, 'ada')
    assert.ok(id.at_hash && id.jti && id.origin_jti && id.auth_time)
  })

  test('gives an access token for the client, without an audience', () => {
    assert.equal(access.sub, id.sub)
    assert.equal(access.token_use, 'access')
    assert.equal(access.client_id, clients.web.clientId)
    assert.equal(access.username, `${provider}_ada`)
    assert.equal(access.version, 2)
    assert.deepEqual(access.scope.split(' ').sort(), ['email', 'openid', 'profile'])
    assert.ok(!('aud' in access))
  })

  test('gives an opaque refresh token', () => assert.ok(got.tokens.refresh_token.length >= 20))

  test('lets the application ask who it is', async () => {
    const info = await oidc.fetchUserInfo(rp.config, got.tokens.access_token, id.sub)
    assert.equal(info.email, 'ada@example.com')
  })

  test('can be refreshed', async () => {
    const again = await oidc.refreshTokenGrant(rp.config, got.tokens.refresh_token)
    assert.equal(again.claims().sub, id.sub)
    assert.equal(again.claims().auth_time, id.auth_time)
    assert.notEqual(again.access_token, got.tokens.access_token)
  })
})

describe('a person who returns', () => {
  test('is the same user in another browser and another application of the pool', async () => {
    const first = await signIn(await web(), 'bob')
    const second = await signIn(await spa(), 'bob')
    assert.ok(second.askedUpstream)
    assert.equal(second.tokens.claims().sub, first.tokens.claims().sub)
    assert.equal(second.tokens.claims().email_verified, false, 'absent trust is false')
  })

  test('is not asked again in the same browser', async () => {
    const first = await signIn(await web(), 'ada')
    const second = await signIn(await spa(), 'ada', first.agent)
    assert.ok(!second.askedUpstream)
    assert.equal(second.tokens.claims().sub, first.tokens.claims().sub)
  })

  test('is somebody else in another pool', async () => {
    const there = await signIn(await web(), 'ada')
    const here = await signIn(await bravo(), 'ada')
    assert.equal(here.tokens.claims().iss, d.issuers.bravo)
    assert.notEqual(here.tokens.claims().sub, there.tokens.claims().sub)
  })
})

describe('two pools', () => {
  test('share no keys', async () => {
    const jwks = async (issuer) => (await (await fetch(`${issuer}/.well-known/jwks.json`)).json()).keys.map((k) => k.kid)
    const [a, b] = [await jwks(d.issuers.alpha), await jwks(d.issuers.bravo)]
    assert.deepEqual(a.filter((kid) => b.includes(kid)), [])
  })

  test('do not take each other’s refresh tokens', async () => {
    const { tokens } = await signIn(await spa(), 'ada')
    await assert.rejects(oidc.refreshTokenGrant((await bravo()).config, tokens.refresh_token), { error: 'invalid_grant' })
  })

  test('do not share a session', async () => {
    const { agent } = await signIn(await spa(), 'ada')
    const { url } = await begin(await bravo())
    const at = await agent.open(url, { until: redirectURI })
    assert.ok(at.visited.some((u) => u.startsWith(d.upstream.issuer)), 'a pool let somebody in whom only the other knows')
  })
})

describe('the application proves itself', () => {
  for (const [name, auth] of [['client_secret_basic', oidc.ClientSecretBasic], ['client_secret_post', oidc.ClientSecretPost]]) {
    test(`with ${name}`, async () => {
      const { tokens } = await signIn(await web({ auth }), 'ada')
      assert.equal(tokens.claims().aud, clients.web.clientId)
    })
    test(`and not with a wrong secret by ${name}`, async () => {
      await assert.rejects(signIn(await web({ auth, clientSecret: 'wrongSecret0123456789abcdefghijk' }), 'ada'), refusedClient)
    })
  }

  test('and a confidential client not without its secret', async () => {
    await assert.rejects(signIn(await web({ clientSecret: undefined }), 'ada'), refusedClient)
  })

  test('and a public client with PKCE alone', async () => {
    const { tokens } = await signIn(await spa(), 'ada')
    assert.equal(tokens.claims().aud, clients.spa.clientId)
  })

  test('and not with the wrong PKCE verifier', async () => {
    const rp = await spa()
    const { agent } = await signIn(rp, 'ada')
    const { url, expect } = await begin(rp)
    const back = await agent.open(url, { until: redirectURI })
    await assert.rejects(finish(rp, back.url, { ...expect, pkceCodeVerifier: oidc.randomPKCECodeVerifier() }), { error: 'invalid_grant' })
  })

  test('and not with the code of another client', async () => {
    const [a, b] = [await spa(), await web()]
    const { agent } = await signIn(a, 'ada')
    const { url, expect } = await begin(a)
    const back = await agent.open(url, { until: redirectURI })
    await assert.rejects(finish(b, back.url, expect), { error: 'invalid_grant' })
  })
})

describe('a code used twice', () => {
  test('is refused and takes back what it gave', async () => {
    const rp = await web()
    const { tokens, back, expect } = await signIn(rp, 'ada')
    assert.equal((await userInfo(rp, tokens.access_token)).status, 200)
    await assert.rejects(finish(rp, back, expect), { error: 'invalid_grant' })
    await assert.rejects(oidc.refreshTokenGrant(rp.config, tokens.refresh_token), { error: 'invalid_grant' })
    assert.equal((await userInfo(rp, tokens.access_token)).status, 401)
  })
})

describe('a sign-in that goes wrong', () => {
  test('cancelled at the provider: the application is told', async () => {
    const rp = await web()
    const agent = new Agent()
    const { url, expect } = await begin(rp)
    const back = await agent.submit(await agent.open(url), { do: 'cancel' }, { until: redirectURI })
    await assert.rejects(finish(rp, back.url, expect), { error: 'access_denied' })
    assert.equal(back.url.searchParams.get('state'), expect.expectedState)
    assert.equal(back.url.searchParams.get('code'), null)
  })

  test('with an address that is not registered: a page and no redirect', async () => {
    for (const redirect_uri of [redirectURI + '/', redirectURI + '?x=1', 'http://127.0.0.1:2/callback', 'https://evil.example/callback']) {
      const { url } = await begin(await web(), { redirect_uri })
      const page = await new Agent().open(url)
      assertPage(page, 400)
      assert.ok(!page.body.includes('evil.example'), 'the page repeats an address that somebody made up')
    }
  })

  test('with a client that nobody knows: a page and no redirect', async () => {
    const { url } = await begin(await web(), { client_id: 'nobody'.padEnd(26, '0') })
    assertPage(await new Agent().open(url), 400, 404)
  })

  test('with a scope that the client may not have: the application is told', async () => {
    const rp = await web()
    const { url, expect } = await begin(rp, { scope: 'openid phone' })
    const back = await new Agent().open(url, { until: redirectURI })
    await assert.rejects(finish(rp, back.url, expect), { error: 'invalid_scope' })
  })

  test('brought back by another browser, or twice: refused', async () => {
    const rp = await web()
    const [victim, thief] = [new Agent(), new Agent()]
    const { url } = await begin(rp)
    const callback = `${d.weir.base}/oauth2/idpresponse`
    const at = await victim.submit(await victim.open(url), { login: 'ada', do: 'sign-in' }, { until: callback })
    assertPage(await thief.open(at.url), 400, 403, 410)
    const back = await victim.open(at.url, { until: redirectURI })
    assert.ok(back.url.searchParams.get('code'))
    assertPage(await victim.open(at.url), 400, 403, 410)
  })
})

describe('hints', () => {
  for (const [name, hint] of [['identity_provider', { identity_provider: provider }], ['idp_identifier', { idp_identifier: 'example.com' }]]) {
    test(`${name} goes straight to the provider`, async () => {
      const at = await new Agent().open((await begin(await web(), hint)).url)
      assert.ok(String(at.url).startsWith(d.upstream.issuer), String(at.url))
    })
  }
})

describe('signing out', () => {
  const logout = (uri) => `${d.weir.base}/logout?${new URLSearchParams({ client_id: clients.web.clientId, logout_uri: uri })}`

  test('ends the session and returns to the application', async () => {
    const rp = await web()
    const { agent } = await signIn(rp, 'ada')
    const at = await agent.open(logout(logoutURI), { until: logoutURI })
    assert.equal(at.url.href, logoutURI)
    const next = await agent.open((await begin(rp)).url, { until: redirectURI })
    assert.ok(next.visited.some((u) => u.startsWith(d.upstream.issuer)), 'the session outlived the sign-out')
  })

  test('does not lead to an address that is not registered', async () => {
    const { agent } = await signIn(await web(), 'ada')
    for (const uri of ['https://evil.example/', logoutURI + '/x']) assertPage(await agent.open(logout(uri)), 400)
  })
})

describe('operations', () => {
  test('are on a listener of their own', async () => {
    for (const path of ['/livez', '/readyz', '/metrics']) {
      assert.equal((await fetch(d.weir.operations + path)).status, 200, path)
    }
    assert.match(await (await fetch(`${d.weir.operations}/metrics`)).text(), /^# HELP /m)
    assert.equal((await fetch(`${d.weir.base}/metrics`)).status, 404)
  })

  test('neither log nor store tells a secret', async () => {
    const rp = await web()
    const { tokens, back } = await signIn(rp, 'ada')
    const store = await readFile(join(d.weir.dir, 'weir.db'))
    const secrets = { clientSecret: clients.web.clientSecret, upstreamSecret, refreshToken: tokens.refresh_token, accessToken: tokens.access_token, code: back.searchParams.get('code') }
    for (const [name, secret] of Object.entries(secrets)) {
      assert.ok(!d.weir.process.output.includes(secret), `${name} is in the log`)
      assert.ok(!store.includes(secret), `${name} is in the store`)
    }
  })
})

describe('the provider changes', () => {
  test('its keys: sign-in goes on without a restart of Weir', async () => {
    await d.upstream.stop()
    await d.restartUpstream()
    const { tokens } = await signIn(await web(), 'ada')
    assert.equal(tokens.claims().email, 'ada@example.com')
  })

  test('it is down: the sign-in ends with an error, in time', async () => {
    const rp = await web()
    const agent = new Agent()
    const { url, expect } = await begin(rp)
    const callback = `${d.weir.base}/oauth2/idpresponse`
    const at = await agent.submit(await agent.open(url), { login: 'ada', do: 'sign-in' }, { until: callback })
    await d.upstream.stop()
    try {
      const back = await agent.open(at.url, { until: redirectURI })
      await assert.rejects(finish(rp, back.url, expect), (err) => ['server_error', 'temporarily_unavailable', 'invalid_request'].includes(err.error))
    } finally {
      await d.restartUpstream()
    }
  })
})

describe('a restart in the middle', () => {
  test('stops within five seconds, and sessions and refresh tokens go on', async () => {
    const rp = await web()
    const { tokens, agent } = await signIn(rp, 'ada')
    assert.deepEqual(await d.weir.stop(), { code: 0, signal: null })
    await d.weir.start()

    const refreshed = await oidc.refreshTokenGrant(rp.config, tokens.refresh_token)
    assert.equal(refreshed.claims().sub, tokens.claims().sub)
    assert.equal((await userInfo(rp, tokens.access_token)).status, 200)
    const again = await signIn(rp, 'ada', agent)
    assert.ok(!again.askedUpstream, 'the session was lost')
    assert.equal(again.tokens.claims().sub, tokens.claims().sub)
  })

  test('between leaving for the provider and coming back', async () => {
    const rp = await web()
    const agent = new Agent()
    const { url, expect } = await begin(rp)
    const form = await agent.open(url)
    assert.deepEqual(await d.weir.stop(), { code: 0, signal: null })
    await d.weir.start()
    const back = await agent.submit(form, { login: 'bob', do: 'sign-in' }, { until: redirectURI })
    assert.equal((await finish(rp, back.url, expect)).claims().email, 'bob@example.com')
  })
})
