import { z } from '@hono/zod-openapi';
import type { Role } from '../authz/permissions.ts';

/** The page size of lists whose contract has no pages. */
export const everything = 0x7fff_ffff;

/** A path or query parameter with an ID of an integer column. */
export const id = z
  .string()
  .regex(/^-?\d+$/, 'must be a whole number')
  .transform(Number)
  .pipe(z.int().min(-0x8000_0000).max(0x7fff_ffff))
  .openapi({ type: 'integer', minimum: -0x8000_0000, maximum: 0x7fff_ffff });

/** A boolean in a query string as the reference parses it. */
export const flag = z
  .enum(['true', 'True', '1', 'on', 'yes', 'false', 'False', '0', 'off', 'no'])
  .transform((text) => ['true', 'True', '1', 'on', 'yes'].includes(text))
  .openapi({ type: 'boolean' });

/**
 * Defines a parameter of the contract that would change the reply and that the server cannot apply. It is rejected
 * rather than ignored. `why` completes the sentence "is not supported: …".
 */
export const unsupported = (why: string) =>
  z
    .string()
    .optional()
    .refine((value) => value === undefined, `is not supported: ${why}`)
    .openapi({ description: `Not supported: ${why}.` });

/** A date in a response: a Date in the code, RFC 3339 text on the wire. */
export const isoDate = z.union([z.date(), z.iso.datetime()]).openapi({ type: 'string', format: 'date-time' });
/** The same for a date that can be null. `isoDate.nullable()` would be documented as a date that cannot. */
export const isoDateOrNull = isoDate.nullable().openapi({ type: ['string', 'null'], format: 'date-time' });

/** A role in requests and responses. */
export const roleName = z.enum(['limited', 'basic', 'admin']);
export type RoleName = z.infer<typeof roleName>;
export const toRole = (name: RoleName): Role => name.toUpperCase() as Role;
export const fromRole = (role: Role): RoleName => role.toLowerCase() as RoleName;

/** The response of operations without a result. */
export const nothing = z.null();
