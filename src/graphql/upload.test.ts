import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nothingStored } from '../../test/expect-unchanged.ts';
import { type Kit, returned, startKit } from '../../test/kit.ts';
import {
  boundary,
  formBytes,
  type Part,
  png,
  postForm,
  postOperation,
  uploadFiles,
  uploadGraphql,
} from '../../test/multipart.ts';
import { httpExchange } from '../../test/security/raw-http.ts';
import { uploadPermissions } from './upload-permissions.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit({ environment: { MAX_FILE_MB: '1' } });
});
afterAll(() => kit?.close());

const unchanged = <T>(work: () => Promise<T>): Promise<T> => nothingStored(kit, work);

const file = (name: string, fileName = 'a.txt'): Part => ({ name, fileName, content: 'text' });
const operation = (variables: unknown) => ({ query: uploadFiles, variables });

describe('uploadFiles', () => {
  it('stores the valid files of a request and returns the reason for each rejected file', async () => {
    const { status, data, errors } = await uploadGraphql(kit, {
      '../../notes.md': '# Notes',
      'fake.png': 'no picture',
      'pixel.png': png,
      'big.txt': 'x'.repeat(1024 * 1024 + 1),
      'empty.txt': '',
    });
    expect([status, errors]).toEqual([200, []]);
    expect(data.uploadFiles).toEqual({
      files: [
        expect.objectContaining({ name: 'notes.md', mediaType: 'text/markdown', kind: 'PLAIN_TEXT', size: 7 }),
        expect.objectContaining({ name: 'pixel.png', kind: 'IMAGE', size: png.length, status: 'COMPLETED' }),
      ],
      rejected: [
        { name: 'fake.png', reason: 'is not a PNG image' },
        { name: 'big.txt', reason: 'is larger than 1 MB' },
        { name: 'empty.txt', reason: 'is empty' },
      ],
    });
    await kit.booted.background.settled();
    const [notes] = data.uploadFiles.files;
    const read = await kit.gql(
      `query ($id: ID!) { file(id: $id) { status tokenCount chunkCount downloadPath } }`,
      { id: notes.databaseId },
      kit.keys.BASIC,
    );
    expect(read.data.file).toEqual({
      status: 'COMPLETED',
      tokenCount: 2,
      chunkCount: 1,
      downloadPath: `/api/chat/file/${notes.databaseId}`,
    });
  });

  it('accepts one form part for several variables', async () => {
    const map = { 0: ['variables.input.files.0', 'variables.input.files.1'] };
    const { data } = await postOperation(kit, operation({ input: { files: [null, null] } }), map, [file('0')]);
    const ids = data.uploadFiles.files.map(({ databaseId }: { databaseId: string }) => databaseId);
    expect(new Set(ids).size).toBe(2);
  });

  it('accepts 1 to 20 files and rejects any other number', async () => {
    const send = (count: number) => {
      const names = Array.from({ length: count }, (_, at) => String(at));
      return postOperation(
        kit,
        operation({ input: { files: names.map(() => null) } }),
        Object.fromEntries(names.map((name) => [name, [`variables.input.files.${name}`]])),
        names.map((name) => file(name)),
      );
    };
    expect((await send(20)).data.uploadFiles.files).toHaveLength(20);
    await unchanged(async () => {
      for (const count of [0, 21])
        expect((await send(count)).errors).toMatchObject([
          {
            message: 'input.files: must be 1 to 20 files',
            extensions: { code: 'BAD_USER_INPUT', fields: [{ path: ['input', 'files'] }] },
          },
        ]);
    });
  });

  it('accepts a multipart form without files as an ordinary request', async () => {
    const { data } = await postOperation(kit, { query: '{ __typename }' }, {});
    expect(data).toEqual({ __typename: 'Query' });
  });
});

