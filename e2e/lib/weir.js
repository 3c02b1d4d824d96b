// Weir as an admin runs it: the built binary, its two files, its signals.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const run = promisify(execFile)

// Who administers every deployment, in the names of AWS's SDKs.
export const administrator = { accessKeyId: 'WEIRADMIN', secretAccessKey: 'onlyForTheAdministratorInTests' }

// buildWeir builds the command into a directory of its own. It returns { path, remove }.
export async function buildWeir() {
  const dir = await mkdtemp(join(tmpdir(), 'weir-bin-'))
  const remove = () => rm(dir, { recursive: true, force: true })
  const path = join(dir, 'weir')
  try {
    await run('go', ['build', '-o', path, './cmd/weir'], { cwd: root, maxBuffer: 1 << 24 })
  } catch (err) {
    await remove()
    throw new Error(`go build ./cmd/weir: ${err.stderr || err.message}`)
  }
  return { path, remove }
}

// freePort asks the kernel for a port that nobody uses.
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

// waitFor asks again until check gives something, and fails after ms with what it was waiting for.
export async function waitFor(what, check, ms = 15_000) {
  const end = Date.now() + ms
  for (;;) {
    const got = await check()
    if (got) return got
    if (Date.now() > end) throw new Error(`waited ${ms} ms for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

// Process is a running command whose output is kept. stop sends SIGTERM and wants exit 0 within five seconds.
export class Process {
  output = ''
  #child
  #exit

  constructor(path, args, options = {}) {
    this.#child = spawn(path, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (this.output += text))
    }
    this.#exit = new Promise((resolve) => {
      this.#child.on('error', (err) => resolve({ error: err.message }))
      this.#child.on('close', (code, signal) => resolve({ code, signal }))
    })
    this.ended = false
    this.#exit.then(() => (this.ended = true))
  }

  // Fails if the command ends before check gives something.
  async until(what, check) {
    return waitFor(what, () => {
      if (this.ended) throw new Error(`the command ended before ${what}:\n${this.output}`)
      return check()
    })
  }

  signal(name) {
    this.#child.kill(name)
  }

  async stop(signal = 'SIGTERM') {
    this.#child.kill(signal)
    const exit = await Promise.race([this.#exit, deadline(5_000)])
    if (exit === undefined) {
      this.#child.kill('SIGKILL')
      throw new Error(`still running five seconds after ${signal}:\n${this.output}`)
    }
    return exit
  }
}

function deadline(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}

// Weir is one deployment in a directory of its own, which start and stop can run again and again.
export class Weir {
  // binary is the path of the command. What is in the deployment is said with writePools, before start. One of several nodes has
  // the others' base URL, store and sealing keys, and applies no pools of its own.
  static async create(binary, { base, store, sealingKeys, apply = true } = {}) {
    const w = new Weir()
    w.binary = binary
    w.dir = await mkdtemp(join(tmpdir(), 'weir-e2e-'))
    w.port = await freePort()
    w.operations = `http://127.0.0.1:${await freePort()}`
    w.base = base ?? `http://127.0.0.1:${w.port}`
    w.store = store ?? `bolt:${join(w.dir, 'weir.db')}`
    w.sealingKeys = sealingKeys ?? join(w.dir, 'sealing.keys')
    w.apply = apply ? 'apply: [pool.yaml]\n' : ''
    await writeFile(join(w.dir, 'weir.yaml'), w.#config())
    return w
  }

  #config() {
    return `base_url: ${this.base}
listen: 127.0.0.1:${this.port}
operations_listen: ${new URL(this.operations).host}
region: local
store: ${JSON.stringify(this.store)}
sealing_keys: {file: ${this.sealingKeys}, create: true}
${this.apply}admin_keys: [{access_key_id: ${administrator.accessKeyId}, secret_access_key: ${administrator.secretAccessKey}, allow: ["*"]}]
outgoing: {allow_private: true}
log: {format: json, level: info}
`
  }

  // pools is the content of pool.yaml; JSON is YAML too.
  writePools(pools) {
    return writeFile(join(this.dir, 'pool.yaml'), JSON.stringify(pools, null, 2))
  }

  async start() {
    this.process = new Process(this.binary, ['serve', '--config', join(this.dir, 'weir.yaml')], { cwd: this.dir })
    await this.process.until('/readyz', async () => {
      const res = await fetch(`${this.operations}/readyz`).catch(() => undefined)
      return res?.ok
    })
  }

  stop() {
    return this.process.stop()
  }

  // What the tests of one deployment leave behind goes away, the process first.
  async remove() {
    try {
      if (this.process && !this.process.ended) await this.process.stop()
    } finally {
      await rm(this.dir, { recursive: true, force: true })
    }
  }
}
