import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Kit, startKit, until } from '../../../test/kit.ts';
import { gather } from '../../../test/lines.ts';
import { makeGate } from '../../../test/model-server.ts';

/**
 * Tests answers that are interrupted by a shutdown of the server, as shown to the clients of each dialect and in the
 * stored messages.
 */
let kit: Kit;

beforeAll(async () => {
  kit = await startKit({ scripted: true });
});
afterAll(() => kit?.close());

const message = 'The server stopped before the answer was complete.';

/** Starts an answer whose model sends one word and then stalls. */
async function begun<T>(start: () => Promise<T>): Promise<{ ended: Promise<T> }> {
  const gate = makeGate();
  kit.model.script({ text: ['One ', 'two'], gate });
  gate.release();
  const ended = start();
  await gate.reached(1);
  return { ended };
}

async function post(path: string, body: object, key = kit.keys.BASIC) {
  const { status, headers, text } = await kit.rest('POST', `/api${path}`, { key, body });
  return { status, retryAfter: headers.get('retry-after'), text };
}
/** Returns the JSON objects of a stream, which consists of lines or server-sent events. */
const objectsOf = (text: string): any[] =>
  text
    .split('\n')
    .filter((line) => /^(data: )?\{/.test(line))
    .map((line) => JSON.parse(line.replace(/^data: /, '')));

test('an answer interrupted by a shutdown is reported in every dialect as a server failure, not as a user stop', async () => {
  const { data } = await kit.gql('mutation { createEmbed(input: { agent: { slug: "default" } }) { embed { uuid } } }');
  const completions = new OpenAI({ apiKey: kit.keys.BASIC, baseURL: `${kit.url}/api/v1/openai`, maxRetries: 0 }).chat
    .completions;
  const asked = { model: 'default', messages: [{ role: 'user' as const, content: 'Count' }] };
  const failure = 'code message retryable';
  const input = { message: 'Count', actionIds: [] };

  const subscription = await begun(() =>
    gather(
      kit.subscribe(
        `subscription ($input: SendChatMessageInput!) {
          chatTurn(input: $input) { __typename ... on TurnFailureDetails { ${failure} } } }`,
        { input },
        kit.keys.BASIC,
      ),
    ),
  );
  const mutation = await begun(() =>
    kit.gql(
      `mutation ($input: SendChatMessageInput!) {
        sendChatMessage(input: $input) { answer stopped failure { ${failure} } } }`,
      { input },
      kit.keys.BASIC,
    ),
  );
  const packets = await begun(() => post('/chat/send-chat-message', { message: 'Count' }));
  const whole = await begun(() => post('/chat/send-chat-message', { message: 'Count', stream: false }));
  const frames = await begun(() => post('/v1/workspace/default/stream-chat', { message: 'Count', sessionId: 'a' }));
  const chat = await begun(() => post('/v1/workspace/default/chat', { message: 'Count', sessionId: 'b' }));
  const visitor = await begun(() =>
    post(`/embed/${data.createEmbed.embed.uuid}/stream-chat`, {
      sessionId: '7d9f7c2e-6f9b-4d0c-9f65-0c9f7bd3c1a4',
      message: 'Count',
    }),
  );
  const completion = await begun(() => completions.create(asked).catch((error: unknown) => error));
  const said: unknown[] = [];
  const chunks = await begun(async () => {
    const stream = await completions.create({ ...asked, stream: true });
    for await (const chunk of stream) said.push(chunk.choices[0]?.delta.content);
  });
  const chunksEnded = chunks.ended.catch((error: unknown) => error);
  // A completion whose client has received nothing fails with a status instead.
  await until(() => said.length > 0);

  await kit.booted.services.runs.drain(0);

  const typed = { code: 'SERVER_SHUTDOWN', message, retryable: true };
  expect((await subscription.ended).at(-1).data.chatTurn).toEqual({ __typename: 'ChatTurnFailed', ...typed });
  expect((await mutation.ended).data.sendChatMessage).toEqual({ answer: 'One ', stopped: false, failure: typed });
  expect(objectsOf((await packets.ended).text).slice(-2)).toMatchObject([
    { error: message, error_code: 'SERVICE_UNAVAILABLE', is_retryable: true },
    { obj: { type: 'stop', stop_reason: null } },
  ]);
  expect(JSON.parse((await whole.ended).text)).toMatchObject({ answer: 'One ', error_msg: message });
  expect(objectsOf((await frames.ended).text).at(-1)).toMatchObject({ type: 'abort', error: message, close: true });
  const { status, retryAfter, text } = await chat.ended;
  expect({ status, retryAfter, ...JSON.parse(text) }).toMatchObject({ status: 503, retryAfter: '5', error: message });
  expect(objectsOf((await visitor.ended).text).at(-1)).toMatchObject({ type: 'abort', error: message, close: true });
  expect(await completion.ended).toMatchObject({ status: 503, code: 'service_unavailable' });
  expect(said).toEqual(['One ']);
  expect(await chunksEnded).toMatchObject({ code: 'service_unavailable', message });

  const stored = await kit.prisma.chatMessage.findMany({ where: { role: 'ASSISTANT' }, include: { run: true } });
  expect(stored).toHaveLength(7);
  for (const answer of stored)
    expect(answer).toMatchObject({ text: 'One ', status: 'INTERRUPTED', run: { status: 'INTERRUPTED' } });
});

test('new answers are rejected during a shutdown with 503 and a retry delay', async () => {
  const whole = await post('/chat/send-chat-message', { message: 'Hello', stream: false });
  expect(whole).toMatchObject({ status: 503, retryAfter: '5' });
  expect(JSON.parse(whole.text)).toMatchObject({ error_code: 'SERVICE_UNAVAILABLE' });
  expect(await post('/v1/workspace/default/chat', { message: 'Hello' })).toMatchObject({
    status: 503,
    retryAfter: '5',
  });
  const { status, errors } = await kit.gql(
    'mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) { answer } }',
    { input: { message: 'Hello' } },
    kit.keys.BASIC,
  );
  expect([status, errors[0]?.extensions]).toEqual([
    503,
    { code: 'UNAVAILABLE', reason: 'SERVER_SHUTDOWN', retryAfter: 5 },
  ]);
});
