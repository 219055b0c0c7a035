import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type OpenApi, requestParameters, withoutEffect } from '../../scripts/request-parameters.ts';
import { projectRoot } from '../../src/project-root.ts';
import type { AnyEndpoint } from '../../src/rest/endpoint.ts';
import { endpoints } from '../../src/rest/endpoints.ts';

/** Every documented parameter of an endpoint has an effect, is rejected, or is listed as ignored. */
const openApi = JSON.parse(readFileSync(join(projectRoot, 'schema/openapi.json'), 'utf8')) as OpenApi;
const page = readFileSync(join(projectRoot, 'schema/parameters.md'), 'utf8');

/** Methods of lists whose callback receives an element. */
const iterating = new Set(['map', 'flatMap', 'filter', 'find', 'some', 'every', 'forEach']);
/** Methods of texts and dates, which read the value itself. */
const reading = new Set([
  ...['trim', 'toLowerCase', 'toUpperCase', 'replace', 'replaceAll', 'slice', 'normalize', 'split', 'flat'],
  ...['toISOString', 'getTime', 'includes', 'startsWith', 'toString', 'valueOf'],
]);

/** Creates inputs that record which of their parts an endpoint reads. */
function probes() {
  const read = new Set<string>();
  const whole = new Set<string>();
  const paths = new WeakMap<object, string>();
  /** `only`: the one field that is present. `length`: that of every list. */
  const probe = (path: string, length: number, only: string | null = null): object => {
    const element = () => probe(`${path}.*`, length);
    const created: object = new Proxy(
      {},
      {
        get(_target, key) {
          if (key === Symbol.iterator)
            return function* () {
              yield element();
            };
          if (key === Symbol.toPrimitive) return () => '1';
          if (typeof key === 'symbol' || key === 'toJSON') return undefined;
          if (key === 'length') return length;
          if (reading.has(key)) return () => '1';
          if (iterating.has(key))
            return (callback: unknown) => {
              if (length === 0) return key === 'every' ? true : key === 'some' || key === 'find' ? undefined : [];
              const result = typeof callback === 'function' ? callback(element(), 0) : element();
              return key === 'map' || key === 'flatMap' ? [result].flat() : [element()];
            };
          const part = `${path}.${/^\d+$/.test(key) ? '*' : key}`;
          read.add(part);
          return only === null || key === only ? probe(part, length) : undefined;
        },
        has(_target, key) {
          read.add(`${path}.${String(key)}`);
          return true;
        },
        ownKeys() {
          whole.add(path);
          return [];
        },
      },
    );
    paths.set(created, path);
    return created;
  };
  /** Notes the probes that a result contains: they are passed on as they are. */
  const passed = (value: unknown, depth = 0): void => {
    if (value === null || (typeof value !== 'object' && typeof value !== 'function') || depth > 8) return;
    const path = paths.get(value);
    if (path !== undefined) whole.add(path);
    else for (const inner of Object.values(value)) passed(inner, depth + 1);
  };
  return { read, whole, probe, passed };
}

/** Returns the parameters that an endpoint does not read. */
function unread(row: AnyEndpoint, names: readonly string[]): string[] {
  const { read, whole, probe, passed } = probes();
  const fields = new Set(names.map((name) => name.split('.')[1] ?? ''));
  for (const only of [null, ...fields])
    for (const length of [1, 0]) {
      // A number is an ID that exists where an endpoint looks one up, such as that of a group.
      const params = length === 1 ? probe('params', 1) : new Proxy({}, { get: () => 1 });
      const input = {
        params,
        query: probe('query', length, only),
        body: probe('body', length, only),
      };
      const data = probe('data', 1);
      const context = probe('context', 1);
      const calls = [
        () => row.variables(input),
        () => row.stream?.variables?.(input),
        () => row.stream?.when?.(input),
        () => row.stream?.cursor?.(input),
        () => row.output(data as never, input),
        () => row.headers?.(data as never, input, context as never),
      ];
      for (const call of calls)
        try {
          passed(call());
        } catch {
          // An endpoint can reject a probe; what it read before counts.
        }
    }
  const isWhole = (name: string): boolean => [...whole].some((path) => name.startsWith(`${path}.`));
  return names.filter((name) => !read.has(name) && !isWhole(name));
}

describe.each(endpoints)('$method $path', (row) => {
  const path = `/api${row.path}`;
  const parameters = requestParameters(openApi, row.method, path);

  it('reads, rejects or lists as ignored each parameter that it documents', () => {
    const explained = new Set(
      parameters.filter((each) => each.constant || withoutEffect(each) !== null).map((each) => each.path),
    );
    const silent = unread(
      row,
      parameters.map((each) => each.path),
    ).filter((name) => ![...explained].some((known) => name === known || name.startsWith(`${known}.`)));
    expect(silent).toEqual([]);
  });

  it.runIf(!row.path.startsWith('/v1/openai/') && parameters.some((each) => withoutEffect(each) !== null))(
    'lists its parameters without effect in schema/parameters.md',
    () => {
      for (const each of parameters)
        if (withoutEffect(each) !== null) {
          const [, ...name] = each.path.split('.');
          expect(page).toContain(
            `| \`${row.method.toUpperCase()} ${path}\` | \`${name.join('.')}\` | ${withoutEffect(each)} |`,
          );
        }
    },
  );
});
