// Chromium, and what every page has to pass in it.

import assert from 'node:assert/strict'
import { access, mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import axe from 'axe-core'
import { chromium } from 'playwright-core'

export const out = join(dirname(dirname(fileURLToPath(import.meta.url))), 'out')
const patience = 15_000 // ms, for whatever a page has to do

export async function launch() {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'
  await access(executablePath).catch(() => {
    throw new Error(`no browser at ${executablePath}: install chromium, or say in CHROMIUM where one is`)
  })
  await mkdir(out, { recursive: true })
  return chromium.launch({
    executablePath,
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  })
}

// withPage runs steps in a browser of its own (cookies and all). If they fail, a picture of
// the last page is in out. A page that logs an error or throws fails them too.
export async function withPage(browser, name, options, steps) {
  const context = await browser.newContext({ reducedMotion: 'reduce', viewport: { width: 1280, height: 800 }, ...options })
  context.setDefaultTimeout(patience)
  const page = await context.newPage()
  const complaints = []
  page.on('pageerror', (err) => complaints.push(`${page.url()}: ${err.message}`))
  page.on('console', (message) => {
    // A page of status 400 is also reported as an error of loading; that is the page's right.
    if (message.type() === 'error' && !/^Failed to load resource: .* status of 4/.test(message.text())) complaints.push(`${page.url()}: ${message.text()}`)
  })
  try {
    await steps(page)
    assert.deepEqual(complaints, [], 'a page complained in the console')
  } catch (err) {
    await page.screenshot({ path: join(out, `FAILED-${name}.png`), fullPage: true }).catch(() => {})
    err.message += `\n  on ${page.url()}; see e2e/out/FAILED-${name}.png`
    throw err
  } finally {
    await context.close()
  }
}

// press clicks the link or button whose name matches, as somebody who reads the page would.
export async function press(page, name) {
  await page.getByRole('link', { name }).or(page.getByRole('button', { name })).first().click()
}

// tabTo moves the focus with the Tab key alone, as somebody without a mouse would, and wants it to be seen.
export async function tabTo(page, locator) {
  for (let presses = 0; presses < 40; presses++) {
    await page.keyboard.press('Tab')
    if (!(await locator.evaluate((el) => el === document.activeElement))) continue
    const visible = await locator.evaluate((el) => {
      const style = getComputedStyle(el)
      return (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== 'none'
    })
    assert.ok(visible, `the focus cannot be seen on ${await locator.innerText()}`)
    return
  }
  assert.fail(`the Tab key does not reach ${locator}`)
}

// inspect takes pictures of the page, light and dark, wide and narrow, and wants of each: no serious finding of
// axe, and no horizontal scrolling at 360 pixels.
export async function inspect(page, name) {
  const faults = []
  for (const [size, viewport] of [['wide', { width: 1280, height: 800 }], ['narrow', { width: 360, height: 740 }]]) {
    await page.setViewportSize(viewport)
    for (const colorScheme of ['light', 'dark']) {
      const title = `${name}-${size}-${colorScheme}`
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      await page.screenshot({ path: join(out, `${title}.png`), fullPage: true })
      faults.push(...(await axeFaults(page)).map((fault) => `${title}: ${fault}`))
      const [needs, has] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth])
      if (needs > has) faults.push(`${title}: ${needs} pixels wide in a window of ${has}`)
    }
  }
  await page.setViewportSize({ width: 1280, height: 800 })
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' })
  assert.deepEqual(faults, [])
}

async function axeFaults(page) {
  await page.evaluate(axe.source) // by the debugger, which no content security policy binds
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run(document))
  assert.ok(passes.length > 5, `axe found only ${passes.length} things to check`)
  return violations
    .filter((v) => ['serious', 'critical'].includes(v.impact))
    .map((v) => `${v.impact} ${v.id}: ${v.help}: ${v.nodes.map((n) => n.target.join(' ')).join(', ')}`)
}
