// Three nodes over one database, behind a balancer that sends every request somewhere else.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { join } from 'node:path'
import { alpha, clients, pools, upstreamSecret } from './lib/deployment.js'
import { Balancer, Network, retried, signIn as signInAt, startFerret } from './lib/nodes.js'
import { connect, oidc } from './lib/rp.js'
import { startUpstream } from './lib/upstream.js'
import { Weir, buildWeir, waitFor } from './lib/weir.js'

// logins is how many sign-ins are under way while a node is killed, at most `together` at a time. FerretDB looks through whole collections, so that there
// are not more of them.
const logins = Number(process.env.WEIR_E2E_LOGINS ?? 300)
const together = 4

let binary, ferret, network, balancer, upstream, rp
const nodes = []

before(async () => {
  binary = await buildWeir()
  ferret = await startFerret()
  network = await Network.to(ferret.port)
  balancer = await Balancer.start()
  upstream = await startUpstream([
    { client_id: 'weir-alpha', client_secret: upstreamSecret, redirect_uris: [`${balancer.base}/oauth2/idpresponse`] },
    { client_id: 'weir-bravo', client_secret: upstreamSecret, redirect_uris: [`${balancer.base}/oauth2/idpresponse`] },
  ])
  const store = `mongodb://127.0.0.1:${network.port}/weir?timeoutMS=3000`
  for (let i = 0; i < 3; i++) {
    const sealingKeys = nodes[0] && join(nodes[0].dir, 'sealing.keys')
    const node = await Weir.create(binary.path, { base: balancer.base, store, sealingKeys, apply: i === 0 })
    nodes.push(node)
    if (i === 0) await node.writePools(pools(upstream.issuer))
    await node.start()
  }
  balancer.use(nodes)
  rp = await connect(`${balancer.base}/${alpha}`, clients.web)
})
after(async () => {
  for (const node of nodes) await node.remove()
  await upstream?.stop()
  balancer?.stop()
  network?.stop()
  await ferret?.stop()
  await binary?.remove()
})

const signIn = (login) => signInAt(rp, login)

describe('three nodes', () => {
  test('serve one sign-in together', async () => {
    balancer.served.length = 0
    const tokens = await signIn('ada')
    assert.equal(new Set(balancer.served).size, 3, `requests went to ${balancer.served}`)
    for (let i = 0; i < 3; i++) {
      const again = await oidc.refreshTokenGrant(rp.config, tokens.refresh_token)
      const info = await oidc.fetchUserInfo(rp.config, again.access_token, tokens.claims().sub)
      assert.equal(info.email, 'ada@example.com')
    }
  })

  test('are one pool: a person is one user whichever node they came to', async () => {
    const subs = new Set()
    for (let i = 0; i < 6; i++) subs.add((await signIn('bob')).claims().sub)
    assert.equal(subs.size, 1)
  })

  test(`lose nothing that was acknowledged when each is killed in the middle of ${logins} sign-ins`, async (t) => {
    const acknowledged = []
    const restarted = []
    let begun = 0
    let extra = 0
    const kill = async (victim) => {
      await victim.process.stop('SIGKILL')
      await victim.start()
    }
    const worker = async () => {
      while (begun < logins) {
        const n = begun++
        if (n > 0 && n % (logins / 4) === 0) restarted.push(kill(nodes[restarted.length]))
        const { got, tries } = await retried(() => signIn(n % 2 ? 'ada' : 'bob'))
        acknowledged.push(got)
        extra += tries - 1
      }
    }
    await Promise.all(Array.from({ length: together }, worker))
    assert.equal(acknowledged.length, logins)
    await Promise.all(restarted)
    assert.equal(restarted.length, 3)
    for (const tokens of acknowledged) {
      const again = await oidc.refreshTokenGrant(rp.config, tokens.refresh_token)
      assert.ok(again.access_token)
    }
    t.diagnostic(`${logins} sign-ins finished, ${extra} of them were begun again; every refresh token of theirs is good`)
  })
})

