import { z } from '@hono/zod-openapi';
import { badInput } from '../../errors.ts';
import { graphql, type ResultOf } from '../graphql.ts';
import { ignoring } from '../parameters.ts';
import { isoDateOrNull } from '../shapes.ts';
import { instant, timestamp } from './chat-shapes.ts';
import { DocumentSource, fromSource } from './sources.ts';
import { ToolFields, ToolSnapshot, toolSnapshot } from './tools.ts';

/** The message of the contract. GraphQL uses the second one too. */
const noSuchGroups = 'This server has no groups to share an agent with.';

const AgentCore = graphql(
  `
  fragment AgentCore on Agent @_unmask {
    databaseId name description isPublic isListed isFeatured isBuiltin displayPriority iconName
    ownerId ownerEmail viewerPermission viewerCan model
    starterMessages { name message }
    labels { databaseId name }
    actions { ...ToolFields }
  }
`,
  [ToolFields],
);

export const AgentCard = graphql(
  `fragment AgentCard on Agent @_unmask { ...AgentCore documents(first: 100) { totalCount nodes { source } } }`,
  [AgentCore],
);

export const AgentWhole = graphql(
  `
  fragment AgentWhole on Agent @_unmask {
    ...AgentCore
    systemPrompt taskPrompt replaceBaseSystemPrompt datetimeAware searchStartDate
    documents(first: 2147483647) { nodes { documentId title link source updatedAt } }
    files(first: 2147483647) { nodes { databaseId } }
    shares(first: 2147483647) { nodes { permission user { databaseId email } } }
  }
`,
  [AgentCore],
);

export const AgentAlone = graphql(`fragment AgentAlone on Agent @_unmask { ...AgentWhole administratorCount }`, [
  AgentWhole,
]);

type Core = ResultOf<typeof AgentCore>;
type Whole = ResultOf<typeof AgentWhole>;

const permission = z.enum(['OWNER', 'EDITOR', 'VIEWER']);
const sharePermission = z.enum(['EDITOR', 'VIEWER']);

const MinimalUserSnapshot = z.object({ id: z.uuid(), email: z.string() }).openapi('MinimalUserSnapshot');
export const PersonaLabel = z.object({ id: z.int(), name: z.string() }).openapi('PersonaLabelSnapshot');
const StarterMessage = z.object({ name: z.string(), message: z.string() }).openapi('StarterMessage');

/** Not supported by this server; clients expect an empty list. */
const none = z.array(z.unknown()).openapi({ description: 'This server always returns an empty list.' });

const core = z.object({
  id: z.int(),
  name: z.string(),
  description: z.string(),
  is_public: z.boolean(),
  is_listed: z.boolean(),
  is_visible: z.boolean().openapi({ description: 'The older name of `is_listed`.' }),
  is_featured: z.boolean(),
  is_default_persona: z.boolean().openapi({ description: 'The older name of `is_featured`, which takes precedence.' }),
  builtin_persona: z.boolean(),
  display_priority: z.int().nullable(),
  uploaded_image_id: z.string().nullable(),
  icon_name: z.string().nullable(),
  starter_messages: z.array(StarterMessage).nullable(),
  tools: z.array(ToolSnapshot),
  labels: z.array(PersonaLabel),
  document_sets: none,
  owner: MinimalUserSnapshot.nullable().openapi({
    description:
      'The owner of the agent; null without an owner. `email` is empty unless the caller is the owner or holds `manage:agents`.',
  }),
  owner_group: z.object({ id: z.int(), name: z.string() }).nullable(),
  user_permission: permission.nullable(),
  permissions: z
    .object({
      edit: z.boolean(),
      share: z.boolean(),
      view_stats: z.boolean(),
      delete: z.boolean(),
      publish: z.boolean(),
      feature: z.boolean(),
      list: z.boolean(),
      reorder: z.boolean(),
    })
    .openapi({ description: 'The operations on the agent that the caller’s credential permits.' }),
  default_model_configuration_id: z.int().nullable(),
  llm_model_provider_override: z.string().nullable(),
  llm_model_version_override: z.string().nullable(),
  llm_relevance_filter: z.boolean(),
  llm_filter_extraction: z.boolean(),
  num_chunks: z.number().nullable(),
});

export const MinimalPersonaSnapshot = core
  .extend({
    hierarchy_node_count: z.int(),
    attached_document_count: z.int(),
    knowledge_sources: z
      .array(DocumentSource)
      .openapi({ description: 'The sources of the first 100 documents of the agent.' }),
  })
  .openapi('MinimalPersonaSnapshot');

