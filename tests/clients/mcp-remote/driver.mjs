// mcp-remote as a desktop client runs it: a program that speaks MCP on its standard streams. This is the
// desktop client, with nothing but JSON-RPC.
//
// Usage: driver.mjs URL TOOL ARGUMENTS. Connects, lists the tools, calls one, prints a line of JSON; calls
// again for every line on the standard input.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const [url, tool, args] = [process.argv[2], process.argv[3], JSON.parse(process.argv[4])];
const remote = new URL('./node_modules/mcp-remote/dist/proxy.js', import.meta.url).pathname;
const child = spawn(process.execPath, [remote, url, '--protocol', process.env.DRIVER_PROTOCOL ?? 'legacy'], {
  stdio: ['pipe', 'pipe', 'inherit'],
});
child.on('exit', (code) => process.exit(code ?? 1));

const waiting = new Map();
createInterface({ input: child.stdout }).on('line', (line) => {
  const message = JSON.parse(line);
  if (!waiting.has(message.id)) return;
  const { resolve, reject } = waiting.get(message.id);
  waiting.delete(message.id);
  if (message.error) reject(new Error(JSON.stringify(message.error)));
  else resolve(message.result);
});
const send = (message) => child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
let last = 0;
const request = (method, params) => new Promise((resolve, reject) => {
  last += 1;
  waiting.set(last, { resolve, reject });
  send({ id: last, method, params });
});

const { protocolVersion } = await request('initialize', {
  protocolVersion: '2025-11-25',
  capabilities: {},
  clientInfo: { name: 'desktop', version: '1' },
});
send({ method: 'notifications/initialized' });
const tools = (await request('tools/list', {})).tools.map((each) => each.name);
const call = async () => {
  const result = await request('tools/call', { name: tool, arguments: args });
  const text = result.content.filter((part) => part.type === 'text').map((part) => part.text).join('');
  console.log(JSON.stringify({ protocol: protocolVersion, tools, text }));
};
await call();
for await (const _ of createInterface({ input: process.stdin })) await call();
child.stdin.end();
