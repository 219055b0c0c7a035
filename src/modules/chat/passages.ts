import type { Principal } from '../../authz/principal.ts';
import type { Agent, Prisma } from '../../generated/prisma/client.ts';
import type { KnowledgeService } from '../knowledge/knowledge.service.ts';
import type { Attachments } from './attachments.ts';
import { numberHits } from './citations.ts';
import type { NumberedHit } from './events.ts';

/** A search for the passages of an answer. */
interface PassagesRequest {
  agent: Agent;
  projectId: number | null;
  question: string;
  /** True when the agent searches all of its documents, rather than only those that are too long to be included. */
  searches: boolean;
  attachments: Pick<Attachments, 'files' | 'longFiles' | 'earlierFiles' | 'standing' | 'searchable'>;
  sources?: string[] | undefined;
  since?: Date | null;
  tags?: { key: string; value: string }[] | undefined;
}

/** Returns the IDs of the search actions of an agent. */
export const searchActions = (db: Pick<Prisma.TransactionClient, 'action'>, agent: Pick<Agent, 'id'>) =>
  db.action.findMany({
    where: { builtinKey: 'SearchTool', agents: { some: { id: agent.id } } },
    select: { id: true },
  });

/** Returns whether there is anything to search: files that are too long are searched in any case. */
export const needsSearch = ({ searches, attachments }: Pick<PassagesRequest, 'searches' | 'attachments'>): boolean =>
  searches || attachments.searchable || attachments.longFiles.length > 0;

/**
 * Searches for passages and numbers them after the attachments, without those below the score threshold of the agent. A
 * request without search still finds the files of its agent or project that are too long to be included in full.
 */
export async function findPassages(
  knowledge: KnowledgeService,
  principal: Principal,
  { agent, projectId, question, searches, attachments, sources, since = null, tags }: PassagesRequest,
): Promise<NumberedHit[]> {
  const { files, longFiles, earlierFiles, standing, searchable } = attachments;
  const given = [...files, ...earlierFiles, ...standing];
  const limit = agent.passageLimit;
  const inFiles =
    longFiles.length === 0 ? [] : await knowledge.retrieve(principal, { query: question, only: longFiles, limit });
  const elsewhere =
    searches || searchable
      ? await knowledge.retrieve(principal, {
          query: question,
          agentId: agent.id,
          projectId,
          attachedOnly: !searches,
          except: given.map(({ documentId }) => documentId),
          limit,
          sources,
          since,
          tags,
        })
      : [];
  const alike = elsewhere.filter(({ score }) => score >= agent.similarityThreshold);
  return numberHits([...given, ...inFiles, ...alike]).slice(given.length);
}
