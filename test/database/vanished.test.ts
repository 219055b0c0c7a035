import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit, until } from '../kit.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

describe.runIf(process.env.DATABASE_URL)(
  'a PostgreSQL host that vanishes without closing its connections (skipped without DATABASE_URL)',
  () => {
    let kit: Kit;
    let proxy: TcpProxy;

    beforeAll(async () => {
      const { hostname, port } = new URL(process.env.DATABASE_URL ?? '');
      proxy = await startTcpProxy(hostname, Number(port || 5432));
      kit = await startKit({
        environment: { STATEMENT_SECONDS: '1' },
        databaseUrl: (url) => {
          const through = new URL(url);
          through.host = `127.0.0.1:${proxy.port}`;
          return through.href;
        },
      });
    });
    afterAll(async () => {
      await kit?.close();
      await proxy?.close();
    });

    const ready = () => kit.rest('GET', '/health/ready', { key: null });
    const create = 'mutation { createChatSession(input: {}) { chatSession { id } } }';
    /** A single statement, a transaction and a turn, in GraphQL and REST. */
    const requests: (() => Promise<{ status: number; headers: Headers }>)[] = [
      () => kit.rest('GET', '/api/me'),
      () => kit.rest('GET', '/api/persona'),
      () => kit.rest('POST', '/graphql', { body: { query: '{ agents { nodes { name } } }' } }),
      () => kit.rest('POST', '/graphql', { body: { query: create } }),
      () => kit.rest('POST', '/api/chat/create-chat-session', { body: { persona_id: 0 } }),
      () => kit.rest('POST', '/api/chat/send-chat-message', { body: { message: 'Hello', stream: false } }),
      () => kit.rest('GET', '/api/v1/workspaces'),
    ];

    it('each request returns 503 with Retry-After, and the server is not ready, until the host returns', {
      timeout: 120_000,
    }, async () => {
      expect((await ready()).status).toBe(200);
      for (const send of requests) expect((await send()).status).toBe(200);
      proxy.drop();
      // The first requests use connections that were open; the second ones need new connections.
      for (const _round of ['open connections', 'new connections'])
        for (const { status, headers } of await Promise.all(requests.map((send) => send())))
          expect([status, headers.get('retry-after')]).toEqual([503, '5']);
      expect(await ready()).toMatchObject({ status: 503, body: { status: 'database_unavailable' } });
      expect((await kit.rest('GET', '/health/live', { key: null })).status).toBe(200);
      proxy.restore();
      await until(async () => (await ready()).status === 200);
      for (const send of requests) expect((await send()).status).toBe(200);
    });
  },
);
