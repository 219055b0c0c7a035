import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Kit, startKit, until } from '../test/kit.ts';
import { gather, jsonLines } from '../test/lines.ts';
import { makeGate } from '../test/model-server.ts';
import { createRuns } from './modules/chat/runs.ts';
import { createBackground } from './store/background.ts';
import { inMemoryRuns } from './store/shared/runs.ts';

let kit: Kit;

beforeAll(async () => {
  kit = await startKit({ scripted: true });
});
afterAll(() => kit?.close());

const send = (body: object) =>
  fetch(`${kit.url}/api/chat/send-chat-message`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${kit.keys.BASIC}` },
    body: JSON.stringify({ message: 'Hello', allowed_tool_ids: [], ...body }),
  });

it('does not return a first admin key when the settings define one', () => {
  expect(kit.booted.foundation.settings.bootstrapAdminKey).toBe(kit.keys.ADMIN);
  expect(kit.booted.firstAdminKey).toBeNull();
});

it('marks only answers of a killed process as interrupted at the next start', async () => {
  const done = (await (await send({ stream: false })).json()) as { message_id: number };
  const gate = makeGate();
  kit.model.script({ text: ['Under way'], gate });
  const lines = jsonLines(await send({}));
  const [, { reserved_assistant_message_id: id }] = await gather(lines, (line) => 'user_message_id' in line);
  const { db, log } = kit.booted.foundation;
  await createRuns({ db, log, background: createBackground(log), registry: inMemoryRuns() }).markInterrupted();
  const find = (messageId: number) =>
    kit.prisma.chatMessage.findUniqueOrThrow({ where: { id: messageId }, include: { run: true } });
  const error = 'The server stopped before the answer was complete.';
  expect(await find(id)).toMatchObject({ status: 'INTERRUPTED', error, run: { status: 'INTERRUPTED', error } });
  expect(await find(done.message_id)).toMatchObject({ status: 'COMPLETE', error: null, run: { status: 'COMPLETED' } });
  gate.open();
  await gather(lines);
});

it('stops a running answer at shutdown, keeps its text and rejects new messages with SERVICE_UNAVAILABLE', async () => {
  const gate = makeGate();
  kit.model.script({ text: ['One ', 'two'], gate });
  const lines = jsonLines(await send({}));
  const [{ chat_session_id: sessionId }] = await gather(lines, (line) => 'user_message_id' in line);
  gate.release();
  await gather(lines, ({ obj }) => obj?.type === 'message_delta');
  const aborted = kit.model.nextAbort();
  const drained = kit.booted.services.runs.drain(0);
  expect(await (await send({ stream: false })).json()).toEqual({
    error_code: 'SERVICE_UNAVAILABLE',
    detail: 'The server is shutting down.',
  });
  await Promise.all([drained, aborted]);
  expect((await gather(lines)).slice(-2)).toMatchObject([
    {
      error: 'The server stopped before the answer was complete.',
      error_code: 'SERVICE_UNAVAILABLE',
      is_retryable: true,
    },
    { obj: { type: 'stop', stop_reason: null } },
  ]);
  const stored = await until(() =>
    kit.prisma.chatMessage.findFirst({ where: { sessionId, status: 'INTERRUPTED' }, include: { run: true } }),
  );
  expect(stored).toMatchObject({ text: 'One ', run: { status: 'INTERRUPTED' } });
});
