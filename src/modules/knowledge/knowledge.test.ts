import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ownDatabase } from '../../../test/kit.ts';
import { effectivePermissions, type Role } from '../../authz/permissions.ts';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { createLog } from '../../log.ts';
import { createBackground } from '../../store/background.ts';
import { type Database, openDatabase } from '../../store/database.ts';
import { createAuditService } from '../audit/audit.service.ts';
import type { IngestInput } from './document-input.ts';
import { documentOrder } from './document-lists.ts';
import { createKnowledgeService, type KnowledgeService } from './knowledge.service.ts';
import type { RetrieveInput } from './retrieval.ts';
import { ingestGuide } from './seed-documents.ts';

let own: Awaited<ReturnType<typeof ownDatabase>>;
let db: Database;
let knowledge: KnowledgeService;
let anna: Principal;
let ben: Principal;
let admin: Principal;
const statements: string[] = [];

async function person(name: string, role: Role): Promise<Principal> {
  const user = await db.prisma.user.create({ data: { name, email: `${name}@example.com`, role } });
  return {
    userId: user.id,
    name,
    email: user.email,
    role,
    accountType: 'STANDARD',
    credential: {
      tokenId: 1,
      kind: 'PERSONAL',
      name: null,
      scopes: null,
      projectId: null,
      projectOwnerId: null,
      superseded: false,
      secretVersion: 0,
      lastUsedAt: null,
      createdAt: new Date(),
      expiresAt: null,
    },
    permissions: effectivePermissions(role, null),
    client: { address: '192.0.2.1', userAgent: 'test' },
    authenticatedAt: 0,
  };
}

/** Creates the principal of a project token. */
async function confined(name: string, role: Role, owner: Principal, projectId: number): Promise<Principal> {
  const user = await person(name, role);
  return { ...user, credential: { ...user.credential, kind: 'PROJECT', projectId, projectOwnerId: owner.userId } };
}

const projectOf = (owner: Principal) =>
  db.prisma.project.create({ data: { name: 'a project', ownerId: owner.userId } });

beforeAll(async () => {
  own = await ownDatabase();
  db = await openDatabase({ ...own.options, onStatement: (text) => statements.push(text) });
  const log = createLog('silent');
  knowledge = createKnowledgeService({
    db,
    audit: createAuditService(db, createBackground(log), log),
    embedder: null,
  });
  anna = await person('anna', 'BASIC');
  ben = await person('ben', 'BASIC');
  admin = await person('admin', 'ADMIN');
});

afterAll(async () => {
  await db?.close();
  await own?.drop();
});

beforeEach(async () => {
  await db.prisma.document.deleteMany();
  await db.prisma.agent.deleteMany({ where: { isBuiltin: false } });
  await db.prisma.setting.deleteMany();
});

const ingest = async (author: Principal | null, id: string, text: string, rest: Partial<IngestInput> = {}) =>
  (await knowledge.ingest(author, { id, title: `About ${id}`, sections: [{ text }], ...rest })).document;

const found = async (principal: Principal, query: string, rest: Partial<RetrieveInput> = {}) =>
  (await knowledge.retrieve(principal, { query, limit: 10, ...rest })).map(({ documentId }) => documentId);

const chunks = (externalId: string) =>
  db.prisma.chunk.findMany({ where: { document: { externalId } }, orderBy: { position: 'asc' } });

async function counted(work: () => Promise<unknown>): Promise<number> {
  statements.length = 0;
  await work();
  return statements.length;
}

