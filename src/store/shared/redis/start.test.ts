import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RedisProxy, startRedisProxy } from '../../../../test/redis-proxy.ts';
import { joinRedis } from '../../../../test/shared-states.ts';
import { createLog } from '../../../log.ts';
import { StartupError } from '../../../startup-error.ts';
import { fingerprintOf, openRedisState } from './open-redis-state.ts';

const { REDIS_URL: redisUrl = '' } = process.env;

/** Returns the message of the startup error. */
const problem = (start: Promise<unknown>): Promise<string> =>
  start.then(
    () => 'started',
    (error: unknown) => (error instanceof StartupError ? error.message : String(error)),
  );

describe.runIf(redisUrl)('the start with Redis (skipped without REDIS_URL)', () => {
  let proxy: RedisProxy;
  beforeAll(async () => {
    proxy = await startRedisProxy(redisUrl);
  });
  afterAll(() => proxy?.close());

  const start = (url: string) => problem(joinRedis(`test-${randomUUID()}`, undefined, url));
  const at = (path: string, user = '') => proxy.url.replace(/\/\/([^/]+).*$/, `//${user}$1${path}`);

  it('fails with one line that names the problem and not the password', async () => {
    const client = new Redis(redisUrl);
    const user = `test-${randomUUID()}`;
    await client.acl('SETUSER', user, 'on', '>pass word', '~*', '&*', '+@all');
    const { host } = new URL(proxy.url);
    expect(await start(at('/0', `${user}:pass%20word@`))).toBe('started');
    expect(await start(at('/0', `${user}:wrong%20word@`))).toBe(
      `REDIS_URL: Redis at ${host} rejected the user name or the password`,
    );
    await client.acl('DELUSER', user);
    client.disconnect();
    expect(await start(at('/0', ':pass%20word@'))).toBe(
      `REDIS_URL: Redis at ${host} has no password; remove it from the URL`,
    );
    expect(await start(at('/9999'))).toMatch(/^REDIS_URL: Redis at \S+ has no database 9999$/);
    expect(await start('redis://host.invalid')).toBe('REDIS_URL: the host host.invalid was not found');
    proxy.set('other protocol');
    expect(await start(proxy.url)).toMatch(/^REDIS_URL: \S+ does not speak the protocol of Redis$/);
    proxy.set('silent');
    expect(await start(proxy.url)).toMatch(/^REDIS_URL: \S+ did not answer in time; is it Redis\?$/);
    expect(await start(proxy.url.replace('redis:', 'rediss:'))).toMatch(/^REDIS_URL: \S+ cannot be reached$/);
    await proxy.refuse();
    expect(await start(proxy.url)).toMatch(/^REDIS_URL: no server listens at \S+$/);
    await proxy.open();
    proxy.set('forward');
    expect(await start(proxy.url)).toBe('started');
  });

  it('fails with another SECRET_KEY than a living instance has, and warns of another version', async () => {
    const deployment = `test-${randomUUID()}`;
    const log: { msg: string; others: string[] }[] = [];
    const join = (secretKey: string, version: string) =>
      openRedisState({
        redisUrl,
        deployment,
        profile: { fingerprint: fingerprintOf(secretKey), version },
        log: createLog('warn', { write: (line) => log.push(JSON.parse(line)) }),
      });
    const first = await join('one', '1.0.0');
    expect(await problem(join('two', '1.0.0'))).toMatch(/^SECRET_KEY differs from that of the running instances/);
    const newer = await join('one', '1.1.0');
    expect(log.map(({ others }) => others)).toEqual([['1.0.0']]);
    await Promise.all([first.close(), newer.close()]);
    await (await join('two', '1.0.0')).close();
  });
});
