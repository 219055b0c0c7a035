import { createHash } from 'node:crypto';
import { z } from '@hono/zod-openapi';
import { type IncomingFile, isFile } from '../../http/multipart.ts';
import { type AnyEndpoint, binary, endpoint, type FileReply } from '../endpoint.ts';
import { graphql, type ResultOf } from '../graphql.ts';
import { providerName } from '../model-provider.ts';
import { honored, ignored, restricted, shapeOf } from '../parameters.ts';
import { everything } from '../shapes.ts';
import { openaiChatRow } from './openai-chat.ts';
import { openai, openaiError } from './openai-dialect.ts';

const tag = 'OpenAI';

const unixTime = (date: string | Date): number => Math.floor(new Date(date).getTime() / 1000);

const ModelFields = graphql(`fragment OpenAIModel on CompletionModel @_unmask { slug createdAt provider }`);

const Model = z
  .object({ id: z.string(), object: z.literal('model'), created: z.int(), owned_by: z.string() })
  .openapi('OpenAIModel');

const model = ({ slug, createdAt, provider }: ResultOf<typeof ModelFields>): z.input<typeof Model> => ({
  id: slug,
  object: 'model',
  created: unixTime(createdAt),
  owned_by: providerName(provider),
});

const VectorStore = z
  .object({
    id: z.string(),
    object: z.literal('vector_store'),
    created_at: z.int(),
    name: z.string(),
    file_counts: z.object({ total: z.int() }),
    provider: z.string(),
  })
  .openapi('OpenAIVectorStore');

/** The search index is part of the database too. */
const vectorStoreProvider = 'PostgreSQL';

const file = z.custom<IncomingFile>(isFile, 'must be a file').openapi({ type: 'string', format: 'binary' });

/** Token IDs depend on the tokenizer of a client's model, which the server does not know. */
const texts = z.union(
  [z.string(), z.array(z.string())],
  'must be a text or a list of texts; tokens cannot be read, so send the texts themselves: OpenAIEmbeddings of LangChain does with check_embedding_ctx_length=False',
);

/** The parameters of OpenAI's embeddings. schema/parameters.md lists them. */
export const embeddingParameters = {
  input: honored(
    'A text, or a list of up to 2,048 texts, of at most 8,192 tokens each. Lists of tokens are rejected.',
    texts.nullish(),
  ),
  inputs: honored('The name of `input` in older clients.', texts.nullish()),
  encoding_format: honored('"float" or "base64". Defaults to "float".', z.enum(['float', 'base64']).nullish()),
  dimensions: honored('Rejected when the model does not support it.', z.int().min(1).nullish()),
  model: ignored('The server has one embedding model.'),
  user: ignored('Usage is recorded for the owner of the key.'),
};

const EmbeddingsRequest = z.object(shapeOf(embeddingParameters)).openapi('OpenAIEmbeddingsRequest');

const listOf = ({ input, inputs }: z.infer<typeof EmbeddingsRequest>): string[] => [input ?? inputs ?? []].flat();

/** The parameters of OpenAI's image generation, and `image_references` of AnythingLLM. schema/parameters.md lists them. */
export const imageParameters = {
  // A value that is not text counts as absent, for which the reference has its own message.
  prompt: honored('The description of the image.', z.string().catch('').openapi({ type: 'string' })),
  size: honored('Width and height, such as "1024x1024". "auto" leaves the choice to the model.', z.string().nullish()),
  response_format: honored(
    '"b64_json" or "blob", which returns the bytes of the image. Defaults to "b64_json".',
    z.enum(['b64_json', 'blob'], 'must be "b64_json" or "blob": the server stores no images').nullish(),
  ),
  image_references: honored(
    'Images that the model edits, as files of a form; at most 10.',
    z.union([file, z.array(file).max(10)]).nullish(),
  ),
  n: restricted('The server draws one image per request.', [1, '1']),
  stream: restricted('Images are not streamed.', [false, 'false']),
  partial_images: restricted('Images are not streamed.', [0, '0']),
  background: restricted('The model chooses the background.', ['auto', 'opaque']),
  output_format: restricted('The model chooses the format, which the response names.', ['png']),
  model: ignored('The server has one image model.'),
  quality: ignored('The server draws with the default quality of its model.'),
  style: ignored('The server draws with the default style of its model.'),
  moderation: ignored('The provider of the model decides.'),
  output_compression: ignored('The model chooses the format.'),
  user: ignored('Usage is recorded for the owner of the key.'),
};

const ImageRequest = z.object(shapeOf(imageParameters)).openapi('OpenAIImageRequest');

const Images = z
  .object({
    created: z.int(),
    data: z.array(z.object({ b64_json: z.string() })),
    output_format: z.string().openapi({ description: 'The format of the image: png, jpeg or webp.' }),
  })
  .openapi('OpenAIImages');

const formatOf = (mediaType: string): string => mediaType.replace('image/', '');

/** A response whose body is the bytes of an image. */
class ImageBytes {
  constructor(
    private readonly base64: string,
    private readonly mediaType: string,
  ) {}

  file(): FileReply {
    const bytes = new Uint8Array(Buffer.from(this.base64, 'base64'));
    const etag = createHash('sha256').update(bytes).digest('hex');
    return { bytes, fileName: `image.${formatOf(this.mediaType)}`, mediaType: this.mediaType, etag };
  }
}

/**
 * Returns the error of a server without a model for this operation. That is not an unknown model: the request cannot be
 * served.
 */
const withoutModel: NonNullable<AnyEndpoint['failure']> = (error) =>
  error.code === 'NOT_FOUND' ? openaiError(400, error.message, { param: 'model', code: 'model_not_found' }) : null;

