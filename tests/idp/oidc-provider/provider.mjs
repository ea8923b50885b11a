// The certified OpenID provider, with its own pages for signing in and agreeing.
//
// Usage: provider.mjs PORT CLIENT_ID CLIENT_SECRET REDIRECT_URI. Any login is an account of that name.

import Provider from 'oidc-provider';

const [port, client_id, client_secret, redirect_uri] = process.argv.slice(2);
const provider = new Provider(`http://localhost:${port}`, {
  clients: [{ client_id, client_secret, redirect_uris: [redirect_uri] }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  conformIdTokenClaims: false,
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, name: id, email: `${id}@example.com`, email_verified: true }),
  }),
  pkce: { required: () => true },
});
provider.on('server_error', (_, error) => console.error(error));
provider.listen(Number(port), () => console.log('ready'));
