// A SAML provider of others in Chromium, where the browser itself decides which cookies a form of another site brings.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { inspect, launch, press, withPage } from './lib/browser.js'
import { begin, finish } from './lib/rp.js'
import { client, entityId, SAMLDeployment } from './lib/saml.js'
import { people } from './lib/simplesamlphp.js'
import { buildWeir } from './lib/weir.js'

describe('a SAML provider of others', () => {
  let binary, browser, app, d

  before(async () => {
    binary = await buildWeir()
    browser = await launch()
    app = createServer((req, res) => res.setHeader('content-type', 'text/html').end(`<!doctype html><html lang="en"><title>App</title><p>${req.url.startsWith('/callback') ? 'Welcome' : 'Goodbye'}`))
    await once(app.listen(0, '127.0.0.1'), 'listening')
    d = await SAMLDeployment.create(binary.path, ['Redirect', 'Post'], { callback: `http://127.0.0.1:${app.address().port}/callback` })
  })
  after(async () => {
    await browser?.close()
    await d?.remove()
    app?.close()
    await binary?.remove()
  })

  const atProvider = (page) => page.getByLabel('Password')

  // SimpleSAMLphp's form.
  async function signInAtProvider(page) {
    await page.getByLabel('Username').fill('asa')
    await atProvider(page).fill(people.asa.password)
    await press(page, /^login$/i)
  }

  // The whole way by one of the providers; over says what to do on the pages that send themselves where scripts run.
  async function signIn(page, name, look = async () => {}, over = async () => {}) {
    const rp = await d.rp()
    const { url, expect } = await begin(rp)
    await page.goto(url.href)
    await look(page, 'saml-chooser')
    await press(page, new RegExp(name))
    if (name === 'Post') await over(page)
    await signInAtProvider(page)
    await over(page)
    await over(page)
    await page.getByText('Welcome').waitFor()
    const { claims } = await finish(rp, page.url(), expect)
    assert.equal(claims().email, 'asa@corp.example')
    assert.equal(claims()['cognito:username'], `${name}_asa@corp.example`)
  }

  for (const name of ['Redirect', 'Post']) {
    test(`a person signs in and out with ${name} requests, and the provider’s session goes too`, () =>
      withPage(browser, `saml-${name}`, {}, async (page) => {
        await signIn(page, name, name === 'Post' ? inspect : undefined)
        await page.goto(d.logoutURL())
        await page.getByText('Goodbye').waitFor()
        await page.goto((await begin(await d.rp(), { identity_provider: name })).url.href)
        await atProvider(page).waitFor()
      }))
  }

  test('works without JavaScript', () =>
    withPage(browser, 'saml-no-js', { javaScriptEnabled: false }, (page) =>
      signIn(page, 'Post', undefined, async () => {
        // SimpleSAMLphp has another one, an input, which is seen for as long as its stylesheet takes.
        await page.locator('button', { hasText: /^\s*(continue|submit)\s*$/i }).click()
      })))

  test('the pages that send themselves can be read and used where their script does not come', () =>
    withPage(browser, 'saml-late', {}, async (page) => {
      let pages = 0
      await page.route('**/*.js', (route) => (route.request().url().startsWith(d.weir.base) ? route.fulfill({ contentType: 'text/javascript', body: '' }) : route.continue()))
      await signIn(page, 'Post', undefined, async () => {
        const ours = page.getByRole('button', { name: /^continue$/i })
        await ours.or(page.getByText('Welcome')).waitFor()
        if (!(await ours.isVisible())) return
        await inspect(page, `saml-post-${++pages}`)
        await ours.click()
      })
      assert.equal(pages, 2, 'to the provider, and from ourselves to ourselves')
    }))

  test('who starts at the provider, where that is off, sees a page that says so', () =>
    withPage(browser, 'saml-unsolicited', {}, async (page) => {
      const relayState = new URLSearchParams({ identity_provider: 'Redirect', client_id: client.clientId, redirect_uri: `http://127.0.0.1:${app.address().port}/callback`, response_type: 'code', scope: 'openid' })
      await page.goto(d.idp('Redirect').startURL(entityId('Redirect'), relayState.toString()))
      await signInAtProvider(page)
      await page.getByText(/may not start a sign-in/).waitFor()
      assert.ok(page.url().startsWith(`${d.weir.base}/saml2/idpresponse`), page.url())
      await inspect(page, 'saml-unsolicited')
    }))

  for (const name of ['Redirect', 'Post']) {
    test(`who signs out at the provider, over ${name}, is signed out here and ends there`, () =>
      withPage(browser, `saml-logout-${name}`, {}, async (page) => {
        await signIn(page, name)
        await page.goto(d.idp(name).logoutURL)
        await page.getByText(/logged out/i).first().waitFor()
        assert.equal(page.url(), d.idp(name).signedOutURL)
        await page.goto((await begin(await d.rp(), { identity_provider: name })).url.href)
        await atProvider(page).waitFor()
      }))
  }
})
