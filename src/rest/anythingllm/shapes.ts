import { z } from '@hono/zod-openapi';
import type { AppError } from '../../errors.ts';
import type { Failure } from '../dialect.ts';
import { granted, graphql, type ResultOf } from '../graphql.ts';
import { isoDate } from '../shapes.ts';

/** The response of paths with an empty body. */
export const empty = z.undefined();

export const UserFields = graphql(`
  fragment AnythingLLMUser on User @_unmask {
    number email username role active dailyMessageLimit bio createdAt updatedAt
  }
`);

export const User = z
  .object({
    id: z.int(),
    username: z.string().openapi({ description: 'The username, or the email address of a user without a username.' }),
    pfpFilename: z.string().nullable(),
    role: z.enum(['admin', 'default']),
    suspended: z.union([z.literal(0), z.literal(1)]),
    seen_recovery_codes: z.boolean(),
    createdAt: isoDate,
    lastUpdatedAt: isoDate,
    dailyMessageLimit: z.int().nullable(),
    bio: z.string(),
  })
  .openapi('AnythingLLMUser');

/** The response of operations that succeed or fail, with any status. */
export const Outcome = z.object({ success: z.boolean(), error: z.string().nullable() }).openapi('AnythingLLMOutcome');
export const done = { success: true, error: null };
export const notDone = (status: number, error: string): Failure => ({ status, body: { success: false, error } });

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

/**
 * Converts a value to text as the reference does; lists and objects become JSON, since their own `toString` must not be
 * called.
 */
export const textFrom = (value: unknown): string => (isObject(value) ? JSON.stringify(value) : String(value));

/** Converts a value to a number as the reference does; lists and objects become NaN. */
export const numberFrom = (value: unknown): number => (isObject(value) ? Number.NaN : Number(value));

/** Reads a number, which a form sends as text. NaN for anything else. */
export const numberOf = (value: unknown): number =>
  typeof value === 'number' || (typeof value === 'string' && value.trim() !== '') ? Number(value) : Number.NaN;

/** A value that is not text is treated as an invalid text. */
export const anyText = z.string().catch('').openapi({ type: 'string' });

/** Returns the name of a role on these paths. */
export const roleName = (role: ResultOf<typeof UserFields>['role']): 'admin' | 'default' =>
  role === 'ADMIN' ? 'admin' : 'default';

export function user(found: ResultOf<typeof UserFields>): z.input<typeof User> {
  const { active, bio, createdAt, updatedAt } = granted(found, 'active', 'bio', 'createdAt', 'updatedAt');
  return {
    id: found.number,
    username: usernameOf(found),
    pfpFilename: null,
    role: roleName(found.role),
    suspended: active ? 0 : 1,
    seen_recovery_codes: true,
    createdAt,
    lastUpdatedAt: updatedAt,
    dailyMessageLimit: found.dailyMessageLimit,
    bio,
  };
}

/**
 * Returns the name that AnythingLLM clients use for a user: the username, or the email address of a user without a
 * username.
 */
export const usernameOf = ({ username, email }: { username: string | null; email: string | null }): string =>
  username ?? email ?? '';

/** Returns the errors of a request with the field names that its sender used: the last part of each path. */
export const problems = ({ details, message }: AppError): string =>
  details.fields?.map((field) => [field.path.at(-1), field.message].join(' ')).join('; ') ?? message;
