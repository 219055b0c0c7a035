import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nothingStored } from '../../../test/expect-unchanged.ts';
import { type Kit, startKit } from '../../../test/kit.ts';
import { drawnImage } from '../../../test/model-server.ts';
import { projectRoot } from '../../project-root.ts';
import type { ParameterTable } from '../parameters.ts';
import { embeddingParameters, imageParameters } from './openai.ts';
import { chatParameters } from './openai-chat-request.ts';

/** The parameters of OpenAI's endpoints: each has its effect, is rejected, or is listed as ignored. */
let kit: Kit;
/** A server with images, which the settings allow, and one that they do not. */
const servers: Server[] = [];
let allowed: string;
let internal: string;
const fetched: string[] = [];

const png = Buffer.from(drawnImage, 'base64');
const routes: Record<string, RequestListener> = {
  '/a.png': (_request, reply) => reply.end(png),
  '/a.gif': (_request, reply) => reply.end('GIF89a…'),
  '/page': (_request, reply) => reply.setHeader('content-type', 'image/png').end('<p>Hello</p>'),
  '/large': (_request, reply) => reply.end(Buffer.concat([png, Buffer.alloc(5 * 1024 * 1024)])),
  '/moved': (_request, reply) => reply.writeHead(302, { location: `${internal}/a.png` }).end(),
  '/metadata': (_request, reply) => reply.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data' }).end(),
};

