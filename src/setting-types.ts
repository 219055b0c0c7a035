import { z } from 'zod';
import { type AllowedHost, parseAllowedHost } from './http/host-check.ts';

/*
 * Types of the values of settings. An error message continues the name of the setting in one line and states the allowed
 * values. It never quotes a value that can contain a secret.
 */

export const text = z.string().trim().min(1, 'must not be blank');

/** A whole number of a range, written in digits. */
export const whole = (min: number, max: number) => {
  const problem = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .trim()
    .regex(/^\d+$/, problem)
    .transform(Number)
    .refine((number) => number >= min && number <= max, problem);
};

const secondsProblem = 'must be a number of seconds, more than 0 and at most 86400';

/** Seconds, with decimals or without. */
export const seconds = z
  .string()
  .trim()
  .regex(/^\d+(\.\d+)?$/, secondsProblem)
  .transform(Number)
  .refine((number) => number > 0 && number <= 86_400, secondsProblem);

export const days = whole(1, 36_500).optional();

/** One of several words. */
export const oneOf = <const Words extends readonly [string, ...string[]]>(...words: Words) =>
  z.enum(words, { error: `must be ${words.slice(0, -1).join(', ')} or ${words.at(-1)}` });

export const flag = oneOf('true', 'false').transform((value) => value === 'true');

/** Items between commas. */
export const list = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((item) => item.trim())
      .filter(Boolean),
  );

/** Returns the items of a list that `read` can read, and reports the first that it cannot. */
function listOf<Item>(read: (item: string) => Item | null, problem: string) {
  return list.transform((items, context): Item[] => {
    const known = items.map((item) => read(item));
    if (known.includes(null)) context.addIssue({ code: 'custom', message: problem });
    return known.filter((item) => item !== null);
  });
}

function parsed(value: string): URL | null {
  try {
    return new URL(value);
  } catch {
    return null;
  }
}

/** An address to which paths are appended; without a trailing slash. */
export const baseUrl = z
  .string()
  .trim()
  .transform((value, context): string => {
    const url = parsed(value);
    const problem = (message: string) => {
      context.addIssue({ code: 'custom', message });
      return '';
    };
    if (!url || !/^https?:$/.test(url.protocol) || url.hostname === '')
      return problem('must be an http or https URL, such as https://example.com');
    if (/[?#]/.test(value)) return problem('must be a URL without a query string and without a fragment');
    if (url.username || url.password) return problem('must be a URL without a user name and without a password');
    return value.replace(/\/+$/, '');
  });

/** What a request carries in its `Authorization` header. */
export const headerText = text.refine(
  (value) => /^[\x21-\x7e]+$/.test(value),
  'must be visible ASCII characters, without spaces and line breaks',
);

const isEncoded = (part: string): boolean => !/%(?![0-9a-f]{2})/i.test(part);

export const databaseUrl = z
  .string()
  .trim()
  .refine((value) => {
    const url = parsed(value);
    const parts = url && [url.username, url.password, url.pathname];
    return /^postgres(ql)?:\/\//i.test(value) && parts?.every(isEncoded);
  }, 'must be a URL such as postgresql://user:password@host:5432/database, with special characters percent-encoded');

export const redisUrl = z
  .string()
  .trim()
  .refine((value) => {
    const url = parsed(value);
    if (!url || !/^rediss?:\/\//i.test(value) || url.hostname === '' || url.search || url.hash) return false;
    return [url.username, url.password].every(isEncoded) && /^\/?\d{0,5}$/.test(url.pathname);
  }, 'must be a URL such as redis://user:password@host:6379/0, or rediss:// for TLS, with special characters percent-encoded');

/** A host as `URL` writes it: in lower case, with a port only where it is not the default. */
function readHost(item: string): string | null {
  const url = parsed(`http://${item}/`);
  return url && url.host === item.toLowerCase() ? url.host : null;
}

export const hosts = listOf(
  readHost,
  'must be a comma-separated list of hosts, each with or without a port, such as wiki.internal or 10.0.0.5:8080',
);

/** Reads an origin as browsers send it. Pages of browser extensions have origins with other schemes. */
function readOrigin(item: string): string | null {
  if (item === '*') return item;
  const url = parsed(item);
  if (!url || url.host === '' || url.host.includes('*')) return null;
  const origin = `${url.protocol}//${url.host}`;
  return item.toLowerCase().replace(/\/$/, '') === origin ? origin : null;
}

/** Origins of web pages; `*` for all. */
export const origins = listOf(
  readOrigin,
  'must be * or a comma-separated list of origins with scheme and host, such as https://example.com',
);

/** The host names of this server; `*` disables the check. */
export const allowedHosts = list.transform((items, context): '*' | AllowedHost[] => {
  if (items.includes('*')) return '*';
  return items.flatMap((item) => {
    const host = parseAllowedHost(item);
    if (host) return [host];
    const message = `must be * or a comma-separated list of host names such as chat.example.com or .example.com, not "${item}"`;
    context.addIssue({ code: 'custom', message });
    return [];
  });
});