describe('ingesting a document', () => {
  it('stores the document with its passages, and reports whether it already existed', async () => {
    const input = {
      id: 'doc-1',
      title: '  Keys ',
      sections: [
        { text: '# Limited\n\nA limited key reads no history.', link: 'https://example.com/keys' },
        { text: 'Other.' },
      ],
      metadata: { team: 'core', tags: ['a', 'b'] },
      documentUpdatedAt: new Date('2026-01-02T03:04:05Z'),
    };
    const first = await knowledge.ingest(anna, input);
    expect(first.alreadyExisted).toBe(false);
    expect(first.document).toMatchObject({
      externalId: 'doc-1',
      title: 'Keys',
      link: 'https://example.com/keys',
      source: 'ingestion_api',
      metadata: input.metadata,
      isPublic: true,
      ownerId: anna.userId,
      documentUpdatedAt: input.documentUpdatedAt,
    });
    expect(await chunks('doc-1')).toMatchObject([
      { position: 0, section: 0, start: 0, heading: 'Keys › Limited', link: 'https://example.com/keys' },
      { position: 1, section: 1, heading: 'Keys', text: 'Other.', link: null },
    ]);
    expect((await knowledge.ingest(anna, input)).alreadyExisted).toBe(true);
  });

  it('generates an ID when the input does not contain one', async () => {
    const { document } = await knowledge.ingest(null, { title: 'Untitled', sections: [{ text: 'x' }] });
    expect(document.externalId).toMatch(/^[0-9a-f-]{36}$/);
    expect(document.ownerId).toBeNull();
  });

  it('replaces the passages only when the text, title or link changes', async () => {
    await ingest(anna, 'doc', 'The old text speaks of apples.');
    const [before] = await chunks('doc');
    await ingest(anna, 'doc', 'The old text speaks of apples.', { metadata: { changed: 'yes' } });
    expect(await chunks('doc')).toEqual([before]);
    await ingest(anna, 'doc', 'The new text speaks of pears.');
    expect(await found(anna, 'apples')).toEqual([]);
    expect(await found(anna, 'pears')).toEqual(['doc']);
    // An absent property is unchanged.
    expect((await knowledge.find(anna, { externalId: 'doc' })).metadata).toEqual({ changed: 'yes' });
    await ingest(anna, 'doc', 'The new text speaks of pears.', { metadata: {} });
    expect((await knowledge.find(anna, { externalId: 'doc' })).metadata).toEqual({});
    await knowledge.ingest(anna, { id: 'doc', title: 'Fruit', sections: [{ text: 'The new text speaks of pears.' }] });
    expect((await chunks('doc')).map(({ heading }) => heading)).toEqual(['Fruit']);
  });

  it('keeps a private document private, and keeps its owner, when an administrator replaces it', async () => {
    await ingest(anna, 'doc', 'first', { isPublic: false });
    const document = await ingest(admin, 'doc', 'second');
    expect(document).toMatchObject({ isPublic: false, ownerId: anna.userId });
  });

  it('rejects replacing another user’s document: FORBIDDEN if it is readable, else CONFLICT; changes no data', async () => {
    await ingest(anna, 'private', 'secret words', { isPublic: false });
    await ingest(anna, 'public', 'public words');
    await expect(ingest(ben, 'public', 'defaced')).rejects.toMatchObject({ code: 'FORBIDDEN' });
    const refusal = await ingest(ben, 'private', 'defaced').catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'CONFLICT', message: 'This document ID is already in use.' });
    expect((await chunks('private')).map(({ text }) => text)).toEqual(['secret words']);
    expect((await chunks('public')).map(({ text }) => text)).toEqual(['public words']);
  });

  it('attaches it to agents that the author can edit, in addition to existing attachments', async () => {
    const agent = (owner: Principal, name: string) => db.prisma.agent.create({ data: { name, ownerId: owner.userId } });
    const [mine, other, bens] = [await agent(anna, 'one'), await agent(anna, 'two'), await agent(ben, 'three')];
    await ingest(anna, 'doc', 'text', { agentIds: [mine.id, mine.id] });
    await ingest(anna, 'doc', 'text', { agentIds: [other.id] });
    const { agents } = await db.prisma.document.findUniqueOrThrow({
      where: { externalId: 'doc' },
      include: { agents: true },
    });
    expect(agents.map(({ id }) => id).sort()).toEqual([mine.id, other.id]);
    for (const id of [bens.id, 999_999])
      await expect(ingest(anna, 'new', 'text', { agentIds: [mine.id, id] })).rejects.toMatchObject({
        code: 'BAD_USER_INPUT',
        details: { fields: [{ path: ['input', 'agentIds'], message: `contains agents that you cannot edit: ${id}` }] },
      });
    await expect(knowledge.find(admin, { externalId: 'new' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it.each<[string, Partial<IngestInput>, (string | number)[]]>([
    ['NUL in a text', { sections: [{ text: 'fine' }, { text: 'a\0b' }] }, ['sections', 1, 'text']],
    ['half a character in a title', { title: 'x\ud83d' }, ['title']],
    ['NUL in an id', { id: '\0' }, ['id']],
    ['NUL in metadata', { metadata: { key: ['a', '\0'] } }, ['metadata', 'key', 1]],
    ['NUL in a metadata key', { metadata: { '\0': 'a' } }, ['metadata', '\0']],
    ['a script link', { sections: [{ text: 'x', link: ' java\nscript:alert(1)' }] }, ['sections', 0, 'link']],
    ['a file link', { sections: [{ text: 'x', link: 'file:///etc/passwd' }] }, ['sections', 0, 'link']],
    ['no title', { title: '  ' }, ['title']],
    ['no section', { sections: [] }, ['sections']],
    ['too much text', { sections: Array.from({ length: 3 }, () => ({ text: 'x'.repeat(1_900_000) })) }, ['sections']],
    ['a date that cannot be stored', { documentUpdatedAt: new Date('-000044-03-15T00:00:00Z') }, ['documentUpdatedAt']],
  ])('rejects %s, and names the field', async (_what, wrong, path) => {
    const refusal = await knowledge
      .ingest(anna, { title: 'Title', sections: [{ text: 'x' }], ...wrong })
      .catch((error) => error);
    expect(refusal.code).toBe('BAD_USER_INPUT');
    expect(refusal.details.fields[0].path).toEqual(['input', ...path]);
    expect(await knowledge.count(admin)).toBe(0);
  });

  it.each(['/guide/README.md', 'guide.html#keys', 'HTTPS://example.com/ä?q=1', '', null])(
    'accepts the link %j',
    async (link) => {
      const { document } = await knowledge.ingest(anna, { title: 'Title', sections: [{ text: 'x', link }] });
      expect(document.link).toBe(link || null);
    },
  );

  it('into a project keeps it private by default, and accepts only the author’s projects and documents', async () => {
    const [annas, bens] = [await projectOf(anna), await projectOf(ben)];
    const there = await ingest(anna, 'there', 'text', { projectId: annas.id });
    expect(there).toMatchObject({ projectId: annas.id, isPublic: false, ownerId: anna.userId });
    expect(await ingest(anna, 'shown', 'text', { projectId: annas.id, isPublic: true })).toMatchObject({
      isPublic: true,
    });
    const loose = await ingest(anna, 'loose', 'text');
    expect(await ingest(anna, 'loose', 'text', { projectId: annas.id })).toMatchObject({
      id: loose.id,
      projectId: annas.id,
      isPublic: true,
    });
    // An input without a project leaves the project unchanged.
    expect(await ingest(anna, 'there', 'other')).toMatchObject({ projectId: annas.id, isPublic: false });
    const before = await db.prisma.document.findMany({ orderBy: { id: 'asc' } });
    for (const projectId of [bens.id, 999_999])
      await expect(ingest(anna, 'new', 'text', { projectId })).rejects.toMatchObject({
        code: 'BAD_USER_INPUT',
        message: 'input.projectId: must be one of your projects',
      });
    const admins = await projectOf(admin);
    await expect(ingest(admin, 'shown', 'text', { projectId: admins.id })).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      message: 'input.projectId: accepts only your own documents',
    });
    // An administrator can neither replace nor remove a document that the administrator cannot read.
    await expect(ingest(admin, 'there', 'text')).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(knowledge.remove(admin, 'there')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await db.prisma.document.findMany({ orderBy: { id: 'asc' } })).toEqual(before);
  });

  it('stores exactly one of the texts when many requests use the same ID concurrently', async () => {
    const texts = Array.from({ length: 12 }, (_, index) => `version ${index} `.repeat(300));
    const results = await Promise.all(
      texts.map((text) => knowledge.ingest(anna, { id: 'same', title: 'Same', sections: [{ text }] })),
    );
    expect(results.filter(({ alreadyExisted }) => !alreadyExisted)).toHaveLength(1);
    const versions = new Set((await chunks('same')).flatMap(({ text }) => text.match(/\d+/g) ?? []));
    expect(versions.size).toBe(1);
  });

  it('runs a constant number of statements regardless of the length of the document', async () => {
    const short = await counted(() => ingest(anna, 'short', 'One sentence.'));
    const long = await counted(() => ingest(anna, 'long', 'One sentence of many. '.repeat(10_000)));
    expect((await chunks('long')).length).toBeGreaterThan(200);
    expect(long).toBe(short);
  });

  it('accepts five million characters', async () => {
    const text = 'The quick brown fox jumps over the lazy dog, again and again. '.repeat(16_000);
    await knowledge.ingest(anna, {
      id: 'huge',
      title: 'Huge',
      sections: [text, text, text, text, text].map((part) => ({ text: part })),
    });
    expect(await db.prisma.chunk.count()).toBeGreaterThan(5000);
  }, 60_000);

  it('records the author in the audit trail', async () => {
    const before = await db.prisma.auditEvent.count();
    await ingest(anna, 'doc', 'text');
    await ingest(null, 'server', 'text');
    const events = await db.prisma.auditEvent.findMany({ orderBy: { id: 'asc' }, skip: before });
    expect(events).toMatchObject([
      {
        action: 'document.ingest',
        actorId: anna.userId,
        targetType: 'Document',
        targetId: 'doc',
        address: '192.0.2.1',
      },
    ]);
  });
});

describe('finding, listing, counting and removing documents', () => {
  beforeEach(async () => {
    await ingest(anna, 'public', 'public');
    await ingest(anna, 'annas', 'private', { isPublic: false });
    await ingest(ben, 'bens', 'private', { isPublic: false });
  });

  it('includes public documents and the caller’s documents, newest first; with manage:documents all of them', async () => {
    const ids = async (principal: Principal) =>
      (await knowledge.list(principal, {}, documentOrder.page({ first: 10 }, 100))).rows.map(
        ({ externalId }) => externalId,
      );
    expect(await ids(anna)).toEqual(['annas', 'public']);
    expect(await ids(ben)).toEqual(['bens', 'public']);
    expect(await ids(admin)).toEqual(['bens', 'annas', 'public']);
    expect(await knowledge.count(anna)).toBe(2);
    expect(await knowledge.count(admin)).toBe(3);
  });

  it('returns the same NOT_FOUND for missing documents and for documents that the caller cannot read', async () => {
    const { id } = await knowledge.find(ben, { externalId: 'bens' });
    const refusals = await Promise.all(
      [
        knowledge.find(anna, { externalId: 'bens' }),
        knowledge.find(anna, { id }),
        knowledge.find(anna, { externalId: 'missing' }),
        knowledge.find(anna, { externalId: '\0' }),
        knowledge.remove(anna, 'bens'),
        knowledge.remove(anna, 'missing'),
        knowledge.remove(anna, '\0'),
      ].map((work) => work.catch((error: unknown) => error)),
    );
    expect(
      new Set(refusals.map((error) => JSON.stringify({ ...(error as object), text: String(error) }))),
    ).toHaveProperty('size', 1);
    expect(refusals[0]).toMatchObject({ code: 'NOT_FOUND' });
    expect(await knowledge.count(admin)).toBe(3);
  });

  it('deletes the passages with the document, succeeds only once, and is audited', async () => {
    const deletions = () => db.prisma.auditEvent.count({ where: { action: 'document.delete', targetId: 'annas' } });
    const before = await deletions();
    const results = await Promise.allSettled([knowledge.remove(anna, 'annas'), knowledge.remove(anna, 'annas')]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await chunks('annas')).toEqual([]);
    expect(await deletions()).toBe(before + 1);
  });

  it('allows removal only by the owner and with manage:documents', async () => {
    await expect(knowledge.remove(ben, 'public')).rejects.toMatchObject({
      code: 'FORBIDDEN',
      details: { requiredPermissions: ['manage:documents'] },
    });
    expect((await knowledge.remove(admin, 'bens')).externalId).toBe('bens');
  });
});

describe('retrieving passages', () => {
  const guide = `# Keys

## Limited keys

To create a limited key, call the mutation createApiKey with the role LIMITED. A limited key sends messages and receives
the answers to them, and reads no history.

## Expiry

Every key may have an expiry date. A key that has expired is refused, and so is every key whose owner is gone. Keys, keys
and more keys: each key is listed with the time of its last use.

## Regeneration

A key can be regenerated. The old key works on for as long as the overlap says.`;

  it('ranks the passage that answers a natural question above others that share its words', async () => {
    await ingest(anna, 'guide', guide);
    await ingest(
      anna,
      'piano',
      'A piano has 88 keys. Each key strikes a string. Keys, keys, keys: black keys and white keys.',
    );
    await ingest(
      anna,
      'limits',
      'Uploads are limited to 5 MB. Requests are limited to 60 a minute. How limited are you?',
    );
    await ingest(
      anna,
      'agents',
      'How do I create an agent? To create one, open the list of agents and create it there.',
    );
    const hits = await knowledge.retrieve(ben, { query: 'How do I create a limited key?', limit: 10 });
    expect(hits[0]).toMatchObject({ documentId: 'guide', heading: 'About guide › Keys › Limited keys', position: 0 });
    expect(hits[0]?.text).toContain('createApiKey');
    expect(hits[0]?.highlights.join()).toMatch(/<hi>create<\/hi> a <hi>limited<\/hi> <hi>key<\/hi>/);
    expect(new Set(hits.map(({ documentId }) => documentId))).toEqual(new Set(['guide', 'piano', 'limits', 'agents']));
    const scores = hits.map(({ score }) => score);
    expect(scores[0]).toBe(1);
    for (const score of scores) expect(score > 0 && score <= 1).toBe(true);
  });

  it('separates an answer from a passage that shares one word by its score, regardless of other documents', async () => {
    const best = async (query: string) => (await knowledge.retrieve(ben, { query, limit: 1 }))[0]?.score ?? 0;
    const questions = async () => ({
      answered: await best('Which warranty period applies to electric kettles?'),
      unrelated: await best('How do I bake sourdough bread at home with kettles?'),
    });
    await ingest(anna, 'kettles', 'Electric kettles have a warranty period of three years.');
    const alone = await questions();
    for (const n of [1, 2, 3, 4, 5]) await ingest(anna, `other ${n}`, `Warranty terms of product ${n}: period ${n}.`);
    for (const scores of [alone, await questions()]) {
      expect(scores.answered).toBeGreaterThanOrEqual(0.5);
      expect(scores.unrelated).toBeLessThan(0.25);
    }
  });

  it('finds passages that lack some words of the question', async () => {
    await ingest(anna, 'guide', guide);
    expect(await found(ben, 'Could somebody please tell my grandmother about regeneration?')).toEqual(['guide']);
  });

  it('ranks a quoted phrase above its separate words, and texts without an excluded word above texts with it', async () => {
    await ingest(anna, 'apart', 'The key is blue and the note is master of all.');
    await ingest(
      anna,
      'phrase',
      'This is called the master key, and it is a long text that says little else of any use.',
    );
    expect((await found(anna, '"master key"'))[0]).toBe('phrase');
    await ingest(anna, 'both', 'Cats and dogs. Cats and dogs.');
    await ingest(anna, 'cats', 'A text on something quite else in which cats are spoken of only once.');
    expect((await found(anna, 'cats -dogs'))[0]).toBe('cats');
  });

  it('ranks passages with a rare word above passages with common words', async () => {
    await ingest(anna, 'rare', 'It runs on PostgreSQL.');
    for (let index = 0; index < 6; index++) await ingest(anna, `common-${index}`, `The version ${index} is supported.`);
    expect((await found(anna, 'Which PostgreSQL versions are supported?'))[0]).toBe('rare');
  });

  it('highlights the words of the query in fragments of the text', async () => {
    await ingest(anna, 'doc', `The zebra is here.${' Filler goes on for long.'.repeat(20)} Another zebra is there.`);
    const [hit] = await knowledge.retrieve(anna, { query: 'zebras', limit: 1 });
    expect(hit?.highlights).toHaveLength(2);
    for (const fragment of hit?.highlights ?? []) expect(fragment).toContain('<hi>zebra</hi>');
  });

  it('returns at most three passages of one document, and no more than the limit', async () => {
    await ingest(
      anna,
      'long',
      Array.from({ length: 20 }, (_, i) => `## Part ${i}\n\n${'Zebras run fast. '.repeat(40)}`).join('\n\n'),
    );
    await ingest(anna, 'short', 'One zebra.');
    expect((await found(anna, 'zebra')).sort()).toEqual(['long', 'long', 'long', 'short']);
    expect(await found(anna, 'zebra', { limit: 2 })).toHaveLength(2);
    expect(await found(anna, 'zebra', { limit: 0 })).toEqual([]);
    expect(await found(anna, 'zebra', { limit: 1000 })).toHaveLength(4);
  });

  it('finds passages by heading and title, which are not part of their text', async () => {
    await knowledge.ingest(anna, { id: 'doc', title: 'Onboarding', sections: [{ text: 'Welcome to the house.' }] });
    const [hit] = await knowledge.retrieve(anna, { query: 'onboarding', limit: 5 });
    expect(hit).toMatchObject({ documentId: 'doc', title: 'Onboarding', link: null, highlights: [], updatedAt: null });
  });

  it.each([
    ['Pru\u0308fung', 'Prüfung'],
    ['Prüfung', 'Pru\u0308fung'],
    ['\uff35\uff33\uff22', 'USB'],
    ['\ufb01nance', 'finance'],
    ['know\u00adledge', 'knowledge'],
  ])('filters passages by tags that look the same, as %j by %j', async (written, plain) => {
    await ingest(anna, 'list', 'zebra', { metadata: { [written]: ['other', written] } });
    await ingest(anna, 'text', 'zebra', { metadata: { [written]: written } });
    await ingest(anna, 'other', 'zebra', { metadata: { [written]: 'other' } });
    expect((await found(anna, 'zebra', { tags: [{ key: plain, value: plain }] })).sort()).toEqual(['list', 'text']);
  });

  it('filters passages by source, tag and date', async () => {
    const old = new Date('2020-01-01T00:00:00Z');
    await ingest(anna, 'wiki', 'zebra', {
      source: 'wiki',
      metadata: { team: 'core', topics: ['a', 'b'] },
      documentUpdatedAt: old,
    });
    await ingest(anna, 'file', 'zebra', { source: 'file', metadata: { team: 'infra' } });
    expect(await found(anna, 'zebra', { sources: ['wiki'] })).toEqual(['wiki']);
    expect((await found(anna, 'zebra', { sources: [], tags: [] })).sort()).toEqual(['file', 'wiki']);
    expect(await found(anna, 'zebra', { tags: [{ key: 'team', value: 'infra' }] })).toEqual(['file']);
    expect(await found(anna, 'zebra', { tags: [{ key: 'topics', value: 'b' }] })).toEqual(['wiki']);
    expect(await found(anna, 'zebra', { tags: [{ key: 'topics', value: 'c' }] })).toEqual([]);
    const either = [
      { key: 'team', value: 'infra' },
      { key: 'team', value: 'core' },
    ];
    expect((await found(anna, 'zebra', { tags: either })).sort()).toEqual(['file', 'wiki']);
    expect(await found(anna, 'zebra', { since: new Date('2021-01-01T00:00:00Z') })).toEqual(['file']);
    expect((await found(anna, 'zebra', { since: old })).sort()).toEqual(['file', 'wiki']);
    const [hit] = await knowledge.retrieve(anna, { query: 'zebra', limit: 1, sources: ['wiki'] });
    expect(hit).toMatchObject({ source: 'wiki', metadata: { team: 'core', topics: ['a', 'b'] }, updatedAt: old });
  });

  it('returns no passages for a query without a searchable word', async () => {
    await ingest(anna, 'doc', 'What is it? How do you do?');
    for (const query of ['', '   ', 'how do I', '?!', '-', '""', '\0']) expect(await found(anna, query)).toEqual([]);
  });
});

describe('the visibility of retrieved passages', () => {
  it('matches visible.documents for every principal', async () => {
    for (const owner of [anna, ben, null])
      for (const isPublic of [true, false])
        await ingest(owner, `${owner?.name ?? 'server'}-${isPublic}`, 'zebra', { isPublic });
    const scoped = { ...admin, permissions: effectivePermissions('ADMIN', ['read:search']) };
    const tokens: Principal[] = [];
    for (const owner of [anna, ben]) {
      const project = await projectOf(owner);
      const token = await confined(`token of ${owner.name}`, 'BASIC', owner, project.id);
      tokens.push(token);
      for (const author of [owner, token, null])
        for (const isPublic of [true, false]) {
          const { id } = await ingest(author, `${owner.name}/${author?.name}-${isPublic}`, 'zebra', { isPublic });
          await db.prisma.document.update({ where: { id }, data: { projectId: project.id } });
        }
    }
    const everything = { limit: 50 };
    for (const principal of [anna, ben, admin, scoped, ...tokens]) {
      const rows = await db.prisma.document.findMany({ where: visible.documents(principal) });
      expect((await found(principal, 'zebra', everything)).sort()).toEqual(
        rows.map(({ externalId }) => externalId).sort(),
      );
    }
    const inProject = (name: string, ...visibilities: boolean[]) =>
      [name, `token of ${name}`, undefined].flatMap((author) =>
        visibilities.map((isPublic) => `${name}/${author}-${isPublic}`),
      );
    expect((await found(anna, 'zebra', everything)).sort()).toEqual(
      [
        ...['anna-false', 'anna-true', 'ben-true', 'server-true'],
        ...inProject('anna', true, false),
        ...inProject('ben', true),
      ].sort(),
    );
    // Everything except private documents of other users' projects.
    expect((await found(admin, 'zebra', everything)).sort()).toEqual(
      [
        ...['anna', 'ben', 'server'].flatMap((name) => [`${name}-false`, `${name}-true`]),
        ...inProject('anna', true),
        ...inProject('ben', true),
      ].sort(),
    );
    expect((await found(tokens[0] as Principal, 'zebra', everything)).sort()).toEqual(
      inProject('anna', true, false).sort(),
    );
  });

  it('matches visible.documents for the text of files as well', async () => {
    await db.prisma.file.deleteMany();
    const [annas, bens] = [await projectOf(anna), await projectOf(ben)];
    const tokens = [
      await confined('file token of anna', 'BASIC', anna, annas.id),
      await confined('file token of ben', 'BASIC', ben, bens.id),
    ];
    const agent = async (name: string, rest: object = {}) =>
      (await db.prisma.agent.create({ data: { name, ownerId: anna.userId, ...rest } })).id;
    const places: Record<string, object> = {
      loose: {},
      'in anna’s': { projects: { connect: { id: annas.id } } },
      'in ben’s': { projects: { connect: { id: bens.id } } },
      'in both': { projects: { connect: [{ id: annas.id }, { id: bens.id }] } },
      'with a private agent': { agents: { connect: { id: await agent('private') } } },
      'with a shared agent': {
        agents: { connect: { id: await agent('shared', { shares: { create: { userId: ben.userId } } }) } },
      },
      'with a public agent': { agents: { connect: { id: await agent('public', { isPublic: true }) } } },
      'with a deleted agent': {
        agents: { connect: { id: await agent('deleted', { isPublic: true, deletedAt: new Date() }) } },
      },
      'with the default agent': { agents: { connect: { id: 0 } } },
      'with both, in ben’s': {
        agents: { connect: [{ id: await agent('one') }, { id: await agent('two', { isPublic: true }) }] },
        projects: { connect: { id: bens.id } },
      },
    };
    const names = new Map<string, string>();
    for (const owner of [anna, ben, tokens[0] as Principal])
      for (const [place, uses] of Object.entries(places)) {
        const file = await db.prisma.file.create({
          data: {
            id: randomUUID(),
            ownerId: owner.userId,
            name: 'x.txt',
            mediaType: 'text/plain',
            kind: 'PLAIN_TEXT',
            size: 1,
            ...uses,
          },
        });
        await db.prisma.$transaction((transaction) => knowledge.storeFile(transaction, file, 'zebra'));
        names.set(file.id, `${owner.name} ${place}`);
      }
    const ofAgents = { ...admin, permissions: effectivePermissions('ADMIN', ['read:search', 'manage:agents']) };
    const ofDocuments = { ...admin, permissions: effectivePermissions('ADMIN', ['read:search', 'manage:documents']) };
    const ofNothing = { ...admin, permissions: effectivePermissions('ADMIN', ['read:search']) };
    for (const principal of [anna, ben, admin, ofAgents, ofDocuments, ofNothing, ...tokens]) {
      const rows = await db.prisma.document.findMany({ where: visible.documents(principal) });
      const expected = rows.map(({ externalId }) => names.get(externalId)).sort();
      const hits = await found(principal, 'zebra', { limit: 100 });
      expect(hits.map((id) => names.get(id)).sort(), principal.name).toEqual(expected);
      expect(expected.length, principal.name).toBeGreaterThan(0);
    }
    // In a turn, only the documents of its agent or project among these.
    const agentIds = (await db.prisma.agent.findMany({ select: { id: true } })).map(({ id }) => id);
    for (const principal of [anna, ben, ofAgents, ...tokens])
      for (const agentId of agentIds)
        for (const projectId of [null, annas.id, bens.id]) {
          const given = [
            { agents: { some: { id: agentId, deletedAt: null } } },
            { projects: { some: { id: principal.credential.projectId ?? projectId ?? 0 } } },
          ];
          const where = { AND: [visible.documents(principal), { file: { OR: given } }] };
          const expected = (await db.prisma.document.findMany({ where })).map(({ externalId }) => externalId).sort();
          for (const attachedOnly of [true, false]) {
            const hits = await found(principal, 'zebra', { limit: 100, agentId, projectId, attachedOnly });
            expect(hits.sort(), `${principal.name}, ${agentId}, ${projectId}`).toEqual(expected);
          }
        }
    const seen = async (principal: Principal, owner: string) =>
      (await found(principal, 'zebra', { limit: 100 })).flatMap((id) => {
        const name = names.get(id) ?? '';
        return name.startsWith(`${owner} `) ? name.slice(owner.length + 1) : [];
      });
    const open = ['with a public agent', 'with the default agent', 'with both, in ben’s'];
    expect((await seen(anna, 'anna')).sort()).toEqual(Object.keys(places).sort());
    expect((await seen(anna, 'ben')).sort()).toEqual(
      [...open, 'in anna’s', 'in both', 'with a private agent', 'with a shared agent'].sort(),
    );
    expect((await seen(ben, 'anna')).sort()).toEqual([...open, 'in ben’s', 'in both', 'with a shared agent'].sort());
    expect((await seen(ofDocuments, 'anna')).sort()).toEqual([...open].sort());
    expect((await seen(ofAgents, 'anna')).sort()).toEqual(
      [...open, 'with a private agent', 'with a shared agent'].sort(),
    );
    for (const owner of ['anna', 'ben', 'file token of anna'])
      expect((await seen(tokens[0] as Principal, owner)).sort()).toEqual(['in anna’s', 'in both']);
    await db.prisma.file.deleteMany();
  });

  it('in a project includes its documents regardless of the agent, and excludes those of other projects', async () => {
    const data = { name: 'attached', ownerId: anna.userId, knowledge: 'ATTACHED' } as const;
    const agent = await db.prisma.agent.create({
      data: { ...data, searchStartDate: new Date('2022-01-01T00:00:00Z') },
    });
    const [one, other] = [await projectOf(anna), await projectOf(anna)];
    const token = await confined('a token', 'BASIC', anna, one.id);
    const old = { documentUpdatedAt: new Date('2021-01-01T00:00:00Z') };
    await ingest(anna, 'loose', 'zebra');
    await ingest(anna, 'attached', 'zebra', { agentIds: [agent.id] });
    await ingest(anna, 'in-one', 'zebra', { projectId: one.id, ...old });
    await ingest(anna, 'in-other', 'zebra', { projectId: other.id, agentIds: [agent.id] });
    const inOne = { projectId: one.id };
    expect((await found(anna, 'zebra', inOne)).sort()).toEqual(['attached', 'in-one', 'loose']);
    expect((await found(anna, 'zebra', { ...inOne, agentId: agent.id })).sort()).toEqual(['attached', 'in-one']);
    expect((await found(anna, 'zebra', { agentId: agent.id })).sort()).toEqual(['attached', 'in-other']);
    // Naming a project does not make more documents visible.
    expect((await found(ben, 'zebra', inOne)).sort()).toEqual(['attached', 'loose']);
    for (const projectId of [null, one.id, other.id])
      for (const agentId of [null, 0, agent.id])
        expect(await found(token, 'zebra', { projectId, agentId })).toEqual(['in-one']);
  });

  it('covers the agent’s documents when its knowledge is ATTACHED, and only those the caller can read', async () => {
    const data = { name: 'attached', ownerId: anna.userId, knowledge: 'ATTACHED' } as const;
    const agent = await db.prisma.agent.create({ data });
    const empty = await db.prisma.agent.create({ data });
    await ingest(anna, 'loose', 'zebra');
    await ingest(anna, 'attached', 'zebra', { agentIds: [agent.id] });
    await ingest(anna, 'attached-private', 'zebra', { agentIds: [agent.id], isPublic: false });
    expect((await found(anna, 'zebra', { agentId: agent.id })).sort()).toEqual(['attached', 'attached-private']);
    expect(await found(ben, 'zebra', { agentId: agent.id })).toEqual(['attached']);
    expect(await found(anna, 'zebra', { agentId: empty.id })).toEqual([]);
    expect((await found(ben, 'zebra', { agentId: 0 })).sort()).toEqual(['attached', 'loose']);
    await db.prisma.agent.update({ where: { id: agent.id }, data: { deletedAt: new Date() } });
    expect(await found(anna, 'zebra', { agentId: agent.id })).toEqual([]);
    expect(await found(anna, 'zebra', { agentId: 999_999 })).toEqual([]);
  });

  it('excludes documents older than the agent’s start date', async () => {
    const agent = await db.prisma.agent.create({
      data: { name: 'new', searchStartDate: new Date('2022-01-01T00:00:00Z') },
    });
    await ingest(anna, 'undated', 'zebra');
    await ingest(anna, 'old', 'zebra', { documentUpdatedAt: new Date('2021-12-31T00:00:00Z') });
    await ingest(anna, 'new', 'zebra', { documentUpdatedAt: new Date('2022-01-01T00:00:00Z') });
    expect((await found(anna, 'zebra', { agentId: agent.id })).sort()).toEqual(['new', 'undated']);
  });
});

describe('retrieving passages with unusual input', () => {
  beforeEach(() => ingest(anna, 'doc', 'A zebra, one & only.'));

  it.each([
    "'",
    "''",
    '"',
    '"zebra',
    "zebra' | 'x",
    '\'; DROP TABLE "Chunk"; --',
    '\\',
    "\\'",
    'zebra & | ! ( ) <-> :* *',
    '!!!!',
    '((((',
    'zebra:*ABCD',
    "a & 'b' | !c <2> d",
    ' & ',
    'x & y',
    'a&b http://e.org/?a=1&b=2 | <tag a="x & y">',
    'or or or',
    '- - -',
    '-zebra',
    '--zebra',
    '$1 $2',
    '%s %',
    '\ud83d',
    '\udc00zebra',
    '\u001f',
    '\\u0000',
    '<hi>zebra</hi>',
    '漢字',
    'zebra\uffff',
    "it's o'clock",
    'a-b-c/d.e@f.g',
  ])('accepts the query %j', async (query) => {
    expect(Array.isArray(await found(anna, query))).toBe(true);
    expect(await knowledge.count(anna)).toBe(1);
  });

  it.each(['"', '-', '- ', '-"', '-""', '-(', '-a ', 'or ', 'or -', 'a or -"b c" ', "'", '<', ' & ', 'a-'])(
    'accepts %j repeated to 4,000 characters',
    async (piece) => {
      await found(anna, piece.repeat(4000 / piece.length));
    },
  );

  it('accepts arbitrary combinations of query operators and words', async () => {
    const operators = [
      '"',
      '-',
      '--',
      "'",
      '\\',
      '(',
      ')',
      '!',
      '&',
      ' & ',
      '|',
      ' | ',
      ':',
      '*',
      '<->',
      ' or ',
      'OR',
      ' ',
      '\n',
      '\0',
    ];
    const piece = fc.oneof(
      fc.constantFrom(...operators),
      fc.constantFrom('zebra', 'a', '1', 'the', 'é', '漢', '😀', '\ud83d'),
    );
    const text = fc.array(fc.tuple(piece, fc.constantFrom(1, 1, 1, 2, 40)), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(text, async (pieces) => {
        await found(anna, pieces.map(([unit, times]) => unit.repeat(times)).join(''));
      }),
      { numRuns: 200 },
    );
  });

  it('treats NUL and lines of dashes as spaces', async () => {
    expect(await found(anna, 'nothing\0zebra\0')).toEqual(['doc']);
    expect(await found(anna, `${'-'.repeat(80)}\n${'| - '.repeat(40)}zebra`)).toEqual(['doc']);
  });

  const pasted = Array.from({ length: 900 }, (_, index) => `w${index.toString(36)}`).join(' ');
  it.each([
    ['words', 'zebra '.repeat(17_000), ['doc']],
    ['letters', 'x'.repeat(100_000), []],
    ['letters without spaces between words', '漢'.repeat(100_000), []],
    ['emoji', '😀'.repeat(50_000), []],
    ['characters, the last half of one', `${'x'.repeat(3999)}😀`, []],
    ['different words, the right one first', `zebra ${pasted}`, ['doc']],
    ['different words, the right one last', `${pasted} zebra`, ['doc']],
  ])('accepts very many %s', async (_what, query, expected) => {
    expect(await found(anna, query)).toEqual(expected);
  });

  it('rejects NUL in a filter with BAD_USER_INPUT', async () => {
    await expect(found(anna, 'zebra', { sources: ['\0'] })).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
    await expect(found(anna, 'zebra', { tags: [{ key: '\0', value: '' }] })).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
    });
  });

  it('runs one statement regardless of the number of results', async () => {
    for (let index = 0; index < 20; index++) await ingest(anna, `doc-${index}`, 'zebra');
    expect(await counted(() => found(anna, 'zebra', { limit: 1 }))).toBe(1);
    expect(await counted(() => found(anna, 'zebra', { limit: 20, agentId: 0 }))).toBe(1);
    expect(await counted(() => found(anna, ''))).toBe(0);
  });
});

