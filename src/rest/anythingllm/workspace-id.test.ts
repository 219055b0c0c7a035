import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';

/** The built-in agent has the ID 0, which clients of these paths interpret as "no workspace". */
let kit: Kit;
let id: number;
beforeAll(async () => {
  kit = await startKit();
  await kit.rest('POST', '/api/system/enable-multi-user', { body: { username: 'root', password: 'a long password' } });
  const { body } = await kit.rest('GET', '/api/v1/workspaces');
  id = body.workspaces.find(({ slug }: { slug: string }) => slug === 'default').id;
});
afterAll(() => kit?.close());

/** Asserts that no workspace ID in a response is 0. */
function expectNoZero(value: unknown, key = ''): void {
  if (typeof value === 'object' && value !== null)
    for (const [name, item] of Object.entries(value)) expectNoZero(item, Array.isArray(value) ? key : name);
  else if (/^(id|workspace_id|workspaceId|pinnedWorkspaces)$/.test(key)) expect(value, key).toBeTruthy();
  else if (key === 'workspaceIds') expect(JSON.parse(String(value))).not.toContain(0);
}

const call = async (method: string, path: string, body?: object) => {
  const answer = await kit.rest(method, path, body ? { body } : {});
  expect(answer.status, answer.text).toBe(200);
  expectNoZero(answer.body);
  return answer.body;
};

test('no response contains a workspace with the id 0', async () => {
  expect(id).toBeGreaterThan(0);
  await call('GET', '/api/v1/workspaces');
  await call('GET', '/api/v1/workspace/default');
  const { thread } = await call('POST', '/api/v1/workspace/default/thread/new', { name: 'One' });
  expect(thread.workspace_id).toBe(id);
  const renamed = await call('POST', `/api/v1/workspace/default/thread/${thread.slug}/update`, { name: 'Two' });
  expect(renamed.thread.workspace_id).toBe(id);
  await call('POST', '/api/v1/workspace/default/chat', { message: 'Hello', mode: 'chat' });
  const { chats } = await call('POST', '/api/v1/admin/workspace-chats', {});
  expect(chats[0].workspaceId).toBe(id);
  await call('POST', '/api/v1/workspace/default/update', {});
  const { documents } = await call('POST', '/api/v1/document/raw-text', {
    textContent: 'Bread.',
    metadata: { title: 'Bread' },
    addToWorkspaces: 'default',
  });
  const docPath = documents[0].location;
  const { workspace } = await call('POST', '/api/v1/workspace/default/update-embeddings', { adds: [docPath] });
  expect(workspace.documents[0].workspaceId).toBe(id);
  await call('POST', '/api/v1/workspace/default/update-pin', { docPath, pinStatus: true });
  const list = JSON.stringify(await call('GET', '/api/v1/documents'));
  expect(list).toContain(`"pinnedWorkspaces":[${id}]`);
});

test('the id of the default workspace is accepted where a workspace is named by its id', async () => {
  const { embed } = await call('POST', '/api/v1/embed/new', { workspace_slug: 'default' });
  expect(embed.workspace_id).toBe(id);
  await call('POST', '/api/v1/workspace/new', { name: 'Other' });
  await call('POST', `/api/v1/embed/${embed.uuid}`, { workspace_id: id });
  const { embeds } = await call('GET', '/api/v1/embed');
  expect(embeds.at(-1).workspace.id).toBe(id);
  expect(await call('GET', `/api/v1/admin/workspaces/${id}/users`)).toEqual({ users: [] });
});
