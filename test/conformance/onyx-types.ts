import { z } from 'zod';

/**
 * The response types that clients of the Onyx API rely on. They are taken from its documentation and from the
 * validation in its clients, and intentionally not derived from `src/rest`, so that a mistake there is not repeated
 * here. Fields that only some generations of Onyx have are included, because the server returns all of them. Like the
 * clients, these types ignore unknown fields. `some` is a list to which the test has added items, so that the items are
 * checked.
 */

const { int, nullable } = z;
export const text = z.string();
const flag = z.boolean();
const number = z.number();
export const uuid = z.uuid();
const time = z.iso.datetime({ offset: true });
const texts = z.array(text);
export const some = <T extends z.ZodType>(item: T) => z.array(item).min(1);
const empty = z.array(z.never());

export const nothing = z.null();
export const noContent = z.literal('');

const role = z.enum(['limited', 'basic', 'admin', 'curator', 'global_curator', 'slack_user', 'ext_perm_user']);
const accountType = z.enum(['STANDARD', 'BOT', 'EXT_PERM_USER', 'SERVICE_ACCOUNT', 'ANONYMOUS']);

// People

export const UserRead = z.object({
  id: uuid,
  email: text.min(3),
  is_active: flag,
  is_superuser: flag,
  is_verified: flag,
  role,
  account_type: accountType,
});

const UserPreferences = z.object({
  chosen_assistants: nullable(z.array(int())),
  hidden_assistants: z.array(int()),
  visible_assistants: z.array(int()),
  default_model: nullable(text),
  pinned_assistants: z.array(int()),
  shortcut_enabled: nullable(flag),
  auto_scroll: nullable(flag),
  temperature_override_enabled: nullable(flag),
  theme_preference: nullable(z.enum(['light', 'dark', 'system'])),
  language: nullable(text),
  chat_background: nullable(text),
  default_app_mode: z.enum(['AUTO', 'CHAT', 'SEARCH']),
  paste_as_tile: nullable(flag),
  voice_auto_send: nullable(flag),
  voice_auto_playback: nullable(flag),
  voice_playback_speed: nullable(number),
  assistant_specific_configs: nullable(z.record(z.string(), z.object({ disabled_tool_ids: z.array(int()) }))),
});

const tenant = z.object({ number_of_users: int() });
export const UserInfo = UserRead.extend({
  preferences: UserPreferences,
  personalization: z.object({
    name: text,
    role: text,
    use_memories: flag,
    enable_memory_tool: flag,
    memories: z.array(z.union([text, z.object({ id: nullable(int()), content: text })])),
    user_preferences: text,
  }),
  token_expires_at: nullable(time),
  oidc_expiry: nullable(time),
  current_token_created_at: nullable(time),
  current_token_expiry_length: nullable(int()),
  is_cloud_superuser: flag,
  team_name: nullable(text),
  is_anonymous_user: nullable(flag),
  password_configured: nullable(flag),
  tenant_info: nullable(z.object({ invitation: nullable(tenant), new_tenant: nullable(tenant) })),
  effective_permissions: texts,
  is_group_manager: flag,
  admin_capabilities: texts,
});

export const MinimalUser = z.object({ id: uuid, email: text });
export const FullUser = z.object({
  id: uuid,
  email: text,
  role,
  is_active: flag,
  password_configured: flag,
  account_type: accountType,
  personal_name: nullable(text),
  created_at: time,
  updated_at: time,
  groups: z.array(z.object({ id: int(), name: text })),
  is_scim_synced: flag,
  craft_enabled: nullable(flag),
  is_admin: flag,
});
export const Invited = z.object({ email: text });
export const AllUsers = z.object({
  accepted: some(FullUser),
  invited: some(Invited),
  slack_users: z.array(FullUser),
  accepted_pages: int(),
  invited_pages: int(),
  slack_users_pages: int(),
});
export const page = <T extends z.ZodType>(item: T) => z.object({ items: some(item), total_items: int().min(1) });

export const UserGroup = z.object({
  id: int(),
  name: text,
  users: some(UserInfo),
  curator_ids: z.array(uuid),
  manager_ids: texts,
  cc_pairs: empty,
  document_sets: empty,
  personas: empty,
  is_up_to_date: flag,
  is_up_for_deletion: flag,
  is_default: flag,
  incognito_enabled: flag,
  permissions: z
    .object({ manage: flag, manage_members: flag, delete: flag, edit_permissions: flag, edit_token_limits: flag })
    .catchall(flag),
});
export const MinimalGroup = z.object({ id: int(), name: text, is_default: flag });

