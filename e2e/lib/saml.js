// Weir with one pool of SAML providers, each another agreement with the same SimpleSAMLphp: how requests and responses travel,
// what is signed, what is encrypted, who starts. Both sides know each other from their metadata alone.

import assert from 'node:assert/strict'
import { Agent } from './agent.js'
import { begin, connect, finish } from './rp.js'
import { emailClaim, groupClaim, people, SimpleSAMLphp } from './simplesamlphp.js'
import { Weir } from './weir.js'

export const poolId = 'local_E2eSaml01'
export const redirectURI = 'http://127.0.0.1:1/callback' // nobody listens: the agent stops there
export const logoutURI = 'http://127.0.0.1:1/signed-out'
export const client = { clientId: 'e2esaml'.padEnd(26, '0'), clientSecret: 'onlyForTests0123456789abcdefghij', redirectURI }

const POST = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST'
const format = (name) => `urn:oasis:names:tc:SAML:2.0:nameid-format:${name}`
const postOnly = (sp) => ({ SingleLogoutService: sp.SingleLogoutService.filter((endpoint) => endpoint.Binding === POST) })
const signed = (response, assertion) => ({ 'saml20.sign.response': response, 'saml20.sign.assertion': assertion })
const strict = { 'validate.authnrequest': true, 'validate.logout': true, 'sign.logout': true, ...signed(true, true) }

// Per provider: its ProviderDetails; file, where Weir gets the metadata as text; of, which SimpleSAMLphp it is (main
// otherwise); groups, what the claim is mapped from; theirs, how SimpleSAMLphp treats this service provider.
const agreements = {
  Redirect: { details: { RequestBinding: 'Redirect', IDPSignout: 'true' } },
  Post: { file: true, details: { RequestBinding: 'POST', IDPSignout: 'true' }, theirs: postOnly },
  SignedResponse: { theirs: () => signed(true, false) },
  SignedAssertion: { theirs: () => signed(false, true) },
  Encrypted: { details: { EncryptedResponses: 'true' }, theirs: () => ({ 'assertion.encryption': true }) },
  Persistent: { details: { NameIDFormat: format('persistent') }, groups: 'groups[0]' },
  Transient: { details: { NameIDFormat: format('transient') } },
  Subject: { details: { NameIDFormat: format('transient'), SubjectAttribute: 'uid' } },
  Started: { details: { IDPInit: 'true', DefaultClientId: client.clientId, DefaultRedirectURI: redirectURI } },
  Forced: { details: { ForceAuthn: 'true' } },
  RollingURL: { of: 'rolling', details: { IDPSignout: 'true' } },
  RollingFile: { of: 'rolling', file: true },
  Late: { of: 'late' },
}

export const entityId = (name) => `urn:weir:e2e:${name}`

async function provider(name, idp) {
  const { details = {}, file, groups = groupClaim } = agreements[name]
  return {
    ProviderName: name,
    ProviderType: 'SAML',
    ProviderDetails: { SPEntityID: entityId(name), ...(file ? { MetadataFile: await idp.metadata() } : { MetadataURL: idp.metadataURL }), ...details },
    AttributeMapping: { email: emailClaim, name: 'name', family_name: 'family_name', 'custom:groups': groups, 'custom:format': 'NameIDFormat', 'custom:context': 'AuthnContextClassRef' },
  }
}

function pool(callback, providers) {
  const custom = (Name) => ({ Name, AttributeDataType: 'String', Mutable: true })
  return {
    PoolName: 'saml',
    Id: poolId,
    Schema: [custom('groups'), custom('format'), custom('context')],
    IdentityProviders: providers,
    Clients: [
      {
        ClientName: 'web',
        ClientId: client.clientId,
        ClientSecret: client.clientSecret,
        CallbackURLs: [callback],
        LogoutURLs: [new URL('/signed-out', callback).href],
        AllowedOAuthFlows: ['code'],
        AllowedOAuthScopes: ['openid', 'email', 'profile'],
        SupportedIdentityProviders: providers.map((p) => p.ProviderName),
      },
    ],
  }
}

export class SAMLDeployment {
  idps = {}
  #callback

  // create starts SimpleSAMLphp and Weir with these agreements. The provider "late" is left for the tests to start.
  static async create(binary, names, { callback = redirectURI } = {}) {
    const d = new SAMLDeployment()
    d.#callback = callback
    try {
      for (const name of new Set(names.map((n) => agreements[n].of ?? 'main'))) {
        const idp = (d.idps[name] = await SimpleSAMLphp.create())
        if (name === 'rolling') await idp.signWith('idp', 'next')
        if (name !== 'late') await idp.start()
      }
      d.weir = await Weir.create(binary)
      d.issuer = `${d.weir.base}/${poolId}`
      await d.weir.writePools({ UserPools: [pool(callback, await Promise.all(names.map((n) => provider(n, d.idp(n)))))] })
      await d.idps.rolling?.signWith('idp')
      await d.weir.start()
      for (const name of names) await d.#introduce(name)
      return d
    } catch (err) {
      await d.remove()
      throw err
    }
  }