describe('the built-in guide', () => {
  const folder = mkdtempSync(join(tmpdir(), 'guide-'));
  const start = (publicUrl = 'http://localhost:4000') => ingestGuide(db, knowledge, publicUrl, folder);
  afterAll(() => rmSync(folder, { recursive: true }));
  const page = join(folder, 'docs/search.md');
  beforeAll(() => mkdirSync(join(folder, 'docs')));
  beforeEach(() => writeFileSync(page, '# Search\n\nA house of keys.'));

  it('is added at the first start as a public document, with its title and link', async () => {
    await start();
    const hits = await knowledge.retrieve(ben, { query: 'house', limit: 5 });
    expect(hits).toMatchObject([
      {
        documentId: 'latchkey-docs-search',
        title: 'Search',
        source: 'file',
        link: 'http://localhost:4000/docs/search',
      },
    ]);
    expect(await knowledge.count(admin)).toBe(1);
  });

  it('is added without the comments of its file', async () => {
    writeFileSync(page, '# Search\n\n<!-- not run: needs a palace -->\nA house <!-- of keys -->.');
    await start();
    const [hit] = await knowledge.retrieve(ben, { query: 'house', limit: 5 });
    expect(hit?.text).toBe('# Search\n\nA house <!-- of keys -->.');
  });

  it('costs one statement when it has not changed', async () => {
    await start();
    expect(await counted(() => start())).toBe(1);
  });

  it('is updated when its file or the public address changes', async () => {
    await start();
    writeFileSync(page, '# Search\n\nA palace of keys.');
    await start('https://keys.example.com');
    const [hit] = await knowledge.retrieve(ben, { query: 'palace', limit: 5 });
    expect(hit?.link).toBe('https://keys.example.com/docs/search');
  });

  it('is not added again after it was removed', async () => {
    await start();
    await knowledge.remove(admin, 'latchkey-docs-search');
    writeFileSync(page, '# Search\n\nAnother text.');
    await start();
    expect(await knowledge.count(admin)).toBe(0);
    expect(await counted(() => start())).toBe(1);
  });

  it('is deleted when its file no longer exists, while documents of clients are kept', async () => {
    await start();
    await knowledge.ingest(admin, {
      id: 'latchkey-docs-other',
      title: 'Other',
      sections: [{ text: 'A client wrote this.' }],
    });
    rmSync(page);
    await start();
    const left = await db.prisma.document.findMany({ select: { externalId: true } });
    expect(left).toEqual([{ externalId: 'latchkey-docs-other' }]);
    expect(await counted(() => start())).toBe(1);
  });
});
