// The pages, as people see them: `weir demo` and a sign-in with a provider of others, in Chromium.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect, launch, out, press, tabTo, withPage } from './lib/browser.js'
import { deployBrands } from './lib/brands.js'
import { clients, deploy } from './lib/deployment.js'
import { begin, connect, finish } from './lib/rp.js'
import { buildWeir, Process } from './lib/weir.js'

let binary, browser

before(async () => {
  binary = await buildWeir()
  browser = await launch()
})
after(async () => {
  await browser?.close()
  await binary?.remove()
})

describe('weir demo', () => {
  let demo, app, temp

  before(async () => {
    temp = await mkdtemp(join(tmpdir(), 'weir-demo-'))
    demo = new Process(binary.path, ['demo'], { env: { ...process.env, TMPDIR: temp } })
    app = await demo.until('the address to open', () => demo.output.match(/https?:\/\/[^\s"']+/)?.[0])
  })
  after(async () => {
    if (demo && !demo.ended) await demo.stop('SIGINT')
    await rm(temp, { recursive: true, force: true })
  })

  const atProvider = (page) => page.getByLabel('Username')
  const atChooser = (page) => page.locator('a.provider').first()
  const signedIn = (page) => page.getByText('cognito:username')

  // The first row about a claim: that of the ID token.
  const row = (page, claim) => page.getByRole('row').filter({ has: page.getByText(claim, { exact: true }) }).first()

  // From the sample application to the provider's form, with a look at the pages in between.
  async function toProvider(page, look = async () => {}) {
    await page.goto(app)
    await look(page, 'app')
    await press(page, /sign in/i)
    await atChooser(page).waitFor()
    await look(page, 'chooser')
    await atChooser(page).click()
    await atProvider(page).waitFor()
    await look(page, 'provider')
  }

  // The provider's form says who is in it.
  async function fillForm(page) {
    const [username, password] = await page.locator('table tbody tr').first().locator('td').allInnerTexts()
    await atProvider(page).fill(username)
    await page.getByLabel('Password').fill(password)
    return username
  }

  async function signIn(page, look) {
    await toProvider(page, look)
    await fillForm(page)
    await press(page, /^sign in$/i)
    await signedIn(page).first().waitFor()
  }

  test('signs in, shows the claims, refreshes and signs out; every page passes', () =>
    withPage(browser, 'demo', {}, async (page) => {
      await signIn(page, inspect)
      await inspect(page, 'claims')
      for (const claim of ['sub', 'email', 'token_use', 'cognito:username']) {
        assert.ok((await page.getByText(claim).count()) > 0, `the page does not show ${claim}`)
      }
      const [sub, jti] = [await row(page, 'sub').innerText(), await row(page, 'jti').innerText()]
      await press(page, /refresh/i)
      await row(page, 'jti').filter({ hasNotText: jti.split(/\s+/)[1] }).waitFor() // other tokens
      assert.equal(await row(page, 'sub').innerText(), sub, 'of the same person')
      await inspect(page, 'refreshed')
      await press(page, /sign out/i)
      await page.getByRole('link', { name: /sign in/i }).or(page.getByRole('button', { name: /sign in/i })).first().waitFor()
      assert.equal(await signedIn(page).count(), 0)
      await inspect(page, 'signed-out')
    }))

  test('a wrong password is asked again', () =>
    withPage(browser, 'demo-password', {}, async (page) => {
      await toProvider(page)
      await fillForm(page)
      await page.getByLabel('Password').fill('not this one')
      await press(page, /^sign in$/i)
      await page.getByRole('alert').waitFor()
      await inspect(page, 'provider-refused')
    }))

  test('who cancels at the provider sees a friendly page', () =>
    withPage(browser, 'demo-cancel', {}, async (page) => {
      await toProvider(page)
      await press(page, /cancel/i)
      await page.waitForURL((url) => url.href.startsWith(app))
      assert.match(await page.locator('body').innerText(), /cancel|declined|not signed in|did not/i)
      await inspect(page, 'cancelled')
    }))

  test('works without JavaScript', () =>
    withPage(browser, 'demo-no-js', { javaScriptEnabled: false }, async (page) => {
      await signIn(page)
      await press(page, /sign out/i)
      await page.getByRole('link', { name: /sign in/i }).or(page.getByRole('button', { name: /sign in/i })).first().waitFor()
    }))

  test('works with the keyboard alone', () =>
    withPage(browser, 'demo-keyboard', {}, async (page) => {
      await page.goto(app)
      const start = page.getByRole('link', { name: /sign in/i }).or(page.getByRole('button', { name: /sign in/i })).first()
      await tabTo(page, start)
      await page.keyboard.press('Enter')
      await atChooser(page).waitFor()
      await tabTo(page, atChooser(page))
      await page.keyboard.press('Enter')
      await atProvider(page).waitFor()
      await fillForm(page)
      await page.keyboard.press('Enter')
      await signedIn(page).first().waitFor()
    }))

  test('an e-mail domain that nobody speaks for is said in words', () =>
    withPage(browser, 'demo-domain', {}, async (page) => {
      await page.goto(app)
      await press(page, /sign in/i)
      await page.getByLabel(/e-?mail/i).fill('somebody@nowhere.example')
      await press(page, /^continue$/i)
      await page.getByRole('alert').waitFor()
      await inspect(page, 'chooser-unknown-domain')
    }))

  test('an error is a page with a reference', () =>
    withPage(browser, 'demo-error', {}, async (page) => {
      await page.goto(app)
      await press(page, /sign in/i)
      await atChooser(page).waitFor()
      const res = await page.goto(new URL('/oauth2/authorize?client_id=nobody&response_type=code&redirect_uri=https%3A%2F%2Fevil.example', page.url()).href)
      assert.ok(res.status() >= 400 && res.status() < 500, `status ${res.status()}`)
      assert.match(await page.locator('body').innerText(), /reference/i)
      await inspect(page, 'error')
    }))

  test('Ctrl-C ends it within five seconds and leaves nothing behind', async () => {
    assert.notDeepEqual(await readdir(temp), [], 'the demonstration keeps its store elsewhere')
    assert.deepEqual(await demo.stop('SIGINT'), { code: 0, signal: null })
    assert.deepEqual(await readdir(temp), [])
  })
})

describe('a provider and an application of others', () => {
  test('a person signs in in a real browser', async () => {
    const callback = createServer((_, res) => res.setHeader('content-type', 'text/html').end('<!doctype html><html lang="en"><title>App</title><p>Welcome back'))
    await once(callback.listen(0, '127.0.0.1'), 'listening')
    const redirectURI = `http://127.0.0.1:${callback.address().port}/callback`
    let d
    try {
      d = await deploy(binary.path, { callback: redirectURI })
      const rp = await connect(d.issuers.alpha, { ...clients.web, redirectURI })
      await withPage(browser, 'others', {}, async (page) => {
        const { url, expect } = await begin(rp)
        await page.goto(url.href)
        await page.getByLabel('Name').fill('ada')
        await press(page, /^sign in$/i)
        await page.getByText('Welcome back').waitFor()
        const { claims } = await finish(rp, page.url(), expect)
        assert.equal(claims().email, 'ada@example.com')
      })
    } finally {
      await d?.remove()
      callback.close()
    }
  })
})

describe('buttons of brands', () => {
  let d

  before(async () => {
    d = await deployBrands(binary.path)
  })
  after(() => d?.remove())

  const look = (el) => {
    const { backgroundColor, borderColor, color } = getComputedStyle(el)
    return { backgroundColor, borderColor, color }
  }

  test('say what the brands want, have their marks, and are of one size', async () => {
    for (const { name, url, words } of d.pages) {
      await withPage(browser, `brands-${name}`, {}, async (page) => {
        await page.goto(url)
        assert.deepEqual(await page.locator('a.provider .label').allInnerTexts(), words)
        for (const colorScheme of ['light', 'dark']) {
          await page.emulateMedia({ colorScheme })
          const marks = page.locator('.brand-mark img')
          assert.equal(await marks.count(), words.length - 1, 'all but the plain one')
          for (const mark of await marks.all()) {
            // Another file may have to come for the other scheme.
            assert.ok(await mark.evaluate((img) => img.decode().then(() => img.naturalWidth > 0)), 'a mark did not load')
          }
        }
        const sizes = await page.locator('a.provider').evaluateAll((all) => all.map((a) => a.getBoundingClientRect()).map((r) => `${r.width} ${r.height}`))
        assert.equal(new Set(sizes).size, 1, `sizes ${sizes.join(', ')}`)
        await inspect(page, `brands-${name}`)
      })
    }
  })

  test('are readable with forced colours', () =>
    withPage(browser, 'brands-forced', {}, async (page) => {
      await page.goto(d.pages[0].url)
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme, forcedColors: 'active' })
        const plain = await page.locator('a.provider:not(.brand)').evaluate(look)
        const buttons = await page.locator('a.provider').all()
        assert.equal(buttons.length, d.pages[0].words.length)
        for (const button of buttons) assert.deepEqual(await button.evaluate(look), plain)
        assert.notEqual(plain.color, plain.backgroundColor)
        await page.screenshot({ path: join(out, `brands-forced-${colorScheme}.png`), fullPage: true })
      }
    }))
})