export const PersonaSnapshot = core
  .extend({
    system_prompt: z.string().nullable(),
    task_prompt: z.string().nullable(),
    replace_base_system_prompt: z.boolean(),
    datetime_aware: z.boolean(),
    user_file_ids: z.array(z.string()),
    users: z.array(MinimalUserSnapshot).openapi({
      description: 'The people that the agent is shared with. Empty for a caller who does not own the agent.',
    }),
    user_shares: z.array(
      z.object({ user: MinimalUserSnapshot, user_id: z.uuid(), email: z.string(), permission: sharePermission }),
    ),
    groups: z.array(z.int()),
    group_shares: none,
    public_permission: sharePermission.openapi({
      description: 'The permission that a public agent grants to all users: always `VIEWER`.',
    }),
    sharing_status: z.enum(['PRIVATE', 'SHARED', 'PUBLIC']),
    hierarchy_nodes: none,
    attached_documents: z.array(
      z.object({
        id: z.string(),
        title: z.string(),
        link: z.string().nullable(),
        parent_id: z.int().nullable(),
        last_modified: isoDateOrNull,
        last_synced: isoDateOrNull,
        source: DocumentSource.nullable(),
      }),
    ),
    document_ids: z.array(z.string()),
  })
  .openapi('PersonaSnapshot');

export const FullPersonaSnapshot = PersonaSnapshot.extend({
  search_start_date: isoDateOrNull,
  admin_count: z
    .int()
    .openapi({ description: 'The number of active administrators of the server; 0 if the caller lacks `read:users`.' }),
  ownership_vacant: z.boolean(),
}).openapi('FullPersonaSnapshot');

const coreOf = (agent: Core): z.input<typeof core> => ({
  id: agent.databaseId,
  name: agent.name,
  description: agent.description,
  is_public: agent.isPublic,
  is_listed: agent.isListed,
  is_visible: agent.isListed,
  is_featured: agent.isFeatured,
  is_default_persona: agent.isFeatured,
  builtin_persona: agent.isBuiltin,
  display_priority: agent.displayPriority,
  uploaded_image_id: null,
  icon_name: agent.iconName,
  starter_messages: agent.starterMessages.map(({ name, message }) => ({ name, message })),
  tools: (agent.actions ?? []).map(toolSnapshot),
  labels: agent.labels.map(personaLabel),
  document_sets: [],
  owner: agent.ownerId === null ? null : { id: agent.ownerId, email: agent.ownerEmail ?? '' },
  owner_group: null,
  user_permission: agent.viewerPermission,
  permissions: {
    edit: agent.viewerCan.includes('EDIT'),
    share: agent.viewerCan.includes('SHARE'),
    view_stats: false,
    delete: agent.viewerCan.includes('DELETE'),
    publish: agent.viewerCan.includes('SHARE'),
    feature: agent.viewerCan.includes('CURATE'),
    list: agent.viewerCan.includes('CURATE'),
    reorder: agent.viewerCan.includes('CURATE'),
  },
  default_model_configuration_id: null,
  llm_model_provider_override: null,
  llm_model_version_override: agent.model,
  llm_relevance_filter: false,
  llm_filter_extraction: false,
  num_chunks: null,
});

export const personaLabel = ({ databaseId, name }: { databaseId: number; name: string }) => ({ id: databaseId, name });

export const minimalSnapshot = (agent: ResultOf<typeof AgentCard>): z.input<typeof MinimalPersonaSnapshot> => ({
  ...coreOf(agent),
  hierarchy_node_count: 0,
  attached_document_count: agent.documents?.totalCount ?? 0,
  knowledge_sources: [...new Set(agent.documents?.nodes.map(({ source }) => fromSource(source)))],
});

/**
 * Returns the sharing status. A caller who does not own an agent does not see its shares, but can conclude from seeing
 * a private agent that it is shared.
 */
function sharingStatus({ isPublic, shares, viewerPermission }: Whole): 'PRIVATE' | 'SHARED' | 'PUBLIC' {
  if (isPublic) return 'PUBLIC';
  return shares?.nodes.length || viewerPermission !== 'OWNER' ? 'SHARED' : 'PRIVATE';
}

export const snapshot = (agent: Whole): z.input<typeof PersonaSnapshot> => ({
  ...coreOf(agent),
  system_prompt: agent.systemPrompt,
  task_prompt: agent.taskPrompt,
  replace_base_system_prompt: agent.replaceBaseSystemPrompt,
  datetime_aware: agent.datetimeAware,
  user_file_ids: (agent.files?.nodes ?? []).map(({ databaseId }) => databaseId),
  users: (agent.shares?.nodes ?? []).map(({ user }) => ({ id: user.databaseId, email: user.email ?? '' })),
  user_shares: (agent.shares?.nodes ?? []).map(({ user, permission }) => ({
    user: { id: user.databaseId, email: user.email ?? '' },
    user_id: user.databaseId,
    email: user.email ?? '',
    permission,
  })),
  groups: [],
  group_shares: [],
  public_permission: 'VIEWER',
  sharing_status: sharingStatus(agent),
  hierarchy_nodes: [],
  attached_documents: (agent.documents?.nodes ?? []).map(({ documentId, title, link, source, updatedAt }) => ({
    id: documentId,
    title,
    link,
    parent_id: null,
    last_modified: null,
    last_synced: updatedAt,
    source: fromSource(source),
  })),
  document_ids: (agent.documents?.nodes ?? []).map(({ documentId }) => documentId),
});

