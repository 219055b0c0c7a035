import { encodeGlobalID } from '@pothos/plugin-relay';
import {
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isObjectType,
  isUnionType,
} from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isPermission, type Permission, permissionConstant, permissions } from '../../src/authz/permissions.ts';
import { nodeTypes } from '../../src/graphql/nodes.ts';
import { type Requirement, requirementsOf } from '../../src/graphql/plugins/permissions.ts';
import { schema } from '../../src/graphql/schema.ts';
import { uploadPermissions } from '../../src/graphql/upload-permissions.ts';
import { anythingllm, anythingllmSession } from '../../src/rest/anythingllm/dialect.ts';
import { openai } from '../../src/rest/anythingllm/openai-dialect.ts';
import type { Dialect } from '../../src/rest/dialect.ts';
import { requirements } from '../../src/rest/endpoint.ts';
import { endpoints } from '../../src/rest/endpoints.ts';
import { oauth } from '../../src/rest/oauth.ts';
import { onyx } from '../../src/rest/onyx/errors.ts';
import { dialectOf } from '../../src/rest/routes.ts';
import { type Kit, startKit } from '../kit.ts';
import { admittedNames, type Caller, callerNames, grantOf, keyOf, makeCallers, stranger } from './callers.ts';
import { changesNothing, elsewhere, endsItsCaller, nodeSamples, onlyFor, type Scene } from './operation-inputs.ts';
import { baseOf, type Call, idleSamples, type Operation, operations, type Reply } from './operations.ts';
import { freshTargets, lasting, missingTargets, noting, type Targets, type Words } from './targets.ts';

/**
 * Every operation with every kind of credential. The operations come from the schema and the endpoint table, their
 * requirements from the fields, and the permissions of each caller from the role table; operation-inputs.ts contains
 * the inputs.
 */

/** The fields that anonymous clients can call. This list is the rule: no other field is public. */
const publicFields = [
  'Query.authentication',
  'Query.can',
  'Query.embedChat',
  'Query.invite',
  'Query.viewer',
  'Mutation.acceptInvite',
  'Mutation.deleteEmbedChat',
  'Mutation.login',
  'Mutation.register',
  'Mutation.requestToken',
  'Subscription.embedTurn',
];

/** The endpoints that are public: for anonymous clients, and for clients with a credential that no longer works. */
const publicRows = [
  'GET /auth/type',
  'POST /auth/login',
  'POST /auth/mobile/login',
  'POST /auth/register',
  'POST /request-token',
  'GET /system/multi-user-mode',
  'GET /invite/{code}',
  'POST /invite/{code}',
  'POST /embed/{embedUuid}/stream-chat',
  'GET /embed/{embedUuid}/{sessionId}',
  'DELETE /embed/{embedUuid}/{sessionId}',
];

let kit: Kit;
let callers: Map<string, Caller>;

beforeAll(async () => {
  kit = await startKit();
  callers = await makeCallers(kit);
});
afterAll(() => kit?.close());

const callerOf = (name: string): Caller => callers.get(name) as Caller;

const sceneOf = (caller: Caller, targets: Targets, word = 'throwaway'): Scene => ({
  targets,
  grant: grantOf(caller),
  word,
});

/** The expected outcome of a call: the result, no valid credential, not for this kind of caller, or missing permissions. */
type Expectation = 'allowed' | 'unknown' | 'closed' | readonly Permission[];

function expectationOf({ name, kind, requirements }: Operation, caller: Caller): Expectation {
  const open = requirements.every((requirement) => requirement === 'public');
  if (caller.state === 'dead') return open && kind === 'row' ? 'allowed' : 'unknown';
  if (caller.state === 'none') return open ? 'allowed' : 'unknown';
  const lacks = requirements.filter(
    (requirement): requirement is Permission => isPermission(requirement) && !caller.permissions.has(requirement),
  );
  if (lacks.length > 0) return lacks;
  return onlyFor.get(baseOf(name))?.(caller) === false ? 'closed' : 'allowed';
}

const isRefused = (operation: Operation, caller: Caller) => expectationOf(operation, caller) !== 'allowed';

