import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { nothingStored } from '../../../test/expect-unchanged.ts';
import { type GraphQLAnswer, type Kit, startKit } from '../../../test/kit.ts';
import { globalId } from '../../graphql/id-input.ts';

let kit: Kit;
let anna: { secret: string; userId: string };
let ben: { secret: string; userId: string };

beforeAll(async () => {
  kit = await startKit();
  anna = await kit.createKey('BASIC', { name: 'anna' });
  ben = await kit.createKey('BASIC', { name: 'ben' });
  await kit.ingest('Handbook', 'Holidays are thirty days.');
});
afterAll(() => kit?.close());

beforeEach(async () => {
  await kit.prisma.agent.deleteMany({ where: { isBuiltin: false } });
});

const settings = `databaseId slug name passageLimit similarityThreshold model temperature historyLimit chatMode refusalText
  actions { builtinKey }`;
const send = (field: string, type: string, input: object, key = anna.secret, select = `agent { ${settings} }`) =>
  kit.gql(`mutation ($input: ${type}!) { ${field}(input: $input) { ${select} } }`, { input }, key);
const create = (input: object, key?: string) =>
  send('createAgent', 'CreateAgentInput', { name: 'Helper', ...input }, key);
const update = (input: object, key?: string) => send('updateAgent', 'UpdateAgentInput', input, key);
const made = async (input: object = {}, key?: string) => {
  const { data, errors } = await create(input, key);
  expect(errors).toEqual([]);
  return data.createAgent.agent;
};
const codes = ({ errors }: GraphQLAnswer) => errors.map(({ extensions }) => extensions.code);
const fields = ({ errors }: GraphQLAnswer) =>
  errors[0]?.extensions.fields?.map(({ path }: { path: string[] }) => path.join('.'));

const unchanged = <T>(work: () => Promise<T>): Promise<T> => nothingStored(kit, work);

describe('the settings of an agent', () => {
  it('have defaults and can be set and cleared', async () => {
    const agent = await made();
    expect(agent).toMatchObject({
      slug: 'helper',
      passageLimit: 8,
      similarityThreshold: 0,
      model: null,
      temperature: null,
      historyLimit: null,
      chatMode: 'AUTOMATIC',
      refusalText: null,
      actions: [],
    });
    const said = {
      passageLimit: 3,
      similarityThreshold: 0.5,
      model: kit.booted.services.models.names[0],
      temperature: 0,
      historyLimit: 0,
      chatMode: 'QUERY',
      refusalText: 'No.',
    };
    const changed = await update({ agent: { slug: 'helper' }, ...said, builtinActions: ['SearchTool'] });
    expect(changed.data.updateAgent.agent).toMatchObject({ ...said, actions: [{ builtinKey: 'SearchTool' }] });
    const kept = await update({ agent: { id: agent.databaseId }, name: 'Renamed', chatMode: null, passageLimit: null });
    expect(kept.data.updateAgent.agent).toMatchObject({ ...said, name: 'Renamed', slug: 'helper' });
    const cleared = { model: null, temperature: null, historyLimit: null, refusalText: null };
    expect((await update({ agent: { slug: 'helper' }, ...cleared })).data.updateAgent.agent).toMatchObject(said);
    const clear = ['MODEL', 'TEMPERATURE', 'HISTORY_LIMIT', 'REFUSAL_TEXT'];
    expect((await update({ agent: { slug: 'helper' }, clear })).data.updateAgent.agent).toMatchObject(cleared);
    expect(codes(await update({ agent: { slug: 'helper' }, clear, temperature: 1 }))).toEqual(['BAD_USER_INPUT']);
    const ofElsewhere = { agent: { slug: 'helper' }, modelIfAvailable: 'of elsewhere' };
    expect(
      (await update({ agent: { slug: 'helper' }, modelIfAvailable: said.model })).data.updateAgent.agent.model,
    ).toBe(said.model);
    expect((await update(ofElsewhere)).data.updateAgent.agent.model).toBe(null);
    expect(codes(await update({ ...ofElsewhere, model: 'of elsewhere' }))).toEqual(['BAD_USER_INPUT']);
  });

  it('reject a value out of bounds and name the field', async () => {
    const { slug } = await made();
    const refusals: [string, unknown][] = [
      ['passageLimit', 0],
      ['passageLimit', 101],
      ['similarityThreshold', -0.1],
      ['similarityThreshold', 1.1],
      ['model', 'of elsewhere'],
      ['model', 'a\0b'],
      ['temperature', -0.1],
      ['temperature', 2.1],
      ['historyLimit', -1],
      ['historyLimit', 1001],
      ['refusalText', 'x'.repeat(2001)],
      ['refusalText', '\ud800'],
      ['builtinActions', ['NoTool']],
    ];
    await unchanged(async () => {
      for (const [field, value] of refusals)
        for (const answer of [
          await create({ name: 'Other', [field]: value }),
          await update({ agent: { slug }, [field]: value }),
        ]) {
          expect(codes(answer), field).toEqual(['BAD_USER_INPUT']);
          expect(fields(answer)).toEqual([`input.${field}`]);
        }
    });
  });
});

