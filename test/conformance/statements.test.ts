import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type GraphQLAnswer, type Kit, startKit } from '../kit.ts';

let kit: Kit;
/** The owner of the rows: the user of the first admin key. */
let ownerId: string;
/** A project with many files. */
let projectId: number;
/** A session with many messages. */
const longSession = randomUUID();
const globalId = (typename: string, id: string | number) => Buffer.from(`${typename}:${id}`).toString('base64');

beforeAll(async () => {
  kit = await startKit();
  ownerId = (await kit.gql('{ viewer { user { databaseId } } }')).data.viewer.user.databaseId;
  projectId = (await kit.prisma.project.create({ data: { name: 'long', ownerId } })).id;
  await kit.prisma.chatSession.create({
    data: { id: longSession, userId: ownerId, agentId: 0, projectId, name: 'long' },
  });
});
afterAll(() => kit?.close());

const passage = (documentId: string) => ({
  number: 1,
  documentId,
  chunkId: 1,
  position: 0,
  title: documentId,
  heading: '',
  link: null,
  text: 'words',
  source: 'x',
  metadata: {},
  score: 1,
  updatedAt: null,
  highlights: [],
});

/** Creates rows of every kind, each with its own relations, numbered from `from` to `to`. */
async function fill(from: number, to: number): Promise<void> {
  const { prisma } = kit;
  for (let i = from; i < to; i++) {
    const label = await prisma.label.create({ data: { name: `label ${i}` } });
    const action = await prisma.action.create({
      data: { name: `action_${i}`, displayName: `Action ${i}`, description: '' },
    });
    const document = await prisma.document.create({
      data: {
        externalId: `document-${i}`,
        title: `Document ${i}`,
        contentHash: new Uint8Array(32),
        ownerId,
        chunks: { create: { position: 0, section: 0, start: 0, end: 10, text: `zebra number ${i}` } },
      },
    });
    const token = (kind: 'API_KEY' | 'PERSONAL' | 'PROJECT', userId: string) => ({
      kind,
      name: `token ${i}`,
      hash: Uint8Array.from(randomBytes(32)),
      display: '…',
      allScopes: true,
      userId,
      creatorId: ownerId,
    });
    const account = await prisma.user.create({
      data: { name: `user ${i}`, email: `user-${i}@example.com`, accountType: 'SERVICE_ACCOUNT' },
    });
    await prisma.token.createMany({ data: [token('API_KEY', account.id), token('PERSONAL', ownerId)] });
    const bot = await prisma.user.create({
      data: { name: `bot ${i}`, email: `bot-${i}@example.com`, accountType: 'SERVICE_ACCOUNT' },
    });
    await prisma.project.create({
      data: { name: `Project ${i}`, ownerId, tokens: { create: token('PROJECT', bot.id) } },
    });
    const agent = await prisma.agent.create({
      data: {
        name: `Agent ${i}`,
        owner: { connect: { id: account.id } },
        isPublic: true,
        labels: { connect: { id: label.id } },
        actions: { connect: { id: action.id } },
        documents: { connect: { id: document.id } },
        starterMessages: {
          create: [
            { position: 0, name: 'a', message: 'b' },
            { position: 1, name: 'c', message: 'd' },
          ],
        },
        shares: { create: { userId: ownerId } },
      },
    });
    await prisma.inviteCode.create({
      data: { hash: Uint8Array.from(randomBytes(32)), display: '…', agentIds: [agent.id, 0], createdById: ownerId },
    });
    await prisma.auditEvent.create({
      data: { action: 'api_key.create', actorId: account.id, actorName: account.name },
    });
    const sessions = [randomUUID(), longSession];
    await prisma.chatSession.create({
      data: { id: sessions[0] as string, userId: ownerId, agentId: agent.id, name: `zebra ${i}` },
    });
    for (const sessionId of sessions) {
      const asked = await prisma.chatMessage.create({ data: { sessionId, role: 'USER', text: 'question' } });
      const answer = await prisma.chatMessage.create({
        data: {
          sessionId,
          role: 'ASSISTANT',
          text: 'answer [[1]]()',
          parentId: asked.id,
          passages: [passage(`document-${i}`)],
          citations: [{ number: 1, documentId: `document-${i}` }],
        },
      });
      await prisma.run.create({ data: { id: randomUUID(), sessionId, messageId: answer.id, status: 'COMPLETED' } });
      await prisma.feedback.create({
        data: { messageId: answer.id, userId: ownerId, positive: true, comment: `${i}` },
      });
      await prisma.file.create({
        data: {
          id: randomUUID(),
          ownerId,
          name: `file-${i}.txt`,
          mediaType: 'text/plain',
          kind: 'PLAIN_TEXT',
          size: 5,
          status: 'COMPLETED',
          tokenCount: 2,
          text: 'words',
          messages: { connect: { id: asked.id } },
          projects: { connect: { id: projectId } },
          agents: { connect: { id: agent.id } },
        },
      });
    }
  }
}

