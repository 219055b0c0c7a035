import { z } from '@hono/zod-openapi';
import { AppError } from '../../errors.ts';
import type { Failure } from '../dialect.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { granted, graphql, type ResultOf } from '../graphql.ts';
import { id, isoDate } from '../shapes.ts';
import { anythingllm } from './dialect.ts';
import { multiUserOnly } from './mode.ts';
import { numberFrom, roleName, usernameOf } from './shapes.ts';
import { agentIdOf } from './workspace-id.ts';

const tag = 'AnythingLLM administration';

const MemberFields = graphql(`
  fragment WorkspaceMember on AgentShare @_unmask { user { number username email role updatedAt } }
`);

const Member = z
  .object({
    userId: z.int(),
    username: z.string().openapi({ description: 'The username, or the email address of a user without a username.' }),
    role: z.enum(['admin', 'default']),
    lastUpdatedAt: isoDate,
  })
  .openapi('WorkspaceMember');
const Members = z.array(Member);

const members = (shares: readonly ResultOf<typeof MemberFields>[]): z.input<typeof Members> =>
  shares
    .map(({ user }) => ({
      userId: user.number,
      username: usernameOf(user),
      role: roleName(user.role),
      lastUpdatedAt: granted(user, 'updatedAt').updatedAt,
    }))
    .sort((a, b) => a.userId - b.userId);

/** An invalid ID is ignored like an unknown one. */
const userIds = z
  .array(z.unknown())
  .transform((list) => list.map(numberFrom).filter((number) => id.safeParse(String(number)).success))
  .openapi({
    type: 'array',
    items: { type: 'integer' },
    description: 'The integer IDs of the users; at most 1,000. Unknown IDs are ignored.',
  });

const ChangeMembers = graphql(
  `mutation ChangeMembers($input: ChangeAgentMembersInput!) {
    changeAgentMembers(input: $input) { foundCount members(first: 2147483647) { nodes { ...WorkspaceMember } } }
  }`,
  [MemberFields],
);

const unsuccessful = (status: number, error: string, more: object = {}): Failure => ({
  status,
  body: { success: false, error, ...more },
});

/** The response to a body without a list of IDs, or with a list that is too long. */
const noList =
  (more: object = {}) =>
  ({ code, details }: AppError): Failure | null =>
    code === 'BAD_USER_INPUT' && details.fields?.[0]?.path[0] !== 'path'
      ? unsuccessful(400, 'userIds must be a list of at most 1,000 user IDs.', more)
      : null;

/** No member was changed; the error carries the current members. */
class NobodyFound extends AppError {
  constructor(readonly users: z.input<typeof Members>) {
    super('NOT_FOUND', 'USER_NOT_FOUND', 'No valid user IDs provided.');
  }
}

export const memberEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/admin/workspaces/{workspaceId}/users',
    tag,
    summary: 'List the members of a workspace',
    dialect: anythingllm,
    gate: multiUserOnly,
    params: z.object({ workspaceId: id }),
    reply: z.object({ users: Members }).openapi('WorkspaceMembers'),
    document: graphql(
      `query WorkspaceMembers($id: ID!) {
        agentMembers(agent: { id: $id }, first: 2147483647) { nodes { ...WorkspaceMember } }
      }`,
      [MemberFields],
    ),
    variables: ({ params }) => ({ id: String(agentIdOf(params.workspaceId)) }),
    output: ({ agentMembers }) => ({ users: members(agentMembers.nodes) }),
    failure: ({ code }) => (code === 'NOT_FOUND' ? { status: 200, body: { users: [] } } : null),
  }),
  endpoint({
    method: 'post',
    path: '/v1/admin/workspaces/{workspaceId}/update-users',
    tag,
    summary: 'Make a workspace private and replace its members',
    dialect: anythingllm,
    gate: multiUserOnly,
    params: z.object({ workspaceId: id }),
    body: z.object({ userIds }).openapi('UpdateWorkspaceUsers'),
    reply: z.object({ success: z.literal(true), error: z.null() }).openapi('UpdatedWorkspaceUsers'),
    document: ChangeMembers,
    variables: ({ params, body }) => ({
      input: { agent: { id: String(agentIdOf(params.workspaceId)) }, userIds: body.userIds.map(String), replace: true },
    }),
    output: () => ({ success: true as const, error: null }),
    invalid: noList(),
    failure: (error) =>
      error.code === 'NOT_FOUND' ? { status: 200, body: { success: true, error: null } } : noList()(error),
  }),
  endpoint({
    method: 'post',
    path: '/v1/admin/workspaces/{workspaceSlug}/manage-users',
    tag,
    summary: 'Make a workspace private and add or replace members',
    dialect: anythingllm,
    gate: multiUserOnly,
    params: z.object({ workspaceSlug: z.string() }),
    body: z
      .object({
        userIds,
        reset: z
          .unknown()
          .optional()
          .transform((value) => value === true || value === 'true')
          .openapi({
            type: 'boolean',
            description: 'If true, the listed users replace the current members. Defaults to false: they are added.',
          }),
      })
      .openapi('ManageWorkspaceUsers'),
    reply: z.object({ success: z.literal(true), error: z.null(), users: Members }).openapi('ManagedWorkspaceUsers'),
    document: ChangeMembers,
    variables: ({ params, body: { userIds, reset } }) => ({
      // Members are replaced only by known users.
      input: {
        agent: { slug: params.workspaceSlug },
        userIds: userIds.map(String),
        replace: reset && userIds.length > 0,
      },
    }),
    output: ({ changeAgentMembers: { foundCount, members: shares } }) => {
      const users = members(shares.nodes);
      if (foundCount === 0) throw new NobodyFound(users);
      return { success: true as const, error: null, users };
    },
    invalid: noList({ users: [] }),
    failure: (error) => {
      if (error instanceof NobodyFound) return unsuccessful(404, error.message, { users: error.users });
      return error.code === 'NOT_FOUND'
        ? unsuccessful(404, 'Workspace not found', { users: [] })
        : noList({ users: [] })(error);
    },
  }),
];
