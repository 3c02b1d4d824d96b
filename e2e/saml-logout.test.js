// Signing out over SAML, begun by the application and begun at the provider: SimpleSAMLphp, Weir, openid-client.

import assert from 'node:assert/strict'
import { inflateRawSync } from 'node:zlib'
import { after, before, describe, test } from 'node:test'
import { Agent } from './lib/agent.js'
import { oidc } from './lib/rp.js'
import { entityId, isPage, logoutURI, responseXML, SAMLDeployment, text, toWeir, travel } from './lib/saml.js'
import { buildWeir } from './lib/weir.js'

let binary, d

before(async () => {
  binary = await buildWeir()
  d = await SAMLDeployment.create(binary.path, ['SignedAssertion', 'Redirect', 'Post', 'Persistent', 'RollingURL'])
})
after(async () => {
  await d?.remove()
  await binary?.remove()
})

// The application's sign-out, followed to its end.
const signOut = async (agent) => travel(agent, await agent.open(d.logoutURL(), { until: logoutURI }), { until: logoutURI })

// The sign-out at the provider, followed to its page that says so.
async function signOutAtProvider(name, agent) {
  const trip = await travel(agent, await agent.open(d.idp(name).logoutURL))
  assert.equal(trip.page.url.href, d.idp(name).signedOutURL, text(trip.page))
  assert.match(text(trip.page), /logged out/i)
  return trip
}

