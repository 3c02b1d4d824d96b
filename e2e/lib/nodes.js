// What several nodes need around them: a database server over the wire, a network that fails, and a balancer that sends every
// request somewhere else.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer as createHTTP, request } from 'node:http'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Agent } from './agent.js'
import { redirectURI } from './deployment.js'
import { begin, finish } from './rp.js'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const run = promisify(execFile)

// startFerret builds and starts FerretDB, which speaks MongoDB's protocol. It returns { port, stop }.
export async function startFerret() {
  const dir = await mkdtemp(join(tmpdir(), 'weir-ferret-'))
  const path = join(dir, 'ferrettest')
  await run('go', ['build', '-C', join(root, 'federation/store/mongo/ferrettest'), '-o', path, '.'], { maxBuffer: 1 << 24 })
  const child = spawn(path, [], { stdio: ['pipe', 'pipe', 'inherit'] })
  const [line] = await once(createInterface(child.stdout), 'line')
  return {
    port: Number(new URL(line).port),
    stop: async () => {
      const ended = once(child, 'close')
      child.stdin.end() // it ends with its standard input
      await ended
      await rm(dir, { recursive: true, force: true })
    },
  }
}

// signIn signs a person of the upstream provider in, in a browser of their own.
export async function signIn(rp, login) {
  const agent = new Agent()
  const { url, expect } = await begin(rp)
  let at = await agent.open(url, { until: redirectURI })
  if (at.status !== 0) at = await agent.submit(at, { login, do: 'sign-in' }, { until: redirectURI })
  assert.equal(at.status, 0, `the browser stayed at ${at.url}: ${at.status} ${at.body.slice(0, 300)}`)
  return finish(rp, at.url, expect)
}

// retried tries again as people and applications do: from the start.
export async function retried(f, tries = 6) {
  for (let n = 1; ; n++) {
    try {
      return { got: await f(), tries: n }
    } catch (err) {
      if (n === tries) throw err
      await new Promise((resolve) => setTimeout(resolve, 200 * n))
    }
  }
}

async function listen(server) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server.address().port
}

// Network lies between the nodes and the database. Its state is open, hang (bytes go nowhere, connections stay) or cut
// (connections break and none is taken).
export class Network {
  #sockets = new Set()
  #state = 'open'

  static async to(port) {
    const n = new Network()
    n.server = createServer((from) => n.#join(from, port))
    n.port = await listen(n.server)
    return n
  }

  #join(from, port) {
    if (this.#state === 'cut') return from.destroy()
    const to = connect(port, '127.0.0.1')
    const pair = [from, to]
    for (const [socket, other] of [pair, [to, from]]) {
      this.#sockets.add(socket)
      if (this.#state === 'hang') socket.pause()
      socket.on('data', (data) => other.write(data)).on('error', () => {})
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
  }

  set state(state) {
    this.#state = state
    for (const socket of this.#sockets) {
      if (state === 'cut') socket.destroy()
      else if (state === 'hang') socket.pause()
      else socket.resume()
    }
  }

  stop() {
    this.state = 'cut'
    this.server.close()
  }
}

// Balancer sends each request to the next node, whoever it is from. A node that cannot be reached is passed over, as a balancer
// does; one that breaks off in the middle of an answer is the client's to notice.
export class Balancer {
  #nodes = []
  #next = 0
  served = [] // the ports of the nodes, a request each

  static async start() {
    const b = new Balancer()
    b.server = createHTTP((req, res) => b.#forward(req, res))
    b.port = await listen(b.server)
    b.base = `http://127.0.0.1:${b.port}`
    return b
  }

  use(nodes) {
    this.#nodes = nodes
  }

  async #forward(req, res) {
    const chunks = []
    for await (const chunk of req) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    for (let tries = 0; tries < this.#nodes.length; tries++) {
      const node = this.#nodes[this.#next++ % this.#nodes.length]
      const outcome = await this.#ask(node, req, body, res)
      if (outcome !== 'refused') return
    }
    res.writeHead(503, { 'retry-after': '1' }).end()
  }

  #ask(node, req, body, res) {
    return new Promise((resolve) => {
      const out = request({ host: '127.0.0.1', port: node.port, method: req.method, path: req.url, headers: req.headers }, (answer) => {
        this.served.push(node.port)
        res.writeHead(answer.statusCode, answer.headers)
        answer.on('error', () => res.destroy()).on('end', resolve)
        answer.pipe(res)
      })
      out.on('error', (err) => {
        if (err.code === 'ECONNREFUSED') return resolve('refused')
        if (!res.headersSent) res.writeHead(502)
        res.end()
        resolve('broken')
      })
      out.end(body)
    })
  }

  stop() {
    this.server.close()
    this.server.closeAllConnections()
  }
}
