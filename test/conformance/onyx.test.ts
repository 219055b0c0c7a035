import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { endpoints } from '../../src/rest/endpoints.ts';
import { onyx } from '../../src/rest/onyx/errors.ts';
import { dialectOf } from '../../src/rest/routes.ts';
import { type Answer, type Kit, startKit, until } from '../kit.ts';
import { jsonLines } from '../lines.ts';
import { type Gate, makeGate } from '../model-server.ts';
import * as types from './onyx-types.ts';

/**
 * Calls every operation that the server provides for Onyx clients, as such a client does, and checks the reply against
 * the types in onyx-types.ts.
 */
let kit: Kit;
let scene: Awaited<ReturnType<typeof prepare>>;
let gate: Gate;

beforeAll(async () => {
  kit = await startKit({ scripted: true, environment: { REGISTRATION: 'open' } });
  await kit.prisma.document.deleteMany();
  scene = await prepare();
});
afterAll(async () => {
  gate?.open();
  await kit?.close();
});

type Options = Parameters<Kit['rest']>[2];
const call = (method: string, path: string, options?: Options) => kit.rest(method, `/api${path}`, options);
const post = (path: string, body?: unknown, options: Options = {}) => call('POST', path, { ...options, body });
const put = (path: string, body: unknown) => call('PUT', path, { body });
const patch = (path: string, body: unknown, options: Options = {}) => call('PATCH', path, { ...options, body });
const get = (path: string, options?: Options) => call('GET', path, options);
const remove = (path: string, options?: Options) => call('DELETE', path, options);

const password = 'long enough';
const fresh = () => `${randomUUID()}@people.example`;
const person = async (): Promise<{ id: string; email: string }> =>
  (await post('/auth/register', { email: fresh(), password }, { key: null })).body;
const form = (email: string) => ({
  key: null,
  body: new URLSearchParams({ username: email, password }).toString(),
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
});
const bearer = async (email: string): Promise<string> =>
  (await call('POST', '/auth/mobile/login', form(email))).body.access_token;

const persona = (rest: object = {}) => ({
  name: randomUUID(),
  description: 'Knows kettles.',
  system_prompt: 'Be brief.',
  task_prompt: '',
  document_set_ids: [],
  tool_ids: [scene?.toolId ?? 1],
  datetime_aware: true,
  num_chunks: 10,
  recency_bias: 'auto',
  llm_filter_extraction: false,
  llm_relevance_filter: false,
  is_public: false,
  ...rest,
});
const newPersona = async (rest: object = {}): Promise<number> => (await post('/persona', persona(rest))).body.id;
const newSession = async (rest: object = {}): Promise<string> =>
  (await post('/chat/create-chat-session', { description: 'About kettles', ...rest })).body.chat_session_id;
const upload = (project?: number) => {
  const body = new FormData();
  body.append('files', new Blob(['A kettle.']), `${randomUUID()}.txt`);
  body.append('files', new Blob([new Uint8Array([0, 1, 2])]), 'nothing.bin');
  if (project !== undefined) body.append('project_id', String(project));
  return post('/user/projects/file/upload', body);
};
const newFile = async (project?: number): Promise<string> => (await upload(project)).body.user_files[0].id;
const newProject = async (): Promise<number> => (await call('POST', '/user/projects/create?name=Kettles')).body.id;
const invited = async (): Promise<string> => {
  const email = fresh();
  await put('/manage/admin/users', { emails: [email] });
  return email;
};
const deactivated = async (): Promise<string> => {
  const { email } = await person();
  await patch('/manage/admin/deactivate-user', { user_email: email });
  return email;
};
const budget = { enabled: true, token_budget: 1_000_000, period_hours: 24 };
const newLimit = async (path: string): Promise<number> => (await post(path, budget)).body.token_id;
const limits = '/admin/token-rate-limits';

/** Scripts the next answers: they contain reasoning, followed by a text that cites the first passage. */
const citing = () => kit.model.script({ reasoning: 'A kettle boils.', text: ['It boils water ', '[1]', '.'] });
const ask = async (rest: object) => {
  citing();
  return post('/chat/send-chat-message', { message: 'What does a kettle boil?', stream: false, ...rest });
};

/**
 * Creates at least one object of each kind, so that the lists in the replies have items and the optional fields have
 * values.
 */
