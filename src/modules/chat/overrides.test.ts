import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nothingAsked } from '../../../test/expect-unchanged.ts';
import { type Kit, startKit } from '../../../test/kit.ts';
import { gather, jsonLines } from '../../../test/lines.ts';

let kit: Kit;
/** Two users without shared objects. */
let key: string;
let stranger: string;

beforeAll(async () => {
  kit = await startKit({
    scripted: true,
    environment: { LLM_MODELS: 'second,my__third', LLM_CONTEXT_TOKENS: '16000', LLM_VISION: 'true' },
  });
  await kit.prisma.document.deleteMany();
  key = (await kit.createKey('BASIC', { name: 'owner' })).secret;
  stranger = (await kit.createKey('BASIC', { name: 'stranger' })).secret;
});
afterAll(() => kit?.close());

const nowhere = '00000000-0000-4000-8000-000000000000';
const choices = 'scripted, second, my__third';

const gql = (query: string, variables: object = {}, as = key) => kit.gql(query, variables, as);
const rest = (method: string, path: string, body?: unknown, as = key) =>
  kit.rest(method, `/api/chat/${path}`, { key: as, body });

const Create = 'mutation ($input: CreateChatSessionInput!) { createChatSession(input: $input) { sessionId } }';
const Update = `mutation ($input: UpdateChatSessionInput!) { updateChatSession(input: $input) {
  session { model temperature reasoningEffort } } }`;

async function create(input: object = {}, as = key): Promise<string> {
  const { data, errors } = await gql(Create, { input }, as);
  expect(errors).toEqual([]);
  return data.createChatSession.sessionId;
}

const update = (sessionId: string, change: object, as = key) =>
  gql(Update, { input: { session: { id: sessionId }, ...change } }, as);
const unset = { model: null, temperature: null, reasoningEffort: null };

async function read(id: string, as = key) {
  const { data, errors } = await gql(
    'query ($id: ID!) { chatSession(id: $id) { model temperature reasoningEffort } }',
    { id },
    as,
  );
  expect(errors).toEqual([]);
  return data.chatSession;
}

const send = (body: object, as = key) =>
  rest('POST', 'send-chat-message', { message: 'Hello', stream: false, allowed_tool_ids: [], ...body }, as);
const stream = async (body: object) =>
  gather(
    jsonLines(
      await fetch(`${kit.url}/api/chat/send-chat-message`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
        body: JSON.stringify({ message: 'Hello', allowed_tool_ids: [], ...body }),
      }),
    ),
  );
/** Returns the last request to the provider. */
const asked = () => kit.model.requests.at(-1)?.body;

const unchanged = <T>(work: () => Promise<T>): Promise<T> => nothingAsked(kit, work);

const code = ({ errors }: { errors: { extensions: { code?: string } }[] }) => errors[0]?.extensions.code;

describe('the list of selectable models', () => {
  const Models = '{ models { name isDefault takesImages contextTokens } }';

  it('contains the models of the settings, default first, for every caller with `write:chat`', async () => {
    const models = ['scripted', 'second', 'my__third'].map((name, index) => ({
      name,
      isDefault: index === 0,
      takesImages: true,
      contextTokens: 16_000,
    }));
    for (const secret of [key, kit.keys.LIMITED, kit.keys.ADMIN])
      expect((await gql(Models, {}, secret)).data).toEqual({ models });
  });

  it('is denied to tokens without `write:chat` and to anonymous clients', async () => {
    const pat = await kit.createPat(key, { scopes: ['read:chat', 'manage:chat'] });
    expect(await gql(Models, {}, pat.secret)).toMatchObject({
      data: { models: null },
      errors: [
        { extensions: { code: 'FORBIDDEN', reason: 'MISSING_PERMISSION', requiredPermissions: ['write:chat'] } },
      ],
    });
    expect(code(await kit.gql(Models, {}, null))).toBe('UNAUTHENTICATED');
  });
});

