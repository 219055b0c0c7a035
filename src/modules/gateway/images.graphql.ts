import { signedIn } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';
import type { Drawn } from '../../models/images.ts';

const CreateImagePayload = builder.objectRef<Drawn>('CreateImagePayload').implement({
  description: 'An image that was drawn. It is not kept.',
  fields: (t) => ({
    base64: t.exposeString('base64', { description: 'Its bytes, in base64.' }),
    mediaType: t.exposeString('mediaType', { description: 'Their type, such as `image/png`.' }),
  }),
});

const CreateImageInput = builder.inputType('CreateImageInput', {
  description: 'What to draw.',
  fields: (t) => ({
    prompt: t.string({ required: true, description: 'What is to be seen; at most 32,000 characters.' }),
    size: t.string({ description: 'Width and height, such as `1024x1024`; as the model likes unless given.' }),
    references: t.field({
      type: ['Upload'],
      description: 'Images to draw from, PNG, JPEG or WebP, at most 10 of at most 25 MiB. For models that edit images.',
    }),
  }),
});

builder.mutationField('createImage', (t) =>
  t.field({
    type: CreateImagePayload,
    ownTimeLimit: true,
    authScopes: { permission: 'use:llm_gateway' },
    description: 'Draws an image with the server’s image model. NOT_FOUND where it has none.',
    args: { input: t.arg({ type: CreateImageInput, required: true, description: 'What to draw.' }) },
    resolve: (_root, { input }, { principal, services, signal }) =>
      services.images.create(signedIn(principal), input, signal),
  }),
);
