import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';

/** Tests a model that writes its reasoning into its answer, in chunks that split the tags. */
let kit: Kit;
beforeAll(async () => {
  kit = await startKit({ scripted: true });
});
afterAll(() => kit?.close());

const pieces = ['<th', 'ink>\nTwo and', ' two.\n</', 'think>\n\nIt is', ' four.'];
const events = `
  __typename
  ... on ChatReasoningDelta { text }
  ... on ChatAnswerDelta { text }
`;

describe('a think block in a model’s answer', () => {
  beforeEach(() => kit.model.script({ text: pieces }));

  test('is reasoning in the events of a GraphQL turn and in the stored message', async () => {
    const texts: Record<string, string> = {};
    const query = `subscription { chatTurn(input: { message: "2+2" }) { ${events} ... on ChatMessageIds { sessionId } } }`;
    let sessionId = '';
    for await (const { data } of kit.subscribe(query)) {
      const { __typename: type, text, sessionId: id } = data.chatTurn;
      sessionId = id ?? sessionId;
      if (text !== undefined) texts[type] = (texts[type] ?? '') + text;
    }
    expect(texts).toEqual({ ChatReasoningDelta: 'Two and two.', ChatAnswerDelta: 'It is four.' });
    const stored = await kit.prisma.chatMessage.findFirst({ where: { sessionId, role: 'ASSISTANT' } });
    expect([stored?.text, stored?.reasoning]).toEqual(['It is four.', 'Two and two.']);
  });

  test('is reasoning in the packets for Onyx clients', async () => {
    const body = { message: '2+2', allowed_tool_ids: [] };
    const { text } = await kit.rest('POST', '/api/chat/send-chat-message', { body });
    const packets = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).obj);
    const joined = (type: string, field: string) =>
      packets.flatMap((obj) => (obj?.type === type ? [obj[field]] : [])).join('');
    expect(joined('reasoning_delta', 'reasoning')).toBe('Two and two.');
    expect(joined('message_delta', 'content')).toBe('It is four.');
  });

  test('is reasoning in the answers and chunks for OpenAI clients', async () => {
    const ask = (stream: boolean) =>
      kit.rest('POST', '/api/v1/openai/chat/completions', {
        body: { model: 'default', messages: [{ role: 'user', content: '2+2' }], stream },
      });
    expect((await ask(false)).body.choices[0].message).toMatchObject({
      content: 'It is four.',
      reasoning_content: 'Two and two.',
    });
    kit.model.script({ text: pieces });
    const frames = (await ask(true)).text.split('\n\n').filter((frame) => frame.startsWith('data: {'));
    const deltas = frames.flatMap((frame) =>
      JSON.parse(frame.slice(6)).choices.map(({ delta }: { delta: object }) => delta),
    );
    expect(deltas.map((delta) => delta.reasoning_content ?? '').join('')).toBe('Two and two.');
    expect(deltas.map((delta) => delta.content ?? '').join('')).toBe('It is four.');
    expect(deltas.filter((delta) => 'content' in delta && 'reasoning_content' in delta)).toEqual([]);
  });

  test('is reasoning in a GraphQL completion', async () => {
    const { data } = await kit.gql(
      'mutation { createChatCompletion(input: { model: "default", messages: [{ role: USER, content: [{ text: "2+2" }] }] }) { text reasoning } }',
    );
    expect(data.createChatCompletion).toEqual({ text: 'It is four.', reasoning: 'Two and two.' });
  });

  test('is hidden from visitors of a widget', async () => {
    const made = await kit.rest('POST', '/api/v1/embed/new', {
      body: { workspace_slug: 'default', chat_mode: 'chat' },
    });
    const path = `/api/embed/${made.body.embed.uuid}/stream-chat`;
    const { text } = await kit.rest('POST', path, { key: null, body: { sessionId: randomUUID(), message: '2+2' } });
    const frames = text
      .split('\n\n')
      .filter(Boolean)
      .map((frame) => JSON.parse(frame.slice(6)));
    expect(frames.map(({ textResponse }) => textResponse).join('')).toBe('It is four.');
  });

  test('is sent to AnythingLLM clients in think tags', async () => {
    const body = { message: '2+2', mode: 'chat' };
    const { text } = await kit.rest('POST', '/api/v1/workspace/default/stream-chat', { body });
    const frames = text
      .split('\n\n')
      .filter(Boolean)
      .map((frame) => JSON.parse(frame.slice(6)));
    const said = frames.flatMap(({ type, textResponse }) => (type === 'textResponseChunk' ? [textResponse] : []));
    expect(said.join('')).toBe('<think>Two and two.</think>It is four.');
  });
});

test('an answer that only mentions the think tag keeps it', async () => {
  kit.model.script({ text: ['Write <thi', 'nk> first,', ' then </think>.'] });
  const { data } = await kit.gql('mutation { sendChatMessage(input: { message: "Hello" }) { answer } }');
  expect(data.sendChatMessage.answer).toBe('Write <think> first, then </think>.');
});
