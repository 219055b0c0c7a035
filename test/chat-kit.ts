import { afterAll, afterEach, beforeAll, expect, vi } from 'vitest';
import { type Kit, startKit } from './kit.ts';
import { jsonLines } from './lines.ts';

export let kit: Kit;

interface Options {
  key?: string;
  signal?: AbortSignal;
  on?: Kit;
}

export const send = (body: object, { key, on = kit }: Options = {}) =>
  on.rest('POST', '/api/chat/send-chat-message', {
    body: { message: 'Hello', stream: false, ...body },
    key: key ?? on.keys.BASIC,
  });

export async function* stream(
  body: object,
  { key, signal, on = kit }: Options = {},
): AsyncGenerator<any, void, undefined> {
  const response = await fetch(`${on.url}/api/chat/send-chat-message`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key ?? on.keys.BASIC}` },
    body: JSON.stringify({ message: 'Hello', ...body }),
    ...(signal && { signal }),
  });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
  yield* jsonLines(response);
}

export async function createSession(body: object = {}, key = kit.keys.BASIC): Promise<string> {
  const answer = await kit.rest('POST', '/api/chat/create-chat-session', { body, key });
  expect(answer.status).toBe(200);
  return answer.body.chat_session_id;
}

export const detail = (id: string, { key, on = kit }: Options = {}) =>
  on.rest('GET', `/api/chat/get-chat-session/${id}`, { key: key ?? on.keys.BASIC });

export const stored = (id: number) =>
  kit.prisma.chatMessage.findUniqueOrThrow({ where: { id }, include: { run: true } });

/** Returns the roles and texts of the messages of the last request to the model. */
export function asked(): { role: string; content: string }[] {
  return kit.model.requests.at(-1)?.body.messages as { role: string; content: string }[];
}
export const lastAsked = () => asked().at(-1)?.content ?? '';

export const place = (turn_index: number, model_index: number | null = 0) => ({
  turn_index,
  tab_index: 0,
  sub_turn_index: null,
  model_index,
});
export const packet = (turn: number, obj: object) => ({ placement: place(turn), obj });
export const deltas = (lines: any[]) =>
  lines.map(({ obj }) => (obj?.type === 'message_delta' ? obj.content : '')).join('');
export const isDelta = ({ obj }: any) => obj?.type === 'message_delta';

const turnDocument = `subscription ($input: SendChatMessageInput!) { chatTurn(input: $input) {
  __typename
  ... on ChatSessionCreated { index sessionId }
  ... on ChatMessageIds { index runId sessionId userMessageId assistantMessageId }
  ... on ChatSearchStarted { index }
  ... on ChatSearchQueries { index queries }
  ... on ChatSearchDocuments { index documents { number documentId } }
  ... on ChatReasoningStarted { index }
  ... on ChatReasoningDelta { index text }
  ... on ChatReasoningEnded { index }
  ... on ChatAnswerStarted { index documents { number documentId } }
  ... on ChatAnswerDelta { index text }
  ... on ChatCitation { index citation { number documentId } }
  ... on ChatTurnStopped { index reason }
  ... on ChatTurnFailed { index code message retryable }
} }`;
export const runDocument = turnDocument
  .replace('$input: SendChatMessageInput!', '$runId: ID!, $from: Int')
  .replace('chatTurn(input: $input)', 'chatRun(run: { id: $runId }, from: $from)');

export async function* events(document: string, variables: object, key = kit.keys.BASIC, signal?: AbortSignal) {
  for await (const { data, errors } of kit.subscribe(document, variables, key, signal)) {
    if (errors) throw Object.assign(new Error(errors[0].message), { code: errors[0].extensions.code });
    yield data.chatTurn ?? data.chatRun;
  }
}
export const turn = (input: object, key?: string, signal?: AbortSignal) =>
  events(turnDocument, { input: { message: 'Hello', ...input } }, key, signal);

/** Starts a server with the scripted model and no documents for a test file about turns. */
export function useChatKit(): void {
  beforeAll(async () => {
    kit = await startKit({ scripted: true });
    // The pages of the server would be found too.
    await kit.prisma.document.deleteMany();
  });
  afterAll(() => kit?.close());
  afterEach(() => vi.restoreAllMocks());
}