export const AuthType = z.object({
  auth_type: z.enum(['disabled', 'basic', 'google_oauth', 'oidc', 'saml', 'cloud']),
  requires_verification: flag,
  anonymous_user_enabled: nullable(flag),
  password_min_length: int(),
  multi_tenant: flag,
  password_max_length: int(),
  password_require_uppercase: flag,
  password_require_lowercase: flag,
  password_require_digit: flag,
  password_require_special_char: flag,
  has_users: flag,
  oauth_enabled: flag,
  password_auth_enabled: flag,
  sso_providers: z.array(z.object({ name: text, display_name: text, provider_type: text, authorize_url: text })),
});
export const Bearer = z.object({ access_token: text.min(20), token_type: z.literal('bearer') });

// Credentials

export const ApiKey = z.object({
  api_key_id: int(),
  api_key_display: text.regex(/^on_.{4}\*+.{4}$/),
  api_key: z.null(),
  api_key_name: nullable(text),
  api_key_role: role,
  groups: z.array(z.object({ id: int(), name: text })),
  user_id: uuid,
});
export const NewApiKey = ApiKey.extend({ api_key: text.regex(/^on_/) });

export const Token = z.object({
  id: int(),
  name: text,
  token_display: text.regex(/^onyx_pat_.*\*{4}.{4}$/),
  created_at: time,
  expires_at: nullable(time),
  last_used_at: nullable(time),
  scopes: nullable(texts),
});
export const NewToken = Token.extend({ token: text.regex(/^onyx_pat_/) });
export const UserToken = Token.extend({
  token_display: text,
  name: nullable(text),
  kind: z.enum(['personal_access_token', 'session', 'project_token']),
  last_used_address: nullable(text),
  project_id: nullable(int()),
  disabled: flag,
});
export const RevokedTokens = z.object({ revoked_count: int() });
export const TokenScope = z.object({
  scope: text,
  group_label: text,
  label: text,
  description: text,
  min_tier: z.enum(['community', 'business', 'enterprise']),
  implies: texts,
});

// Agents

export const Tool = z.object({
  id: int(),
  name: text,
  description: text,
  definition: nullable(z.record(z.string(), z.unknown())),
  display_name: text,
  in_code_tool_id: nullable(text),
  custom_headers: nullable(z.array(z.object({ key: text, value: text }))),
  passthrough_auth: flag,
  mcp_server_id: nullable(int()),
  user_id: nullable(text),
  oauth_config_id: nullable(int()),
  oauth_config_name: nullable(text),
  enabled: flag,
  permissions: z.record(z.string(), flag),
  chat_selectable: flag,
  agent_creation_selectable: flag,
  default_enabled: flag,
});

/** The sources of Onyx 2.7, sorted alphabetically, unlike in its documentation. */
const source = z.enum(
  `airtable asana axero bitbucket bookstack clickup coda confluence discord discourse document360 dropbox drupal_wiki
  egnyte file fireflies freshdesk gitbook github gitlab gmail gong google_cloud_storage google_drive google_sites guru
  highspot hubspot imap ingestion_api jira linear loopio mediawiki mock_connector not_applicable notion oci_storage
  outline productboard r2 requesttracker s3 salesforce sharepoint slab slack teams testrail user_file web wikipedia
  xenforo zendesk zulip`.split(/\s+/),
);

export const Label = z.object({ id: int(), name: text });
const share = z.enum(['EDITOR', 'VIEWER']);
const agent = z.object({
  id: int(),
  name: text,
  description: text,
  is_public: flag,
  is_listed: flag,
  is_visible: flag,
  is_featured: flag,
  is_default_persona: flag,
  builtin_persona: flag,
  display_priority: nullable(int()),
  uploaded_image_id: nullable(text),
  icon_name: nullable(text),
  starter_messages: nullable(z.array(z.object({ name: text, message: text }))),
  tools: z.array(Tool),
  labels: z.array(Label),
  document_sets: empty,
  owner: nullable(MinimalUser),
  owner_group: nullable(z.object({ id: int(), name: text })),
  user_permission: nullable(z.enum(['OWNER', 'EDITOR', 'VIEWER'])),
  permissions: z.object({
    edit: flag,
    share: flag,
    view_stats: flag,
    delete: flag,
    publish: flag,
    feature: flag,
    list: flag,
    reorder: flag,
  }),
  default_model_configuration_id: nullable(int()),
  llm_model_provider_override: nullable(text),
  llm_model_version_override: nullable(text),
  llm_relevance_filter: flag,
  llm_filter_extraction: flag,
  num_chunks: nullable(number),
});

