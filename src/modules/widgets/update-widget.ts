import type { Principal } from '../../authz/principal.ts';
import { parse } from '../../errors.ts';
import type { Embed as Widget } from '../../generated/prisma/client.ts';
import { changesOf } from '../changes.ts';
import { moveAccount } from './widget-account.ts';
import type { WidgetDeps } from './widget-deps.ts';
import { UpdateWidget, type UpdateWidgetInput } from './widget-input.ts';
import type { WidgetKey } from './widget-key.ts';
import { agentNamed, lockWidget, widgetEntry } from './widget-rules.ts';

const isForEveryPage = ({ widgetOrigins }: WidgetDeps['settings'], { allowedOrigins }: Widget): boolean =>
  allowedOrigins.length === 0 && widgetOrigins === 'allow';

/** Returns whether, after a change, a widget can no longer be shown on a page that could show it before. */
const narrows = (settings: WidgetDeps['settings'], before: Widget, after: Widget): boolean =>
  !isForEveryPage(settings, after) &&
  (isForEveryPage(settings, before) || before.allowedOrigins.some((origin) => !after.allowedOrigins.includes(origin)));

export const widgetUpdates = ({ db, audit, revocations, settings }: Omit<WidgetDeps, 'users'>) => ({
  /**
   * Changes the given fields, effective from the next request; null or absent fields are left unchanged. Ends the
   * open streams of visitors when the widget is turned off, is moved to another agent or is no longer allowed on a
   * page. Throws BAD_USER_INPUT, NOT_FOUND.
   */
  async update(
    principal: Principal,
    key: WidgetKey,
    { agent: agentKey, ...input }: UpdateWidgetInput,
  ): Promise<Widget> {
    const data = changesOf(parse(UpdateWidget, input));
    const { before, after } = await db.prisma.$transaction(async (transaction) => {
      const before = await lockWidget(transaction, key);
      const agent = agentKey === null ? null : await agentNamed(transaction, principal, agentKey);
      const { userId } = before;
      if (agent && agent.id !== before.agentId) await moveAccount(transaction, userId, agent);
      if (data.enabled !== undefined)
        await transaction.token.updateMany({
          where: { userId },
          data: { disabledAt: data.enabled ? null : new Date() },
        });
      const after = await transaction.embed.update({
        where: { id: before.id },
        data: { ...data, ...(agent && { agentId: agent.id }) },
      });
      await audit.record(transaction, widgetEntry(principal, 'update', after));
      return { before, after };
    });
    if (!after.enabled || after.agentId !== before.agentId || narrows(settings, before, after))
      await revocations.endUser(after.userId);
    return after;
  },
});
