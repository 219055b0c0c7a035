import type { z } from 'zod';
import type { Prisma, User } from '../../../generated/prisma/client.ts';
import { by } from '../../audit/audit.service.ts';
import { addressOf, soleUsername } from '../../users/account-names.ts';
import { endOwnerSessions } from '../../users/builtin-owner.ts';
import { hasPeople } from '../../users/users.service.ts';
import type { Importing } from '../importing.ts';
import { Unfit } from '../ledger.ts';
import { oneLine } from '../report.ts';
import { cutTo } from '../text.ts';
import type { Source } from './database.ts';
import { UserRow } from './shapes.ts';

type Transaction = Prisma.TransactionClient;

/** Returns a person's limit if it is valid on this server. */
const limitOf = (limit: number | null) => (limit !== null && limit >= 1 && limit <= 1_000_000 ? limit : null);

/**
 * Returns an existing account by user name, or by address when the user name is one. An address that is derived from
 * another user name identifies no one, since `x@y` and `x.y` have the same.
 */
async function accountOf(transaction: Transaction, username: string): Promise<User | null> {
  const { user } = transaction;
  const accountType = 'STANDARD';
  const named = await user.findFirst({ where: { accountType, username } });
  if (named || addressOf(username) !== username) return named;
  return user.findFirst({ where: { accountType, email: username } });
}

/**
 * Returns an unused address; a derived address gets a number. Throws UnimportableError for any other address in use.
 */
async function freeAddress(transaction: Transaction, username: string): Promise<string> {
  const wanted = addressOf(username);
  const at = wanted.lastIndexOf('@');
  for (let number = 1; ; number++) {
    const email = number === 1 ? wanted : `${wanted.slice(0, at)}.${number}${wanted.slice(at)}`;
    if ((await transaction.user.count({ where: { email } })) === 0) return email;
    if (wanted === username) throw new Unfit('has the address of an account that does not belong to a person');
  }
}

/**
 * Imports the accounts without passwords, so that they cannot be used before an administrator resets them. Returns the
 * names in the source by ID.
 */
export async function importPeople(importing: Importing, source: Source): Promise<Map<number, string>> {
  const { services, operator, ledger, report } = importing;
  const rows = [...source.rows('users', UserRow)];
  const ended: number[] = [];
  const fresh: string[] = [];

  async function person(row: z.output<typeof UserRow>): Promise<void> {
    const name = row.username ?? '';
    // Checked first, so that a dry run reports the person and the chats that are skipped.
    if (ledger.targetOf('user', row.id) === undefined && !soleUsername.safeParse(name).success) {
      report.leave(`user ${oneLine(name)}`, 'has a user name that is not allowed here');
      return;
    }
    await ledger.bring('user', {
      id: row.id,
      name,
      async work(transaction) {
        await services.users.lockAdmins(transaction);
        const before = await accountOf(transaction, name);
        if (before) {
          // A name is not proof of identity: imported objects are never assigned to an administrator of this server.
          if (before.role === 'ADMIN' && before.id !== operator.userId)
            throw new Unfit('has the name of an administrator here and was not matched with that account');
          if (rows.some(({ id }) => id !== row.id && ledger.targetOf('user', id) === before.id))
            throw new Unfit('matches an account that already belongs to another imported person');
          report.changed(`user ${name}`, 'already existed; their chats belong to that account');
          return before.id;
        }
        const first = !(await hasPeople(transaction));
        const user = await transaction.user.create({
          data: {
            email: await freeAddress(transaction, name),
            username: name,
            name,
            role: row.role === 'admin' ? 'ADMIN' : 'BASIC',
            active: !row.suspended,
            dailyMessageLimit: limitOf(row.dailyMessageLimit),
            bio: cutTo(row.bio ?? '', 1000),
            ...(row.createdAt && { createdAt: row.createdAt }),
          },
        });
        // Once people can log in, the server's own password no longer works.
        if (first) ended.push(...(await endOwnerSessions(transaction)));
        await services.audit.record(transaction, {
          ...by(operator),
          action: 'user.create',
          target: { type: 'User', id: user.id },
          detail: { email: user.email, role: user.role, importedFrom: ledger.source },
        });
        if (row.role === 'manager') report.changed(`user ${name}`, 'was a manager and now has the role BASIC');
        fresh.push(name);
        return user.id;
      },
    });
  }

  for (const row of rows) {
    await person(row);
    ledger.step('user', rows.length);
  }
  for (const id of ended) await services.revocations.endToken(id);
  if (fresh.length > 0) report.next(`passwords are not imported: reset those of ${fresh.map(oneLine).join(', ')}`);
  return new Map(rows.map(({ id, username }) => [id, username ?? '']));
}
