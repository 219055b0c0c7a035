import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../test/kit.ts';
import { DatabaseUnavailableError } from '../errors.ts';
import { createLog } from '../log.ts';
import { lockDatabase as lock } from './database-lock.ts';
import type { LockOptions } from './instance-lock.ts';

const log = createLog('silent');
const lockDatabase = (url: string, options: LockOptions = {}) => lock(url, { ...options, log });

describe.runIf(process.env.DATABASE_URL)('the lock of a database (skipped without DATABASE_URL)', () => {
  const name = `latchkey_lock_${randomUUID().replaceAll('-', '')}`;
  const url = new URL(process.env.DATABASE_URL ?? 'postgres://unset');
  url.pathname = `/${name}`;
  const onServer = async (sql: string) => {
    const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
    await client.connect();
    return (await client.query(sql).finally(() => client.end())).rows;
  };
  const terminate = () => onServer(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`);
  beforeEach(() => onServer(`CREATE DATABASE ${name}`));
  afterEach(() => onServer(`DROP DATABASE ${name} WITH (FORCE)`));

  it('has one holder, and passes to the next one on release', async () => {
    const held = await lockDatabase(url.href, { waitMs: 0 });
    await expect(lockDatabase(url.href, { waitMs: 0 })).rejects.toThrow(/REDIS_URL/);
    const next = lockDatabase(url.href);
    await held.release();
    await (await next).release();
    await expect(held.held()).rejects.toBeInstanceOf(DatabaseUnavailableError);
  });

  it('has several holders that share their state, and excludes instances that do not', async () => {
    const shared = await Promise.all([1, 2].map(() => lockDatabase(url.href, { waitMs: 0, isShared: true })));
    await expect(lockDatabase(url.href, { waitMs: 0 })).rejects.toThrow(/REDIS_URL/);
    await terminate();
    for (const each of shared) await each.held();
    await expect(lockDatabase(url.href, { waitMs: 0 })).rejects.toThrow(/REDIS_URL/);
    await Promise.all(shared.map((each) => each.release()));
    const alone = await lockDatabase(url.href, { waitMs: 0 });
    await expect(lockDatabase(url.href, { waitMs: 0, isShared: true })).rejects.toThrow(/without REDIS_URL/);
    await alone.release();
  });

  it('is acquired again each time its connection is lost', async () => {
    let lost = false;
    const held = await lockDatabase(url.href, { waitMs: 0, onLost: () => (lost = true) });
    for (let time = 0; time < 5; time++) {
      expect(held.held()).toBeUndefined();
      expect(await held.check()).toBe(true);
      await terminate();
      await until(() => held.held() !== undefined);
      await held.held();
      await expect(lockDatabase(url.href, { waitMs: 0 })).rejects.toThrow(/REDIS_URL/);
    }
    expect(lost).toBe(false);
    await held.release();
  });

  it('is lost when another client acquires it before the connection is restored', async () => {
    let lost = '';
    const onLost = (message: string) => {
      lost = message;
    };
    const held = await lockDatabase(url.href, { waitMs: 0, onLost });
    // This client waits in PostgreSQL's lock queue, so it is faster than a client that polls.
    const other = new pg.Client({ connectionString: url.href });
    await other.connect();
    const [{ pid }] = (await other.query('SELECT pg_backend_pid() AS pid')).rows;
    const taken = other.query('SELECT pg_advisory_lock(7203841160)');
    await until(
      async () =>
        (await onServer(`SELECT FROM pg_stat_activity WHERE pid = ${pid} AND wait_event_type = 'Lock'`)).length > 0,
    );
    await onServer(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}' AND pid <> ${pid}`,
    );
    await taken;
    await until(() => lost);
    expect(lost).toBe(
      'another Latchkey took over this DATABASE_URL while the connection to it was lost; this one stops',
    );
    await expect(held.held()).rejects.toBeInstanceOf(DatabaseUnavailableError);
    expect(await held.check()).toBe(false);
    await held.release();
    await other.end();
  });

  it('is taken over from the server’s previous session when PostgreSQL has not noticed the lost connection', async () => {
    // A proxy that drops the connection to its client and keeps the connection to the server.
    const clients = new Set<Socket>();
    const servers = new Set<Socket>();
    const proxy = createServer((client) => {
      const server = connect(Number(url.port || 5432), url.hostname);
      for (const socket of [client, server]) socket.on('error', () => {});
      clients.add(client);
      servers.add(server);
      client.pipe(server, { end: false }).pipe(client);
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const through = new URL(url);
    through.hostname = '127.0.0.1';
    through.port = String((proxy.address() as AddressInfo).port);
    let lost = false;
    const held = await lockDatabase(through.href, { waitMs: 0, onLost: () => (lost = true) });
    for (const client of clients) client.destroy();
    await until(() => held.held() !== undefined);
    await held.held();
    expect(lost).toBe(false);
    await held.release();
    for (const socket of [...clients, ...servers]) socket.destroy();
    proxy.close();
  });
});
