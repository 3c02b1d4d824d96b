// A pool with a provider of every brand that the sign-in page knows. Nobody signs in here: the page
// is only looked at, so that no provider has to exist.

import { generateKeyPairSync } from 'node:crypto'
import { redirectURI } from './deployment.js'
import { Weir } from './weir.js'

const secret = 'onlyForTheProviderInTests0123456'
const application = { client_id: 'weir-e2e', client_secret: secret }
const preset = (name, more = {}) => ({
  ProviderType: 'OIDC',
  ProviderDetails: { preset: name, ...application, authorize_scopes: 'openid email profile', ...more },
})

// Name of the provider, what its button says, and its configuration.
const providers = [
  ['Google', 'Sign in with Google', { ProviderType: 'Google', ProviderDetails: { ...application, authorize_scopes: 'openid email profile' } }],
  ['SignInWithApple', 'Sign in with Apple', {
    ProviderType: 'SignInWithApple',
    ProviderDetails: {
      client_id: 'com.example.weir',
      team_id: 'E2ETEAM001',
      key_id: 'E2EKEY0001',
      private_key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
      authorize_scopes: 'email name',
    },
  }],
  ['Facebook', 'Continue with Facebook', {
    ProviderType: 'Facebook',
    ProviderDetails: { client_id: '1234567890123456', client_secret: secret, api_version: 'v23.0', authorize_scopes: 'public_profile,email' },
  }],
  ['LoginWithAmazon', 'Login with Amazon', { ProviderType: 'LoginWithAmazon', ProviderDetails: { ...application, authorize_scopes: 'profile' } }],
  ['EntraID', 'Sign in with Microsoft', preset('EntraID', { tenant: '8f0c2a64-5b1d-4c0e-9a57-3d2e1f4b6a70' })],
  ['GitHub', 'Sign in with GitHub', preset('GitHub', { authorize_scopes: 'read:user user:email' })],
  ['GitLab', 'Sign in with GitLab', preset('GitLab', { oidc_issuer: 'https://gitlab.example.com' })],
  ['LinkedIn', 'Sign in with LinkedIn', preset('LinkedIn')],
  ['Okta', 'Sign in with Okta', preset('Okta', { oidc_issuer: 'https://contoso.okta.example' })],
  ['Auth0', 'Sign in with Auth0', preset('Auth0', { oidc_issuer: 'https://contoso.auth0.example/' })],
  ['Contoso', 'Sign in with Contoso (Microsoft)', preset('EntraID', { tenant: '1b9e7d35-2c4f-4e8a-b6d0-5f3a9c8e2d14' })],
  ['Corp', 'Continue with Corp', { ProviderType: 'OIDC', ProviderDetails: { ...application, oidc_issuer: 'https://idp.example.com' } }],
]

// What each application's page has to show, by its name: one of everything, a few, and social ones beside those of companies.
const pages = {
  every: providers.map(([name]) => name),
  few: ['Google', 'SignInWithApple', 'Facebook', 'Corp'],
  mixed: ['Google', 'SignInWithApple', 'Facebook', 'LoginWithAmazon', 'EntraID', 'Contoso', 'Corp'],
}

// deployBrands starts it. It returns { pages: [{ name, url, words }], remove }.
export async function deployBrands(binary) {
  const weir = await Weir.create(binary)
  const id = (name) => `e2e${name}`.padEnd(26, '0')
  const host = 'local_E2eBrands1'
  try {
    await weir.writePools({
      UserPools: [
        {
          PoolName: 'brands',
          Id: host,
          IdentityProviders: providers.map(([ProviderName, , more]) => ({
            ProviderName,
            ...more,
            AttributeMapping: { email: 'email' },
            ...(ProviderName === 'Corp' ? { IdpIdentifiers: ['example.com'] } : {}),
          })),
          Clients: Object.entries(pages).map(([name, SupportedIdentityProviders]) => ({
            ClientName: 'Harbour Books',
            ClientId: id(name),
            CallbackURLs: [redirectURI],
            AllowedOAuthFlows: ['code'],
            AllowedOAuthScopes: ['openid'],
            SupportedIdentityProviders,
          })),
        },
      ],
    })
    await weir.start()
  } catch (err) {
    await weir.remove()
    throw err
  }
  const url = (name) => {
    const params = { client_id: id(name), response_type: 'code', scope: 'openid', redirect_uri: redirectURI }
    return `${weir.base}/login?${new URLSearchParams({ ...params, code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' })}`
  }
  const words = (name) => providers.find(([n]) => n === name)[1]
  return {
    pages: Object.entries(pages).map(([name, shown]) => ({ name, url: url(name), words: shown.map(words) })),
    remove: () => weir.remove(),
  }
}
