import { builder } from '../../graphql/builder.ts';
import { ownAccountPayload, sessionPayload } from './sessions.graphql.ts';

const RequestTokenInput = builder.inputType('RequestTokenInput', {
  description: 'Input for the mutation `requestToken`.',
  fields: (t) => ({
    username: t.string({ description: 'The username or the e-mail address; ignored while the server has no people.' }),
    password: t.string({
      required: true,
      description: 'The password of the person or, while the server has no people, its setting `AUTH_TOKEN`.',
    }),
  }),
});

const EnableMultiUserInput = builder.inputType('EnableMultiUserInput', {
  description: 'Input for the mutation `enableMultiUser`.',
  fields: (t) => ({
    username: t.string({
      required: true,
      description:
        'The name to log in with: 2 to 64 of the characters a-z, 0-9 and . _ @ -, the first of them a letter. An e-mail address also becomes the address of the person.',
    }),
    password: t.string({ required: true, description: 'The password: 8 to 64 characters.' }),
  }),
});

const RequestTokenPayload = sessionPayload('RequestTokenPayload', 'requestToken');

const EnableMultiUserPayload = ownAccountPayload('EnableMultiUserPayload', 'enableMultiUser');

builder.mutationFields((t) => ({
  requestToken: t.field({
    type: RequestTokenPayload,
    public: true,
    description:
      'Starts a login session of a person or, while the server has no people, of the built-in owner, whose password is the setting `AUTH_TOKEN`. Attempts are limited as those of `login`.',
    args: { input: t.arg({ type: RequestTokenInput, required: true, description: 'The username and the password.' }) },
    resolve: (_root, { input }, { client, services }) => services.singleUser.requestToken(client, input),
  }),
  enableMultiUser: t.withAuth({ permission: 'manage:users' }).field({
    type: EnableMultiUserPayload,
    description:
      'Creates the first person, with the role ADMIN. From then on people log in, and the sessions and personal access tokens of the built-in owner end. CONFLICT when the server already has people.',
    args: {
      input: t.arg({ type: EnableMultiUserInput, required: true, description: 'The first person of the server.' }),
    },
    resolve: (_root, { input }, { principal, services }) => services.singleUser.enableMultiUser(principal, input),
  }),
}));
