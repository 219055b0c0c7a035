import { z } from 'zod';
import { badInput } from '../../errors.ts';
import { databaseId, plainText } from '../../zod-types.ts';
import { storableDate } from '../knowledge/retrieval.ts';
import { ChatReference } from './chat-locator.ts';
import { Attachment } from './inline-files.ts';
import { NewSession } from './new-session.ts';
import { modelOverrides } from './overrides.ts';

/** Maximum number of files of one message. */
export const maxFiles = 20;

const only = z
  .boolean()
  .refine((value) => value, 'must be true')
  .nullish();
/** The position of a turn in the message tree. Exactly one field must be set. */
const Parent = z
  .object({
    /** Adds the turn after the last message of the current branch. */
    continue: only,
    /** Adds the turn at the root: the model receives no earlier messages. */
    startOver: only,
    /** Adds the turn after this answer, as a new branch; or at this question, which is answered again. */
    messageId: databaseId.nullish(),
  })
  .refine((parent) => Object.values(parent).filter((value) => value != null).length === 1, {
    message: 'must contain exactly one of `continue`, `startOver` and `messageId`',
  });
export type Parent = z.output<typeof Parent>;

export const SendMessage = z.object({
  message: plainText(200_000),
  sessionId: z.uuid().nullish(),
  newSession: NewSession.nullish(),
  chat: ChatReference.nullish(),
  /** Overrides the mode of the agent. */
  mode: z.enum(['AUTOMATIC', 'CHAT', 'QUERY']).nullish(),
  /**
   * Null continues the current branch, so that a client that does not know this field does not lose the conversation.
   */
  parent: Parent.nullish(),
  additionalContext: plainText(200_000).nullish(),
  /** Defaults to true. */
  includeCitations: z.boolean().nullish(),
  /** These three override the options of the session. */
  ...modelOverrides,
  fileIds: z.array(z.uuid()).max(maxFiles).nullish(),
  /** Files that are sent within the message. */
  attachments: z.array(Attachment).max(maxFiles).nullish(),
  /** Null: all actions of the agent. A list: only these of them. */
  actionIds: z.array(databaseId).max(100).nullish(),
  /** An action that the turn must use. */
  forcedActionId: databaseId.nullish(),
  filters: z
    .object({
      sources: z.array(plainText(50)).max(50).nullish(),
      since: storableDate.nullish(),
      tags: z
        .array(z.object({ key: plainText(200), value: plainText(200) }))
        .max(50)
        .nullish(),
    })
    .nullish(),
  /** For a chat widget, whose own prompt or that of its visitor overrides that of the agent. */
  systemPrompt: plainText(20_000).nullish(),
  historyLimit: z.int().min(0).nullish(),
  /** If true, the message waits while the session is still answering. */
  queue: z.boolean().nullish(),
});

export type SendMessageInput = z.input<typeof SendMessage>;
/** A message whose fields are valid. */
export type Message = z.output<typeof SendMessage>;

/** Requires that the target of a message is given in one way. Throws BAD_USER_INPUT. */
export function checkTarget({ sessionId, newSession, chat }: Message): void {
  if (sessionId && newSession) throw badInput(['input', 'newSession'], 'cannot be combined with `sessionId`');
  if (chat && (sessionId || newSession))
    throw badInput(['input', 'chat'], `cannot be combined with \`${sessionId ? 'sessionId' : 'newSession'}\``);
}

/**
 * Returns the key of the queue in which a message waits: the queue of its session, which the message identifies by ID
 * or by chat reference.
 */
export const lineOf = ({ sessionId, chat }: Message): string =>
  sessionId?.toLowerCase() ?? JSON.stringify([chat?.agent, chat?.threadSlug, chat?.clientSessionId]);
