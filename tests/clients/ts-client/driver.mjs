// The official TypeScript client, 2.x, with an OAuth provider as its documentation describes one.
//
// Usage: driver.mjs URL TOOL ARGUMENTS. Connects, lists the tools, calls one, prints a line of JSON; calls
// again for every line on the standard input.

import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';

const [url, tool, args] = [new URL(process.argv[2]), process.argv[3], JSON.parse(process.argv[4])];

// The redirect that ends the sign-in.
const listener = createServer();
const callback = new Promise((resolve) => {
  listener.on('request', (request, response) => {
    response.setHeader('connection', 'close').end('Done');
    const at = new URL(request.url, 'http://127.0.0.1');
    if (at.pathname === '/callback') resolve(at.searchParams);
  });
});
await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
// As the SDK's examples have it; the Python driver uses the address.
const redirectUrl = `http://localhost:${listener.address().port}/callback`;

const kept = {};
const provider = {
  redirectUrl,
  clientMetadata: {
    client_name: 'TypeScript client driver',
    redirect_uris: [redirectUrl],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  },
  state: () => (kept.state = randomUUID()),
  clientInformation: () => kept.client,
  saveClientInformation: (client) => { kept.client = client; },
  tokens: () => kept.tokens,
  saveTokens: (tokens) => { kept.tokens = tokens; },
  saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
  codeVerifier: () => kept.verifier,
  invalidateCredentials: (which) => {
    if (which === 'all' || which === 'tokens') delete kept.tokens;
    if (which === 'all' || which === 'client') delete kept.client;
  },
  saveDiscoveryState: (discovery) => { kept.discovery = discovery; },
  discoveryState: () => kept.discovery,
  redirectToAuthorization: (to) => { spawn(process.env.BROWSER, [to.href], { stdio: 'ignore' }); },
};

const make = () => new StreamableHTTPClientTransport(url, { authProvider: provider });
const client = () => new Client(
  { name: 'ts-client-driver', version: '1' },
  { versionNegotiation: { mode: process.env.DRIVER_PROTOCOL ?? 'auto' } },
);

let connected = client();
let transport = make();
try {
  await connected.connect(transport);
} catch (error) {
  if (!(error instanceof UnauthorizedError)) throw error;
  const parameters = await callback;
  if (parameters.get('state') !== kept.state) throw new Error('state does not match');
  await transport.finishAuth(parameters);
  connected = client();
  transport = make();
  await connected.connect(transport);
}
listener.close();

const call = async () => {
  const result = await connected.callTool({ name: tool, arguments: args });
  const text = result.content.filter((part) => part.type === 'text').map((part) => part.text).join('');
  console.log(JSON.stringify({ protocol: connected.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion, tools, text }));
};
const tools = (await connected.listTools()).tools.map((each) => each.name);
await call();
for await (const _ of createInterface({ input: process.stdin })) await call();
await connected.close();
