import { parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { AppError, badInput } from '../errors.ts';
import { inTermsOfRequest } from './field-names.ts';

const document = parse(
  'mutation ($input: I!, $id: Int!) { change(input: $input) { a } remove(input: { databaseId: $id, why: "x" }) { a } find(key_id: $id) { a } }',
);

interface Body {
  name?: string;
  expires_at?: string | null;
  max_tokens?: number;
  max_completion_tokens?: number;
  llm_override?: { model_version?: string; temperature?: number } | null;
  labels?: { key: string }[];
  document?: { title: string; sections: { text: string }[] };
}
const mapping = (body: Body, params: { key_id?: number } = {}) => ({
  document,
  input: { body, params, query: undefined },
  shapes: { body: z.object({ name: z.string(), expires_at: z.string().nullish() }) },
  variables: ({ body, params }: { body: Body; params: { key_id?: number }; query: unknown }) => ({
    id: params.key_id,
    input: {
      name: body.name,
      expiresAt: body.expires_at ?? null,
      maxTokens: body.max_completion_tokens ?? body.max_tokens ?? null,
      model: body.llm_override?.model_version,
      tags: body.labels?.map(({ key }) => ({ name: key })),
      ...(body.document && {
        title: body.document.title,
        parts: body.document.sections.map(({ text }) => ({ content: text })),
      }),
    },
  }),
});
const translated = (error: AppError, body: Body, field = 'change', params = {}) =>
  inTermsOfRequest(error, mapping(body, params), field);
const pathOf = (path: (string | number)[], body: Body, field?: string, params?: object) =>
  translated(badInput(path, 'is wrong'), body, field, params).details.fields?.[0]?.path;

describe('the request field that a GraphQL error refers to', () => {
  it('is the field that is mapped to the argument, also deep within the request', () => {
    expect(pathOf(['input', 'expiresAt'], { name: 'a', expires_at: '2001-01-01' })).toEqual(['body', 'expires_at']);
    expect(pathOf(['input', 'model'], { llm_override: { model_version: 'm', temperature: 1 } })).toEqual([
      'body',
      'llm_override',
      'model_version',
    ]);
    expect(pathOf(['input', 'tags', 1, 'name'], { labels: [{ key: 'a' }, { key: 'b' }] })).toEqual([
      'body',
      'labels',
      1,
      'key',
    ]);
  });

  it('is the field that was sent when two fields are mapped to the argument', () => {
    expect(pathOf(['input', 'maxTokens'], { max_tokens: 0 })).toEqual(['body', 'max_tokens']);
    expect(pathOf(['input', 'maxTokens'], { max_completion_tokens: 0 })).toEqual(['body', 'max_completion_tokens']);
  });

  it('is a field that is mapped to the argument when the request omits it', () => {
    expect(pathOf(['input', 'name'], {})).toEqual(['body', 'name']);
    expect(pathOf(['input', 'expiresAt'], { name: 'a' })).toEqual(['body', 'expires_at']);
  });

  it('is the whole list or object when the error refers to the whole', () => {
    expect(pathOf(['input', 'tags'], { labels: [{ key: 'a' }] })).toEqual(['body', 'labels']);
    expect(pathOf(['input', 'parts'], { document: { title: 't', sections: [{ text: 'a' }] } })).toEqual([
      'body',
      'document',
      'sections',
    ]);
    expect(pathOf(['input'], { name: 'a', max_tokens: 1 })).toEqual(['body']);
  });

  it('is found when the mapping requires the object that contains the field', () => {
    const body = { document: { title: 'a', sections: [{ text: 'b' }] } };
    expect(pathOf(['input', 'title'], body)).toEqual(['body', 'document', 'title']);
    expect(pathOf(['input', 'parts', 0, 'content'], body)).toEqual(['body', 'document', 'sections', 0, 'text']);
  });

  it('is a path parameter when the argument comes from the path', () => {
    expect(pathOf(['input', 'databaseId'], {}, 'remove', { key_id: 7 })).toEqual(['path', 'key_id']);
  });

  it('is in its part of the request, also when the argument has the same name', () => {
    const error = translated(badInput(['key_id'], 'is wrong'), {}, 'find', { key_id: 1 });
    expect([error.message, error.details.fields?.[0]?.path]).toEqual(['key_id: is wrong', ['path', 'key_id']]);
  });

  it('is empty when the endpoint sets the value itself', () => {
    expect(pathOf(['input', 'why'], { name: 'a' }, 'remove')).toEqual([]);
    expect(translated(badInput(['input', 'why'], 'is wrong'), {}, 'remove').message).toBe('is wrong');
  });

  it('is also renamed in the text of the message', () => {
    const body = { name: 'a', expires_at: 'x', llm_override: { model_version: 'm' } };
    const error = badInput(['input', 'name'], 'cannot be combined with `expiresAt` or `input.model`, see `other`');
    expect(translated(error, body).message).toBe(
      'name: cannot be combined with `expires_at` or `llm_override.model_version`, see `other`',
    );
  });

  it('is found in fewer than 200 trials, even in a large request', () => {
    let trials = 0;
    const { variables, ...rest } = mapping({ labels: Array.from({ length: 5000 }, (_, key) => ({ key: `${key}` })) });
    const counted = {
      ...rest,
      variables: (input: Parameters<typeof variables>[0]) => {
        trials++;
        return variables(input);
      },
    };
    inTermsOfRequest(badInput(['input', 'nothing', 4999, 'here'], 'is wrong'), counted, 'change');
    expect(trials).toBeLessThan(200);
  });
});

it('leaves other errors unchanged', () => {
  const error = new AppError('CONFLICT', 'AGENT_NAME_TAKEN', 'input.name: taken');
  expect(translated(error, { name: 'a' })).toBe(error);
});
