import { type CredentialKind, credentialKinds, credentialRules } from '../../authz/credentials.ts';
import { builder } from '../../graphql/builder.ts';

export const CredentialKindType = builder.enumType('CredentialKind', {
  description: 'A kind of credentials.',
  values: Object.fromEntries(
    credentialKinds.map((kind) => [kind, { description: credentialRules[kind].description }]),
  ) as Record<CredentialKind, { description: string }>,
});
