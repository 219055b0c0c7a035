import { encodeGlobalID } from '@pothos/plugin-relay';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../errors.ts';
import { integerId, integerIdList, textId, uuidId, uuidIdList } from './id-input.ts';
import './schema.ts';

const path = ['input', 'id'];
const refusal = (read: () => unknown): AppError['details'] & { code: string } => {
  try {
    read();
  } catch (error) {
    if (error instanceof AppError) return { code: error.code, ...error.details };
    throw error;
  }
  throw new Error('nothing was refused');
};
const int = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });

describe('an ID argument', () => {
  it('accepts an integer as a number, as text and as a global ID of the type', () => {
    fc.assert(
      fc.property(int, (id) => {
        expect(integerId(id, 'ApiKey', path)).toBe(id);
        expect(integerId(String(id), 'ApiKey', path)).toBe(id);
        expect(integerId(encodeGlobalID('ApiKey', id), 'ApiKey', path)).toBe(id);
      }),
    );
  });

  it('accepts a UUID in upper or lower case and as a global ID of the type', () => {
    fc.assert(
      fc.property(fc.uuid(), (id) => {
        expect(uuidId(id.toUpperCase(), 'ChatSession', path)).toBe(id);
        expect(uuidId(encodeGlobalID('ChatSession', id), 'ChatSession', path)).toBe(id);
      }),
    );
  });

  it('accepts any text for an object with a text ID and distinguishes it from a global ID', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), int, (text, id) => {
        expect(textId(`x ${text}`, 'Document', path)).toEqual({ text: `x ${text}` });
        expect(textId(encodeGlobalID('Document', id), 'Document', path)).toEqual({ global: String(id) });
      }),
    );
  });

  it('rejects the global ID of another type and names both types', () => {
    const agent = encodeGlobalID('Agent', 1);
    for (const read of [
      () => integerId(agent, 'ApiKey', path),
      () => uuidId(agent, 'ApiKey', path),
      () => textId(agent, 'ApiKey', path),
    ])
      expect(refusal(read)).toEqual({
        code: 'BAD_USER_INPUT',
        fields: [{ path, message: 'is the ID of an object of the type Agent; expected ApiKey', reason: 'OTHER_TYPE' }],
      });
  });

  it('rejects text that is neither an ID nor a global ID of the type, and names the argument', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string({ unit: 'binary' }),
          fc.constantFrom('', ' 1', '1.0', '1e3', '0x1', '2147483648', '-2147483649', '99999999999', 'ApiKey:1'),
          fc.string().map((id) => encodeGlobalID('Nothing', id)),
          fc.string().map((id) => encodeGlobalID('ApiKey', `x${id}`)),
          int.map((id) => `${encodeGlobalID('ApiKey', id)} `),
        ),
        (text) => {
          fc.pre(!/^-?\d{1,9}$/.test(text));
          for (const read of [() => integerId(text, 'ApiKey', path), () => uuidId(text, 'ApiKey', path)])
            expect(refusal(read)).toMatchObject({ code: 'BAD_USER_INPUT', fields: [{ path }] });
        },
      ),
    );
  });

  it('names the index of the invalid entry in a list', () => {
    expect(integerIdList(['1', encodeGlobalID('Agent', 2)], 'Agent', ['agentIds'])).toEqual([1, 2]);
    expect(refusal(() => integerIdList(['1', 'x'], 'Agent', ['agentIds'])).fields?.[0]?.path).toEqual(['agentIds', 1]);
    expect(refusal(() => uuidIdList(['1'], 'Agent', ['agentIds'])).fields?.[0]?.path).toEqual(['agentIds', 0]);
  });
});
