import { badInput } from './errors.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Levels of arrays and objects in a body. What is nested deeper would exhaust the stack of whatever walks it. */
const mostLevels = 200;

/** Reads the body of a request. Throws BAD_USER_INPUT for what is not UTF-8, not JSON, or nested too deeply. */
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
  if (!fits(value, mostLevels)) throw badInput(['body'], `is nested more than ${mostLevels} levels deep`);
  return value;
}

const fits = (value: unknown, levels: number): boolean =>
  typeof value !== 'object' ||
  value === null ||
  (levels > 0 && Object.values(value).every((inner) => fits(inner, levels - 1)));
