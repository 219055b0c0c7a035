import { z } from '@hono/zod-openapi';
import type { AppError } from '../../errors.ts';
import { cutText } from '../../unicode.ts';
import type { Failure } from '../dialect.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql } from '../graphql.ts';
import { ignoredMark } from '../parameters.ts';
import { everything } from '../shapes.ts';
import { anythingllm, failed } from './dialect.ts';
import { numberOf } from './shapes.ts';
import { workspaceIdOf } from './workspace-id.ts';
import {
  defaultHistory,
  pinnedTokens,
  Thread,
  ThreadFields,
  threadsOf,
  toChatMode,
  unknownWorkspace,
  Workspace,
  WorkspaceDocumentFields,
  WorkspaceFields,
  WsDoc,
  workspace,
  wsDocs,
} from './workspace-shapes.ts';

const tag = 'AnythingLLM workspaces';

const slugParams = z.object({ slug: z.string() });

// ---- fields of a workspace: a value of the wrong type is not rejected but replaced by the default

const within = (value: unknown, least: number, most: number, otherwise: number): number => {
  const number = numberOf(value);
  return Number.isNaN(number) ? otherwise : Math.min(Math.max(number, least), most);
};

const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);

const temperatureOf = (value: unknown): number | null => {
  const number = numberOf(value);
  return number >= 0 ? Math.min(number, 2) : null;
};

interface Change {
  /** Fields to clear. Required because a GraphQL update leaves null fields unchanged. */
  clear?: ('TEMPERATURE' | 'MODEL' | 'REFUSAL_TEXT')[];
  temperature?: number;
  historyLimit?: number;
  systemPrompt?: string;
  similarityThreshold?: number;
  passageLimit?: number;
  chatMode?: ReturnType<typeof toChatMode>;
  modelIfAvailable?: string;
  refusalText?: string;
}

/** The writable fields besides the name, and the agent fields that each sets. */
const writable = {
  openAiTemp: (value) => {
    const temperature = temperatureOf(value);
    return temperature === null ? { clear: ['TEMPERATURE'] } : { temperature };
  },
  openAiHistory: (value) => ({ historyLimit: Math.trunc(within(value, 0, 1000, defaultHistory)) }),
  openAiPrompt: (value) => ({ systemPrompt: textOf(value) ?? '' }),
  similarityThreshold: (value) => ({ similarityThreshold: within(value, 0, 1, 0.25) }),
  topN: (value) => ({ passageLimit: Math.trunc(within(value, 1, 100, 4)) }),
  chatMode: (value) => ({ chatMode: toChatMode(value) }),
  chatModel: (value) => {
    const name = textOf(value);
    return name === null ? { clear: ['MODEL'] } : { modelIfAvailable: name };
  },
  queryRefusalResponse: (value) => {
    const text = textOf(value);
    return text === null ? { clear: ['REFUSAL_TEXT'] } : { refusalText: text };
  },
  // The server has one provider, which also serves actions, and one kind of search: there is no choice.
  chatProvider: (value) => (value === 'default' ? { clear: ['MODEL'] } : {}),
  agentProvider: () => ({}),
  agentModel: () => ({}),
  vectorSearchMode: () => ({}),
  router_id: () => ({}),
  lastUpdatedAt: () => ({}),
} satisfies Record<string, (value: unknown) => Change>;

const number = z.unknown().optional().openapi({ type: 'number' });
const text = z.unknown().optional().openapi({ type: 'string' });
const ignored = (reason: string) =>
  z
    .unknown()
    .optional()
    .openapi({ type: 'string', description: `${ignoredMark} ${reason}` });

