// A SAML identity provider that is not Weir's own: Debian's SimpleSAMLphp under PHP's own web server, in a directory of its own.
// Browsers reach it as localhost, so that between it and Weir (127.0.0.1) every form is posted from another site.

import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { access, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, Process } from './weir.js'

const root = '/usr/share/simplesamlphp'
const config = join(dirname(fileURLToPath(import.meta.url)), 'simplesamlphp')
const ws = 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/'
export const emailClaim = `${ws}emailaddress`
export const groupClaim = 'http://schemas.xmlsoap.org/claims/Group'

function person(login, given, surname, groups) {
  return {
    password: `${login}-pw`,
    attributes: {
      uid: [login],
      [emailClaim]: [`${login}@corp.example`],
      [`${ws}givenname`]: [given],
      [`${ws}surname`]: [surname],
      [`${ws}name`]: [`${given} ${surname}`],
      [groupClaim]: groups,
    },
  }
}

export const people = {
  asa: person('asa', 'Åsa 明子', 'Ångström & <Söhne>', ['Domain Users', 'R&D <ops>', 'größe, "x"']),
  bob: person('bob', 'Bob', "O'Neil", ['Domain Users']),
  crowd: person('crowd', 'Carol', 'Crowd', Array.from({ length: 2500 }, (_, i) => `Group ${String(i + 1).padStart(4, '0')}`)),
}

export class SimpleSAMLphp {
  // create makes the provider's directory and keys; start serves it.
  static async create() {
    await access(root).catch(() => {
      throw new Error(`no SimpleSAMLphp at ${root}: install simplesamlphp, php-cli, php-xml and php-mbstring`)
    })
    const idp = new SimpleSAMLphp()
    idp.dir = await mkdtemp(join(tmpdir(), 'weir-ssp-'))
    try {
      for (const name of ['cert', 'data', 'log', 'sessions', 'tmp']) await mkdir(join(idp.dir, name))
      idp.port = await freePort()
      idp.base = `http://localhost:${idp.port}/`
      idp.entityId = `${idp.base}idp`
      idp.metadataURL = `${idp.base}saml2/idp/metadata.php`
      idp.state = { base: idp.base, salt: randomBytes(16).toString('hex'), email: emailClaim, people, trusted: {} }
      await idp.signWith('idp')
      await idp.#tool(['keys', 'idp', 'next'])
      return idp
    } catch (err) {
      await idp.remove()
      throw err
    }
  }

  #env() {
    return { ...process.env, IDP_DIR: this.dir, SIMPLESAMLPHP_CONFIG_DIR: config }
  }

  #save() {
    const file = join(this.dir, 'state.json')
    return writeFile(`${file}.new`, JSON.stringify(this.state)).then(() => rename(`${file}.new`, file))
  }

  #tool(args, input = '') {
    return new Promise((resolve, reject) => {
      const child = execFile('php', [join(config, 'tool.php'), ...args], { env: this.#env(), timeout: 60_000 }, (err, stdout, stderr) =>
        err ? reject(new Error(`tool.php ${args[0]}: ${err.message}\n${stdout}${stderr}`)) : resolve(stdout))
      child.stdin.end(input)
    })
  }

  async start() {
    this.process = new Process('php', ['-d', 'opcache.enable_cli=1', '-S', `127.0.0.1:${this.port}`, '-t', join(root, 'www')], { env: this.#env() })
    await this.process.until('the metadata of SimpleSAMLphp', async () => (await fetch(this.metadataURL).catch(() => undefined))?.ok)
  }

  stop() {
    return this.process.stop('SIGINT')
  }

  async remove() {
    try {
      if (this.process && !this.process.ended) await this.stop()
    } finally {
      await rm(this.dir, { recursive: true, force: true })
    }
  }

  // The key pair that signs, "idp" or "next", and one that is announced beside it.
  signWith(name, announced) {
    this.state.keys = { privatekey: `${name}.key`, certificate: `${name}.crt` }
    if (announced) Object.assign(this.state.keys, { new_privatekey: `${announced}.key`, new_certificate: `${announced}.crt` })
    return this.#save()
  }

  async metadata() {
    const res = await fetch(this.metadataURL)
    if (!res.ok) throw new Error(`metadata of SimpleSAMLphp: status ${res.status}`)
    return res.text()
  }

  // read returns a service provider's metadata as SimpleSAMLphp understands it, and whether its first signing key signed it.
  async read(xml) {
    const first = xml.match(/<(?:\w+:)?KeyDescriptor\b[^>]*use="signing"[\s\S]*?<(?:\w+:)?X509Certificate[^>]*>([\s\S]*?)</)
    await writeFile(join(this.dir, 'cert', 'sp.crt'), `-----BEGIN CERTIFICATE-----\n${first[1].replace(/\s/g, '').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`)
    return JSON.parse(await this.#tool(['read', 'sp.crt'], xml))
  }

  // trust takes a service provider on with its metadata, as read returned it, and options of saml20-sp-remote.php.
  trust(metadata, options = {}) {
    this.state.trusted[metadata.entityid] = { ...metadata, ...options }
    return this.#save()
  }

  // change sets options of a service provider that is trusted already.
  change(entityId, options) {
    return this.trust(this.state.trusted[entityId], options)
  }

  log() {
    return readFile(join(this.dir, 'log', 'idp.log'), 'utf8').catch(() => '')
  }

  // Where a person starts a sign-in at the provider.
  startURL(entityId, relayState) {
    return `${this.base}saml2/idp/SSOService.php?${new URLSearchParams({ spentityid: entityId, ...(relayState === undefined ? {} : { RelayState: relayState }) })}`
  }

  // Where a person signs out at the provider, and the page that says it is done.
  get signedOutURL() {
    return `${this.base}logout.php`
  }

  get logoutURL() {
    return `${this.base}saml2/idp/SingleLogoutService.php?${new URLSearchParams({ ReturnTo: this.signedOutURL })}`
  }
}