async function serveImages(): Promise<string> {
  const server = createServer((request, reply) => {
    fetched.push(request.url ?? '');
    const route = routes[request.url?.split('?')[0] ?? ''];
    if (route) route(request, reply);
    else reply.writeHead(404).end();
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const slug = 'default';
const messages = [{ role: 'user', content: 'Hello' }];
const chat = (body: object) =>
  kit.rest('POST', '/api/v1/openai/chat/completions', {
    key: kit.keys.BASIC,
    body: { model: slug, messages, ...body },
  });
const asked = () => kit.model.requests.findLast((request) => request.path === '/chat/completions')?.body as any;

beforeAll(async () => {
  allowed = await serveImages();
  internal = await serveImages();
  kit = await startKit({
    scripted: true,
    environment: {
      EMBEDDING_MODEL: 'embedder',
      IMAGE_MODEL: 'painter',
      LLM_VISION: 'true',
      LINK_ALLOWED_HOSTS: new URL(allowed).host,
    },
  });
});
afterAll(async () => {
  await kit?.close();
  for (const server of servers) server.close();
});

/** Returns the parameters of an interface in the declarations of OpenAI's SDK. */
function declared(file: string, name: string): string[] {
  const text = readFileSync(join(projectRoot, 'node_modules/openai/resources', `${file}.d.ts`), 'utf8');
  const body = text.split(`export interface ${name} {`)[1]?.split('\n}')[0] ?? '';
  return [...body.matchAll(/^ {4}(\w+)\??:/gm)].map(([, field]) => field as string);
}

const openApi = JSON.parse(readFileSync(join(projectRoot, 'schema/openapi.json'), 'utf8'));
const page = readFileSync(join(projectRoot, 'schema/parameters.md'), 'utf8');

const endpoints: [string, ParameterTable, string, string, object][] = [
  [
    'chat/completions',
    chatParameters,
    'chat/completions/completions',
    'ChatCompletionCreateParamsBase',
    { model: slug, messages },
  ],
  ['embeddings', embeddingParameters, 'embeddings', 'EmbeddingCreateParams', { input: 'a' }],
  ['images/generations', imageParameters, 'images', 'ImageGenerateParamsBase', { prompt: 'a' }],
];

describe.each(endpoints)('%s', (path, table, file, name, body) => {
  const send = (extra: object) =>
    kit.rest('POST', `/api/v1/openai/${path}`, { key: kit.keys.BASIC, body: { ...body, ...extra } });
  /** The requests to the model, without the time that the instructions contain. */
  const requests = (): string[] =>
    kit.model.requests
      .filter((request) => request.path === `/${path}`)
      .map((request) => JSON.stringify(request.body).replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'now'));
  const treated = (treatment: string) =>
    Object.entries(table).flatMap(([field, parameter]) => (parameter.treatment === treatment ? [field] : []));

  test('lists every parameter of the SDK', () => {
    const parameters = declared(file, name);
    expect(parameters.length).toBeGreaterThan(4);
    expect(parameters.filter((field) => !Object.hasOwn(table, field))).toEqual([]);
  });

  test('has the same parameters in the table, in the OpenAPI document and in the documentation', () => {
    const operation = openApi.paths[`/api/v1/openai/${path}`].post;
    const { $ref } = operation.requestBody.content['application/json'].schema;
    const { properties } = openApi.components.schemas[$ref.split('/').at(-1)];
    expect(Object.keys(properties)).toEqual(Object.keys(table));
    const section = page.split(`## POST /api/v1/openai/${path}\n`)[1]?.split('\n## ')[0] ?? '';
    const rows = [...section.matchAll(/^\| `(\w+)` \| (\w+) \| (.+) \|$/gm)];
    expect(rows.map(([, field]) => field)).toEqual(Object.keys(table));
    for (const [, field = '', supported, note] of rows) {
      expect(note).toBe(table[field]?.note);
      const { treatment = 'honored' } = table[field] ?? {};
      expect(supported).toBe({ honored: 'yes', restricted: 'no', ignored: 'ignored' }[treatment]);
      const start = { honored: '', restricted: 'Not supported. ', ignored: 'Ignored. ' }[treatment];
      expect(properties[field].description).toBe(`${start}${note}`);
    }
  });

  test('rejects each unsupported parameter by name, and accepts it with null or a listed value', async () => {
    const fields = treated('restricted');
    const before = requests().length;
    await nothingStored(kit, async () => {
      for (const field of fields)
        for (const value of ['other', { other: 1 }]) {
          const { status, body: answer } = await send({ [field]: value });
          expect([status, answer.error?.param, answer.error?.type], `${field}: ${JSON.stringify(value)}`).toEqual([
            400,
            field,
            'invalid_request_error',
          ]);
          expect(answer.error.message).toContain('is not supported');
        }
    });
    expect(requests()).toHaveLength(before);
    const accepted = fields.map((field) => {
      const list = /null, (.+)\.$/.exec(table[field]?.note ?? '')?.[1] ?? '';
      return [field, [null, ...(JSON.parse(`[${list}]`) as unknown[])]] as const;
    });
    for (let index = 0; accepted.some(([, values]) => index < values.length); index++) {
      const values = accepted.map(([field, all]) => [field, index < all.length ? all[index] : null]);
      expect(await send(Object.fromEntries(values))).toMatchObject({ status: 200 });
    }
  });

  test('accepts each ignored parameter with any value', async () => {
    await send({});
    const plain = requests().at(-1);
    expect(plain).toBeDefined();
    for (const value of ['other', true, { key: 'value' }]) {
      expect((await send(Object.fromEntries(treated('ignored').map((field) => [field, value])))).status).toBe(200);
      expect(requests().at(-1)).toBe(plain);
    }
  });
});

describe('chat/completions', () => {
  test('counts a limit of -1 tokens as absent, and rejects other limits below 1', async () => {
    await chat({});
    const usual = asked().max_tokens;
    for (const name of ['max_tokens', 'max_completion_tokens']) {
      expect((await chat({ [name]: -1 })).status).toBe(200);
      expect(asked().max_tokens).toBe(usual);
      await nothingStored(kit, async () => {
        for (const count of [0, -2, -1.5, -(2 ** 40)]) {
          const { status, body } = await chat({ [name]: count });
          expect([status, body.error.param], `${name}: ${count}`).toEqual([400, name]);
        }
      });
    }
    await chat({ max_completion_tokens: -1, max_tokens: 5 });
    expect(asked().max_tokens).toBe(5);
  });

  test('names the type and the position of an unsupported content part', () =>
    nothingStored(kit, async () => {
      const parts = (...content: unknown[]) => chat({ messages: [{ role: 'user', content }] });
      const text = { type: 'text', text: 'Hello' };
      for (const type of ['input_audio', 'file', 'input_text', 'video_url']) {
        const { status, body } = await parts(text, { type, [type]: {} });
        expect([status, body.error.param]).toEqual([400, 'messages[0].content[1].type']);
        expect(body.error.message).toContain(`"${type}"`);
        expect(body.error.message).toContain('"image_url"');
      }
      for (const [part, param] of [
        [{}, 'type'],
        [{ type: 7 }, 'type'],
        [{ type: 'text', text: 7 }, 'text'],
        [{ type: 'image_url', image_url: 7 }, 'image_url'],
      ])
        expect((await parts(text, part)).body.error.param).toBe(`messages[0].content[1].${param}`);
    }));

  test('rejects a required tool call without tools', () =>
    nothingStored(kit, async () => {
      const { status, body } = await chat({ tool_choice: 'required' });
      expect([status, body.error.param]).toEqual([400, 'tool_choice']);
    }));

  test('names fields of tools, calls and schemas as the client sent them', () =>
    nothingStored(kit, async () => {
      const call = { id: 'call_1', type: 'function', function: { name: '', arguments: '{}' } };
      const cases: [string, object][] = [
        ['tools[0].function.name', { tools: [{ type: 'function', function: { name: 'a b' } }] }],
        [
          'messages[0].tool_calls[0].function.name',
          { messages: [{ role: 'assistant', tool_calls: [call] }, ...messages] },
        ],
        [
          'response_format.json_schema.name',
          { response_format: { type: 'json_schema', json_schema: { name: 'a b', schema: {} } } },
        ],
      ];
      for (const [param, extra] of cases) expect((await chat(extra)).body.error.param).toBe(param);
    }));

  describe('with an image at a URL', () => {
    const withImages = (...urls: string[]) =>
      chat({ messages: [{ role: 'user', content: urls.map((url) => ({ type: 'image_url', image_url: { url } })) }] });

    test('sends the image to the model', async () => {
      fetched.length = 0;
      expect((await withImages(`${allowed}/a.png`, `${allowed}/a.gif`, `${allowed}/a.png`)).status).toBe(200);
      const urls = asked()
        .messages.at(-1)
        .content.flatMap((part: any) => part.image_url?.url ?? []);
      expect(urls).toEqual([
        `data:image/png;base64,${drawnImage}`,
        `data:image/gif;base64,${Buffer.from('GIF89a…').toString('base64')}`,
        `data:image/png;base64,${drawnImage}`,
      ]);
      expect(fetched.sort()).toEqual(['/a.gif', '/a.png']);
    });

    test('rejects addresses that are not public, also behind a redirect, without connecting to them', async () => {
      const { port } = new URL(internal);
      const requests = kit.model.requests.length;
      fetched.length = 0;
      await nothingStored(kit, async () => {
        for (const url of [
          `${internal}/a.png`,
          `http://localhost:${port}/a.png`,
          `http://[::1]:${port}/a.png`,
          `http://[::ffff:127.0.0.1]:${port}/a.png`,
          `http://2130706433:${port}/a.png`,
          'http://10.0.0.1/a.png',
          'http://169.254.169.254/latest/meta-data',
          `${allowed}/moved`,
          `${allowed}/metadata`,
        ]) {
          const { status, body } = await withImages(url);
          expect([status, body.error.param], url).toEqual([400, 'messages[0].content[0].image_url.url']);
          expect(body.error.message).toContain('not public');
        }
      });
      expect(fetched).toEqual(['/moved', '/metadata']);
      expect(kit.model.requests).toHaveLength(requests);
    });

    test('rejects files that are not images or too large, and too many images, naming the part', () =>
      nothingStored(kit, async () => {
        for (const path of ['/page', '/large', '/missing']) {
          const { status, body } = await withImages(`${allowed}/a.png`, `${allowed}${path}`);
          expect([status, body.error.param], path).toEqual([400, 'messages[0].content[1].image_url']);
        }
        fetched.length = 0;
        const many = await withImages(...Array.from({ length: 11 }, (_, index) => `${allowed}/a.png?${index}`));
        expect([many.status, many.body.error.param]).toEqual([400, 'messages[0].content[10].image_url']);
        expect(fetched).toEqual([]);
        const file = await withImages('file:///etc/passwd');
        expect([file.status, file.body.error.param]).toEqual([400, 'messages[0].content[0].image_url.url']);
      }));
  });
});
