import type { CredentialKind } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';

export const CredentialKindType = builder.enumType('CredentialKind', {
  description: 'A kind of credentials.',
  values: {
    API_KEY: { description: 'An API key with the prefix `on_`, which acts as a service account of its own.' },
    ANYTHINGLLM: { description: 'An API key with the prefix `sk-`, as AnythingLLM clients expect it.' },
    PROJECT: {
      description: 'A project token with the prefix `proj_`, whose service account is confined to one project.',
    },
    PERSONAL: { description: 'A personal access token with the prefix `onyx_pat_`, which acts as its owner.' },
    EMBED: { description: 'The credential that the visitors of a chat widget act under. It has no secret.' },
    SESSION: { description: 'A login session with the prefix `ses_`.' },
  } satisfies Record<CredentialKind, object>,
});