/** Returns the statements of one request, including the credential lookup, and its response. */
async function counted<T>(request: () => Promise<T>): Promise<{ statements: string[]; answer: T }> {
  // Sent once before, since the first use of a key in a minute is recorded.
  await request();
  await kit.booted.background.settled();
  kit.statements.length = 0;
  const answer = await request();
  await kit.booted.background.settled();
  return { statements: [...kit.statements], answer };
}

const page = 'pageInfo { hasNextPage endCursor } totalCount';
const person = 'id name email accountType';
const agent = `id databaseId name description systemPrompt viewerPermission ownerId ownerEmail owner { ${person} }
  starterMessages { name message } labels { databaseId name } actions { databaseId name } documents(first: 2) { totalCount nodes { documentId title } }
  files(first: 2) { totalCount nodes { databaseId name } }
  shares(first: 2) { totalCount nodes { permission user { ${person} } } }`;
const file = 'id databaseId name status chunkCount';
const message = `databaseId text role documents { title } citations { number documentId document { title } }
  session { name } parent { databaseId } latestChild { databaseId } preferredResponse { databaseId }
  feedback { rating comment } files { ${file} }`;
const session =
  'databaseId name agentId agentName agent { name } owner { name } ownerName currentRun { databaseId message { databaseId } } updatedAt';

/**
 * Each list in the schema with everything that can be selected on its rows. The page size is a variable: a list of 100.
 */
const lists: Record<string, { query: string; rows: (data: GraphQLAnswer['data']) => unknown[] }> = {
  agents: {
    query: `agents(first: $first) { edges { cursor node { ${agent} } } ${page} }`,
    rows: (data) => data.agents.edges,
  },
  'agents, as nodes': { query: `agents(first: $first) { nodes { ${agent} } }`, rows: (data) => data.agents.nodes },
  apiKeys: {
    query: `apiKeys(first: $first) { nodes { id databaseId name display role scopes user { ${person} } project { name } createdBy { ${person} } } ${page} }`,
    rows: (data) => data.apiKeys.nodes,
  },
  personalAccessTokens: {
    query: `personalAccessTokens(first: $first) { nodes { id name display user { ${person} } } ${page} }`,
    rows: (data) => data.personalAccessTokens.nodes,
  },
  projects: {
    query: `projects(first: $first) { nodes { name owner { ${person} } tokens(first: 2) { totalCount nodes { name user { ${person} } project { name } } } } ${page} }`,
    rows: (data) => data.projects.nodes,
  },
  completionModels: {
    query: `completionModels(first: $first) { nodes { slug documentCount agent { name labels { name } owner { ${person} } } } ${page} }`,
    rows: (data) => data.completionModels.nodes,
  },
  inviteCodes: {
    query: `inviteCodes(first: $first) { nodes { display createdBy { ${person} } agents(first: 2) { ${page} nodes { name labels { name } } } } ${page} }`,
    rows: (data) => data.inviteCodes.nodes,
  },
  chatSessions: {
    query: `chatSessions(first: $first) { nodes { ${session} } ${page} }`,
    rows: (data) => data.chatSessions.nodes,
  },
  'chatSessions with messages': {
    query: `chatSessions(first: $first) { nodes { ${session} messages(first: 1) { nodes { ${message} } pageInfo { hasNextPage } totalCount } } }`,
    rows: (data) => data.chatSessions.nodes,
  },
  'chatSessions with a search': {
    query: `chatSessions(filter: { search: "zebra" }, first: $first) { nodes { ${session} } ${page} }`,
    rows: (data) => data.chatSessions.nodes,
  },
  documents: {
    query: `documents(first: $first) { nodes { id documentId title metadata } ${page} }`,
    rows: (data) => data.documents.nodes,
  },
  search: {
    query: 'search(query: "zebra", first: $first) { documentId title text metadata }',
    rows: (data) => data.search,
  },
  labels: { query: `labels(first: $first) { nodes { databaseId name } ${page} }`, rows: (data) => data.labels.nodes },
  actions: {
    query: `actions(first: $first) { nodes { databaseId name } ${page} }`,
    rows: (data) => data.actions.nodes,
  },
  auditEvents: {
    query: `auditEvents(first: $first) { nodes { id action at actorName actor { ${person} } apiKey { name role } userCredential { name user { ${person} } } } ${page} }`,
    rows: (data) => data.auditEvents.nodes,
  },
  files: { query: `files(first: $first) { nodes { ${file} } ${page} }`, rows: (data) => data.files.nodes },
  'files of a project': {
    query: `projects(filter: { search: "long" }) { nodes { name fileTokens files(first: $first) { nodes { ${file} } totalCount } } }`,
    rows: (data) => data.projects.nodes[0].files.nodes,
  },
  feedback: {
    query: `feedback(first: $first) { nodes { id messageId sessionId rating question answer agentName userName
      message { text } session { name } agent { name } user { name } } ${page} }`,
    rows: (data) => data.feedback.nodes,
  },
  queryHistory: {
    query: `queryHistory(first: $first) { nodes { id question answer message { text } session { name }
      agent { name } user { name } } ${page} }`,
    rows: (data) => data.queryHistory.nodes,
  },
  'messages of a session': {
    query: `chatSession(id: "${longSession}") { ${session} messages(first: $first) { nodes { ${message} } } }`,
    rows: (data) => data.chatSession.messages.nodes,
  },
};

