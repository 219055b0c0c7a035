import type { CredentialKind } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';

export const CredentialKindType = builder.enumType('CredentialKind', {
  description: 'The kinds of credentials.',
  values: {
    API_KEY: { description: 'An API key, `on_…`: acts as a service account of its own.' },
    ANYTHINGLLM: { description: 'An API key as AnythingLLM’s clients are given them, `sk-…`.' },
    PROJECT: { description: 'A project token, `proj_…`: acts as a service account that is confined to one project.' },
    PERSONAL: { description: 'A personal access token, `onyx_pat_…`: acts as its owner.' },
    EMBED: { description: 'What the visitors of a chat widget act as. Nobody holds its secret.' },
    SESSION: { description: 'What a person holds after logging in, `ses_…`.' },
  } satisfies Record<CredentialKind, object>,
});
