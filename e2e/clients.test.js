// Applications on libraries that were not written for Weir, each by its own checks: oidc-client-ts as in a single-page application, and
// aws-jwt-verify as in an API that knew Amazon Cognito before.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { JwtVerifier } from 'aws-jwt-verify'
import { validateCognitoJwtFields } from 'aws-jwt-verify/cognito-verifier'
import { OidcClient, WebStorageStateStore } from 'oidc-client-ts'
import { Agent } from './lib/agent.js'
import { clients, deploy, logoutURI, redirectURI } from './lib/deployment.js'
import { begin, connect, finish } from './lib/rp.js'
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

async function signIn(url, agent) {
  const at = await agent.open(url, { until: redirectURI })
  return (at.status === 0 ? at : await agent.submit(at, { login: 'ada', do: 'sign-in' }, { until: redirectURI })).url
}

// What a browser has under window.localStorage.
class Storage extends Map {
  getItem = (key) => this.get(key) ?? null
  setItem = (key, value) => void this.set(key, value)
  removeItem = (key) => void this.delete(key)
  key = (index) => [...this.keys()][index] ?? null
  get length() { return this.size }
}

test('oidc-client-ts signs in, renews, revokes and signs out', async () => {
  const agent = new Agent()
  const client = new OidcClient({
    authority: d.issuers.alpha,
    client_id: clients.spa.clientId,
    redirect_uri: redirectURI,
    post_logout_redirect_uri: logoutURI,
    scope: 'openid email offline_access',
    loadUserInfo: true,
    stateStore: new WebStorageStateStore({ store: new Storage() }),
  })
  const { url } = await client.createSigninRequest({ state: { page: 7 }, request_type: 'si:r' })
  const got = await client.processSigninResponse(String(await signIn(url, agent)))
  assert.equal(got.profile.email, 'ada@example.com')
  assert.deepEqual(got.userState, { page: 7 })

  const again = await client.useRefreshToken({ state: { ...got, session_state: null, data: undefined } })
  assert.equal(again.profile.sub, got.profile.sub)
  await client.revokeToken(got.refresh_token, 'refresh_token')
  await assert.rejects(client.useRefreshToken({ state: { ...got, session_state: null, data: undefined } }), { error: 'invalid_grant' })

  const out = await client.createSignoutRequest({ id_token_hint: got.id_token, state: { page: 8 } })
  const { url: end } = await agent.open(out.url, { until: logoutURI })
  assert.deepEqual((await client.processSignoutResponse(String(end))).userState, { page: 8 })
  assert.deepEqual(agent.cookieNames(new URL(d.weir.base).hostname).filter((name) => name.startsWith('weir_s_')), [])
})

describe('aws-jwt-verify', () => {
  let tokens
  const verifier = async (more) => {
    const v = JwtVerifier.create({ issuer: d.issuers.alpha, ...more })
    v.cacheJwks(await (await fetch(`${d.issuers.alpha}/.well-known/jwks.json`)).json()) // it fetches by https only
    return v
  }

  before(async () => {
    const rp = await connect(d.issuers.alpha, clients.web)
    const { url, expect } = await begin(rp)
    tokens = await finish(rp, await signIn(url, new Agent()), expect)
  })

  test('takes the ID token, with the checks that it has for Amazon Cognito', async () => {
    const { clientId } = clients.web
    const customJwtCheck = ({ payload }) => validateCognitoJwtFields(payload, { tokenUse: 'id', clientId })
    const claims = await (await verifier({ audience: clientId, customJwtCheck })).verify(tokens.id_token)
    assert.equal(claims.email, 'ada@example.com')
    await assert.rejects((await verifier({ audience: null, customJwtCheck })).verify(tokens.access_token), /Token use not allowed/)
  })

  test('takes the access token, with the checks that it has for Amazon Cognito', async () => {
    const customJwtCheck = ({ payload }) => validateCognitoJwtFields(payload, { tokenUse: 'access', clientId: clients.web.clientId, scope: 'openid' })
    assert.ok((await (await verifier({ audience: null, customJwtCheck })).verify(tokens.access_token)).sub)
  })
})
