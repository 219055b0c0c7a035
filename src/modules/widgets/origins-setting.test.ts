import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nothingStored } from '../../../test/expect-unchanged.ts';
import { type Kit, startKit, until } from '../../../test/kit.ts';
import { makeGate } from '../../../test/model-server.ts';
import { readSettings } from '../../settings.ts';

/**
 * Tests `WIDGET_ORIGINS=deny`: a widget without a list of origins can be shown only on pages of this server's own
 * origin.
 */
let kit: Kit;
beforeAll(async () => {
  kit = await startKit({ scripted: true, environment: { WIDGET_ORIGINS: 'deny' } });
});
afterAll(() => kit?.close());

const made = async (body: object = {}): Promise<string> => {
  const answer = await kit.rest('POST', '/api/v1/embed/new', {
    body: { workspace_slug: 'default', chat_mode: 'chat', ...body },
  });
  expect(answer.status, answer.text).toBe(200);
  return answer.body.embed.uuid;
};
const ask = (uuid: string, origin?: string, sessionId: string = randomUUID()) =>
  kit.rest('POST', `/api/embed/${uuid}/stream-chat`, {
    key: null,
    body: { sessionId, message: 'Hello' },
    ...(origin !== undefined && { headers: { origin } }),
  });

test('WIDGET_ORIGINS defaults to deny in production and to allow elsewhere', () => {
  expect(readSettings({ NODE_ENV: 'production' }).widgetOrigins).toBe('deny');
  expect(readSettings({}).widgetOrigins).toBe('allow');
  expect(readSettings({ NODE_ENV: 'production', WIDGET_ORIGINS: 'allow' }).widgetOrigins).toBe('allow');
  expect(() => readSettings({ WIDGET_ORIGINS: 'some' })).toThrow(/^WIDGET_ORIGINS /);
});

test('denies sending, reading and deleting to unknown origins and to requests without an Origin header', async () => {
  const uuid = await made();
  for (const origin of ['https://shop.example', 'null', 'http://localhost:3000', undefined])
    await nothingStored(kit, async () => {
      const { status, body } = await ask(uuid, origin);
      expect([status, body]).toMatchObject([401, { type: 'abort', error: 'Invalid request.' }]);
    });
  const headers = { origin: 'https://shop.example' };
  const path = `/api/embed/${uuid}/${randomUUID()}`;
  expect((await kit.rest('GET', path, { key: null, headers })).status).toBe(401);
  expect((await kit.rest('DELETE', path, { key: null, headers })).status).toBe(401);
  const { status, errors } = await kit.gql(
    `mutation { deleteEmbedChat(input: { uuid: "${uuid}", clientSessionId: "${randomUUID()}" }) { deleted } }`,
    {},
    null,
  );
  expect([status, errors[0]?.extensions.code]).toEqual([200, 'FORBIDDEN']);
});

test('sends no Access-Control-Allow-Origin header to a page of an unknown origin', async () => {
  const uuid = await made();
  const preflight = await fetch(`${kit.url}/api/embed/${uuid}/stream-chat`, {
    method: 'OPTIONS',
    headers: { origin: 'https://shop.example', 'access-control-request-method': 'POST' },
  });
  expect(preflight.headers.get('access-control-allow-origin')).toBeNull();
});

test('accepts the server’s own origin and the listed origins', async () => {
  const listed = await made({ allowlist_domains: 'shop.example' });
  expect((await ask(listed, 'https://shop.example')).status).toBe(200);
  expect((await ask(listed, 'https://other.example')).status).toBe(401);
  expect((await ask(await made(), 'http://latchkey.test')).status).toBe(200);
});

test('removing the list of origins ends the open streams of its pages', async () => {
  const uuid = await made({ allowlist_domains: 'shop.example' });
  const gate = makeGate();
  kit.model.script({ text: ['one', ' two'], gate });
  const asked = kit.model.requests.length;
  const answer = ask(uuid, 'https://shop.example');
  await until(() => kit.model.requests.length > asked);
  const change = await kit.rest('POST', `/api/v1/embed/${uuid}`, { body: { allowlist_domains: [] } });
  expect(change.status).toBe(200);
  expect((await answer).text).toContain('"type":"abort"');
  gate.open();
});
