import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { builder } from '../../graphql/builder.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { SearchHit } from '../knowledge/knowledge.graphql.ts';
import { Citation } from './events.graphql.ts';
import type { NumberedHit } from './events.ts';
import { TurnUsage } from './usage.graphql.ts';

const MessageRole = builder.enumType('MessageRole', {
  description: 'Who says a message.',
  values: {
    SYSTEM: { description: 'Nobody: the empty root of the tree.' },
    USER: { description: 'The user.' },
    ASSISTANT: { description: 'The model.' },
  },
});

const MessageStatus = builder.enumType('MessageStatus', {
  description: 'Whether a message is whole.',
  values: {
    STREAMING: { description: 'It is being written.' },
    COMPLETE: { description: 'It is whole.' },
    STOPPED: { description: 'Somebody stopped it; what was said is kept.' },
    FAILED: { description: 'The model failed; what was said is kept.' },
    INTERRUPTED: { description: 'The server stopped meanwhile; what was said is kept.' },
  },
});

export const ChatMessage = builder.prismaNode('ChatMessage', {
  id: { field: 'id', description: 'The global id.' },
  nullable: true,
  description: 'A node of a session’s message tree.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer id that the REST paths use.' }),
    sessionId: t.expose('sessionId', { type: 'UUID', description: 'The session.' }),
    parentId: t.exposeInt('parentId', { nullable: true, description: 'The message it hangs from; null for the root.' }),
    latestChildId: t.exposeInt('latestChildId', {
      nullable: true,
      description: 'The next message of the current branch.',
    }),
    preferredResponseId: t.exposeInt('preferredResponseId', {
      nullable: true,
      description: 'Of a question: the answer that its reader prefers; null: none.',
    }),
    role: t.expose('role', { type: MessageRole, description: 'Who says it.' }),
    status: t.expose('status', { type: MessageStatus, description: 'Whether it is whole.' }),
    text: t.exposeString('text', { description: 'What it says, Markdown; citations are `[[n]](link)`.' }),
    reasoning: t.exposeString('reasoning', { nullable: true, description: 'What the model thought.' }),
    error: t.exposeString('error', { nullable: true, description: 'Why it is not whole.' }),
    citations: t.field({
      type: [Citation],
      listSize: 10,
      description: 'The numbers in its text.',
      resolve: async (message, _args, { principal, services }) => {
        const { citations } = await services.chat.references(signedIn(principal), message);
        return citations as unknown as { number: number; documentId: string }[];
      },
    }),
    documents: t.field({
      type: [SearchHit],
      listSize: 10,
      description: 'The passages it was given, best first.',
      resolve: async (message, _args, { principal, services }) =>
        storedHits((await services.chat.references(signedIn(principal), message)).passages),
    }),
    searchQuery: t.exposeString('searchQuery', {
      nullable: true,
      description: 'What was searched for; null when nothing was.',
    }),
    model: t.exposeString('model', { nullable: true, description: 'The model that said it.' }),
    durationMs: t.exposeInt('durationMs', { nullable: true, description: 'How long the turn took, in milliseconds.' }),
    usage: t.field({
      type: TurnUsage,
      nullable: true,
      description: 'What the model did for it; null for what no model said, and for an answer that is not over.',
      select: {
        model: true,
        durationMs: true,
        run: { select: { inputTokens: true, outputTokens: true, endedAt: true } },
      },
      resolve: ({ model, durationMs, run }, _args, { services }) =>
        model === null || durationMs === null || run?.inputTokens == null || run.outputTokens === null
          ? null
          : {
              inputTokens: run.inputTokens,
              outputTokens: run.outputTokens,
              durationMs,
              model,
              provider: services.models.find(model)?.provider ?? null,
              endedAt: run.endedAt,
            },
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
  }),
});

/** Returns stored passages. They are JSON, in which a date is text. */
const storedHits = (passages: unknown): NumberedHit[] =>
  (passages as (Omit<NumberedHit, 'updatedAt'> & { updatedAt: string | null })[]).map((hit) => ({
    ...hit,
    updatedAt: hit.updatedAt === null ? null : new Date(hit.updatedAt),
  }));

export const ChatMessageConnection = builder.connectionObject(
  { type: ChatMessage, name: 'ChatMessageConnection', description: 'A page of messages.' },
  { name: 'ChatMessageEdge', description: 'A message and its place in the list.' },
);

nodeRule('ChatMessage', {
  permission: 'read:chat',
  readable: ({ prisma }, principal, ids) =>
    prisma.chatMessage.findMany({
      where: { ...visible.chatMessages(principal), id: { in: integerIds(ids) } },
      select: { id: true },
    }),
});
