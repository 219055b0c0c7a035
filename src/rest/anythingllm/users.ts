import { z } from '@hono/zod-openapi';
import type { Failure } from '../dialect.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql } from '../graphql.ts';
import { everything, id } from '../shapes.ts';
import { anythingllm } from './dialect.ts';
import { multiUserOnly } from './mode.ts';
import { roleName, usernameOf } from './shapes.ts';

const tag = 'AnythingLLM administration';

const page = (status: number, body: string): Failure => ({
  status,
  body,
  headers: { 'Content-Type': 'text/html; charset=utf-8' },
});

const noPeople = page(401, 'Instance is not in Multi-User mode. Permission denied.');
/** Such a token would be a login in a URL, which ends up in histories and logs. */
const noSimpleSso = page(
  403,
  'Simple SSO is not enabled. It must be enabled to validate or issue temporary auth tokens.',
);

export const userManagementEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/users',
    tag,
    summary: 'List the active users',
    dialect: anythingllm,
    gate: { ...multiUserOnly, refusal: noPeople },
    reply: z
      .object({
        users: z.array(z.object({ id: z.int(), username: z.string(), role: z.enum(['admin', 'default']) })),
      })
      .openapi('AnythingLLMDirectory'),
    document: graphql(
      `query AnythingLLMDirectory($first: Int!) { users(first: $first) { nodes { number username email role } } }`,
    ),
    variables: () => ({ first: everything }),
    output: ({ users }) => ({
      users: users.nodes.map((user) => ({
        id: user.number,
        username: usernameOf(user),
        role: roleName(user.role ?? 'BASIC'),
      })),
    }),
  }),
  endpoint({
    method: 'get',
    path: '/v1/users/{id}/issue-auth-token',
    tag,
    summary: 'Issue a login token (not supported: this server does not accept logins in URLs)',
    dialect: anythingllm,
    gate: { isOpen: async () => false, refusal: noSimpleSso },
    params: z.object({ id }),
    reply: z.object({ token: z.string(), loginPath: z.string() }).openapi('AnythingLLMAuthToken', {
      description: 'Never returned, because simple SSO cannot be enabled on this server.',
    }),
    document: graphql(`query IssueAuthToken { allUsers(first: 0) { totalCount } }`),
    variables: () => ({}),
    output: () => ({ token: '', loginPath: '' }),
  }),
];