describe('the slug of an agent', () => {
  const bySlug = (slug: string, key?: string) =>
    kit.gql('query ($slug: String!) { agent: agentBySlug(slug: $slug) { databaseId } }', { slug }, key);

  it('identifies the agent in every input', async () => {
    const { databaseId, slug } = await made();
    expect((await bySlug(slug, anna.secret)).data.agent).toEqual({ databaseId });
    const curated = await send('curateAgent', 'CurateAgentInput', { agent: { slug }, isListed: false }, kit.keys.ADMIN);
    expect(curated.data.curateAgent.agent.databaseId).toBe(databaseId);
    const shared = await send('shareAgent', 'ShareAgentInput', { agent: { slug }, shares: [{ userId: ben.userId }] });
    expect(shared.errors).toEqual([]);
    expect((await bySlug(slug, ben.secret)).data.agent).toEqual({ databaseId });
    const gone = await send('deleteAgent', 'DeleteAgentInput', { agent: { slug } });
    const after = gone.data.deleteAgent.agent.slug;
    expect(after).toBe(`${slug}-deleted-${databaseId}`);
    for (const name of [slug, after]) expect(codes(await bySlug(name, kit.keys.ADMIN))).toEqual(['NOT_FOUND']);
    const back = await send('undeleteAgent', 'UndeleteAgentInput', { agent: { slug: after } }, kit.keys.ADMIN);
    expect(back.data.undeleteAgent.agent.slug).toBe(after);
    // Deleting again keeps the slug of the first deletion.
    expect(
      (await send('deleteAgent', 'DeleteAgentInput', { agent: { slug: after } })).data.deleteAgent.agent.slug,
    ).toBe(after);
  });

  it('identifies the built-in agent', async () => {
    expect((await bySlug('default', kit.keys.LIMITED)).data.agent).toEqual({ databaseId: 0 });
  });

  it('gets a random suffix at deletion when another agent already has the slug', async () => {
    const { databaseId } = await made({ name: 'Doomed' });
    const other = await made({ name: `Doomed deleted ${databaseId}` }, ben.secret);
    expect(other.slug).toBe(`doomed-deleted-${databaseId}`);
    const gone = await send('deleteAgent', 'DeleteAgentInput', { agent: { id: databaseId } });
    expect(gone.data.deleteAgent.agent.slug).toMatch(new RegExp(`^doomed-deleted-${databaseId}-\\d{8}$`));
  });

  it('cannot be combined with an ID, and is required without one', async () => {
    const { databaseId, slug } = await made();
    await unchanged(async () => {
      for (const input of [{ agent: { id: databaseId, slug } }, { agent: {} }, {}])
        expect(codes(await update({ ...input, name: 'No' })), JSON.stringify(input)).toEqual(['BAD_USER_INPUT']);
    });
    for (const query of ['{ agentBySlug { name } }', '{ agent { name } }'])
      expect((await kit.gql(query)).errors[0]?.message, query).toMatch(/required/);
    for (const text of ['nowhere', 'a\0b', '\ud800', '', 'x'.repeat(2000)])
      expect(codes(await bySlug(text))).toEqual(['NOT_FOUND']);
  });

  it('returns the same NOT_FOUND for another user’s agent as for an unknown slug', async () => {
    const { slug } = await made();
    await unchanged(async () => {
      expect((await bySlug(slug, ben.secret)).errors[0]?.message).toBe(
        (await bySlug('nowhere', ben.secret)).errors[0]?.message,
      );
      for (const [field, type] of [
        ['updateAgent', 'UpdateAgentInput'],
        ['shareAgent', 'ShareAgentInput'],
        ['deleteAgent', 'DeleteAgentInput'],
        ['changeAgentDocuments', 'ChangeAgentDocumentsInput'],
      ] as const)
        expect(codes(await send(field, type, { agent: { slug } }, ben.secret)), field).toEqual(['NOT_FOUND']);
    });
  });

  it('gets a random suffix for a duplicate name, which is rejected unless allowSameName is set', async () => {
    await made();
    expect(codes(await create({}))).toEqual(['CONFLICT']);
    expect((await made({ allowSameName: true })).slug).toMatch(/^helper-\d{8}$/);
    const { slug } = await made({ name: 'Other' });
    expect(codes(await update({ agent: { slug }, name: 'Helper' }))).toEqual(['CONFLICT']);
    expect((await update({ agent: { slug }, name: 'Helper', allowSameName: true })).errors).toEqual([]);
  });
});

