import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/store/database.ts';
import { until } from '../kit.ts';
import { unpackSnapshot } from '../pglite.ts';
import { api, build, type Environment, keyIn, kill, killAll, run, start, storage, written } from './latchkey.ts';

/** Each test waits for several processes in turn. */
const timeout = 90_000;

const folders: string[] = [];
const folder = (): string => {
  const made = mkdtempSync(join(tmpdir(), 'latchkey-e2e-'));
  folders.push(made);
  return made;
};

beforeAll(build);
afterAll(async () => {
  await killAll();
  for (const made of folders) rmSync(made, { recursive: true, force: true });
});

/** Runs a server that cannot start, and returns its error message, which is one line. */
async function problem(environment: Environment): Promise<string> {
  const latchkey = run(environment);
  const code = await latchkey.exited;
  const { stdout, stderr } = latchkey.output;
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/^latchkey: [^\n]+\n$/);
  return stderr.slice('latchkey: '.length, -1);
}

describe('a DATABASE_URL that cannot be used', { timeout }, () => {
  let server: Server;
  /** Handles a connection to the server. */
  let behave: (socket: Socket) => void;
  let place: string;

  beforeAll(async () => {
    server = createServer((socket) => {
      socket.on('error', () => {});
      behave(socket);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    place = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server?.close());

  const password = 'hunter2secret';
  const at = async (where: string): Promise<string> => {
    const said = await problem({ DATA_DIR: folder(), DATABASE_URL: `postgresql://anna:${password}@${where}/latchkey` });
    expect(said).not.toContain(password);
    return said;
  };

  /** Returns a handler that rejects a connection with an error as PostgreSQL does. */
  const refuses = (code: string, message: string) => (socket: Socket) =>
    socket.once('data', () => {
      const fields = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${message}\0\0`);
      const length = Buffer.alloc(4);
      length.writeInt32BE(fields.length + 4);
      socket.end(Buffer.concat([Buffer.from('E'), length, fields]));
    });

  it('aborts the start with one line that names the problem and never contains the password', async () => {
    expect(await at('127.0.0.1:1')).toBe('DATABASE_URL: no server listens at 127.0.0.1:1');
    expect(await at('no-such-host.invalid')).toBe('DATABASE_URL: the host no-such-host.invalid was not found');
    behave = refuses('28P01', 'password authentication failed for user "anna"');
    expect(await at(place)).toBe(`DATABASE_URL: PostgreSQL at ${place} rejected the user name or the password of anna`);
    behave = refuses('3D000', 'database "latchkey" does not exist');
    expect(await at(place)).toBe(`DATABASE_URL: there is no database latchkey at ${place}`);
    behave = refuses('53300', 'sorry, too many clients already');
    expect(await at(place)).toBe('DATABASE_URL: sorry, too many clients already');
    behave = (socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    expect(await at(place)).toBe(`DATABASE_URL: ${place} closed the connection; is it PostgreSQL?`);
    behave = () => {};
    expect(await at(place)).toBe(`DATABASE_URL: ${place} did not answer in time`);
  });
});

describe('a DATA_DIR that cannot be used', { timeout }, () => {
  it('aborts the start with one line that names it', async () => {
    const base = folder();
    const file = join(base, 'file');
    writeFileSync(file, '');
    expect(await problem({ DATA_DIR: file })).toBe(`DATA_DIR ${file} is not a folder`);
    expect(await problem({ DATA_DIR: join(file, 'below') })).toBe(`DATA_DIR ${join(file, 'below')} is not a folder`);
    // No user can create a folder there, not even root.
    expect(await problem({ DATA_DIR: '/proc/latchkey/data' })).toMatch(
      /^DATA_DIR \/proc\/latchkey\/data (is not|cannot be used: ENOENT)/,
    );
    const withFile = join(base, 'with-file');
    mkdirSync(withFile);
    writeFileSync(join(withFile, 'pglite'), '');
    expect(await problem({ DATA_DIR: withFile })).toBe(
      `DATA_DIR ${withFile}: ${join(withFile, 'pglite')} is not a folder`,
    );
    const foreign = join(base, 'foreign');
    await unpackSnapshot(join(foreign, 'pglite'));
    writeFileSync(join(foreign, 'pglite', 'PG_VERSION'), '12\n');
    expect(await problem({ DATA_DIR: foreign })).toMatch(
      new RegExp(`^DATA_DIR: the database in ${join(foreign, 'pglite')} cannot be opened: .*PostgreSQL version 12`),
    );
    // Opening it would block until a writer opens it.
    const fifo = join(base, 'fifo');
    mkdirSync(fifo);
    execFileSync('mkfifo', [join(fifo, 'latchkey.pid')]);
    expect(await problem({ DATA_DIR: fifo })).toBe(`DATA_DIR: ${join(fifo, 'latchkey.pid')} is not a file; delete it`);
  });
});

describe('a database that a newer version has migrated', { timeout }, () => {
  let store: Awaited<ReturnType<typeof storage>>;
  beforeEach(async () => {
    store = await storage();
  });

  it('aborts the start with one line that names the unknown migration', async () => {
    const { DATA_DIR: dataDir = '', DATABASE_URL: databaseUrl } = store.environment;
    const db = await openDatabase({ databaseUrl, dataDir });
    await db.prisma.$executeRaw`INSERT INTO "_prisma_migrations" (id, checksum, migration_name, finished_at)
      VALUES ('future', '', '29990101000000_the_future', now())`;
    await db.close();
    expect(await problem(store.environment)).toBe(
      'the database was migrated by a newer version of Latchkey (unknown migration 29990101000000_the_future); start that version, or restore a backup',
    );
    await store.drop();
  });
});

/** Returns a port on which no server is listening. */
async function freePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return String(port);
}

/** Returns the status of a path, or null when no server is listening. */
const statusOf = async (url: string): Promise<number | null> => {
  try {
    return (await fetch(url)).status;
  } catch {
    return null;
  }
};

describe('a server that waits for its database', { timeout }, () => {
  it('is live, returns 503 on other paths, and warns about variables that look like settings', async () => {
    const dataDir = folder();
    await unpackSnapshot(join(dataDir, 'pglite'));
    // The lock belongs to a running process: this one.
    const [began = ''] = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1)?.split(' ').slice(19) ?? [];
    const lock = join(dataDir, 'latchkey.pid');
    writeFileSync(lock, `${process.pid}\n${began}`);
    const PORT = await freePort();
    const latchkey = run({ DATA_DIR: dataDir, PORT, REGISTRATON: 'closed', GRAPHIQL_ENABLED: 'no', HOSTNAME: 'x' });
    const url = `http://127.0.0.1:${PORT}`;
    await until(async () => (await statusOf(`${url}/health/live`)) === 200);
    for (const prefix of ['', '/api']) {
      expect(await statusOf(`${url}${prefix}/health`)).toBe(503);
      const ready = await fetch(`${url}${prefix}/health/ready`);
      expect([ready.status, ready.headers.get('retry-after'), await ready.json()]).toEqual([
        503,
        '5',
        { status: 'starting', detail: expect.any(String) },
      ]);
    }
    const told = async (path: string, init?: RequestInit) => {
      const answer = await fetch(`${url}${path}`, init);
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5']);
      expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
      return answer.json();
    };
    const message = 'The server is starting. Try again later.';
    expect(await told('/graphql', { method: 'POST' })).toEqual({
      errors: [{ message, extensions: { code: 'UNAVAILABLE', reason: 'SERVER_STARTING', retryAfter: 5 } }],
    });
    expect(await told('/api/me')).toEqual({ error_code: 'SERVICE_UNAVAILABLE', detail: message });
    expect(await told('/api/v1/workspaces')).toEqual({ error: message });
    expect(await told('/api/v1/openai/models')).toMatchObject({ error: { message, code: 'service_unavailable' } });
    rmSync(lock);
    await written(latchkey, /Latchkey listens on/);
    expect(await statusOf(`${url}/health`)).toBe(200);
    expect(await (await fetch(`${url}/health/ready`)).json()).toEqual({ status: 'ready' });
    const warnings = [...latchkey.output.stdout.matchAll(/"msg":"(\w+ is not a setting[^"]+)"/g)].map(
      ([, text]) => text,
    );
    expect(warnings).toEqual([
      'REGISTRATON is not a setting of this server; did you mean REGISTRATION?',
      'GRAPHIQL_ENABLED is not a setting of this server; did you mean GRAPHIQL?',
    ]);
    expect(latchkey.output.stderr).toBe('');
    await kill(latchkey);
  });

  it('takes over the port and the database of the previous instance when that instance exits', async () => {
    const store = await storage();
    const environment = { ...store.environment, PORT: await freePort() };
    const first = await start(environment);
    const second = run(environment);
    // By the time the first server reports that it is stopping, the second one has read its settings, found the port in
    // use, and is waiting.
    first.process.kill('SIGTERM');
    expect(await first.exited).toBe(0);
    await written(second, /Latchkey listens on (\S+)/);
    expect((await api(first.url, keyIn(first)).graphql('{ viewer { role } }')).data).toEqual({
      viewer: { role: 'ADMIN' },
    });
    expect(second.output.stderr).toBe('');
    await kill(second);
    await store.drop();
  });
});

describe('an embedded database that a statement blocks, with a small heap', { timeout }, () => {
  it('is reopened by the worker thread of the bundle, and the process continues', async () => {
    const dataDir = folder();
    await unpackSnapshot(join(dataDir, 'pglite'));
    const db = await openDatabase({ dataDir });
    await db.prisma.$executeRawUnsafe(`CREATE FUNCTION count_for_hours() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b; RETURN NEW; END $$`);
    await db.prisma.$executeRawUnsafe(`CREATE TRIGGER heavy BEFORE INSERT ON "ChatSession" FOR EACH ROW
      WHEN (NEW."name" = 'heavy') EXECUTE FUNCTION count_for_hours()`);
    await db.close();
    const latchkey = await start({
      DATA_DIR: dataDir,
      STATEMENT_SECONDS: '2',
      NODE_OPTIONS: '--max-old-space-size=200',
    });
    const { call, graphql } = api(latchkey.url, keyIn(latchkey));
    const create = (description: string) =>
      call('POST', '/api/chat/create-chat-session', { persona_id: 0, description });
    expect((await create('kept')).status).toBe(200);
    const heavy = Promise.all([create('heavy'), create('heavy'), create('heavy')]);
    let healthy = 0;
    let over = false;
    void heavy.finally(() => {
      over = true;
    });
    while (!over) if ((await statusOf(`${latchkey.url}/health`)) === 200) healthy++;
    expect((await heavy).map(({ status }) => status)).toEqual([503, 503, 503]);
    expect(healthy).toBeGreaterThan(5);
    expect((await create('after')).status).toBe(200);
    const { data } = await graphql('{ chatSessions(first: 10) { nodes { name } } }');
    expect(data.chatSessions.nodes.map(({ name }: { name: string }) => name).sort()).toEqual(['after', 'kept']);
    latchkey.process.kill('SIGTERM');
    expect(await latchkey.exited).toBe(0);
    expect(latchkey.output.stderr).toBe('');
  });
});

describe.runIf(process.env.DATABASE_URL)(
  'two processes on one PostgreSQL (skipped without DATABASE_URL)',
  { timeout },
  () => {
    it('never serve at the same time: the one that lost the lock exits with one line, and the other serves', async () => {
      const store = await storage();
      const first = await start(store.environment);
      const key = keyIn(first);
      // Waits for the lock in PostgreSQL's own queue, so that it acquires the lock at the moment when the first server
      // loses it.
      const waiting = new pg.Client({ connectionString: store.environment.DATABASE_URL });
      await waiting.connect();
      const [{ pid }] = (await waiting.query('SELECT pg_backend_pid() AS pid')).rows;
      const taken = waiting.query('SELECT pg_advisory_lock(7203841160)');
      const second = run(store.environment);
      const admin = new pg.Client({ connectionString: store.environment.DATABASE_URL });
      await admin.connect();
      const waits = `SELECT FROM pg_locks WHERE pid = ${pid} AND locktype = 'advisory' AND NOT granted`;
      await until(async () => (await admin.query(waits)).rowCount);
      await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_locks
      WHERE locktype = 'advisory' AND granted AND classid = 1 AND objid = 2908873864
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`);
      await taken;
      expect(await first.exited).toBe(1);
      expect(first.output.stderr).toBe(
        'latchkey: another Latchkey took over this DATABASE_URL while the connection to it was lost; this one stops\n',
      );
      await waiting.end();
      const [, url = ''] = await written(second, /Latchkey listens on (\S+)/);
      expect((await api(url, key).graphql('{ viewer { role } }')).data).toEqual({ viewer: { role: 'ADMIN' } });
      await admin.end();
      await kill(second);
      await store.drop();
    });

    it('keep the first one serving when its connection is lost and no other process acquires the lock', async () => {
      const store = await storage();
      const first = await start(store.environment);
      const admin = new pg.Client({ connectionString: store.environment.DATABASE_URL });
      await admin.connect();
      await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid()`);
      await written(first, /the lock of the database is held again/);
      expect((await api(first.url, keyIn(first)).graphql('{ viewer { role } }')).data).toEqual({
        viewer: { role: 'ADMIN' },
      });
      await admin.end();
      first.process.kill('SIGTERM');
      expect(await first.exited).toBe(0);
      await store.drop();
    });
  },
);
