import { z } from '@hono/zod-openapi';
import { badInput } from '../../errors.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql } from '../graphql.ts';
import { anythingllm } from './dialect.ts';
import { DocumentFields, detailsOf, passageId } from './document-shapes.ts';
import { numberOf } from './shapes.ts';

const SearchBody = z
  .object({
    query: z.string().catch('').openapi({ type: 'string' }),
    topN: z.preprocess(numberOf, z.number().min(1).nullable().catch(null)).openapi({
      type: 'integer',
      description: 'Maximum number of results, at most 100. Defaults to the maximum that is set in the workspace.',
    }),
    scoreThreshold: z
      .preprocess(numberOf, z.number().min(0).max(1).nullable().catch(null))
      .openapi({ type: 'number', minimum: 0, maximum: 1 }),
  })
  .openapi('AnythingLLMVectorSearch');

const FoundPassage = z
  .object({
    id: z.string(),
    text: z.string(),
    metadata: z.object({
      url: z.string(),
      title: z.string(),
      author: z.string(),
      description: z.string(),
      docSource: z.string(),
      chunkSource: z.string(),
      published: z.string(),
      wordCount: z.int(),
      tokenCount: z.int(),
    }),
    distance: z.number(),
    score: z.number(),
  })
  .openapi('AnythingLLMFoundPassage');

export const vectorSearchEndpoints: AnyEndpoint[] = [
  endpoint({
    tag: 'AnythingLLM system',
    dialect: anythingllm,
    method: 'get',
    path: '/v1/system/vector-count',
    summary: 'Count the passages in the documents that the caller can read',
    reply: z.object({ vectorCount: z.int() }),
    document: graphql(`query CountPassages { passageCount }`),
    variables: () => ({}),
    output: ({ passageCount }) => ({ vectorCount: passageCount }),
  }),
  endpoint({
    tag: 'AnythingLLM workspaces',
    dialect: anythingllm,
    method: 'post',
    path: '/v1/workspace/{slug}/vector-search',
    summary: 'Search the documents of a workspace',
    params: z.object({ slug: z.string() }),
    body: SearchBody,
    reply: z
      .object({ results: z.array(FoundPassage), message: z.string().optional() })
      .openapi('AnythingLLMVectorSearchResult'),
    document: graphql(
      `query SearchAgent($query: String!, $slug: String!, $first: Int, $minScore: Float) {
        passagesOfAgent(agent: { slug: $slug })
        search(query: $query, agent: { slug: $slug }, first: $first, minScore: $minScore) {
          documentId position text score
          document { ...AnythingLLMDocument }
        }
      }`,
      [DocumentFields],
    ),
    variables: ({ params: { slug }, body: { query, topN, scoreThreshold } }) => {
      if (query.trim() === '') throw badInput(['body', 'query'], 'Query parameter cannot be empty.');
      return {
        ...{ query, slug, minScore: scoreThreshold },
        first: topN === null ? null : Math.min(Math.floor(topN), 1000),
      };
    },
    output: ({ passagesOfAgent, search }) => ({
      results: search.flatMap(({ documentId, position, text, score, document }) => {
        if (!document) return [];
        const { id: _, docAuthor: author, token_count_estimate: tokenCount, ...known } = detailsOf(document);
        const { url, title, ...others } = known;
        const metadata = { url, title, author, ...others, tokenCount };
        return [{ id: passageId(documentId, position), text, metadata, distance: 1 - score, score }];
      }),
      ...(passagesOfAgent === 0 && { message: 'No embeddings found for this workspace.' }),
    }),
    failure: (error, input) => {
      const { slug = '' } = (input?.params ?? {}) as { slug?: string };
      if (error.code === 'NOT_FOUND')
        return { status: 400, body: { message: `Workspace ${slug} is not a valid workspace.` } };
      return error.code === 'BAD_USER_INPUT'
        ? { status: 400, body: { message: error.details.fields?.[0]?.message ?? error.message } }
        : null;
    },
  }),
];