describe('the model, temperature and reasoning effort of a session', () => {
  it('are set at its creation and apply to its turns', async () => {
    const id = await create({ model: 'second', temperature: 0.5, reasoningEffort: 'HIGH' });
    expect(await read(id)).toEqual({ model: 'second', temperature: 0.5, reasoningEffort: 'HIGH' });
    expect((await send({ chat_session_id: id })).status).toBe(200);
    expect(asked()).toMatchObject({ model: 'second', temperature: 0.5, reasoning_effort: 'high' });
    const stored = await kit.prisma.chatMessage.findFirstOrThrow({ where: { sessionId: id, role: 'ASSISTANT' } });
    expect(stored.model).toBe('second');
  });

  it('can be changed one by one and are reset only by the `clear` list', async () => {
    const id = await create();
    expect(await read(id)).toEqual(unset);
    const steps = [
      [{ model: 'my__third' }, { ...unset, model: 'my__third' }],
      [{ temperature: 0 }, { ...unset, model: 'my__third', temperature: 0 }],
      [
        { temperature: 2, reasoningEffort: 'OFF' },
        { model: 'my__third', temperature: 2, reasoningEffort: 'OFF' },
      ],
      [{ name: 'Renamed' }, { model: 'my__third', temperature: 2, reasoningEffort: 'OFF' }],
      [
        { model: null, temperature: null, reasoningEffort: null },
        { model: 'my__third', temperature: 2, reasoningEffort: 'OFF' },
      ],
      [{ clear: ['MODEL'] }, { ...unset, temperature: 2, reasoningEffort: 'OFF' }],
      [{ clear: ['TEMPERATURE', 'REASONING_EFFORT'] }, unset],
    ] as const;
    for (const [change, expected] of steps) {
      const { data, errors } = await update(id, change);
      expect([errors, data.updateChatSession.session]).toEqual([[], expected]);
    }
    await send({ chat_session_id: id });
    expect(asked()).toMatchObject({ model: 'scripted' });
    expect(asked()).not.toHaveProperty('temperature');
    expect(asked()).not.toHaveProperty('reasoning_effort');
  });

  it('reject an unknown model or a temperature out of range, and the error names the field', async () => {
    const id = await create({ model: 'second' });
    for (const model of ['unknown', '', 'second__', '__', 'SECOND', 'x'.repeat(200), 'second '])
      for (const answer of [
        await unchanged(() => update(id, { model })),
        await unchanged(() => gql(Create, { input: { model } })),
      ]) {
        expect([model, answer.errors[0]?.extensions]).toMatchObject([
          model,
          { code: 'BAD_USER_INPUT', fields: [{ path: ['input', 'model'] }] },
        ]);
        expect(answer.errors[0]?.message).toContain(`is not one of ${choices}`);
      }
    for (const [field, value] of [
      ['temperature', 2.001],
      ['temperature', -0.1],
      ['model', 'x'.repeat(201)],
      ['model', 'a\0b'],
      ['model', '\ud800'],
    ] as const)
      for (const answer of [
        await unchanged(() => update(id, { [field]: value })),
        await unchanged(() => gql(Create, { input: { [field]: value } })),
      ])
        expect(answer.errors[0]?.extensions).toMatchObject({
          code: 'BAD_USER_INPUT',
          fields: [{ path: ['input', field] }],
        });
    for (const change of [{ temperature: '1' }, { reasoningEffort: 'MAX' }, { model: 1 }])
      expect(code(await unchanged(() => update(id, change)))).toBe('BAD_USER_INPUT');
  });

  it('fall back to the server’s default model when the session’s model is no longer selectable', async () => {
    const id = await create();
    await kit.prisma.chatSession.update({ where: { id }, data: { model: 'retired' } });
    await send({ chat_session_id: id });
    expect(asked()).toMatchObject({ model: 'scripted' });
    expect(await read(id)).toMatchObject({ model: 'retired' });
  });

  it('add no database statements per session to a list of sessions', async () => {
    const { secret } = await kit.createKey('BASIC');
    const List = `{ chatSessions(filter: { includeFailed: true }, first: 100) { nodes {
      model temperature reasoningEffort systemPrompt taskPrompt project { name } } } }`;
    const count = async () => {
      await gql(List, {}, secret);
      await kit.booted.background.settled();
      kit.statements.length = 0;
      expect((await gql(List, {}, secret)).errors).toEqual([]);
      await kit.booted.background.settled();
      return kit.statements.length;
    };
    const project = await gql(
      'mutation { createProject(input: { name: "list" }) { project { databaseId } } }',
      {},
      secret,
    );
    const { databaseId: projectId } = project.data.createProject.project;
    await create({ projectId, model: 'second' }, secret);
    const one = await count();
    for (let i = 0; i < 5; i++) await create({ projectId, temperature: i / 5 }, secret);
    expect(await count()).toBe(one);
  });

  it('are readable in a shared session, but its prompts are readable only by its owner', async () => {
    const id = await create();
    await kit.prisma.chatSession.update({
      where: { id },
      data: { systemPrompt: 'mine', taskPrompt: '', model: 'second' },
    });
    await update(id, { sharing: 'PUBLIC' });
    const Prompts = 'query ($id: ID!) { chatSession(id: $id, shared: true) { model systemPrompt taskPrompt } }';
    expect((await gql(Prompts, { id })).data.chatSession).toEqual({
      model: 'second',
      systemPrompt: 'mine',
      taskPrompt: '',
    });
    expect((await gql(Prompts, { id }, stranger)).data.chatSession).toEqual({
      model: 'second',
      systemPrompt: null,
      taskPrompt: null,
    });
  });
});

