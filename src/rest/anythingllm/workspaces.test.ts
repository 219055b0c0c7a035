import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { nothingStored } from '../../../test/expect-unchanged.ts';
import { type Answer, type Kit, startKit } from '../../../test/kit.ts';

let kit: Kit;
let anna: { secret: string; userId: string };
let ben: { secret: string; userId: string };
let limited: string;
/** The locations of the documents by title. */
const at: Record<string, string> = {};

beforeAll(async () => {
  kit = await startKit();
  limited = kit.keys.LIMITED;
  anna = await kit.createKey('BASIC', { name: 'anna' });
  ben = await kit.createKey('BASIC', { name: 'ben' });
  for (const title of ['Handbook', 'Menu']) await kit.ingest(title, `${title}: thirty days.`);
  const { data } = await kit.gql('{ documents(first: 100) { nodes { title location } } }');
  for (const { title, location } of data.documents.nodes) at[title] = location;
});
afterAll(() => kit?.close());

beforeEach(async () => {
  await kit.prisma.chatSession.deleteMany();
  await kit.prisma.agent.deleteMany({ where: { isBuiltin: false } });
});

const api = (method: string, path: string, body?: unknown, key: string | null = anna.secret) =>
  kit.rest(method, `/api/v1${path}`, { key, ...(body !== undefined && { body }) });

/** Creates a workspace and returns it. */
async function make(body: object = {}, key = anna.secret) {
  const answer = await api('POST', '/workspace/new', { name: 'Research Notes', ...body }, key);
  expect(answer.status, answer.text).toBe(200);
  expect(answer.body.message).toBe(null);
  return answer.body.workspace;
}
const one = async (slug: string, key = anna.secret) =>
  (await api('GET', `/workspace/${slug}`, undefined, key)).body.workspace[0];

const unchanged = <T>(work: () => Promise<T>): Promise<T> => nothingStored(kit, work);

const told = ({ status, text, headers }: Answer) => [status, text, headers.get('content-type')?.split(';')[0]];
const badRequest = [400, 'Bad Request', 'text/plain'];
const noKey = [403, '{"error":"No valid api key found."}', 'application/json'];
const lacking = (permission: string) => [
  403,
  `{"error":"This credential lacks \`${permission}\`."}`,
  'application/json',
];
const notYours = [403, '{"error":"You cannot change this agent."}', 'application/json'];

