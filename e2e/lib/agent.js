// A browser without a screen: keeps cookies per host as browsers do (and SameSite ones from forms of other sites),
// follows redirects and sends forms.

export class Agent {
  #cookies = new Map() // host -> Map(name -> { value, path, sameSite })

  // Fetches url and follows redirects until an answer that is none, or until one leads to `until`
  // (an address that nobody has to listen on). Returns { url, status, headers, body, visited }.
  async open(url, { until, ...init } = {}) {
    const visited = []
    for (let hops = 0; hops < 20; hops++) {
      visited.push(String(url))
      if (until && String(url).startsWith(until)) return { url: new URL(url), status: 0, headers: new Headers(), body: '', visited }
      const res = await this.#fetch(new URL(url), init)
      const location = res.headers.get('location')
      if (!location || res.status < 300 || res.status > 399) {
        return { url: new URL(url), status: res.status, headers: res.headers, body: await res.text(), visited }
      }
      await res.arrayBuffer()
      url = new URL(location, url)
      if (res.status !== 307 && res.status !== 308) init = {}
    }
    throw new Error(`too many redirects: ${visited.join(' -> ')}`)
  }

  // Sends the first form of a page with these fields on top of its hidden ones.
  async submit(page, fields, { until } = {}) {
    const form = page.body.match(/<form\b[^>]*>[\s\S]*?<\/form>/i)?.[0]
    if (!form) throw new Error(`no form on ${page.url} (${page.status}): ${page.body.slice(0, 300)}`)
    const body = new URLSearchParams()
    for (const [tag] of form.matchAll(/<input\b[^>]*type="?hidden"?[^>]*>/gi)) body.set(attribute(tag, 'name'), attribute(tag, 'value'))
    for (const [name, value] of Object.entries(fields)) body.set(name, value)
    const action = new URL(attribute(form, 'action') || page.url, page.url)
    if (!/^<form\b[^>]*method="?post/i.test(form)) {
      action.search = body
      return this.open(action, { until })
    }
    const headers = { 'content-type': 'application/x-www-form-urlencoded', origin: page.url.origin }
    return this.open(action, { until, method: 'POST', headers, body: body.toString() })
  }

  // Another browser that holds the same cookies at this moment.
  fork() {
    const other = new Agent()
    for (const [host, jar] of this.#cookies) other.#cookies.set(host, new Map(jar))
    return other
  }

  // The names of the cookies that a host has set.
  cookieNames(host) {
    return [...(this.#cookies.get(host)?.keys() ?? [])]
  }

  async #fetch(url, init) {
    const jar = this.#cookies.get(url.hostname) ?? new Map()
    const origin = init.headers?.origin
    const held = origin && new URL(origin).hostname !== url.hostname ? ['lax', 'strict'] : []
    const sent = [...jar].filter(([, c]) => pathMatches(c.path, url.pathname) && !held.includes(c.sameSite)).map(([name, c]) => `${name}=${c.value}`)
    const headers = { accept: 'text/html', ...init.headers, ...(sent.length ? { cookie: sent.join('; ') } : {}) }
    const res = await fetch(url, { ...init, headers, redirect: 'manual', signal: AbortSignal.timeout(15_000) })
    for (const line of res.headers.getSetCookie()) remember(jar, line)
    this.#cookies.set(url.hostname, jar)
    return res
  }
}

// RFC 6265 section 5.1.4.
function pathMatches(cookiePath, path) {
  return path === cookiePath || path.startsWith(cookiePath.endsWith('/') ? cookiePath : cookiePath + '/')
}

function remember(jar, line) {
  const [pair, ...attributes] = line.split(';').map((part) => part.trim())
  const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]
  const attr = Object.fromEntries(attributes.map((a) => [a.split('=')[0].toLowerCase(), a.slice(a.indexOf('=') + 1)]))
  const gone = ('max-age' in attr && Number(attr['max-age']) <= 0) || (!('max-age' in attr) && attr.expires && Date.parse(attr.expires) <= Date.now())
  if (gone) jar.delete(name)
  else jar.set(name, { value, path: attr.path ?? '/', sameSite: attr.samesite?.toLowerCase() })
}

// attribute returns the value of a tag's attribute, "" where it has none.
function attribute(tag, name) {
  const value = tag.match(new RegExp(`\\s${name}=(?:"([^"]*)"|'([^']*)'|([^\\s>]+))`, 'i'))
  return (value?.[1] ?? value?.[2] ?? value?.[3] ?? '').replace(/&(?:#(\d+)|#x([0-9a-f]+)|(amp|lt|gt|quot|apos));/gi, (_, dec, hex, entity) =>
    entity ? entities[entity.toLowerCase()] : String.fromCodePoint(dec ? Number(dec) : parseInt(hex, 16)))
}

const entities = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
