import type { Permission } from '../authz/permissions.ts';
import { demand, type Principal, signedIn } from '../authz/principal.ts';
import type { Context } from '../context.ts';
import { badInput } from '../errors.ts';
import type { Database } from '../store/database.ts';

interface GlobalId {
  typename: string;
  id: string;
}

interface NodeRule {
  permission: Permission;
  /** Permissions that are required in addition. */
  also?: readonly Permission[];
  /** Returns the only ID of the type that the principal can read without the permission. */
  exempt?: (principal: Principal) => string;
  /** Returns those of the given IDs that the principal can read. Runs a single statement. */
  readable: (db: Database, principal: Principal, ids: string[]) => Promise<{ id: string | number }[]>;
}

const rules = new Map<string, NodeRule>();

/** Registers the rule by which `node` and `nodes` return objects of a type. A type without a rule is not returned. */
export function nodeRule(typename: string, rule: NodeRule): void {
  rules.set(typename, rule);
}

/** The types that `node` returns. */
export const nodeTypes = (): ReadonlyMap<string, NodeRule> => rules;

/** Converts IDs of an integer column. Other values are dropped, since no row has them. */
export const integerIds = (ids: string[]): number[] =>
  ids.map(Number).filter((id) => Number.isInteger(id) && Math.abs(id) <= 0x7fff_ffff);

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
export const uuidIds = (ids: string[]): string[] => ids.filter((id) => uuid.test(id));

const maxIds = 100;

/**
 * Returns the IDs that the caller can read, with one statement per type. Throws FORBIDDEN when the credential lacks the
 * permission of a type, which does not reveal whether a single ID exists.
 */
export async function readableNodes(ids: readonly GlobalId[], { principal, db }: Context): Promise<GlobalId[]> {
  if (ids.length > maxIds) throw badInput(['ids'], `must contain at most ${maxIds} IDs`);
  const readable: GlobalId[] = [];
  for (const typename of new Set(ids.map((id) => id.typename))) {
    const rule = rules.get(typename);
    if (!rule) continue;
    const wanted = [...new Set(ids.filter((id) => id.typename === typename).map((id) => id.id))];
    const own = principal && rule.exempt?.(principal);
    const isOwn = wanted.every((id) => id === own);
    const caller = isOwn ? signedIn(principal) : demand(principal, rule.permission, ...(rule.also ?? []));
    const rows = await rule.readable(db, caller, wanted);
    const found = new Set(rows.map((row) => String(row.id)));
    readable.push(...wanted.filter((id) => found.has(id)).map((id) => ({ typename, id })));
  }
  return readable;
}
