import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { permissions } from '../../src/authz/permissions.ts';
import { type Answer, type GraphQLAnswer, type Kit, startKit, withScopes } from '../kit.ts';

/**
 * Invalid accounts, keys and limits through both APIs, where the tests of the modules use only one. Each is rejected
 * for a specific reason and stores no data.
 */

let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit?.close());

const day = 24 * 3600 * 1000;
const code = ({ errors }: GraphQLAnswer): unknown => errors[0]?.extensions.code;
const field = ({ errors }: GraphQLAnswer): unknown => errors[0]?.extensions.fields?.[0]?.path.join('.');
const told = ({ status, body, text }: Answer) => [status, body ?? text];

const call = (mutation: string, type: string, payload: string, input: object, key?: string | null, on = kit) =>
  on.gql(
    `mutation ($input: ${type}!) { ${mutation}(input: $input) { ${payload} } }`,
    { input: withScopes(input) },
    key,
  );
const createApiKey = (input: object, key?: string) => call('createApiKey', 'CreateApiKeyInput', 'secret', input, key);
const updateApiKey = (input: object, key?: string) =>
  call('updateApiKey', 'UpdateApiKeyInput', 'apiKey { databaseId }', input, key);
const createProjectToken = (input: object) =>
  call('createProjectToken', 'CreateProjectTokenInput', 'secret', { name: 'x', ...input });
const createUser = (input: object, on = kit) =>
  call('createUser', 'CreateUserInput', 'user { id: databaseId }', input, undefined, on);
const register = (input: object) => call('register', 'RegisterInput', 'user { id: databaseId }', input, null);
const invite = (emails: string[]) => call('inviteUsers', 'InviteUsersInput', 'invitedCount', { emails });

/** Expects that an operation is rejected and that no data changed. */
async function unchanged(attempt: () => Promise<void>, on = kit): Promise<void> {
  const before = await on.fingerprint();
  await attempt();
  expect(await on.fingerprint()).toBe(before);
}

const post = (path: string, body: unknown, key?: string | null) =>
  kit.rest('POST', `/api${path}`, { body, ...(key !== undefined && { key }) });

describe('creating API keys and project tokens', () => {
  let projectId: number;
  let manager: string;
  let made: number;
  const insufficient = [
    403,
    {
      error_code: 'INSUFFICIENT_PERMISSIONS',
      detail: 'You do not have the required permissions for this action.',
    },
  ];
  beforeAll(async () => {
    const project = await kit.gql(
      'mutation { createProject(input: { name: "of the admin key" }) { project { databaseId } } }',
    );
    projectId = project.data.createProject.project.databaseId;
    const scopes = ['manage:api_keys', 'read:chat'];
    manager = (await kit.createKey('ADMIN', { scopes })).secret;
    made = (await kit.createKey('ADMIN', { scopes: ['read:chat'] })).id;
  });

  it('TOK 7 rejects a scope that the creator does not have, on creation and on update', async () => {
    const scopes = ['read:chat', 'read:audit'];
    const body = { role: 'admin', scopes };
    await unchanged(async () => {
      for (const answer of [
        await createApiKey({ role: 'ADMIN', scopes }, manager),
        await createApiKey({ role: 'ADMIN', kind: 'ANYTHINGLLM', scopes }, manager),
        await updateApiKey({ id: made, scopes }, manager),
      ])
        expect(answer.errors[0]?.extensions).toEqual({
          code: 'FORBIDDEN',
          reason: 'PERMISSIONS_EXCEED_CALLER',
          requiredPermissions: ['read:audit'],
        });
      expect(told(await post('/admin/api-key', body, manager))).toEqual(insufficient);
      expect(told(await kit.rest('PATCH', `/admin/api-key/${made}`, { key: manager, body }))).toEqual(insufficient);
      expect(told(await post('/system/generate-api-key', body, manager))).toEqual([401, 'Unauthorized']);
    });
  });

  it.each([
    ['no scope', { scopes: [] }],
    ['a scope that does not exist', { scopes: ['read:chat', 'read:everything'] }],
    ['a scope that means nothing in a project', { scopes: ['write:tokens'] }],
  ])('rejects a project token with %s', async (_what, { scopes }) => {
    await unchanged(async () => {
      const graph = await createProjectToken({ projectId, scopes });
      expect([code(graph), field(graph)]).toEqual(['BAD_USER_INPUT', expect.stringMatching(/^input\.scopes(\.1)?$/)]);
      const rest = await post('/admin/api-key', { name: 'x', project_id: projectId, scopes });
      expect(told(rest)).toEqual([400, { message: expect.stringMatching(/^scopes: /) }]);
    });
  });

  it.each([
    ['in the past', -1000],
    ['beyond 10 years', 3700 * day],
  ])('rejects a project token and an AnythingLLM key with an expiry %s', async (_what, ahead) => {
    const end = new Date(Date.now() + ahead).toISOString();
    await unchanged(async () => {
      for (const graph of [
        await createProjectToken({ projectId, expiresAt: end }),
        await createApiKey({ kind: 'ANYTHINGLLM', expiresAt: end }),
      ])
        expect([code(graph), field(graph)]).toEqual(['BAD_USER_INPUT', 'input.expiresAt']);
      const named = expect.stringMatching(/^expires_at: /);
      const confined = { name: 'x', project_id: projectId, expires_at: end };
      expect(told(await post('/admin/api-key', confined))).toEqual([400, { message: named }]);
      expect(told(await post('/system/generate-api-key', { expires_at: end }))).toEqual([422, { error: named }]);
    });
  });
});

