// What the tests sign in to: Weir with two pools, each with its own applications, and one upstream provider
// that both pools trust.

import { startUpstream } from './upstream.js'
import { Weir } from './weir.js'

// Client ids are 26 of [a-z0-9].
const id = (name) => name.padEnd(26, '0')

export const redirectURI = 'http://127.0.0.1:1/callback' // nobody listens: the agent stops there
export const logoutURI = 'http://127.0.0.1:1/signed-out'
export const provider = 'Corp'

const secret = 'onlyForTests0123456789abcdefghij'
export const clients = {
  web: { clientId: id('e2eweb'), clientSecret: secret, redirectURI },
  spa: { clientId: id('e2espa'), redirectURI },
  bravo: { clientId: id('e2ebravo'), redirectURI },
}
export const upstreamSecret = 'onlyForTheUpstreamProviderInTests'

export const alpha = 'local_E2eAlpha1'
const bravo = 'local_E2eBravo1'

function client(name, callback = redirectURI) {
  return {
    ClientName: name,
    ClientId: clients[name].clientId,
    ...(clients[name].clientSecret ? { ClientSecret: clients[name].clientSecret } : {}),
    CallbackURLs: [callback],
    LogoutURLs: [logoutURI],
    AllowedOAuthFlows: ['code'],
    AllowedOAuthScopes: ['openid', 'email', 'profile', 'aws.cognito.signin.user.admin'],
    SupportedIdentityProviders: [provider],
  }
}

function pool(poolId, issuer, upstreamClient, ...poolClients) {
  return {
    PoolName: poolId.split('_')[1],
    Id: poolId,
    IdentityProviders: [
      {
        ProviderName: provider,
        ProviderType: 'OIDC',
        ProviderDetails: {
          client_id: upstreamClient,
          client_secret: upstreamSecret,
          oidc_issuer: issuer,
          authorize_scopes: 'openid email profile',
          attributes_request_method: 'GET',
        },
        AttributeMapping: { email: 'email', email_verified: 'email_verified', name: 'name' },
        IdpIdentifiers: ['example.com'],
      },
    ],
    Clients: poolClients,
  }
}

// pools is the content of pool.yaml.
export const pools = (issuer, callback) => ({
  UserPools: [
    pool(alpha, issuer, 'weir-alpha', client('web', callback), client('spa')),
    pool(bravo, issuer, 'weir-bravo', client('bravo')),
  ],
})

// deploy starts both; change alters the content of pool.yaml. It returns { weir, upstream, issuers: { alpha, bravo }, restartUpstream, remove }.
export async function deploy(binary, { callback, change = (content) => content } = {}) {
  const weir = await Weir.create(binary)
  const upstreamClients = ['weir-alpha', 'weir-bravo'].map((client_id) => ({
    client_id,
    client_secret: upstreamSecret,
    redirect_uris: [`${weir.base}/oauth2/idpresponse`],
  }))
  const d = { weir, issuers: { alpha: `${weir.base}/${alpha}`, bravo: `${weir.base}/${bravo}` } }
  d.remove = async () => {
    await weir.remove()
    await d.upstream?.stop()
  }
  try {
    d.upstream = await startUpstream(upstreamClients)
    const { issuer, port } = d.upstream
    // The same provider at the same address, with other signing keys.
    d.restartUpstream = async () => (d.upstream = await startUpstream(upstreamClients, port))
    await weir.writePools(change(pools(issuer, callback)))
    await weir.start()
    return d
  } catch (err) {
    await d.remove()
    throw err
  }
}
