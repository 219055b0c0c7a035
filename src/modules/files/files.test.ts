import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nothingStored } from '../../../test/expect-unchanged.ts';
import { type Kit, startKit } from '../../../test/kit.ts';
import {
  blobsOf,
  boundary,
  formBytes,
  type Part,
  png,
  postForm,
  sweep,
  uploadGraphql,
  uploadPath,
  uploadRest,
} from '../../../test/multipart.ts';
import { httpExchange } from '../../../test/security/raw-http.ts';
import { globalId } from '../../graphql/id-input.ts';
import { folderBlobs } from '../../store/blobs.ts';

const megabyte = 1024 * 1024;

let kit: Kit;
let anna: { secret: string; userId: string };
let projectId: number;

beforeAll(async () => {
  kit = await startKit({ environment: { MAX_FILE_MB: '1' } });
  anna = await kit.createKey('BASIC', { name: 'anna' });
  projectId = (await kit.rest('POST', '/api/user/projects/create?name=Moon', { key: anna.secret })).body.id;
});
afterAll(() => kit?.close());

const upload = (files: Record<string, string | Uint8Array>, fields: Record<string, string> = {}) =>
  uploadRest(kit, files, { key: anna.secret, fields });
const settled = () => kit.booted.background.settled();
const stored = (id: string) => kit.prisma.file.findUniqueOrThrow({ where: { id }, include: { document: true } });

const unchanged = <T>(work: () => Promise<T>): Promise<T> => nothingStored(kit, work);

describe('an uploaded file', () => {
  it('is stored, read, and found by the chats of its project', async () => {
    const id = await kit.upload('../../moon.md', '# Moon\n\nThe zorkmid crater is 12 km wide.', {
      key: anna.secret,
      projectId,
    });
    const one = await kit.rest('GET', `/api/user/projects/file/${id}`, { key: anna.secret });
    expect(one.body).toMatchObject({
      id,
      name: 'moon.md',
      status: 'COMPLETED',
      chat_file_type: 'plain_text',
      chunk_count: 1,
    });
    const answer = await kit.rest('POST', '/api/chat/send-chat-message', {
      key: anna.secret,
      body: { message: 'How wide is the zorkmid crater?', stream: false, chat_session_info: { project_id: projectId } },
    });
    expect(answer.body.answer).toContain('12 km wide');
    expect(answer.body.citation_info).toMatchObject([{ document_id: id }]);
  });

  it('leaves an audit event with its actor and project but without its name', async () => {
    const id = await kit.upload('private-name.txt', 'text', { key: anna.secret, projectId });
    const [event, ...others] = await kit.prisma.auditEvent.findMany({ where: { targetId: id } });
    expect(others).toEqual([]);
    expect(event).toMatchObject({
      action: 'file.upload',
      actorId: anna.userId,
      targetType: 'File',
      detail: { mediaType: 'text/plain', size: 4, projectId },
    });
    expect(JSON.stringify(event, (_, value) => (typeof value === 'bigint' ? '' : value))).not.toContain('private-name');
  });

  it('is PROCESSING until its text is extracted, then COMPLETED, or FAILED with the reason', async () => {
    const { body } = await upload({ 'good.csv': 'a,b\n1,2', 'bad.json': '{"a":', 'pixel.png': png });
    const ids = body.user_files.map(({ id }: { id: string }) => id);
    expect(body.user_files.map(({ status }: { status: string }) => status)).toEqual([
      'PROCESSING',
      'PROCESSING',
      // The file has no text to extract.
      'COMPLETED',
    ]);
    await settled();
    const statuses = await kit.rest('POST', '/api/user/projects/file/statuses', {
      key: anna.secret,
      body: { file_ids: ids },
    });
    const of = (id: string) => statuses.body.find((file: { id: string }) => file.id === id);
    expect(ids.map(of)).toMatchObject([
      { status: 'COMPLETED', chat_file_type: 'csv', file_type: 'text/csv', token_count: 2, chunk_count: 1 },
      { status: 'FAILED', chat_file_type: 'plain_text', token_count: null, chunk_count: null },
      { status: 'COMPLETED', chat_file_type: 'image', file_type: 'image/png', chunk_count: null },
    ]);
    expect(of(ids[2]).token_count).toBeGreaterThan(0);
    const { data } = await kit.gql(`query ($id: ID!) { file(id: $id) { status error } }`, { id: ids[1] }, anna.secret);
    expect(data.file).toEqual({ status: 'FAILED', error: 'is not valid JSON' });
  });

  it('is extracted at the next start when the process ended during extraction', async () => {
    const id = await kit.upload('later.txt', 'The grue sleeps.', { key: anna.secret });
    // The state that a process leaves when it is killed during extraction.
    await kit.prisma.document.delete({ where: { fileId: id } });
    await kit.prisma.file.update({ where: { id }, data: { status: 'PROCESSING', text: null, tokenCount: null } });
    await kit.booted.services.files.resume();
    await settled();
    expect(await stored(id)).toMatchObject({
      status: 'COMPLETED',
      text: 'The grue sleeps.',
      document: { externalId: id, source: 'user_file', isPublic: false, ownerId: anna.userId },
    });
  });

  it('becomes FAILED at the next start when its bytes are missing', async () => {
    const { id } = await kit.prisma.file.create({
      data: {
        id: 'aaaaaaaa-0000-4000-8000-000000000000',
        ownerId: anna.userId,
        name: 'gone.txt',
        mediaType: 'text/plain',
        kind: 'PLAIN_TEXT',
        size: 1,
      },
    });
    await kit.booted.services.files.resume();
    await settled();
    expect(await stored(id)).toMatchObject({ status: 'FAILED', error: 'no longer exists', document: null });
  });
});

