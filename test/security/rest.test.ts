import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { anythingllm, anythingllmSession } from '../../src/rest/anythingllm/dialect.ts';
import { openai } from '../../src/rest/anythingllm/openai-dialect.ts';
import type { Dialect } from '../../src/rest/dialect.ts';
import { downloads } from '../../src/rest/downloads.ts';
import { type AnyEndpoint, endpointRequirements } from '../../src/rest/endpoint.ts';
import { endpoints } from '../../src/rest/endpoints.ts';
import { oauth } from '../../src/rest/oauth.ts';
import { onyx } from '../../src/rest/onyx/errors.ts';
import { dialectOf } from '../../src/rest/routes.ts';
import { nothingStored } from '../expect-unchanged.ts';
import { type Answer, type Kit, startKit } from '../kit.ts';
import { insides } from './leak-check.ts';
import { httpExchange } from './raw-http.ts';
import { type ServerPair, startServerPair, withMissingIds } from './server-pair.ts';

/**
 * The seven REST checks, each for every operation in every dialect. The fields of each operation are tested in
 * bad-values.test.ts and loose-input.test.ts.
 */
let servers: ServerPair;
let single: Kit;
let peopled: Kit;
beforeAll(async () => {
  servers = await startServerPair();
  ({ single, peopled } = servers);
});
afterAll(() => servers?.close());

const serverOf = (row: AnyEndpoint): Kit => servers.of(row);
const pathOf = (row: AnyEndpoint) => `/api${withMissingIds(row.path)}`;
const named = (selected: readonly AnyEndpoint[]) =>
  selected.map((row) => ({ name: `${row.method.toUpperCase()} ${row.path}`, row }));
const all = named(endpoints);
const withBody = named(endpoints.filter(({ body }) => body));

/** The keys of the error object in each dialect. Some AnythingLLM paths use other keys or return text. */
const errorShapes = new Map<Dialect, RegExp>([
  [onyx, /^(detail|error_code,detail|message|status_code,message,data|.*error_code,detail)$/],
  [anythingllm, /^(.*error.*|.*message.*|)$/],
  [anythingllmSession, /^(.*error.*|.*message.*|)$/],
  [openai, /^error$/],
  [oauth, /^error,error_description$/],
]);

/** Asserts that a reply is an error in the format of its dialect and does not reveal internals of the server. */
function refused(row: AnyEndpoint, { status, text, body }: Answer, expected: number | readonly number[]): void {
  const what = `${row.method} ${row.path}: ${status} ${text.slice(0, 300)}`;
  expect([expected].flat(), what).toContain(status);
  expect(insides(status, text), what).toBeNull();
  const keys = typeof body === 'object' && body !== null ? Object.keys(body).join() : '';
  expect(keys, what).toMatch(errorShapes.get(dialectOf(row)) ?? /$./);
}

type Sent = Parameters<Kit['rest']>[2];
const send = (row: AnyEndpoint, options: Sent = {}, kit = serverOf(row)) =>
  kit.rest(row.method.toUpperCase(), pathOf(row), options);

it('the tested error formats cover every dialect', () => {
  expect(new Set(endpoints.map(dialectOf))).toEqual(new Set(errorShapes.keys()));
});

describe('REST 1: 405 and 415', () => {
  it.each(all)('$name: returns 405 with Allow for another method and changes no data', async ({ row }) => {
    const kit = serverOf(row);
    const here = endpoints.filter(({ path }) =>
      new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(withMissingIds(row.path)),
    );
    const known = new Set(here.map(({ method }) => method.toUpperCase()));
    const other = ['DELETE', 'PUT', 'PATCH', 'POST', 'GET'].find((method) => !known.has(method)) ?? 'TRACE';
    const reply = await nothingStored(kit, () => kit.rest(other, pathOf(row)));
    refused(row, reply, 405);
    expect(new Set(reply.headers.get('allow')?.split(', '))).toEqual(known);
  });

  it.each(withBody)('$name: returns 415 for a body of another media type and changes no data', async ({ row }) => {
    const reply = await nothingStored(serverOf(row), () =>
      send(row, { body: '<a/>', headers: { 'content-type': 'application/xml' } }),
    );
    refused(row, reply, 415);
    expect(reply.text).toContain('Unsupported Media Type');
  });
});

describe('REST 2: 413', () => {
  it.each(withBody)('$name: returns 413 for a body above the limit before it is read', async ({ row }) => {
    const kit = serverOf(row);
    const answer = await httpExchange(
      Number(new URL(kit.url).port),
      [
        `${row.method.toUpperCase()} ${pathOf(row)} HTTP/1.1`,
        'Host: localhost',
        `Authorization: Bearer ${kit.keys.ADMIN}`,
        `Content-Type: ${row.form === 'files' ? 'multipart/form-data; boundary=x' : 'application/json'}`,
        'Content-Length: 1000000000',
        'Connection: close',
        '',
        '{',
      ].join('\r\n'),
    );
    const [head = '', text = ''] = answer.split('\r\n\r\n');
    const json = /\{.*\}/s.exec(text)?.[0] ?? 'null';
    const reply = { status: Number(head.split(' ')[1]), headers: new Headers(), text, body: JSON.parse(json) };
    refused(row, reply, 413);
  });
});

