// Whole sign-ins over SAML: SimpleSAMLphp upstream, Weir, openid-client downstream. Signing out is in saml-logout.test.js.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Agent } from './lib/agent.js'
import { oidc, finish } from './lib/rp.js'
import { client, entityId, isPage, poolId, redirectURI, refused, responseXML, SAMLDeployment, text, toWeir, travel } from './lib/saml.js'
import { people } from './lib/simplesamlphp.js'
import { buildWeir, waitFor } from './lib/weir.js'

const providers = ['Redirect', 'Post', 'SignedResponse', 'SignedAssertion', 'Encrypted', 'Persistent', 'Transient', 'Subject', 'Started', 'Forced', 'RollingURL', 'RollingFile', 'Late']

let binary, d

before(async () => {
  binary = await buildWeir()
  d = await SAMLDeployment.create(binary.path, providers)
})
after(async () => {
  await d?.remove()
  await binary?.remove()
})

describe('our metadata, read by SimpleSAMLphp', () => {
  test('names the entity, where answers and sign-outs go, and one certificate for each use', async () => {
    const { metadata, signed } = await d.idp('Redirect').read(await d.metadata('Redirect'))
    const binding = (name) => `urn:oasis:names:tc:SAML:2.0:bindings:HTTP-${name}`
    assert.equal(metadata.entityid, entityId('Redirect'))
    assert.deepEqual(metadata.AssertionConsumerService, [{ Binding: binding('POST'), Location: `${d.weir.base}/saml2/idpresponse`, index: 0, isDefault: true }])
    assert.deepEqual(metadata.SingleLogoutService, ['Redirect', 'POST'].map((name) => ({ Binding: binding(name), Location: `${d.weir.base}/saml2/logout` })))
    assert.deepEqual(metadata.keys.map(({ signing, encryption }) => [signing, encryption]), [[true, false], [false, true]])
    assert.notEqual(metadata.keys[0].X509Certificate, metadata.keys[1].X509Certificate)
    assert.ok(metadata.expire > Date.now() / 1000 + 86_400)
    assert.ok(signed)
  })

  test('is no longer signed once somebody has changed it', async () => {
    const xml = (await d.metadata('Redirect')).replace('/saml2/idpresponse', '/evil')
    assert.equal((await d.idp('Redirect').read(xml)).signed, false)
  })

  test('is not there for a provider or a pool that does not exist', async () => {
    for (const query of [{ user_pool_id: poolId, identity_provider: 'Nobody' }, { user_pool_id: 'local_Nobody001', identity_provider: 'Redirect' }, {}]) {
      const res = await fetch(`${d.weir.base}/saml2/metadata?${new URLSearchParams(query)}`, { headers: { accept: 'text/html' } })
      assert.ok([400, 404].includes(res.status), `status ${res.status}`)
      assert.match(res.headers.get('content-type'), /^text\/html/)
    }
  })
})