describe('the documents of an agent', () => {
  const locationOf = async (title: string): Promise<string> => {
    const { data } = await kit.gql('{ documents(first: 100) { nodes { title location } } }');
    return data.documents.nodes.find((document: { title: string }) => document.title === title).location;
  };
  const withDocuments = 'agent { documents { nodes { title } } pinnedDocuments { totalCount nodes { title } } }';
  const change = (input: object, key?: string) =>
    send('changeAgentDocuments', 'ChangeAgentDocumentsInput', input, key, withDocuments);
  const pin = (input: object, key?: string) =>
    send('pinAgentDocument', 'PinAgentDocumentInput', input, key, withDocuments);

  it('can be added, removed and pinned by location', async () => {
    const { slug, databaseId } = await made();
    const location = await locationOf('Handbook');
    const added = await change({ agent: { slug }, add: [{ location }], remove: null });
    expect(added.data.changeAgentDocuments.agent).toEqual({
      documents: { nodes: [{ title: 'Handbook' }] },
      pinnedDocuments: { totalCount: 0, nodes: [] },
    });
    const pinned = await pin({ agent: { id: databaseId }, document: { location }, pinned: true });
    expect(pinned.data.pinAgentDocument.agent.pinnedDocuments).toEqual({
      totalCount: 1,
      nodes: [{ title: 'Handbook' }],
    });
    const removed = await change({ agent: { id: databaseId }, remove: [{ location }] });
    expect(removed.data.changeAgentDocuments.agent).toEqual({
      documents: { nodes: [] },
      pinnedDocuments: { totalCount: 0, nodes: [] },
    });
    expect(codes(await pin({ agent: { slug }, document: { location }, pinned: true }))).toEqual(['NOT_FOUND']);
  });

  it('can be added, removed and pinned by global ID and by the ID that the client chose', async () => {
    const { slug } = await made();
    const { id, externalId } = await kit.prisma.document.findFirstOrThrow({ where: { title: 'Handbook' } });
    for (const named of [{ id: globalId('Document', id) }, { id: externalId }]) {
      const added = await change({ agent: { slug }, add: [named] });
      expect(added.data.changeAgentDocuments.agent.documents.nodes).toEqual([{ title: 'Handbook' }]);
      const pinned = await pin({ agent: { slug }, document: named, pinned: true });
      expect(pinned.data.pinAgentDocument.agent.pinnedDocuments.totalCount).toBe(1);
      const unpinned = await pin({ agent: { slug }, document: named, pinned: false });
      expect(unpinned.data.pinAgentDocument.agent.pinnedDocuments.totalCount).toBe(0);
      const removed = await change({ agent: { slug }, remove: [named] });
      expect(removed.data.changeAgentDocuments.agent.documents.nodes).toEqual([]);
    }
  });

  it('are rejected with the position of an ID that is unknown, unreadable or malformed, and nothing changes', async () => {
    const { slug } = await made();
    const secret = await kit.prisma.document.create({
      data: {
        externalId: 'private of ben',
        title: 'Private',
        contentHash: new Uint8Array(32),
        isPublic: false,
        ownerId: ben.userId,
      },
    });
    const location = await locationOf('Handbook');
    await unchanged(async () => {
      for (const id of [
        secret.externalId,
        globalId('Document', secret.id),
        globalId('Document', 999_999),
        globalId('Document', 'x'),
        globalId('Agent', 1),
        'nowhere',
        'a\0b',
        '\ud800',
        '',
      ])
        for (const list of ['add', 'remove']) {
          const { errors } = await change({ agent: { slug }, [list]: [{ location }, { id }] });
          expect(errors, id).toMatchObject([
            { extensions: { code: 'BAD_USER_INPUT', fields: [{ path: ['input', list, 1, 'id'] }] } },
          ]);
        }
      for (const id of [secret.externalId, globalId('Document', secret.id), globalId('Document', 999_999), 'a\0b'])
        expect(codes(await pin({ agent: { slug }, document: { id }, pinned: true })), id).toEqual(['NOT_FOUND']);
      const wrong = await pin({ agent: { slug }, document: { id: globalId('Agent', 1) }, pinned: true });
      expect(wrong.errors).toMatchObject([
        { extensions: { code: 'BAD_USER_INPUT', fields: [{ path: ['input', 'document', 'id'] }] } },
      ]);
      for (const document of [{}, { id: 'Handbook', location }, { location: null }])
        expect(codes(await pin({ agent: { slug }, document, pinned: true }))).toEqual(['BAD_USER_INPUT']);
    });
  });

  it('can be changed only by editors and owners, and an invalid request changes no data', async () => {
    const { slug } = await made({ isPublic: true, userIds: [ben.userId] });
    const location = await locationOf('Handbook');
    await change({ agent: { slug }, add: [{ location }] });
    await unchanged(async () => {
      for (const key of [ben.secret, kit.keys.LIMITED]) {
        expect(codes(await change({ agent: { slug }, remove: [{ location }] }, key))).toEqual(['FORBIDDEN']);
        expect(codes(await pin({ agent: { slug }, document: { location }, pinned: true }, key))).toEqual(['FORBIDDEN']);
      }
      const tooMany = Array.from({ length: 10_001 }, () => ({ location }));
      for (const input of [{ add: tooMany }, { remove: tooMany }, { add: [{ location: 'a\0b' }] }])
        expect(codes(await change({ agent: { slug }, ...input }))).toEqual(['BAD_USER_INPUT']);
      // An empty location does not select everything.
      expect(
        (
          await change({
            agent: { slug },
            add: [{ location: 'nowhere' }, { location: '' }],
            remove: [{ location: 'x/y/z' }],
          })
        ).errors,
      ).toEqual([]);
      expect(codes(await pin({ agent: { slug }, document: { location: 'nowhere' }, pinned: true }))).toEqual([
        'NOT_FOUND',
      ]);
    });
    const shares = [{ userId: ben.userId, permission: 'EDITOR' }];
    await send('shareAgent', 'ShareAgentInput', { agent: { slug }, shares });
    expect((await pin({ agent: { slug }, document: { location }, pinned: true }, ben.secret)).errors).toEqual([]);
  });

  it('cannot be changed by location if they come from files, and are excluded with filesIncluded: false', async () => {
    const { slug, databaseId } = await made();
    const fileId = await kit.upload('notes.txt', 'Some notes.', { key: anna.secret });
    const { fileName } = await kit.prisma.document.findUniqueOrThrow({ where: { fileId } });
    await change({ agent: { slug }, add: [{ location: `custom-documents/${fileName}` }] });
    expect(await kit.prisma.document.count({ where: { agents: { some: { id: databaseId } } } })).toBe(0);
    expect((await update({ agent: { slug }, documentIds: [fileId, 'Handbook'] })).errors).toEqual([]);
    const { data } = await kit.gql(
      'query ($slug: String!) { agent: agentBySlug(slug: $slug) { all: documents { totalCount nodes { title } } others: documents(filesIncluded: false) { totalCount nodes { title } } } }',
      { slug },
      anna.secret,
    );
    expect(data.agent.all).toMatchObject({ totalCount: 2, nodes: [{}, {}] });
    expect(data.agent.others).toEqual({ totalCount: 1, nodes: [{ title: 'Handbook' }] });
  });
});