describe('creating a workspace', () => {
  it('applies the defaults, and returns the documented fields in their order', async () => {
    const made = await make();
    expect(made).toEqual({
      id: expect.any(Number),
      name: 'Research Notes',
      slug: 'research-notes',
      vectorTag: null,
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      openAiTemp: null,
      openAiHistory: 20,
      lastUpdatedAt: expect.any(String),
      openAiPrompt: expect.stringMatching(/./),
      similarityThreshold: 0.25,
      chatProvider: null,
      chatModel: null,
      topN: 4,
      chatMode: 'automatic',
      pfpFilename: null,
      agentProvider: null,
      agentModel: null,
      queryRefusalResponse: null,
      vectorSearchMode: 'default',
      router_id: null,
    });
    expect(Object.keys(made).slice(0, 6)).toEqual(['id', 'name', 'slug', 'vectorTag', 'createdAt', 'openAiTemp']);
    const { data } = await kit.gql(
      '{ agent: agentBySlug(slug: "research-notes") { isPublic knowledge ownerId actions { builtinKey } } }',
    );
    expect(data.agent).toEqual({
      isPublic: true,
      knowledge: 'ATTACHED',
      ownerId: anna.userId,
      actions: [{ builtinKey: 'SearchTool' }],
    });
  });

  it('stores the given values, and replaces invalid values with a default or the nearest limit', async () => {
    const model = kit.booted.services.models.names[0];
    const { similarityThreshold, topN, chatMode, chatModel, openAiTemp, openAiHistory, ...texts } = await make({
      openAiTemp: 0.7,
      openAiHistory: '5',
      openAiPrompt: 'Be kind.',
      similarityThreshold: 0.7,
      topN: 6.9,
      chatMode: 'query',
      chatModel: model,
      chatProvider: 'anything',
      queryRefusalResponse: 'I do not know.',
      vectorSearchMode: 'rerank',
      unknown: { deeply: [] },
    });
    expect([openAiTemp, openAiHistory, similarityThreshold, topN, chatMode, chatModel]).toEqual([
      0.7,
      5,
      0.7,
      6,
      'query',
      model,
    ]);
    expect(texts).toMatchObject({
      openAiPrompt: 'Be kind.',
      queryRefusalResponse: 'I do not know.',
      vectorSearchMode: 'default',
      chatProvider: null,
    });
    const coerced: [object, object][] = [
      [{ openAiTemp: -1 }, { openAiTemp: null }],
      [{ openAiTemp: 'warm' }, { openAiTemp: null }],
      [{ openAiTemp: 9 }, { openAiTemp: 2 }],
      [{ openAiHistory: 'many' }, { openAiHistory: 20 }],
      [{ openAiHistory: -3 }, { openAiHistory: 0 }],
      [{ openAiHistory: 1e300 }, { openAiHistory: 1000 }],
      [{ similarityThreshold: 7 }, { similarityThreshold: 1 }],
      [{ similarityThreshold: -7 }, { similarityThreshold: 0 }],
      [{ similarityThreshold: null }, { similarityThreshold: 0.25 }],
      [{ topN: 0 }, { topN: 1 }],
      [{ topN: [] }, { topN: 4 }],
      [{ topN: 1000 }, { topN: 100 }],
      [{ chatMode: 'poem' }, { chatMode: 'automatic' }],
      [{ chatMode: 7 }, { chatMode: 'automatic' }],
      [{ chatModel: 'a model of elsewhere' }, { chatModel: null }],
      [{ chatModel: {} }, { chatModel: null }],
      [{ openAiPrompt: 7 }, { openAiPrompt: expect.stringMatching(/^Answer the question\./) }],
      [{ queryRefusalResponse: {} }, { queryRefusalResponse: null }],
      [{ name: `${'x'.repeat(254)}😀` }, { name: 'x'.repeat(254) }],
    ];
    for (const [sent, stored] of coerced) expect(await make(sent), JSON.stringify(sent)).toMatchObject(stored);
  });

  it('derives a unique slug from the name, with digits for a duplicate, or a random slug', async () => {
    expect((await make({ name: 'C++ & me@home: v1.0!' })).slug).toBe('c-plus-plus-and-me-at-home-v1-dot-0-bang');
    expect((await make({ name: '日本' })).slug).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    await make();
    expect((await make()).slug).toMatch(/^research-notes-\d{8}$/);
    expect((await make({}, ben.secret)).slug).toMatch(/^research-notes-\d{8}$/);
    const raced = await Promise.all(Array.from({ length: 4 }, () => make({ name: 'Race' })));
    const slugs = raced.map(({ slug }) => slug).toSorted();
    expect(slugs[0]).toBe('race');
    expect(slugs.slice(1)).toEqual(Array.from({ length: 3 }, () => expect.stringMatching(/^race-\d{8}$/)));
    expect(new Set(slugs).size).toBe(4);
  });

  it('uses the default prompt of the server’s preferences when the request contains no prompt', async () => {
    const { errors } = await kit.gql(
      'mutation { updatePreferences(input: { defaultSystemPrompt: "Speak plainly." }) { __typename } }',
    );
    expect(errors).toEqual([]);
    expect((await make()).openAiPrompt).toBe('Speak plainly.');
    expect((await make({ openAiPrompt: 'Mine.' })).openAiPrompt).toBe('Mine.');
    await kit.gql('mutation { updatePreferences(input: { clear: [DEFAULT_SYSTEM_PROMPT] }) { __typename } }');
    expect((await make()).openAiPrompt).toMatch(/^Answer the question\./);
  });

  it('rejects an invalid name and texts that are too long, and names the field', async () => {
    const refusals: [object, string][] = [
      [{}, 'name cannot be null'],
      [{ name: null }, 'name cannot be null'],
      [{ name: 7 }, 'name cannot be null'],
      [{ name: ['x'] }, 'name cannot be null'],
      [{ name: ' ' }, 'name cannot be null'],
      [{ name: 'a\0b' }, 'name must not contain NUL characters'],
      [{ name: '\ud800' }, 'name must be valid Unicode'],
      [{ name: 'x', openAiPrompt: 'x'.repeat(100_001) }, 'openAiPrompt must be at most 100000 characters'],
      [{ name: 'x', queryRefusalResponse: 'x'.repeat(2001) }, 'queryRefusalResponse must be at most 2000 characters'],
      [{ name: 'x', openAiPrompt: 'a\0b' }, 'openAiPrompt must not contain NUL characters'],
    ];
    await unchanged(async () => {
      for (const [body, message] of refusals) {
        const answer = await api('POST', '/workspace/new', body);
        expect([answer.status, answer.body], message).toEqual([400, { workspace: null, message }]);
      }
      for (const body of ['[]', '7', '{'])
        expect(await api('POST', '/workspace/new', body), body).toMatchObject({
          status: 400,
          body: { error: expect.any(String) },
        });
    });
  });

  it('accepts a form, and JSON under text/plain', async () => {
    const send = (type: string, body: string) =>
      kit.rest('POST', '/api/v1/workspace/new', { key: anna.secret, body, headers: { 'content-type': type } });
    const form = await send('application/x-www-form-urlencoded', 'name=Form&openAiTemp=0.5');
    expect([form.body.workspace.name, form.body.workspace.openAiTemp]).toEqual(['Form', 0.5]);
    expect((await send('text/plain', '{"name":"Text"}')).body.workspace.slug).toBe('text');
  });
});

