import type { Principal } from '../../authz/principal.ts';
import { notFound, parse } from '../../errors.ts';
import type { Prisma, Embed as Widget } from '../../generated/prisma/client.ts';
import { plainText } from '../../zod-types.ts';
import { type AgentKey, usableAgent } from '../agents/by-slug.ts';
import { type AuditEntry, by } from '../audit/audit.service.ts';
import type { WidgetKey } from './widget-key.ts';

/** Returns the widget, locked against other changes. Throws NOT_FOUND. */
export async function lockWidget(transaction: Prisma.TransactionClient, key: WidgetKey): Promise<Widget> {
  const found = await transaction.embed.findUnique({ where: key });
  if (!found) throw notFound('EMBED_NOT_FOUND');
  await transaction.$queryRaw`SELECT 1 FROM "Embed" WHERE "id" = ${found.id} FOR UPDATE`;
  const widget = await transaction.embed.findUnique({ where: { id: found.id } });
  if (!widget) throw notFound('EMBED_NOT_FOUND');
  return widget;
}

const slug = plainText(500);

/** Returns the agent that an input names, if the principal can chat with it. Throws BAD_USER_INPUT, NOT_FOUND. */
export function agentNamed(db: Prisma.TransactionClient, principal: Principal, key: AgentKey) {
  if (typeof key === 'string') parse(slug, key, ['input', 'agent', 'slug']);
  return usableAgent(db, principal, key);
}

const summary = ({ id, userId, createdById, createdAt, updatedAt, ...rest }: Widget): Prisma.InputJsonObject => rest;

/** Returns the audit entry of a change: the widget after it, or before its deletion. */
export const widgetEntry = (
  principal: Principal,
  change: 'create' | 'update' | 'delete',
  widget: Widget,
): AuditEntry => ({
  ...by(principal),
  action: `embed.${change}`,
  target: { type: 'Embed', id: widget.uuid },
  detail: summary(widget),
});
