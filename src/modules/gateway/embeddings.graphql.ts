import { signedIn } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';
import type { TextEmbeddings } from './embeddings.service.ts';

const Embedding = builder.objectRef<{ index: number; vector: number[] }>('Embedding').implement({
  description: 'A text as a vector.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: 'Which of the texts, from 0.' }),
    vector: t.exposeFloatList('vector', { description: 'The vector, as the model gave it.' }),
    base64: t.string({
      description: 'The same as little-endian 32-bit floats, in base64.',
      resolve: ({ vector }) => {
        const bytes = Buffer.alloc(vector.length * Float32Array.BYTES_PER_ELEMENT);
        for (const [index, value] of vector.entries())
          bytes.writeFloatLE(value, index * Float32Array.BYTES_PER_ELEMENT);
        return bytes.toString('base64');
      },
    }),
  }),
});

const CreateEmbeddingsPayload = builder.objectRef<TextEmbeddings>('CreateEmbeddingsPayload').implement({
  description: 'Texts as vectors.',
  fields: (t) => ({
    model: t.exposeString('model', { description: 'The model that made them.' }),
    embeddings: t.field({
      type: [Embedding],
      description: 'One for each text, in their order.',
      resolve: ({ vectors }) => vectors.map((vector, index) => ({ index, vector })),
    }),
    promptTokens: t.exposeInt('promptTokens', {
      description: 'Tokens that the model read, as its provider says; estimated where it does not.',
    }),
  }),
});

const CreateEmbeddingsInput = builder.inputType('CreateEmbeddingsInput', {
  description: 'Texts to embed.',
  fields: (t) => ({
    texts: t.stringList({ required: true, description: '1 to 2,048 texts of at most 8,192 tokens each.' }),
    dimensions: t.int({ description: 'How long the vectors are to be, for models that can choose.' }),
  }),
});

builder.mutationField('createEmbeddings', (t) =>
  t.field({
    type: CreateEmbeddingsPayload,
    sizedFields: { embeddings: ({ input }) => input.texts.length },
    ownTimeLimit: true,
    authScopes: { permission: 'use:llm_gateway' },
    description: 'Embeds texts with the server’s embedding model. NOT_FOUND where it has none.',
    args: { input: t.arg({ type: CreateEmbeddingsInput, required: true, description: 'The texts.' }) },
    resolve: (_root, { input }, { principal, services, signal }) =>
      services.textEmbeddings.create(signedIn(principal), input, signal),
  }),
);
