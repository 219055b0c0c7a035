import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';
import { gather, jsonLines } from '../../../test/lines.ts';

/** A provider whose deltas split characters. */
let kit: Kit;
let workspace: string;
beforeAll(async () => {
  kit = await startKit({ scripted: true });
  const created = await kit.rest('POST', '/api/v1/workspace/new', { key: kit.keys.ADMIN, body: { name: 'Halves' } });
  workspace = created.body.workspace.slug;
});
afterAll(() => kit?.close());

const answer = 'Smile 😀 and 👩‍🚀!';
const reasoning = 'Hm 🤔.';
/** Returns the UTF-16 units of a text, one per delta. */
const units = (text: string) => text.split('');
const script = () => kit.model.script({ text: units(answer), reasoning: units(reasoning) });

const post = (path: string, body: object) =>
  fetch(`${kit.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${kit.keys.ADMIN}` },
    body: JSON.stringify(body),
  });

/** Returns the data of server-sent events, without comments and `[DONE]`. */
const framesOf = async (response: Response): Promise<any[]> =>
  (await response.text())
    .split('\n\n')
    .filter((event) => event.startsWith('data: {'))
    .map((event) => JSON.parse(event.slice('data: '.length)));

/** Checks every text of a stream, and joins the given ones. */
function whole(told: unknown[], texts: (string | null | undefined)[]): string {
  JSON.stringify(told, (_key, value) => {
    if (typeof value === 'string') expect(value.isWellFormed(), JSON.stringify(value)).toBe(true);
    return value;
  });
  expect(JSON.stringify(told)).not.toContain('\ufffd');
  return texts.join('');
}

describe('an answer whose deltas split characters', () => {
  it('has only whole characters in GraphQL events and is stored completely', async () => {
    script();
    const payloads = await gather(
      kit.subscribe(
        `subscription ($input: SendChatMessageInput!) { chatTurn(input: $input) {
          __typename ... on ChatMessageIds { assistantMessageId }
          ... on ChatAnswerDelta { text } ... on ChatReasoningDelta { reasoning: text }
        } }`,
        { input: { message: 'Smile' } },
        kit.keys.BASIC,
      ),
    );
    const events = payloads.map(({ data }) => data.chatTurn);
    expect(
      whole(
        payloads,
        events.map(({ text }) => text),
      ),
    ).toBe(answer);
    expect(
      whole(
        payloads,
        events.map((event) => event.reasoning),
      ),
    ).toBe(reasoning);
    const { assistantMessageId: id } = events.find(({ assistantMessageId }) => assistantMessageId);
    expect(await kit.prisma.chatMessage.findUnique({ where: { id } })).toMatchObject({ text: answer, reasoning });
  });

  it('has only whole characters in Onyx packets', async () => {
    script();
    const packets = await gather(jsonLines(await post('/api/chat/send-chat-message', { message: 'Smile' })));
    const of = (type: string) => packets.filter(({ obj }) => obj?.type === type).map(({ obj }) => obj);
    expect(
      whole(
        packets,
        of('message_delta').map(({ content }) => content),
      ),
    ).toBe(answer);
    expect(
      whole(
        packets,
        of('reasoning_delta').map((packet) => packet.reasoning),
      ),
    ).toBe(reasoning);
  });

  it('has only whole characters in AnythingLLM frames', async () => {
    script();
    const frames = await framesOf(await post(`/api/v1/workspace/${workspace}/stream-chat`, { message: 'Smile' }));
    const said = frames.filter(({ type }) => type === 'textResponseChunk').map(({ textResponse }) => textResponse);
    expect(whole(frames, said)).toContain(answer);
  });

  it('has only whole characters in OpenAI chunks, including refusals', async () => {
    const ask = async () =>
      framesOf(
        await post('/api/v1/openai/chat/completions', {
          ...{ model: workspace, stream: true, messages: [{ role: 'user', content: 'Smile' }] },
        }),
      );
    script();
    const chunks = await ask();
    expect(
      whole(
        chunks,
        chunks.map(({ choices }) => choices[0]?.delta.content),
      ),
    ).toBe(answer);
    kit.model.script({ text: [], refusal: ['No \ud83d', '\ude45.'] });
    const refused = await ask();
    expect(
      whole(
        refused,
        refused.map(({ choices }) => choices[0]?.delta.refusal),
      ),
    ).toBe('No 🙅.');
  });

  it('shows half a character at its end as U+FFFD', async () => {
    kit.model.script({ text: ['Half ', '\ud83d'] });
    const { body } = await kit.rest('POST', '/api/chat/send-chat-message', {
      key: kit.keys.BASIC,
      body: { message: 'Smile', stream: false },
    });
    expect(body.answer).toBe('Half \ufffd');
  });
});