describe('reading workspaces', () => {
  it('lists those that the caller may use, including the built-in workspace, with their threads', async () => {
    const made = await make();
    const session = await kit.gql(
      'mutation ($agentId: ID!) { createChatSession(input: { agentId: $agentId, name: "First" }) { session { slug } } }',
      { agentId: made.id },
      anna.secret,
    );
    const slug = session.data.createChatSession.session.slug;
    // A chat with a client key is not a thread.
    await kit.prisma.chatSession.create({ data: { userId: anna.userId, agentId: made.id, clientKey: '' } });
    const { body } = await api('GET', '/workspaces');
    expect(body.workspaces.map((each: { slug: string }) => each.slug)).toEqual(['default', 'research-notes']);
    expect(body.workspaces[1]).toEqual({ ...made, threads: [{ user_id: null, slug, name: 'First' }] });
    expect(await one('research-notes')).toEqual({ ...made, documents: [], threads: [{ user_id: null, slug }] });
    // Other users, and a key without `read:chat`, cannot see the chats.
    for (const key of [ben.secret, limited]) {
      expect((await api('GET', '/workspaces', undefined, key)).body.workspaces[1].threads).toEqual([]);
      expect((await one('research-notes', key)).threads).toEqual([]);
    }
  });

  it('takes the same number of SQL statements, regardless of the number of workspaces and threads', async () => {
    const count = async (path: string): Promise<number> => {
      kit.statements.length = 0;
      expect((await api('GET', path)).status).toBe(200);
      return kit.statements.length;
    };
    const fill = async () => {
      const { id, slug } = await make();
      await kit.prisma.chatSession.createMany({ data: [1, 2].map(() => ({ userId: anna.userId, agentId: id })) });
      await api('POST', `/workspace/${slug}/update-embeddings`, { adds: Object.values(at) });
      return slug;
    };
    const slug = await fill();
    await count('/workspaces');
    const before = [await count('/workspaces'), await count(`/workspace/${slug}`)];
    for (let i = 0; i < 4; i++) await fill();
    expect([await count('/workspaces'), await count(`/workspace/${slug}`)]).toEqual(before);
  });

  it('returns an empty list for a workspace that the caller may not see and for an unknown workspace', async () => {
    const { id, slug } = await make();
    await kit.prisma.agent.update({ where: { id }, data: { isPublic: false } });
    for (const [path, key] of [
      [slug, ben.secret],
      ['nowhere', anna.secret],
      ['a%00b', anna.secret],
    ] as const)
      expect(await api('GET', `/workspace/${path}`, undefined, key)).toMatchObject({
        status: 200,
        text: '{"workspace":[]}',
      });
    const { body } = await api('GET', '/workspaces', undefined, ben.secret);
    expect(body.workspaces.map((each: { slug: string }) => each.slug)).toEqual(['default']);
  });

  it('requires `read:agents`', async () => {
    const { secret } = await kit.createKey('BASIC', { name: 'writer', scopes: ['write:agents'] });
    for (const path of ['/workspaces', '/workspace/default']) {
      expect(told(await api('GET', path, undefined, null))).toEqual(noKey);
      expect(told(await api('GET', path, undefined, secret))).toEqual(lacking('read:agents'));
    }
  });
});

