import { z } from '@hono/zod-openapi';
import { notFound } from '../../errors.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql, type ResultOf } from '../graphql.ts';
import { everything, id } from '../shapes.ts';
import { detail } from './errors.ts';

const tag = 'Tools';

export const ToolFields = graphql(`
  fragment ToolFields on Action @_unmask { databaseId name displayName description builtinKey }
`);

export const ToolSnapshot = z
  .object({
    id: z.int(),
    name: z.string(),
    description: z.string(),
    definition: z.record(z.string(), z.unknown()).nullable(),
    display_name: z.string(),
    in_code_tool_id: z.string().nullable(),
    custom_headers: z.array(z.unknown()).nullable(),
    passthrough_auth: z.boolean(),
    mcp_server_id: z.int().nullable(),
    user_id: z.string().nullable(),
    oauth_config_id: z.int().nullable(),
    oauth_config_name: z.string().nullable(),
    enabled: z.boolean(),
    permissions: z.record(z.string(), z.boolean()),
    chat_selectable: z.boolean(),
    agent_creation_selectable: z.boolean(),
    default_enabled: z.boolean(),
  })
  .openapi('ToolSnapshot');

/** Converts an action to a tool. The actions of this server are built in and have no configuration. */
export const toolSnapshot = (action: ResultOf<typeof ToolFields>): z.input<typeof ToolSnapshot> => ({
  id: action.databaseId,
  name: action.name,
  description: action.description,
  definition: null,
  display_name: action.displayName,
  in_code_tool_id: action.builtinKey,
  custom_headers: null,
  passthrough_auth: false,
  mcp_server_id: null,
  user_id: null,
  oauth_config_id: null,
  oauth_config_name: null,
  enabled: true,
  permissions: {},
  chat_selectable: true,
  agent_creation_selectable: true,
  default_enabled: false,
});

const ListTools = graphql(`query ListTools($first: Int!) { actions(first: $first) { nodes { ...ToolFields } } }`, [
  ToolFields,
]);

export const toolEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'get',
    path: '/tool',
    tag,
    summary: 'List the tools of agents',
    reply: z.array(ToolSnapshot),
    document: ListTools,
    variables: () => ({ first: everything }),
    output: ({ actions }) => actions.nodes.map(toolSnapshot),
  }),
  endpoint({
    method: 'get',
    path: '/tool/openapi',
    tag,
    summary: 'List the tools that are not built into the server',
    reply: z.array(ToolSnapshot),
    document: ListTools,
    variables: () => ({ first: everything }),
    output: ({ actions }) => actions.nodes.filter(({ builtinKey }) => builtinKey === null).map(toolSnapshot),
  }),
  endpoint({
    method: 'get',
    path: '/tool/{tool_id}',
    tag,
    summary: 'Get a tool by its ID',
    params: z.object({ tool_id: id }),
    reply: ToolSnapshot,
    document: ListTools,
    variables: () => ({ first: everything }),
    output: ({ actions }, { params }) => {
      const found = actions.nodes.find(({ databaseId }) => databaseId === params.tool_id);
      if (!found) throw notFound('TOOL_NOT_FOUND');
      return toolSnapshot(found);
    },
    failure: (error) => (error.code === 'NOT_FOUND' ? detail(404, 'Tool by specified id does not exist') : null),
  }),
];
