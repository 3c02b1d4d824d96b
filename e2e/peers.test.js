// The peers without Weir between them: what the other tests rely on holds by itself.

import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Agent } from './lib/agent.js'
import { inspect, launch, out, withPage } from './lib/browser.js'
import { begin, connect, finish, oidc } from './lib/rp.js'
import { startUpstream } from './lib/upstream.js'

const redirectURI = 'http://127.0.0.1:1/callback' // nobody listens: the agent stops there

describe('the peers by themselves', () => {
  let upstream, rp

  before(async () => {
    upstream = await startUpstream([{ client_id: 'app', client_secret: 'a-secret-of-the-app', redirect_uris: [redirectURI] }])
    rp = await connect(upstream.issuer, { clientId: 'app', clientSecret: 'a-secret-of-the-app', redirectURI })
  })
  after(() => upstream?.stop())

  test('a person signs in and the application learns who', async () => {
    const agent = new Agent()
    const { url, expect } = await begin(rp)
    const back = await agent.submit(await agent.open(url), { login: 'ada', do: 'sign-in' }, { until: redirectURI })
    const tokens = await finish(rp, back.url, expect)
    assert.equal(tokens.claims().sub, 'ada')
    const info = await oidc.fetchUserInfo(rp.config, tokens.access_token, 'ada')
    assert.equal(info.email, 'ada@example.com')
    assert.equal(info.email_verified, true)
  })

  test('a name that nobody has is asked again', async () => {
    const agent = new Agent()
    const { url } = await begin(rp)
    const page = await agent.submit(await agent.open(url), { login: 'eve', do: 'sign-in' })
    assert.equal(page.status, 200)
    assert.match(page.body, /Nobody has that name/)
  })

  test('who cancels comes back with access_denied', async () => {
    const agent = new Agent()
    const { url, expect } = await begin(rp)
    const back = await agent.submit(await agent.open(url), { do: 'cancel' }, { until: redirectURI })
    await assert.rejects(finish(rp, back.url, expect), { error: 'access_denied' })
  })
})

describe('the inspection of pages', () => {
  let browser

  before(async () => (browser = await launch()))
  after(() => browser?.close())

  const page = (body) => `<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>A page</title><main><h1>A page</h1>${body}</main></html>`

  test('passes a plain page', () => withPage(browser, 'plain', {}, async (p) => {
    await p.setContent(page('<label>Name <input></label>'))
    await inspect(p, 'self-check')
  }))

  test('sees a field without a label', () => withPage(browser, 'no-label', {}, async (p) => {
    await p.setContent(page('<input>'))
    await assert.rejects(inspect(p, 'self-check'), /critical label/)
  }))

  test('sees a text that only the light page shows well', () => withPage(browser, 'contrast', {}, async (p) => {
    await p.setContent(page('<style>body { background: #fff; color: #333 } @media (prefers-color-scheme: dark) { body { background: #111 } }</style><p>Text</p>'))
    await assert.rejects(inspect(p, 'self-check'), (err) => /dark: serious color-contrast/.test(err.message) && !/light: /.test(err.message))
  }))

  test('sees a page that is too wide for a phone', () => withPage(browser, 'too-wide', {}, async (p) => {
    await p.setContent(page('<div style="width: 500px">wide</div>'))
    await assert.rejects(inspect(p, 'self-check'), /narrow-light: 5\d\d pixels wide/)
  }))

  test('hears a page that complains', async () => {
    await assert.rejects(withPage(browser, 'self-check-console', {}, async (p) => {
      await p.setContent('<script>throw new Error("broken")</script>')
    }), /a page complained/)
    await rm(join(out, 'FAILED-self-check-console.png'))
  })
})
