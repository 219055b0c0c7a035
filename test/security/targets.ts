import { createHash, randomUUID } from 'node:crypto';
import { ActiveRun } from '../../src/modules/chat/runs.ts';
import type { Kit } from '../kit.ts';

/** Words that stand in one kind of thing and nowhere else, so that a reply that holds one has let that thing out. */
export interface Words {
  agent: string;
  chat: string;
  token: string;
  document: string;
}

/** The ids of things to aim at. A sample asks for those that its operation needs. */
export interface Targets {
  agent(): Promise<number>;
  deletedAgent(): Promise<number>;
  session(): Promise<string>;
  deletedSession(): Promise<string>;
  message(): Promise<number>;
  run(): Promise<string>;
  personalAccessToken(): Promise<number>;
  document(): Promise<{ id: number; externalId: string }>;
  /** An API key that is nobody's in particular, and holds one permission. */
  apiKey(grant: Grant): Promise<number>;
}

export interface Grant {
  role: 'LIMITED' | 'BASIC' | 'ADMIN';
  scope: string;
}

/** Ids that no other text contains by chance, so that an answer can be compared with its ids left out. */
let lastId = 410_000_000;
const nextId = () => ++lastId;

const hash = (text: string) => Uint8Array.from(createHash('sha256').update(text).digest());
const throwaway: Words = { agent: 'throwaway', chat: 'throwaway', token: 'throwaway', document: 'throwaway' };

/** A new thing at every call, owned by that user and private. */
export function freshTargets({ prisma, booted }: Kit, userId: string, words: Words = throwaway): Targets {
  const agent = async (deletedAt: Date | null) => {
    const id = nextId();
    const name = `${words.agent} agent ${id}`;
    const texts = { description: words.agent, systemPrompt: words.agent, taskPrompt: words.agent };
    await prisma.agent.create({ data: { id, name, ...texts, ownerId: userId, deletedAt } });
    return id;
  };
  const session = async (deletedAt: Date | null = null) => {
    const data = { userId, agentId: 0, name: `${words.chat} session`, deletedAt };
    const { id } = await prisma.chatSession.create({ data });
    const root = await prisma.chatMessage.create({ data: { id: nextId(), sessionId: id, role: 'SYSTEM' } });
    const text = `${words.chat} question`;
    const message = await prisma.chatMessage.create({
      data: { id: nextId(), sessionId: id, parentId: root.id, role: 'USER', text },
    });
    await prisma.chatMessage.update({ where: { id: root.id }, data: { latestChildId: message.id } });
    return { id, messageId: message.id };
  };
  const token = async (kind: 'API_KEY' | 'PERSONAL', owner: string, scopes: string[]) => {
    const id = nextId();
    await prisma.token.create({
      data: {
        id,
        kind,
        name: `${words.token} token`,
        display: `${words.token}****`,
        hash: hash(randomUUID()),
        allScopes: scopes.length === 0,
        scopes,
        userId: owner,
      },
    });
    return id;
  };
  return {
    agent: () => agent(null),
    deletedAgent: () => agent(new Date()),
    session: async () => (await session()).id,
    deletedSession: async () => (await session(new Date())).id,
    message: async () => (await session()).messageId,
    async run() {
      const { id, messageId } = await session();
      const run = new ActiveRun(randomUUID(), id, userId, messageId);
      booted.services.runs.start(run, async () => {
        run.emit({ type: 'answerDelta', text: `${words.chat} answer` });
        run.emit({ type: 'stopped', reason: 'FINISHED' });
      });
      return run.id;
    },
    personalAccessToken: () => token('PERSONAL', userId, []),
    async document() {
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
          chunks: { create: chunk },
        },
      });
      return { id, externalId };
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

/** The same things at every call. */
export function lasting(targets: Targets): Targets {
  const made = new Map<string, unknown>();
  return mapTargets(targets, (kind, make) => {
    if (!made.has(kind)) made.set(kind, make());
    return made.get(kind);
  });
}

/** Ids that nothing has. */
export const missingTargets: Targets = {
  agent: async () => nextId(),
  deletedAgent: async () => nextId(),
  session: async () => randomUUID(),
  deletedSession: async () => randomUUID(),
  message: async () => nextId(),
  run: async () => randomUUID(),
  personalAccessToken: async () => nextId(),
  document: async () => {
    const id = nextId();
    return { id, externalId: `doc-${id}` };
  },
  apiKey: async () => nextId(),
};

/** Notes which kinds were asked for and which ids were given. */
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
