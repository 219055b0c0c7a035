import { hash } from '@node-rs/argon2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../../test/kit.ts';

describe('texts that look the same', () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await startKit();
  });
  afterAll(() => kit.close());

  const code = ({ errors }: Awaited<ReturnType<Kit['gql']>>) => errors[0]?.extensions.code;

  it('are found in the chat history by their plain spelling', async () => {
    const create = 'mutation ($name: String!) { createChatSession(input: { name: $name }) { session { name } } }';
    for (const [written, plain] of [
      ['\ufb01nance', 'finance'],
      ['U\u0308bersicht', 'übersicht'],
      ['\uff35\uff33\uff22', 'usb'],
      ['knowl\u00adedge', 'knowledge'],
    ]) {
      expect((await kit.gql(create, { name: `about ${written}` })).errors).toEqual([]);
      const { body } = await kit.rest('GET', `/api/chat/search?query=${encodeURIComponent(plain ?? '')}`);
      expect(JSON.stringify(body), plain).toContain(`about ${written}`);
    }
  });

  it('conflict as names of agents and as names of labels', async () => {
    const agent = (name: string) =>
      kit.gql('mutation ($name: String!) { createAgent(input: { name: $name }) { agent { slug } } }', { name });
    expect((await agent('Re\u0301sume\u0301 of\ufb01ce')).data.createAgent.agent.slug).toBe('resume-office');
    const before = await kit.fingerprint();
    expect(code(await agent('Résumé office'))).toBe('CONFLICT');
    expect(await kit.fingerprint()).toBe(before);
    const label = (name: string) =>
      kit.gql('mutation ($name: String!) { createLabel(input: { name: $name }) { label { name } } }', { name });
    expect(code(await label('Of\ufb01ce'))).toBeUndefined();
    expect(code(await label('Office'))).toBe('CONFLICT');
  });

  /** Texts as they are written, with their plain spelling. */
  const spellings = [
    ['Pru\u0308fung', 'Prüfung'],
    ['Prüfung', 'Pru\u0308fung'],
    ['\uff35\uff33\uff22', 'USB'],
    ['\ufb01nance', 'finance'],
    ['know\u00adledge', 'knowledge'],
  ] as const;

  it.each(spellings)('are found by the filters of lists, as %j by %j', async (written, plain) => {
    const done = async (document: string, variables: object) =>
      expect((await kit.gql(document, variables)).errors).toEqual([]);
    const name = `x ${written} y`;
    const email = `${crypto.randomUUID()}@people.example`;
    await done('mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id } } }', {
      input: { email, name, password: 'a long password', role: 'BASIC' },
    });
    for (const input of [{ name }, { name: 'a project', description: name }])
      await done('mutation ($input: CreateProjectInput!) { createProject(input: $input) { project { id } } }', {
        input,
      });
    await done('mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { apiKey { id } } }', {
      input: { name, role: 'BASIC' },
    });
    await kit.upload(`${name}.txt`, 'A text.');
    await kit.rest('POST', '/api/v1/document/raw-text', {
      body: { textContent: 'A text.', metadata: { title: name } },
    });
    const { data, errors } = await kit.gql(
      `query ($search: String!) {
        users(filter: { search: $search }) { nodes { name } }
        projects(filter: { search: $search }) { nodes { name description } }
        apiKeys(filter: { search: $search }) { nodes { name } }
        files(filter: { search: $search }) { nodes { name } }
        documents(filter: { search: $search, filesIncluded: false }) { nodes { title } }
      }`,
      { search: plain.toLowerCase() },
    );
    expect(errors).toEqual([]);
    expect(data.users.nodes).toContainEqual({ name });
    expect(data.projects.nodes).toContainEqual({ name, description: null });
    expect(data.projects.nodes).toContainEqual({ name: 'a project', description: name });
    expect(data.apiKeys.nodes).toContainEqual({ name });
    // The names of files are stored in NFC.
    expect(data.files.nodes).toContainEqual({ name: `${name}.txt`.normalize('NFC') });
    expect(data.documents.nodes.map(({ title }: { title: string }) => title)).toContain(name);
  });

  it('are compared literally by filters: % and _ are no wildcards', async () => {
    const query = '{ projects(filter: { search: "%" }) { totalCount } files(filter: { search: "_" }) { totalCount } }';
    const { data } = await kit.gql(query);
    expect(data).toEqual({ projects: { totalCount: 0 }, files: { totalCount: 0 } });
  });

  it.each(spellings)('name the same folder, as %j and %j', async (written, plain) => {
    const create = (name: string) =>
      kit.gql('mutation ($name: String!) { createDocumentFolder(input: { name: $name }) { folder { name } } }', {
        name,
      });
    const first = `folder ${written}`;
    const second = `folder ${plain}`;
    expect((await create(first)).data.createDocumentFolder.folder.name).toBe(first);
    const before = await kit.fingerprint();
    expect(code(await create(second))).toBe('CONFLICT');
    expect(await kit.fingerprint()).toBe(before);
    const upload = async (folder: string, text: string) => {
      const form = new FormData();
      form.append('file', new File([text], 'same.txt'));
      const response = await fetch(`${kit.url}/api/v1/document/upload/${encodeURIComponent(folder)}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${kit.keys.ADMIN}` },
        body: form,
      });
      return (await response.json()).documents[0].location as string;
    };
    expect(await upload(first, 'one')).toBe(await upload(second, 'two'));
    const deletion = await kit.gql(
      'mutation ($name: String!) { deleteDocumentFolder(input: { name: $name }) { deletedName } }',
      { name: second },
    );
    expect(deletion.errors).toEqual([]);
    expect(deletion.data.deleteDocumentFolder.deletedName).toBe(first);
  });

  it('are the same password', async () => {
    const login = (email: string, password: string) =>
      kit.gql(
        'mutation ($input: LoginInput!) { login(input: $input) { token } }',
        { input: { login: email, password } },
        null,
      );
    const composed = 'größer als vier';
    const decomposed = composed.normalize('NFD');
    for (const [chosen, typed] of [
      [composed, decomposed],
      [decomposed, composed],
      ['a long password', 'a\u00a0long\u00a0password'],
    ] as const) {
      const email = `${crypto.randomUUID()}@people.example`;
      const input = { email, password: chosen, role: 'BASIC' };
      const create = 'mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id } } }';
      expect((await kit.gql(create, { input })).errors).toEqual([]);
      expect((await login(email, typed)).errors).toEqual([]);
      expect(code(await login(email, `${typed}.`))).toBe('BAD_USER_INPUT');
    }
    // The hash of an earlier version, which hashed passwords as they were sent.
    const email = `${crypto.randomUUID()}@people.example`;
    const passwordHash = await hash(decomposed, { memoryCost: 19_456, timeCost: 2, parallelism: 1 });
    await kit.prisma.user.create({ data: { email, name: 'earlier', passwordHash } });
    expect((await login(email, decomposed)).errors).toEqual([]);
  });
});