const settingFields = {
  openAiTemp: number.openapi({
    description:
      'The sampling temperature, 0 to 2. A larger number counts as 2; any other value selects the default of the model.',
  }),
  openAiHistory: number.openapi({
    description: 'Maximum number of earlier messages that the model receives, 0 to 1,000. Defaults to 20.',
  }),
  openAiPrompt: text.openapi({ description: 'The system prompt of the workspace. At most 100,000 characters.' }),
  similarityThreshold: number.openapi({ description: 'Minimum score of a passage, 0 to 1. Defaults to 0.25.' }),
  topN: number.openapi({ description: 'Maximum number of passages found for a message, 1 to 100. Defaults to 4.' }),
  chatMode: text.openapi({
    description: 'The chat mode: automatic, chat or query. Any other value counts as automatic.',
  }),
  chatModel: text.openapi({
    description: 'A model of the server. Any other value selects the default model of the server.',
  }),
  queryRefusalResponse: text.openapi({
    description: 'The answer in query mode when no document matches. At most 2,000 characters.',
  }),
  chatProvider: text.openapi({
    description: 'The value `default` selects the default model of the server. Any other value is ignored.',
  }),
  agentProvider: ignored('Agents and chats have the same model.'),
  agentModel: ignored('Agents and chats have the same model.'),
  vectorSearchMode: ignored('There is one kind of search.'),
  router_id: ignored('There are no model routers.'),
  lastUpdatedAt: ignored('The server sets it.'),
} satisfies Record<keyof typeof writable, z.ZodType>;

const name = text.openapi({ description: 'The name of the workspace, which is truncated to 255 characters.' });
const NewWorkspace = z.object({ name, ...settingFields }).openapi('NewWorkspace');
const WorkspaceUpdate = z.object({ name, ...settingFields }).openapi('WorkspaceUpdate');
type Body = z.infer<typeof WorkspaceUpdate>;

/** Returns the names of the fields that a body sets. A null is the same as an absent field and changes no value. */
const given = (body: Body): (keyof typeof writable)[] =>
  (Object.keys(writable) as (keyof typeof writable)[]).filter((field) => body[field] != null);

function changeOf(body: Body): Change {
  const changes = given(body).map((field): Change => writable[field](body[field]));
  const clear = [...new Set(changes.flatMap((change) => change.clear ?? []))];
  return { ...Object.assign({}, ...changes), clear };
}

const maxNameLength = 255;

/** Returns the name in a body; an empty name, which is rejected, for an invalid one. */
const nameOf = (name: unknown): string => (typeof name === 'string' ? cutText(name, maxNameLength) : '');

const refused: AnyEndpoint['failure'] = (error) => {
  if (error.code !== 'BAD_USER_INPUT') return unknownWorkspace(error);
  const told = (error.details.fields ?? []).map(({ path, message, reason }) => {
    const field = String(path.at(-1));
    return field === 'name' && reason === 'BLANK' ? 'name cannot be null' : `${field} ${message}`;
  });
  return { status: 400, body: { workspace: null, message: told.join('; ') } };
};

/** An invalid body is handled like one that cannot be parsed. */
const badBody = (error: AppError): Failure | null =>
  error.details.fields?.[0]?.path[0] === 'body' ? failed(400, error.message) : null;

const Updated = z
  .object({
    workspace: z.union([Workspace, z.object({ id: z.int() })]),
    message: z
      .string()
      .nullable()
      .openapi({ description: 'The reason why the request changed no field; null if it changed a field.' }),
  })
  .openapi('WorkspaceUpdated');

const nothingToUpdate = 'No valid fields to update!';

/** A value that is not text is an unknown location. */
/** Returns the locators of documents by their locations. */
const atLocations = (list: readonly string[] | null | undefined) => list?.map((location) => ({ location }));

const locations = z
  .array(z.unknown())
  .nullish()
  .transform((list) => (list ?? []).filter((location) => typeof location === 'string'))
  .openapi({
    type: 'array',
    items: { type: 'string' },
    description: 'Locations of documents, such as `custom-documents/notes.json`.',
  });

/** The default prompt of a workspace. */
const defaultPrompt =
  'Answer the question. Use what the conversation and the documents say, and follow the instructions of the user.';

const NamelessThread = Thread.omit({ name: true });

