import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';
import { gather, jsonLines } from '../../../test/lines.ts';
import { makeGate, type ToolCallsReply } from '../../../test/model-server.ts';

/** A model that calls a tool it was not given. */
let kit: Kit;
beforeAll(async () => {
  kit = await startKit({ scripted: true });
});
afterAll(() => kit?.close());

const message = 'The model called an action that is not available: "run_shell".';
const reply = (more: Partial<ToolCallsReply> = {}): ToolCallsReply => ({
  before: 'Let me look. ',
  toolCalls: [{ name: 'run_shell', arguments: { command: 'ls' } }],
  ...more,
});

/** Returns the stored answer and its run. */
const stored = (id: number) =>
  kit.prisma.chatMessage.findUniqueOrThrow({
    where: { id },
    select: { text: true, status: true, error: true, run: { select: { status: true, error: true } } },
  });
const failed = { text: 'Let me look. ', status: 'FAILED', error: message, run: { status: 'FAILED', error: message } };

const events = `... on ChatMessageIds { assistantMessageId } ... on ChatAnswerDelta { text }
  ... on ChatTurnFailed { code message retryable }`;

describe('a model that calls an unavailable action', () => {
  it('fails a GraphQL mutation with TOOL_CALL_FAILED and keeps the text so far', async () => {
    kit.model.script(reply());
    const { data, errors } = await kit.gql(
      `mutation ($input: SendChatMessageInput!) {
        sendChatMessage(input: $input) { answer assistantMessageId stopped failure { code message retryable } }
      }`,
      { input: { message: 'Look' } },
      kit.keys.BASIC,
    );
    expect(errors).toEqual([]);
    expect(data.sendChatMessage).toMatchObject({
      answer: 'Let me look. ',
      stopped: false,
      failure: { code: 'TOOL_CALL_FAILED', message, retryable: true },
    });
    expect(await stored(data.sendChatMessage.assistantMessageId)).toEqual(failed);
  });

  it('fails a GraphQL subscription with TOOL_CALL_FAILED and aborts the request to the model', async () => {
    const gate = makeGate();
    kit.model.script(reply({ gate }));
    const [before, aborted] = [kit.model.aborted, kit.model.nextAbort()];
    const payloads = await gather(
      kit.subscribe(
        `subscription ($input: SendChatMessageInput!) { chatTurn(input: $input) { __typename ${events} } }`,
        { input: { message: 'Look' } },
        kit.keys.BASIC,
      ),
    );
    const seen = payloads.map(({ data }) => data.chatTurn);
    expect(seen.at(-1)).toEqual({ __typename: 'ChatTurnFailed', code: 'TOOL_CALL_FAILED', message, retryable: true });
    expect(seen.filter((event) => 'text' in event).map(({ text }) => text)).toEqual(['Let me look. ']);
    // The gate never opened, so the model did not end the answer.
    await aborted;
    expect(kit.model.aborted).toBe(before + 1);
    const { assistantMessageId } = seen.find((event) => 'assistantMessageId' in event);
    expect(await stored(assistantMessageId)).toEqual(failed);
  });

  it('fails a REST stream with TOOL_CALL_FAILED and keeps the text so far', async () => {
    kit.model.script(reply());
    const response = await fetch(`${kit.url}/api/chat/send-chat-message`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${kit.keys.BASIC}` },
      body: JSON.stringify({ message: 'Look', allowed_tool_ids: [] }),
    });
    const lines = await gather(jsonLines(response));
    const deltas = lines.filter((line) => line.obj?.type === 'message_delta').map((line) => line.obj.content);
    expect(deltas).toEqual(['Let me look. ']);
    expect(lines.at(-2)).toEqual({
      error: message,
      stack_trace: null,
      error_code: 'TOOL_CALL_FAILED',
      is_retryable: true,
      details: null,
    });
    expect(lines.at(-1).obj.type).toBe('stop');
    const id = lines.find((line) => 'reserved_assistant_message_id' in line).reserved_assistant_message_id;
    expect(await stored(id)).toEqual(failed);
  });

  it('returns the error in a REST response without streaming and keeps the text so far', async () => {
    kit.model.script(reply());
    const { status, body } = await kit.rest('POST', '/api/chat/send-chat-message', {
      key: kit.keys.BASIC,
      body: { message: 'Look', stream: false, allowed_tool_ids: [] },
    });
    expect([status, body.answer, body.error_msg]).toEqual([200, 'Let me look. ', message]);
    expect(await stored(body.message_id)).toEqual(failed);
  });
});

describe('the call of an unavailable action', () => {
  const whole = async (script: ToolCallsReply) => {
    kit.model.script(script);
    const { body } = await kit.rest('POST', '/api/chat/send-chat-message', {
      key: kit.keys.BASIC,
      body: { message: 'Look', stream: false, allowed_tool_ids: [] },
    });
    return { body, message: await stored(body.message_id) };
  };

  it('is reported when the model sent no text before it', async () => {
    const { body, message: kept } = await whole({ toolCalls: [{ name: 'run_shell', arguments: {} }] });
    expect([body.answer, body.error_msg]).toEqual(['', message]);
    expect(kept).toEqual({ ...failed, text: '' });
  });

  it('is reported when its arguments are not valid JSON', async () => {
    const { body } = await whole(reply({ toolCalls: [{ name: 'run_shell', arguments: '{"command":' }] }));
    expect([body.answer, body.error_msg]).toEqual(['Let me look. ', message]);
  });

  it('is reported when the model makes several calls', async () => {
    const calls = ['run_shell', 'delete_all'].map((name) => ({ name, arguments: {} }));
    const { body } = await whole(reply({ toolCalls: calls }));
    expect([body.answer, body.error_msg]).toEqual(['Let me look. ', message]);
  });

  it('is reported with a shortened and sanitized action name', async () => {
    const { body, message: kept } = await whole(
      reply({ toolCalls: [{ name: `a\0"\ud800${'b'.repeat(500)}`, arguments: {} }] }),
    );
    expect(body.error_msg).toBe(
      `The model called an action that is not available: ${JSON.stringify(`a"\ufffd${'b'.repeat(97)}`)}.`,
    );
    expect(kept.error).toBe(body.error_msg);
  });

  it('does not prevent the next turn of the session', async () => {
    kit.model.script(reply(), { text: 'Here.' });
    const ask = (body: object) =>
      kit.rest('POST', '/api/chat/send-chat-message', { key: kit.keys.BASIC, body: { stream: false, ...body } });
    const first = await ask({ message: 'Look' });
    const next = await ask({ message: 'Go on', chat_session_id: first.body.chat_session_id });
    expect([next.body.answer, next.body.error_msg]).toEqual(['Here.', null]);
    const [said] = (kit.model.requests.at(-1)?.body.messages ?? []).filter(({ role }) => role === 'assistant');
    expect(said?.content).toBe('Let me look. ');
  });
});
