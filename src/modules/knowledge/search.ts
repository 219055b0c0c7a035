import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput } from '../../errors.ts';
import { secondsSince } from '../../telemetry/series.ts';
import { inSpan } from '../../telemetry/tracing.ts';
import { type AgentKey, usableAgent } from '../agents/by-slug.ts';
import type { KnowledgeDeps } from './knowledge-deps.ts';
import { type Hit, type RetrieveInput, retrieve } from './retrieval.ts';

interface SearchInput {
  query: string;
  agent?: AgentKey | null | undefined;
  first?: number | null | undefined;
  minScore?: number | null | undefined;
}

export function documentSearch({ db, embedder, searches }: Pick<KnowledgeDeps, 'db' | 'embedder' | 'searches'>) {
  const find = (principal: Principal, input: RetrieveInput): Promise<Hit[]> =>
    inSpan('search', { kind: 'internal' }, async () => {
      const startedAt = performance.now();
      const hits = await retrieve(db, principal, input, embedder);
      searches?.observe(secondsSince(startedAt));
      return hits;
    });
  return {
    /**
     * Returns the best passages for a question: at most `first`, with a score of at least `minScore`. An agent provides
     * the defaults of both. Throws NOT_FOUND, BAD_USER_INPUT.
     */
    async search(principal: Principal, asked: SearchInput, limit: number): Promise<Hit[]> {
      const { query, first, minScore } = asked;
      if (minScore != null && !(minScore >= 0 && minScore <= 1))
        throw badInput(['minScore'], 'must be between 0 and 1');
      const agent = asked.agent == null ? null : await usableAgent(db.prisma, principal, asked.agent);
      const hits = await find(principal, {
        query,
        agentId: agent?.id ?? null,
        limit: Math.min(Math.max(first ?? agent?.passageLimit ?? 10, 1), limit),
      });
      const least = minScore ?? agent?.similarityThreshold ?? 0;
      return hits.filter(({ score }) => score >= least);
    },

    /** Returns passages. See {@link retrieve}. */
    retrieve: find,

    /** Returns the number of passages in readable documents. */
    passageCount: (principal: Principal): Promise<number> =>
      db.prisma.chunk.count({ where: { document: visible.documents(principal) } }),

    /** Returns the number of passages that an agent would search for the principal. Throws NOT_FOUND. */
    async passagesOfAgent(principal: Principal, key: AgentKey): Promise<number> {
      const { id, knowledge } = await usableAgent(db.prisma, principal, key);
      const own = { agents: { some: { id } } };
      const searched = { OR: [{ file: own }, { fileId: null, ...(knowledge === 'ATTACHED' && own) }] };
      return db.prisma.chunk.count({ where: { document: { AND: [visible.documents(principal), searched] } } });
    },
  };
}