const refreshes = ({ rp, tokens }) => oidc.refreshTokenGrant(rp.config, tokens.refresh_token)
const refreshRefused = (got) => assert.rejects(refreshes(got), { error: 'invalid_grant' })
const at = (trip, place) => trip.visited.filter((url) => url.startsWith(place))
const nameID = (xml) => {
  const [, attributes, Value] = xml.match(/<saml:NameID([^>]*)>([^<]*)</)
  return { Value, ...Object.fromEntries([...attributes.matchAll(/([\w:]+)="([^"]*)"/g)].map(([, name, value]) => [name, value])) }
}
const logoutAt = (name) => `${d.idp(name).base}saml2/idp/SingleLogoutService.php`

describe('signing out at the application', () => {
  for (const [name, binding] of [['Redirect', 'Redirect'], ['Post', 'POST']]) {
    test(`ends the provider’s session too, over ${binding}`, async () => {
      const got = await d.signIn(name)
      const trip = await signOut(got.agent)
      assert.equal(trip.page.url.href, logoutURI)
      const [request] = at(trip, logoutAt(name))
      assert.equal(new URL(request).searchParams.has('Signature'), binding === 'Redirect')
      assert.equal(at(trip, `${d.weir.base}/saml2/logout`).length, binding === 'Redirect' ? 1 : 2, 'a POST comes from another site, and once more from ours')
      await refreshRefused(got)
      assert.ok((await d.attempt(name, { agent: got.agent })).asked, 'the provider’s session is still there')
    })
  }

  test('names the person and the session exactly as the provider issued them', async () => {
    const { agent, page } = await d.attempt('Redirect', { login: 'asa', stop: toWeir })
    const response = responseXML(page)
    await travel(agent, page)
    const [request] = at(await signOut(agent), logoutAt('Redirect'))
    const xml = inflateRawSync(Buffer.from(new URL(request).searchParams.get('SAMLRequest'), 'base64')).toString()
    assert.ok(nameID(xml).SPNameQualifier && nameID(xml).Format)
    assert.deepEqual(nameID(xml), nameID(response))
    assert.equal(xml.match(/<samlp:SessionIndex>([^<]+)</)[1], response.match(/SessionIndex="([^"]+)"/)[1])
  })

  test('leaves the provider alone without IDPSignout', async () => {
    const { agent } = await d.signIn('Persistent')
    assert.deepEqual((await signOut(agent)).visited.slice(1), [logoutURI])
    assert.ok(!(await d.attempt('Persistent', { agent })).asked)
  })

  test('a second time is no different', async () => {
    const { agent } = await d.signIn('Redirect')
    await signOut(agent)
    const again = await signOut(agent)
    assert.equal(again.page.url.href, logoutURI)
    assert.equal(at(again, d.idp('Redirect').base).length, 0)
  })

  test('of a person whom the provider has forgotten leads back all the same', async () => {
    const got = await d.signIn('Redirect')
    const stranger = got.agent.fork()
    await signOutAtProvider('Redirect', stranger)
    const trip = await signOut(got.agent)
    assert.equal(trip.page.url.href, logoutURI)
  })

  test('with an answer that somebody changed leads back, and the log says so', async () => {
    const { agent } = await d.signIn('Redirect')
    const stopped = await agent.open(d.logoutURL(), { until: `${d.weir.base}/saml2/logout?` })
    const answer = new URL(stopped.url)
    assert.ok(answer.searchParams.has('SAMLResponse'))
    answer.searchParams.set('Signature', answer.searchParams.get('Signature').replace(/^..../, 'AAAA'))
    const logged = d.mark()
    const end = await agent.open(answer, { until: logoutURI })
    assert.equal(end.url.href, logoutURI)
    await logged(/logout\.failed.*signature/i)
  })

  test('does not lead anywhere with an answer that nobody waits for', async () => {
    const { agent } = await d.signIn('Redirect')
    const stopped = await agent.open(d.logoutURL(), { until: `${d.weir.base}/saml2/logout?` })
    const page = await new Agent().open(stopped.url)
    assert.equal(page.status, 200)
    assert.equal(page.visited.length, 1)
    assert.match(text(page), /signed out/i)
  })

  test('while the provider is down has ended everything here, and nobody is stuck', async () => {
    const got = await d.signIn('RollingURL')
    const idp = d.idp('RollingURL')
    await idp.stop()
    await assert.rejects(signOut(got.agent), /fetch failed/) // the browser is at the provider, where nobody answers
    await refreshRefused(got)
    assert.equal((await signOut(got.agent)).page.url.href, logoutURI, 'the second time')
    await idp.start()
    assert.ok((await d.signIn('RollingURL', { agent: got.agent })).visited.some((url) => url.startsWith(idp.base)), 'the session outlived the sign-out')
  })
})

describe('signing out at the provider', () => {
  for (const [name, binding] of [['Redirect', 'Redirect'], ['Post', 'POST']]) {
    test(`ends the session here and its refresh token, over ${binding}`, async () => {
      const got = await d.signIn(name)
      const { refresh_token } = await refreshes(got)
      const trip = await signOutAtProvider(name, got.agent)
      assert.equal(at(trip, `${d.weir.base}/saml2/logout`).length, 1)
      await refreshRefused(refresh_token ? { ...got, tokens: { refresh_token } } : got)
      assert.ok((await d.attempt(name, { agent: got.agent })).asked, 'the session outlived the sign-out')
      assert.doesNotMatch((await d.idp(name).log()).split('\n').slice(-40).join('\n'), /Unsuccessful logout|Failed/)
    })
  }

  test('of a person who came through several providers here ends each', async () => {
    const first = await d.signIn('Redirect')
    const second = await d.signIn('Persistent', { agent: first.agent })
    const third = await d.signIn('Post', { agent: first.agent })
    const trip = await signOutAtProvider('Redirect', first.agent)
    assert.equal(at(trip, `${d.weir.base}/saml2/logout`).length, 3)
    for (const got of [first, second, third]) await refreshRefused(got)
    const log = await d.idp('Redirect').log()
    for (const name of ['Redirect', 'Persistent', 'Post']) assert.ok(log.includes(`Logged out of 'saml:${entityId(name)}'`), `${name} did not answer for itself`)
  })

  test('in one browser leaves the other browser alone, and other people', async () => {
    const [here, there, bob] = [await d.signIn('Redirect'), await d.signIn('Redirect'), await d.signIn('Redirect', { login: 'bob' })]
    await signOutAtProvider('Redirect', here.agent)
    await refreshRefused(here)
    await refreshes(there)
    await refreshes(bob)
  })

  test('is believed once, and only with the provider’s signature', async () => {
    const got = await d.signIn('Redirect')
    const stopped = await got.agent.open(d.idp('Redirect').logoutURL, { until: `${d.weir.base}/saml2/logout?` })
    const unsigned = new URL(stopped.url)
    for (const name of ['SigAlg', 'Signature']) unsigned.searchParams.delete(name)
    isPage(await new Agent().open(unsigned), 400)
    const changed = new URL(stopped.url)
    changed.searchParams.set('RelayState', 'another')
    isPage(await new Agent().open(changed), 400)
    await refreshes(got)
    const first = await got.agent.open(stopped.url)
    assert.equal(first.url.href, d.idp('Redirect').signedOutURL)
    await refreshRefused(got)
    isPage(await got.agent.open(stopped.url), 400)
  })
})
