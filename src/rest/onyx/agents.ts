import { z } from '@hono/zod-openapi';
import type { AppError } from '../../errors.ts';
import { type AnyEndpoint, type EndpointInput, endpoint } from '../endpoint.ts';
import { graphql } from '../graphql.ts';
import { everything, flag, id, nothing } from '../shapes.ts';
import {
  AgentAlone,
  AgentCard,
  AgentWhole,
  agentChange,
  agentInput,
  FullPersonaSnapshot,
  fullSnapshot,
  MinimalPersonaSnapshot,
  minimalSnapshot,
  PersonaLabel,
  PersonaShareRequest,
  PersonaSnapshot,
  PersonaUpdateRequest,
  PersonaUpsertRequest,
  personaLabel,
  shareInput,
  snapshot,
} from './agent-shapes.ts';
import { coded, detail, message } from './errors.ts';

const tag = 'Agents';

const personaParams = z.object({ persona_id: id });
const idOf = (input: EndpointInput<unknown, unknown, unknown>): number =>
  (input.params as z.infer<typeof personaParams>).persona_id;

/** The messages of the reference for lists of IDs of objects that do not exist, by the field of the body. */
const missingObjects: Record<string, string> = {
  label_ids: 'Some label IDs were not found in the database',
  document_ids: 'Some documents were not found',
  tool_ids: 'Tools not found',
  users: 'Some users were not found',
  user_file_ids: 'user_files not found',
};

/** Returns the message of an error, after the field name when the message needs it: "name must not be blank". */
const ownWords = ({ details, message }: AppError): string =>
  details.fields
    ?.map(({ path, message, reason }) => {
      if (reason === 'BUILT_IN') return 'Cannot update builtin persona with non-builtin.';
      // The users of a body that shares an agent are in one of two fields.
      if (reason === 'MISSING_OBJECTS') return missingObjects[String(path[1] ?? 'users')] ?? message;
      return path.length < 2 || /^[A-Z]/.test(message) ? message : `${path.slice(1).join('.')} ${message}`;
    })
    .join('; ') ?? message;

const badRequest: AnyEndpoint['failure'] = (error) => {
  if (error.code === 'CONFLICT') return detail(400, error.message);
  return error.code === 'BAD_USER_INPUT' ? detail(400, ownWords(error)) : null;
};

/**
 * The agent does not exist or belongs to another user. An error without an input concerns the credential, which the
 * dialect handles.
 */
const outOfReach = (error: AppError, input: EndpointInput<unknown, unknown, unknown> | null) =>
  input !== null && (error.code === 'NOT_FOUND' || error.code === 'FORBIDDEN');

const unauthorized: AnyEndpoint['failure'] = (error, input) =>
  input && outOfReach(error, input)
    ? detail(403, `Persona with ID ${idOf(input)} does not exist or user is not authorized to access it`)
    : (badRequest(error, input) ?? null);

const pageQuery = z.object({
  page_num: z.coerce.number().int().min(0).max(1_000_000).default(0),
  page_size: z.coerce.number().int().min(1).max(1000).default(10),
  include_deleted: flag.default(false),
  get_editable: flag.default(false),
  include_default: flag.default(true),
});

const pageVariables = ({ query }: { query: z.infer<typeof pageQuery> }) => ({
  first: query.page_size,
  offset: query.page_num * query.page_size,
  filter: {
    includeDeleted: query.include_deleted,
    editable: query.get_editable,
    includeBuiltin: query.include_default,
  },
});

const CurateAgent = graphql(
  `mutation CurateAgent($input: CurateAgentInput!) { curateAgent(input: $input) { agent { databaseId } } }`,
);

/** Returns the endpoint of a flag that administrators set, with the name of one generation. */
const curation = <Name extends string>(
  path: string,
  name: Name,
  summary: string,
  change: (on: boolean) => { isListed: boolean } | { isFeatured: boolean },
): AnyEndpoint =>
  endpoint({
    method: 'patch',
    path: `/admin/persona/{persona_id}/${path}`,
    tag,
    summary,
    params: personaParams,
    body: z.object({ [name]: z.boolean() }),
    reply: nothing,
    document: CurateAgent,
    variables: ({ params, body }) => ({
      input: { agent: { id: String(params.persona_id) }, ...change(body[name] as boolean) },
    }),
    output: () => null,
    failure: unauthorized,
  });