describe('the last administrator, a user account', () => {
  let own: Kit;
  let admin: Awaited<ReturnType<Kit['person']>>;
  /** Has all permissions but is restricted to scopes: it cannot replace the last administrator. */
  let scoped: string;

  beforeAll(async () => {
    own = await startKit();
    admin = await own.person({ role: 'ADMIN' });
    scoped = (await own.createKey('ADMIN', { scopes: [...permissions] })).secret;
    const keys = await own.prisma.token.findMany({
      where: { kind: 'API_KEY', allScopes: true, user: { role: 'ADMIN' } },
    });
    for (const { id } of keys)
      await own.gql(`mutation { deleteApiKey(input: { id: ${id} }) { deletedApiKeyId } }`, {}, admin.session);
    expect(await own.prisma.token.count({ where: { kind: 'API_KEY', allScopes: true, user: { role: 'ADMIN' } } })).toBe(
      0,
    );
  });
  afterAll(() => own?.close());

  const account = 'user { id: databaseId }';
  const mutations: [string, string, string, object][] = [
    ['deactivateUser', 'DeactivateUserInput', account, {}],
    ['changeUserRole', 'ChangeUserRoleInput', account, { role: 'BASIC' }],
    ['changeUserRole', 'ChangeUserRoleInput', account, { role: 'LIMITED' }],
    ['deleteUser', 'DeleteUserInput', 'deletedUserId', {}],
  ];
  const rows: [string, string, object][] = [
    ['PATCH', '/manage/admin/deactivate-user', {}],
    ['PATCH', '/manage/set-user-role', { new_role: 'basic' }],
    ['PATCH', '/manage/admin/users/admin-access', { is_admin: false }],
    ['DELETE', '/manage/admin/delete-user', {}],
  ];

  it('cannot be deactivated, demoted or deleted with their session, their token or another administrator’s key', async () => {
    const { secret: token } = await own.createPat(admin.session);
    await unchanged(async () => {
      for (const key of [scoped, admin.session, token]) {
        for (const [mutation, type, payload, more] of mutations) {
          const answer = await call(mutation, type, payload, { user: { id: admin.userId }, ...more }, key, own);
          expect([mutation, code(answer)]).toEqual([mutation, 'CONFLICT']);
        }
        for (const [method, path, more] of rows) {
          const answer = await own.rest(method, path, { key, body: { user_email: admin.email, ...more } });
          expect(told(answer), path).toEqual([400, { detail: expect.any(String) }]);
        }
      }
    }, own);
    expect((await own.rest('GET', '/me', { key: admin.session })).body).toMatchObject({ role: 'admin' });
  });
});

