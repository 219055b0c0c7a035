import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type Kit, startKit, until } from '../kit.ts';
import { makeGate } from '../model-server.ts';
import { readDeploy } from './deploy-files.ts';

const nginx = ['nginx', '/usr/sbin/nginx'].find((path) => spawnSync(path, ['-v']).status === 0);

/** Returns a port that is free now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

describe.skipIf(!nginx)('a server behind nginx with deploy/nginx.conf (needs nginx)', () => {
  let kit: Kit;
  let proxy: ChildProcess;
  let port: number;
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-nginx-'));
  const config = join(folder, 'nginx.conf');

  beforeAll(async () => {
    kit = await startKit({ scripted: true, environment: { TRUSTED_PROXIES: '1', ALLOWED_HOSTS: 'chat.example.com' } });
    port = await freePort();
    const { host } = new URL(kit.url);
    // The sample as it is, but without TLS and on free ports. The second instance does not run.
    const site = readDeploy('nginx.conf')
      .replace('listen 80;', `listen 127.0.0.1:${await freePort()};`)
      .replace('listen 443 ssl http2;', `listen 127.0.0.1:${port};`)
      .replace(/^ *ssl_certificate.*$/gm, '')
      .replace('127.0.0.1:4000', host)
      .replace('127.0.0.1:4001', `127.0.0.1:${await freePort()}`);
    writeFileSync(join(folder, 'latchkey.conf'), site);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map((name) => `${name}_temp_path ${folder}/${name};`)
      .join(' ');
    writeFileSync(
      config,
      `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log; events {}
      http { access_log off; ${temporary} include ${folder}/latchkey.conf; }`,
    );
    proxy = spawn(nginx as string, ['-c', config, '-p', folder], { stdio: 'inherit' });
    await until(() =>
      fetch(`http://127.0.0.1:${port}/health/live`).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
  });

  afterAll(async () => {
    proxy?.kill('SIGTERM');
    if (proxy) await once(proxy, 'exit');
    await kit?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('has a configuration that nginx accepts', () => {
    const { status, stderr } = spawnSync(nginx as string, ['-t', '-c', config, '-p', folder], { encoding: 'utf8' });
    expect(stderr).toContain('test is successful');
    expect(stderr).not.toContain('[warn]');
    expect(status).toBe(0);
  });

  const headers = () => ({ authorization: `Bearer ${kit.keys.BASIC}`, 'content-type': 'application/json' });

  it.each([
    [
      'GraphQL',
      '/graphql',
      {
        query:
          'subscription ($input: SendChatMessageInput!) { chatTurn(input: $input) { ... on ChatAnswerDelta { text } } }',
        variables: { input: { message: 'Hello', newSession: { agentId: 0 } } },
      },
    ],
    ['Onyx', '/api/chat/send-chat-message', { message: 'Hello', stream: true }],
  ])('delivers events of %s streams before the answer is complete', async (_, path, body) => {
    const gate = makeGate();
    kit.model.script({ text: ['early ', 'late'], gate });
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: 'POST',
      headers: { ...headers(), accept: 'text/event-stream' },
      body: JSON.stringify(body),
    });
    const reader = (response.body as NonNullable<typeof response.body>)
      .pipeThrough(new TextDecoderStream())
      .getReader();
    gate.release();
    let text = '';
    const read = async () => {
      const { value, done } = await reader.read();
      text += value ?? '';
      return done;
    };
    // The model holds the rest of the answer back, so this ends only when the proxy passes the event on.
    while (!text.includes('early')) expect(await read()).toBe(false);
    expect(text).not.toContain('late');
    gate.open();
    while (!(await read()));
    expect(text).toContain('late');
  });

  it('forwards WebSockets', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/graphql`, 'graphql-transport-ws', { headers: headers() });
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'connection_init' }));
    const [message] = await once(socket, 'message');
    expect(JSON.parse(String(message))).toEqual({ type: 'connection_ack' });
    socket.close();
    await once(socket, 'close');
  });

  it('forwards the name of the host and the address of the client, which the client cannot choose', async () => {
    const before = kit.log.length;
    const response = await fetch(`http://127.0.0.1:${port}/api/me`, {
      headers: { ...headers(), 'x-forwarded-for': '203.0.113.7' },
    });
    expect(response.status).toBe(200);
    const line = await until(() => kit.log.slice(before).find((each) => each.includes('"path":"/api/me"')));
    expect(JSON.parse(line)).toMatchObject({ client: '127.0.0.1' });
  });

  it('takes bodies of more than a megabyte', async () => {
    const body = { content: 'a'.repeat(3 * 2 ** 20), title: 'Long' };
    const response = await fetch(`http://127.0.0.1:${port}/api/no-such-path`, {
      method: 'POST',
      headers: headers(),
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(404);
  });
});