export const workspaceEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'post',
    path: '/v1/workspace/new',
    tag,
    summary: 'Create a workspace that all users can use',
    dialect: anythingllm,
    body: NewWorkspace,
    reply: z.object({ workspace: Workspace, message: z.null() }).openapi('WorkspaceCreated'),
    document: graphql(
      `mutation NewWorkspace($input: CreateAgentInput!) { createAgent(input: $input) { agent { ...Workspace } } }`,
      [WorkspaceFields],
    ),
    variables: ({ body }) => {
      // A new workspace has no values to clear.
      const { systemPrompt, clear, ...change } = changeOf(body);
      return {
        input: {
          name: nameOf(body.name),
          allowSameName: true,
          isPublic: true,
          knowledge: 'ATTACHED' as const,
          builtinActions: ['SearchTool'],
          passageLimit: 4,
          similarityThreshold: 0.25,
          historyLimit: defaultHistory,
          ...change,
          systemPrompt: systemPrompt || null,
          usualPrompt: defaultPrompt,
        },
      };
    },
    output: ({ createAgent: { agent } }) => ({ workspace: workspace(agent), message: null }),
    invalid: badBody,
    failure: refused,
  }),
  endpoint({
    method: 'get',
    path: '/v1/workspaces',
    tag,
    summary: 'List the workspaces that the caller can use',
    dialect: anythingllm,
    reply: z.object({ workspaces: z.array(Workspace.extend({ threads: z.array(Thread) })) }).openapi('WorkspaceList'),
    document: graphql(
      `query Workspaces($first: Int!) {
        agents(first: $first) { nodes { ...Workspace chatSessions(first: $first) { nodes { ...ThreadOfWorkspace } } } }
      }`,
      [WorkspaceFields, ThreadFields],
    ),
    variables: () => ({ first: everything }),
    partial: true,
    output: ({ agents }) => ({
      workspaces: agents.nodes.map((agent) => ({
        ...workspace(agent),
        threads: threadsOf(agent.chatSessions),
      })),
    }),
  }),
  endpoint({
    method: 'get',
    path: '/v1/workspace/{slug}',
    tag,
    summary: 'Get a workspace as a list of one item; the list is empty for an unknown slug',
    dialect: anythingllm,
    params: slugParams,
    reply: z
      .object({
        workspace: z.array(Workspace.extend({ documents: z.array(WsDoc), threads: z.array(NamelessThread) })),
      })
      .openapi('WorkspaceFound'),
    document: graphql(
      `query OneWorkspace($slug: String!, $first: Int!) {
        agent: agentBySlug(slug: $slug) {
          ...Workspace ...WorkspaceDocuments chatSessions(first: $first) { nodes { ...ThreadOfWorkspace } }
        }
      }`,
      [WorkspaceFields, WorkspaceDocumentFields, ThreadFields],
    ),
    variables: ({ params }) => ({ slug: params.slug, first: everything }),
    partial: true,
    output: ({ agent }) => ({
      workspace: [
        {
          ...workspace(agent),
          documents: wsDocs(agent),
          threads: threadsOf(agent.chatSessions).map(({ user_id, slug }) => ({ user_id, slug })),
        },
      ],
    }),
    failure: ({ code }) => (code === 'NOT_FOUND' ? { status: 200, body: { workspace: [] } } : null),
  }),
  endpoint({
    method: 'delete',
    path: '/v1/workspace/{slug}',
    tag,
    summary: 'Delete a workspace; its chats remain with their owners',
    dialect: anythingllm,
    params: slugParams,
    reply: z.literal('OK'),
    format: 'text',
    document: graphql(
      `mutation DeleteWorkspace($slug: String!) { deleteAgent(input: { agent: { slug: $slug } }) { agent { databaseId } } }`,
    ),
    variables: ({ params }) => ({ slug: params.slug }),
    output: () => 'OK' as const,
    failure: unknownWorkspace,
  }),
  endpoint({
    method: 'post',
    path: '/v1/workspace/{slug}/update',
    tag,
    summary: 'Update a workspace; its slug does not change',
    dialect: anythingllm,
    params: slugParams,
    body: WorkspaceUpdate,
    reply: Updated,
    document: graphql(
      `mutation UpdateWorkspace($input: UpdateAgentInput!) { updateAgent(input: $input) { agent { ...Workspace } } }`,
      [WorkspaceFields],
    ),
    variables: ({ params, body }) => ({
      input: {
        agent: { slug: params.slug },
        allowSameName: true,
        // The reference rejects a number as the name of a new workspace.
        ...(body.name != null && {
          name: nameOf(typeof body.name === 'number' ? String(body.name) : body.name),
        }),
        ...changeOf(body),
      },
    }),
    output: ({ updateAgent: { agent } }, { body }) =>
      body.name == null && given(body).length === 0
        ? { workspace: { id: workspaceIdOf(agent.databaseId) }, message: nothingToUpdate }
        : { workspace: workspace(agent), message: null },
    invalid: badBody,
    failure: refused,
  }),
  endpoint({
    method: 'post',
    path: '/v1/workspace/{slug}/update-embeddings',
    tag,
    summary: 'Remove documents from a workspace, then add others; unknown locations are ignored',
    dialect: anythingllm,
    params: slugParams,
    body: z.object({ adds: locations, deletes: locations }).openapi('UpdateEmbeddings'),
    reply: z
      .object({
        workspace: Workspace.extend({
          documents: z.array(WsDoc),
          contextWindow: z.number().nullable().openapi({ description: 'The context window of the model in tokens.' }),
          currentContextTokenCount: z
            .int()
            .openapi({ description: 'The approximate number of tokens in the pinned documents.' }),
        }).openapi('WorkspaceFull'),
        message: z.null().optional().openapi({ description: 'Always absent from the responses of this server.' }),
      })
      .openapi('UpdatedEmbeddings'),
    document: graphql(
      `mutation UpdateEmbeddings($input: ChangeAgentDocumentsInput!) {
        changeAgentDocuments(input: $input) { agent { ...Workspace ...WorkspaceDocuments contextTokens } }
      }`,
      [WorkspaceFields, WorkspaceDocumentFields],
    ),
    variables: ({ params, body }) => ({
      input: { agent: { slug: params.slug }, add: atLocations(body.adds), remove: atLocations(body.deletes) },
    }),
    partial: true,
    output: ({ changeAgentDocuments: { agent } }) => ({
      workspace: {
        ...workspace(agent),
        documents: wsDocs(agent),
        contextWindow: agent.contextTokens,
        currentContextTokenCount: pinnedTokens(agent),
      },
    }),
    invalid: badBody,
    failure: (error) => (error.code === 'BAD_USER_INPUT' ? failed(400, error.message) : unknownWorkspace(error)),
  }),
  endpoint({
    method: 'post',
    path: '/v1/workspace/{slug}/update-pin',
    tag,
    summary: 'Pin a document, so that every message is answered with its full text, or unpin it',
    dialect: anythingllm,
    params: slugParams,
    body: z
      .object({
        docPath: z.string().catch('').openapi({ type: 'string', description: 'The location of the document.' }),
        pinStatus: z
          .unknown()
          .optional()
          .transform((value) => value === true || value === 'true')
          .openapi({
            type: 'boolean',
            description: 'If true, pins the document; otherwise unpins it. Defaults to false.',
          }),
      })
      .openapi('UpdatePin'),
    reply: z.object({ message: z.string() }).openapi('PinUpdated'),
    document: graphql(
      `mutation UpdatePin($input: PinAgentDocumentInput!) { pinAgentDocument(input: $input) { agent { databaseId } } }`,
    ),
    variables: ({ params, body }) => ({
      input: { agent: { slug: params.slug }, document: { location: body.docPath }, pinned: body.pinStatus },
    }),
    output: () => ({ message: 'Pin status updated successfully' }),
    invalid: badBody,
    failure: (error) => {
      if (error.code === 'BAD_USER_INPUT') return failed(400, error.message);
      return unknownWorkspace(error) ?? (error.code === 'NOT_FOUND' ? { status: 404, body: 'Not Found' } : null);
    },
  }),
];
