import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, notFound, parse } from '../../errors.ts';
import type { ChatModels } from '../../models/providers.ts';
import { estimateTokens } from '../../models/tokens.ts';
import type { Database } from '../../store/database.ts';
import { databaseId } from '../input.ts';
import { instructionsOf } from '../projects/projects.service.ts';
import { usableAgent } from './new-session.ts';
import { modelOf, promptedBy } from './overrides.ts';
import { promptRoom } from './prompt.ts';

const Subject = z.object({ sessionId: z.uuid().nullish(), agentId: databaseId.nullish() });
export type ContextSubject = z.input<typeof Subject>;

/** How much of a model's window is left before anything is said. */
export function contextService(db: Database, models: ChatModels) {
  /** What of a session matters here. Throws NOT_FOUND. */
  async function findSession(principal: Principal, id: string) {
    const session = await db.prisma.chatSession.findFirst({
      where: { AND: [visible.chatSessions(principal), { id }] },
      select: { agentId: true, projectId: true, model: true, systemPrompt: true, taskPrompt: true },
    });
    if (!session) throw notFound('Chat session');
    return session;
  }

  /** A session that nobody set anything of: of a token that is confined to a project, in that. */
  const unset = ({ credential }: Principal, agentId: number) => ({
    agentId,
    projectId: credential.projectId,
    model: null,
    systemPrompt: null,
    taskPrompt: null,
  });

  return {
    /**
     * The tokens that passages, files, history and question may have together in a turn of a session, or of a new one
     * with an agent: what the instructions of agent and project, and the prompts that the session was given, leave of the
     * prompt's share of the window. Estimated as turns do, and the same whatever was said. Exactly one of the two is to
     * be given. Throws BAD_USER_INPUT, and NOT_FOUND also for a session whose agent the principal cannot use.
     */
    async available(principal: Principal, subject: ContextSubject): Promise<number> {
      const { sessionId, agentId } = parse(Subject, subject, []);
      if ((sessionId == null) === (agentId == null))
        throw badInput([sessionId == null ? 'sessionId' : 'agentId'], 'give either sessionId or agentId');
      const session = sessionId != null ? await findSession(principal, sessionId) : unset(principal, agentId as number);
      const agent = promptedBy(await usableAgent(db.prisma, principal, session.agentId), session);
      const projectInstructions = await instructionsOf(db.prisma, session.projectId);
      const { contextWindow } = modelOf(models, session, agent);
      const room = promptRoom({ agent, projectInstructions, contextWindow });
      return Math.max(room - estimateTokens(agent.taskPrompt), 0);
    },
  };
}

export type ContextService = ReturnType<typeof contextService>;