export const agentEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'get',
    path: '/persona',
    tag,
    summary: 'List the agents that the caller can use',
    query: z.object({
      include_deleted: flag.default(false),
      persona_ids: z
        .union([z.array(id), id.transform((one) => [one])])
        .optional()
        .openapi({
          type: 'array',
          items: { type: 'integer' },
          description: 'Returns only the agents with these IDs. Can be repeated.',
        }),
    }),
    reply: z.array(MinimalPersonaSnapshot),
    document: graphql(
      `query ListAgents($first: Int!, $filter: AgentFilter!) { agents(first: $first, filter: $filter) { nodes { ...AgentCard } } }`,
      [AgentCard],
    ),
    variables: ({ query }) => ({
      first: everything,
      filter: { includeDeleted: query.include_deleted, ids: query.persona_ids?.map(String) },
    }),
    output: ({ agents }) => agents.nodes.map(minimalSnapshot),
    partial: true,
  }),
  endpoint({
    method: 'get',
    path: '/agents',
    tag,
    summary: 'List the agents that the caller can use, with numbered pages',
    query: pageQuery,
    reply: z
      .object({ items: z.array(MinimalPersonaSnapshot), total_items: z.int() })
      .openapi('PaginatedReturn_MinimalPersonaSnapshot_'),
    document: graphql(
      `query PageOfAgents($first: Int!, $offset: Int!, $filter: AgentFilter!) {
        agents(first: $first, offset: $offset, filter: $filter) { totalCount nodes { ...AgentCard } }
      }`,
      [AgentCard],
    ),
    variables: pageVariables,
    output: ({ agents }) => ({ items: agents.nodes.map(minimalSnapshot), total_items: agents.totalCount }),
    partial: true,
  }),
  endpoint({
    method: 'get',
    path: '/persona/labels',
    tag,
    summary: 'List the labels of agents',
    reply: z.array(PersonaLabel),
    document: graphql(`query ListLabels($first: Int!) { labels(first: $first) { nodes { databaseId name } } }`),
    variables: () => ({ first: everything }),
    output: ({ labels }) => labels.nodes.map(personaLabel),
  }),
  endpoint({
    method: 'post',
    path: '/persona/labels',
    tag,
    summary: 'Create a label for agents',
    body: z.object({ name: z.string() }).openapi('PersonaLabelCreate'),
    reply: PersonaLabel,
    document: graphql(
      `mutation CreateLabel($input: CreateLabelInput!) { createLabel(input: $input) { label { databaseId name } } }`,
    ),
    variables: ({ body }) => ({ input: { name: body.name } }),
    output: ({ createLabel: { label } }) => personaLabel(label),
    failure: badRequest,
  }),
  endpoint({
    method: 'post',
    path: '/persona',
    tag,
    summary: 'Create an agent of the caller',
    body: PersonaUpsertRequest,
    reply: PersonaSnapshot,
    document: graphql(
      `mutation CreateAgent($input: CreateAgentInput!) { createAgent(input: $input) { agent { ...AgentWhole } } }`,
      [AgentWhole],
    ),
    variables: ({ body }) => ({ input: agentInput(body) }),
    output: ({ createAgent: { agent } }) => snapshot(agent),
    partial: true,
    failure: badRequest,
  }),
  endpoint({
    method: 'get',
    path: '/persona/{persona_id}',
    tag,
    summary: 'Get an agent by its ID',
    params: personaParams,
    reply: FullPersonaSnapshot,
    document: graphql(`query OneAgent($id: ID!) { agent(id: $id) { ...AgentAlone } }`, [AgentAlone]),
    variables: ({ params }) => ({ id: String(params.persona_id) }),
    output: ({ agent }) => fullSnapshot(agent),
    partial: true,
    failure: (error, input) =>
      input && error.code === 'NOT_FOUND'
        ? message(`Persona with ID ${idOf(input)} does not exist or does not belong to user`)
        : null,
  }),
  endpoint({
    method: 'patch',
    path: '/persona/{persona_id}',
    tag,
    summary: 'Update an agent; optional fields that are absent or null stay unchanged',
    params: personaParams,
    body: PersonaUpdateRequest,
    reply: PersonaSnapshot,
    document: graphql(
      `mutation UpdateAgent($input: UpdateAgentInput!) { updateAgent(input: $input) { agent { ...AgentWhole } } }`,
      [AgentWhole],
    ),
    variables: ({ params, body }) => ({ input: { agent: { id: String(params.persona_id) }, ...agentChange(body) } }),
    output: ({ updateAgent: { agent } }) => snapshot(agent),
    partial: true,
    failure: unauthorized,
  }),
  endpoint({
    method: 'delete',
    path: '/persona/{persona_id}',
    tag,
    summary: 'Delete an agent and keep its chats',
    params: personaParams,
    reply: nothing,
    document: graphql(
      `mutation DeleteAgent($id: ID!) { deleteAgent(input: { agent: { id: $id } }) { agent { databaseId } } }`,
    ),
    variables: ({ params }) => ({ id: String(params.persona_id) }),
    output: () => null,
    failure: (error, input) =>
      outOfReach(error, input)
        ? coded(403, 'INSUFFICIENT_PERMISSIONS', 'You can only delete agents you created.')
        : null,
  }),
  endpoint({
    method: 'patch',
    path: '/persona/{persona_id}/public',
    tag,
    summary: 'Make an agent public or private',
    params: personaParams,
    body: z.object({ is_public: z.boolean() }),
    reply: nothing,
    document: graphql(
      `mutation PublishAgent($id: ID!, $isPublic: Boolean!) {
        shareAgent(input: { agent: { id: $id }, isPublic: $isPublic }) { agent { databaseId } }
      }`,
    ),
    variables: ({ params, body }) => ({ id: String(params.persona_id), isPublic: body.is_public }),
    output: () => null,
    failure: unauthorized,
  }),
  endpoint({
    method: 'patch',
    path: '/persona/{persona_id}/share',
    tag,
    summary: 'Change the sharing settings of an agent',
    params: personaParams,
    body: PersonaShareRequest,
    reply: nothing,
    document: graphql(
      `mutation ShareAgent($input: ShareAgentInput!) { shareAgent(input: $input) { agent { databaseId } } }`,
    ),
    variables: ({ params, body }) => ({ input: { agent: { id: String(params.persona_id) }, ...shareInput(body) } }),
    output: () => null,
    failure: unauthorized,
  }),
  endpoint({
    method: 'get',
    path: '/admin/persona',
    tag,
    summary: 'List all agents for administration',
    query: z.object({ include_deleted: flag.default(false), get_editable: flag.default(false) }),
    reply: z.array(PersonaSnapshot),
    document: graphql(
      `query ListAllAgents($first: Int!, $filter: AgentFilter!) {
        allAgents(first: $first, filter: $filter) { nodes { ...AgentWhole } }
      }`,
      [AgentWhole],
    ),
    variables: ({ query }) => ({
      first: everything,
      filter: { includeDeleted: query.include_deleted, editable: query.get_editable },
    }),
    output: ({ allAgents }) => allAgents.nodes.map(snapshot),
    partial: true,
  }),
  endpoint({
    method: 'get',
    path: '/admin/agents',
    tag,
    summary: 'List all agents, with numbered pages',
    query: pageQuery,
    reply: z
      .object({ items: z.array(PersonaSnapshot), total_items: z.int() })
      .openapi('PaginatedReturn_PersonaSnapshot_'),
    document: graphql(
      `query PageOfAllAgents($first: Int!, $offset: Int!, $filter: AgentFilter!) {
        allAgents(first: $first, offset: $offset, filter: $filter) { totalCount nodes { ...AgentWhole } }
      }`,
      [AgentWhole],
    ),
    variables: pageVariables,
    output: ({ allAgents }) => ({ items: allAgents.nodes.map(snapshot), total_items: allAgents.totalCount }),
    partial: true,
  }),
  endpoint({
    method: 'patch',
    path: '/admin/persona/{persona_id}/undelete',
    tag,
    summary: 'Restore a deleted agent',
    params: personaParams,
    reply: nothing,
    document: graphql(
      `mutation UndeleteAgent($id: ID!) { undeleteAgent(input: { agent: { id: $id } }) { agent { databaseId } } }`,
    ),
    variables: ({ params }) => ({ id: String(params.persona_id) }),
    output: () => null,
    failure: (error, input) =>
      input && error.code === 'NOT_FOUND'
        ? message(`Persona with ID ${idOf(input)} is not deleted.`)
        : (badRequest(error, input) ?? null),
  }),
  curation('listed', 'is_listed', 'Show an agent in lists, or hide it', (isListed) => ({ isListed })),
  curation('visible', 'is_visible', 'Show an agent in lists, or hide it (older name of `listed`)', (isListed) => ({
    isListed,
  })),
  curation('featured', 'is_featured', 'Feature an agent, or stop featuring it', (isFeatured) => ({ isFeatured })),
  curation(
    'default',
    'is_default_persona',
    'Feature an agent, or stop featuring it (older name of `featured`)',
    (isFeatured) => ({ isFeatured }),
  ),
];