/** The response of each dialect to a caller without a valid credential, and to one without permission. */
const rowRefusals = new Map<Dialect, (unknown: boolean, caller: Caller, operation: Operation) => Partial<Reply>>([
  [
    onyx,
    (unknown, _caller, { name }) => {
      const strange = strangersAt[baseOf(name)] ?? { status: 403, detail: 'Access denied. User is not authenticated.' };
      const body = {
        error_code: 'INSUFFICIENT_PERMISSIONS',
        detail: 'You do not have the required permissions for this action.',
      };
      return unknown
        ? { status: strange.status, text: JSON.stringify({ detail: strange.detail }) }
        : { status: 403, text: JSON.stringify(body) };
    },
  ],
  [
    anythingllm,
    (unknown) => (unknown ? { status: 403, text: '{"error":"No valid api key found."}' } : { verdict: 'FORBIDDEN' }),
  ],
  [
    openai,
    (unknown) => ({
      status: 403,
      body: {
        error: expect.objectContaining({
          message: unknown ? 'No valid api key found.' : expect.any(String),
          code: unknown ? 'invalid_api_key' : 'insufficient_permissions',
        }),
      },
    }),
  ],
  [
    anythingllmSession,
    (unknown, { state }) => ({
      status: 401,
      text: !unknown
        ? 'Unauthorized'
        : JSON.stringify({ error: state === 'dead' ? 'Invalid auth token.' : 'No auth token found.' }),
    }),
  ],
  [
    oauth,
    (unknown) => ({
      status: unknown ? 401 : 403,
      body: expect.objectContaining({ error: unknown ? 'invalid_token' : 'insufficient_scope' }),
    }),
  ],
]);

/** The mutations whose inputs contain files. */
const takesFiles = new Set(['Mutation.uploadFiles', 'Mutation.uploadDocuments']);

/** Where Onyx has another message for an anonymous caller. */
const strangersAt: Record<string, { status: number; detail: string }> = {
  'GET /me': { status: 403, detail: 'Unauthorized' },
  'POST /auth/logout': { status: 401, detail: 'Unauthorized' },
  'POST /auth/mobile/logout': { status: 401, detail: 'Unauthorized' },
  'POST /auth/mobile/refresh': { status: 401, detail: 'Unauthorized' },
  'POST /auth/refresh': { status: 401, detail: 'Unauthorized' },
  'GET /users/me': { status: 401, detail: 'Unauthorized' },
};

/** Returns the parts of a response that a denial determines. */
function refusalOf(operation: Operation, caller: Caller): Partial<Reply> | { verdict: string; body: object } {
  const lacks = expectationOf(operation, caller);
  if (lacks === 'closed')
    return { verdict: expect.stringMatching(/^(FORBIDDEN|BAD_USER_INPUT|CONFLICT|UNAUTHENTICATED|4\d\d)$/) };
  if (operation.dialect) {
    const refusal = rowRefusals.get(operation.dialect);
    if (!refusal) throw new Error(`${operation.name}: say above how its dialect refuses`);
    return refusal(lacks === 'unknown', caller, operation);
  }
  if (lacks !== 'unknown') {
    // A caller that cannot upload is denied before the mutation is read.
    const reading = uploadPermissions.some((permission) => caller.permissions.has(permission));
    const before = takesFiles.has(baseOf(operation.name)) && !reading;
    const requiredPermissions = before ? uploadPermissions : lacks;
    return {
      verdict: 'FORBIDDEN',
      body: expect.objectContaining({
        extensions: { code: 'FORBIDDEN', reason: 'MISSING_PERMISSION', requiredPermissions },
      }),
    };
  }
  if (caller.state === 'dead')
    return {
      status: 401,
      text: '{"errors":[{"message":"A valid credential is required.","extensions":{"code":"UNAUTHENTICATED","reason":"CREDENTIAL_INVALID"}}]}',
      challenge: 'Bearer error="invalid_token"',
    };
  return { status: 401, verdict: 'UNAUTHENTICATED', challenge: 'Bearer' };
}

/** Runs a function for each item, a few at a time. */
async function forEach<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  for (let from = 0; from < items.length; from += 20) await Promise.all(items.slice(from, from + 20).map(run));
}

const summary = ({ status, verdict, text }: Reply) => `${status} ${verdict} ${text.slice(0, 300)}`;

