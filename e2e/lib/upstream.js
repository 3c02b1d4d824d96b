// An upstream identity provider that is not Weir's own: oidc-provider, a certified OpenID provider,
// on a port of the loopback interface, with two people and a sign-in form.

import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { Provider } from 'oidc-provider'

export const people = {
  ada: { email: 'ada@example.com', email_verified: true, name: 'Ada Lovelace', given_name: 'Ada', family_name: 'Lovelace' },
  bob: { email: 'bob@example.com', email_verified: false, name: 'Bob Bobson', given_name: 'Bob', family_name: 'Bobson' },
}

const form = (action, error) => `<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Upstream sign-in</title>
<main><h1>Upstream sign-in</h1><p role="status">${error}</p>
<form method="post" action="${action}"><label>Name <input name="login" autocomplete="username"></label>
<button name="do" value="sign-in">Sign in</button> <button name="do" value="cancel">Cancel</button></form></main></html>`

async function readForm(req) {
  let body = ''
  for await (const chunk of req.setEncoding('utf8')) body += chunk
  return new URLSearchParams(body)
}

// The person's answer to the form: who signed in, or that they did not want to.
async function answer(provider, req, details) {
  const given = await readForm(req)
  if (given.get('do') === 'cancel') return { error: 'access_denied', error_description: 'the person cancelled' }
  const accountId = given.get('login')
  if (!(accountId in people)) return undefined
  const grant = new provider.Grant({ accountId, clientId: details.params.client_id })
  grant.addOIDCScope('openid email profile')
  return { login: { accountId }, consent: { grantId: await grant.save() } }
}

function signingKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' }
}

// startUpstream starts a provider, with a signing key of its own, for these clients
// ({client_id, client_secret, redirect_uris, …}). It returns { issuer, port, stop }.
export async function startUpstream(clients, port = 0) {
  const server = createServer()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  port = server.address().port
  const issuer = `http://127.0.0.1:${port}`

  const provider = new Provider(issuer, {
    clients,
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'given_name', 'family_name'] },
    cookies: { keys: ['only for tests'] },
    features: { devInteractions: { enabled: false } },
    findAccount: (_, id) => (id in people ? { accountId: id, claims: () => ({ sub: id, ...people[id] }) } : undefined),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    jwks: { keys: [signingKey()] },
    pkce: { required: () => true },
    ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
  })
  const oidc = provider.callback()

  server.on('request', async (req, res) => {
    if (!req.url.startsWith('/interaction/')) return oidc(req, res)
    try {
      const details = await provider.interactionDetails(req, res)
      const result = req.method === 'POST' ? await answer(provider, req, details) : undefined
      if (result) return await provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false })
      res.setHeader('content-type', 'text/html; charset=utf-8')
      res.end(form(req.url, req.method === 'POST' ? 'Nobody has that name here.' : ''))
    } catch (err) {
      res.statusCode = 500
      res.end(String(err))
    }
  })

  const stop = async () => {
    if (!server.listening) return
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  return { issuer, port, stop }
}