const paths: Record<string, (body: Answer['body']) => unknown[]> = {
  '/persona': (body) => body,
  '/agents?page_size=100': (body) => body.items,
  '/admin/persona': (body) => body,
  '/admin/agents?page_size=100': (body) => body.items,
  '/persona/labels': (body) => body,
  '/tool': (body) => body,
  '/admin/api-key': (body) => body,
  '/user/pats': (body) => body,
  '/chat/get-user-chat-sessions?page_size=100': (body) => body.sessions,
  [`/chat/get-chat-session/${longSession}`]: (body) => body.messages,
  '/chat/search?query=zebra&page_size=100': (body) => body.groups.flatMap((group: { chats: unknown[] }) => group.chats),
  '/onyx-api/ingestion': (body) => body,
  '/user/files/recent': (body) => body,
};

interface Case {
  name: string;
  count: () => Promise<{ statements: string[]; length: number }>;
}

const cases: Case[] = [
  ...Object.entries(lists).map(([name, { query, rows }]) => ({
    name,
    count: async () => {
      const { statements, answer } = await counted(() => kit.gql(`query ($first: Int) { ${query} }`, { first: 100 }));
      expect(answer.errors).toEqual([]);
      return { statements, length: rows(answer.data).length };
    },
  })),
  {
    name: 'nodes',
    count: async () => {
      const agents = await kit.prisma.agent.findMany({ select: { id: true } });
      const sessions = await kit.prisma.chatSession.findMany({ select: { id: true } });
      const ids = [
        ...agents.map(({ id }) => globalId('Agent', id)),
        ...sessions.map(({ id }) => globalId('ChatSession', id)),
      ];
      const query = `query ($ids: [ID!]!) { nodes(ids: $ids) { __typename ... on Agent { ${agent} } ... on ChatSession { title: name agentName ownerName currentRun { databaseId } } } }`;
      const { statements, answer } = await counted(() => kit.gql(query, { ids }));
      expect(answer.errors).toEqual([]);
      return { statements, length: answer.data.nodes.filter(Boolean).length };
    },
  },
  ...Object.entries(paths).map(([path, rows]) => ({
    name: `GET ${path.replace(longSession, '{session_id}')}`,
    count: async () => {
      const { statements, answer } = await counted(() => kit.rest('GET', `/api${path}`));
      expect(answer.status, answer.text).toBe(200);
      return { statements, length: rows(answer.body).length };
    },
  })),
];

/**
 * Statements of a list: the credential, the rows with their relations, and the count. The exceptions also read objects
 * that the caller may be denied, or one relation with two filters.
 */
const usualStatements = 3;
const statementsOf: Record<string, number> = {
  agents: 4,
  inviteCodes: 7,
  chatSessions: 5,
  'chatSessions with messages': 4,
  'chatSessions with a search': 7,
  auditEvents: 7,
  feedback: 7,
  queryHistory: 6,
  'messages of a session': 6,
  nodes: 6,
  'GET /admin/agents?page_size=100': 4,
};