export const fullSnapshot = (agent: ResultOf<typeof AgentAlone>): z.input<typeof FullPersonaSnapshot> => ({
  ...snapshot(agent),
  search_start_date: agent.searchStartDate,
  admin_count: agent.administratorCount ?? 0,
  ownership_vacant: agent.ownerId === null && !agent.isBuiltin,
});

/** An ID of an integer column in a body. */
const bodyId = z.int().min(-0x8000_0000).max(0x7fff_ffff);
const ignored = (reason: string) => ignoring(z.unknown().optional(), reason);
const isUuid = (text: string): boolean => z.uuid().safeParse(text).success;

/** Fields that both generations of the API require are required; others are optional. */
export const PersonaUpsertRequest = z
  .object({
    name: z.string(),
    description: z.string(),
    document_set_ids: z
      .array(z.int())
      .openapi({ description: 'Must be an empty list, because this server has no document sets.' }),
    tool_ids: z.array(bodyId),
    system_prompt: z.string(),
    task_prompt: z.string(),
    datetime_aware: z.boolean(),
    is_public: z.boolean().nullish().openapi({
      description:
        'Whether all users can use the agent. An absent or null value leaves it unchanged; a new agent is private. Only the owner can change it.',
    }),
    starter_messages: z.array(StarterMessage).nullish(),
    users: z.array(z.uuid()).nullish().openapi({
      description:
        'The complete list of people that the agent is shared with; at most 1,000. An absent or null value leaves it unchanged. Only the owner can change it.',
    }),
    groups: z
      .array(z.int())
      .nullish()
      .openapi({ description: 'Must be null or an empty list, because agents cannot be shared with groups.' }),
    icon_name: z.string().nullish(),
    search_start_date: timestamp.nullish(),
    label_ids: z.array(bodyId).nullish(),
    is_featured: z.boolean().nullish().openapi({
      description:
        'Whether clients show the agent prominently. An absent or null value leaves it unchanged. Requires `manage:agents`.',
    }),
    is_default_persona: z
      .boolean()
      .nullish()
      .openapi({ description: 'The older name of `is_featured`, which takes precedence.' }),
    display_priority: bodyId.nullish().openapi({
      description:
        'The position of the agent in lists, lowest first. An absent or null value leaves it unchanged. Requires `manage:agents`.',
    }),
    user_file_ids: z.array(z.string()).nullish().openapi({
      description:
        'The files of the agent, which all of its chats can use; at most 100. Only files that the caller owns or that the agent already has are accepted.',
    }),
    hierarchy_node_ids: z
      .array(z.int())
      .nullish()
      .openapi({ description: 'Must be null or an empty list, because this server has no document hierarchies.' }),
    document_ids: z.array(z.string()).nullish().openapi({
      description:
        'The documents that the agent searches; at most 1,000. A new agent without documents searches all documents that the asking user can read. When the last document of an existing agent is removed, the agent searches no documents.',
    }),
    replace_base_system_prompt: z.boolean().nullish(),
    default_model_configuration_id: z.int().nullish().openapi({
      description: 'Accepted only together with `llm_model_version_override`, because models are chosen by name.',
    }),
    remove_image: ignored('Agents have no images.'),
    uploaded_image_id: ignored('Agents have no images.'),
    num_chunks: ignored('The number of passages is a setting of the agent in GraphQL.'),
    recency_bias: ignored('Search does not prefer newer documents.'),
    llm_filter_extraction: ignored('Filters are applied as the client sends them.'),
    llm_relevance_filter: ignored('The score of the search decides.'),
    llm_model_provider_override: ignored('`llm_model_version_override` chooses the model.'),
    llm_model_version_override: z.string().nullish().openapi({
      description:
        'The name of the model that answers, one of the models of this server. An absent, null or empty value leaves it unchanged; a new agent uses the default model of the server.',
    }),
  })
  .openapi('PersonaUpsertRequest');

/** Maps the agent fields that an update can clear to their names in the `clear` list of `updateAgent`. */
const clearNames = {
  display_priority: 'DISPLAY_PRIORITY',
  icon_name: 'ICON_NAME',
  search_start_date: 'SEARCH_START_DATE',
} as const;