describe('the leases of periodic work', () => {
  const leases = ['sweep', 'deletions', 'keys', 'metadata']

  // The names of the leases that a node says it holds.
  const heldBy = async (node) => {
    const text = await (await fetch(`${node.operations}/metrics`)).text()
    return leases.filter((lease) => text.includes(`weir_lease_held{lease="${lease}"} 1\n`))
  }
  // The holder of each lease, once each has one, among these nodes.
  const holders = (among, ms = 30_000) =>
    waitFor('one holder for each lease', async () => {
      const all = await Promise.all(among.map(async (node) => (await heldBy(node)).map((lease) => [lease, node])))
      const found = new Map(all.flat())
      return found.size === leases.length && all.flat().length === leases.length && found
    }, ms)
  // The fencing number under which a node took a lease last, by its log.
  const fence = (node, lease) =>
    Math.max(...node.process.output.split('\n').filter((line) => line.includes('"lease taken"')).map(JSON.parse).filter((l) => l.lease === lease).map((l) => l.fence))
  const ports = (found) => Object.fromEntries(leases.map((lease) => [lease, found.get(lease).port]))
  const others = (node) => nodes.filter((other) => other !== node)

  test('a holder that is killed is followed within 30 seconds, under the next fencing number', async (t) => {
    const before = await holders(nodes)
    const victim = before.get('sweep')
    const lost = leases.filter((lease) => before.get(lease) === victim)
    const numbers = lost.map((lease) => fence(victim, lease))
    const began = Date.now()
    await victim.process.stop('SIGKILL')
    const now = await holders(others(victim), 30_000)
    const took = Date.now() - began
    assert.deepEqual(lost.map((lease) => fence(now.get(lease), lease)), numbers.map((n) => n + 1))
    await victim.start()
    assert.deepEqual(ports(await holders(nodes)), ports(now)) // it takes nothing back
    t.diagnostic(`${lost.length} leases were taken over ${took} ms after their holder was killed`)
  })

  test('a holder that stood still has lost its leases when it wakes up, and leaves them alone', async (t) => {
    const before = await holders(nodes)
    const sleeper = before.get('sweep')
    const lost = leases.filter((lease) => before.get(lease) === sleeper)
    sleeper.process.signal('SIGSTOP')
    let now
    try {
      now = await holders(others(sleeper), 30_000)
    } finally {
      sleeper.process.signal('SIGCONT')
    }
    await waitFor('the sleeper to notice', () => lost.every((lease) => sleeper.process.output.split('\n').some((l) => l.includes('"lease lost"') && l.includes(`"${lease}"`))))
    assert.deepEqual(await heldBy(sleeper), [])
    assert.deepEqual(ports(await holders(nodes)), ports(now))
    for (const lease of lost) assert.equal(fence(now.get(lease), lease), fence(sleeper, lease) + 1)
    t.diagnostic(`${lost.length} leases went to other nodes and stayed there`)
  })
})

describe('a store that fails', () => {
  const ready = async () => (await fetch(`${nodes[0].operations}/readyz`)).status

  for (const state of ['hang', 'cut']) {
    test(`and comes back (${state}): requests fail fast, nothing has to be restarted`, async (t) => {
      const tokens = await signIn('ada')
      network.state = state
      const began = Date.now()
      const res = await fetch(`${balancer.base}/oauth2/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(`${clients.web.clientId}:${clients.web.clientSecret}`)}` },
        body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: tokens.refresh_token }),
      })
      const took = Date.now() - began
      assert.equal(res.status, 503, await res.text())
      assert.ok(res.headers.get('retry-after'))
      assert.ok(took < 10_000, `${took} ms`)
      assert.equal(await ready(), 503)
      network.state = 'open'
      await waitFor('/readyz', async () => (await ready()) === 200, 30_000)
      const { got } = await retried(() => oidc.refreshTokenGrant(rp.config, tokens.refresh_token))
      assert.ok(got.access_token)
      assert.ok((await retried(() => signIn('bob'))).got.access_token)
      t.diagnostic(`refused after ${took} ms`)
    })
  }
})
