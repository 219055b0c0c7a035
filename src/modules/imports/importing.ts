import type { Principal } from '../../authz/principal.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import type { Services } from '../../services.ts';
import type { Database } from '../../store/database.ts';
import { cutText } from '../../unicode.ts';
import { Ledger, Unfit } from './ledger.ts';
import { Report } from './report.ts';

/** What an import stands on. */
export interface ImportFoundation {
  db: Database;
  services: Services;
  /** Whom it acts as, and whom belongs what belongs to nobody else. */
  operator: Principal;
  /** Tells how far it is, a line at a time. */
  say: (line: string) => void;
  /** Looks at everything, and writes nothing. */
  dryRun: boolean;
}

/** An import under way. */
export interface Importing extends ImportFoundation {
  ledger: Ledger;
  report: Report;
}

/**
 * Runs an import from one source, records in the audit trail that it brought something, and returns the report.
 * `source` is the identity of where things come from, `name` what the operator calls it.
 */
export async function importFrom(
  foundation: ImportFoundation,
  source: { identity: string; name: string },
  work: (importing: Importing) => Promise<void>,
  report = new Report(foundation.dryRun),
): Promise<Report> {
  const { db, services, operator, dryRun } = foundation;
  const ledger = await Ledger.open({ ...foundation, source: source.identity, report });
  try {
    await work({ ...foundation, ledger, report });
  } catch (error) {
    // What was brought until then is here, and the next run goes on from there.
    report.fail(source.name, error);
  }
  const brought = Object.entries(report.totals()).filter(([, count]) => count.brought > 0);
  if (!dryRun && brought.length > 0)
    await services.audit.record(db.prisma, {
      action: 'import.run',
      actor: { userId: operator.userId, name: operator.name },
      tokenId: null,
      client: operator.client,
      target: { type: 'Import', id: source.identity },
      detail: { from: source.name, ...Object.fromEntries(brought.map(([kind, count]) => [`${kind}s`, count.brought])) },
    });
  return report;
}

/** The id of the action of that key; things that search have it. */
export async function actionIds(transaction: Prisma.TransactionClient, keys: readonly string[]): Promise<number[]> {
  const where = { OR: [{ builtinKey: { in: [...keys] } }, { name: { in: [...keys] } }] };
  const found = await transaction.action.findMany({ where, select: { id: true } });
  return found.map(({ id }) => id);
}

/** A name that no other agent of that owner has: two agents of one owner do not share a name. */
export async function freeAgentName(
  transaction: Prisma.TransactionClient,
  ownerId: string,
  wanted: string,
): Promise<string> {
  const name = (number: number) => (number === 1 ? wanted : `${cutText(wanted, 245)} (${number})`);
  for (let number = 1; ; number++) {
    const where = { ownerId, name: name(number), deletedAt: null };
    if ((await transaction.agent.count({ where })) === 0) return name(number);
  }
}

/** Throws Unfit for an agent that was brought, and is no more. */
export async function agentStillHere(transaction: Prisma.TransactionClient, id: number): Promise<void> {
  if ((await transaction.agent.count({ where: { id } })) === 0) throw new Unfit('its agent was deleted here');
}

/** Throws Unfit for a user that was brought, and is no more. */
export async function userStillHere(transaction: Prisma.TransactionClient, id: string): Promise<void> {
  if ((await transaction.user.count({ where: { id } })) === 0) throw new Unfit('its owner was deleted here');
}