describe('the model, temperature and reasoning effort over REST', () => {
  const setModel = (chat_session_id: string, new_alternate_model: unknown, as = key) =>
    rest('PUT', 'update-chat-session-model', { chat_session_id, new_alternate_model }, as);
  const setTemperature = (chat_session_id: string, temperature_override: unknown, as = key) =>
    rest('PUT', 'update-chat-session-temperature', { chat_session_id, temperature_override }, as);
  const setReasoning = (chat_session_id: string, reasoning_effort_override: unknown, as = key) =>
    rest('PUT', 'update-chat-session-reasoning', { chat_session_id, reasoning_effort_override }, as);
  const done = { status: 200, body: null };

  it('accepts a model name with or without prefixes, and an empty name clears the model', async () => {
    const id = await create();
    for (const [name, model] of [
      ['second', 'second'],
      ['openai__scripted', 'scripted'],
      ['Display Name__openai__second', 'second'],
      ['my__third', 'my__third'],
      ['Some__openai__my__third', 'my__third'],
      ['', null],
      ['second', 'second'],
      [null, null],
    ] as const) {
      expect(await setModel(id, name)).toMatchObject(done);
      expect([name, (await read(id)).model]).toEqual([name, model]);
    }
  });

  it('accepts every documented value for the reasoning effort', async () => {
    const id = await create();
    for (const [word, effort] of [
      ['off', 'OFF'],
      ['low', 'LOW'],
      ['medium', 'MEDIUM'],
      ['high', 'HIGH'],
      ['auto', null],
      ['none', 'OFF'],
      [null, null],
      ['minimal', 'LOW'],
    ] as const) {
      expect(await setReasoning(id, word)).toMatchObject(done);
      expect([word, (await read(id)).reasoningEffort]).toEqual([word, effort]);
    }
  });

  it('sets and clears the temperature', async () => {
    const id = await create();
    for (const temperature of [0, 2, 0.7, null]) {
      expect(await setTemperature(id, temperature)).toMatchObject(done);
      expect((await read(id)).temperature).toBe(temperature);
    }
  });

  it('returns the overrides in every representation of a session', async () => {
    const made = await gql('mutation { createProject(input: { name: "shapes" }) { project { databaseId } } }');
    const projectId = made.data.createProject.project.databaseId;
    const id = await create({ name: 'Overridden zebra', projectId });
    await setModel(id, 'second');
    await setTemperature(id, 1.5);
    await setReasoning(id, 'medium');
    const told = {
      current_alternate_model: 'second',
      current_temperature_override: 1.5,
      current_reasoning_effort_override: 'medium',
    };
    expect((await rest('GET', `get-chat-session/${id}`)).body).toMatchObject(told);
    const listed = await rest('GET', `get-user-chat-sessions?project_id=${projectId}`);
    expect(listed.body.sessions).toMatchObject([{ id, ...told }]);
    const found = await rest('GET', 'search?query=overridden');
    expect(found.body.groups[0].chats).toMatchObject([{ id, ...told }]);
    const project = await kit.rest('GET', `/api/user/projects/${projectId}`, { key });
    expect(project.body.chat_sessions).toMatchObject([{ id, ...told }]);
  });

  it('rejects invalid values with the documented status and changes no data', async () => {
    const id = await create({ model: 'second', temperature: 1 });
    const refused = (call: () => ReturnType<typeof setModel>) => unchanged(call);
    expect(await refused(() => setModel(id, 'openai__unknown'))).toMatchObject({
      status: 400,
      body: { error_code: 'INVALID_INPUT', detail: expect.stringContaining(choices) },
    });
    for (const temperature of [2.5, -1])
      expect(await refused(() => setTemperature(id, temperature))).toMatchObject({
        status: 400,
        body: { detail: 'temperature_override must be from 0 to 2' },
      });
    for (const word of ['max', '', 'HIGH', 'toString'])
      expect(await refused(() => setReasoning(id, word))).toMatchObject({
        status: 400,
        body: { error_code: 'INVALID_INPUT', detail: expect.stringContaining('reasoning_effort_override') },
      });
    for (const answer of [
      await refused(() => setModel(id, 5)),
      await refused(() => setModel('x', 'second')),
      await refused(() => setTemperature(id, '1')),
      await refused(() => setReasoning(id, 5)),
      await refused(() => rest('PUT', 'update-chat-session-model', { chat_session_id: id })),
      await refused(() => rest('PUT', 'update-chat-session-temperature', { chat_session_id: id })),
      await refused(() => rest('PUT', 'update-chat-session-reasoning', { chat_session_id: id })),
    ])
      expect(answer).toMatchObject({ status: 422, body: { status_code: 422, data: null } });
  });

  it('returns the same error for another user’s session as for an unknown session', async () => {
    const foreign = await create({}, stranger);
    for (const id of [foreign, nowhere])
      for (const set of [
        () => setModel(id, 'second'),
        () => setTemperature(id, 1),
        () => setReasoning(id, 'low'),
        () => setModel(id, ''),
      ])
        expect(await unchanged(set)).toMatchObject({
          status: 400,
          body: { message: 'Invalid Chat Session ID provided' },
        });
    expect(code(await unchanged(() => update(foreign, { model: 'second' })))).toBe('NOT_FOUND');
  });

  it('denies changes without `manage:chat` over REST and GraphQL', async () => {
    const { secret: limited } = await kit.createKey('LIMITED');
    const ofLimited = await create({}, limited);
    const mine = await create();
    const pat = await kit.createPat(key, { scopes: ['read:chat', 'write:chat'] });
    for (const [id, secret] of [
      [ofLimited, limited],
      [mine, pat.secret],
    ] as const) {
      for (const set of [
        setModel(id, 'second', secret),
        setTemperature(id, 1, secret),
        setReasoning(id, 'low', secret),
      ])
        expect(await unchanged(() => set)).toMatchObject({
          status: 403,
          body: { error_code: 'INSUFFICIENT_PERMISSIONS' },
        });
      for (const change of [{ model: 'second' }, { temperature: 1 }, { reasoningEffort: 'LOW' }])
        expect(await unchanged(() => update(id, change, secret))).toMatchObject({
          data: { updateChatSession: null },
          errors: [
            { extensions: { code: 'FORBIDDEN', reason: 'MISSING_PERMISSION', requiredPermissions: ['manage:chat'] } },
          ],
        });
    }
    // A credential can set the options of a session that it creates.
    expect((await kit.prisma.chatSession.findUniqueOrThrow({ where: { id: ofLimited } })).model).toBeNull();
    const set = await create({ model: 'second' }, limited);
    expect((await kit.prisma.chatSession.findUniqueOrThrow({ where: { id: set } })).model).toBe('second');
  });

  it('allows a project token to change only sessions that it created in its project', async () => {
    const project = await gql('mutation { createProject(input: { name: "walls" }) { project { databaseId } } }');
    const projectId = project.data.createProject.project.databaseId;
    const made = await gql(
      'mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret } }',
      { input: { projectId, name: 'token', role: 'BASIC' } },
    );
    const token = made.data.createProjectToken.secret;
    const [outside, inside, own] = [await create(), await create({ projectId }), await create({}, token)];
    for (const id of [outside, inside, await create({}, stranger)]) {
      expect((await unchanged(() => setModel(id, 'second', token))).status).toBe(400);
      expect(code(await unchanged(() => update(id, { model: 'second' }, token)))).toBe('NOT_FOUND');
    }
    expect(await setModel(own, 'second', token)).toMatchObject(done);
    // The owner of a project manages all of its chats.
    expect(await setTemperature(own, 1, key)).toMatchObject(done);
    expect(await read(own)).toMatchObject({ model: 'second', temperature: 1 });
  });
});

