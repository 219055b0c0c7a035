import type { Principal } from '../../authz/principal.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import type { Services } from '../../services.ts';
import type { Database } from '../../store/database.ts';
import { cutText } from '../../unicode.ts';
import { Ledger, Unfit } from './ledger.ts';
import { Report } from './report.ts';

/** The dependencies of an import. */
export interface ImportFoundation {
  db: Database;
  services: Services;
  /** The principal that it acts as, which becomes the owner of objects without one. */
  operator: Principal;
  /** Reports progress, one line at a time. */
  say: (line: string) => void;
  /** Validates everything without writing. */
  dryRun: boolean;
}

/** The context of a running import. */
export interface Importing extends ImportFoundation {
  ledger: Ledger;
  report: Report;
}

/**
 * Runs an import from one source, records it in the audit trail and returns the report. `source` is the identity of the
 * source, `name` the operator's name for it.
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
    // Everything that was imported so far stays, and the next run continues from there.
    report.fail(source.name, error);
  }
  const imported = Object.entries(report.totals()).filter(([, count]) => count.imported > 0);
  if (!dryRun && imported.length > 0)
    await services.audit.record(db.prisma, {
      action: 'import.run',
      actor: { userId: operator.userId, name: operator.name },
      tokenId: null,
      client: operator.client,
      target: { type: 'Import', id: source.identity },
      detail: {
        from: source.name,
        ...Object.fromEntries(imported.map(([kind, count]) => [`${kind}s`, count.imported])),
      },
    });
  return report;
}

/** Returns the ID of the action with this key, which agents that search have. */
export async function actionIds(transaction: Prisma.TransactionClient, keys: readonly string[]): Promise<number[]> {
  const where = { OR: [{ builtinKey: { in: [...keys] } }, { name: { in: [...keys] } }] };
  const found = await transaction.action.findMany({ where, select: { id: true } });
  return found.map(({ id }) => id);
}

/** Returns a name that no other agent of the owner has, since two agents of one owner must have different names. */
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

/** Throws UnimportableError for an imported agent that was deleted. */
export async function agentStillHere(transaction: Prisma.TransactionClient, id: number): Promise<void> {
  if ((await transaction.agent.count({ where: { id } })) === 0) throw new Unfit('its agent was deleted here');
}

/** Throws UnimportableError for an imported user that was deleted. */
export async function userStillHere(transaction: Prisma.TransactionClient, id: string): Promise<void> {
  if ((await transaction.user.count({ where: { id } })) === 0) throw new Unfit('its owner was deleted here');
}