describe('the operation table', () => {
  test('AZR 7 declares a requirement for every root field and endpoint, and exactly the listed ones are public', () => {
    const known = (requirement: Requirement) =>
      requirement === 'public' || requirement === 'signedIn' || isPermission(requirement);
    const bare = operations.filter(({ requirements }) => requirements.length === 0 || !requirements.every(known));
    expect(bare.map(({ name }) => name)).toEqual([]);
    const open = operations.filter(({ requirements }) => requirements.every((requirement) => requirement === 'public'));
    expect([...new Set(open.map(({ name }) => baseOf(name)))].sort()).toEqual([...publicFields, ...publicRows].sort());
  });

  test('requires the same permissions for an endpoint’s stream as for its complete response', () => {
    for (const row of endpoints)
      if (row.stream)
        expect(new Set(requirements(row.stream.document)), row.path).toEqual(new Set(requirements(row.document)));
  });

  test('has a root field or an endpoint for every sample input', () => {
    expect(idleSamples(), 'remove from test/security/samples.ts').toEqual([]);
  });

  test('gives limited, basic and admin keys the permissions of their role', () => {
    const limited = ['read:agents', 'write:chat'];
    const own = ['read:chat', 'manage:chat', 'write:agents', 'write:projects', 'write:tokens'];
    const shared = ['read:search', 'read:actions', 'read:users', 'use:llm_gateway'];
    expect([...callerOf('limited key').permissions].sort()).toEqual([...limited].sort());
    expect([...callerOf('basic key').permissions].sort()).toEqual([...limited, ...own, ...shared].sort());
    expect([...callerOf('admin key').permissions].sort()).toEqual([...permissions].sort());
  });

  test('`viewer` and `can` report the permissions that the table expects for each caller', async () => {
    const asked = permissions.slice(0, 14);
    const can = asked
      .map((permission, index) => `c${index}: can(permission: ${permissionConstant(permission)})`)
      .join(' ');
    for (const caller of callers.values()) {
      if (caller.state === 'dead') continue;
      const { data } = await kit.gql(`{ viewer { permissions } ${can} }`, {}, caller.secret);
      const held = permissions.filter((permission) => caller.permissions.has(permission));
      expect(data.viewer?.permissions ?? [], caller.name).toEqual(held.map(permissionConstant));
      expect(
        asked.filter((_, index) => data[`c${index}`]),
        caller.name,
      ).toEqual(held.filter((permission) => asked.includes(permission)));
    }
  });
});