describe('changing a workspace', () => {
  it('changes only the given fields, and keeps the slug', async () => {
    const made = await make({ openAiPrompt: 'Old.', openAiTemp: 1, chatModel: kit.booted.services.models.names[0] });
    const update = async (body: object) => (await api('POST', `/workspace/${made.slug}/update`, body)).body;
    const renamed = await update({ name: 'Other', topN: 9 });
    expect(renamed).toEqual({
      workspace: { ...made, name: 'Other', topN: 9, lastUpdatedAt: expect.any(String) },
      message: null,
    });
    const nulls = { name: null, openAiPrompt: null, openAiTemp: null, chatModel: null, chatMode: null, topN: null };
    expect(await update(nulls)).toEqual({ workspace: { id: made.id }, message: 'No valid fields to update!' });
    expect((await update({ openAiPrompt: '', openAiTemp: '' })).workspace).toMatchObject({
      openAiPrompt: null,
      openAiTemp: null,
      chatModel: made.chatModel,
    });
    expect((await update({ chatProvider: 'default' })).workspace.chatModel).toBe(null);
    expect((await update({ name: 2027 })).workspace).toMatchObject({ name: '2027', slug: 'research-notes' });
    // Another own workspace can have the name.
    await make({ name: 'Twin' });
    expect((await update({ name: 'Twin' })).workspace).toMatchObject({ name: 'Twin', slug: 'research-notes' });
  });

  it('returns a message when the request contains no field to change', async () => {
    const { id, slug } = await make();
    for (const body of [{}, { slug: 'mine', id: 7 }])
      expect((await api('POST', `/workspace/${slug}/update`, body)).body).toEqual({
        workspace: { id },
        message: 'No valid fields to update!',
      });
    expect((await api('POST', `/workspace/${slug}/update`)).body.message).toBe('No valid fields to update!');
  });

  it('rejects an invalid name, an unknown workspace and callers that may not change the workspace', async () => {
    const { slug } = await make();
    await unchanged(async () => {
      const update = (body: object, key?: string | null, at = slug) =>
        api('POST', `/workspace/${at}/update`, body, key);
      expect(await update({ name: '' })).toMatchObject({
        status: 400,
        body: { workspace: null, message: 'name cannot be null' },
      });
      expect(told(await update({ topN: 1 }, anna.secret, 'nowhere'))).toEqual(badRequest);
      expect(told(await update({ topN: 1 }, ben.secret))).toEqual(notYours);
      expect(told(await update({ topN: 1 }, limited))).toEqual(lacking('write:agents'));
      expect(told(await update({ topN: 1 }, null))).toEqual(noKey);
      expect(told(await update({ topN: 1 }, anna.secret, 'default'))).toEqual(notYours);
    });
    expect((await api('POST', `/workspace/${slug}/update`, { topN: 2 }, kit.keys.ADMIN)).body.workspace.topN).toBe(2);
  });
});

