import type { Prisma } from '../../generated/prisma/client.ts';
import { cutText } from '../../unicode.ts';
import { serviceAccountEmail } from '../tokens/api-keys.ts';

/** Returns the name of the service account of a widget for this agent. */
export const accountName = (agentName: string): string => cutText(`Embed of ${agentName}`, 100);

/** Shares the agent with the widget's account, and removes the previous one. */
export async function moveAccount(
  transaction: Prisma.TransactionClient,
  userId: string,
  agent: { id: number; name: string },
) {
  await transaction.agentShare.deleteMany({ where: { userId } });
  await transaction.agentShare.create({ data: { userId, agentId: agent.id } });
  const name = accountName(agent.name);
  await transaction.user.update({ where: { id: userId }, data: { name, email: serviceAccountEmail(name, userId) } });
}
