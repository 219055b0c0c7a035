import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rolePermissions } from '../../src/authz/permissions.ts';
import { type Kit, startKit } from '../kit.ts';

/** Only callers who can configure the server receive the name of a setting to change. */
let kit: Kit;
let widget: string;
const keys: Record<string, string> = {};
beforeAll(async () => {
  kit = await startKit();
  const scopes = [...rolePermissions('ADMIN')].filter((permission) => permission !== 'manage:settings');
  keys['a limited key'] = kit.keys.LIMITED;
  keys['a basic key'] = kit.keys.BASIC;
  keys['an administrator’s key without manage:settings'] = (await kit.createKey('ADMIN', { scopes })).secret;
  await kit.rest('POST', '/api/v1/workspace/new', { body: { name: 'Kitchen' } });
  await kit.rest('POST', '/api/v1/document/raw-text', {
    body: {
      textContent: 'The oven is heated to 220 degrees for bread.',
      metadata: { title: 'Bread' },
      addToWorkspaces: 'kitchen',
    },
  });
  const made = await kit.rest('POST', '/api/v1/embed/new', {
    body: { workspace_slug: 'kitchen', chat_mode: 'chat' },
  });
  widget = made.body.embed.uuid;
});
afterAll(() => kit?.close());

const questions = { quotes: 'How hot is the oven for bread?', 'finds nothing': 'Zzyzx quuxly?' };
/** Names of settings: words in capitals joined by underscores. */
const setting = /\b[A-Z]{2,}_[A-Z_]{2,}\b/;
const failure = (name: string, text: string) => `${name}: ${text.slice(0, 2000)}`;

const graphqlChat = async (message: string, key: string) => {
  const { data } = await kit.gql('query { agents(first: 10) { nodes { slug databaseId } } }', {}, key);
  const agentId = data.agents.nodes.find(({ slug }: { slug: string }) => slug === 'kitchen').databaseId;
  const input = { message, newSession: { agentId } };
  const turn = await kit.gql(
    'mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) { answer } }',
    { input },
    key,
  );
  return JSON.stringify(turn.data);
};

describe.each(Object.entries(questions))('an answer that %s', (_kind, message) => {
  test('names no setting to a key that cannot configure the server', async () => {
    for (const [name, key] of Object.entries(keys)) {
      const graphql = await graphqlChat(message, key);
      expect(graphql).toContain('quote');
      expect(graphql, failure(name, graphql)).not.toMatch(setting);
      const path = '/api/v1/workspace/kitchen/chat';
      const workspace = await kit.rest('POST', path, { key, body: { message, mode: 'chat' } });
      expect(workspace.status).toBe(200);
      expect(workspace.text, failure(name, workspace.text)).not.toMatch(setting);
      const body = { model: 'kitchen', messages: [{ role: 'user', content: message }] };
      const openai = await kit.rest('POST', '/api/v1/openai/chat/completions', { key, body });
      expect(openai.text, failure(name, openai.text)).not.toMatch(setting);
    }
  });

  test('names no setting to the visitors of a widget', async () => {
    const body = { sessionId: randomUUID(), message };
    const { text } = await kit.rest('POST', `/api/embed/${widget}/stream-chat`, { key: null, body });
    expect(text).toContain('quote');
    expect(text).not.toMatch(setting);
  });

  test('names the settings to an administrator', async () => {
    expect(await graphqlChat(message, kit.keys.ADMIN)).toContain('LLM_PROVIDER=openai-compatible');
    const body = { model: 'kitchen', messages: [{ role: 'user', content: message }] };
    const { text } = await kit.rest('POST', '/api/v1/openai/chat/completions', { body });
    expect(text).toContain('LLM_PROVIDER=openai-compatible');
  });
});

describe.each([
  ['embeddings', 'EMBEDDING_MODEL', { input: 'a' }, 'createEmbeddings(input: { texts: ["a"] }) { model }'],
  ['images/generations', 'IMAGE_MODEL', { prompt: 'a' }, 'createImage(input: { prompt: "a" }) { mediaType }'],
])('the error of /v1/openai/%s without a model', (path, name, body, field) => {
  test('names the setting to an administrator only', async () => {
    const texts = async (key: string) => {
      const rest = await kit.rest('POST', `/api/v1/openai/${path}`, { key, body });
      const graphql = await kit.gql(`mutation { ${field} }`, {}, key);
      expect(graphql.errors[0]?.extensions.code).toBe('NOT_FOUND');
      return { rest: rest.text, graphql: JSON.stringify(graphql.errors) };
    };
    expect((await texts(kit.keys.ADMIN)).graphql).toContain(name);
    const { rest, graphql } = await texts(kit.keys.BASIC);
    expect(rest).not.toContain(name);
    expect(graphql).not.toContain(name);
  });
});
