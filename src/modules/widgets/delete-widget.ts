import type { Principal } from '../../authz/principal.ts';
import type { WidgetDeps } from './widget-deps.ts';
import type { WidgetKey } from './widget-key.ts';
import { lockWidget, widgetEntry } from './widget-rules.ts';

export const widgetDeletion = ({ db, audit, users, revocations }: Omit<WidgetDeps, 'settings'>) => ({
  /**
   * Deletes a widget with its account and the chats of its visitors, and ends their open streams. Throws NOT_FOUND.
   */
  async delete(principal: Principal, key: WidgetKey): Promise<{ id: number }> {
    const widget = await db.prisma.$transaction(async (transaction) => {
      const widget = await lockWidget(transaction, key);
      await audit.record(transaction, widgetEntry(principal, 'delete', widget));
      await users.erase(transaction, widget.userId);
      return widget;
    });
    await revocations.endUser(widget.userId);
    return { id: widget.id };
  },
});
