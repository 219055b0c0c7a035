import { z } from '@hono/zod-openapi';
import { graphql, type ResultOf } from '../graphql.ts';
import { Metrics, metrics, Source, SourceFields, source, UsageFields, withThoughts } from './chat-frames.ts';

export const StoredMessage = graphql(
  `
  fragment AnythingLLMStoredMessage on ChatMessage @_unmask {
    databaseId parentId latestChildId role status text reasoning createdAt
    documents { ...AnythingLLMSource }
    files { name mediaType kind dataUrl }
    feedback { rating }
    usage { ...AnythingLLMUsage }
  }
`,
  [SourceFields, UsageFields],
);
type Message = ResultOf<typeof StoredMessage>;

const common = {
  content: z.string(),
  sentAt: z.int().openapi({ description: 'The time of the message, in seconds since 1970.' }),
};

const Question = z
  .object({
    role: z.literal('user'),
    ...common,
    attachments: z
      .array(
        z.object({
          name: z.string(),
          mime: z.string(),
          contentString: z.string().nullable().openapi({
            description:
              'The image as a `data:` URL; null for an image larger than 1 MiB, and after 32 MiB of images in one response.',
          }),
        }),
      )
      .openapi({ description: 'The images attached to the message.' }),
    chatId: z.int().openapi({ description: 'The integer ID of the answer to this message.' }),
  })
  .openapi('AnythingLLMHistoryQuestion');
const Answer = z
  .object({
    type: z.literal('chat'),
    role: z.literal('assistant'),
    ...common,
    sources: z.array(Source),
    chatId: z.int(),
    feedbackScore: z.boolean().nullable().openapi({
      description: 'The caller’s rating of the answer: true for a like, false for a dislike, null without a rating.',
    }),
    metrics: Metrics,
  })
  .openapi('AnythingLLMHistoryAnswer');
export const History = z.object({ history: z.array(z.union([Question, Answer])) }).openapi('AnythingLLMHistory');

/** Number of exchanges; a value that is not a number selects an empty list. */
export const limit = z
  .string()
  .optional()
  .transform((text) => {
    const number = text === undefined ? 100 : Number(text);
    return Number.isNaN(number) ? 0 : Math.max(1, Math.floor(number));
  })
  .openapi({ type: 'integer', description: 'Maximum number of exchanges, at least 1. Defaults to 100.' });

const seconds = (date: Date): number => Math.floor(date.getTime() / 1000);

interface Exchange {
  question: Message;
  answer: Message;
}

function items({ question, answer }: Exchange): z.input<typeof History>['history'] {
  const chatId = answer.databaseId;
  const images = question.files.filter(({ kind }) => kind === 'IMAGE');
  const asked = {
    role: 'user' as const,
    content: question.text,
    sentAt: seconds(question.createdAt),
    attachments: images.map(({ name, mediaType, dataUrl }) => ({ name, mime: mediaType, contentString: dataUrl })),
    chatId,
  };
  const { feedback, usage } = answer;
  return [
    asked,
    {
      type: 'chat',
      role: 'assistant',
      content: withThoughts(answer.reasoning, answer.text),
      sources: answer.documents.map(source),
      chatId,
      sentAt: seconds(answer.createdAt),
      feedbackScore: feedback?.rating ? feedback.rating === 'LIKE' : null,
      metrics: metrics(usage),
    },
  ];
}

/** Returns the current branch, starting with the first question. */
function branchOf(messages: readonly Message[]): Message[] {
  const byId = new Map(messages.map((message) => [message.databaseId, message]));
  const branch: Message[] = [];
  let next = messages.find(({ parentId }) => parentId === null);
  while (next && branch.length < messages.length) {
    if (next.parentId !== null) branch.push(next);
    next = next.latestChildId === null ? undefined : byId.get(next.latestChildId);
  }
  return branch;
}

/**
 * Returns whether an answer has text or is complete: these clients know a turn that failed before any text by its abort
 * only.
 */
const cameAbout = ({ role, status, text }: Message): boolean =>
  role === 'ASSISTANT' && status !== 'STREAMING' && (status !== 'FAILED' || text !== '');

/** Returns each question with its answer: all answers, or those of the current branch. */
function exchangesOf(messages: readonly Message[], everything: boolean): Exchange[] {
  const chosen = everything ? messages : branchOf(messages);
  return chosen
    .filter(({ role }) => role === 'USER')
    .flatMap((question): Exchange[] =>
      chosen
        .filter((message) => message.parentId === question.databaseId && cameAbout(message))
        .map((answer) => ({ question, answer })),
    );
}

/** Converts messages of a session, oldest first, to a history of exchanges. */
export function history(
  messages: readonly Message[],
  { everything = false, latestFirst = false, limit = messages.length } = {},
): z.input<typeof History>['history'] {
  const exchanges = exchangesOf(messages, everything);
  return (latestFirst ? exchanges.reverse() : exchanges).slice(0, limit).flatMap(items);
}