const pageParameter = z.unknown().optional().openapi({
  type: 'string',
  description: 'Pagination is not supported: with any query parameter, the list is empty.',
});

export const openaiEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/openai/models',
    tag,
    summary: 'List the agents that the caller can use as models',
    dialect: openai,
    reply: z.object({ object: z.literal('list'), data: z.array(Model) }).openapi('OpenAIModels'),
    document: graphql(
      `query OpenAIModels($first: Int!) { completionModels(first: $first) { nodes { ...OpenAIModel } } }`,
      [ModelFields],
    ),
    variables: () => ({ first: everything }),
    output: ({ completionModels: { nodes } }) => ({ object: 'list' as const, data: nodes.map(model) }),
  }),
  endpoint({
    method: 'get',
    path: '/v1/openai/models/{model}',
    tag,
    summary: 'Get an agent as a model',
    dialect: openai,
    params: z.object({ model: z.string() }),
    reply: Model,
    document: graphql(
      `query OpenAIModel($slug: String!) { completionModel(agent: { slug: $slug }) { ...OpenAIModel } }`,
      [ModelFields],
    ),
    variables: ({ params }) => ({ slug: params.model }),
    output: ({ completionModel }) => model(completionModel),
  }),
  openaiChatRow,
  endpoint({
    method: 'post',
    path: '/v1/openai/embeddings',
    tag,
    summary: 'Create embeddings of texts',
    dialect: openai,
    body: EmbeddingsRequest,
    reply: z
      .object({
        object: z.literal('list'),
        data: z.array(
          z.object({
            object: z.literal('embedding'),
            index: z.int(),
            embedding: z.union([z.array(z.number()), z.string()]).openapi({
              description: 'The vector as a list of numbers, or as little-endian 32-bit floats in Base64.',
            }),
          }),
        ),
        model: z.string(),
        usage: z.object({ prompt_tokens: z.int(), total_tokens: z.int() }),
      })
      .openapi('OpenAIEmbeddings'),
    document: graphql(
      `mutation OpenAIEmbeddings($input: CreateEmbeddingsInput!, $inBase64: Boolean!) {
        createEmbeddings(input: $input) {
          model promptTokens
          embeddings { index vector @skip(if: $inBase64) base64 @include(if: $inBase64) }
        }
      }`,
    ),
    variables: ({ body }) => ({
      input: { texts: listOf(body), dimensions: body.dimensions ?? null },
      inBase64: body.encoding_format === 'base64',
    }),
    output: ({ createEmbeddings: { model, embeddings, promptTokens } }) => ({
      object: 'list' as const,
      data: embeddings.map(({ index, vector, base64 }) => ({
        object: 'embedding' as const,
        index,
        embedding: base64 ?? vector ?? [],
      })),
      model,
      usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
    }),
    failure: withoutModel,
  }),
  endpoint({
    method: 'get',
    path: '/v1/openai/vector_stores',
    tag,
    summary: 'List the agents as vector stores',
    dialect: openai,
    // Any of these parameters would request a next page, which never exists.
    query: z.looseObject({ limit: pageParameter, order: pageParameter, after: pageParameter, before: pageParameter }),
    reply: z
      .object({
        object: z.literal('list'),
        first_id: z.string().nullish(),
        last_id: z.string().nullish(),
        data: z.array(VectorStore),
        has_more: z.literal(false),
      })
      .openapi('OpenAIVectorStores'),
    document: graphql(
      `query OpenAIVectorStores($first: Int!) {
        completionModels(first: $first) { nodes { name documentCount ...OpenAIModel } }
      }`,
      [ModelFields],
    ),
    // Callers with `read:search` see the number of documents of an agent.
    partial: true,
    variables: ({ query }) => ({ first: Object.keys(query).length > 0 ? 0 : everything }),
    output: ({ completionModels: { nodes } }) => ({
      object: 'list' as const,
      ...(nodes[0] && { first_id: nodes[0].slug, last_id: nodes.at(-1)?.slug ?? null }),
      data: nodes.map(({ slug, createdAt, name, documentCount }) => ({
        id: slug,
        object: 'vector_store' as const,
        created_at: unixTime(createdAt),
        name,
        file_counts: { total: documentCount ?? 0 },
        provider: vectorStoreProvider,
      })),
      has_more: false as const,
    }),
  }),
  endpoint({
    method: 'post',
    path: '/v1/openai/images/generations',
    tag,
    summary: 'Generate an image; returns JSON unless `response_format` is blob',
    dialect: openai,
    body: ImageRequest,
    reply: Images as z.ZodType<unknown, z.input<typeof Images> | ImageBytes>,
    content: { 'image/*': binary },
    document: graphql(
      `mutation OpenAIImages($input: CreateImageInput!) { createImage(input: $input) { base64 mediaType } }`,
    ),
    variables: ({ body: { prompt, size, image_references } }) => ({
      input: { prompt, size: size === 'auto' ? null : size || null, references: [image_references ?? []].flat() },
    }),
    output: ({ createImage: { base64, mediaType } }, { body }) => {
      if (body.response_format === 'blob') return new ImageBytes(base64, mediaType);
      return {
        created: unixTime(new Date()),
        data: [{ b64_json: base64 }],
        output_format: formatOf(mediaType),
      };
    },
    download: async (reply) => (reply instanceof ImageBytes ? reply.file() : null),
    failure: (error, input) =>
      error.details.fields?.some(({ reason }) => reason === 'BLANK')
        ? openaiError(400, 'A prompt is required.', { param: 'prompt' })
        : withoutModel(error, input),
  }),
];