async function prepare() {
  const { email, id: userId } = await person();
  await post('/onyx-api/ingestion', {
    document: {
      id: 'kettle',
      semantic_identifier: 'Kettles',
      sections: [{ text: 'A kettle boils water.', link: 'https://docs.example/kettles' }],
      metadata: { team: 'kitchen', tags: ['hot'] },
      doc_updated_at: '2026-01-02T03:04:05Z',
      primary_owners: [{ display_name: 'Ada' }],
      secondary_owners: [{ email: 'bob@people.example' }],
    },
  });
  const toolId: number = (await get('/tool')).body[0].id;
  const labelId: number = (await post('/persona/labels', { name: 'Kitchen' })).body.id;
  const project = await newProject();
  const fileId = await newFile(project);
  const personaId: number = (
    await post(
      '/persona',
      persona({
        tool_ids: [toolId],
        label_ids: [labelId],
        document_ids: ['kettle'],
        user_file_ids: [fileId],
        users: [userId],
        starter_messages: [{ name: 'Boiling', message: 'What boils?' }],
        icon_name: 'kettle',
        search_start_date: '2020-01-01T00:00:00Z',
        display_priority: 3,
      }),
    )
  ).body.id;
  const session = await newSession({ persona_id: personaId, project_id: project });
  const answer = await ask({
    chat_session_id: session,
    file_descriptors: [{ id: fileId, type: 'plain_text', name: 'a.txt' }],
  });
  await post('/chat/create-chat-message-feedback', { chat_message_id: answer.body.message_id, is_positive: true });
  const messages = (await get(`/chat/get-chat-session/${session}`)).body.messages;
  const questionId: number = messages.find((message: any) => message.message_type === 'user').message_id;
  await invited();
  for (const path of ['global', 'users', 'user-group/2']) await newLimit(`${limits}/${path}`);
  await post('/user/pats', { name: 'kept', expiration_days: 7, scopes: ['read:chat'] });
  return {
    email,
    userId,
    toolId,
    labelId,
    project,
    fileId,
    personaId,
    session,
    answerId: answer.body.message_id as number,
    questionId,
  };
}

interface Operation {
  call: () => Promise<Answer>;
  type: z.ZodType;
  status?: 201 | 204;
}
const operation = (type: z.ZodType, call: Operation['call'], status?: Operation['status']): Operation => ({
  call,
  type,
  ...(status && { status }),
});
const { some } = types;

