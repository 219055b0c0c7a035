import { builder } from '../../graphql/builder.ts';
import { AuditEvent } from '../audit/audit.graphql.ts';
import { ApiKey, apiKeyOf } from './api-keys.graphql.ts';
import { UserCredential, userCredentialOf } from './user-credentials.graphql.ts';

builder.prismaObjectField(AuditEvent, 'apiKey', (t) =>
  t.field({
    type: ApiKey,
    nullable: true,
    authScopes: { permission: 'manage:api_keys' },
    description: 'The API key or project token of the request; null for other credentials and for a deleted key.',
    resolve: ({ tokenId }, _args, context, info) => apiKeyOf(tokenId, context, info),
  }),
);

builder.prismaObjectField(AuditEvent, 'userCredential', (t) =>
  t.field({
    type: UserCredential,
    nullable: true,
    authScopes: { permission: 'manage:users' },
    description:
      'The personal access token, login session or project token of the request; null for other credentials, for one that does not work any more, and if the caller cannot read it.',
    resolve: ({ tokenId }, _args, context, info) => userCredentialOf(tokenId, context, info),
  }),
);
