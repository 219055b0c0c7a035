import { randomBytes, randomUUID } from 'node:crypto';
import type { Principal } from '../../authz/principal.ts';
import { parse } from '../../errors.ts';
import type { Embed as Widget } from '../../generated/prisma/client.ts';
import { changesOf } from '../changes.ts';
import { serviceAccountEmail } from '../tokens/api-keys.ts';
import { accountName } from './widget-account.ts';
import type { WidgetDeps } from './widget-deps.ts';
import { CreateWidget, type CreateWidgetInput } from './widget-input.ts';
import { agentNamed, widgetEntry } from './widget-rules.ts';

/** The permissions of a visitor: send a message and receive its answer. */
const visitorScopes = ['write:chat', 'read:agents'];

export const widgetCreation = ({ db, audit }: Pick<WidgetDeps, 'db' | 'audit'>) => ({
  /**
   * Creates a widget with the account and token that its visitors act with, and shares the agent with the account.
   * Throws BAD_USER_INPUT, and NOT_FOUND for an agent that the principal cannot chat with.
   */
  create(principal: Principal, { agent: key, ...input }: CreateWidgetInput): Promise<Widget> {
    const data = changesOf(parse(CreateWidget, input));
    return db.prisma.$transaction(async (transaction) => {
      const agent = await agentNamed(transaction, principal, key);
      const userId = randomUUID();
      const name = accountName(agent.name);
      await transaction.user.create({
        data: {
          id: userId,
          name,
          email: serviceAccountEmail(name, userId),
          role: 'LIMITED',
          accountType: 'SERVICE_ACCOUNT',
          agentShares: { create: { agentId: agent.id } },
          tokens: {
            create: {
              kind: 'EMBED',
              name,
              // Random bytes, which are the hash of no secret: no credential matches this token.
              hash: Uint8Array.from(randomBytes(32)),
              display: 'embed',
              scopes: visitorScopes,
              creatorId: principal.userId,
            },
          },
        },
      });
      const widget = await transaction.embed.create({
        data: { ...data, agentId: agent.id, userId, createdById: principal.userId },
      });
      await audit.record(transaction, widgetEntry(principal, 'create', widget));
      return widget;
    });
  },
});
