import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../test/kit.ts';
import { readPage } from '../test/markdown.ts';
import { errorReasons } from './error-reasons.ts';
import { schema } from './graphql/schema.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit({ scripted: true });
});
afterAll(() => kit?.close());

const exposition = async () => (await kit.rest('GET', '/metrics')).text;

/** Returns the value of a series, written as in the exposition; 0 when it does not exist. */
async function value(series: string): Promise<number> {
  const line = (await exposition()).split('\n').find((each) => each.startsWith(`${series} `));
  return Number(line?.split(' ').at(-1) ?? 0);
}

/** Returns by how much a series grew while work ran. */
async function growth(series: string, work: () => Promise<unknown>): Promise<number> {
  const before = await value(series);
  await work();
  return (await value(series)) - before;
}

const chat = (message: string) =>
  kit.gql('mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) { answer failure { code } } }', {
    input: { message, newSession: { agentId: 0 } },
  });

describe('the duration of requests', () => {
  it('is recorded by the pattern of the route, not by the path', async () => {
    const series = 'http_request_duration_seconds_count{method="GET",route="/api/persona/:persona_id"}';
    expect(await growth(series, () => kit.rest('GET', '/api/persona/0'))).toBe(1);
    expect(await growth(series, () => kit.rest('GET', '/api/persona/999999'))).toBe(1);
    expect(await exposition()).not.toContain('/999999');
  });

  it('is recorded in one bucket of "unmatched" for paths that the server does not have', async () => {
    const series = 'http_request_duration_seconds_count{method="GET",route="unmatched"}';
    expect(await growth(series, () => kit.rest('GET', '/api/no-such-path-4711'))).toBe(1);
    expect(await exposition()).not.toContain('no-such-path');
  });
});

describe('the duration of GraphQL operations', () => {
  const series = (type: string, field: string) =>
    `graphql_operation_duration_seconds_count{type="${type}",field="${field}"}`;

  it('is recorded by type and root field, never by names that the client chose', async () => {
    const query = 'query ChosenName { chosenAlias: viewer { role } }';
    expect(await growth(series('query', 'viewer'), () => kit.gql(query))).toBe(1);
    const text = await exposition();
    expect(text).not.toContain('ChosenName');
    expect(text).not.toContain('chosenAlias');
  });

  it('is recorded under "multiple" for several root fields, also in fragments', async () => {
    const query = 'query { ...Some } fragment Some on Query { viewer { role } can(permission: READ_CHAT) }';
    const work = async () => expect((await kit.gql(query)).errors).toEqual([]);
    expect(await growth(series('query', 'multiple'), work)).toBe(1);
  });

  it('has no labels but types and fields of the schema', async () => {
    await kit.gql('{ nothingOfThisName }');
    const fields = ['getQueryType', 'getMutationType', 'getSubscriptionType'] as const;
    const known = new Set(fields.flatMap((type) => Object.keys(schema[type]()?.getFields() ?? {})));
    const labels = [...(await exposition()).matchAll(/^graphql_operation_duration_seconds_count.*field="(\w+)"/gm)];
    expect(labels.length).toBeGreaterThan(1);
    for (const [, field = ''] of labels)
      expect([...known, 'multiple', '__typename', '__schema', '__type']).toContain(field);
  });
});