export const PersonaUpdateRequest = PersonaUpsertRequest.extend({
  clear: z
    .array(z.enum(Object.keys(clearNames) as (keyof typeof clearNames)[]))
    .nullish()
    .openapi({ description: 'The fields to set to null. A null value in another field leaves that field unchanged.' }),
}).openapi('PersonaUpdateRequest');

/** Rejects objects that a client would otherwise believe to be attached. */
function refuseUnknown(body: z.infer<typeof PersonaUpsertRequest>): void {
  if (body.document_set_ids.length > 0) throw badInput(['body'], 'document_sets not found');
  if (body.user_file_ids?.some((text) => !isUuid(text)))
    throw badInput(['body'], 'Invalid user_file_ids; must be UUID strings');
  if (body.hierarchy_node_ids?.length) throw badInput(['body'], 'hierarchy_nodes not found');
  if (body.groups?.length) throw badInput(['body'], noSuchGroups);
  if (body.default_model_configuration_id != null && !body.llm_model_version_override)
    throw badInput(
      ['body', 'default_model_configuration_id'],
      'is supported only together with llm_model_version_override, the name of a model',
    );
}

/**
 * Returns the agent fields that a body sets. Null and absent fields stay unchanged. So does the restriction to an
 * agent's own documents, which the clients of this contract do not support.
 */
export function agentInput(body: z.infer<typeof PersonaUpsertRequest>) {
  refuseUnknown(body);
  return {
    name: body.name,
    description: body.description,
    systemPrompt: body.system_prompt,
    taskPrompt: body.task_prompt,
    replaceBaseSystemPrompt: body.replace_base_system_prompt,
    datetimeAware: body.datetime_aware,
    isPublic: body.is_public,
    isFeatured: body.is_featured ?? body.is_default_persona,
    displayPriority: body.display_priority,
    iconName: body.icon_name,
    knowledge: body.document_ids?.length ? ('ATTACHED' as const) : null,
    searchStartDate: body.search_start_date ? instant(body.search_start_date) : null,
    starterMessages: body.starter_messages,
    labelIds: body.label_ids?.map(String),
    actionIds: body.tool_ids?.map(String),
    documentIds: body.document_ids,
    fileIds: body.user_file_ids,
    userIds: body.users,
    model: body.llm_model_version_override || undefined,
  };
}

/** Returns the changes that a body makes to an agent. */
export const agentChange = ({ clear, ...body }: z.infer<typeof PersonaUpdateRequest>) => ({
  ...agentInput(body),
  clear: clear?.map((field) => clearNames[field]),
});

const onlyOne = { message: 'must contain either the IDs or the shares with permissions' };

export const PersonaShareRequest = z
  .object({
    user_ids: z.array(z.uuid()).nullish().openapi({
      description:
        'The older form of `user_shares`, without permissions: new people become viewers, and other people keep their permission. Cannot be combined with `user_shares`.',
    }),
    user_shares: z
      .array(z.object({ user_id: z.uuid(), permission: sharePermission.default('VIEWER') }))
      .nullish()
      .openapi({
        description:
          'The complete list of people that the agent is shared with, each with a permission. An absent or null value leaves it unchanged.',
      }),
    group_ids: z
      .array(z.int())
      .nullish()
      .openapi({ description: 'Must be null or an empty list, because agents cannot be shared with groups.' }),
    group_shares: z
      .array(z.unknown())
      .nullish()
      .openapi({ description: 'Must be null or an empty list, because agents cannot be shared with groups.' }),
    is_public: z.boolean().nullish(),
    public_permission: z.literal('VIEWER').nullish().openapi({
      description: 'The permission that a public agent grants to all users. Only `VIEWER` and null are accepted.',
    }),
    label_ids: z.array(bodyId).nullish(),
  })
  .refine(({ user_ids, user_shares }) => !(user_ids && user_shares), { ...onlyOne, path: ['user_shares'] })
  .refine(({ group_ids, group_shares }) => !(group_ids && group_shares), { ...onlyOne, path: ['group_shares'] })
  .openapi('PersonaShareRequest');

/** Returns the share settings that a body sets. Null and absent fields stay unchanged. */
export function shareInput(body: z.infer<typeof PersonaShareRequest>) {
  if (body.group_ids?.length || body.group_shares?.length) throw badInput(['body'], noSuchGroups);
  return {
    shares:
      body.user_ids?.map((userId) => ({ userId })) ??
      body.user_shares?.map(({ user_id, permission }) => ({ userId: user_id, permission })),
    isPublic: body.is_public,
    labelIds: body.label_ids?.map(String),
  };
}
