import { builder } from '../../graphql/builder.ts';
import { maxPage } from '../../paging.ts';
import { AgentLocatorInput, agentKey } from '../agents/agents.graphql.ts';
import { SearchHit } from './knowledge.graphql.ts';

builder.queryFields((t) => ({
  search: t.withAuth({ permission: 'read:search' }).field({
    type: [SearchHit],
    listSize: ({ first, agent }) => Math.min(first ?? (agent == null ? 10 : maxPage), maxPage),
    description: 'Passages of the documents that the caller can read, best first.',
    args: {
      query: t.arg.string({
        required: true,
        description:
          'A question or words; a "phrase" ranks higher, a -word lower. Only the first 4,000 characters are used.',
      }),
      first: t.arg.int({
        description: 'Maximum number of passages; at most 100. Defaults to the `passageLimit` of the agent, or to 10.',
      }),
      agent: t.arg({
        type: AgentLocatorInput,
        description: 'Restricts the search to the documents that this agent searches, with its limits as defaults.',
      }),
      minScore: t.arg.float({
        description: 'Minimum score of a passage, 0 to 1. Defaults to the `similarityThreshold` of the agent, or to 0.',
      }),
    },
    resolve: async (_root, { agent, ...args }, { principal, services, pageLimit }) => {
      const asked = { ...args, agent: agent && agentKey(agent, ['agent']) };
      const hits = await services.knowledge.search(principal, asked, pageLimit);
      const documents = services.knowledge.documentsOf(principal, hits);
      return hits.map((hit) => ({ ...hit, document: async () => (await documents()).get(hit.documentId) ?? null }));
    },
  }),
  passagesOfAgent: t.withAuth({ permission: 'read:search' }).int({
    description: 'The number of passages that an agent would search for the caller.',
    args: {
      agent: t.arg({ type: AgentLocatorInput, required: true, description: 'The agent, by its ID or by its slug.' }),
    },
    resolve: (_root, { agent }, { principal, services }) =>
      services.knowledge.passagesOfAgent(principal, agentKey(agent, ['agent'])),
  }),
  passageCount: t.withAuth({ permission: 'manage:documents' }).int({
    description: 'The number of passages in the documents that the caller can read.',
    resolve: (_root, _args, { principal, services }) => services.knowledge.passageCount(principal),
  }),
}));
