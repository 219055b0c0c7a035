import { badInput } from './errors.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Levels of arrays and objects in a body. What is nested deeper would exhaust the stack of whatever walks it. */
const mostLevels = 200;
/**
 * Values in a body, those within others included. A document of 1000 parts with all the metadata it can have has fewer;
 * millions of wrong ones would each become a problem to report.
 */
const mostValues = 20_000;

/** Reads the body of a request. Throws BAD_USER_INPUT for what is not UTF-8, not JSON, too deep or too much of it. */
export function parseJson(bytes: ArrayBuffer): unknown {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw badInput(['body'], 'is not valid UTF-8');
  }
  if (text === '') throw badInput(['body'], 'is required');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw badInput(['body'], 'is not valid JSON');
  }
  let values = 0;
  const walk = (outer: object, levels: number): void => {
    if (levels === 0) throw badInput(['body'], `is nested more than ${mostLevels} levels deep`);
    for (const inner of Object.values(outer)) {
      if (++values > mostValues) throw badInput(['body'], `has more than ${mostValues} values`);
      if (typeof inner === 'object' && inner !== null) walk(inner, levels - 1);
    }
  };
  if (typeof value === 'object' && value !== null) walk(value, mostLevels);
  return value;
}
