import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rolePermissions } from '../../src/authz/permissions.ts';
import { projectRoot } from '../../src/project-root.ts';
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

  test('names no setting to visitors of a widget', async () => {
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
  test('names the setting to administrators only', async () => {
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

/** The files whose messages can name a setting, with the reason. */
const named: Record<string, string> = {
  'src/http/host-check.ts':
    'A request with an unknown host is rejected before it is authenticated; its sender is the operator.',
  'src/ai/builtin-model.ts': 'The advice in an answer, which only callers with manage:settings receive.',
  'src/backup/backup.ts': 'A command of the operator.',
  'src/backup/command.ts': 'A command of the operator.',
  'src/backup/restore.ts': 'A command of the operator.',
  'src/rest/anythingllm/system.ts': 'Requires manage:settings.',
  'src/rest/anythingllm/embeds.ts': 'The description of a field.',
};
/** Errors that end the start, which only the operator sees, and texts for callers with `manage:settings`. */
const forOperators = /SettingsError|StartupError|explained\(|withSetting\(|description:|const message = `DATA_DIR/;

test('no other text in the code names a setting', () => {
  const read = (file: string): string => readFileSync(join(projectRoot, file), 'utf8');
  const settings = [...read('src/settings.ts').matchAll(/^ {2}([A-Z][A-Z0-9]*_[A-Z0-9_]+):/gm)].map(([, name]) => name);
  expect(settings.length).toBeGreaterThan(20);
  const aSetting = new RegExp(`\\b(${settings.join('|')})\\b`);
  const files = readdirSync(join(projectRoot, 'src'), { recursive: true, encoding: 'utf8' })
    .map((file) => `src/${file.replaceAll('\\', '/')}`)
    // The texts of the schema and of the store are read by operators: descriptions, and errors that end the start.
    .filter((file) => /\.ts$/.test(file) && !/\.(test|graphql|d)\.ts$|^src\/(generated|store|settings\.ts)/.test(file))
    .filter((file) => !Object.hasOwn(named, file));
  const found = files.flatMap((file) =>
    read(file)
      .split('\n')
      .filter((line) => !/^\s*(\*|\/)/.test(line) && !forOperators.test(line))
      .flatMap((line) => line.match(/'[^']*'|`[^`]*`|"[^"]*"/g) ?? [])
      .filter((text) => aSetting.test(text))
      .map((text) => `${file}: ${text}`),
  );
  expect(found).toEqual([]);
});