describe('REST 3: names, types and downloads of files', () => {
  const uploads = named(endpoints.filter((row) => /\/upload(\/|$)/.test(row.path)));
  it('covers at least three upload endpoints', () => {
    expect(uploads.length).toBeGreaterThanOrEqual(3);
  });

  it.each(uploads)(
    '$name: stores file names without a path and rejects a file that is not text with a reason',
    async ({ row }) => {
      const kit = serverOf(row);
      const field = dialectOf(row) === onyx ? 'files' : 'file';
      const upload = (name: string, content: string | Uint8Array<ArrayBuffer>) => {
        const body = new FormData();
        body.append(field, new Blob([content]), name);
        return kit.rest('POST', `/api${row.path.replace('{folderName}', 'custom-documents')}`, { body });
      };
      for (const name of ['../../etc/passwd.txt', String.raw`..\..\boot.txt`, '/etc/shadow.txt', 'C:\\x.txt']) {
        const reply = await upload(name, `Text of ${name}.`);
        expect(reply.status, reply.text).toBe(200);
      }
      await kit.booted.background.settled();
      for (const { name } of await kit.prisma.file.findMany({ select: { name: true } }))
        expect(name).not.toMatch(/[/\\]/);
      for (const { fileName } of await kit.prisma.document.findMany({ select: { fileName: true } }))
        expect(fileName).not.toMatch(/[/\\]|^\.\.?$/);
      const program = await nothingStored(kit, () =>
        upload('program.exe', new Uint8Array([0x4d, 0x5a, 0, 1, 2, 0xff])),
      );
      const told = program.status === 200 ? program.body.rejected_files[0].reason : program.body.error;
      expect(told, program.text).toMatch(/\w{3,}/);
      expect(program.body.user_files ?? []).toEqual([]);
    },
  );

  it('sends every download as an attachment with `nosniff` and a content security policy', async () => {
    const id = await single.upload('page.html', '<script>alert(1)</script>');
    const paths = [
      `/api/chat/file/${id}`,
      ...downloads.map(({ path }) => `/api${path}`),
      '/api/admin/audit-events/export?format=jsonl',
    ];
    expect(endpoints.filter((row) => row.download && dialectOf(row) === onyx).map(({ path }) => path)).toEqual([
      '/chat/file/{file_id}',
    ]);
    for (const path of paths) {
      const { status, headers, text } = await single.rest('GET', path);
      expect(status, `${path}: ${text.slice(0, 200)}`).toBe(200);
      expect(headers.get('content-disposition'), path).toMatch(/^attachment; filename="[\w .()-]+"/);
      expect(headers.get('x-content-type-options'), path).toBe('nosniff');
      expect(headers.get('content-security-policy'), path).toMatch(/default-src 'none'|default-src 'self'/);
    }
  });
});

describe('REST 4: CORS', () => {
  const elsewhere = 'https://elsewhere.example';
  // A widget specifies the pages that may show it, so its paths are excluded.
  const closed = endpoints.filter(({ path }) => !path.startsWith('/embed/'));
  it.each(named(closed))('$name: sends no CORS headers to a page of another origin', async ({ row }) => {
    const kit = serverOf(row);
    const asked = await kit.rest('OPTIONS', pathOf(row), {
      key: null,
      headers: {
        origin: elsewhere,
        'access-control-request-method': row.method.toUpperCase(),
        'access-control-request-headers': 'authorization, content-type',
      },
    });
    const called = await nothingStored(kit, () => send(row, { key: null, headers: { origin: elsewhere } }));
    for (const { headers } of [asked, called]) {
      expect(headers.get('access-control-allow-origin')).toBeNull();
      expect(headers.get('access-control-allow-credentials')).toBeNull();
    }
  });

  describe('with CORS_ORIGINS', () => {
    let open: Kit;
    const origin = 'https://app.example';
    beforeAll(async () => {
      open = await startKit({ environment: { CORS_ORIGINS: origin } });
    });
    afterAll(() => open?.close());

    it.each(named(closed))('$name: allows a page of a listed origin, without browser credentials', async ({ row }) => {
      const asked = await open.rest('OPTIONS', pathOf(row), {
        key: null,
        headers: {
          origin,
          'access-control-request-method': row.method.toUpperCase(),
          'access-control-request-headers': 'authorization, content-type',
        },
      });
      expect([asked.status, asked.headers.get('access-control-allow-origin')]).toEqual([204, origin]);
      expect(asked.headers.get('access-control-allow-headers')).toMatch(/authorization/i);
      expect(asked.headers.get('access-control-allow-methods')).toContain(row.method.toUpperCase());
      const called = await open.rest(row.method.toUpperCase(), pathOf(row), { key: null, headers: { origin } });
      expect(called.headers.get('access-control-allow-origin')).toBe(origin);
      expect(called.headers.get('access-control-allow-credentials')).toBeNull();
    });
  });
});