describe('POST /user/projects/file/upload', () => {
  it('accepts several files in their order and returns the reason for each rejected file', async () => {
    const { status, body } = await upload(
      {
        'notes.md': '# Notes',
        'scan.pdf': 'no PDF at all',
        'empty.txt': '',
        'tool.exe': 'MZ\x00\x01',
        'big.txt': 'x'.repeat(megabyte + 1),
        '..': 'dots',
        'fits.txt': 'y'.repeat(megabyte),
      },
      { temp_id_map: JSON.stringify({ '7|notes.md': 'temp-1', '4|other.md': 'temp-2' }) },
    );
    expect(status).toBe(200);
    expect(body.user_files).toEqual([
      {
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        temp_id: 'temp-1',
        name: 'notes.md',
        project_id: null,
        user_id: anna.userId,
        file_id: body.user_files[0].id,
        created_at: expect.any(String),
        status: 'PROCESSING',
        last_accessed_at: null,
        file_type: 'text/markdown',
        chat_file_type: 'plain_text',
        token_count: null,
        chunk_count: null,
      },
      expect.objectContaining({ name: 'fits.txt', temp_id: null }),
    ]);
    expect(body.rejected_files).toEqual([
      { file_name: 'scan.pdf', reason: 'is not a PDF document' },
      { file_name: 'empty.txt', reason: 'is empty' },
      { file_name: 'tool.exe', reason: 'is of a type that is not supported' },
      { file_name: 'big.txt', reason: 'is larger than 1 MB' },
      { file_name: '..', reason: 'has an invalid file name' },
    ]);
  });

  it('matches a client’s temporary ID by the file size and the first 50 characters of the file name', async () => {
    const name = `${'long '.repeat(20)}.txt`;
    const { body } = await upload(
      { [name]: 'abc' },
      { temp_id_map: JSON.stringify({ [`3|${name.slice(0, 50)}`]: 't' }) },
    );
    expect(body.user_files).toMatchObject([{ name, temp_id: 't' }]);
  });

  it('matches a client’s temporary ID when the client’s file name has decomposed accents', async () => {
    const name = 'u\u0308ber.txt';
    const { body } = await upload({ [name]: 'abc' }, { temp_id_map: JSON.stringify({ [`3|${name}`]: 't' }) });
    expect(body.user_files).toMatchObject([{ name: 'über.txt', temp_id: 't' }]);
  });

  it('adds files to the project in `project_id`, and to no project when the field is empty', async () => {
    const inside = (await upload({ 'in.txt': 'in' }, { project_id: String(projectId) })).body.user_files[0];
    const outside = (await upload({ 'out.txt': 'out' }, { project_id: '' })).body.user_files[0];
    const listed = await kit.rest('GET', `/api/user/projects/files/${projectId}`, { key: anna.secret });
    const ids = listed.body.map(({ id }: { id: string }) => id);
    expect(ids[0]).toBe(inside.id);
    expect(ids).not.toContain(outside.id);
  });

  it('rejects an unknown project and another user’s project and stores no data', async () => {
    const theirs = (await kit.rest('POST', '/api/user/projects/create?name=Theirs', { key: kit.keys.BASIC })).body.id;
    await unchanged(async () => {
      for (const project_id of ['999999', String(theirs)]) {
        const { status, body } = await upload({ 'a.txt': 'a' }, { project_id });
        expect([status, body]).toEqual([404, { detail: 'Project not found' }]);
        expect(
          (await uploadGraphql(kit, { 'a.txt': 'a' }, { key: anna.secret, projectId: Number(project_id) })).errors,
        ).toMatchObject([{ message: 'Project not found', extensions: { code: 'NOT_FOUND' } }]);
      }
    });
  });

  const names: [string, string, string | null][] = [
    ['folders', '../../etc/x.txt', 'x.txt'],
    ['folders of Windows', 'C:\\\\temp\\\\x.txt', 'x.txt'],
    ['Unicode', 'Grüße 漢字 😀.txt', 'Grüße 漢字 😀.txt'],
    ['a quote, as browsers write it', 'a%22b.txt', 'a"b.txt'],
    ['a quote, as older tools write it', 'a\\"b.txt', 'a"b.txt'],
    ['blanks around it', '  x.txt  ', 'x.txt'],
    ['255 characters', `${'x'.repeat(251)}.txt`, `${'x'.repeat(251)}.txt`],
    ['300 characters', `${'x'.repeat(296)}.txt`, null],
    ['line ends', 'a%0D%0ASet-Cookie: b.txt', null],
    ['NUL', 'a\0b.txt', null],
    ['nothing', '', null],
    ['a folder and nothing else', 'folder/', null],
  ];
  it.each(names)('normalizes or rejects a file name with %s', async (_what, fileName, name) => {
    const { status, body } = await postForm(kit, uploadPath, [{ name: 'files', fileName, content: 'abc' }], {
      key: anna.secret,
    });
    expect(status).toBe(200);
    if (name !== null) expect(body).toMatchObject({ user_files: [{ name }], rejected_files: [] });
    else {
      expect(body).toMatchObject({ user_files: [], rejected_files: [{ reason: 'has an invalid file name' }] });
      expect(body.rejected_files[0].file_name).not.toContain('\0');
      expect(body.rejected_files[0].file_name.length).toBeLessThanOrEqual(255);
    }
  });

  it.each([
    ['without quotes', "form-data; name=files; filename=x.txt; filename*=utf-8''x.txt"],
    ['in UTF-8 alone', 'form-data; name="files"; filename*=UTF-8\'\'x%2Etxt'],
    ['in another order and case', 'form-data; FILENAME="x.txt"; NAME="files"'],
  ])('reads a file name %s', async (_what, disposition) => {
    const part = { name: 'files', content: 'abc', disposition };
    const { body } = await postForm(kit, uploadPath, [part], { key: anna.secret });
    expect(body).toMatchObject({ user_files: [{ name: 'x.txt' }], rejected_files: [] });
  });

  const latin1 = (text: string) => Buffer.from(text).toString('latin1');
  it.each([
    ['filename* of RFC 8187', 'filename="Gr__e.txt"; filename*=UTF-8\'\'Gr%C3%BC%C3%9Fe.txt', 'Grüße.txt'],
    ['filename* in front', "filename*=utf-8'de'Gr%c3%bc%c3%9fe.txt; filename=x.txt", 'Grüße.txt'],
    ['filename* in quotes', 'filename*="UTF-8\'\'Gr%C3%BC%C3%9Fe.txt"', 'Grüße.txt'],
    ['filename* in Latin-1', "filename*=ISO-8859-1''Gr%FC%DFe.txt", 'Grüße.txt'],
    ['filename* in Shift-JIS', "filename*=Shift_JIS''%8E%91%97%BF.txt", '資料.txt'],
    ['filename* with an escape that is the name’s own', "filename*=UTF-8''100%2522.txt", '100%22.txt'],
    ['filename* that is none', 'filename=x.txt; filename*=x', 'x.txt'],
    ['segments of RFC 2231', 'filename*0*=UTF-8\'\'Gr%C3; filename*1*=%BC%C3%9Fe; filename*2=".txt"', 'Grüße.txt'],
    ['raw UTF-8', `filename="${latin1('Grüße 漢字 😀.txt')}"`, 'Grüße 漢字 😀.txt'],
    ['raw UTF-8 without quotes', `filename=${latin1('Grüße.txt')}`, 'Grüße.txt'],
    ['raw Latin-1', 'filename="Gr\xfc\xdfe \x80.txt"', 'Grüße €.txt'],
    ['letters and accents, apart', `filename="${latin1('Gru\u0308ße.txt')}"`, 'Grüße.txt'],
    ['an encoded word of .NET', 'filename="=?utf-8?B?R3LDvMOfZS50eHQ=?="', 'Grüße.txt'],
    [
      'encoded words that share a character',
      'filename="=?UTF-8?Q?Gr=C3?= =?utf-8?q?=BC=C3=9Fe_1.txt?="',
      'Grüße 1.txt',
    ],
    ['an encoded word in Latin-1', 'filename="=?iso-8859-1?Q?Gr=FC=DFe?=.txt"', 'Grüße.txt'],
    ['both of .NET', 'filename="=?utf-8?B?eA==?="; filename*=utf-8\'\'Gr%C3%BC%C3%9Fe.txt', 'Grüße.txt'],
    ['escaped quotes and backslashes', 'filename="say \\"hi\\" (1).txt"', 'say "hi" (1).txt'],
    ['quotes that nobody escaped', 'filename="say "hi" (1).txt"; x=y', 'say "hi" (1).txt'],
    ['a semicolon', 'filename="a;b.txt"', 'a;b.txt'],
    ['an escaped quote and a semicolon', 'filename="a\\"; b.txt"', 'a"; b.txt'],
    ['a path of Windows', 'filename="C:\\new\\text.txt"', 'text.txt'],
    ['percent signs', 'filename="100% %41 %22.txt"', '100% %41 ".txt'],
    ['no end', 'filename="x.txt', 'x.txt'],
  ])('decodes a file name with %s', async (_what, parameters, name) => {
    const disposition = `form-data; name="files"; ${parameters}`;
    const bytes = Buffer.from(
      `--${boundary}\r\nContent-Disposition: ${disposition}\r\n\r\nabc\r\n--${boundary}--\r\n`,
      'latin1',
    );
    const { body } = await postForm(kit, uploadPath, Uint8Array.from(bytes), { key: anna.secret });
    expect(body.rejected_files).toEqual([]);
    expect(body.user_files).toMatchObject([{ name }]);
    const file = await kit.rest('GET', `/api/chat/file/${body.user_files[0].id}`, { key: anna.secret });
    expect(decodeURIComponent(file.headers.get('content-disposition')?.split("filename*=UTF-8''")[1] ?? '')).toBe(name);
  });

  it('rejects a file name of 60,000 backslashes without delay', async () => {
    const fileName = '\\'.repeat(60_000);
    const { body } = await postForm(kit, uploadPath, [{ name: 'files', fileName, content: 'abc' }], {
      key: anna.secret,
    });
    expect(body).toMatchObject({ user_files: [], rejected_files: [{ reason: 'has an invalid file name' }] });
  });

  it('replays the same files for an Idempotency-Key, also with another boundary, and rejects different files', async () => {
    const send = (content: string, mark: string, fileName = 'once.txt') =>
      postForm(kit, uploadPath, [{ name: 'files', fileName, content }], {
        key: anna.secret,
        mark,
        headers: { 'idempotency-key': 'upload-1' },
      });
    const first = await send('once', 'one-boundary');
    expect(first.status).toBe(200);
    await settled();
    await unchanged(async () => {
      const again = await send('once', 'another-boundary');
      expect([again.status, again.text]).toEqual([200, first.text]);
      expect(again.headers.get('idempotency-replayed')).toBe('true');
      expect((await send('other', 'one-boundary')).status).toBe(422);
      expect((await send('once', 'one-boundary', 'renamed.txt')).status).toBe(422);
    });
  });
});

