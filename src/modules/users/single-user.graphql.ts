import { signedIn } from '../../authz/principal.ts';
import type { User as UserRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { Account } from './accounts.graphql.ts';
import { sessionPayload } from './sessions.graphql.ts';

const RequestTokenInput = builder.inputType('RequestTokenInput', {
  description: 'Who asks for a session, the way AnythingLLM’s clients do.',
  fields: (t) => ({
    username: t.string({ description: 'The username or the address; without meaning while there are no people.' }),
    password: t.string({
      required: true,
      description: 'The password: of that person or, while there are no people, of the server.',
    }),
  }),
});

const EnableMultiUserInput = builder.inputType('EnableMultiUserInput', {
  description: 'The first person.',
  fields: (t) => ({
    username: t.string({
      required: true,
      description:
        'The name to log in with: 2 to 64 of a-z, 0-9 and . _ @ -, beginning with a letter. If it is an address, that is the person’s.',
    }),
    password: t.string({ required: true, description: '8 to 64 characters.' }),
  }),
});

const RequestTokenPayload = sessionPayload('RequestTokenPayload', 'A new login session.');

const EnableMultiUserPayload = builder.objectRef<{ account: UserRow }>('EnableMultiUserPayload').implement({
  description: 'What `enableMultiUser` made.',
  fields: (t) => ({
    account: t.field({ type: Account, description: 'The first person.', resolve: ({ account }) => account }),
  }),
});

builder.mutationFields((t) => ({
  requestToken: t.field({
    type: RequestTokenPayload,
    public: true,
    description:
      'Starts a login session: a person’s or, while there are no people, that of the built-in owner, whose password is the setting AUTH_TOKEN. Attempts count as those of `login` do.',
    args: { input: t.arg({ type: RequestTokenInput, required: true, description: 'Username and password.' }) },
    resolve: (_root, { input }, { client, services }) => services.singleUser.requestToken(client, input),
  }),
  enableMultiUser: t.field({
    type: EnableMultiUserPayload,
    authScopes: { permission: 'manage:users' },
    description:
      'Makes the first person, an ADMIN: from then on people log in, and the built-in owner’s sessions and personal tokens end. A CONFLICT when there are people already.',
    args: { input: t.arg({ type: EnableMultiUserInput, required: true, description: 'The first person.' }) },
    resolve: async (_root, { input }, { principal, services }) => ({
      account: await services.singleUser.enableMultiUser(signedIn(principal), input),
    }),
  }),
}));