  async #introduce(name) {
    const { metadata, signed } = await this.idp(name).read(await this.metadata(name))
    assert.ok(signed, 'our metadata is not signed by the key that it names')
    await this.idp(name).trust(metadata, { ...strict, ...agreements[name].theirs?.(metadata) })
  }

  idp(name) {
    return this.idps[agreements[name].of ?? 'main']
  }

  // Our metadata for a provider, as its administrator would fetch it.
  async metadata(name) {
    const res = await fetch(`${this.weir.base}/saml2/metadata?${new URLSearchParams({ user_pool_id: poolId, identity_provider: name })}`)
    assert.equal(res.status, 200)
    assert.equal(res.headers.get('content-type'), 'application/samlmetadata+xml')
    return res.text()
  }

  async remove() {
    await this.weir?.remove()
    for (const idp of Object.values(this.idps)) await idp.remove()
  }

  rp() {
    return connect(this.issuer, { ...client, redirectURI: this.#callback })
  }

  logoutURL() {
    return `${this.weir.base}/logout?${new URLSearchParams({ client_id: client.clientId, logout_uri: new URL('/signed-out', this.#callback).href })}`
  }

  // A sign-in by one of the providers, until the browser is back at the application or stays somewhere. extra goes into the
  // authorization request; the rest is for travel.
  async attempt(name, { agent = new Agent(), extra, ...how } = {}) {
    const rp = await this.rp()
    const { url, expect } = await begin(rp, { identity_provider: name, ...extra })
    const trip = await travel(agent, await agent.open(url, { until: redirectURI }), how)
    return { rp, expect, agent, ...trip }
  }

  // The same to the end.
  async signIn(name, how = {}) {
    const got = await this.attempt(name, { login: 'asa', ...how })
    assert.equal(got.page.status, 0, `the browser did not come back but stayed at ${got.page.url}: ${text(got.page)}`)
    return { ...got, tokens: await finish(got.rp, got.page.url, got.expect) }
  }

  // marks where the log is now; the function that it returns waits until the log says something after that.
  mark() {
    const from = this.weir.process.output.length
    const since = () => this.weir.process.output.slice(from)
    return async (pattern) => {
      try {
        return await this.weir.process.until(String(pattern), () => since().match(pattern)?.[0])
      } catch (err) {
        throw new Error(`${err.message}\n${since()}`)
      }
    }
  }
}

export const text = (page) => page.body.replace(/<(style|script)[\s\S]*?<\/\1>/g, '').replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ').trim().slice(0, 600)
const passwordForm = (page) => /<input\b[^>]*type="password"/.test(page.body)
const samlForm = (page) => /<input\b[^>]*name="SAML(Request|Response)"/.test(page.body)

// travel goes on from a page as a browser with JavaScript does: it sends the forms that send themselves, and signs in at
// SimpleSAMLphp if login says who. Without, it stops at the password; with stop, at the first form that stop wants. It returns where
// it ended, every address on the way, and whether somebody asked for the password.
export async function travel(agent, page, { login, until = redirectURI, stop = () => false } = {}) {
  const visited = [...page.visited]
  let asked = false
  for (let steps = 0; steps < 20; steps++) {
    const password = passwordForm(page)
    asked ||= password
    if (page.status === 0 || (password && !login) || !(password || samlForm(page)) || stop(page)) return { page, visited, asked }
    page = await agent.submit(page, password ? { username: login, password: people[login].password } : {}, { until })
    visited.push(...page.visited)
  }
  throw new Error(`too many forms: ${visited.join(' -> ')}`)
}

// A form with a SAML response for Weir, not sent yet, on a page of the provider.
export const toWeir = (page) => page.url.hostname === 'localhost' && /name="SAMLResponse"/.test(page.body)

// The response in such a form.
export const responseXML = (page) => Buffer.from(page.body.match(/name="SAMLResponse" value="([^"]*)"/)[1], 'base64').toString()

// isPage wants an answer that is a page of Weir's for people and leads nowhere.
export function isPage(page, ...statuses) {
  assert.ok(statuses.includes(page.status), `status ${page.status} at ${page.url}, want ${statuses}: ${text(page)}`)
  assert.equal(page.url.hostname, '127.0.0.1')
  assert.match(page.headers.get('content-type'), /^text\/html/)
  assert.match(page.body, /[A-Z0-9]{4}-[A-Z0-9]{4}-[A-Z0-9]{4}-[A-Z0-9]{4}/, 'the page has no reference')
}

// refused wants the application to be told of that error and to get no code.
export function refused({ page }, error) {
  assert.equal(page.status, 0, `the browser stayed at ${page.url}: ${text(page)}`)
  assert.equal(page.url.searchParams.get('error'), error)
  assert.equal(page.url.searchParams.get('code'), null)
}
