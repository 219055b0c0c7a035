import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';

/** Full-text search combined with embeddings. */
describe('hybrid search', () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await startKit({ scripted: true, environment: { EMBEDDING_MODEL: 'meaning' } });
    for (const word of ['canine', 'hound', 'dog']) kit.model.synonyms.set(word, 'dog');
    await kit.ingest('Pets', 'A canine sleeps here.', { id: 'canine' });
    await kit.ingest('Boats', 'Sails are white.', { id: 'boat' });
    await kit.booted.background.settled();
  });
  afterAll(() => kit.close());
  beforeEach(() => {
    kit.model.embeddingFailure = null;
  });

  const search = async (query: string, key = kit.keys.ADMIN) => {
    const { data, errors } = await kit.gql(
      'query ($query: String!) { search(query: $query) { documentId score text } }',
      { query },
      key,
    );
    expect(errors).toEqual([]);
    return data.search as { documentId: string; score: number; text: string }[];
  };

  test('finds passages with synonyms of the query, with scores from 0 to 1', async () => {
    const hits = await search('hound');
    expect(hits.map(({ documentId }) => documentId)).toEqual(['canine']);
    for (const { score } of hits) {
      expect(score).toBeGreaterThan(0);
      expect(score).toBeLessThanOrEqual(1);
    }
    expect((await search('a canine sleeps'))[0]).toMatchObject({ documentId: 'canine' });
    expect((await search('a canine sleeps'))[0]?.score).toBeGreaterThan(hits[0]?.score as number);
  });

  test('does not return passages that are unrelated to the query', async () => {
    expect(await search('xylophone')).toEqual([]);
  });

  test('scores passages by their cosine similarity to the query', async () => {
    const scoreOf = async (id: string, query: string) =>
      (await search(query)).find(({ documentId }) => documentId === id)?.score;
    expect(await scoreOf('canine', 'A hound sleeps')).toBeGreaterThanOrEqual(0.5);
    const unrelated = await scoreOf('boat', 'Sails quarterly hotel budget plan');
    expect(unrelated).toBeGreaterThan(0);
    expect(unrelated).toBeLessThan(0.25);
  });

  test('embeds a document once, and again only when its text changes', async () => {
    const asked = () => kit.model.requests.filter(({ path }) => path === '/embeddings').length;
    await kit.ingest('Changing', 'About lanterns.', { id: 'changing' });
    await kit.booted.background.settled();
    const before = asked();
    await kit.ingest('Changing', 'About lanterns.', { id: 'changing' });
    await kit.booted.background.settled();
    expect(asked()).toBe(before);
    kit.model.synonyms.set('torch', 'lamp').set('lamps', 'lamp');
    await kit.ingest('Changing', 'About lamps.', { id: 'changing' });
    await kit.booted.background.settled();
    expect(asked()).toBe(before + 1);
    expect((await search('torch')).map(({ documentId }) => documentId)).toEqual(['changing']);
    const stored = await kit.prisma.document.findUniqueOrThrow({ where: { externalId: 'changing' } });
    expect(stored.embeddedWith).toBe('meaning');
  });

  test('falls back to full-text search when the embedding provider fails, and embeds the new documents later', async () => {
    kit.model.embeddingFailure = 400;
    await kit.ingest('Late', 'A late hound barks at a zeppelin.', { id: 'late' });
    await kit.booted.background.settled();
    expect((await search('zeppelin')).map(({ documentId }) => documentId)).toEqual(['late']);
    expect(await search('dog')).toEqual([]);
    kit.model.embeddingFailure = null;
    await kit.ingest('Another', 'Something else.', { id: 'another' });
    await kit.booted.background.settled();
    expect((await search('dog')).map(({ documentId }) => documentId)).toContain('late');
  });

  test('does not return documents that the caller cannot read', async () => {
    const owner = await kit.createKey('BASIC');
    const { data } = await kit.gql(
      'mutation { createProject(input: { name: "Kennel" }) { project { databaseId } } }',
      {},
      owner.secret,
    );
    const { errors } = await kit.gql(
      `mutation ($id: ID!) { addProjectDocument(input: { projectId: $id, title: "Secret", sections: [{ text: "The hidden canine." }] }) { document { documentId } } }`,
      { id: data.createProject.project.databaseId },
      owner.secret,
    );
    expect(errors).toEqual([]);
    await kit.booted.background.settled();
    const texts = async (key: string) => (await search('hound', key)).map(({ text }) => text);
    expect(await texts(owner.secret)).toContain('The hidden canine.');
    expect(await texts(kit.keys.BASIC)).not.toContain('The hidden canine.');
    expect(await texts(kit.keys.ADMIN)).not.toContain('The hidden canine.');
  });
});
