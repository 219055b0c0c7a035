import { createHash, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { newSecret } from '../../src/authz/secret.ts';
import { ActiveRun } from '../../src/modules/chat/runs.ts';
import { folderBlobs } from '../../src/store/blobs.ts';
import type { Kit } from '../kit.ts';

/** Words that occur in one kind of object only, so that a response that contains one has revealed that object. */
export interface Words {
  agent: string;
  chat: string;
  token: string;
  document: string;
  project: string;
  projectToken: string;
}

/** The IDs of objects to target. An input requests those that its operation needs. */
export interface Targets {
  agent(): Promise<number>;
  /** An agent with its slug. */
  workspace(): Promise<{ id: number; slug: string }>;
  /** An agent with its own document. */
  documented(): Promise<{ id: number; slug: string; location: string }>;
  /** A named chat with the built-in agent. */
  thread(): Promise<{ agentSlug: string; slug: string }>;
  /** A chat widget with a visitor's chat. */
  embed(): Promise<{ id: number; uuid: string; sessionId: string; answerId: number }>;
  /** A folder of documents. */
  folder(): Promise<string>;
  /** An invite code. */
  invite(): Promise<number>;
  /** Another code, with which an account can be created. */
  inviteCode(): Promise<string>;
  deletedAgent(): Promise<number>;
  session(): Promise<string>;
  deletedSession(): Promise<string>;
  projectSession(): Promise<string>;
  message(): Promise<number>;
  /** An answer and its question. */
  answer(): Promise<{ id: number; questionId: number }>;
  /** An answer that its reader has rated. */
  ratedAnswer(): Promise<number>;
  /** A rating, for administrators. */
  feedback(): Promise<number>;
  /** An answer, as callers who can read the query history see it. */
  historyEntry(): Promise<number>;
  /** A session with a kept run. */
  runningSession(): Promise<string>;
  /** A session with a file. */
  fileSession(): Promise<string>;
  file(): Promise<string>;
  /** A file of a project. */
  projectFile(): Promise<{ id: string; projectId: number }>;
  run(): Promise<string>;
  personalAccessToken(): Promise<number>;
  document(): Promise<{ id: number; externalId: string; location: string }>;
  project(): Promise<number>;
  projectToken(): Promise<number>;
  projectDocument(): Promise<string>;
  /** A limit without effect: it is high and of an unused user. */
  rateLimit(): Promise<number>;
  /** Creates a label of agents. */
  label(): Promise<number>;
  /** A limit of the role BASIC. */
  roleLimit(): Promise<number>;
  /** A person whose permissions do not exceed the role. */
  person(role: Grant['role']): Promise<{ id: string; email: string; databaseId: number }>;
  deactivatedPerson(role: Grant['role']): Promise<{ id: string; email: string; databaseId: number }>;
  /** Creates a personal access token of a person with this role. */
  personToken(role: Grant['role']): Promise<{ id: number; userId: string }>;
  invitation(): Promise<{ id: number; email: string }>;
  /** An API key with one permission. */
  apiKey(grant: Grant): Promise<number>;
}

export interface Grant {
  role: 'LIMITED' | 'BASIC' | 'ADMIN';
  scope: string;
}

/** IDs that occur in no other text, so that responses can be compared without them. */
let lastId = 410_000_000;
const nextId = () => ++lastId;

const hash = (text: string) => Uint8Array.from(createHash('sha256').update(text).digest());
const throwaway: Words = {
  agent: 'throwaway',
  chat: 'throwaway',
  token: 'throwaway',
  document: 'throwaway',
  project: 'throwaway',
  projectToken: 'throwaway',
};

/** Returns a new private object of the user for every call. */
export function freshTargets({ prisma, booted }: Kit, userId: string, words: Words = throwaway): Targets {
  const agent = async (deletedAt: Date | null, ownerId: string | null = userId) => {
    const id = nextId();
    const name = `${words.agent} agent ${id}`;
    const texts = { description: words.agent, systemPrompt: words.agent, taskPrompt: words.agent };
    await prisma.agent.create({ data: { id, name, ...texts, ownerId, deletedAt } });
    return id;
  };
  const session = async (deletedAt: Date | null = null, projectId: number | null = null, ownerId = userId) => {
    const data = { userId: ownerId, agentId: 0, name: `${words.chat} session`, deletedAt, projectId };
    const { id } = await prisma.chatSession.create({ data });
    const root = await prisma.chatMessage.create({ data: { id: nextId(), sessionId: id, role: 'SYSTEM' } });
    const text = `${words.chat} question`;
    const message = await prisma.chatMessage.create({
      data: { id: nextId(), sessionId: id, parentId: root.id, role: 'USER', text },
    });
    await prisma.chatMessage.update({ where: { id: root.id }, data: { latestChildId: message.id } });
    const answer = await prisma.chatMessage.create({
      data: { id: nextId(), sessionId: id, parentId: message.id, role: 'ASSISTANT', text: `${words.chat} answer` },
    });
    return { id, messageId: message.id, answerId: answer.id };
  };
  const startRun = async (sessionId: string, messageId: number) => {
    const run = new ActiveRun(randomUUID(), sessionId, userId, messageId);
    await booted.services.runs.start(run, async () => {
      run.emit({ type: 'answerDelta', text: `${words.chat} answer` });
      run.emit({ type: 'stopped', reason: 'FINISHED' });
    });
    return run.id;
  };
  const file = async (projectId: number | null) => {
    const id = randomUUID();
    const text = `${words.chat} text of a file`;
    await folderBlobs(join(booted.foundation.settings.dataDir, 'files')).write(id, new TextEncoder().encode(text));
    await prisma.file.create({
      data: {
        id,
        ownerId: userId,
        name: `${words.chat} file.txt`,
        mediaType: 'text/plain',
        kind: 'PLAIN_TEXT',
        size: text.length,
        status: 'COMPLETED',
        text,
        tokenCount: 10,
        ...(projectId !== null && { projects: { connect: { id: projectId } } }),
      },
    });
    return id;
  };
  const document = async (projectId: number | null) => {
    const id = nextId();
    const externalId = `doc-${id}`;
    const text = `${words.document} passage`;
    const chunk = { id: nextId(), position: 0, section: 0, start: 0, end: text.length, text };
    await prisma.document.create({
      data: {
        id,
        externalId,
        title: `${words.document} document`,
        contentHash: hash(text),
        isPublic: false,
        ownerId: userId,
        projectId,
        fileName: `${externalId}.json`,
        chunks: { create: chunk },
      },
    });
    return { id, externalId, location: `custom-documents/${externalId}.json` };
  };
  const slugged = async (ownerId: string | null = userId) => {
    const id = await agent(null, ownerId);
    const slug = `workspace-${id}`;
    await prisma.agent.update({ where: { id }, data: { slug } });
    return { id, slug };
  };
  const project = async () => {
    const name = `${words.project} project`;
    const { id } = await prisma.project.create({
      data: { id: nextId(), name, description: name, instructions: name, ownerId: userId },
    });
    return id;
  };
  const person = async (role: Grant['role'], active: boolean) => {
    const email = `${randomUUID()}@people.example`;
    const databaseId = nextId();
    const { id } = await prisma.user.create({ data: { name: 'somebody', email, role, active, databaseId } });
    return { id, email, databaseId };
  };
  const token = async (
    kind: 'API_KEY' | 'PERSONAL' | 'PROJECT',
    owner: string,
    scopes: string[],
    more: { name?: string; projectId?: number } = {},
  ) => {
    const id = nextId();
    await prisma.token.create({
      data: {
        id,
        kind,
        name: `${words.token} token`,
        display: `${more.name ?? words.token}****`,
        hash: hash(randomUUID()),
        allScopes: scopes.length === 0,
        scopes,
        userId: owner,
        ...more,
      },
    });
    return id;
  };
  return {
    agent: () => agent(null),
    workspace: () => slugged(),
    async documented() {
      const workspace = await slugged();
      const { id, location } = await document(null);
      await prisma.agent.update({ where: { id: workspace.id }, data: { documents: { connect: { id } } } });
      return { ...workspace, location };
    },
    async thread() {
      const { id } = await session();
      const slug = `thread-${nextId()}`;
      await prisma.chatSession.update({ where: { id }, data: { slug } });
      return { agentSlug: 'default', slug };
    },
    async embed() {
      const { id: agentId } = await slugged(null);
      const visitorId = randomUUID();
      const sessionId = randomUUID();
      const name = 'a widget';
      await prisma.user.create({
        data: {
          id: visitorId,
          name,
          email: `${visitorId}@keys.example`,
          role: 'LIMITED',
          accountType: 'SERVICE_ACCOUNT',
        },
      });
      await prisma.token.create({
        data: {
          id: nextId(),
          kind: 'EMBED',
          name,
          display: 'embed',
          hash: hash(randomUUID()),
          scopes: ['write:chat', 'read:agents'],
          userId: visitorId,
        },
      });
      await prisma.agentShare.create({ data: { agentId, userId: visitorId } });
      const { id: embedId, uuid } = await prisma.embed.create({
        data: { id: nextId(), agentId, userId: visitorId, chatMode: 'CHAT' },
      });
      const { id, answerId } = await session(null, null, visitorId);
      const clientKey = `embed:${sessionId}`;
      await prisma.chatSession.update({ where: { id }, data: { agentId, clientKey } });
      return { id: embedId, uuid, sessionId, answerId };
    },
    async invite() {
      const { id } = await prisma.inviteCode.create({
        data: { id: nextId(), hash: hash(randomUUID()), display: 'ABC****', createdById: userId },
      });
      return id;
    },
    async folder() {
      const { name } = await prisma.documentFolder.create({ data: { id: nextId(), name: `folder-${nextId()}` } });
      return name;
    },
    async inviteCode() {
      const code = newSecret('INVITE');
      const { id } = await prisma.user.findFirstOrThrow({
        where: {
          role: 'ADMIN',
          active: true,
          tokens: { some: { kind: 'API_KEY', allScopes: true, revokedAt: null, disabledAt: null, expiresAt: null } },
        },
      });
      await prisma.inviteCode.create({
        data: { id: nextId(), hash: hash(code), display: 'inv_****', createdById: id },
      });
      return code;
    },
    deletedAgent: () => agent(new Date()),
    session: async () => (await session()).id,
    deletedSession: async () => (await session(new Date())).id,
    projectSession: async () => (await session(null, await project())).id,
    message: async () => (await session()).messageId,
    async answer() {
      const { messageId, answerId } = await session();
      return { id: answerId, questionId: messageId };
    },
    async ratedAnswer() {
      const { answerId } = await session();
      await prisma.feedback.create({ data: { messageId: answerId, userId, positive: false } });
      return answerId;
    },
    async feedback() {
      const { answerId } = await session();
      const { id } = await prisma.feedback.create({
        data: { id: nextId(), messageId: answerId, userId, positive: true, comment: `${words.chat} comment` },
      });
      return id;
    },
    historyEntry: async () => (await session()).answerId,
    async runningSession() {
      const { id, answerId } = await session();
      await startRun(id, answerId);
      return id;
    },
    async fileSession() {
      const { id, messageId } = await session();
      await prisma.file.update({ where: { id: await file(null) }, data: { messages: { connect: { id: messageId } } } });
      return id;
    },
    file: () => file(null),
    async projectFile() {
      const projectId = await project();
      return { id: await file(projectId), projectId };
    },
    async run() {
      const { id: sessionId, messageId } = await session();
      const id = await startRun(sessionId, messageId);
      await prisma.run.create({ data: { id, sessionId, messageId, status: 'COMPLETED' } });
      return id;
    },
    personalAccessToken: () => token('PERSONAL', userId, []),
    document: () => document(null),
    projectDocument: async () => (await document(await project())).externalId,
    project,
    async projectToken() {
      const id = randomUUID();
      const name = words.projectToken;
      await prisma.user.create({
        data: { id, name, email: `${id}@keys.example`, accountType: 'SERVICE_ACCOUNT' },
      });
      return token('PROJECT', id, ['write:chat'], { name, projectId: await project() });
    },
    async rateLimit() {
      const { id } = await prisma.rateLimit.create({
        data: { id: nextId(), scope: 'EACH_USER', tokenBudget: 10n ** 12n, periodHours: 24 },
      });
      return id;
    },
    async label() {
      const id = nextId();
      await prisma.label.create({ data: { id, name: `label ${id}` } });
      return id;
    },
    async roleLimit() {
      const { id } = await prisma.rateLimit.create({
        data: { id: nextId(), scope: 'ROLE', role: 'BASIC', tokenBudget: 10n ** 12n, periodHours: 24 },
      });
      return id;
    },
    person: (role) => person(role, true),
    deactivatedPerson: (role) => person(role, false),
    async personToken(role) {
      const { id: userId } = await person(role, true);
      return { id: await token('PERSONAL', userId, [], { name: 'somebody’s' }), userId };
    },
    async invitation() {
      const { id, email } = await prisma.invitation.create({
        data: { id: nextId(), email: `${randomUUID()}@invited.example` },
      });
      return { id, email };
    },
    async apiKey({ role, scope }) {
      const id = randomUUID();
      const user = {
        id,
        name: words.token,
        email: `${id}@keys.example`,
        role,
        accountType: 'SERVICE_ACCOUNT',
      } as const;
      await prisma.user.create({ data: user });
      return token('API_KEY', id, [scope]);
    },
  };
}

/** Returns the same objects for every call. */
export function lasting(targets: Targets): Targets {
  const made = new Map<string, unknown>();
  return mapTargets(targets, (kind, make) => {
    if (!made.has(kind)) made.set(kind, make());
    return made.get(kind);
  });
}

/** IDs that do not exist. */
export const missingTargets: Targets = {
  agent: async () => nextId(),
  workspace: async () => {
    const id = nextId();
    return { id, slug: `workspace-${id}` };
  },
  documented: async () => {
    const id = nextId();
    return { id, slug: `workspace-${id}`, location: `custom-documents/doc-${nextId()}.json` };
  },
  thread: async () => ({ agentSlug: 'default', slug: `thread-${nextId()}` }),
  embed: async () => ({ id: nextId(), uuid: randomUUID(), sessionId: randomUUID(), answerId: nextId() }),
  invite: async () => nextId(),
  folder: async () => `folder-${nextId()}`,
  inviteCode: async () => newSecret('INVITE'),
  deletedAgent: async () => nextId(),
  session: async () => randomUUID(),
  deletedSession: async () => randomUUID(),
  projectSession: async () => randomUUID(),
  message: async () => nextId(),
  answer: async () => ({ id: nextId(), questionId: nextId() }),
  ratedAnswer: async () => nextId(),
  feedback: async () => nextId(),
  historyEntry: async () => nextId(),
  runningSession: async () => randomUUID(),
  fileSession: async () => randomUUID(),
  file: async () => randomUUID(),
  projectFile: async () => ({ id: randomUUID(), projectId: nextId() }),
  run: async () => randomUUID(),
  personalAccessToken: async () => nextId(),
  document: async () => {
    const id = nextId();
    return { id, externalId: `doc-${id}`, location: `custom-documents/doc-${id}.json` };
  },
  project: async () => nextId(),
  projectToken: async () => nextId(),
  projectDocument: async () => `doc-${nextId()}`,
  rateLimit: async () => nextId(),
  label: async () => nextId(),
  roleLimit: async () => nextId(),
  person: async () => ({ id: randomUUID(), email: `${randomUUID()}@people.example`, databaseId: nextId() }),
  deactivatedPerson: async () => ({ id: randomUUID(), email: `${randomUUID()}@people.example`, databaseId: nextId() }),
  personToken: async () => ({ id: nextId(), userId: randomUUID() }),
  invitation: async () => ({ id: nextId(), email: `${randomUUID()}@invited.example` }),
  apiKey: async () => nextId(),
};

/** Records the requested kinds and the returned IDs. */
export function noting(targets: Targets) {
  const kinds = new Set<string>();
  const ids: string[] = [];
  const noted = mapTargets(targets, async (kind, make) => {
    kinds.add(kind);
    const made = await make();
    ids.push(...(typeof made === 'object' && made !== null ? Object.values(made) : [made]).map(String));
    return made;
  });
  return { targets: noted, kinds, ids };
}

function mapTargets(targets: Targets, wrap: (kind: string, make: () => Promise<unknown>) => unknown): Targets {
  const entries = Object.entries(targets) as [string, (...args: unknown[]) => Promise<unknown>][];
  return Object.fromEntries(
    entries.map(([kind, make]) => [kind, (...args: unknown[]) => wrap(kind, () => make(...args))]),
  ) as unknown as Targets;
}