describe('concurrent creations', () => {
  it('create one account for one email address over all access paths', async () => {
    const [email, password] = ['raced@people.example', 'long enough'];
    const [registered, created, ...rest] = await Promise.all([
      register({ email, password }),
      createUser({ email, password, role: 'BASIC' }),
      post('/auth/register', { email, password }, null),
      kit.rest('POST', '/auth/register', { key: null, body: { email: email.toUpperCase(), password } }),
    ]);
    const ends = [
      ...[registered, created].map((answer) => code(answer) ?? 'made'),
      ...rest.map(({ status }) => status),
    ];
    expect(ends.filter((end) => end === 'made' || end === 201)).toHaveLength(1);
    expect(ends.filter((end) => end === 'CONFLICT' || end === 400)).toHaveLength(3);
    for (const answer of rest)
      if (answer.status === 400) expect(answer.body).toEqual({ detail: 'REGISTER_USER_ALREADY_EXISTS' });
    expect(await kit.prisma.user.count({ where: { email } })).toBe(1);
  });

  it('create one account for one username', async () => {
    const input = { username: 'raced', password: 'long enough', role: 'BASIC' };
    const answers = await Promise.all(
      ['one', 'other'].map((who) => createUser({ ...input, email: `${who}@people.example` })),
    );
    expect(answers.map((answer) => code(answer) ?? 'made').sort()).toEqual(['CONFLICT', 'made']);
    expect(await kit.prisma.user.count({ where: { username: 'raced' } })).toBe(1);
  });

  it('create one label for one name', async () => {
    const name = 'Raced';
    const [graph, ...rest] = await Promise.all([
      call('createLabel', 'CreateLabelInput', 'label { name }', { name }),
      ...[1, 2].map(() => post('/persona/labels', { name })),
    ]);
    const ends = [code(graph) ?? 200, ...rest.map(({ status }) => status)];
    expect(ends.filter((end) => end === 200)).toHaveLength(1);
    for (const answer of rest)
      if (answer.status !== 200)
        expect(told(answer)).toEqual([400, { detail: "Label with name 'Raced' already exists" }]);
    expect([200, 'CONFLICT']).toContain(ends[0]);
    expect(await kit.prisma.label.count({ where: { name } })).toBe(1);
  });

  it('create one invitation for one email address', async () => {
    const emails = ['guest@people.example'];
    const [graph, ...rest] = await Promise.all([
      invite(emails),
      ...['/api', ''].map((prefix) => kit.rest('PUT', `${prefix}/manage/admin/users`, { body: { emails } })),
    ]);
    const counts = [graph.data.inviteUsers.invitedCount, ...rest.map(({ body }) => body.invited_count)];
    expect(counts.sort()).toEqual([0, 0, 1]);
    expect(await kit.prisma.invitation.count()).toBe(1);
  });

  it('create one first user over REST', async () => {
    const own = await startKit();
    try {
      const answers = await Promise.all(
        ['anna', 'bert', 'carl'].map((username) =>
          own.rest('POST', '/api/system/enable-multi-user', { body: { username, password: 'long enough' } }),
        ),
      );
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
      expect(answers.filter(({ body }) => body.success)).toHaveLength(1);
      for (const { body } of answers)
        if (!body.success) expect(body).toEqual({ success: false, error: 'Multi-user mode is already enabled.' });
      expect(await own.prisma.user.count({ where: { accountType: 'STANDARD' } })).toBe(1);
    } finally {
      await own.close();
    }
  });
});