describe('an invalid multipart form', () => {
  const one = { input: { files: [null] } };
  const at = 'variables.input.files.0';
  const wrongPath = 'Each path in `map` must point to a variable that is null in `operations`.';
  const wrongMap = '`map` must list, for each file, its paths in `operations`.';
  const cases: [string, unknown, unknown, Part[], string][] = [
    ['a path outside of the variables', operation(one), { 0: ['query'] }, [file('0')], wrongPath],
    ['a path to nowhere', operation(one), { 0: ['nowhere.files.0'] }, [file('0')], wrongPath],
    ['the variables themselves', operation(null), { 0: ['variables'] }, [file('0')], wrongPath],
    ['an empty path', operation(one), { 0: [''] }, [file('0')], wrongPath],
    ['a variable that does not exist', operation(one), { 0: ['variables.input.files.1'] }, [file('0')], wrongPath],
    ['a variable that is not null', operation({ input: { files: ['x'] } }), { 0: [at] }, [file('0')], wrongPath],
    ['a variable that has its file', operation(one), { 0: [at, at] }, [file('0')], wrongPath],
    ['what every list has', operation(one), { 0: ['variables.input.files.length'] }, [file('0')], wrongPath],
    ['__proto__', operation(one), { 0: ['variables.__proto__.polluted'] }, [file('0')], wrongPath],
    ['__proto__ at the end', operation(one), { 0: ['variables.input.__proto__'] }, [file('0')], wrongPath],
    ['constructor', operation(one), { 0: ['variables.constructor.prototype'] }, [file('0')], wrongPath],
    ['a file that is missing', operation(one), { 0: [at] }, [], 'The file "0" that `map` names is missing.'],
    [
      'a file that is text',
      operation(one),
      { 0: [at] },
      [{ name: '0', content: 'x' }],
      'The file "0" that `map` names is missing.',
    ],
    ['a batch', [operation(one), operation(one)], { 0: ['0.variables.input.files.0'] }, [file('0')], 'Batching is not'],
    ['a map that is a list', operation(one), [[at]], [file('0')], wrongMap],
    ['a map of texts', operation(one), { 0: at }, [file('0')], wrongMap],
    ['a map to 21 places', operation(one), { 0: Array<string>(21).fill(at) }, [file('0')], wrongMap],
    ['a very long path', operation(one), { 0: [`variables.${'x.'.repeat(300)}`] }, [file('0')], wrongMap],
    ['operations that are none', 'text', { 0: [at] }, [file('0')], 'The request body must be a JSON object.'],
  ];
  it.each(cases)('is rejected and stores no data: %s', async (_what, operations, map, files, message) => {
    await unchanged(async () => {
      const { status, data, errors } = await postOperation(kit, operations, map, files);
      expect([status, data]).toEqual([400, null]);
      expect(errors).toEqual([
        expect.objectContaining({ extensions: { code: 'BAD_USER_INPUT', reason: 'INVALID_REQUEST' } }),
      ]);
      expect(errors[0]?.message).toContain(message);
    });
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  const operations: Part = { name: 'operations', content: JSON.stringify(operation(one)) };
  const map: Part = { name: 'map', content: JSON.stringify({ 0: [at] }) };
  it.each([
    ['no operations', [map, file('0')], 'must contain the field `operations`'],
    ['no map', [operations, file('0')], 'must contain the field `map`'],
    [
      'operations as a file',
      [{ ...operations, fileName: 'o.json' }, map, file('0')],
      'must contain the field `operations`',
    ],
    ['operations that are no JSON', [{ ...operations, content: '{' }, map, file('0')], 'body: is not valid JSON'],
    ['101 parts', [operations, map, ...Array<Part>(99).fill(file('0'))], 'body: has more than 100 parts'],
    ['an end too early', formBytes([operations, map, file('0')]).slice(0, -9), 'is not a complete multipart form'],
  ] as [string, Part[] | Uint8Array<ArrayBuffer>, string][])(
    'is rejected and stores no data: %s',
    async (_what, body, message) => {
      await unchanged(async () => {
        const answer = await postForm(kit, '/graphql', body);
        expect([answer.status, answer.body.data]).toEqual([400, undefined]);
        expect(answer.body.errors).toEqual([
          expect.objectContaining({ extensions: expect.objectContaining({ code: 'BAD_USER_INPUT' }) }),
        ]);
        expect(answer.body.errors[0].message).toContain(message);
      });
    },
  );

  it('is rejected without a boundary', async () => {
    await unchanged(async () => {
      const headers = { 'content-type': 'multipart/form-data' };
      const answer = await postForm(kit, '/graphql', formBytes([operations, map, file('0')]), { headers });
      expect([answer.status, answer.body.errors[0].message]).toEqual([400, 'body: has no boundary']);
    });
  });
});

describe('a value of the wrong type', () => {
  it.each([
    ['a text', 'a.txt'],
    ['a number', 1],
    ['an object that looks like one', { name: 'a.txt', size: 1, type: 'text/plain', arrayBuffer: {} }],
    ['null', null],
  ])('is rejected in place of a file in JSON variables: %s', async (_what, value) => {
    await unchanged(async () => {
      const { data, errors } = await kit.gql(uploadFiles, { input: { files: [value] } }, kit.keys.BASIC);
      expect(returned(data)).toEqual([]);
      expect(errors).toMatchObject([
        { extensions: { code: 'BAD_USER_INPUT', fields: [{ path: ['input', 'files', 0] }] } },
      ]);
    });
  });

  it.each(['"a.txt"', '{ name: "a.txt" }', '1', 'null'])(
    'is rejected in place of a file in the GraphQL document: %s',
    async (literal) => {
      await unchanged(async () => {
        const query = `mutation { uploadFiles(input: { files: [${literal}] }) { files { name } } }`;
        const { data, errors } = await kit.gql(query, {}, kit.keys.BASIC);
        expect(returned(data)).toEqual([]);
        expect(errors).toMatchObject([{ extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } }]);
      });
    },
  );

  it('is rejected when it is a file in place of a text', async () => {
    await unchanged(async () => {
      const query = `mutation ($input: CreateProjectInput!) { createProject(input: $input) { project { name } } }`;
      const variables = { input: { name: null } };
      const { data, errors } = await postOperation(kit, { query, variables }, { 0: ['variables.input.name'] }, [
        file('0'),
      ]);
      expect(returned(data)).toEqual([]);
      expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT', fields: [{ path: ['input', 'name'] }] } }]);
    });
  });
});

describe('authorization of uploads', () => {
  const parts: Part[] = [
    { name: 'operations', content: JSON.stringify(operation({ input: { files: [null] } })) },
    { name: 'map', content: JSON.stringify({ 0: ['variables.input.files.0'] }) },
    file('0'),
  ];
  const send = (headers: Record<string, string>, key: string | null = null) =>
    postForm(kit, '/graphql', parts, { key, headers });

  it('rejects an anonymous client with 401 before reading the body', async () => {
    await unchanged(async () => {
      expect((await send({})).status).toBe(401);
      // The body is never sent, and the server does not wait for it.
      const port = Number(new URL(kit.url).port);
      const answer = await httpExchange(
        port,
        `POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=${boundary}\r\n` +
          'Content-Length: 1000000\r\nConnection: close\r\n\r\n',
      );
      expect(answer).toMatch(/^HTTP\/1\.1 401 [\s\S]*"UNAUTHENTICATED"/);
    });
  });

  it('rejects a credential without permission for any mutation that accepts files', async () => {
    const pat = await kit.createPat(kit.keys.BASIC, { scopes: ['read:chat', 'write:chat'] });
    await unchanged(async () => {
      for (const key of [kit.keys.LIMITED, pat.secret])
        expect((await send({}, key)).body.errors).toMatchObject([
          { extensions: { code: 'FORBIDDEN', reason: 'MISSING_PERMISSION', requiredPermissions: uploadPermissions } },
        ]);
    });
  });

  it('rejects a cookie sent from another origin, or from the same origin without the CSRF header', async () => {
    const { session } = await kit.person();
    const cookie = `fastapiusersauth=${session}`;
    await unchanged(async () => {
      for (const proof of [{}, { 'x-graphql-yoga-csrf': '1' }] as Record<string, string>[]) {
        const foreign = await send({ cookie, origin: 'https://evil.example', ...proof });
        expect([foreign.status, foreign.body.errors[0].extensions.code]).toEqual([401, 'UNAUTHENTICATED']);
      }
      for (const origin of [{}, { origin: kit.url }] as Record<string, string>[]) {
        const unproven = await send({ cookie, ...origin });
        expect([unproven.status, unproven.body.errors[0].extensions.code]).toEqual([400, 'BAD_USER_INPUT']);
      }
    });
    const own = await send({ cookie, origin: kit.url, 'x-graphql-yoga-csrf': '1' });
    expect(own.body.data.uploadFiles.files).toMatchObject([{ name: 'a.txt' }]);
  });
});