describe('deleting a workspace', () => {
  it('makes its slug available again', async () => {
    const { id, slug } = await make();
    expect(told(await api('DELETE', `/workspace/${slug}`))).toEqual([200, 'OK', 'text/plain']);
    expect((await api('GET', `/workspace/${slug}`)).body).toEqual({ workspace: [] });
    expect(told(await api('DELETE', `/workspace/${slug}`))).toEqual(badRequest);
    const again = await make();
    expect([again.slug, again.id === id]).toEqual([slug, false]);
    const deleted = `${slug}-deleted-${id}`;
    // An administrator does not find the deleted workspace either.
    expect(await one(deleted, kit.keys.ADMIN)).toBeUndefined();
    await kit.gql('mutation ($id: ID!) { undeleteAgent(input: { agent: { id: $id } }) { agent { slug } } }', { id });
    expect((await kit.prisma.agent.findUniqueOrThrow({ where: { id } })).slug).toBe(deleted);
  });

  it('is denied to callers that may not change the workspace, and the built-in one cannot be deleted', async () => {
    const { slug } = await make();
    await unchanged(async () => {
      expect(told(await api('DELETE', `/workspace/${slug}`, undefined, ben.secret))).toEqual(notYours);
      expect(told(await api('DELETE', `/workspace/${slug}`, undefined, limited))).toEqual(lacking('write:agents'));
      expect(told(await api('DELETE', `/workspace/${slug}`, undefined, null))).toEqual(noKey);
      expect(told(await api('DELETE', '/workspace/nowhere'))).toEqual(badRequest);
      expect(await api('DELETE', '/workspace/default', undefined, kit.keys.ADMIN)).toMatchObject({
        status: 403,
        body: { error: 'A built-in agent cannot be deleted.' },
      });
    });
  });
});

