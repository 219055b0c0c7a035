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

const mayBeTruncated = 'If older questions are left out, the header `X-Truncated` is `true`.';

const Pairs = z
  .array(
    z.object({
      id: z.int(),
      prompt: z.string(),
      response: z.string(),
      sent_at: z.iso.datetime(),
      attachments: z.array(z.unknown()).max(0),
      workspace: z.string(),
      username: z.string(),
      rating: z.enum(['--', 'GOOD', 'BAD']),
    }),
  )
  .openapi({ description: `The format json. ${mayBeTruncated}` });
const AlpacaPairs = z
  .array(z.object({ instruction: z.string(), input: z.string(), output: z.string() }))
  .openapi({ description: `The format jsonAlpaca. ${mayBeTruncated}` });
const Lines = z
  .union([z.string(), z.array(z.object({ role: z.string(), content: z.array(z.object({ text: z.string() })) }))])
  .openapi({
    description: `The format jsonl. Each line is \`{ messages }\`: the conversation with one workspace, as a list of \`{ role, content }\`. ${mayBeTruncated}`,
  });

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
    reply: z.string(),
    format: 'text',
    content: {
      [mediaTypes.JSON_LINES]: Lines,
      [mediaTypes.CSV]: z.string().openapi({ description: `The format csv. ${mayBeTruncated}` }),
      [mediaTypes.JSON]: z.union([Pairs, AlpacaPairs]),
    },
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