/** Returns the lines of a stream as a list. */
async function streamed(path: string, body?: object): Promise<Answer> {
  const response = await fetch(`${kit.url}/api${path}`, {
    method: body ? 'POST' : 'GET',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${kit.keys.ADMIN}` },
    ...(body && { body: JSON.stringify(body) }),
  });
  expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
  const lines = [];
  for await (const line of jsonLines(response)) lines.push(line);
  return { status: response.status, headers: response.headers, text: JSON.stringify(lines), body: lines };
}

const operations: Record<string, Operation> = {
  'GET /health': operation(types.Health, () => get('/health', { key: null })),
  'GET /version': operation(types.Version, () => get('/version', { key: null })),

  'GET /auth/type': operation(types.AuthType, () => get('/auth/type', { key: null })),
  'POST /auth/register': operation(
    types.UserRead,
    () => post('/auth/register', { email: fresh(), password, username: 'ignored' }, { key: null }),
    201,
  ),
  'POST /auth/login': operation(types.noContent, () => call('POST', '/auth/login', form(scene.email)), 204),
  'POST /auth/logout': operation(
    types.noContent,
    async () => call('POST', '/auth/logout', { key: await bearer(scene.email) }),
    204,
  ),
  'POST /auth/refresh': operation(
    types.noContent,
    async () => call('POST', '/auth/refresh', { key: await bearer(scene.email) }),
    204,
  ),
  'POST /auth/mobile/login': operation(types.Bearer, () => call('POST', '/auth/mobile/login', form(scene.email))),
  'POST /auth/mobile/refresh': operation(types.Bearer, async () =>
    call('POST', '/auth/mobile/refresh', { key: await bearer(scene.email) }),
  ),
  'POST /auth/mobile/logout': operation(
    types.noContent,
    async () => call('POST', '/auth/mobile/logout', { key: await bearer(scene.email) }),
    204,
  ),
  'POST /password/change-password': operation(types.nothing, async () =>
    post(
      '/password/change-password',
      { old_password: password, new_password: password },
      { key: await bearer(scene.email) },
    ),
  ),
  'POST /password/reset_password': operation(
    types.MinimalUser.omit({ id: true, email: true }).extend({ user_id: types.uuid, new_password: types.text.min(8) }),
    async () => post('/password/reset_password', { user_email: (await person()).email }),
  ),

  'GET /me': operation(types.UserInfo, async () => get('/me', { key: await bearer(scene.email) })),
  'GET /me/permissions': operation(types.Permissions, () => get('/me/permissions')),
  'GET /users/me': operation(types.UserRead, () => get('/users/me')),
  'GET /get-user-role': operation(types.Role, () => get('/get-user-role')),
  'GET /users': operation(some(types.MinimalUser), () => get('/users?include_api_keys=true')),
  'GET /manage/users': operation(types.AllUsers, () => get('/manage/users?include_api_keys=true')),
  'GET /manage/users/accepted': operation(types.page(types.FullUser), () => get('/manage/users/accepted?page_size=5')),
  'GET /manage/users/accepted/all': operation(some(types.FullUser), () => get('/manage/users/accepted/all')),
  'GET /manage/users/counts': operation(types.UserCounts, () => get('/manage/users/counts')),
  'GET /manage/users/invited': operation(some(types.Invited), () => get('/manage/users/invited')),
  'PUT /manage/admin/users': operation(types.Invitation, () => put('/manage/admin/users', { emails: [fresh()] })),
  'PATCH /manage/admin/remove-invited-user': operation(types.count, async () =>
    patch('/manage/admin/remove-invited-user', { user_email: await invited() }),
  ),
  'PATCH /manage/admin/deactivate-user': operation(types.nothing, async () =>
    patch('/manage/admin/deactivate-user', { user_email: (await person()).email }),
  ),
  'PATCH /manage/admin/activate-user': operation(types.nothing, async () =>
    patch('/manage/admin/activate-user', { user_email: await deactivated() }),
  ),
  'DELETE /manage/admin/delete-user': operation(types.nothing, async () =>
    remove('/manage/admin/delete-user', { body: { user_email: await deactivated() } }),
  ),
  'PATCH /manage/set-user-role': operation(types.nothing, async () =>
    patch('/manage/set-user-role', { user_email: (await person()).email, new_role: 'admin' }),
  ),
  'PATCH /manage/admin/users/admin-access': operation(types.nothing, async () =>
    patch('/manage/admin/users/admin-access', { user_email: (await person()).email, is_admin: true }),
  ),
  'GET /manage/admin/user-group': operation(some(types.UserGroup), () =>
    get('/manage/admin/user-group?include_default=true'),
  ),
  'GET /manage/admin/user-group/{user_group_id}/permissions': operation(some(types.text), () =>
    get('/manage/admin/user-group/2/permissions'),
  ),
  'GET /manage/user-groups/minimal': operation(some(types.MinimalGroup), () =>
    get('/manage/user-groups/minimal?include_default=true'),
  ),

  'GET /admin/api-key': operation(some(types.ApiKey), () => get('/admin/api-key')),
  'POST /admin/api-key': operation(types.NewApiKey, () => post('/admin/api-key', { name: 'one', role: 'basic' })),
  'PATCH /admin/api-key/{api_key_id}': operation(types.ApiKey, async () =>
    patch(`/admin/api-key/${(await kit.createKey('BASIC')).id}`, { name: 'other', role: 'limited' }),
  ),
  'POST /admin/api-key/{api_key_id}/regenerate': operation(types.NewApiKey, async () =>
    call('POST', `/admin/api-key/${(await kit.createKey('BASIC')).id}/regenerate`),
  ),
  'DELETE /admin/api-key/{api_key_id}': operation(types.nothing, async () =>
    remove(`/admin/api-key/${(await kit.createKey('BASIC')).id}`),
  ),
  'GET /user/pats': operation(some(types.Token), () => get('/user/pats')),
  'POST /user/pats': operation(types.NewToken, () => post('/user/pats', { name: 'one' })),
  'DELETE /user/pats/{token_id}': operation(types.Message, async () =>
    remove(`/user/pats/${(await kit.createPat(kit.keys.ADMIN)).id}`),
  ),
  'GET /manage/admin/users/{user_id}/tokens': operation(some(types.UserToken), async () => {
    const { id, email } = await person();
    await kit.createPat(await bearer(email));
    return get(`/manage/admin/users/${id}/tokens`);
  }),
  'DELETE /manage/admin/users/{user_id}/tokens/{token_id}': operation(types.Message, async () => {
    const { id: userId, email } = await person();
    await kit.createPat(await bearer(email));
    const [{ id }] = (await get(`/manage/admin/users/${userId}/tokens`)).body;
    return remove(`/manage/admin/users/${userId}/tokens/${id}`);
  }),
  'DELETE /manage/admin/users/{user_id}/tokens': operation(types.RevokedTokens, async () => {
    const { id, email } = await person();
    await bearer(email);
    return remove(`/manage/admin/users/${id}/tokens`);
  }),
  'GET /user/pats/scopes': operation(some(types.TokenScope), () => get('/user/pats/scopes')),

  'GET /persona': operation(some(types.MinimalPersona), () => get('/persona')),
  'GET /agents': operation(types.page(types.MinimalPersona), () => get('/agents')),
  'GET /persona/labels': operation(some(types.Label), () => get('/persona/labels')),
  'POST /persona/labels': operation(types.Label, () => post('/persona/labels', { name: randomUUID() })),
  'POST /persona': operation(types.Persona, () => post('/persona', persona())),
  'GET /persona/{persona_id}': operation(
    types.FullPersona.extend({
      tools: some(types.Tool),
      labels: some(types.Label),
      users: some(types.MinimalUser),
      user_file_ids: some(types.uuid),
    }),
    () => get(`/persona/${scene.personaId}`),
  ),
  'PATCH /persona/{persona_id}': operation(types.Persona, async () =>
    patch(`/persona/${await newPersona()}`, persona()),
  ),
  'DELETE /persona/{persona_id}': operation(types.nothing, async () => remove(`/persona/${await newPersona()}`)),
  'PATCH /persona/{persona_id}/public': operation(types.nothing, async () =>
    patch(`/persona/${await newPersona()}/public`, { is_public: true }),
  ),
  'PATCH /persona/{persona_id}/share': operation(types.nothing, async () =>
    patch(`/persona/${await newPersona()}/share`, { user_ids: [scene.userId] }),
  ),
  'GET /admin/persona': operation(some(types.Persona), () => get('/admin/persona')),
  'GET /admin/agents': operation(types.page(types.Persona), () => get('/admin/agents')),
  'PATCH /admin/persona/{persona_id}/undelete': operation(types.nothing, async () => {
    const id = await newPersona();
    await remove(`/persona/${id}`);
    return patch(`/admin/persona/${id}/undelete`, undefined);
  }),
  ...Object.fromEntries(
    [
      ['listed', 'is_listed'],
      ['visible', 'is_visible'],
      ['featured', 'is_featured'],
      ['default', 'is_default_persona'],
    ].map(([name = '', field = '']) => [
      `PATCH /admin/persona/{persona_id}/${name}`,
      operation(types.nothing, async () => patch(`/admin/persona/${await newPersona()}/${name}`, { [field]: true })),
    ]),
  ),
  'GET /tool': operation(some(types.Tool), () => get('/tool')),
  'GET /tool/openapi': operation(types.Tool.array(), () => get('/tool/openapi')),
  'GET /tool/{tool_id}': operation(types.Tool, () => get(`/tool/${scene.toolId}`)),

  'POST /chat/create-chat-session': operation(types.NewSession, () => post('/chat/create-chat-session', {})),
  'GET /chat/get-user-chat-sessions': operation(types.SessionList, async () => {
    await newSession();
    return get('/chat/get-user-chat-sessions?include_failed_chats=true');
  }),
  'GET /chat/get-chat-session/{session_id}': operation(types.SessionDetail, () =>
    get(`/chat/get-chat-session/${scene.session}`),
  ),
  'GET /chat/search': operation(types.ChatSearch, () => get('/chat/search?query=kettle')),
  'PUT /chat/rename-chat-session': operation(types.NewName, async () =>
    put('/chat/rename-chat-session', { chat_session_id: await newSession(), name: 'Other' }),
  ),
  'PATCH /chat/chat-session/{session_id}': operation(types.nothing, async () =>
    patch(`/chat/chat-session/${await newSession()}`, { sharing_status: 'public' }),
  ),
  'DELETE /chat/delete-chat-session/{session_id}': operation(types.nothing, async () =>
    remove(`/chat/delete-chat-session/${await newSession()}`),
  ),
  'DELETE /chat/delete-all-chat-sessions': operation(types.nothing, async () =>
    remove('/chat/delete-all-chat-sessions', { key: (await kit.createKey('BASIC')).secret }),
  ),
  'PUT /chat/update-chat-session-model': operation(types.nothing, async () =>
    put('/chat/update-chat-session-model', { chat_session_id: await newSession(), new_alternate_model: 'scripted' }),
  ),
  'PUT /chat/update-chat-session-temperature': operation(types.nothing, async () =>
    put('/chat/update-chat-session-temperature', { chat_session_id: await newSession(), temperature_override: 0.5 }),
  ),
  'PUT /chat/update-chat-session-reasoning': operation(types.nothing, async () =>
    put('/chat/update-chat-session-reasoning', {
      chat_session_id: await newSession(),
      reasoning_effort_override: 'low',
    }),
  ),
  'GET /chat/available-context-tokens/{session_id}': operation(types.AvailableTokens, () =>
    get(`/chat/available-context-tokens/${scene.session}`),
  ),
  'GET /chat/max-selected-document-tokens': operation(types.MaxTokens, () =>
    get(`/chat/max-selected-document-tokens?persona_id=${scene.personaId}`),
  ),
  'POST /chat/seed-chat-session': operation(types.Redirect, () =>
    post('/chat/seed-chat-session', { persona_id: scene.personaId, message: 'What boils?' }),
  ),
  'PUT /chat/set-message-as-latest': operation(types.nothing, () =>
    put('/chat/set-message-as-latest', { message_id: scene.answerId }),
  ),
  'PUT /chat/set-preferred-response': operation(types.nothing, () =>
    put('/chat/set-preferred-response', { user_message_id: scene.questionId, preferred_response_id: scene.answerId }),
  ),
  'POST /chat/create-chat-message-feedback': operation(types.nothing, async () => {
    const { body } = await ask({});
    return post('/chat/create-chat-message-feedback', { chat_message_id: body.message_id, feedback_text: 'Good.' });
  }),
  'DELETE /chat/remove-chat-message-feedback': operation(types.nothing, async () => {
    const { body } = await ask({});
    await post('/chat/create-chat-message-feedback', { chat_message_id: body.message_id, is_positive: false });
    return remove(`/chat/remove-chat-message-feedback?chat_message_id=${body.message_id}`);
  }),
  'POST /chat/send-chat-message': operation(types.FullResponse, () => ask({})),
  'POST /chat/stop-chat-session/{chat_session_id}': operation(types.Message, async () =>
    call('POST', `/chat/stop-chat-session/${await newSession()}`),
  ),
  'GET /chat/chat-session/{session_id}/resume-stream': operation(some(types.Line), async () => {
    const { body } = await ask({});
    return streamed(`/chat/chat-session/${body.chat_session_id}/resume-stream`);
  }),

  'POST /user/projects/file/upload': operation(types.Upload, () => upload()),
  'POST /user/projects/file/statuses': operation(some(types.UserFile), () =>
    post('/user/projects/file/statuses', { file_ids: [scene.fileId] }),
  ),
  'GET /user/projects/file/{file_id}': operation(types.UserFile, () => get(`/user/projects/file/${scene.fileId}`)),
  'DELETE /user/projects/file/{file_id}': operation(
    types.FileDeletion.extend({ project_names: some(types.text), assistant_names: some(types.text) }),
    () => remove(`/user/projects/file/${scene.fileId}`),
  ),
  'GET /user/projects/files/{project_id}': operation(some(types.UserFile), () =>
    get(`/user/projects/files/${scene.project}`),
  ),
  'GET /user/projects/session/{chat_session_id}/files': operation(some(types.UserFile), () =>
    get(`/user/projects/session/${scene.session}/files`),
  ),
  'GET /user/files/recent': operation(some(types.UserFile), () => get('/user/files/recent')),
  'GET /user/projects/{project_id}/details': operation(types.ProjectDetails, () =>
    get(`/user/projects/${scene.project}/details`),
  ),
  'GET /user/projects/{project_id}/token-count': operation(types.TotalTokens, () =>
    get(`/user/projects/${scene.project}/token-count`),
  ),
  'POST /user/projects/{project_id}/files/{file_id}': operation(types.UserFile, async () =>
    call('POST', `/user/projects/${scene.project}/files/${await newFile()}`),
  ),
  'DELETE /user/projects/{project_id}/files/{file_id}': operation(
    types.noContent,
    async () => remove(`/user/projects/${scene.project}/files/${await newFile(scene.project)}`),
    204,
  ),
  'GET /chat/file/{file_id}': operation(types.text.min(1), async () => {
    const answer = await get(`/chat/file/${scene.fileId}`);
    return { ...answer, body: answer.text };
  }),
  'GET /user/projects': operation(some(types.Project), () => get('/user/projects/')),
  'POST /user/projects/create': operation(types.Project, () => call('POST', '/user/projects/create?name=Kettles')),
  'GET /user/projects/{project_id}': operation(types.Project, () => get(`/user/projects/${scene.project}`)),
  'PATCH /user/projects/{project_id}': operation(types.Project, async () =>
    patch(`/user/projects/${await newProject()}`, { name: 'Pots', description: 'All of them.' }),
  ),
  'DELETE /user/projects/{project_id}': operation(
    types.noContent,
    async () => remove(`/user/projects/${await newProject()}`),
    204,
  ),
  'GET /user/projects/{project_id}/instructions': operation(types.Instructions, () =>
    get(`/user/projects/${scene.project}/instructions`),
  ),
  'POST /user/projects/{project_id}/instructions': operation(types.Instructions, () =>
    post(`/user/projects/${scene.project}/instructions`, { instructions: 'Be brief.' }),
  ),
  'POST /user/projects/{project_id}/move_chat_session': operation(
    types.noContent,
    async () => post(`/user/projects/${scene.project}/move_chat_session`, { chat_session_id: await newSession() }),
    204,
  ),
  'POST /user/projects/remove_chat_session': operation(
    types.noContent,
    async () =>
      post('/user/projects/remove_chat_session', { chat_session_id: await newSession({ project_id: scene.project }) }),
    204,
  ),

  'GET /onyx-api/ingestion': operation(some(types.IngestedDocument), () => get('/onyx-api/ingestion')),
  'POST /onyx-api/ingestion': operation(types.Ingestion, () =>
    post('/onyx-api/ingestion', { document: { semantic_identifier: 'x', sections: [{ text: 'y' }], metadata: {} } }),
  ),
  'DELETE /onyx-api/ingestion/{document_id}': operation(types.nothing, async () => {
    await kit.ingest('Pots', 'A pot.', { id: 'pot' });
    return remove('/onyx-api/ingestion/pot');
  }),

  ...Object.fromEntries(
    ['global', 'users', 'user-group/{group_id}'].flatMap((name) => {
      const path = `${limits}/${name.replace('{group_id}', '2')}`;
      return [
        [`GET ${limits}/${name}`, operation(some(types.RateLimit), () => get(path))],
        [`POST ${limits}/${name}`, operation(types.RateLimit, () => post(path, budget))],
      ];
    }),
  ),
  [`PUT ${limits}/rate-limit/{token_rate_limit_id}`]: operation(types.RateLimit, async () =>
    put(`${limits}/rate-limit/${await newLimit(`${limits}/global`)}`, { ...budget, enabled: false }),
  ),
  [`DELETE ${limits}/rate-limit/{token_rate_limit_id}`]: operation(types.nothing, async () =>
    remove(`${limits}/rate-limit/${await newLimit(`${limits}/global`)}`),
  ),
  [`GET ${limits}/user-groups`]: operation(types.GroupLimits, () => get(`${limits}/user-groups`)),
  [`PUT ${limits}/user-group/{group_id}/rate-limit/{token_rate_limit_id}`]: operation(types.RateLimit, async () =>
    put(`${limits}/user-group/2/rate-limit/${await newLimit(`${limits}/user-group/2`)}`, budget),
  ),
  [`DELETE ${limits}/user-group/{group_id}/rate-limit/{token_rate_limit_id}`]: operation(types.nothing, async () =>
    remove(`${limits}/user-group/2/rate-limit/${await newLimit(`${limits}/user-group/2`)}`),
  ),
  'GET /user/usage': operation(types.Usage, () => get('/user/usage')),
};

it('every operation that is served to Onyx clients has a conformance case', () => {
  const served = endpoints
    .filter((row) => dialectOf(row) === onyx)
    .map(({ method, path }) => `${method.toUpperCase()} ${path}`);
  expect(Object.keys(operations).sort()).toEqual(['GET /health', 'GET /version', ...served].sort());
});

/** Returns the validation errors of a reply with the path of each field; empty when the reply matches the type. */
const problems = (type: z.ZodType, value: unknown): string[] =>
  type.safeParse(value).error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? [];

describe('replies with the types that Onyx clients rely on:', () => {
  it.each(Object.entries(operations))('%s', async (_name, { call, type, status = 200 }) => {
    const answer = await call();
    expect(answer.status, answer.text).toBe(status);
    expect(problems(type, status === 204 ? answer.text : answer.body), answer.text.slice(0, 2000)).toEqual([]);
  });
});

describe('a stream with the types that Onyx clients rely on', () => {
  it('sends the IDs first, then packets with reasoning, a search and citations, and `stop` last', async () => {
    citing();
    const { body: lines } = await streamed('/chat/send-chat-message', { message: 'What does a kettle boil?' });
    expect(problems(some(types.Line), lines)).toEqual([]);
    expect(Object.keys(lines[0])).toContain('chat_session_id');
    expect(Object.keys(lines[1])).toContain('reserved_assistant_message_id');
    const kinds = lines.slice(2).map(({ obj }: any) => obj.type);
    expect(kinds.at(-1)).toBe('stop');
    for (const kind of ['search_tool_documents_delta', 'reasoning_delta', 'message_start', 'citation_info'])
      expect(kinds, kind).toContain(kind);
    expect(kinds.indexOf('citation_info')).toBeGreaterThan(kinds.indexOf('message_start'));
  });
});

describe('a chat session that a client opens', () => {
  it('begins with an empty system message, and includes the agent’s icon, files, feedback and citations', async () => {
    const { body } = await get(`/chat/get-chat-session/${scene.session}`);
    const [root, question, answer] = body.messages;
    expect(root).toMatchObject({ message_type: 'system', message: '', parent_message: null });
    expect(question).toMatchObject({ message_type: 'user', parent_message: root.message_id });
    expect(question.files).toMatchObject([{ id: scene.fileId, type: 'plain_text' }]);
    expect(answer).toMatchObject({ message_type: 'assistant', current_feedback: 'like' });
    expect(Object.values(answer.citations)).toHaveLength(1);
    expect(answer.context_docs.map((document: any) => document.document_id)).toContain(answer.citations[1]);
    expect(body).toMatchObject({ persona_id: scene.personaId, personal_icon_name: 'kettle' });
  });

  it('identifies the run of an answer in progress by an integer', async () => {
    gate = makeGate();
    kit.model.script({ text: ['One ', 'two'], gate });
    const session = await newSession();
    const answering = post('/chat/send-chat-message', { message: 'Hello', chat_session_id: session, stream: false });
    await gate.reached(0);
    // The model can receive the request before the run is stored.
    const body = await until(async () => {
      const reply = await get(`/chat/get-chat-session/${session}`);
      return reply.body.current_run ? reply.body : null;
    });
    expect(problems(types.SessionDetail.pick({ current_run: true }), body)).toEqual([]);
    expect(body.current_run).toEqual({ run_id: body.messages.at(-1).message_id });
    gate.open();
    expect((await answering).body.message_id).toBe(body.current_run.run_id);
    expect((await get(`/chat/get-chat-session/${session}`)).body.current_run).toBeNull();
  });
});

describe('input of the Onyx contract that the server cannot apply is rejected by name and changes no data:', () => {
  const turn = (rest: object) => post('/chat/send-chat-message', { message: 'Hello', stream: false, ...rest });
  const cases: [string, () => Promise<Answer>, RegExp][] = [
    [
      'an incognito chat',
      () => post('/chat/create-chat-session', { incognito: true }),
      /incognito: incognito chats are not supported/,
    ],
    [
      'an incognito chat that a message starts',
      () => turn({ chat_session_info: { incognito: true } }),
      /chat_session_info\.incognito: incognito chats are not supported/,
    ],
    [
      'a model by the number of its configuration alone',
      () => turn({ llm_override: { model_configuration_id: 3 } }),
      /llm_override\.model_configuration_id: is only supported with model_version/,
    ],
    ['a model that does not exist', () => turn({ llm_override: { model_version: 'other' } }), /scripted/],
    ['several models at once', () => turn({ llm_overrides: [{}, {}] }), /llm_overrides: must have at most one entry/],
    [
      'the window of a model by the number of its configuration',
      () => get(`/chat/available-context-tokens/${scene.session}?model_configuration_id=3`),
      /model_configuration_id: is not supported/,
    ],
    ['the preview of a table', () => get(`/chat/file/${scene.fileId}?parsed=true`), /parsed: is not supported/],
    [
      'a file of an incognito chat',
      () => {
        const body = new FormData();
        body.append('files', new Blob(['secret']), 'secret.txt');
        body.append('incognito_session_id', randomUUID());
        return post('/user/projects/file/upload', body);
      },
      /incognito_session_id: is not supported/,
    ],
    [
      'a budget in money',
      () => post(`${limits}/global`, { ...budget, cost_budget_cents: 5 }),
      /cost_budget_cents: budgets in money cannot be enforced/,
    ],
    ['deep research', () => turn({ deep_research: true }), /deep_research: is not supported/],
    ['deep research in a stream', () => turn({ deep_research: true, stream: true }), /deep_research: is not supported/],
    [
      'documents of a set',
      () => turn({ internal_search_filters: { document_set: ['Manuals'] } }),
      /internal_search_filters\.document_set: is not supported/,
    ],
    [
      'documents of a set in a stream',
      () => turn({ internal_search_filters: { document_set: ['Manuals'] }, stream: true }),
      /internal_search_filters\.document_set: is not supported/,
    ],
    [
      'documents of a set under the older name of the filters',
      () => turn({ search_filters: { document_set: ['Manuals'] } }),
      /search_filters\.document_set: is not supported/,
    ],
    [
      'filters under both of their names',
      () => turn({ internal_search_filters: {}, search_filters: {} }),
      /search_filters: cannot be combined with internal_search_filters/,
    ],
    [
      'a forced tool that does not exist',
      () => turn({ forced_tool_id: 2 ** 31 - 1 }),
      /forced_tool_id: must be the ID/,
    ],
    [
      'a forced tool that the message does not allow',
      () => turn({ forced_tool_id: scene.toolId, allowed_tool_ids: [] }),
      /forced_tool_id: must be the ID/,
    ],
    [
      'documents updated before a time',
      () => turn({ internal_search_filters: { updated_at_range: { end: '2026-01-01T00:00:00Z' } } }),
      /updated_at_range\.end: is not supported/,
    ],
    [
      'documents created after a time',
      () => turn({ internal_search_filters: { created_at_range: { start: '2026-01-01T00:00:00Z' } } }),
      /created_at_range: is not supported/,
    ],
    [
      'an agent whose model is the number of a configuration',
      () => post('/persona', persona({ default_model_configuration_id: 3 })),
      /default_model_configuration_id is supported only together with llm_model_version_override/,
    ],
    [
      'an agent whose model does not exist',
      () => post('/persona', persona({ llm_model_version_override: 'other' })),
      /llm_model_version_override is not one of scripted/,
    ],
    ['document sets', () => post('/persona', persona({ document_set_ids: [1] })), /document_sets not found/],
    ['groups', () => post('/persona', persona({ groups: [1] })), /no groups/],
    [
      'folders of a connector',
      () => post('/persona', persona({ hierarchy_node_ids: [1] })),
      /hierarchy_nodes not found/,
    ],
    [
      'the right to edit for everybody',
      () => patch(`/persona/${scene.personaId}/share`, { public_permission: 'EDITOR' }),
      /public_permission/,
    ],
  ];
  it.each(cases)('%s', async (_what, request, message) => {
    await kit.booted.background.settled();
    const before = await kit.fingerprint();
    const answer = await request();
    expect(answer.status, answer.text).toBeGreaterThanOrEqual(400);
    expect(answer.status, answer.text).toBeLessThan(500);
    expect(answer.text).toMatch(message);
    expect(await kit.fingerprint()).toBe(before);
  });
});

describe('input of the Onyx contract', () => {
  it('applies the values that clients send by default, and a forced tool of the agent', async () => {
    const filters = { source_type: null, document_set: [], tags: null, time_cutoff: null };
    for (const rest of [
      { internal_search_filters: null, deep_research: false, forced_tool_id: null, allowed_tool_ids: null },
      { internal_search_filters: filters, mcp_headers: {}, origin: 'api' },
      { internal_search_filters: { ...filters, document_set: null } },
      { search_filters: filters, forced_tool_id: scene.toolId },
    ]) {
      const answer = await ask(rest);
      expect([answer.status, answer.body.error_msg], answer.text).toEqual([200, null]);
    }
  });

  it('applies the model of an agent, and keeps it when a later request omits it', async () => {
    const { body } = await post('/persona', persona({ llm_model_version_override: 'scripted' }));
    expect(body.llm_model_version_override).toBe('scripted');
    const { body: later } = await patch(`/persona/${body.id}`, persona({ llm_model_version_override: null }));
    expect(later.llm_model_version_override).toBe('scripted');
    expect((await get(`/persona/${body.id}`)).body.llm_model_version_override).toBe('scripted');
  });

  it('applies the filter for documents updated since a time in both forms, and prefers the newer form', async () => {
    const found = async (filters: object) =>
      (await ask({ internal_search_filters: filters })).body.top_documents.map(({ document_id }: any) => document_id);
    const [before, after] = ['2026-01-01T00:00:00Z', '2999-01-01T00:00:00Z'];
    expect(await found({ time_cutoff: before })).toContain('kettle');
    expect(await found({ time_cutoff: after })).toEqual([]);
    expect(await found({ updated_at_range: { start: before }, created_at_range: null })).toContain('kettle');
    expect(await found({ updated_at_range: { start: after, end: null } })).toEqual([]);
    expect(await found({ time_cutoff: after, updated_at_range: { start: before } })).toContain('kettle');
    expect(await found({ created_at_range: { start: null } })).toContain('kettle');
  });
});
