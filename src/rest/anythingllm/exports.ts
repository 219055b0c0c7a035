import { z } from '@hono/zod-openapi';
import { badInput } from '../../errors.ts';
import { type HistoryFormat, mediaTypes } from '../../modules/history/export.ts';
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
    summary: 'Export the newest 10,000 questions of all users with their answers, oldest first',
    dialect: anythingllm,
    query: z.object({
      type: z
        .union([z.string(), z.array(z.string()).transform((types) => types.join(','))])
        .default('jsonl')
        .openapi({
          type: 'string',
          description: 'The file format: jsonl, json, csv or jsonAlpaca. Defaults to jsonl.',
        }),
    }),
    reply: z
      .union([z.string(), z.array(z.object({ role: z.string(), content: z.array(z.object({ text: z.string() })) }))])
      .openapi({
        description:
          'A file in the requested format. Each line of a jsonl file is `{ messages }`: the conversation with one workspace, as a list of `{ role, content }`. If older questions are left out, the header `X-Truncated` is `true`.',
      }),
    format: 'text',
    mediaTypes: [...new Set(Object.values(mediaTypes))],
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