describe('the chat sessions of an agent', () => {
  it('include only sessions the caller can read, and are FORBIDDEN without `read:chat`', async () => {
    const { slug, databaseId: agentId } = await made({ isPublic: true });
    for (const { userId } of [anna, ben]) {
      await kit.prisma.chatSession.create({ data: { userId, agentId, name: 'mine' } });
      await kit.prisma.chatSession.create({ data: { userId, agentId, name: 'a client’s', clientKey: 'session:1' } });
    }
    const query =
      'query ($slug: String!) { agent: agentBySlug(slug: $slug) { name chatSessions { totalCount nodes { ownerName } } } }';
    for (const [key, ownerName] of [
      [anna.secret, 'anna'],
      [ben.secret, 'ben'],
    ] as const)
      expect((await kit.gql(query, { slug }, key)).data.agent.chatSessions).toEqual({
        totalCount: 1,
        nodes: [{ ownerName }],
      });
    const limited = await kit.gql(query, { slug }, kit.keys.LIMITED);
    expect(limited.data.agent).toEqual({ name: 'Helper', chatSessions: null });
    expect(limited.errors[0]?.extensions).toMatchObject({
      code: 'FORBIDDEN',
      reason: 'MISSING_PERMISSION',
      requiredPermissions: ['read:chat'],
    });
  });
});
