import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { singleUserOnly } from '../../src/rest/anythingllm/mode.ts';
import type { AnyEndpoint } from '../../src/rest/endpoint.ts';
import { endpoints } from '../../src/rest/endpoints.ts';
import { dialectOf } from '../../src/rest/routes.ts';
import { send } from '../http-client.ts';
import type { Kit } from '../kit.ts';
import { insides } from './leak-check.ts';
import { type ServerPair, startServerPair } from './server-pair.ts';

/**
 * Endpoints with lenient parsing, where an invalid value often counts as absent: no endpoint fails with an internal
 * error for any value, and every rejection has the format of its clients. Covers every endpoint that reads a body, a
 * parameter or a path, with invalid bodies and with an invalid value for each field.
 */
let servers: ServerPair;
let single: Kit;
let peopled: Kit;
beforeAll(async () => {
  servers = await startServerPair();
  ({ single, peopled } = servers);
});
afterAll(() => servers?.close());
beforeEach(() => {
  single.log.length = 0;
  peopled.log.length = 0;
});

const loose = endpoints
  .filter((row) => dialectOf(row).looseBodies)
  .map((row) => ({ name: `${row.method.toUpperCase()} ${row.path}`, row }));

const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
/** As JSON text: some values cannot be written otherwise. */
const values = [
  '5',
  '-1',
  '1e400',
  '9007199254740993',
  '0.5',
  'true',
  'null',
  '""',
  '"x\\u0000"',
  '"\\ud800"',
  '"../../etc/passwd"',
  '[[]]',
  '["x\\u0000", 5, null]',
  '{"a": []}',
  '{"__proto__": {"a": 1}}',
  '{"toString": 0, "valueOf": 0, "toJSON": 0}',
  '[{"toString": 0, "valueOf": 0}]',
  `"${'x'.repeat(300_000)}"`,
];
const bodies = ['', '{"a": ', 'a=b', '1', 'null', '"text"', '[{}]', `{"a": ${nested(300)}}`, '{"__proto__": {"x": 1}}'];
const searches = ['', 'x', '-1', '1e400', '0', '%00', '%ED%A0%80', 'x'.repeat(2000), '..%2f..%2fetc'];

const fieldsOf = (part: unknown): string[] => (part instanceof z.ZodObject ? Object.keys(part.shape as object) : []);

/** Values of path parameters, of existing objects where possible. */
const there: Record<string, string> = { slug: 'default', workspaceSlug: 'default', folderName: 'custom-documents' };
const filled = (path: string, value?: string) =>
  path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => value ?? there[name] ?? '2147483647');

const serverOf = (row: AnyEndpoint): Kit => servers.of(row);

async function call(row: AnyEndpoint, target: string, body?: string | FormData, type?: string) {
  const kit = serverOf(row);
  const { status, headers, text } = await send(`${kit.url}/api${target}`, {
    method: row.method.toUpperCase(),
    headers: { authorization: `Bearer ${kit.keys.ADMIN}`, ...(type !== undefined && { 'content-type': type }) },
    body,
  });
  const what = `${target.slice(0, 100)} ${type} ${String(body).slice(0, 120)}: ${status} ${text.slice(0, 300)}`;
  expect(status, what).toBeLessThan(500);
  expect(insides(status, text), what).toBeNull();
  if (status >= 400 && headers.get('content-type')?.startsWith('application/json'))
    expect(Object.keys(JSON.parse(text)), what).toEqual(
      expect.arrayContaining([expect.stringMatching(/^(error|message)$/)]),
    );
}

const serverErrors = () => [...single.log, ...peopled.log].filter((line) => JSON.parse(line).level >= 50);

describe('endpoints with lenient parsing', () => {
  it('include more than 70 endpoints and those of single-user mode', () => {
    expect(loose.length).toBeGreaterThan(70);
    // Endpoints of the other mode respond before they read anything.
    expect(loose.some(({ row }) => row.gate === singleUserOnly)).toBe(true);
  });

  it.each(loose)(
    '$name accepts or rejects invalid input and never fails with an internal error',
    async ({ row }) => {
      const path = filled(row.path);
      if (row.body) {
        for (const body of bodies)
          for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded'])
            await call(row, path, body, type);
        await call(row, path, 'x', 'multipart/form-data; boundary=y');
        await call(row, path, '{}', 'text/xml');
        const names = fieldsOf(row.body);
        for (const name of names)
          for (const value of values) await call(row, path, `{"${name}": ${value}}`, 'application/json');
        // All at once as a form sends them: texts, repeated, and files.
        const form = new FormData();
        for (const name of names) {
          form.append(name, 'x');
          form.append(name, '[');
          form.append(name, new Blob(['x']), 'x.txt');
        }
        form.append('__proto__', 'x');
        await call(row, path, form);
      }
      for (const name of fieldsOf(row.query))
        for (const value of searches) await call(row, `${path}?${name}=${value}&${name}=${value}`);
      if (row.path.includes('{'))
        for (const value of ['%00', '%ED%A0%80', '-1', '1e5', '..%2f..%2fx', 'x'.repeat(5000), '日本語'])
          await call(
            row,
            filled(row.path, encodeURI(value).replaceAll('%25', '%')),
            row.body ? '{}' : undefined,
            'application/json',
          );
      expect(serverErrors()).toEqual([]);
    },
    120_000,
  );
});