describe('a sign-in', () => {
  // What SimpleSAMLphp requires of requests (validate.authnrequest) holds for all of them.
  test('with a Redirect request, metadata by its address', async () => {
    const { visited, tokens } = await d.signIn('Redirect')
    const request = new URL(visited[1])
    assert.deepEqual([...request.searchParams.keys()], ['SAMLRequest', 'RelayState', 'SigAlg', 'Signature'])
    assert.equal(tokens.claims()['cognito:username'], 'Redirect_asa@corp.example')
  })

  test('with a POST request, metadata from a file', async () => {
    const { visited, tokens } = await d.signIn('Post')
    assert.equal(visited[1], `${d.idp('Post').base}saml2/idp/SSOService.php`)
    assert.equal(tokens.claims()['cognito:username'], 'Post_asa@corp.example')
  })

  for (const [name, message, assertion] of [['Redirect', true, true], ['SignedResponse', true, false], ['SignedAssertion', false, true]]) {
    test(`with a signature on ${[message && 'the response', assertion && 'the assertion'].filter(Boolean).join(' and ')}`, async () => {
      const { agent, page, rp, expect } = await d.attempt(name, { login: 'asa', stop: toWeir })
      const xml = responseXML(page)
      const inside = xml.indexOf('<saml:Assertion')
      assert.equal(xml.slice(0, inside).includes('<ds:Signature '), message)
      assert.equal(xml.slice(inside).includes('<ds:Signature '), assertion)
      const back = await travel(agent, page)
      assert.equal((await finish(rp, back.page.url, expect)).claims().email, 'asa@corp.example')
    })
  }

  test('is signed, every part of the request: SimpleSAMLphp refuses any other', async () => {
    for (const change of [(q) => ['SigAlg', 'Signature'].forEach((name) => q.delete(name)), (q) => q.set('RelayState', 'another'), (q) => q.delete('RelayState')]) {
      const { visited } = await d.attempt('Redirect')
      const request = new URL(visited[1])
      change(request.searchParams)
      assert.match((await new Agent().open(request)).body, /no signature found on message|Unable to validate signature/i)
    }
  })

  test('encrypted', async () => {
    const { agent, page, rp, expect } = await d.attempt('Encrypted', { login: 'asa', stop: toWeir })
    assert.match(responseXML(page), /<saml:EncryptedAssertion/)
    assert.ok(!responseXML(page).includes('asa@corp.example'))
    const back = await travel(agent, page)
    assert.equal((await finish(rp, back.page.url, expect)).claims().name, 'Åsa 明子 Ångström & <Söhne>')
  })

  test('that should be encrypted and is not: refused', async () => {
    const idp = d.idp('Encrypted')
    await idp.change(entityId('Encrypted'), { 'assertion.encryption': false })
    try {
      const logged = d.mark()
      refused(await d.attempt('Encrypted', { login: 'asa' }), 'server_error')
      await logged(/login\.failed.*The assertion is not encrypted, and this provider is set to accept encrypted ones only/)
    } finally {
      await idp.change(entityId('Encrypted'), { 'assertion.encryption': true })
    }
    assert.equal((await d.signIn('Encrypted')).tokens.claims().email, 'asa@corp.example')
  })

  test('with a wrong password stays at the provider', async () => {
    const { agent, page } = await d.attempt('Redirect')
    const again = await agent.submit(page, { username: 'asa', password: 'wrong' })
    assert.equal(again.url.hostname, 'localhost')
    assert.match(text(again), /Incorrect username or password/)
  })
})