describe('a list runs the same number of statements for any number of entries:', () => {
  const few = new Map<string, { statements: string[]; length: number }>();
  const many = new Map<string, { statements: string[]; length: number }>();

  beforeAll(async () => {
    await fill(0, 3);
    for (const { name, count } of cases) few.set(name, await count());
    await fill(3, 30);
    for (const { name, count } of cases) many.set(name, await count());
  });

  it.each(cases)('$name', ({ name }) => {
    const [small, large] = [few.get(name), many.get(name)];
    expect((large?.length ?? 0) - (small?.length ?? 0)).toBeGreaterThanOrEqual(27);
    expect(large?.statements.length, large?.statements.join('\n')).toBe(small?.statements.length);
    expect(large?.statements.length, large?.statements.join('\n')).toBeLessThanOrEqual(
      statementsOf[name] ?? usualStatements,
    );
  });
});

describe('an internal error', () => {
  const secret = 'the password of the database is hunter2';
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

  /** Runs with a service that fails with an unexpected error. */
  async function broken<T>(work: () => Promise<T>): Promise<T> {
    const { agents } = kit.booted.services;
    const { list } = agents;
    agents.list = () => Promise.reject(new Error(secret));
    kit.log.length = 0;
    try {
      return await work();
    } finally {
      agents.list = list;
    }
  }
  const logged = () => kit.log.map((line) => JSON.parse(line)).filter(({ level }) => level >= 50);

  it('is masked in GraphQL, and logged under the request ID that the caller receives', async () => {
    const { status, headers, data, errors } = await broken(() =>
      kit.gql('{ agents { totalCount } viewer { user { databaseId } } }'),
    );
    const requestId = headers.get('x-request-id');
    expect(requestId).toMatch(uuid);
    expect(status).toBe(200);
    expect(data).toEqual({ agents: null, viewer: { user: { databaseId: ownerId } } });
    expect(errors).toEqual([
      {
        message: `Internal server error. Request id: ${requestId}`,
        path: ['agents'],
        locations: [{ line: 1, column: 3 }],
        extensions: { code: 'INTERNAL', reason: 'INTERNAL_ERROR' },
      },
    ]);
    expect(logged()).toEqual([
      expect.objectContaining({
        requestId,
        error: expect.objectContaining({ message: secret, stack: expect.any(String) }),
      }),
    ]);
  });

  it('is masked in REST, and logged under the request ID that the caller receives', async () => {
    const { status, headers, text, body } = await broken(() => kit.rest('GET', '/api/persona'));
    const requestId = headers.get('x-request-id');
    expect(requestId).toMatch(uuid);
    expect(status).toBe(500);
    expect(body).toEqual({ error_code: 'INTERNAL_ERROR', detail: `Internal server error. Request id: ${requestId}` });
    expect(text).not.toContain(secret);
    expect(logged()).toEqual([
      expect.objectContaining({ requestId, error: expect.objectContaining({ message: secret }) }),
    ]);
  });

  it('does not reveal a value that GraphQL cannot serialize', async () => {
    const { agents } = kit.booted.services;
    const { count } = agents;
    agents.count = (() => Promise.resolve(secret)) as unknown as typeof count;
    kit.log.length = 0;
    const { errors } = await kit.gql('{ agents { totalCount } }');
    agents.count = count;
    expect(JSON.stringify(errors)).not.toContain('hunter2');
    expect(errors).toMatchObject([{ extensions: { code: 'INTERNAL', reason: 'INTERNAL_ERROR' } }]);
    expect(logged()).toHaveLength(1);
  });

  it('every response has a unique request ID', async () => {
    const answers = await Promise.all([
      kit.rest('GET', '/health', { key: null }),
      kit.rest('GET', '/nowhere', { key: null }),
      kit.rest('GET', '/api/me', { key: 'nonsense' }),
      kit.rest('PUT', '/api/me'),
      kit.rest('POST', '/graphql', { body: '{' }),
      kit.rest('GET', '/api/me', { headers: { 'x-request-id': 'not/an id', 'x-onyx-request-id': 'mine' } }),
      kit.rest('GET', '/metrics'),
      kit.rest('POST', '/api/chat/send-chat-message', { body: { message: 'hello' } }),
    ]);
    const ids = answers.map(({ headers }) => headers.get('x-request-id') ?? '');
    for (const id of ids) expect(id).toMatch(uuid);
    expect(new Set(ids).size).toBe(answers.length);
  });
});
