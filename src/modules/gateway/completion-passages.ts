import type { ChatModel } from '../../ai/providers.ts';
import type { Principal } from '../../authz/principal.ts';
import type { Agent } from '../../generated/prisma/client.ts';
import { gatherAttachments } from '../chat/attachments.ts';
import type { NumberedHit } from '../chat/events.ts';
import type { GenerationDeps } from '../chat/generation.ts';
import { findPassages, needsSearch, searchActions } from '../chat/passages.ts';

/**
 * Returns the numbered passages for a question; null when the agent does not search and has no files or documents.
 */
export async function passagesFor(
  deps: GenerationDeps,
  principal: Principal,
  { agent, question, model }: { agent: Agent; question: string; model: ChatModel },
  signal: AbortSignal,
): Promise<NumberedHit[] | null> {
  const asked = { agent, projectId: null, projectInstructions: null, question, questionId: 0, earlierIds: [], model };
  const attachments = await gatherAttachments(deps, principal, asked, signal);
  const { standing } = attachments;
  const searches = (await searchActions(deps.db.prisma, agent)).length > 0;
  if (!needsSearch({ searches, attachments })) return standing.length > 0 ? standing : null;
  return [...standing, ...(await findPassages(deps.knowledge, principal, { ...asked, searches, attachments }))];
}
