import { demand, type Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, notFound } from '../../errors.ts';
import { findChat } from './chat-locator.ts';
import type { GenerationDeps } from './generation.ts';
import { decoded } from './inline-files.ts';
import { type Message, maxFiles } from './turn-input.ts';
import { SessionBusyError } from './turn-queue.ts';

/** Throws NOT_FOUND or CONFLICT for a message that the chat would reject, before its files are stored. */
async function checkChat({ db, runs }: GenerationDeps, principal: Principal, input: Message): Promise<void> {
  // A chat that does not exist is not created by a rejected message.
  if (input.chat) {
    const { session } = await findChat(db.prisma, principal, input.chat);
    if (session && (await runs.ofSession(session.id))) throw new SessionBusyError(session.id);
  } else if (input.sessionId) {
    const where = { ...visible.chatSessions(principal), id: input.sessionId };
    if ((await db.prisma.chatSession.count({ where })) === 0) throw notFound('CHAT_SESSION_NOT_FOUND');
  }
}

/**
 * Stores the files that are sent within a message, and calls `prepare` with a message that refers to them. They are
 * deleted if it throws. Throws FORBIDDEN without `write:projects`, BAD_USER_INPUT for a file that is rejected.
 */
export async function withStoredFiles<T>(
  deps: GenerationDeps,
  principal: Principal,
  input: Message,
  prepare: (input: Message) => Promise<T>,
): Promise<T> {
  const { files } = deps;
  const { attachments, fileIds } = input;
  if (!attachments?.length) return prepare(input);
  demand(principal, 'write:projects');
  if (attachments.length + (fileIds?.length ?? 0) > maxFiles)
    throw badInput(['input', 'attachments'], `must have at most ${maxFiles} items together with \`fileIds\``);
  const uploads = attachments.map((attachment, index) => decoded(attachment, index, files.refusal));
  await checkChat(deps, principal, input);
  const { files: stored } = await files.upload(principal, uploads);
  try {
    return await prepare({ ...input, fileIds: [...(fileIds ?? []), ...stored.map(({ id }) => id)] });
  } catch (error) {
    await Promise.allSettled(stored.map(({ id }) => files.delete(principal, id)));
    throw error;
  }
}