describe('who it is', () => {
  test('the attributes, whatever letters are in them, and several values', async () => {
    const id = (await d.signIn('Redirect')).tokens.claims()
    assert.equal(id.email, 'asa@corp.example')
    assert.equal(id.email_verified, false, 'absent trust is false')
    assert.equal(id.name, 'Åsa 明子 Ångström & <Söhne>')
    assert.equal(id.family_name, 'Ångström & <Söhne>')
    assert.equal(id['custom:groups'], '[Domain+Users,R%26D+%3Cops%3E,gr%C3%B6%C3%9Fe%2C+%22x%22]')
    assert.deepEqual(id['custom:groups'].slice(1, -1).split(',').map((v) => decodeURIComponent(v.replaceAll('+', ' '))), people.asa.attributes['http://schemas.xmlsoap.org/claims/Group'])
    assert.equal(id['custom:context'], 'urn:oasis:names:tc:SAML:2.0:ac:classes:Password')
    assert.deepEqual([id.identities[0].providerName, id.identities[0].providerType, id.identities[0].userId, id.identities[0].issuer],
      ['Redirect', 'SAML', 'asa@corp.example', d.idp('Redirect').entityId])
  })

  test('one value is plain', async () => {
    const id = (await d.signIn('Redirect', { login: 'bob' })).tokens.claims()
    assert.equal(id['custom:groups'], 'Domain Users')
    assert.equal(id.name, "Bob O'Neil")
  })

  test('the same person is the same user, in another browser and by either form of request', async () => {
    const first = await d.signIn('Redirect')
    const second = await d.signIn('Redirect')
    assert.ok(second.asked)
    assert.equal(second.tokens.claims().sub, first.tokens.claims().sub)
    assert.notEqual((await d.signIn('Redirect', { login: 'bob' })).tokens.claims().sub, first.tokens.claims().sub)
  })

  test('a persistent identifier that was asked for', async () => {
    const [first, second] = [await d.signIn('Persistent'), await d.signIn('Persistent')]
    const id = first.tokens.claims()
    assert.match(id.identities[0].userId, /^[0-9a-f]{40}$/)
    assert.equal(id['custom:format'], 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent')
    assert.equal(second.tokens.claims().sub, id.sub)
  })

  test('a transient one is nobody: refused, and the log says what to do', async () => {
    const logged = d.mark()
    const { page } = await d.attempt('Transient', { login: 'asa' })
    assert.equal(page.url.searchParams.get('code'), null)
    assert.ok(page.url.searchParams.get('error'))
    assert.ok(!page.url.href.includes('SubjectAttribute'), 'the application is told of our settings')
    await logged(/login\.failed.*NameID is another one at every sign-in.*SubjectAttribute/)
  })

  test('with 2,500 groups', async () => {
    const id = (await d.signIn('Persistent', { login: 'crowd' })).tokens.claims()
    assert.equal(id.email, 'crowd@corp.example')
    assert.equal(id['custom:groups'], 'Group 0001')
  })

  test('or the attribute that is said to identify', async () => {
    const [first, second] = [await d.signIn('Subject'), await d.signIn('Subject')]
    assert.equal(first.tokens.claims().identities[0].userId, 'asa')
    assert.equal(first.tokens.claims()['custom:format'], 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient')
    assert.equal(second.tokens.claims().sub, first.tokens.claims().sub)
  })
})

describe('somebody who is signed in', () => {
  test('is not asked again, not even at the provider', async () => {
    const first = await d.signIn('Redirect')
    const second = await d.signIn('Redirect', { agent: first.agent })
    assert.equal(second.visited.length, 2, `${second.visited}`)
    assert.equal(second.tokens.claims().sub, first.tokens.claims().sub)
  })

  test('at the provider alone passes through it', async () => {
    const first = await d.signIn('SignedResponse')
    const second = await d.signIn('SignedAssertion', { agent: first.agent })
    assert.ok(second.visited.some((url) => url.startsWith(d.idp('Redirect').base)))
    assert.ok(!second.asked)
  })

  test('is asked for the password where the provider is set to ForceAuthn', async () => {
    const first = await d.signIn('Redirect')
    const second = await d.signIn('Forced', { agent: first.agent })
    assert.ok(second.asked)
  })

  test('and where the application says prompt=login or max_age=0', async () => {
    const { agent, tokens } = await d.signIn('Redirect')
    for (const extra of [{ prompt: 'login' }, { max_age: '0' }]) {
      const again = await d.signIn('Redirect', { agent, extra })
      assert.ok(again.asked, JSON.stringify(extra))
      assert.equal(again.tokens.claims().sub, tokens.claims().sub)
    }
  })

  test('and a provider that cannot do without asking ends prompt=none', async () => {
    const { page } = await d.attempt('Redirect', { extra: { prompt: 'none' } })
    assert.equal(page.url.searchParams.get('error'), 'login_required')
  })
})

describe('a sign-in that the provider starts', () => {
  const relay = (extra = {}) =>
    new URLSearchParams({ identity_provider: 'Started', client_id: client.clientId, redirect_uri: redirectURI, response_type: 'code', scope: 'openid email', ...extra }).toString()
  const start = async (name, relayState, agent = new Agent(), how = {}) => {
    const trip = await travel(agent, await agent.open(d.idp(name).startURL(entityId(name), relayState)), { login: 'asa', ...how })
    return { agent, ...trip }
  }
  const exchange = async (page) => {
    assert.equal(page.status, 0, `${page.url} ${text(page)}`)
    assert.equal(page.url.origin + page.url.pathname, redirectURI)
    return oidc.authorizationCodeGrant((await d.rp()).config, page.url, { idTokenExpected: true })
  }

  test('leads to the application that its RelayState names', async () => {
    const usual = await d.signIn('Started')
    const { page } = await start('Started', relay())
    const tokens = await exchange(page)
    assert.equal(tokens.claims().sub, usual.tokens.claims().sub)
    assert.equal(tokens.scope ?? 'openid email', 'openid email')
  })

  test('leads to the default application where it names none', async () => {
    const { page } = await start('Started')
    assert.equal((await exchange(page)).claims()['cognito:username'], 'Started_asa@corp.example')
  })

  test('is off by default: a page, and nobody is signed in', async () => {
    const logged = d.mark()
    isPage((await start('Redirect')).page, 400, 502)
    const { agent, page } = await start('Redirect', relay({ identity_provider: 'Redirect' }))
    isPage(page, 400, 403)
    assert.match(text(page), /may not start a sign-in/)
    await logged(/login\.failed.*IDPInit is not true/)
    const next = await d.attempt('Redirect', { agent })
    assert.ok(next.visited.some((url) => url.startsWith(d.idp('Redirect').base)), 'there is a session')
  })

  test('does not lead where nobody registered, nor is it guessed what is meant', async () => {
    for (const relayState of [relay({ redirect_uri: 'https://evil.example/' }), relay({ client_id: 'nobody'.padEnd(26, '0') }), relay({ client_id: '' }), relay({ extra: '1' }),
      relay({ response_type: 'token' }), relay() + '&client_id=other', 'https://evil.example/', 'https://evil.example/?a=b', 'hello']) {
      const { page } = await start('Started', relayState)
      isPage(page, 400, 403, 404, 410)
      assert.ok(!page.body.includes('evil.example'), 'the page repeats an address that somebody made up')
    }
  })

  test('by another provider than the RelayState names: refused', async () => {
    const logged = d.mark()
    const { page } = await start('SignedResponse', relay())
    isPage(page, 400, 403, 502)
    await logged(/login\.failed.*audience.*urn:weir:e2e:SignedResponse.*urn:weir:e2e:Started/i)
  })

  test('does not finish a sign-in that a browser began', async () => {
    const { agent, visited } = await d.attempt('Started')
    const id = new URL(visited[1]).searchParams.get('RelayState')
    const { page } = await start('Started', id, agent)
    assert.equal(page.url.searchParams.get('error'), 'server_error')
  })

  test('works once', async () => {
    const { agent, page } = await start('Started', relay(), new Agent(), { stop: toWeir })
    const other = agent.fork()
    await exchange((await travel(agent, page)).page)
    const logged = d.mark()
    isPage((await travel(other, page)).page, 400)
    await logged(/login\.failed.*the message was used before/)
  })
})

describe('a response that is not this sign-in’s', () => {
  const stopped = (how) => d.attempt('Redirect', { login: 'asa', stop: toWeir, ...how })

  test('posted twice by the same browser: one of them counts, even at the same time', async () => {
    const { agent, page, rp, expect } = await stopped()
    const logged = d.mark()
    const ends = await Promise.all([agent, agent.fork(), agent.fork()].map((a) => travel(a, page)))
    const good = ends.filter(({ page: p }) => p.url.searchParams.get('code'))
    assert.equal(good.length, 1, ends.map((e) => e.page.url.href).join('\n'))
    for (const end of ends) if (end !== good[0]) refused(end, 'invalid_request')
    await logged(/login\.failed.*the message was used before/)
    assert.equal((await finish(rp, good[0].page.url, expect)).claims().email, 'asa@corp.example')
  })

  test('posted again later: a page', async () => {
    const { agent, page } = await stopped()
    assert.ok((await travel(agent, page)).page.url.searchParams.get('code'))
    isPage((await travel(agent, page)).page, 400, 410)
  })

  test('posted in a browser that did not ask: a page', async () => {
    const { page } = await stopped()
    isPage((await travel(new Agent(), page)).page, 400, 410)
  })

  test('posted in a browser that asked for another one: refused', async () => {
    const attacker = await stopped({ login: 'bob' })
    const victim = await stopped()
    const logged = d.mark()
    const body = victim.page.body.replace(/(name="SAMLResponse" value=")[^"]*/, (_, start) => start + attacker.page.body.match(/name="SAMLResponse" value="([^"]*)/)[1])
    refused(await travel(victim.agent, { ...victim.page, body }), 'server_error')
    await logged(/login\.failed.*The response answers the request .* somebody else's response/)
  })

  for (const [what, change] of [
    ['another person', (xml) => xml.replaceAll('asa@corp.example', 'bob@corp.example')],
    ['another audience', (xml) => xml.replaceAll(entityId('Redirect'), entityId('Post'))],
    ['another time', (xml) => xml.replaceAll(/NotOnOrAfter="2/g, 'NotOnOrAfter="3')],
    ['no signature', (xml) => xml.replaceAll(/<ds:Signature [\s\S]*?<\/ds:Signature>/g, '')],
    ['a comment', (xml) => xml.replaceAll('asa@corp.example', 'asa@corp.example<!-- x -->.evil.example')],
  ]) {
    test(`with ${what}, put in by hand: refused`, async () => {
      const { agent, page } = await stopped()
      const changed = change(responseXML(page))
      assert.notEqual(changed, responseXML(page))
      const body = page.body.replace(/(name="SAMLResponse" value=")[^"]*/, (_, start) => start + Buffer.from(changed).toString('base64'))
      const logged = d.mark()
      const end = await travel(agent, { ...page, body })
      refused(end, 'server_error')
      assert.ok(!/signature|audience|digest/i.test(end.page.url.searchParams.get('error_description')), 'the public text tells what was wrong')
      await logged(/login\.failed/)
      const next = await d.attempt('Redirect', { agent })
      assert.ok(next.visited.some((url) => url.startsWith(d.idp('Redirect').base)), 'there is a session')
    })
  }
})

describe('the provider changes its key', () => {
  test('announced: nothing happens; switched: sign-in goes on without a restart', async () => {
    const idp = d.idp('RollingURL')
    const both = async () => {
      for (const name of ['RollingURL', 'RollingFile']) assert.equal((await d.signIn(name)).tokens.claims().email, 'asa@corp.example', name)
    }
    await both()
    await idp.signWith('idp', 'next')
    await both()
    await idp.signWith('next')
    const logged = d.mark()
    await both() // RollingURL knows the old key alone, RollingFile has been told of both
    await logged(/metadata.*RollingURL.*certificate|metadata.*RollingURL.*key/i)
  })

  test('to one that it never told of: refused, by those who cannot ask', async () => {
    const idp = d.idp('Post')
    await idp.signWith('next')
    try {
      const logged = d.mark()
      refused(await d.attempt('Post', { login: 'asa' }), 'server_error')
      await logged(/login\.failed.*certificate|login\.failed.*key/)
      assert.equal((await d.signIn('Redirect')).tokens.claims().email, 'asa@corp.example')
    } finally {
      await idp.signWith('idp')
    }
  })
})

describe('the provider is down', () => {
  test('from the start: the application is told in time, and sign-in works once it is there', async () => {
    const began = Date.now()
    const { page } = await d.attempt('Late')
    assert.equal(page.status, 0, text(page))
    assert.equal(page.url.searchParams.get('error'), 'invalid_request')
    assert.match(page.url.searchParams.get('error_description'), /not available right now/)
    assert.ok(Date.now() - began < 10_000)
    await d.idp('Late').start()
    await waitFor('the metadata to be fetched again', async () => (await d.attempt('Late')).asked, 20_000)
    assert.equal((await d.signIn('Late')).tokens.claims().email, 'asa@corp.example')
  })

  test('while Weir restarts: what is known of it is kept', async () => {
    const idp = d.idp('Late')
    await idp.stop()
    assert.deepEqual(await d.weir.stop(), { code: 0, signal: null })
    await d.weir.start()
    await assert.rejects(d.attempt('Late'), /fetch failed/) // the browser is at the provider, where nobody answers
    await idp.start()
    assert.equal((await d.signIn('Late')).tokens.claims().email, 'asa@corp.example')
  })
})