export const MinimalPersona = agent.extend({
  hierarchy_node_count: int(),
  attached_document_count: int(),
  knowledge_sources: z.array(source),
});
export const Persona = agent.extend({
  system_prompt: nullable(text),
  replace_base_system_prompt: flag,
  task_prompt: nullable(text),
  datetime_aware: flag,
  user_file_ids: z.array(uuid),
  users: z.array(MinimalUser),
  groups: z.array(int()),
  user_shares: z.array(z.object({ user: MinimalUser, permission: share })),
  group_shares: empty,
  public_permission: share,
  sharing_status: z.enum(['PRIVATE', 'SHARED', 'PUBLIC']),
  hierarchy_nodes: empty,
  attached_documents: z.array(
    z.object({
      id: text,
      title: text,
      link: nullable(text),
      parent_id: nullable(int()),
      last_modified: nullable(time),
      last_synced: nullable(time),
      source: nullable(source),
    }),
  ),
});
export const FullPersona = Persona.extend({
  search_start_date: nullable(time),
  admin_count: int(),
  ownership_vacant: flag,
});

// Chat

const SearchDoc = z.object({
  document_id: text.min(1),
  chunk_ind: int(),
  semantic_identifier: text.min(1),
  link: nullable(text),
  blurb: text,
  source_type: source,
  boost: int(),
  hidden: flag,
  metadata: z.record(z.string(), z.union([text, texts])),
  score: nullable(number),
  is_relevant: nullable(flag),
  relevance_explanation: nullable(text),
  match_highlights: texts,
  updated_at: nullable(time),
  primary_owners: nullable(texts),
  secondary_owners: nullable(texts),
  is_internet: flag,
  file_id: nullable(text),
});
const SavedSearchDoc = SearchDoc.extend({ db_doc_id: int() });

const sharing = z.enum(['public', 'private']);
const settings = {
  current_alternate_model: nullable(text),
  current_temperature_override: nullable(number),
  current_reasoning_effort_override: nullable(text),
};
const SessionDetails = z.object({
  id: uuid,
  name: nullable(text),
  persona_id: nullable(int()),
  time_created: time,
  time_updated: time,
  shared_status: sharing,
  ...settings,
});
export const SessionList = z.object({ sessions: some(SessionDetails), has_more: flag });
export const ChatSearch = z.object({
  groups: some(
    z.object({
      title: z.enum(['Today', 'Yesterday', 'This Week', 'This Month', 'Older']),
      chats: some(
        z.object({
          id: uuid,
          name: nullable(text),
          persona_id: nullable(int()),
          time_created: time,
          shared_status: sharing,
          ...settings,
        }),
      ),
    }),
  ),
  has_more: flag,
  next_page: nullable(int()),
});

const fileType = z.enum(['image', 'document', 'plain_text', 'csv', 'tabular']);
const FileDescriptor = z.object({ id: text, type: fileType, name: nullable(text), user_file_id: nullable(text) });
const Citation = z.object({ type: z.literal('citation_info'), citation_number: int(), document_id: text });

const packets = {
  message_start: { final_documents: nullable(some(SearchDoc)), pre_answer_processing_seconds: nullable(number) },
  message_delta: { content: text },
  citation_info: { citation_number: int(), document_id: text },
  search_tool_start: { is_internet_search: flag },
  search_tool_queries_delta: { queries: some(text) },
  search_tool_documents_delta: { documents: z.array(SearchDoc) },
  reasoning_start: {},
  reasoning_delta: { reasoning: text },
  reasoning_done: {},
  section_end: {},
  stop: { stop_reason: nullable(text) },
};
/** One packet of a stream. A type that is not listed here fails the test, because clients do not recognize it. */
const Packet = z.object({
  placement: z.object({
    turn_index: int(),
    tab_index: int(),
    sub_turn_index: nullable(int()),
    model_index: nullable(int()),
  }),
  obj: z.discriminatedUnion(
    'type',
    Object.entries(packets).map(([type, fields]) => z.object({ type: z.literal(type), ...fields })) as [
      z.ZodObject<{ type: z.ZodLiteral<string> }>,
    ],
  ),
});
/** A line of a stream that answers a message: first the IDs, then packets. */
export const Line = z.union([
  z.strictObject({ chat_session_id: uuid, incognito: flag }),
  z.strictObject({ user_message_id: nullable(int()), reserved_assistant_message_id: int() }),
  Packet,
]);

export const NewSession = z.object({ chat_session_id: uuid, incognito: flag });
export const FullResponse = z.object({
  answer: text.min(1),
  answer_citationless: text.min(1),
  pre_answer_reasoning: nullable(text),
  tool_calls: some(
    z.object({
      tool_name: text,
      tool_arguments: z.record(z.string(), z.unknown()),
      tool_result: text,
      search_docs: nullable(z.array(SearchDoc)),
      generated_images: z.null(),
      pre_reasoning: nullable(text),
    }),
  ),
  top_documents: some(SearchDoc),
  citation_info: some(Citation),
  message_id: int(),
  chat_session_id: uuid,
  incognito: flag,
  error_msg: z.null(),
});

