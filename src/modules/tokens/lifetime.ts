import type { Principal } from '../../authz/principal.ts';
import { badInput } from '../../errors.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import { readPreferences } from '../settings/settings.service.ts';

/** Returns 23:59:59.999 UTC of the day that is `days` days after today. */
export function endOfDay(days: number, now = new Date()): Date {
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() + days, 23, 59, 59, 999));
}

/** The expiry that an input requests. */
export interface WantedExpiry {
  expiresAt?: Date | null | undefined;
  neverExpires?: boolean | null | undefined;
}

/** Limits on the lifetime of a credential that a principal creates or changes now. */
export interface Lifetime {
  /** The latest allowed expiry and the reason for it, as text; null if there is no limit. */
  latest: { date: Date; reason: string } | null;
  /** The expiry of a new credential whose input does not specify one; null if it never expires. */
  otherwise: Date | null;
}

/**
 * Returns the expiry of a principal's credential. Returns null for a credential that does not expire and for a login
 * session.
 */
export function endOfMaker({ credential }: Principal): Date | null {
  // A login session expires only after inactivity, and it represents the person, who can log in again.
  return credential.kind === 'SESSION' ? null : credential.expiresAt;
}

/** Reads the limits that are set by the preferences and by the principal's own credential. */
export async function lifetimeFor(
  transaction: Pick<Prisma.TransactionClient, 'setting'>,
  principal: Principal,
): Promise<Lifetime> {
  const { maxTokenLifetimeDays: max, defaultTokenLifetimeDays } = await readPreferences(transaction);
  const ofMaker = endOfMaker(principal);
  const limits = [
    ...(max === null ? [] : [{ date: endOfDay(max), reason: `the maximum lifetime of credentials is ${max} days` }]),
    ...(ofMaker === null ? [] : [{ date: ofMaker, reason: 'the credential of this request expires then' }]),
  ];
  const latest = limits.toSorted((one, other) => one.date.getTime() - other.date.getTime())[0] ?? null;
  const days = defaultTokenLifetimeDays ?? max;
  const otherwise = days === null ? (latest?.date ?? null) : endOfDay(days);
  return { latest, otherwise: latest && otherwise && latest.date < otherwise ? latest.date : otherwise };
}

/**
 * Returns the expiry that an input requests: null for a credential that never expires, undefined when the input does
 * not specify an expiry. `field` is the name of the input's date field. Throws BAD_USER_INPUT for an expiry beyond the
 * limits; the message contains the latest allowed expiry.
 */
export function checkedExpiry(
  { latest }: Lifetime,
  { expiresAt, neverExpires }: WantedExpiry,
  field = 'expiresAt',
): Date | null | undefined {
  if (neverExpires && expiresAt != null)
    throw badInput(['input', 'neverExpires'], `cannot be combined with \`${field}\``);
  if (neverExpires && latest)
    throw badInput(
      ['input', 'neverExpires'],
      `is not allowed: the latest expiry is ${latest.date.toISOString()}, because ${latest.reason}`,
    );
  if (expiresAt != null && latest && expiresAt > latest.date)
    throw badInput(['input', field], `must not be later than ${latest.date.toISOString()}, because ${latest.reason}`);
  return neverExpires ? null : (expiresAt ?? undefined);
}

/** Returns the expiry of a new credential: the requested one, or the default. Throws as {@link checkedExpiry} does. */
export function expiryOfNew(lifetime: Lifetime, wanted: WantedExpiry, field?: string): Date | null {
  const expiresAt = checkedExpiry(lifetime, wanted, field);
  return expiresAt === undefined ? lifetime.otherwise : expiresAt;
}
