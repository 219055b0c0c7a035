import type { ModelProvider } from '../../ai/providers.ts';
import { builder } from '../../graphql/builder.ts';

const values = {
  EMBEDDED: {
    value: 'embedded',
    description: 'The built-in model, which answers with passages of the documents and sends no data to other servers.',
  },
  OPENAI_COMPATIBLE: {
    value: 'openai-compatible',
    description: 'A server with the API of OpenAI, at the base URL in the settings.',
  },
} satisfies Record<string, { value: ModelProvider; description: string }>;

export const ModelProviderType = builder.enumType('ModelProvider', {
  description: 'A provider of language models.',
  values,
});