describe('denied operations', () => {
  let ofA: Targets;

  beforeAll(async () => {
    const a = await keyOf(kit, 'A', 'BASIC');
    ofA = lasting(freshTargets(kit, a.userId));
  });

  /**
   * Returns the calls that the caller is denied, on objects of A. An endpoint is called on one of its paths in turn, so
   * that about half of the callers use each.
   */
  async function cellsOf(caller: Caller) {
    const cells: { operation: Operation; call: Call; prefix: '/api' | '' }[] = [];
    const turn = callerNames.indexOf(caller.name);
    for (const [index, operation] of operations.entries()) {
      if (!isRefused(operation, caller)) continue;
      const call = await operation.prepare(sceneOf(caller, ofA));
      cells.push({ operation, call, prefix: operation.dialect?.atRoot && (turn + index) % 2 === 0 ? '' : '/api' });
    }
    return cells;
  }

  test.each(callerNames)(
    'AZR 2, 4 %s: receives the expected denial for each of them and changes no data',
    async (name) => {
      const caller = callerOf(name);
      const cells = await cellsOf(caller);
      const wrong: string[] = [];
      const before = await kit.fingerprint();
      await forEach(cells, async ({ operation, call, prefix }) => {
        const reply = await call(kit, caller, prefix);
        try {
          expect(reply).toMatchObject(refusalOf(operation, caller));
          expect(reply.text).not.toMatch(/"data":\{"\w+":(?!null)/);
        } catch {
          wrong.push(`${prefix && operation.kind === 'row' ? 'under /api ' : ''}${operation.name}: ${summary(reply)}`);
        }
      });
      expect(wrong, `${name} is not refused as it should be`).toEqual([]);
      if ((await kit.fingerprint()) === before) return;

      // Something changed: repeats the calls one by one to name the operation.
      for (const { operation, call, prefix } of await cellsOf(caller)) {
        const before = await kit.fingerprint();
        await call(kit, caller, prefix);
        if ((await kit.fingerprint()) !== before) wrong.push(`${prefix} ${operation.name}`);
      }
      expect.fail(`a refused call of ${name} changed something: ${wrong.join(', ') || 'not at a second try'}`);
    },
  );

  test('AZR 4 return the same response to every invalid credential, including for public fields', async () => {
    const dead = [...callers.values()].filter(({ state }) => state === 'dead');
    const calls = operations.filter(({ name }) => [...publicFields, 'GET /me', 'GET /persona'].includes(name));
    for (const operation of calls) {
      const call = await operation.prepare(sceneOf(stranger, ofA));
      const replies = new Set<string>();
      for (const caller of dead) {
        const { status, text, challenge } = await call(kit, caller);
        replies.add(JSON.stringify({ status, text, challenge }));
      }
      expect([...replies], operation.name).toHaveLength(1);
    }
  });
});

describe('allowed operations', () => {
  /** The outcomes of each operation for all callers: one success shows that its input is valid. */
  const seen = new Map<string, string[]>();
  const changed = new Set<string>();

  test.each(admittedNames)(
    '%s: performs every operation that its permissions allow',
    async (name) => {
      const caller = callerOf(name);
      const targets = freshTargets(kit, caller.userId);
      const wrong: string[] = [];
      for (const operation of operations) {
        if (isRefused(operation, caller) || endsItsCaller.has(baseOf(operation.name))) continue;
        const call = await operation.prepare(sceneOf(caller, targets));
        const watched = operation.writes && !changed.has(operation.name) && !changesNothing.has(operation.name);
        const before = watched ? await kit.fingerprint() : '';
        const reply = await call(kit, caller);
        if (watched && (await kit.fingerprint()) !== before) changed.add(operation.name);
        seen.set(operation.name, [...(seen.get(operation.name) ?? []), `${caller.name}: ${summary(reply)}`]);
        if (
          ['UNAUTHENTICATED', 'FORBIDDEN', 'INTERNAL', 'NO ANSWER', 'NO CODE'].includes(reply.verdict) ||
          reply.status >= 500
        )
          wrong.push(`${operation.name}: ${summary(reply)}`);
      }
      expect(wrong, `${name} holds what these ask`).toEqual([]);
    },
    120_000,
  );

  test('succeed with at least one sample input each', () => {
    const useless = operations
      .filter(({ name }) => !endsItsCaller.has(baseOf(name)) && !elsewhere.has(baseOf(name)))
      .filter(({ name }) => !seen.get(name)?.some((reply) => / \d+ OK /.test(reply)))
      .map(
        ({ name }) =>
          `${name} needs a sample in test/security/samples.ts; so far ${seen.get(name)?.at(-1) ?? 'nobody may call it'}`,
      );
    expect(useless).toEqual([]);
  });

  test('change data with at least one sample input each when they write', () => {
    const idle = operations
      .filter(({ name, writes }) => writes && !changed.has(name) && !changesNothing.has(name))
      .filter(({ name }) => !endsItsCaller.has(baseOf(name)) && !elsewhere.has(baseOf(name)))
      .map(({ name }) => `${name} needs a sample in test/security/samples.ts that changes something`);
    expect(idle).toEqual([]);
  });
});

describe('objects of other users', () => {
  const wordsOf = (owner: string): Words => ({
    agent: `${owner}agentword`,
    chat: `${owner}chatword`,
    token: `${owner}tokenword`,
    document: `${owner}documentword`,
    project: `${owner}projectword`,
    projectToken: `${owner}confinedword`,
  });
  const wordsOfA = wordsOf('abelian');
  /** Kinds of objects that have an owner; other targets belong to the whole server. */
  const owned = [
    'agent',
    'workspace',
    'documented',
    'thread',
    'deletedAgent',
    'session',
    'deletedSession',
    'message',
    'answer',
    'ratedAnswer',
    'runningSession',
    'fileSession',
    'file',
    'projectFile',
    'run',
    'personalAccessToken',
    'document',
    'project',
    'projectToken',
    'projectDocument',
    'projectSession',
  ];
  /** Kinds of objects that only their owner can read, and no administrator. */
  const personal = [
    'thread',
    'session',
    'deletedSession',
    'message',
    'answer',
    'ratedAnswer',
    'runningSession',
    'fileSession',
    'file',
    'projectFile',
    'run',
    'personalAccessToken',
    'project',
    'projectDocument',
    'projectSession',
  ];

  let a: Caller;
  let b: Caller;
  let ofA: Targets;

  /** Returns everything that a caller can read, as text by operation. */
  async function readsOf(caller: Caller, targets: Targets): Promise<Map<string, Reply>> {
    const replies = new Map<string, Reply>();
    const reads = operations.filter(
      (operation) => !operation.writes && !operation.name.startsWith('Subscription') && !isRefused(operation, caller),
    );
    for (const operation of reads)
      for (const word of Object.values(wordsOfA)) {
        let asked = false;
        const call = await operation.prepare({
          ...sceneOf(caller, targets),
          get word() {
            asked = true;
            return word;
          },
        });
        replies.set(`${operation.name} ${word}`, await call(kit, caller));
        if (!asked) break;
      }
    return replies;
  }

  const holding = (replies: Map<string, Reply>, words: string[]) =>
    [...replies].filter(([, { text }]) => words.some((word) => text.includes(word))).map(([name]) => name);

  async function makeAll(targets: Targets): Promise<void> {
    await targets.agent();
    await targets.workspace();
    await targets.documented();
    await targets.thread();
    await targets.deletedAgent();
    await targets.session();
    await targets.deletedSession();
    await targets.message();
    await targets.answer();
    await targets.runningSession();
    await targets.fileSession();
    await targets.file();
    await targets.projectFile();
    await targets.run();
    await targets.personalAccessToken();
    await targets.document();
    await targets.project();
    await targets.projectToken();
    await targets.projectDocument();
    await targets.projectSession();
  }

  let readBefore: Map<string, Reply>;
  let ofB: Targets;

  beforeAll(async () => {
    a = await keyOf(kit, 'A', 'BASIC');
    b = await keyOf(kit, 'B', 'BASIC');
    ofB = lasting(freshTargets(kit, b.userId, wordsOf('boolean')));
    await makeAll(ofB);
    readBefore = await readsOf(b, ofB);
    ofA = lasting(freshTargets(kit, a.userId, wordsOfA));
    await makeAll(ofA);
  });

  test('AZR 6 do not change the responses to B when A creates agents, chats, tokens and documents', async () => {
    const after = await readsOf(b, ofB);
    // Labels are the same for all users, and the sample operations create some.
    const differing = [...after].filter(
      ([name, { text }]) => !/labels/i.test(name) && text !== readBefore.get(name)?.text,
    );
    expect(differing.map(([name, { text }]) => `${name}: ${text.slice(0, 300)}`)).toEqual([]);
    expect(holding(after, Object.values(wordsOfA))).toEqual([]);
  });

  test('AZR 1 are found in the responses to A, their owner', async () => {
    const found = holding(await readsOf(a, ofA), Object.values(wordsOfA)).map((name) =>
      baseOf(name.split(' ab')[0] ?? ''),
    );
    for (const place of [
      'agents',
      'agent',
      'chatSessions',
      'chatSession',
      'files',
      'file',
      'search',
      'personalAccessTokens',
      'projects',
      'projectTokens',
    ])
      expect(found).toContain(`Query.${place}`);
    for (const path of ['persona', 'agents', 'user/pats', 'chat/search', 'chat/get-user-chat-sessions'])
      expect(found).toContain(`GET /${path}`);
  });

  test('AZR 1 an administrator reads no chats, tokens or projects of other users outside administrative reports', async () => {
    const admin = callerOf('admin key');
    const replies = await readsOf(admin, freshTargets(kit, admin.userId));
    // Feedback and chats are visible to callers who can read the query history, and lists of credentials to
    // administrators of users.
    const administered = /feedback|queryhistory|workspace-chats|export-chats|usercredentials/i;
    const personal = new Map([...replies].filter(([name]) => !administered.test(name)));
    expect(holding(personal, [wordsOfA.chat, wordsOfA.token, wordsOfA.project])).toEqual([]);
  });

  /** Returns the operations that a caller can perform and that take the ID of such an object, ready to be sent. */
  async function aimed(caller: Caller, kinds: readonly string[], targets: Targets) {
    const calls = new Map<string, { call: Call; ids: string[]; writes: boolean }>();
    for (const operation of operations) {
      if (isRefused(operation, caller)) continue;
      const note = noting(targets);
      const call = await operation.prepare(sceneOf(caller, note.targets));
      // Deleting all own objects names no object.
      const named = note.kinds.size > 0 && !/deleteAll|delete-all/.test(operation.name);
      if (named && [...note.kinds].every((kind) => kinds.includes(kind)))
        calls.set(operation.name, { call, ids: note.ids, writes: operation.writes });
    }
    return calls;
  }

  /** Endpoints whose contract has one response for success and for a missing object. */
  const alike = ['DELETE /v1/workspace/{slug}/thread/{threadSlug}'];

  /** Returns a response without the IDs of the call, and without the generated ID of abort objects. */
  function anonymized({ status, text, challenge }: Reply, ids: readonly string[]): string {
    let rest = text.replace(/^\{"id":"[\da-f-]{36}","type":"abort"/, '{"type":"abort"');
    for (const id of ids) rest = rest.replaceAll(id, '<id>');
    return JSON.stringify({ status, challenge, rest });
  }

  test.each([
    ['B, a basic key', () => b, owned],
    ['an admin', () => callerOf('admin key'), personal],
  ] as const)(
    'AZR 1, 6 %s receives the same responses for A’s objects as for missing objects',
    async (_name, who, kinds) => {
      const caller = who();
      const victims = await aimed(caller, kinds, ofA);
      const absent = await aimed(caller, kinds, missingTargets);
      expect(victims.size).toBeGreaterThan(20);
      const before = await kit.fingerprint();
      const wrong: string[] = [];
      const answers = new Map<string, string>();
      for (const [name, { call, ids, writes }] of victims) {
        const reply = await call(kit, caller);
        const missing = absent.get(name);
        const missed = (await missing?.call(kit, caller)) as Reply;
        answers.set(name, anonymized(missed, missing?.ids ?? []));
        if (anonymized(reply, ids) !== answers.get(name))
          wrong.push(`${name}: ${summary(reply)} | missing: ${summary(missed)}`);
        if (writes && reply.verdict === 'OK' && !alike.includes(name)) wrong.push(`${name} is done: ${summary(reply)}`);
        if (name.includes('.') && !['OK', 'NOT_FOUND', 'BAD_USER_INPUT'].includes(reply.verdict))
          wrong.push(`${name} is not a plain NOT_FOUND: ${summary(reply)}`);
      }
      expect(wrong).toEqual([]);
      expect(await kit.fingerprint()).toBe(before);

      // The same calls on own objects have other responses, so the calls are valid.
      const same: string[] = [];
      for (const [name, { call, ids }] of await aimed(caller, kinds, freshTargets(kit, caller.userId)))
        if (anonymized(await call(kit, caller), ids) === answers.get(name) && !alike.includes(name)) same.push(name);
      expect(same, 'answer alike for one’s own thing and for a missing one').toEqual([]);
    },
  );

  test('AZR 1, 5 a private session cannot be read as shared, and a message of another user cannot be a parent', async () => {
    const before = await kit.fingerprint();
    const shared = `query ($id: ID!) { chatSession(id: $id, shared: true, includeDeleted: true) { name } }`;
    for (const id of [await ofA.session(), await ofA.deletedSession(), await missingTargets.session()]) {
      const { errors } = await kit.gql(shared, { id }, b.secret);
      expect(errors[0]?.extensions).toEqual({ code: 'NOT_FOUND', reason: 'CHAT_SESSION_NOT_FOUND' });
      const twin = await kit.rest('GET', `/api/chat/get-chat-session/${id}?is_shared=true&include_deleted=true`, {
        key: b.secret,
      });
      expect([twin.status, twin.text]).toEqual([404, '{"detail":"Chat session not found"}']);
    }
    const send = `mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) { answer } }`;
    const sessionId = await ofB.session();
    const answers: string[] = [];
    for (const messageId of [await ofA.message(), await missingTargets.message()]) {
      const { errors } = await kit.gql(
        send,
        { input: { sessionId, parent: { messageId }, message: 'Hello' } },
        b.secret,
      );
      answers.push(JSON.stringify(errors));
    }
    expect(answers[0]).toContain('BAD_USER_INPUT');
    expect(answers[1]).toBe(answers[0]);
    expect(await kit.fingerprint()).toBe(before);
  });

  test('AZR 5 an answer contains no document that the caller cannot read', async () => {
    const { externalId } = await ofA.document();
    const send = `mutation ($input: SendChatMessageInput!) {
      sendChatMessage(input: $input) { answer documents { documentId text } citations { documentId } }
    }`;
    const message = `What does the ${wordsOfA.document} passage say?`;
    const told = async (caller: Caller) => {
      const { data } = await kit.gql(send, { input: { message } }, caller.secret);
      const twin = await kit.rest('POST', '/api/chat/send-chat-message', {
        key: caller.secret,
        body: { message, stream: true },
      });
      return [JSON.stringify(data.sendChatMessage), twin.text];
    };
    for (const text of await told(a)) expect(text).toContain(externalId);
    for (const text of await told(b)) {
      expect(text).not.toContain(externalId);
      expect(text).not.toContain(`${wordsOfA.document} document`);
    }
  });

  test('AZR 5 `nodes` returns the caller’s own objects in order, and null without a reason for all others', async () => {
    const types = [...nodeTypes()].filter(([, { permission }]) => b.permissions.has(permission)).map(([type]) => type);
    const idsOf = async (targets: Targets) => {
      const ids = [];
      for (const type of types) {
        const id = await nodeSamples[type]?.(sceneOf(b, targets));
        ids.push(encodeGlobalID(type, id as string));
      }
      return ids;
    };
    const others = await idsOf(ofA);
    const mine = await idsOf(ofB);
    const mineToo = await idsOf(freshTargets(kit, b.userId));
    const none = await idsOf(missingTargets);
    // Objects of other users come before, between and after own ones.
    const ids = types.flatMap((_, index) => [others, mine, none, mineToo, others].map((of) => of[index] as string));
    // Labels and users are visible to all users.
    const shared = others.filter((_id, index) => ['Label', 'User'].includes(types[index] as string));
    expect(shared).toHaveLength(2);
    const visible = new Set([...mine, ...mineToo, ...shared]);
    const expected = ids.map((id) => (visible.has(id) ? { id } : null));
    const query = `query ($ids: [ID!]!) { nodes(ids: $ids) { id } }`;
    for (const [sent, wanted] of [
      [ids, expected],
      [[...ids].reverse(), [...expected].reverse()],
    ]) {
      const { data, errors } = await kit.gql(query, { ids: sent }, b.secret);
      expect(errors).toEqual([]);
      expect(data.nodes).toEqual(wanted);
    }
  });

  test('AZR 6 `node` and `nodes` return null for an ID with an unknown type or an invalid form', async () => {
    for (const id of ['Nothing:1', 'Agent:one', 'ChatSession:1', 'Document:99999999999']) {
      const global = Buffer.from(id).toString('base64');
      const one = await kit.gql(`query ($id: ID!) { node(id: $id) { id } }`, { id: global }, b.secret);
      expect([one.data, one.errors], id).toEqual([{ node: null }, []]);
      const many = await kit.gql(`query ($id: ID!) { nodes(ids: [$id]) { id } }`, { id: global }, b.secret);
      expect([many.data, many.errors], id).toEqual([{ nodes: [null] }, []]);
    }
  });
});

describe('a limited key', () => {
  let limited: Caller;
  let sessionId: string;
  let turn: { runId: string; assistantMessageId: number };

  const needsHistory = { code: 'FORBIDDEN', reason: 'MISSING_PERMISSION', requiredPermissions: ['read:chat'] };

  beforeAll(async () => {
    limited = callerOf('limited key');
    await kit.ingest('Tides', 'The marigold lighthouse keeps a log of every tide.');
  });

  test('reads agents, creates a session, sends a message and receives the answer', async () => {
    const agents = await kit.gql(`{ agents { nodes { databaseId } } agent(id: 0) { name } }`, {}, limited.secret);
    expect(agents.errors).toEqual([]);
    expect(agents.data.agents.nodes).toContainEqual({ databaseId: 0 });
    const created = await kit.gql(`mutation { createChatSession(input: {}) { sessionId } }`, {}, limited.secret);
    sessionId = created.data.createChatSession.sessionId;
    const input = { sessionId, message: 'Who keeps a log of the marigold tide?' };
    const sent = await kit.gql(
      `mutation ($input: SendChatMessageInput!) {
        sendChatMessage(input: $input) { sessionId runId assistantMessageId answer citations { documentId } failure { code } }
      }`,
      { input },
      limited.secret,
    );
    turn = sent.data.sendChatMessage;
    expect(turn).toMatchObject({ sessionId, failure: null, citations: [{ documentId: 'Tides' }] });
    const twin = await kit.rest('POST', '/api/chat/send-chat-message', {
      key: limited.secret,
      body: { chat_session_id: sessionId, message: input.message, stream: false },
    });
    expect(twin.body).toMatchObject({ error_msg: null, chat_session_id: sessionId });
    expect(twin.body.answer).toContain('log of every tide');
  });

  test('AZR 5 reads no history by list, ID, search, node or subscription, or through the result of a mutation', async () => {
    const refusals: [string, string, object][] = [
      ['list', '{ chatSessions { totalCount } }', {}],
      ['id', 'query ($id: ID!) { chatSession(id: $id) { name } }', { id: sessionId }],
      ['shared', 'query ($id: ID!) { chatSession(id: $id, shared: true) { name } }', { id: sessionId }],
      ['search', '{ chatSessions(filter: { search: "marigold" }) { totalCount } }', {}],
      ['node', 'query ($id: ID!) { node(id: $id) { id } }', { id: encodeGlobalID('ChatSession', sessionId) }],
      [
        'message node',
        'query ($id: ID!) { node(id: $id) { id } }',
        { id: encodeGlobalID('ChatMessage', turn.assistantMessageId) },
      ],
      ['nodes', 'query ($id: ID!) { nodes(ids: [$id]) { id } }', { id: encodeGlobalID('ChatSession', sessionId) }],
      ['payload', 'mutation { createChatSession(input: {}) { sessionId session { name } } }', {}],
      ['payload’s messages', 'mutation { createChatSession(input: {}) { session { messages { totalCount } } } }', {}],
    ];
    for (const [way, query, variables] of refusals) {
      const { data, errors } = await kit.gql(query, variables, limited.secret);
      expect(errors[0]?.extensions, way).toEqual(needsHistory);
      if (way.startsWith('payload')) expect(data.createChatSession.session, way).toBeNull();
      else expect(data?.node ?? null, way).toBeNull();
    }
    const stream = kit.subscribe(
      'subscription ($id: ID!) { chatRun(run: { id: $id }) { __typename } }',
      { id: turn.runId },
      limited.secret,
    );
    const events = [];
    for await (const event of stream) events.push(event);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ errors: [{ extensions: needsHistory }] });
    expect(events[0].data ?? null).toBeNull();
  });

  test('AZR 5 reads no history through REST', async () => {
    const reading = endpoints.filter(({ document }) => requirements(document).includes('read:chat'));
    expect(reading.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['/chat/get-user-chat-sessions', '/chat/get-chat-session/{session_id}', '/chat/search']),
    );
    for (const row of reading)
      for (const prefix of dialectOf(row).atRoot ? ['/api', ''] : ['/api']) {
        const path = prefix + row.path.replace('{session_id}', sessionId).replace('{slug}', 'default');
        const { status, text } = await kit.rest(row.method.toUpperCase(), path, { key: limited.secret });
        expect(status, path).toBe(403);
        expect(text, path).not.toMatch(new RegExp(`marigold|${sessionId}`));
        const lacks = dialectOf(row).atRoot
          ? { error_code: 'INSUFFICIENT_PERMISSIONS' }
          : { error: expect.any(String) };
        expect(JSON.parse(text)).toEqual(expect.objectContaining(lacks));
      }
  });

  test('AZR 4 receives NOT_FOUND when it sends a message in a session of another user', async () => {
    const other = freshTargets(kit, callerOf('basic key').userId);
    const sent = await kit.gql(
      `mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) { answer } }`,
      { input: { sessionId: await other.session(), message: 'What was said?' } },
      limited.secret,
    );
    expect(sent.errors[0]?.extensions).toEqual({ code: 'NOT_FOUND', reason: 'CHAT_SESSION_NOT_FOUND' });
  });
});

