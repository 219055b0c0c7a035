import type { z } from 'zod';
import { by } from '../../audit/audit.service.ts';
import { addressOf, soleUsername } from '../../users/accounts.service.ts';
import { endOwnerSessions } from '../../users/owner.ts';
import { hasPeople } from '../../users/users.service.ts';
import type { Importing } from '../importing.ts';
import { Unfit } from '../ledger.ts';
import { oneLine } from '../report.ts';
import { cutTo } from '../text.ts';
import type { Source } from './database.ts';
import { UserRow } from './shapes.ts';

/** A person's limit, where it is one that this server knows. */
const limitOf = (limit: number | null) => (limit !== null && limit >= 1 && limit <= 1_000_000 ? limit : null);

/** Brings the accounts. They have no password, so that nobody comes in as them before an administrator says so. */
export async function importPeople(importing: Importing, source: Source): Promise<void> {
  const { services, operator, ledger, report } = importing;
  const ended: number[] = [];
  const fresh: string[] = [];

  async function person(row: z.output<typeof UserRow>): Promise<void> {
    const name = row.username ?? '';
    await ledger.bring('user', row.id, name, async (transaction) => {
      const username = soleUsername.safeParse(name);
      if (!username.success) throw new Unfit('has a username that nobody can have here');
      const email = addressOf(username.data);
      await services.users.lockAdmins(transaction);
      const before = await transaction.user.findFirst({
        where: { accountType: 'STANDARD', OR: [{ username: name }, { email }] },
      });
      if (before) {
        // A name is no proof: what others were shared with, and said, is not put before whoever administers this server.
        if (before.role === 'ADMIN' && before.id !== operator.userId)
          throw new Unfit('has the name of an administrator here, and is not taken for them');
        report.changed(`user ${name}`, 'was here before; their chats belong to that account');
        return before.id;
      }
      const first = !(await hasPeople(transaction));
      const user = await transaction.user.create({
        data: {
          email,
          username: name,
          name,
          role: row.role === 'admin' ? 'ADMIN' : 'BASIC',
          active: !row.suspended,
          dailyMessageLimit: limitOf(row.dailyMessageLimit),
          bio: cutTo(row.bio ?? '', 1000),
          ...(row.createdAt && { createdAt: row.createdAt }),
        },
      });
      // Where people log in, the server's own password opens nothing any more.
      if (first) ended.push(...(await endOwnerSessions(transaction)));
      await services.audit.record(transaction, {
        ...by(operator),
        action: 'user.create',
        target: { type: 'User', id: user.id },
        detail: { email: user.email, role: user.role, importedFrom: ledger.source },
      });
      if (row.role === 'manager') report.changed(`user ${name}`, 'was a manager, and has the role BASIC');
      fresh.push(name);
      return user.id;
    });
  }

  for (const row of source.rows('users', UserRow)) {
    await person(row);
    ledger.step('user', source.count('users'));
  }
  for (const id of ended) services.revocations.endToken(id);
  if (fresh.length > 0) report.next(`passwords are not taken over: reset those of ${fresh.map(oneLine).join(', ')}`);
}
