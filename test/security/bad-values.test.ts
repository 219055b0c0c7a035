import { describe, expect, it } from 'vitest';
import { clean, inWordsOf, nothingChanges, rowAt, send, serverOf, startServers } from './bad-requests.ts';

startServers();

describe('invalid values', () => {
  nothingChanges();

  const lonely = '"\\ud800"';
  const persona = (fields: string) =>
    `{"description": "d", "document_set_ids": [], "tool_ids": [], "system_prompt": "", "task_prompt": "", "datetime_aware": true, ${fields}}`;
  const wrong: [string, string, string, string | RegExp][] = [
    ['POST', '/api/chat/create-chat-session', '{"persona_id": "zero"}', /persona_id/],
    ['POST', '/api/chat/create-chat-session', '{"persona_id": 1e400}', /persona_id/],
    ['POST', '/api/chat/create-chat-session', '{"persona_id": 9007199254740993}', /persona_id/],
    ['POST', '/api/chat/create-chat-session', '{"persona_id": 0.5}', /persona_id/],
    ['POST', '/api/chat/create-chat-session', '{"description": 5}', /description/],
    ['POST', '/api/chat/create-chat-session', '{"description": "a\\u0000b"}', /description: .*NUL/],
    ['POST', '/api/chat/create-chat-session', `{"description": ${lonely}}`, /description: .*Unicode/],
    ['POST', '/api/chat/send-chat-message', '{"stream": false}', /message/],
    ['POST', '/api/chat/send-chat-message', '{"message": null, "stream": false}', /message/],
    ['POST', '/api/chat/send-chat-message', '{"message": ["x"], "stream": false}', /message/],
    ['POST', '/api/chat/send-chat-message', '{"message": "\\u0000", "stream": false}', /message.*NUL/],
    ['POST', '/api/chat/send-chat-message', `{"message": ${lonely}, "stream": false}`, /message.*Unicode/],
    [
      'POST',
      '/api/chat/send-chat-message',
      '{"message": "x", "stream": false, "parent_message_id": 9007199254740993}',
      /parent_?message_?id/i,
    ],
    [
      'POST',
      '/api/chat/send-chat-message',
      '{"message": "x", "stream": false, "parent_message_id": 1e400}',
      /parent_?message_?id/i,
    ],
    [
      'POST',
      '/api/chat/send-chat-message',
      '{"message": "x", "stream": false, "parent_message_id": 4294967296}',
      /parent_?message_?id/i,
    ],
    [
      'POST',
      '/api/chat/send-chat-message',
      '{"message": "x", "stream": false, "allowed_tool_ids": [2147483648]}',
      /tool_ids|actionIds/i,
    ],
    [
      'POST',
      '/api/chat/send-chat-message',
      '{"message": "x", "stream": false, "allowed_tool_ids": "all"}',
      /allowed_tool_ids/,
    ],
    [
      'POST',
      '/api/chat/send-chat-message',
      '{"message": "x", "stream": false, "chat_session_id": "not-a-uuid"}',
      /chat_session_id/,
    ],
    [
      'POST',
      '/api/chat/send-chat-message',
      '{"message": "x", "stream": false, "llm_override": {"temperature": 1e400}}',
      /temperature/,
    ],
    [
      'POST',
      '/api/chat/send-chat-message',
      '{"message": "x", "stream": false, "internal_search_filters": {"time_cutoff": "0000-01-01T00:00:00Z"}}',
      /time_?cutoff|since|DateTime/i,
    ],
    [
      'POST',
      '/api/chat/send-chat-message',
      '{"message": "x", "stream": false, "internal_search_filters": {"tags": [{"tag_key": "\\u0000", "tag_value": "x"}]}}',
      /tags.*NUL/,
    ],
    ['POST', '/api/admin/api-key', '{"name": {"first": "x"}}', /name/],
    ['POST', '/api/admin/api-key', '{"name": "x", "role": "owner"}', /role/],
    ['POST', '/api/admin/api-key', '{"name": "x", "group_ids": [1e400]}', /group_ids/],
    ['POST', '/api/admin/api-key', '{"name": "a\\u0000b"}', /name.*NUL/],
    ['POST', '/api/admin/api-key', `{"name": ${lonely}}`, /name.*Unicode/],
    [
      'POST',
      '/api/admin/api-key',
      '{"name": "x", "expires_at": "0000-01-01T00:00:00Z"}',
      /expires_at: must have a year from 1 to 9999/,
    ],
    ['POST', '/api/admin/api-key', '{"name": "x", "expires_at": "tomorrow"}', /expires_at/],
    ['POST', '/api/user/pats', '{}', /name/],
    ['POST', '/api/user/pats', '{"name": "x", "expiration_days": 1e400}', /expiration_days/],
    ['POST', '/api/user/pats', '{"name": "x", "expiration_days": 9007199254740993}', /expiration_days/],
    ['POST', '/api/user/pats', '{"name": "x", "scopes": ["everything"]}', /scope/],
    ['POST', '/api/user/pats', '{"name": "x", "scopes": {"0": "read:chat"}}', /scopes/],
    ['POST', '/api/persona', '{"description": "no name"}', /name/],
    ['POST', '/api/persona', persona(`"name": "${'n'.repeat(10_000)}"`), /name/],
    ['POST', '/api/persona', persona('"name": "a\\u0000b"'), /name.*NUL/],
    ['POST', '/api/persona', persona(`"name": ${lonely}`), /name.*Unicode/],
    ['POST', '/api/persona', persona('"name": "x", "is_public": "yes please"'), /is_public/],
    ['POST', '/api/persona', persona('"name": "x", "label_ids": [9007199254740993]'), /label_ids/],
    [
      'POST',
      '/api/persona',
      persona('"name": "x", "search_start_date": "0000-01-01T00:00:00Z"'),
      /search_start_date must have a year from 1 to 9999/,
    ],
    ['POST', '/persona/labels', '{"name": "\\u0000"}', /name|NUL/],
    [
      'POST',
      '/api/onyx-api/ingestion',
      '{"document": {"semantic_identifier": "x", "sections": [], "metadata": {}}}',
      /sections/,
    ],
    [
      'POST',
      '/api/onyx-api/ingestion',
      '{"document": {"semantic_identifier": "x", "sections": [{"text": 5}], "metadata": {}}}',
      /sections\.0\.text/,
    ],
    [
      'POST',
      '/api/onyx-api/ingestion',
      '{"document": {"semantic_identifier": "a\\u0000b", "sections": [{"text": "y"}], "metadata": {}}}',
      /document\.semantic_identifier: .*NUL/,
    ],
    [
      'POST',
      '/api/onyx-api/ingestion',
      `{"document": {"semantic_identifier": "x", "sections": [{"text": ${lonely}}], "metadata": {}}}`,
      /text.*Unicode/,
    ],
    [
      'POST',
      '/api/onyx-api/ingestion',
      `{"document": {"semantic_identifier": "x", "sections": [{"text": "y"}], "metadata": {${lonely}: "z"}}}`,
      /metadata/,
    ],
    [
      'POST',
      '/api/onyx-api/ingestion',
      '{"document": {"semantic_identifier": "x", "sections": [{"text": "y"}], "metadata": {}, "doc_updated_at": "0000-01-01T00:00:00Z"}}',
      /document\.doc_updated_at: must have a year from 1 to 9999/,
    ],
    ['PATCH', '/api/admin/api-key/1e400', '{"name": "x"}', /api_key_id/],
    ['PATCH', '/api/admin/api-key/9007199254740993', '{"name": "x"}', /api_key_id/],
    ['PUT', '/api/chat/rename-chat-session', '{"chat_session_id": 5, "name": "x"}', /chat_session_id/],
    [
      'PATCH',
      '/api/chat/chat-session/11111111-2222-4333-8444-555555555555',
      '{"sharing_status": "friends"}',
      /sharing_status/,
    ],
    ['GET', '/api/chat/get-user-chat-sessions?page_size=0', '', /page_size/],
    ['GET', '/api/chat/get-user-chat-sessions?page_size=1e400', '', /page_size/],
    ['GET', '/api/chat/get-user-chat-sessions?page_size=1&page_size=2', '', /page_size/],
    ['GET', '/api/chat/get-user-chat-sessions?before=yesterday', '', /before/],
    ['GET', '/api/chat/get-user-chat-sessions?before=0000-01-01T00:00:00', '', /before|DateTime/],
    ['GET', '/api/chat/get-user-chat-sessions?include_failed_chats=maybe', '', /include_failed_chats/],
    ['GET', '/api/chat/search?page=-1', '', /page/],
    ['GET', '/api/chat/search?page=99999999999999999999', '', /page/],
    ['GET', '/api/chat/get-chat-session/not-a-uuid', '', /session_id/],
    ['GET', '/api/agents?page_num=-1', '', /page_num/],
    ['GET', '/api/persona?persona_ids=x', '', /persona_ids/],
    ['GET', '/api/admin/audit-events/export?format=xml', '', /format/],
    ['GET', '/api/chat/export?format=xml', '', /format/],
    ['GET', '/api/chat/export?session_id=x', '', /session_id/],
    ['GET', '/api/admin/audit-events/export?since=0000-01-01T00:00:00Z', '', /since/],
    ['GET', '/api/admin/audit-events/export?token_id=4294967296', '', /token_id/],
    ['GET', '/api/admin/audit-events/export?target_id=%00', '', /target_?id.*NUL/i],
    ['POST', '/auth/register', '{"email": "nobody", "password": "long enough"}', /email/],
    ['POST', '/auth/register', '{"email": "a\\u0000@people.example", "password": "long enough"}', /email.*NUL/],
    ['POST', '/auth/register', `{"email": ${lonely}, "password": "long enough"}`, /email.*Unicode/],
    ['POST', '/auth/register', '{"email": "a@people.example", "password": "long\\u0000enough"}', /PASSWORD.*NUL/],
    ['POST', '/auth/register', '{"email": "a@people.example", "password": "short77"}', /PASSWORD.*at least 8/],
    // One response to every failed login.
    ['POST', '/auth/login', '{"username": "\\u0000", "password": "long enough"}', /LOGIN_BAD_CREDENTIALS/],
    ['POST', '/auth/mobile/login', `{"username": "a", "password": ${lonely}}`, /LOGIN_BAD_CREDENTIALS/],
    ['POST', '/password/reset_password', '{"user_email": "a\\u0000b"}', /email.*NUL/],
    ['PUT', '/manage/admin/users', '{"emails": []}', /emails/],
    ['PUT', '/manage/admin/users', '{"emails": ["a@people.example", "nobody"]}', /Invalid email address: nobody/],
    ['PUT', '/manage/admin/users', `{"emails": [${lonely}]}`, /Invalid email address/],
    ['PATCH', '/manage/admin/remove-invited-user', '{"user_email": "a\\u0000b"}', /email.*NUL/],
    ['PATCH', '/manage/admin/deactivate-user', '{"user_email": "a\\u0000b"}', /email.*NUL/],
    ['PATCH', '/manage/admin/activate-user', `{"user_email": ${lonely}}`, /email.*Unicode/],
    ['DELETE', '/manage/admin/delete-user', `{"user_email": "${'n'.repeat(10_000)}"}`, /email.*at most 254/],
    ['PATCH', '/manage/set-user-role', '{"user_email": "a@people.example", "new_role": "owner"}', /new_role/],
    ['PATCH', '/manage/set-user-role', '{"user_email": "a@people.example", "new_role": "curator"}', /new_role/],
    ['PATCH', '/manage/set-user-role', '{"user_email": "\\u0000", "new_role": "admin"}', /email.*NUL/],
    ['PATCH', '/manage/admin/users/admin-access', '{"user_email": "\\u0000", "is_admin": true}', /email.*NUL/],
    ['GET', '/manage/users?q=%00', '', /q: .*NUL/],
    ['GET', '/manage/users/accepted?q=%00', '', /q: .*NUL/],
    ['GET', '/manage/users/accepted?roles=admin&roles=owner', '', /roles/],
    ['POST', '/user/projects/create?name=%00', '', /name.*NUL/],
    ['POST', `/user/projects/create?name=${'n'.repeat(3000)}`, '', /name/],
    ['POST', '/user/projects/create?name=%20', '', /name cannot be empty/],
    ['PATCH', '/user/projects/2147483647', '{"name": "\\u0000"}', /name.*NUL/],
    ['PATCH', '/user/projects/2147483647', `{"description": ${lonely}}`, /description.*Unicode/],
    ['POST', '/user/projects/2147483647/instructions', '{"instructions": "\\u0000"}', /instructions.*NUL/],
    ['POST', '/user/projects/2147483647/move_chat_session', '{"chat_session_id": "x"}', /chat_session_id/],
    ['POST', '/oauth/introspect', '{"token": ""}', /token/],
    ['POST', '/oauth/introspect', `{"token": "${'x'.repeat(1001)}"}`, /token/],
    ['POST', '/api/system/generate-api-key', '{"name": "a\\u0000b"}', /name.*NUL/],
    ['POST', '/api/system/generate-api-key', `{"name": ${lonely}}`, /name.*Unicode/],
    ['POST', '/api/system/generate-api-key', `{"name": "${'n'.repeat(10_000)}"}`, /name/],
    ['POST', '/api/system/generate-api-key', '{"role": "owner"}', /role/],
    ['POST', '/api/system/generate-api-key', '{"scopes": []}', /scope/],
    ['POST', '/api/system/generate-api-key', '{"expires_at": "0000-01-01T00:00:00Z"}', /expires_?at|DateTime/i],
    ['POST', '/api/admin/generate-api-key', '{"scopes": ["everything"]}', /scope/],
    ['POST', '/api/admin/generate-api-key', '{"name": "a\\u0000b"}', /name.*NUL/],
  ];

  const everyWrong = wrong.map(([method, path, body, message]) => ({
    name: `${method} ${path} ${body.slice(-80)}`,
    method,
    path,
    body,
    message,
  }));
  it.each(everyWrong)('$name: returns an error that describes the problem', async ({ method, path, body, message }) => {
    // The downloads are not endpoints; their errors have the format of neighboring endpoints.
    const row = rowAt(method, /^\/api\/(admin\/audit-events|chat)\/export/.test(path) ? '/admin/api-key' : path);
    const reply = await send(method, path, { on: serverOf(row), ...(body !== '' && { body }) });
    clean(reply, body);
    inWordsOf(row, reply, body);
    expect(reply.text).toMatch(message);
    expect(reply.text.length).toBeLessThan(1000);
  });
});