describe('the overrides of a single message', () => {
  it('set its model and temperature and take precedence over those of the session', async () => {
    const id = await create({ model: 'my__third', temperature: 0.1 });
    const whole = await send({ chat_session_id: id, llm_override: { model_version: 'second', temperature: 1.25 } });
    expect(whole).toMatchObject({ status: 200, body: { error_msg: null } });
    expect(asked()).toMatchObject({ model: 'second', temperature: 1.25 });
    const lines = await stream({
      chat_session_id: id,
      llm_override: { model_provider: 'openai', model_version: 'openai__scripted', model_configuration_id: 7 },
    });
    expect(lines.at(-1).obj).toEqual({ type: 'stop', stop_reason: null });
    expect(asked()).toMatchObject({ model: 'scripted', temperature: 0.1 });
    const { body } = await rest('GET', `get-chat-session/${id}`);
    expect(
      body.messages.map(({ model_display_name }: { model_display_name: string | null }) => model_display_name),
    ).toEqual([null, null, 'second', null, 'scripted']);
    // The options of the session itself are unchanged.
    expect(await read(id)).toEqual({ model: 'my__third', temperature: 0.1, reasoningEffort: null });
  });

  it('have no effect when all of their values are empty', async () => {
    const nulls = { model_provider: null, model_version: null, temperature: null, display_name: null };
    for (const body of [
      { llm_override: null },
      { llm_override: {} },
      { llm_override: nulls },
      { llm_override: { ...nulls, model_provider: 'openai', model_version: '' } },
      { llm_overrides: null },
      { llm_overrides: [] },
      { llm_overrides: [{}] },
      { llm_overrides: [nulls], llm_override: null },
    ]) {
      expect([body, (await send(body)).status]).toEqual([body, 200]);
      expect(asked()).toMatchObject({ model: 'scripted' });
      expect(asked()).not.toHaveProperty('temperature');
      expect((await stream(body)).at(-1).obj).toEqual({ type: 'stop', stop_reason: null });
    }
  });

  it('are read from a list with one entry', async () => {
    for (const body of [
      { llm_overrides: [{ model_version: 'second', temperature: 0.75 }] },
      { llm_overrides: [{ model_version: 'second', temperature: 0.75 }], llm_override: { model_version: 'scripted' } },
    ]) {
      expect((await send(body)).status).toBe(200);
      expect(asked()).toMatchObject({ model: 'second', temperature: 0.75 });
    }
  });

  it('are rejected for several models at once, streaming or not', async () => {
    const several = { llm_overrides: [{ model_version: 'scripted' }, { model_version: 'second' }] };
    for (const stream of [true, false])
      expect(await unchanged(() => send({ ...several, stream }))).toMatchObject({
        status: 400,
        body: { error_code: 'INVALID_INPUT', detail: expect.stringContaining('llm_overrides') },
      });
  });

  it('are rejected with an unknown model, as a line of the stream or with a status code', async () => {
    const unknown = { llm_override: { model_version: 'openai__unknown' } };
    expect(await unchanged(() => stream(unknown))).toEqual([
      {
        error: expect.stringContaining(`is not one of ${choices}`),
        stack_trace: null,
        error_code: 'VALIDATION_ERROR',
        is_retryable: false,
        details: null,
      },
    ]);
    expect(await unchanged(() => send(unknown))).toMatchObject({
      status: 400,
      body: { error_code: 'INVALID_INPUT', detail: expect.stringContaining(choices) },
    });
    for (const llm_override of [{ temperature: 2.1 }, { temperature: -1 }, { model_version: 5 }, 'second'])
      expect((await unchanged(() => send({ llm_override }))).status).toBe(422);
    expect((await unchanged(() => send({ llm_overrides: {} }))).status).toBe(422);
  });
});