describe('the documents of a workspace', () => {
  const embed = (slug: string, body: unknown, key?: string | null) =>
    api('POST', `/workspace/${slug}/update-embeddings`, body, key);
  const pin = (slug: string, body: unknown, key?: string | null) =>
    api('POST', `/workspace/${slug}/update-pin`, body, key);
  const pathsOf = (workspace: { documents: { docpath: string; pinned: boolean }[] }) =>
    workspace.documents.map(({ docpath, pinned }) => [docpath, pinned]);

  it('are added and removed by their locations, and unknown locations are ignored', async () => {
    const { slug, id } = await make();
    const { status, body } = await embed(slug, { adds: [at.Handbook, 'custom-documents/none.json', '', 7, '../x'] });
    expect([status, Object.keys(body)]).toEqual([200, ['workspace']]);
    const document = {
      id: expect.any(Number),
      docId: 'Handbook',
      filename: at.Handbook?.split('/')[1],
      docpath: at.Handbook,
      workspaceId: id,
      metadata: expect.any(String),
      pinned: false,
      watched: false,
      createdAt: expect.any(String),
      lastUpdatedAt: expect.any(String),
    };
    expect(body.workspace).toMatchObject({ slug, documents: [document], currentContextTokenCount: 0 });
    expect(body.workspace.contextWindow).toBeGreaterThan(1000);
    expect(JSON.parse(body.workspace.documents[0].metadata)).toMatchObject({ title: 'Handbook' });
    // A repeated document is added once, and a document that is removed and added in one request stays.
    const both = await embed(slug, { adds: [at.Menu, at.Handbook, at.Menu], deletes: [at.Handbook] });
    expect(pathsOf(both.body.workspace)).toEqual([
      [at.Handbook, false],
      [at.Menu, false],
    ]);
    expect(pathsOf((await embed(slug, { deletes: [at.Handbook, at.Handbook] })).body.workspace)).toEqual([
      [at.Menu, false],
    ]);
    for (const body of [{}, undefined, { adds: null }])
      expect(pathsOf((await embed(slug, body)).body.workspace)).toEqual([[at.Menu, false]]);
    expect(pathsOf(await one(slug))).toEqual([[at.Menu, false]]);
    expect((await one(slug, limited)).documents).toEqual([]);
  });

  it('can be pinned, and are no longer pinned after they are removed', async () => {
    const { slug } = await make();
    await embed(slug, { adds: [at.Handbook] });
    const pinned = await pin(slug, { docPath: at.Handbook, pinStatus: true });
    expect(told(pinned)).toEqual([200, '{"message":"Pin status updated successfully"}', 'application/json']);
    expect(pathsOf(await one(slug))).toEqual([[at.Handbook, true]]);
    expect((await embed(slug, {})).body.workspace.currentContextTokenCount).toBeGreaterThan(0);
    expect((await pin(slug, { docPath: at.Handbook })).status).toBe(200);
    expect(pathsOf(await one(slug))).toEqual([[at.Handbook, false]]);
    await pin(slug, { docPath: at.Handbook, pinStatus: true });
    expect(pathsOf((await embed(slug, { adds: [at.Handbook], deletes: [at.Handbook] })).body.workspace)).toEqual([
      [at.Handbook, false],
    ]);
  });

  it('are not changed by an invalid request or by a caller without permission', async () => {
    const { slug } = await make();
    await embed(slug, { adds: [at.Handbook] });
    const { secret } = await kit.createKey('BASIC', { name: 'reader', scopes: ['read:agents', 'read:search'] });
    await unchanged(async () => {
      for (const adds of ['x', 7, {}, Array.from({ length: 10_001 }, () => at.Menu)])
        expect(await embed(slug, { adds })).toMatchObject({ status: 400, body: { error: expect.any(String) } });
      const adds = { adds: [at.Menu], deletes: [at.Handbook] };
      const pinned = { docPath: at.Handbook, pinStatus: true };
      expect(told(await embed('nowhere', adds))).toEqual(badRequest);
      expect(told(await pin('nowhere', pinned))).toEqual(badRequest);
      for (const docPath of [at.Menu, 'custom-documents/none.json', '', 'a\0b', 7, undefined])
        expect(told(await pin(slug, { docPath, pinStatus: true })).slice(0, 2)).toEqual(
          docPath === 'a\0b' ? [400, expect.any(String)] : [404, 'Not Found'],
        );
      for (const key of [ben.secret, limited, secret, null]) {
        const refusal = key === ben.secret ? notYours : key === null ? noKey : lacking('write:agents');
        expect(told(await embed(slug, adds, key))).toEqual(refusal);
        expect(told(await pin(slug, pinned, key))).toEqual(refusal);
      }
    });
  });

  it('exclude documents that the caller may not read', async () => {
    const { slug } = await make();
    const { data } = await kit.gql(
      `mutation { ingestDocument(input: {
        documentId: "private", title: "Private", isPublic: false, sections: [{ text: "Secret words." }]
      }) { document { location } } }`,
    );
    const { location } = data.ingestDocument.document;
    expect(pathsOf((await embed(slug, { adds: [location, at.Menu] })).body.workspace)).toEqual([[at.Menu, false]]);
    expect(pathsOf((await embed(slug, { adds: [location] }, kit.keys.ADMIN)).body.workspace)).toHaveLength(2);
    // A caller who cannot see a document cannot remove it.
    await embed(slug, { deletes: [location] });
    expect((await pin(slug, { docPath: location, pinStatus: true })).status).toBe(404);
    expect(pathsOf(await one(slug, kit.keys.ADMIN))).toContainEqual([location, false]);
    expect(pathsOf(await one(slug))).toEqual([[at.Menu, false]]);
  });

  it('take the same number of SQL statements, regardless of their number', async () => {
    const { slug } = await make();
    const titles = Array.from({ length: 12 }, (_, i) => `many-${i}`);
    for (const title of titles) await kit.ingest(title, `${title} words.`);
    const { data } = await kit.gql('{ documents(first: 100) { nodes { title location } } }');
    const many: string[] = data.documents.nodes
      .filter(({ title }: { title: string }) => titles.includes(title))
      .map(({ location }: { location: string }) => location);
    const count = async (body: object): Promise<number> => {
      kit.statements.length = 0;
      expect((await embed(slug, body)).status).toBe(200);
      return kit.statements.length;
    };
    await count({ adds: [at.Menu], deletes: [] });
    const few = [await count({ adds: many.slice(0, 2) }), await count({ deletes: many.slice(0, 2) })];
    expect([await count({ adds: many }), await count({ deletes: many })]).toEqual(few);
  });
});