describe('the GraphQL schema', () => {
  const types = Object.values(schema.getTypeMap()).filter((type) => !isIntrospectionType(type));
  const rootNames = ['Query', 'Mutation', 'Subscription'];
  const roots = types.filter(isObjectType).filter(({ name }) => rootNames.includes(name));

  test('AZR 7 every root field has a requirement, shows it as @requiresScopes and ends its description with it', () => {
    const wrong: string[] = [];
    for (const root of roots)
      for (const field of Object.values(root.getFields())) {
        const requirements = requirementsOf(field);
        const names = requirements.filter(isPermission);
        const needs = requirements.includes('public')
          ? 'Requires no credential.'
          : requirements.includes('signedIn')
            ? 'Requires any valid credential.'
            : `Requires ${names.map((name) => `\`${name}\``).join(' and ')}.`;
        const shown = (field.extensions.directives as { requiresScopes?: { scopes: string[][] } })?.requiresScopes
          ?.scopes;
        const expected = names.length > 0 ? [names] : undefined;
        const described = requirements.length > 0 && field.description?.endsWith(needs);
        if (!described || JSON.stringify(shown) !== JSON.stringify(expected))
          wrong.push(`${root.name}.${field.name}: ${requirements} | ${field.description} | ${JSON.stringify(shown)}`);
      }
    expect(wrong).toEqual([]);
  });

  test('AZR 5 sessions and messages are reachable only through fields that require `read:chat`', () => {
    /** The fields that a caller without `read:chat` can reach. */
    const reached = new Map<string, string>();
    const visit = (name: string, path: string) => {
      if (reached.has(name)) return;
      reached.set(name, path);
      const type = schema.getType(name);
      if (isUnionType(type)) for (const member of type.getTypes()) visit(member.name, `${path} (${member.name})`);
      if (isInterfaceType(type))
        // A node is returned under the rule of its type.
        for (const { name: member } of schema.getPossibleTypes(type))
          if (type.name !== 'Node' || nodeTypes().get(member)?.permission !== 'read:chat')
            visit(member, `${path} (${member})`);
      if (!isObjectType(type) && !isInterfaceType(type)) return;
      for (const field of Object.values(type.getFields()))
        if (!requirementsOf(field).includes('read:chat')) visit(getNamedType(field.type).name, `${path}.${field.name}`);
    };
    for (const root of roots) visit(root.name, root.name);
    const history = types
      .map(({ name }) => name)
      .filter((name) => /^Chat(Session|Message)(Connection|Edge)?$/.test(name));
    expect(history.length).toBeGreaterThanOrEqual(6);
    expect(history.filter((name) => reached.has(name)).map((name) => reached.get(name))).toEqual([]);
  });

  test('AZR 5 every type that `node` can return has a permission rule', () => {
    const node = schema.getType('Node');
    if (!isInterfaceType(node)) throw new Error('there is no Node');
    const names = schema.getPossibleTypes(node).map(({ name }) => name);
    expect(names.sort()).toEqual([...nodeTypes().keys()].sort());
    expect(Object.keys(nodeSamples).sort(), 'nodeSamples in test/security/samples.ts').toEqual(names);
  });

  test('every type, field, argument, input field and enum value is described', () => {
    const bare: string[] = [];
    const check = (name: string, description: string | null | undefined) => {
      if (!description?.trim()) bare.push(name);
    };
    for (const type of types) {
      check(type.name, type.description);
      if (isObjectType(type) || isInterfaceType(type))
        for (const field of Object.values(type.getFields())) {
          check(`${type.name}.${field.name}`, field.description);
          for (const arg of field.args) check(`${type.name}.${field.name}(${arg.name})`, arg.description);
        }
      if (isInputObjectType(type))
        for (const field of Object.values(type.getFields())) check(`${type.name}.${field.name}`, field.description);
      if (isEnumType(type))
        for (const value of type.getValues()) check(`${type.name}.${value.name}`, value.description);
    }
    for (const directive of schema.getDirectives())
      for (const arg of directive.args) check(`@${directive.name}(${arg.name})`, arg.description);
    expect(bare).toEqual([]);
  });
});