describe('an upload form', () => {
  const file: Part = { name: 'files', fileName: 'a.txt', content: 'a' };
  const cases: [string, readonly Part[] | BodyInit, number, string, Record<string, string>?][] = [
    ['no boundary', formBytes([file]), 422, 'body: has no boundary', { 'content-type': 'multipart/form-data' }],
    ['a boundary that does not exist', formBytes([file], 'other'), 422, 'body: is not a complete multipart form'],
    ['a body that breaks off', formBytes([file]).slice(0, -20), 422, 'body: is not a complete multipart form'],
    ['nothing', '', 422, 'body: is not a complete multipart form'],
    ['no end', `--${boundary}\r\n\r\n`, 422, 'body: is not a complete multipart form'],
    ['101 parts', Array<Part>(101).fill({ name: 'x', content: '' }), 422, 'body: has more than 100 parts'],
    ['a part without a name', [{ ...file, disposition: 'form-data; filename="a"' }], 422, 'a part without a name'],
    ['other fields', [{ ...file, name: 'file' }], 422, 'files: '],
    ['text for a file', [{ name: 'files', content: 'text' }], 422, 'files.0: must be a file'],
    ['21 files', Array<Part>(21).fill(file), 400, 'files: must be 1 to 20 files'],
    ['a word for a project', [file, { name: 'project_id', content: 'abc' }], 422, 'project_id'],
    ['a project beyond all', [file, { name: 'project_id', content: '9'.repeat(20) }], 422, 'project_id'],
    ['two projects', [file, ...['1', '2'].map((content) => ({ name: 'project_id', content }))], 422, 'project_id'],
    ['a map that is none', [file, { name: 'temp_id_map', content: '[1]' }], 400, 'temp_id_map: must be a JSON'],
    ['a map that is no JSON', [file, { name: 'temp_id_map', content: '{' }], 400, 'temp_id_map: must be a JSON'],
    ['JSON', '{"files":[]}', 415, 'multipart/form-data', { 'content-type': 'application/json' }],
  ];
  it.each(cases)(
    'is rejected when invalid, and no data is stored: %s',
    async (_what, body, status, message, headers = {}) => {
      await unchanged(async () => {
        const answer = await postForm(kit, uploadPath, body, { key: anna.secret, headers });
        expect(answer.status).toBe(status);
        expect(answer.body.message ?? answer.body.detail).toContain(message);
      });
    },
  );

  it('may have 100 parts', async () => {
    const parts = [file, ...Array<Part>(99).fill({ name: 'x', content: '' })];
    expect((await postForm(kit, uploadPath, parts, { key: anna.secret })).body.user_files).toHaveLength(1);
  });

  const head = (rest: string) =>
    `POST ${uploadPath} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${anna.secret}\r\n` +
    `Content-Type: multipart/form-data; boundary=${boundary}\r\n${rest}\r\n\r\n`;
  const port = () => Number(new URL(kit.url).port);

  it('is rejected with 413 above the maximum request size, with and without Content-Length', async () => {
    await unchanged(async () => {
      const announced = await httpExchange(port(), `${head(`Content-Length: ${21 * megabyte}`)}--${boundary}`, {
        endAfterSending: true,
      });
      expect(announced).toMatch(/^HTTP\/1\.1 413 [\s\S]*"PAYLOAD_TOO_LARGE"/);
      const chunk = new Uint8Array(megabyte);
      let sent = 0;
      const stream = new ReadableStream({
        pull(controller) {
          if (sent++ < 22) controller.enqueue(chunk);
          else controller.close();
        },
      });
      const counted = await fetch(`${kit.url}${uploadPath}`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${anna.secret}`,
          'content-type': `multipart/form-data; boundary=${boundary}`,
          // The server does not read the rest.
          connection: 'close',
        },
        body: stream,
        duplex: 'half',
      } as RequestInit);
      expect(counted.status).toBe(413);
    });
  });

  it('stores no data when the connection closes during the upload', async () => {
    const half = Buffer.from(formBytes([{ ...file, content: 'x'.repeat(5000) }]).slice(0, 2500)).toString('latin1');
    await unchanged(async () => {
      for (const rest of ['Content-Length: 5000', 'Transfer-Encoding: chunked']) {
        const body = rest.startsWith('T') ? `${half.length.toString(16)}\r\n${half}\r\n` : half;
        const answer = await httpExchange(port(), head(rest) + body, { endAfterSending: true });
        // The client may have closed the connection before the response.
        expect(answer).toMatch(/^$|^HTTP\/1\.1 400 /);
      }
    });
  });
});

describe('the storage limit of a user', () => {
  it('rejects files beyond 1,000, keeps the earlier ones, and stores no bytes of the rest', async () => {
    const full = await kit.createKey('BASIC', { name: 'full' });
    const id = (n: number) => `bbbbbbbb-0000-4000-8000-${String(n).padStart(12, '0')}`;
    await kit.prisma.file.createMany({
      data: Array.from({ length: 999 }, (_, n) => ({
        id: id(n),
        ownerId: full.userId,
        name: 'x.png',
        mediaType: 'image/png',
        kind: 'IMAGE' as const,
        size: 1,
        status: 'COMPLETED' as const,
      })),
    });
    const blobs = blobsOf(kit).length;
    const both = await uploadRest(kit, { 'last.txt': 'last', 'over.txt': 'over' }, { key: full.secret });
    expect([both.status, both.body.error_code]).toEqual([409, 'CONFLICT']);
    await settled();
    expect(await kit.prisma.file.count({ where: { ownerId: full.userId } })).toBe(1000);
    await unchanged(async () => {
      const more = await uploadGraphql(kit, { 'over.txt': 'over' }, { key: full.secret });
      expect(more.errors).toMatchObject([
        { message: 'Too many files (limit: 1000).', extensions: { code: 'CONFLICT' } },
      ]);
    });
    expect(blobsOf(kit)).toHaveLength(blobs + 1);
  });

  it('rejects files beyond 2 GB', async () => {
    const full = await kit.createKey('BASIC', { name: 'fat' });
    const data = { ownerId: full.userId, name: 'x.png', mediaType: 'image/png', kind: 'IMAGE' as const };
    await kit.prisma.file.create({
      data: { ...data, id: 'cccccccc-0000-4000-8000-000000000000', size: 1_999_999_997, status: 'COMPLETED' },
    });
    expect((await uploadRest(kit, { 'a.txt': 'abc' }, { key: full.secret })).status).toBe(200);
    await settled();
    await unchanged(async () => {
      expect((await uploadRest(kit, { 'a.txt': 'a' }, { key: full.secret })).status).toBe(409);
    });
  });
});

describe('a file over GraphQL', () => {
  it('is identified by its global ID or its UUID and returns its owner, projects and agents', async () => {
    const id = await kit.upload('related.txt', 'Related.', { key: anna.secret, projectId });
    const other = await kit.createKey('BASIC', { name: 'other' });
    const read = `query ($id: ID!) { file(id: $id) { id owner { name } projects { totalCount nodes { name } } agents { totalCount } } }`;
    const { data, errors } = await kit.gql(read, { id }, anna.secret);
    expect(errors).toEqual([]);
    expect(data.file).toEqual({
      id: globalId('File', id),
      owner: { name: 'anna' },
      projects: { totalCount: 1, nodes: [{ name: 'Moon' }] },
      agents: { totalCount: 0 },
    });
    expect((await kit.gql(read, { id: data.file.id }, anna.secret)).data.file).toEqual(data.file);
    await unchanged(async () => {
      const refused = await kit.gql(read, { id: data.file.id }, other.secret);
      expect(refused.errors[0]?.extensions.code).toBe('NOT_FOUND');
      const input = { fileId: data.file.id, projectId: globalId('Project', projectId) };
      for (const name of ['LinkFileToProject', 'UnlinkFileFromProject']) {
        const field = `${name[0]?.toLowerCase()}${name.slice(1)}`;
        const query = `mutation ($input: ${name}Input!) { ${field}(input: $input) { file { name } } }`;
        expect((await kit.gql(query, { input }, other.secret)).errors[0]?.extensions.code).toBe('NOT_FOUND');
        const swapped = { fileId: input.projectId, projectId: input.fileId };
        expect((await kit.gql(query, { input: swapped }, anna.secret)).errors[0]?.extensions).toMatchObject({
          code: 'BAD_USER_INPUT',
          fields: [{ path: ['input', 'fileId'] }],
        });
      }
    });
    const list = `query ($filter: FileFilter!) { files(filter: $filter, orderBy: { field: NAME }) { nodes { name } } }`;
    const filter = { projectId: globalId('Project', projectId), ids: [data.file.id], search: 'RELATED' };
    expect((await kit.gql(list, { filter }, anna.secret)).data.files.nodes).toEqual([{ name: 'related.txt' }]);
    for (const search of ['moon', '%', '_'])
      expect((await kit.gql(list, { filter: { ...filter, search } }, anna.secret)).data.files.nodes).toEqual([]);
  });
});

it('bytes that a crash left without a database row are erased when their time limit expires', async () => {
  const id = 'dddddddd-0000-4000-8000-000000000000';
  await kit.prisma.orphanedBlob.create({ data: { id, dueAt: new Date(Date.now() + 60_000) } });
  await folderBlobs(join(kit.booted.foundation.settings.dataDir, 'files')).write(id, png);
  await sweep(kit);
  expect(blobsOf(kit)).toContain(id);
  await kit.prisma.orphanedBlob.update({ where: { id }, data: { dueAt: new Date() } });
  await sweep(kit);
  expect(blobsOf(kit)).not.toContain(id);
  expect(await kit.prisma.orphanedBlob.count()).toBe(0);
});

it('the stored bytes are exactly those of the stored files after all of these tests', async () => {
  const files = await kit.prisma.file.findMany({ where: { name: { notIn: ['x.png', 'gone.txt'] } } });
  expect(files.length).toBeGreaterThan(20);
  expect(blobsOf(kit).sort()).toEqual(files.map(({ id }) => id).sort());
});
