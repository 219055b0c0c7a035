import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';
import { parsePassages } from '../../ai/passages.ts';

/** A context window of 2,048 tokens, three quarters of which are available for the prompt. */
let kit: Kit;
beforeAll(async () => {
  kit = await startKit({ scripted: true, environment: { LLM_CONTEXT_TOKENS: '2048' } });
});
afterAll(() => kit?.close());

const send = (input: object) =>
  kit.gql(
    `mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) { sessionId answer failure { message } } }`,
    { input: { actionIds: [], ...input } },
    kit.keys.BASIC,
  );
const post = (body: object) =>
  kit.rest('POST', '/api/chat/send-chat-message', { key: kit.keys.BASIC, body: { allowed_tool_ids: [], ...body } });

const long = 'word '.repeat(2000);

describe('a message or context that exceeds the context window by itself', () => {
  it.each([
    ['message', { message: long, additionalContext: 'short' }, { message: long, additional_context: 'short' }],
    [
      'additionalContext',
      { message: 'short', additionalContext: long },
      { message: 'short', additional_context: long },
    ],
  ])('is rejected with the name of its field, %s, and stores no data', async (field, input, body) => {
    const session = (await send({ message: 'Before' })).data.sendChatMessage.sessionId;
    const [before, asked] = [await kit.fingerprint(), kit.model.requests.length];
    const problem = 'is longer than the model’s context window of 2048 tokens';
    for (const where of [{}, { sessionId: session }])
      expect(await send({ ...input, ...where })).toMatchObject({
        data: { sendChatMessage: null },
        errors: [
          {
            message: `input.${field}: ${problem}`,
            extensions: { code: 'BAD_USER_INPUT', fields: [{ path: ['input', field] }] },
          },
        ],
      });
    const message = `${field === 'message' ? 'message' : 'additional_context'}: ${problem}`;
    const whole = await post({ ...body, stream: false });
    expect([whole.status, whole.body]).toEqual([400, { error_code: 'INVALID_INPUT', detail: message }]);
    expect((await post(body)).body).toMatchObject({ error: message, error_code: 'VALIDATION_ERROR' });
    expect(await kit.fingerprint()).toBe(before);
    expect(kit.model.requests).toHaveLength(asked);
  });

  it('is sent to the model when its length is exactly the maximum', async () => {
    const room = async (length: number) => (await send({ message: 'x'.repeat(length) })).errors.length === 0;
    let [fits, refused] = [0, 8192];
    while (refused - fits > 1) {
      const middle = (fits + refused) >> 1;
      if (await room(middle)) fits = middle;
      else refused = middle;
    }
    const body = kit.model.requests.at(-1)?.body.messages ?? [];
    const text = (at: number) => String(body.at(at)?.content);
    expect(Math.ceil(text(0).length / 4) + Math.ceil(fits / 4)).toBe(Math.floor(2048 * 0.75));
  });
});

it('a conversation of 500 long messages continues with only the newest messages in the prompt', async () => {
  const { sessionId } = (await send({ message: 'The beginning' })).data.sendChatMessage;
  const messages = await kit.prisma.chatMessage.findMany({ where: { sessionId }, orderBy: { id: 'asc' } });
  let parentId = messages.at(-1)?.id ?? 0;
  for (let at = 0; at < 500; at++) {
    const made = await kit.prisma.chatMessage.create({
      data: { sessionId, parentId, role: at % 2 === 0 ? 'USER' : 'ASSISTANT', text: `${at} ${'word '.repeat(400)}` },
    });
    await kit.prisma.chatMessage.update({ where: { id: parentId }, data: { latestChildId: made.id } });
    parentId = made.id;
  }
  const { data, errors } = await send({ sessionId, message: 'Still there?' });
  expect(errors).toEqual([]);
  expect(data.sendChatMessage).toMatchObject({ answer: 'You said: Still there?', failure: null });
  const asked = (kit.model.requests.at(-1)?.body.messages ?? []).map(({ content }) => String(content).split(' ')[0]);
  expect(asked.slice(1)).toEqual(['498', '499', 'Still']);
});

describe('files that are too long to be sent completely', () => {
  /** About 700 tokens on one subject. */
  const chapter = (subject: string) => `# ${subject}\n\n${`The ${subject} is ${subject} all over. `.repeat(90)}`;
  const passages = () => parsePassages(String(kit.model.requests.at(-1)?.body.messages?.at(-1)?.content));

  it('contribute their beginning and the passages that match the question, under one source number', async () => {
    const text = ['grebe', 'heron', 'shrike'].map(chapter).join('\n\n');
    const id = await kit.upload('birds.md', text, { key: kit.keys.BASIC });
    kit.model.script({ text: 'All over [1].' });
    const { data } = await send({ message: 'What is the shrike?', fileIds: [id] });
    expect(data.sendChatMessage.answer).toBe(`All over [[1]](/api/chat/file/${id}).`);
    const [beginning, ...found] = passages();
    expect(beginning).toMatchObject({ number: 1, title: 'birds.md', text: expect.stringMatching(/^# grebe\n/) });
    expect(beginning?.text).toMatch(/\[The rest of this file does not fit\.\]$/);
    expect(found.map(({ number }) => number)).toContain(1);
    expect(found[0]?.text).toContain('The shrike is shrike all over.');
  });

  it('do not shorten an attached short file, and files that are not attached are not searched', async () => {
    const key = kit.keys.BASIC;
    const long = await kit.upload('long.md', ['grebe', 'heron'].map(chapter).join('\n\n'), { key });
    const short = await kit.upload('short.md', 'The wren is small.', { key });
    await kit.upload('other.md', chapter('wren'), { key });
    await send({ message: 'What is the wren?', fileIds: [long, short] });
    expect(passages().map(({ title }) => title)).toEqual(['long.md', 'short.md']);
    expect(passages()[1]?.text).toBe('The wren is small.');
  });
});