describe('errors', () => {
  const series = (reason: string) => `errors_total{reason="${reason}"}`;

  it('are counted by their reason for GraphQL and REST', async () => {
    const query = 'query { agent(id: "999999") { name } }';
    expect(await growth(series('AGENT_NOT_FOUND'), () => kit.gql(query))).toBe(1);
    expect(await growth(series('AGENT_NOT_FOUND'), () => kit.rest('GET', '/api/persona/999999'))).toBe(1);
    const anonymous = () => kit.rest('GET', '/api/persona', { key: 'on_wrong' });
    expect(await growth(series('CREDENTIAL_INVALID'), anonymous)).toBe(1);
  });

  it('are counted when a request is rejected before execution', async () => {
    expect(await growth(series('GRAPHQL_VALIDATION_FAILED'), () => kit.gql('{ nothingOfThisName }'))).toBe(1);
    const broken = () => kit.rest('POST', '/graphql', { body: '{' });
    expect(await growth(series('INVALID_REQUEST'), broken)).toBe(1);
  });

  it('have only reasons of the catalogue and codes as labels', async () => {
    const labels = [...(await exposition()).matchAll(/^errors_total\{reason="(\w+)"/gm)].map(([, reason]) => reason);
    expect(labels.length).toBeGreaterThan(2);
    for (const reason of labels)
      if (!/^(GRAPHQL_|OPERATION_RESOLUTION|METHOD_|NOT_ACC)/.test(String(reason)))
        expect(Object.keys(errorReasons)).toContain(reason);
  });
});

describe('models', () => {
  const model = 'kind="chat",provider="openai-compatible",model="scripted"';

  it('are recorded with their calls, tokens and time to the first token', async () => {
    kit.model.script({ text: 'Hello there', usage: { prompt_tokens: 40, completion_tokens: 2, total_tokens: 42 } });
    const counts = [
      `model_call_duration_seconds_count{${model}}`,
      `model_time_to_first_token_seconds_count{${model}}`,
      `model_tokens_total{${model},direction="input"}`,
      `model_tokens_total{${model},direction="output"}`,
      'chat_answer_duration_seconds_count{status="COMPLETE"}',
      'chat_time_to_first_token_seconds_count',
      'search_duration_seconds_count',
    ];
    const before = await Promise.all(counts.map(value));
    await chat('Hello');
    const after = await Promise.all(counts.map(value));
    expect(after.map((each, index) => each - (before[index] ?? 0))).toEqual([1, 1, 40, 2, 1, 1, 1]);
  });

  it('are recorded with their failures by reason', async () => {
    kit.model.script({ status: 400, body: { error: { message: 'no', code: 'context_length_exceeded' } } });
    const series = `model_failures_total{${model},reason="CONTEXT_TOO_LONG"}`;
    expect(await growth(series, () => chat('Hello'))).toBe(1);
    expect(await value('chat_answer_duration_seconds_count{status="FAILED"}')).toBe(1);
  });

  it('have not failed when the answer is stopped', async () => {
    kit.model.script({ hang: true });
    const count = `model_call_duration_seconds_count{${model}}`;
    const failures = async () =>
      (await exposition()).split('\n').filter((line) => line.startsWith('model_failures_total{'));
    const [calls, failed] = [await value(count), await failures()];
    for await (const { data } of kit.subscribe(
      'subscription ($input: SendChatMessageInput!) { chatTurn(input: $input) { ... on ChatMessageIds { sessionId } } }',
      { input: { message: 'Hello', newSession: { agentId: 0 } } },
    ))
      if (data?.chatTurn.sessionId) {
        expect(await value('chat_answers_running')).toBe(1);
        await kit.gql('mutation ($id: ID!) { stopChatRun(input: { sessionId: $id }) { stopped } }', {
          id: data.chatTurn.sessionId,
        });
      }
    expect(await value(count)).toBe(calls + 1);
    expect(await failures()).toEqual(failed);
    expect(await value('chat_answers_running')).toBe(0);
  });
});

describe('the state of the server', () => {
  it('is readable: build, connections, caches, memory and the event loop', async () => {
    expect(await value(`latchkey_build_info{version="0.1.0",node_version="${process.versions.node}"}`)).toBe(1);
    const [busy, idle] = await Promise.all(
      ['busy', 'idle'].map((state) => value(`database_connections{state="${state}"}`)),
    );
    expect((busy ?? 0) + (idle ?? 0)).toBeGreaterThanOrEqual(1);
    expect(await value('database_requests_waiting')).toBeGreaterThanOrEqual(0);
    const query = 'query { viewer { role databaseId } }';
    const cached = (result: string) => `graphql_document_cache_requests_total{result="${result}"}`;
    expect(await growth(cached('miss'), () => kit.gql(query))).toBe(1);
    expect(await growth(cached('hit'), () => kit.gql(query))).toBe(1);
    for (const name of [
      'process_resident_memory_bytes',
      'nodejs_eventloop_lag_p99_seconds',
      'nodejs_active_handles_total',
    ])
      expect(await value(name)).toBeGreaterThan(0);
  });
});

describe('docs/observability.md', () => {
  const rows = [
    ...readPage('docs/observability.md').matchAll(/^\| `([a-z_]+)` *\| (\w+) *\| (.*?) *\| (.*?) *\|$/gm),
  ].map(([, name = '', type = '', labels = '', help = '']) => ({
    name,
    type,
    labels: labels === '' ? [] : labels.replaceAll('`', '').split(', '),
    help,
  }));

  it('lists every metric of the server with its type, labels and description, and no other', async () => {
    const own = kit.booted.foundation.metrics.registry.getMetricsAsArray() as unknown as {
      name: string;
      help: string;
      labelNames: string[];
      get(): Promise<{ type: string }>;
    }[];
    const expected = await Promise.all(
      own.map(async (metric) => ({
        name: metric.name,
        type: (await metric.get()).type,
        labels: metric.labelNames,
        help: metric.help.replace(/\.$/, ''),
      })),
    );
    const byName = (one: { name: string }, other: { name: string }) => one.name.localeCompare(other.name);
    expect(rows.toSorted(byName)).toEqual(expected.toSorted(byName));
  });

  it('lists the metrics of the process', async () => {
    const own = new Set(rows.map(({ name }) => name));
    const all = [...(await exposition()).matchAll(/^# TYPE (\w+) /gm)].map(([, name = '']) => name);
    const listed = readPage('docs/observability.md');
    const process = all.filter((name) => !own.has(name));
    expect(process.length).toBeGreaterThan(20);
    for (const name of process) expect(listed).toContain(`\`${name}\``);
  });
});