describe('REST 5: 429', () => {
  const spent = new Map<Kit, string>();
  beforeAll(async () => {
    for (const kit of [single, peopled]) {
      const { id, secret } = await kit.createKey('ADMIN', { name: 'spent' });
      const { errors } = await kit.gql(
        'mutation ($input: CreateRateLimitInput!) { createRateLimit(input: $input) { rateLimit { databaseId } } }',
        { input: { subject: { tokenId: id }, requestsPerMinute: 1 } },
      );
      expect(errors).toEqual([]);
      await kit.rest('GET', '/api/me', { key: secret });
      spent.set(kit, secret);
    }
  });

  // Visitors of a widget have no credential and are limited by the widget, so its paths are excluded.
  it.each(named(endpoints.filter((row) => endpointRequirements(row).length > 0)))(
    '$name: returns 429 with Retry-After to a key above its rate limit and changes no data',
    async ({ row }) => {
      const kit = serverOf(row);
      const reply = await nothingStored(kit, () => send(row, { key: spent.get(kit) ?? null }));
      refused(row, reply, 429);
      const seconds = Number(reply.headers.get('retry-after'));
      expect(Number.isInteger(seconds) && seconds >= 1 && seconds <= 60, String(seconds)).toBe(true);
    },
  );
});

describe('REST 6: no stack trace', () => {
  let broken: Kit;
  beforeAll(async () => {
    broken = await startKit();
    // Makes every statement fail with a message that reveals internals.
    broken.statements.push = () => {
      throw new Error('SELECT "hash" FROM "Token": connection to pglite closed at /srv/src/store/database.ts:12');
    };
  });
  afterAll(async () => {
    if (!broken) return;
    Object.assign(broken, { statements: [] });
    await broken.close();
  });

  it.each(all)('$name: reveals no internal details when the server fails', async ({ row }) => {
    const body = row.body && row.form !== 'files' ? { body: '{}' } : {};
    const reply = await send(row, body, broken);
    expect(reply.status, reply.text).toBeGreaterThanOrEqual(400);
    expect(reply.text.length).toBeLessThan(1000);
    refused(row, reply, reply.status);
    expect(reply.text).not.toMatch(/connection|database|pglite|SELECT/i);
  });
});

describe('REST 7: malformed input', () => {
  const nested = `${'['.repeat(300)}${']'.repeat(300)}`;
  const unreadable: [string, BodyInit][] = [
    ['cut off', '{"a": '],
    ['two values', '{} {}'],
    ['300 levels deep', `{"a": ${nested}}`],
    ['20,001 values', `{"a": [${'0,'.repeat(20_000)}0]}`],
    ['not UTF-8', Uint8Array.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
  ];
  it.each(named(endpoints.filter(({ body, form }) => body && form !== 'files')))(
    '$name: returns a 4xx error for an unreadable body and changes no data',
    async ({ row }) => {
      const kit = serverOf(row);
      for (const [what, body] of unreadable) {
        const response = await nothingStored(kit, () =>
          fetch(`${kit.url}${pathOf(row)}`, {
            method: row.method.toUpperCase(),
            headers: { 'content-type': 'application/json', authorization: `Bearer ${kit.keys.ADMIN}` },
            body,
          }),
        );
        const text = await response.text();
        const reply = { status: response.status, headers: response.headers, text, body: JSON.parse(text) };
        refused(row, reply, [400, 401, 422]);
        expect(text.length, what).toBeLessThan(1000);
      }
    },
  );

  it.each(all)('$name: returns no 5xx error for hostile text in the path or the query', async ({ row }) => {
    const kit = serverOf(row);
    for (const text of ['%00', '%ed%a0%80', '1e400', '9007199254740993', '-1', 'x'.repeat(3000)]) {
      const path = row.path.replaceAll(/\{\w+\}/g, text);
      const query = Object.keys((row.query as { shape?: object } | undefined)?.shape ?? {})
        .map((name) => `${name}=${text}`)
        .join('&');
      const reply = await kit.rest(row.method.toUpperCase(), `/api${path}?${query}`, { key: kit.keys.LIMITED });
      expect(reply.status, `${path}?${query}: ${reply.text.slice(0, 200)}`).toBeLessThan(500);
      expect(insides(reply.status, reply.text)).toBeNull();
    }
  });
});
