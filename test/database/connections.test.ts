import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit, until } from '../kit.ts';

describe.runIf(process.env.DATABASE_URL)(
  'connections that PostgreSQL ends while they are in use (skipped without DATABASE_URL)',
  () => {
    let kit: Kit;
    let admin: pg.Client;
    let database: string;

    beforeAll(async () => {
      kit = await startKit();
      [{ database }] = await kit.prisma.$queryRaw<[{ database: string }]>`SELECT current_database() AS database`;
      admin = new pg.Client({ connectionString: process.env.DATABASE_URL });
      await admin.connect();
    });
    afterAll(async () => {
      await admin?.end();
      await kit?.close();
    });

    /**
     * Terminates all database connections of the server, including the connection that holds its lock. Returns the
     * number of connections that were in a statement or transaction.
     */
    const terminate = async (): Promise<number> => {
      const { rows } = await admin.query<{ busy: boolean }>(
        `SELECT state <> 'idle' AS busy, pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`,
        [database],
      );
      return rows.filter(({ busy }) => busy).length;
    };

    /**
     * Requests of several kinds: a single statement, a transaction, and a turn, which uses both and continues in the
     * background.
     */
    const requests: ((name: string) => Promise<{ status: number; headers: Headers }>)[] = [
      (name) => kit.rest('POST', '/api/chat/create-chat-session', { body: { persona_id: 0, description: name } }),
      (name) =>
        kit.gql('mutation ($name: String!) { createChatSession(input: { name: $name }) { session { id } } }', {
          name,
        }),
      (name) => kit.rest('POST', `/api/user/projects/create?name=${name}`),
      (name) =>
        kit.rest('POST', '/api/chat/send-chat-message', {
          body: { message: name, stream: false, chat_session_info: { persona_id: 0, description: name } },
        }),
    ];

    it('fail their requests with 503 under load, 30 times, and no acknowledged data is lost', {
      timeout: 300_000,
    }, async () => {
      const acknowledged: string[] = [];
      const statuses = new Map<number, number>();
      let finished = 0;
      let stop = false;
      const load = async (send: (name: string) => Promise<{ status: number; headers: Headers }>) => {
        while (!stop) {
          const name = randomUUID();
          const { status, headers } = await send(name);
          finished++;
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
          if (status === 503) expect(headers.get('retry-after')).toBe('5');
          else acknowledged.push(name);
        }
      };
      const clients = Promise.all([...requests, ...requests].map(load));
      let busy = 0;
      for (let time = 0; time < 30; time++) {
        const before = finished;
        await until(() => finished >= before + 5);
        busy += await terminate();
      }
      stop = true;
      await clients;
      await kit.booted.background.settled();
      expect([...statuses.keys()].sort()).toEqual([200, 503]);
      expect(busy).toBeGreaterThan(30);
      const sessions = await kit.prisma.chatSession.findMany({
        where: { name: { in: acknowledged } },
        select: { name: true },
      });
      const projects = await kit.prisma.project.findMany({
        where: { name: { in: acknowledged } },
        select: { name: true },
      });
      const kept = new Set([...sessions, ...projects].map(({ name }) => name));
      expect(acknowledged.filter((name) => !kept.has(name))).toEqual([]);
      // Every turn has ended, although the database was unavailable when some of them ended.
      expect(await kit.prisma.run.count({ where: { status: 'RUNNING' } })).toBe(0);
      expect(await kit.rest('GET', '/health/ready')).toMatchObject({ status: 200 });
    });
  },
);
