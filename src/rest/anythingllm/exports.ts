import { z } from '@hono/zod-openapi';
import { badInput } from '../../errors.ts';
import type { HistoryFormat } from '../../modules/history/export.ts';
import { cutText } from '../../unicode.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql } from '../graphql.ts';
import { anythingllm } from './dialect.ts';

const formats = { json: 'JSON', csv: 'CSV', jsonl: 'JSON_LINES', jsonAlpaca: 'JSON_ALPACA' } as const;

/** Throws BAD_USER_INPUT. */
function formatOf(type: string): HistoryFormat {
  if (!Object.hasOwn(formats, type))
    throw badInput(
      ['query', 'type'],
      `Invalid export type: ${cutText(type, 100)}. Must be one of ${Object.keys(formats).join(', ')}`,
    );
  return formats[type as keyof typeof formats];
}

export const exportEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/system/export-chats',
    tag: 'AnythingLLM system',
    summary: 'What everybody asked and was answered, oldest first: the newest 10,000 questions',
    dialect: anythingllm,
    query: z.object({
      type: z
        .union([z.string(), z.array(z.string()).transform((types) => types.join(','))])
        .default('jsonl')
        .openapi({ type: 'string', description: 'jsonl, json, csv or jsonAlpaca; jsonl unless given.' }),
    }),
    reply: z
      .union([z.string(), z.array(z.object({ role: z.string(), content: z.array(z.object({ text: z.string() })) }))])
      .openapi({
        description:
          'A file of that type. Of jsonl each line is `{ messages }`, the conversation with one workspace, a list of `{ role, content }`. Where there are older questions than it holds, the header `X-Truncated` says `true`.',
      }),
    format: 'text',
    headers: ({ exportQueryHistory: { mediaType, truncated } }) => ({
      'Content-Type': `${mediaType}; charset=utf-8`,
      ...(truncated && { 'X-Truncated': 'true' }),
    }),
    document: graphql(
      `query ExportChats($format: QueryHistoryFormat!) {
        exportQueryHistory(format: $format) { mediaType content truncated }
      }`,
    ),
    variables: ({ query }) => ({ format: formatOf(query.type) }),
    output: ({ exportQueryHistory }) => exportQueryHistory.content,
    failure: ({ code, details, message }) =>
      code === 'BAD_USER_INPUT' ? { status: 400, body: { message: details.fields?.[0]?.message ?? message } } : null,
  }),
];
