// An application that is not Weir's own: openid-client, a certified relying party. Every token it accepts has
// passed its own checks: discovery, state, nonce, PKCE, and the ID token's signature by the issuer's JWKS.

import * as oidc from 'openid-client'

export { oidc }

// connect discovers an issuer. Without a secret the client is a public one.
export async function connect(issuer, { clientId, clientSecret, auth, redirectURI, scope = 'openid email profile' }) {
  const how = clientSecret ? (auth ?? oidc.ClientSecretBasic)(clientSecret) : oidc.None()
  const config = await oidc.discovery(new URL(issuer), clientId, undefined, how, {
    execute: [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks], // loopback has no TLS; signatures are always checked
    timeout: 15,
  })
  return { config, redirectURI, scope }
}

// begin makes an authorization request: its address, and what has to be known when the answer comes.
export async function begin(rp, extra = {}) {
  const verifier = oidc.randomPKCECodeVerifier()
  const expect = { pkceCodeVerifier: verifier, expectedState: oidc.randomState(), expectedNonce: oidc.randomNonce(), idTokenExpected: true }
  const url = oidc.buildAuthorizationUrl(rp.config, {
    redirect_uri: rp.redirectURI,
    scope: rp.scope,
    state: expect.expectedState,
    nonce: expect.expectedNonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...extra,
  })
  return { url, expect }
}

// finish exchanges the code in the address that the browser came back to.
export function finish(rp, url, expect) {
  return oidc.authorizationCodeGrant(rp.config, new URL(url), expect)
}
