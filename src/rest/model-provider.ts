import type { graphql } from './graphql.ts';

const names = {
  EMBEDDED: 'embedded',
  OPENAI_COMPATIBLE: 'openai-compatible',
} satisfies Record<ReturnType<typeof graphql.scalar<'ModelProvider'>>, string>;

/** Converts a provider of language models to the spelling of the REST API: `openai-compatible`. */
export const providerName = (provider: keyof typeof names): string => names[provider];