const ChatMessage = z.object({
  chat_session_id: nullable(uuid),
  message_id: int(),
  parent_message: nullable(int()),
  latest_child_message: nullable(int()),
  message: text,
  reasoning_tokens: nullable(text),
  message_type: z.enum(['system', 'user', 'assistant', 'tool_call', 'tool_call_response', 'user_reminder']),
  context_docs: nullable(z.array(SavedSearchDoc)),
  citations: nullable(z.record(z.string().regex(/^\d+$/), text)),
  time_sent: time,
  files: z.array(FileDescriptor),
  error: nullable(text),
  current_feedback: nullable(z.enum(['like', 'dislike'])),
  processing_duration_seconds: nullable(number),
  preferred_response_id: nullable(int()),
  model_display_name: nullable(text),
  request_params: nullable(z.record(z.string(), z.unknown())),
});
export const SessionDetail = z.object({
  chat_session_id: uuid,
  description: nullable(text),
  persona_id: nullable(int()),
  persona_name: nullable(text),
  personal_icon_name: nullable(text),
  messages: some(ChatMessage),
  time_created: time,
  shared_status: sharing,
  ...settings,
  deleted: flag,
  owner_name: nullable(text),
  packets: some(some(Packet)),
  current_run: nullable(z.object({ run_id: int() })),
  incognito: flag,
});

// Files and projects

export const UserFile = z.object({
  id: uuid,
  temp_id: nullable(text),
  name: text,
  project_id: nullable(int()),
  user_id: nullable(uuid),
  file_id: text,
  created_at: time,
  status: z.enum(['PROCESSING', 'INDEXING', 'COMPLETED', 'SKIPPED', 'FAILED', 'CANCELED', 'DELETING']),
  last_accessed_at: nullable(time),
  file_type: nullable(text),
  chat_file_type: fileType,
  token_count: nullable(int()),
  chunk_count: nullable(int()),
});
export const Upload = z.object({
  user_files: some(UserFile),
  rejected_files: some(z.object({ file_name: text, reason: text.min(1) })),
});
export const FileDeletion = z.object({ has_associations: flag, project_names: texts, assistant_names: texts });
export const Project = z.object({
  id: int(),
  name: text,
  description: nullable(text),
  created_at: time,
  user_id: nullable(uuid),
  instructions: nullable(text),
  chat_sessions: z.array(SessionDetails),
});
export const ProjectDetails = z.object({
  project: Project.extend({ chat_sessions: some(SessionDetails) }),
  files: some(UserFile),
  persona_id_to_is_default: z.record(z.string(), flag),
  persona_id_to_is_featured: z.record(z.string(), flag),
});

// Documents, limits and usage

export const IngestedDocument = z.object({ document_id: text, semantic_id: text, link: nullable(text) });
export const Ingestion = z.object({ document_id: text.min(1), already_existed: flag });

export const RateLimit = z.object({
  token_id: int(),
  enabled: flag,
  token_budget: int().min(1),
  period_hours: int().min(1),
  cost_budget_cents: nullable(number),
});

export const Usage = z.object({
  per_day_by_model: some(
    z.object({
      day: z.iso.date(),
      model: text,
      input_tokens: int(),
      output_tokens: int(),
      cache_read_tokens: int(),
      cost_cents: number,
    }),
  ),
  window_cost_cents: number,
  budget_cents: nullable(number),
  budget_remaining_cents: nullable(number),
  budget_period_hours: nullable(int()),
  selected_model_price: nullable(
    z.object({
      model: text,
      provider: nullable(text),
      input_per_mtok: nullable(number),
      output_per_mtok: nullable(number),
    }),
  ),
});

export const Health = z.object({ success: flag, message: nullable(text), data: z.null() });
export const Version = z.object({ backend_version: text.regex(/^\d+\.\d+\.\d+/) });

export const count = int();
export const Message = z.object({ message: text });
export const Role = z.object({ role });
export const Permissions = z.object({
  permissions: some(text),
  is_manager: flag,
  managed_group_ids: z.array(int()),
});
export const UserCounts = z.object({
  role_counts: z.record(z.string(), int()),
  status_counts: z.object({ active: int(), inactive: int() }),
});
export const Invitation = z.object({
  invited_count: int(),
  email_invite_status: z.enum(['SENT', 'NOT_CONFIGURED', 'SEND_FAILED', 'DISABLED']),
});
export const NewName = z.object({ new_name: text });
export const AvailableTokens = z.object({ available_tokens: int() });
export const MaxTokens = z.object({ max_tokens: int() });
export const TotalTokens = z.object({ total_tokens: int() });
export const Redirect = z.object({ redirect_url: z.url() });
export const Instructions = z.object({ instructions: nullable(text) });
export const GroupLimits = z.record(z.string(), some(RateLimit));
