import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';

let kit: Kit;

beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit.close());

describe('an uploaded file', () => {
  it('is kept, read, and found by the chats of its project', async () => {
    const project = (await kit.rest('POST', '/api/user/projects/create?name=Moon', { key: kit.keys.BASIC })).body.id;
    const id = await kit.upload('../../moon.md', '# Moon\n\nThe zorkmid crater is 12 km wide.', {
      key: kit.keys.BASIC,
      projectId: project,
    });
    const one = await kit.rest('GET', `/api/user/projects/file/${id}`, { key: kit.keys.BASIC });
    expect(one.body).toMatchObject({
      id,
      name: 'moon.md',
      status: 'COMPLETED',
      chat_file_type: 'plain_text',
      chunk_count: 1,
    });
    const answer = await kit.rest('POST', '/api/chat/send-chat-message', {
      key: kit.keys.BASIC,
      body: { message: 'How wide is the zorkmid crater?', stream: false, chat_session_info: { project_id: project } },
    });
    expect(answer.body.answer).toContain('12 km wide');
    expect(answer.body.citation_info).toMatchObject([{ document_id: id }]);
  });
});
