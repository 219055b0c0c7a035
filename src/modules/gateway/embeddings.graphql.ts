import { builder } from '../../graphql/builder.ts';
import type { TextEmbeddings } from './embeddings.service.ts';

const Embedding = builder.objectRef<{ index: number; vector: number[] }>('Embedding').implement({
  description: 'The vector of one text.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: 'The position of the text in the input, starting with 0.' }),
    vector: t.exposeFloatList('vector', { description: 'The vector that the model returned.' }),
    base64: t.string({
      description: 'The vector as little-endian 32-bit floats, in base64.',
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
  description: 'Result of the mutation `createEmbeddings`.',
  fields: (t) => ({
    model: t.exposeString('model', { description: 'The name of the embedding model.' }),
    embeddings: t.field({
      type: [Embedding],
      description: 'The vectors in the order of the texts.',
      resolve: ({ vectors }) => vectors.map((vector, index) => ({ index, vector })),
    }),
    promptTokens: t.exposeInt('promptTokens', {
      description: 'The number of tokens that the model read, as its provider reports it, or an estimate.',
    }),
  }),
});

const CreateEmbeddingsInput = builder.inputType('CreateEmbeddingsInput', {
  description: 'Input for the mutation `createEmbeddings`.',
  fields: (t) => ({
    texts: t.stringList({
      required: true,
      description: 'The texts to embed: 1 to 2,048 texts of at most 8,192 tokens each.',
    }),
    dimensions: t.int({ description: 'The number of dimensions of the vectors, for models that support several.' }),
  }),
});

builder.mutationField('createEmbeddings', (t) =>
  t.withAuth({ permission: 'use:llm_gateway' }).field({
    type: CreateEmbeddingsPayload,
    sizedFields: { embeddings: ({ input }) => input.texts.length },
    ownTimeLimit: true,
    description: 'Embeds texts with the embedding model of the server. NOT_FOUND if it has no embedding model.',
    args: { input: t.arg({ type: CreateEmbeddingsInput, required: true, description: 'The texts to embed.' }) },
    resolve: (_root, { input }, { principal, services, signal }) =>
      services.textEmbeddings.create(principal, input, signal),
  }),
);
