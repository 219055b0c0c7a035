import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ModelServer, startModelServer } from '../model-server.ts';
import { build, type Environment, keyIn, start, stop, storage } from './latchkey.ts';

/** A request to a collector of OpenTelemetry. */
interface Export {
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

interface Attribute {
  key: string;
  value: Record<string, unknown>;
}

interface ExportedSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  attributes: Attribute[];
  status: { code: number };
}

/** An HTTP server that receives OTLP. */
async function startCollector() {
  const received: Export[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    received.push({ path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks) });
    response.writeHead(200, { 'content-type': request.headers['content-type'] ?? '' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const of = (path: string) => received.filter((each) => each.path === path);
  const json = (path: string) => of(path).map(({ body }) => JSON.parse(body.toString()));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    of,
    resources: () =>
      json('/v1/traces').flatMap(({ resourceSpans }) =>
        resourceSpans.map(({ resource }: { resource: { attributes: Attribute[] } }) => valuesOf(resource.attributes)),
      ),
    spans: (): ExportedSpan[] =>
      json('/v1/traces').flatMap(({ resourceSpans }) =>
        resourceSpans.flatMap(({ scopeSpans }: any) => scopeSpans.flatMap(({ spans }: any) => spans)),
      ),
    logs: (): any[] =>
      json('/v1/logs').flatMap(({ resourceLogs }) =>
        resourceLogs.flatMap(({ scopeLogs }: any) => scopeLogs.flatMap(({ logRecords }: any) => logRecords)),
      ),
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}
type Collector = Awaited<ReturnType<typeof startCollector>>;

const valuesOf = (attributes: Attribute[]): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

const traceId = 'af7651916cd43dd8448eb211c80319c4';
const parentId = 'b7ad6b7169203331';
const traceparent = `00-${traceId}-${parentId}-01`;

let database: Awaited<ReturnType<typeof storage>>;
beforeAll(async () => {
  await build();
  database = await storage();
});
afterAll(() => database?.drop());

/** Runs work with a server that exports to a collector, and stops both. Returns what was exported. */
async function exporting(
  environment: Environment,
  work: (url: string, key: string) => Promise<void>,
): Promise<Collector & { key: string; output: string }> {
  const collector = await startCollector();
  const server = await start({
    ...database.environment,
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    ...environment,
  });
  savedKey ??= keyIn(server);
  const key = savedKey ?? '';
  try {
    await work(server.url, key);
  } finally {
    await stop(server);
    await collector.close();
  }
  return { ...collector, key, output: server.output.stdout };
}
/** The key of the first start. */
let savedKey: string | undefined;

describe('a server with a collector', () => {
  let model: ModelServer;
  let collector: Awaited<ReturnType<typeof exporting>>;
  let spans: ExportedSpan[];
  const question = 'Where does the heron nest?';
  const answer = 'In the reeds of the northern lake.';

  beforeAll(async () => {
    model = await startModelServer();
    model.script({ text: answer });
    collector = await exporting(
      {
        OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
        OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=birds',
        OTEL_SERVICE_NAME: 'chat',
        OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
        LLM_PROVIDER: 'openai-compatible',
        LLM_BASE_URL: model.baseUrl,
        LLM_MODEL: 'scripted',
        LLM_API_KEY: 'sk-upstream',
      },
      async (url, key) => {
        const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
        const chat = await fetch(`${url}/api/chat/send-chat-message`, {
          method: 'POST',
          headers: { ...headers, traceparent },
          body: JSON.stringify({ message: question, stream: false }),
        });
        expect(await chat.text()).toContain(answer);
        const graphql = await fetch(`${url}/graphql`, {
          method: 'POST',
          headers,
          body: JSON.stringify({ query: 'query Chosen { alias: agent(id: "424242") { name } }' }),
        });
        expect(await graphql.text()).toContain('AGENT_NOT_FOUND');
        await fetch(`${url}/health/ready`);
      },
    );
    spans = collector.spans();
  });
  afterAll(() => model?.close());

  const named = (name: string | RegExp) => {
    const found = spans.filter((span) => (typeof name === 'string' ? span.name === name : name.test(span.name)));
    expect(found, String(name)).not.toEqual([]);
    return found[0] as ExportedSpan;
  };

  it('continues the trace of a client from the request to the model', () => {
    const request = named('POST /api/chat/send-chat-message');
    expect(request).toMatchObject({ traceId, parentSpanId: parentId, kind: 2 });
    expect(valuesOf(request.attributes)).toMatchObject({
      'http.request.method': 'POST',
      'http.route': '/api/chat/send-chat-message',
      'http.response.status_code': 200,
    });
    const operation = named('mutation sendChatMessage');
    expect(operation).toMatchObject({ traceId, parentSpanId: request.spanId });
    expect(named('search').traceId).toBe(traceId);
    const call = named('chat scripted');
    expect(call).toMatchObject({ traceId, kind: 3 });
    expect(valuesOf(call.attributes)).toMatchObject({ 'gen_ai.request.model': 'scripted' });
    const sent = model.requests.find(({ path }) => path === '/chat/completions')?.headers.traceparent;
    expect(sent).toBe(`00-${traceId}-${call.spanId}-01`);
  });

  it('has a span for each statement of a request, with its command and table', () => {
    const statement = named('INSERT ChatMessage');
    expect(statement).toMatchObject({ traceId, kind: 3 });
    expect(valuesOf(statement.attributes)).toEqual({
      'db.system.name': 'postgresql',
      'db.operation.name': 'INSERT',
      'db.collection.name': 'ChatMessage',
    });
    const ids = new Set(spans.map(({ spanId }) => spanId));
    const orphans = spans.filter(
      ({ attributes, parentSpanId = '' }) => 'db.system.name' in valuesOf(attributes) && !ids.has(parentSpanId),
    );
    expect(orphans).toEqual([]);
  });

  it('names operations by their root field and marks failed ones with the reason', () => {
    const operation = named('query agent');
    expect(operation.status.code).toBe(2);
    expect(valuesOf(operation.attributes)).toEqual({
      'graphql.operation.type': 'query',
      'error.type': 'AGENT_NOT_FOUND',
    });
    const request = named('POST /graphql');
    expect(operation).toMatchObject({ traceId: request.traceId, parentSpanId: request.spanId });
    expect(request.traceId).not.toBe(traceId);
  });

  it('exports the lines of the log with their trace', () => {
    const line = collector
      .logs()
      .find(({ body, attributes }) => body.stringValue === 'request' && valuesOf(attributes).path === '/graphql');
    expect(line).toMatchObject({ severityText: 'info' });
    expect(valuesOf(line.attributes)).toMatchObject({ method: 'POST', status: 200 });
    expect(collector.output).toContain(`"traceId":"${traceId}"`);
  });

  it('honors the standard variables for headers and attributes of the service', () => {
    expect(collector.of('/v1/traces').length).toBeGreaterThan(0);
    for (const { headers } of collector.received) expect(headers['x-tenant']).toBe('birds');
    for (const resource of collector.resources())
      expect(resource).toMatchObject({ 'service.name': 'chat', 'deployment.environment.name': 'test' });
  });

  it('exports no secret, no content, no value and no name that a client chose', () => {
    const all = Buffer.concat(collector.received.map(({ body }) => body)).toString();
    expect(all).toContain('POST /graphql');
    for (const hidden of [collector.key, 'sk-upstream', question, answer, '424242', 'Chosen', 'alias'])
      expect(all).not.toContain(hidden);
  });

  it('has no spans for health checks', () => {
    expect(spans.filter(({ name }) => name.includes('health'))).toEqual([]);
  });
});

it('exports protobuf by default, and honors the sampler', async () => {
  const { of } = await exporting({ OTEL_TRACES_SAMPLER: 'parentbased_always_off' }, async (url, key) => {
    const authorization = `Bearer ${key}`;
    await fetch(`${url}/api/persona`, { headers: { authorization, traceparent } });
    await fetch(`${url}/api/me`, { headers: { authorization } });
  });
  const traces = of('/v1/traces');
  expect(traces.map(({ headers }) => headers['content-type'])).toContain('application/x-protobuf');
  const all = Buffer.concat(traces.map(({ body }) => body)).toString('latin1');
  expect(all).toContain('GET /api/persona');
  expect(all).not.toContain('GET /api/me');
  expect(of('/v1/logs').length).toBeGreaterThan(0);
});

it('serves requests and stops when the collector cannot be reached', async () => {
  const server = await start({ ...database.environment, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' });
  const { status } = await fetch(`${server.url}/api/me`);
  await stop(server);
  expect(status).toBe(403);
});

describe('OpenTelemetry', () => {
  /** Returns the files in dist/ that a server loads between its start and its end. */
  async function loaded(environment: Environment): Promise<string[]> {
    const folder = join(database.environment.DATA_DIR as string, 'coverage');
    const server = await start({ ...database.environment, ...environment, NODE_V8_COVERAGE: folder });
    await stop(server);
    return readdirSync(folder).flatMap((name) =>
      JSON.parse(readFileSync(join(folder, name), 'utf8')).result.flatMap(({ url }: { url: string }) =>
        url.includes('/dist/') ? [url.split('/dist/')[1]] : [],
      ),
    );
  }

  it('is not loaded by a server without a collector', async () => {
    const without = await loaded({});
    expect(without).toContain('main.js');
    expect(without.filter((name) => /open-telemetry/.test(name))).toEqual([]);
    const packages = without.filter((name) =>
      readFileSync(join('dist', name), 'utf8').includes('OTEL_EXPORTER_OTLP_HEADERS'),
    );
    expect(packages).toEqual([]);
    const collector = await startCollector();
    const using = await loaded({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
    await collector.close();
    expect(using.some((name) => /open-telemetry/.test(name))).toBe(true);
  }, 60_000);
});
