import { z } from '@hono/zod-openapi';
import type { Failure } from '../dialect.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql, type ResultOf } from '../graphql.ts';
import { everything, id, isoDate } from '../shapes.ts';
import { anythingllm, anythingllmSession } from './dialect.ts';
import { multiUserOnly } from './mode.ts';
import { anyText, done, notDone, numberFrom, Outcome, problems, usernameOf } from './shapes.ts';
import { agentIdOf, workspaceIdOf } from './workspace-id.ts';

const tag = 'AnythingLLM administration';

const InviteFields = graphql(`
  fragment AnythingLLMInvite on InviteCode @_unmask {
    databaseId display status agentDatabaseIds createdAt updatedAt
    createdBy { number accountType username email }
    claimedBy { number accountType username email }
  }
`);
type InviteCode = ResultOf<typeof InviteFields>;

const statuses = { PENDING: 'pending', CLAIMED: 'claimed', DISABLED: 'disabled' } as const;
const Status = z.enum(['pending', 'claimed', 'disabled']);
const Person = z.object({ id: z.int(), username: z.string() });

const Invite = z
  .object({
    id: z.int(),
    code: z
      .string()
      .openapi({ description: 'The complete code in the response that creates it; otherwise its display form.' }),
    status: Status,
    claimedBy: Person.nullable(),
    workspaceIds: z.string().openapi({ description: 'The IDs of the workspaces, as a JSON list.' }),
    createdAt: isoDate,
    createdBy: z
      .union([Person, z.literal(0)])
      .openapi({ description: 'The user who created the code; 0 for an API key or a deleted user.' }),
    lastUpdatedAt: isoDate,
  })
  .openapi('AnythingLLMInvite');

const person = (account: InviteCode['claimedBy']) =>
  account?.accountType === 'STANDARD' ? { id: account.number, username: usernameOf(account) } : null;

const invite = (code: InviteCode, shown: string): z.input<typeof Invite> => ({
  id: code.databaseId,
  code: shown,
  status: statuses[code.status],
  claimedBy: person(code.claimedBy),
  workspaceIds: JSON.stringify(code.agentDatabaseIds.map(workspaceIdOf)),
  createdAt: code.createdAt,
  createdBy: person(code.createdBy) ?? 0,
  lastUpdatedAt: code.updatedAt,
});

const noInvite = (error: string): Failure => ({ status: 400, body: { invite: null, error } });

export const inviteEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/admin/invites',
    tag,
    summary: 'List all invite codes',
    dialect: anythingllm,
    gate: multiUserOnly,
    reply: z.object({ invites: z.array(Invite) }).openapi('AnythingLLMInvites'),
    document: graphql(
      `query AdminInvites($first: Int!) { inviteCodes(first: $first) { nodes { ...AnythingLLMInvite } } }`,
      [InviteFields],
    ),
    variables: () => ({ first: everything }),
    output: ({ inviteCodes }) => ({ invites: inviteCodes.nodes.map((code) => invite(code, code.display)) }),
  }),
  endpoint({
    method: 'post',
    path: '/v1/admin/invite/new',
    tag,
    summary: 'Create an invite code for one new account',
    dialect: anythingllm,
    gate: multiUserOnly,
    body: z
      .object({
        workspaceIds: z
          .preprocess(
            (value) => value ?? [],
            z.array(z.preprocess(numberFrom, z.number().int()), 'must be a list of ids'),
          )
          .openapi({
            type: 'array',
            items: { type: 'integer' },
            description: 'The IDs of the workspaces that the new user joins. Defaults to an empty list.',
          }),
      })
      .openapi('AnythingLLMNewInvite'),
    reply: z.object({ invite: Invite, error: z.null() }).openapi('AnythingLLMNewInviteResponse'),
    document: graphql(
      `mutation AdminNewInvite($input: CreateInviteCodeInput!) {
        createInviteCode(input: $input) { code inviteCode { ...AnythingLLMInvite } }
      }`,
      [InviteFields],
    ),
    variables: ({ body }) => ({ input: { agentIds: body.workspaceIds.map((id) => String(agentIdOf(id))) } }),
    output: ({ createInviteCode: { code, inviteCode } }) => ({ invite: invite(inviteCode, code), error: null }),
    invalid: (error) => (error.details.fields?.[0]?.path[1] === undefined ? null : noInvite(problems(error))),
    failure: (error) =>
      error.code === 'BAD_USER_INPUT' ? noInvite(problems(error).replace(/^agentIds/, 'workspaceIds')) : null,
  }),
  endpoint({
    method: 'delete',
    path: '/v1/admin/invite/{id}',
    tag,
    summary: 'Disable an invite code',
    dialect: anythingllm,
    gate: multiUserOnly,
    params: z.object({ id }),
    reply: Outcome,
    document: graphql(
      `mutation AdminDisableInvite($id: ID!) {
        disableInviteCode(input: { id: $id }) { inviteCode { databaseId } }
      }`,
    ),
    variables: ({ params }) => ({ id: String(params.id) }),
    output: () => done,
    invalid: () => notDone(400, 'Invalid invite id'),
    failure: ({ code }) => (code === 'NOT_FOUND' ? notDone(404, 'Invite not found or already disabled') : null),
  }),
  endpoint({
    method: 'get',
    path: '/invite/{code}',
    tag,
    summary: 'Check whether an invite code is valid',
    dialect: anythingllmSession,
    params: z.object({ code: z.string() }),
    reply: z
      .object({ invite: z.object({ code: z.string(), status: Status }).nullable(), error: z.string().nullable() })
      .openapi('AnythingLLMInviteStatus'),
    document: graphql(`query InviteStatus($code: String!) { invite(code: $code) { status } }`),
    variables: ({ params }) => ({ code: params.code }),
    output: ({ invite: found }, { params }) => {
      if (found?.status === 'PENDING')
        return { invite: { code: params.code, status: 'pending' as const }, error: null };
      return { invite: null, error: found ? 'Invite is no longer valid.' : 'Invite not found.' };
    },
  }),
  endpoint({
    method: 'post',
    path: '/invite/{code}',
    tag,
    summary: 'Create an account with an invite code',
    dialect: anythingllmSession,
    params: z.object({ code: z.string() }),
    body: z.object({ username: anyText, password: anyText }).openapi('AnythingLLMAcceptInvite'),
    reply: Outcome,
    document: graphql(
      `mutation AcceptInvite($input: AcceptInviteInput!) { acceptInvite(input: $input) { user { id } } }`,
    ),
    variables: ({ params, body }) => ({ input: { code: params.code, ...body } }),
    output: () => done,
    failure: (error) => {
      if (error.code === 'NOT_FOUND') return notDone(200, 'Invite not found or is invalid.');
      if (error.code === 'RATE_LIMITED') return notDone(429, error.message);
      return error.code === 'BAD_USER_INPUT' || error.code === 'CONFLICT' ? notDone(200, problems(error)) : null;
    },
  }),
];
