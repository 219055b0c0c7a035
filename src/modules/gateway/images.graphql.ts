import type { Drawn } from '../../ai/images.ts';
import { builder } from '../../graphql/builder.ts';

const CreateImagePayload = builder.objectRef<Drawn>('CreateImagePayload').implement({
  description: 'Result of `createImage`. The server does not store the image.',
  fields: (t) => ({
    base64: t.exposeString('base64', { description: 'The bytes of the image, in base64.' }),
    mediaType: t.exposeString('mediaType', { description: 'The media type of the image, such as `image/png`.' }),
  }),
});

const CreateImageInput = builder.inputType('CreateImageInput', {
  description: 'Input for the mutation `createImage`.',
  fields: (t) => ({
    prompt: t.string({ required: true, description: 'The description of the image; at most 32,000 characters.' }),
    size: t.string({
      description: 'The width and height in pixels, such as `1024x1024`. Defaults to that of the model.',
    }),
    references: t.field({
      type: ['Upload'],
      description:
        'Images to edit, for models that can edit images: PNG, JPEG or WebP, at most 10 of at most 25 MiB each.',
    }),
  }),
});

builder.mutationField('createImage', (t) =>
  t.withAuth({ permission: 'use:llm_gateway' }).field({
    type: CreateImagePayload,
    ownTimeLimit: true,
    description: 'Generates an image with the image model of the server. NOT_FOUND if it has no image model.',
    args: { input: t.arg({ type: CreateImageInput, required: true, description: 'The description and the options.' }) },
    resolve: (_root, { input }, { principal, services, signal }) => services.images.create(principal, input, signal),
  }),
);
