import { describe, expect, it } from 'vitest';
import { createReplyCheck, mismatchOf } from './reply-check.ts';

const Version = { type: 'object', properties: { backend_version: { type: 'string' } }, required: ['backend_version'] };
const Failed = { type: 'object', properties: { detail: { type: ['string', 'null'] } }, required: ['detail'] };
const Base = { type: 'object', properties: { id: { type: 'string', format: 'uuid' } }, required: ['id'] };
const json = (schema: object) => ({ content: { 'application/json': { schema } } });

const compare = createReplyCheck({
  components: { schemas: { Version, Failed, Base } },
  paths: {
    '/api/version': { get: { responses: { 200: json({ $ref: '#/components/schemas/Version' }) } } },
    '/api/persona/{persona_id}': {
      get: {
        responses: {
          200: json({
            allOf: [
              { $ref: '#/components/schemas/Base' },
              { type: 'object', properties: { at: { type: 'string', format: 'date-time' } }, required: ['at'] },
            ],
          }),
          404: json({
            anyOf: [{ $ref: '#/components/schemas/Failed' }, { $ref: '#/components/schemas/Version' }],
          }),
        },
      },
      delete: { responses: { 204: {}, 410: { content: { 'text/plain': { schema: { const: 'Gone' } } } } } },
    },
    '/api/file/{name}': {
      get: {
        responses: { 200: { content: { 'text/csv': { schema: { type: 'string' } }, 'image/*': { schema: {} } } } },
      },
    },
  },
});

const id = 'b1946ac9-2493-4a0b-8d4c-6d1b1f5a9d3e';
const at = '2026-01-01T00:00:00.000Z';
const reply = (status: number, body: unknown = null, type: string | null = 'application/json') =>
  new Response(body === null || typeof body === 'string' ? body : JSON.stringify(body), {
    status,
    headers: type === null ? {} : { 'content-type': type },
  });
const check = (path: string, response: Response, method = 'GET') =>
  compare({ url: `http://localhost${path}`, method }, response);

describe('the comparison of responses with openapi.json', () => {
  it('accepts responses with a listed status, content type and body', async () => {
    expect(await check('/api/version', reply(200, { backend_version: '1' }))).toBe(null);
    expect(await check('/api/persona/7', reply(200, { id, at }))).toBe(null);
    expect(await check('/persona/7/', reply(404, { detail: null }))).toBe(null);
    expect(await check('/persona/7', reply(204, null, null), 'DELETE')).toBe(null);
    expect(await check('/persona/7', reply(410, 'Gone', 'text/plain'), 'DELETE')).toBe(null);
    expect(await check('/api/file/a', reply(200, 'a,b', 'text/csv; charset=utf-8'))).toBe(null);
    expect(await check('/api/file/a', reply(200, 'x', 'image/png'))).toBe(null);
  });

  it('does not compare a path or a method that the document does not contain', async () => {
    expect(await check('/graphql', reply(418))).toBe(null);
    expect(await check('/api/persona/7', reply(418), 'PUT')).toBe(null);
  });

  it.each([
    ['a success', 202, { backend_version: '1' }],
    ['an error', 500, { detail: 'Internal error.' }],
  ])('reports the status of %s that is not listed', async (_, status, body) => {
    expect(await check('/api/version', reply(status, body))).toBe(
      `GET /api/version ${status}: the status is not listed. ${JSON.stringify(body)}`,
    );
  });

  it('reports a content type that is not listed', async () => {
    const problems = [
      await check('/api/version', reply(200, 'ok', 'text/plain;charset=UTF-8')),
      await check('/api/persona/7', reply(404, 'Not Found', 'text/html')),
      await check('/api/file/a', reply(200, 'x', 'application/pdf')),
      await check('/api/persona/7', reply(204, null, 'application/json'), 'DELETE'),
    ];
    expect(problems).toEqual([
      'GET /api/version 200: the content type text/plain is not listed. ok',
      'GET /api/persona/{persona_id} 404: the content type text/html is not listed. Not Found',
      'GET /api/file/{name} 200: the content type application/pdf is not listed. x',
      'DELETE /api/persona/{persona_id} 204: the content type application/json is not listed. ',
    ]);
  });

  it('reports a missing content type', async () => {
    const response = reply(200, 'x', 'image/png');
    response.headers.delete('content-type');
    expect(await check('/api/file/a', response)).toMatch(/no content type; expected text\/csv, image\/\*/);
  });

  it.each([
    ['a missing property', '/api/version', 200, {}, /must have required property 'backend_version'/],
    ['another type', '/api/version', 200, { backend_version: null }, /\/backend_version must be string/],
    ['a property that is not listed', '/api/version', 200, { backend_version: '1', commit: 'a' }, /commit/],
    ['another format', '/api/persona/7', 200, { id: '7', at }, /\/id must match format "uuid"/],
    ['a date without a time', '/api/persona/7', 200, { id, at: '2026-01-01' }, /\/at must match format "date-time"/],
    ['a property that no part of allOf lists', '/api/persona/7', 200, { id, at, name: 'x' }, /name/],
    [
      'an error with the body of no alternative',
      '/api/persona/7',
      404,
      { message: 'x' },
      /must match a schema in anyOf/,
    ],
    ['an error with a property of another dialect', '/api/persona/7', 404, { detail: 'x', error: 'y' }, /error/],
  ])('reports a body with %s', async (_, path, status, body, problem) => {
    expect(await check(path, reply(status, body))).toMatch(problem);
  });

  it('reports another text', async () => {
    expect(await check('/persona/7', reply(410, 'Deleted', 'text/plain'), 'DELETE')).toMatch(
      /must be equal to constant/,
    );
  });

  it('reports a JSON response whose body is not JSON', async () => {
    expect(await check('/api/version', reply(200, 'ok'))).toMatch(/the body is not JSON/);
  });

  it('leaves the body of the response to its client', async () => {
    const response = reply(200, { backend_version: '1' });
    await check('/api/version', response);
    expect(await response.json()).toEqual({ backend_version: '1' });
  });

  it('uses the document that the server publishes', async () => {
    const request = { url: 'http://localhost/persona/7', method: 'GET' };
    expect(await mismatchOf(request, reply(403, { detail: 'Access denied.' }))).toBe(null);
    expect(await mismatchOf(request, reply(403, { message: 'Access denied.' }))).toMatch(/^GET \/api\/persona\//);
  });

  it('knows the types of the parts of an error, and which responses are always a stream', async () => {
    const limited = { scope: null, retry_after_seconds: 60, error_code: 'RATE_LIMITED', detail: 'Too many requests.' };
    const persona = { url: 'http://localhost/persona/7', method: 'GET' };
    expect(await mismatchOf(persona, reply(429, { ...limited, reset_at: at }))).toBe(null);
    expect(await mismatchOf(persona, reply(429, { ...limited, reset_at: {} }))).toMatch(/reset_at must be string/);
    const stream = { url: `http://localhost/api/embed/${id}/stream-chat`, method: 'POST' };
    expect(await mismatchOf(stream, reply(200, '', 'text/event-stream'))).toBe(null);
    expect(await mismatchOf(stream, reply(200, {}))).toMatch(/the content type application\/json is not listed/);
  });
});
