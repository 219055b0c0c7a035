import { z } from 'zod';
import { demand, type Principal } from '../../authz/principal.ts';
import { badInput, parse } from '../../errors.ts';
import type { ChatSession, Prisma } from '../../generated/prisma/client.ts';
import { shortened } from '../../unicode.ts';
import { plainText } from '../../zod-types.ts';
import { changesOf, clearList } from '../changes.ts';
import type { ChatDeps } from './chat-deps.ts';
import { chosenModel, modelOverrides } from './overrides.ts';
import { ownSession } from './own-session.ts';

const UpdateChatSession = z.object({
  name: plainText(500).nullish(),
  generateName: z.boolean().nullish(),
  sharing: z.enum(['PRIVATE', 'PUBLIC']).nullish(),
  ...modelOverrides,
  clear: clearList(['model', 'temperature', 'reasoningEffort']),
});

type UpdateChatSessionInput = z.input<typeof UpdateChatSession>;

/** Maximum length of a name that is generated from a first message, in characters. */
const generatedName = 60;

/** Returns a name that is derived from the first message of a session. */
async function nameFromMessages(transaction: Prisma.TransactionClient, sessionId: string): Promise<string> {
  const first = await transaction.chatMessage.findFirst({
    where: { sessionId, role: 'USER' },
    orderBy: { id: 'asc' },
    select: { text: true },
  });
  const line = first?.text.trim().split('\n')[0] ?? '';
  return shortened(line, generatedName) || 'New chat';
}

export const sessionUpdates = ({ db, models }: Pick<ChatDeps, 'db' | 'models'>) => ({
  /**
   * Renames a session, shares or unshares it, and sets its model and the model's options. Null or absent fields are
   * left unchanged; a field in `clear` is reset to the value of the agent or the server. `generateName` derives the
   * session's name from its first message. Throws NOT_FOUND, BAD_USER_INPUT, also for an unknown model, and FORBIDDEN
   * for `generateName` without `read:chat`, because the name would reveal a message.
   */
  async update(principal: Principal, id: string, input: UpdateChatSessionInput): Promise<ChatSession> {
    const { generateName, ...data } = changesOf(parse(UpdateChatSession, input));
    if (generateName && data.name !== undefined)
      throw badInput(['input', 'generateName'], 'cannot be combined with `name`');
    if (generateName) demand(principal, 'read:chat');
    const model = data.model == null ? data.model : chosenModel(models, data.model).modelId;
    return db.prisma.$transaction(async (transaction) => {
      await ownSession(transaction, principal, id);
      return transaction.chatSession.update({
        where: { id },
        data: {
          ...data,
          ...(model !== undefined && { model }),
          ...(generateName && { name: await nameFromMessages(transaction, id) }),
        },
      });
    });
  },
});
