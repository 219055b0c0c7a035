import type { Principal } from '../../authz/principal.ts';
import type { Statement } from '../../store/database.ts';
import type { WidgetDeps } from './widget-deps.ts';

/** Counts the questions of each widget in existing chats. */
const countChats: Statement = {
  name: 'count_embed_chats',
  text: `SELECT e."id", count(m."id")::int AS "chats" FROM "Embed" e
    LEFT JOIN "ChatSession" s ON s."userId" = e."userId" AND s."deletedAt" IS NULL
    LEFT JOIN "ChatMessage" m ON m."sessionId" = s."id" AND m."role" = 'USER'
    WHERE e."id" = ANY ($1::int[]) GROUP BY e."id"`,
};

export function chatCounts({ db }: Pick<WidgetDeps, 'db'>) {
  const counting = new WeakMap<Principal, { ids: number[]; counts: Promise<Map<number, number>> }>();

  return {
    /** Returns the number of questions of a widget, with one statement for all widgets of a request. */
    async chatCount(principal: Principal, id: number): Promise<number> {
      let batch = counting.get(principal);
      if (!batch) {
        const ids: number[] = [];
        const counts = new Promise((resolve) => setImmediate(resolve)).then(async () => {
          counting.delete(principal);
          const rows = await db.query<{ id: number; chats: number }>(countChats, [ids]);
          return new Map(rows.map((row) => [row.id, row.chats]));
        });
        batch = { ids, counts };
        counting.set(principal, batch);
      }
      batch.ids.push(id);
      return (await batch.counts).get(id) ?? 0;
    },
  };
}
