import { builder } from '../../graphql/builder.ts';
import { AuditEvent } from '../audit/audit.graphql.ts';
import { User, userOf } from './users.graphql.ts';

builder.prismaObjectField(AuditEvent, 'actor', (t) =>
  t.field({
    type: User,
    nullable: true,
    authScopes: { permission: 'read:users' },
    description:
      'The user as which the action was performed; null for the server itself, for a deleted user, and for a user that the caller cannot read.',
    resolve: ({ actorId }, _args, context, info) => userOf(actorId, context, info),
  }),
);
