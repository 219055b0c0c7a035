import { z } from 'zod';
import type { ChatModels } from '../../ai/providers.ts';
import { estimateTokens } from '../../ai/tokens.ts';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, notFound, parse } from '../../errors.ts';
import type { Database } from '../../store/database.ts';
import { databaseId } from '../../zod-types.ts';
import { instructionsOf } from '../projects/project-instructions.ts';
import { usableAgent } from './new-session.ts';
import { modelOf, promptedBy } from './overrides.ts';
import { promptRoom } from './prompt.ts';

const Subject = z.object({ sessionId: z.uuid().nullish(), agentId: databaseId.nullish() });
export type ContextSubject = z.input<typeof Subject>;

/** Creates the service that computes the available tokens of a model's context window. */
export function createContextService(db: Database, models: ChatModels) {
  /** Returns the relevant fields of a session. Throws NOT_FOUND. */
  async function findSession(principal: Principal, id: string) {
    const session = await db.prisma.chatSession.findFirst({
      where: { AND: [visible.chatSessions(principal), { id }] },
      select: { agentId: true, projectId: true, model: true, systemPrompt: true, taskPrompt: true },
    });
    if (!session) throw notFound('CHAT_SESSION_NOT_FOUND');
    return session;
  }

  /** A session with default values; for a project token, a session in its project. */
  const unset = ({ credential }: Principal, agentId: number) => ({
    agentId,
    projectId: credential.projectId,
    model: null,
    systemPrompt: null,
    taskPrompt: null,
  });

  return {
    /**
     * Returns the tokens available for passages, files, history and the question in a turn of a session, or of a new
     * session with an agent: the prompt's share of the context window minus the instructions of the agent and the
     * project and the session's own prompts. Estimated as in turns, and independent of earlier messages. Exactly one of
     * the two must be given. Throws BAD_USER_INPUT, and NOT_FOUND also for a session whose agent the principal cannot
     * use.
     */
    async available(principal: Principal, subject: ContextSubject): Promise<number> {
      const { sessionId, agentId } = parse(Subject, subject, []);
      if ((sessionId == null) === (agentId == null))
        throw badInput(
          [sessionId == null ? 'sessionId' : 'agentId'],
          'is required: give either `sessionId` or `agentId`',
        );
      const session = sessionId != null ? await findSession(principal, sessionId) : unset(principal, agentId as number);
      const agent = promptedBy(await usableAgent(db.prisma, principal, session.agentId), session);
      const projectInstructions = await instructionsOf(db.prisma, session.projectId);
      const { contextWindow } = modelOf(models, session, agent);
      const room = promptRoom({ agent, projectInstructions, contextWindow });
      return Math.max(room - estimateTokens(agent.taskPrompt), 0);
    },
  };
}