describe('account inputs', () => {
  it.each([
    ['7', 'short77'],
    ['10,000', 'x'.repeat(10_000)],
  ])('with a password of %s characters are rejected by every operation that sets one', async (_length, password) => {
    const person = await kit.person();
    const email = 'nobody-yet@people.example';
    const reason = (name: string) =>
      expect.stringMatching(new RegExp(`^${name}: must be at (least 8|most 64) characters$`));
    await unchanged(async () => {
      const change = { currentPassword: person.password, newPassword: password };
      for (const [answer, name] of [
        [await register({ email, password }), 'password'],
        [await createUser({ email, password, role: 'BASIC' }), 'password'],
        [
          await call('enableMultiUser', 'EnableMultiUserInput', 'user { id: databaseId }', {
            username: 'nobody',
            password,
          }),
          'password',
        ],
        [
          await call('changePassword', 'ChangePasswordInput', 'user { id: databaseId }', change, person.session),
          'newPassword',
        ],
      ] as const)
        expect([code(answer), field(answer)]).toEqual(['BAD_USER_INPUT', `input.${name}`]);
      expect(told(await post('/auth/register', { email, password }, null))).toEqual([
        400,
        { detail: { code: 'REGISTER_INVALID_PASSWORD', reason: reason('password') } },
      ]);
      const changed = { old_password: person.password, new_password: password };
      expect(told(await post('/password/change-password', changed, person.session))).toEqual([
        400,
        { detail: reason('new_password') },
      ]);
      expect(told(await post('/system/enable-multi-user', { username: 'nobody', password }))).toEqual([
        400,
        { success: false, error: reason('password') },
      ]);
    });
  });

  it.each(['', 'nobody', 'a b@people.example', 'nobody@', '@people.example', 'a@b@people.example'])(
    'with the email address %j are rejected by every operation that takes one',
    async (email) => {
      const password = 'long enough';
      await unchanged(async () => {
        for (const [answer, path] of [
          [await register({ email, password }), 'input.email'],
          [await createUser({ email, password, role: 'BASIC' }), 'input.email'],
          [await invite(['fine@people.example', email]), 'input.emails.1'],
        ] as const)
          expect([code(answer), field(answer)]).toEqual(['BAD_USER_INPUT', path]);
        expect(told(await post('/auth/register', { email, password }, null))).toEqual([
          422,
          { status_code: 422, message: 'email: must be an e-mail address', data: null },
        ]);
        const invited = await kit.rest('PUT', '/manage/admin/users', {
          body: { emails: ['fine@people.example', email] },
        });
        expect(told(invited)).toEqual([400, { detail: `Invalid email address: ${email}` }]);
      });
    },
  );
});

describe('rate limits', () => {
  const path = '/admin/token-rate-limits';
  let general: number;
  let ofBasic: number;
  beforeAll(async () => {
    const budget = { enabled: true, token_budget: 1_000_000, period_hours: 24 };
    general = (await post(`${path}/global`, budget)).body.token_id;
    ofBasic = (await post(`${path}/user-group/2`, budget)).body.token_id;
  });

  const create = (input: object) =>
    call('createRateLimit', 'CreateRateLimitInput', 'rateLimit { databaseId }', {
      subject: { scope: 'GLOBAL' },
      ...input,
    });
  const update = (input: object) =>
    call('updateRateLimit', 'UpdateRateLimitInput', 'rateLimit { databaseId }', { id: general, ...input });

  it.each([0, -1, 2 ** 31, 2 ** 63, -(2 ** 63)])('of %d are rejected on creation and on update', async (amount) => {
    const graphs = [{ requestsPerMinute: amount }, { tokenBudget: amount, periodHours: 24 }].filter(
      // 2^31 tokens are a valid budget.
      (input) => !(input.tokenBudget === 2 ** 31),
    );
    const sent = [
      { field: 'token_budget', body: { enabled: true, token_budget: amount, period_hours: 24 } },
      { field: 'period_hours', body: { enabled: true, token_budget: 5, period_hours: amount } },
    ];
    await unchanged(async () => {
      for (const input of [...graphs, { tokenBudget: 5, periodHours: amount }])
        for (const answer of [await create(input), await update(input)]) {
          expect(code(answer), JSON.stringify(input)).toBe('BAD_USER_INPUT');
          const [name] = Object.entries(input).find(([, value]) => value === amount) as [string, number];
          expect(field(answer)).toMatch(`input.${name}`);
        }
      for (const { field, body } of sent)
        for (const [method, end] of [
          ['POST', '/global'],
          ['POST', '/users'],
          ['POST', '/user-group/2'],
          ['PUT', `/rate-limit/${general}`],
          ['PUT', `/user-group/2/rate-limit/${ofBasic}`],
        ] as const) {
          const answer = await kit.rest(method, `${path}${end}`, { body });
          const message = expect.stringMatching(`^${field}: `);
          expect(told(answer), end).toEqual([422, { status_code: 422, message, data: null }]);
        }
    });
  });

  it('of a role or a group that does not exist are rejected', async () => {
    await unchanged(async () => {
      const answer = await create({ subject: { role: 'OWNER' }, requestsPerMinute: 5 });
      expect([code(answer), field(answer)]).toEqual(['BAD_USER_INPUT', 'input.subject.role']);
      const body = { enabled: true, token_budget: 5, period_hours: 24 };
      expect(told(await post(`${path}/user-group/3`, body))).toEqual([
        404,
        { error_code: 'NOT_FOUND', detail: 'User group not found' },
      ]);
    });
  });
});
