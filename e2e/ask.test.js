// Somebody who may have an account already is asked, in Chromium: two providers of one pool that know the same people.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { inspect, launch, press, tabTo, withPage } from './lib/browser.js'
import { clients, deploy } from './lib/deployment.js'
import { begin, connect, finish } from './lib/rp.js'
import { buildWeir } from './lib/weir.js'

// Corp asks, Home was there first. Both are the same upstream: to Weir they are two.
function withHome(content) {
  const [alpha] = content.UserPools
  const [corp] = alpha.IdentityProviders
  alpha.IdentityProviders = [
    { ...corp, ProviderDetails: { ...corp.ProviderDetails, link_users: 'ask' } },
    { ...corp, ProviderName: 'Home', IdpIdentifiers: undefined },
  ]
  for (const client of alpha.Clients) client.SupportedIdentityProviders = ['Corp', 'Home']
  return content
}

describe('a person who may have an account', () => {
  let binary, browser, callback, d, rp, atHome

  before(async () => {
    binary = await buildWeir()
    browser = await launch()
    callback = createServer((_, res) => res.setHeader('content-type', 'text/html').end('<!doctype html><html lang="en"><title>App</title><p>Welcome back'))
    await once(callback.listen(0, '127.0.0.1'), 'listening')
    const redirectURI = `http://127.0.0.1:${callback.address().port}/callback`
    d = await deploy(binary.path, { callback: redirectURI, change: withHome })
    rp = await connect(d.issuers.alpha, { ...clients.web, redirectURI })
    atHome = await withNew('ask-first', (page) => signIn(page, 'Home'))
  })
  after(async () => {
    await d?.remove()
    callback?.close()
    await browser?.close()
    await binary?.remove()
  })

  async function withNew(name, steps, options = {}) {
    let result
    await withPage(browser, name, options, async (page) => (result = await steps(page)))
    return result
  }

  async function upstream(page, login = 'ada') {
    await page.getByLabel('Name').fill(login)
    await press(page, /^sign in$/i)
  }

  // Goes to the application's sign-in by that provider; the result waits for the application.
  async function start(page, name) {
    const { url, expect } = await begin(rp)
    url.searchParams.set('identity_provider', name)
    await page.goto(url.href)
    await upstream(page)
    return async () => {
      await page.getByText('Welcome back').waitFor()
      return (await finish(rp, page.url(), expect)).claims().sub
    }
  }

  const signIn = async (page, name) => (await start(page, name))()
  const asked = (page) => page.getByRole('heading', { name: /have an account already/i })
  const confirming = (page) => page.getByRole('heading', { name: /link these two/i })

  test('cancels, and is asked again', () =>
    withPage(browser, 'ask-cancel', {}, async (page) => {
      await start(page, 'Corp')
      await asked(page).waitFor()
      await press(page, /^cancel$/i)
      await page.getByText('Welcome back').waitFor()
      assert.equal(new URL(page.url()).searchParams.get('error'), 'access_denied')
    }))

  for (const [title, options] of [['', {}], [' without JavaScript', { javaScriptEnabled: false }]]) {
    test(`is not signed in as somebody else${title}`, () =>
      withPage(browser, 'ask-other', options, async (page) => {
        await start(page, 'Corp')
        await asked(page).waitFor()
        await page.getByRole('button', { name: /continue with home/i }).click()
        await upstream(page, 'bob')
        // oidc-provider signs the one before out by a page of its own.
        if (options.javaScriptEnabled === false) await press(page, /^continue$/i)
        await page.getByRole('alert').waitFor()
        assert.match(await page.getByRole('alert').innerText(), /nothing was changed/i)
        if (!title) await inspect(page, 'ask-other')
        assert.deepEqual((await page.context().cookies()).filter((c) => c.name.includes('weir_s_')), [], 'there is a session')
      }))
  }

  test('proves it, confirms, and is one user from then on', () =>
    withPage(browser, 'ask', {}, async (page) => {
      const done = await start(page, 'Corp')
      await asked(page).waitFor()
      assert.match(await page.locator('main').innerText(), /Corp as ada@example\.com/)
      await inspect(page, 'ask')
      const home = page.getByRole('button', { name: /continue with home/i })
      await tabTo(page, home)
      await page.keyboard.press('Enter')
      await upstream(page) // though the provider has a session: it is asked to authenticate anew
      await confirming(page).waitFor()
      await page.reload()
      await inspect(page, 'ask-confirm')
      await press(page, /^link and continue$/i)
      assert.equal(await done(), atHome)
      assert.equal(await withNew('ask-after', (page) => signIn(page, 'Corp')), atHome, 'the next time nobody is asked')
    }))
})
