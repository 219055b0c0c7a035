import { z } from '@hono/zod-openapi';
import type { Failure } from '../dialect.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql } from '../graphql.ts';
import { anythingllm, anythingllmSession } from './dialect.ts';
import { anyText, User, UserFields, user } from './shapes.ts';

const tag = 'AnythingLLM sessions';

const Credentials = z
  .object({
    username: anyText.openapi({ description: 'The username or the address; ignored while there are no people.' }),
    password: anyText.openapi({ description: 'The password; while there are no people, the setting AUTH_TOKEN.' }),
  })
  .openapi('RequestToken');

const noToken = (status: number, message: string, more: object = {}): Failure => ({
  status,
  body: { valid: false, token: null, message, ...more },
});

const Viewer = graphql(`query AnythingLLMViewer { viewer { role } }`);

export const sessionEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'post',
    path: '/request-token',
    tag,
    summary: 'Log in',
    dialect: anythingllmSession,
    body: Credentials,
    reply: z
      .object({
        valid: z.boolean(),
        user: User.nullish().openapi({ description: 'Absent while there are no people.' }),
        token: z.string().nullable(),
        message: z
          .string()
          .nullable()
          .openapi({ description: 'Why there is no token: a wrong username or password is told with status 200.' }),
      })
      .openapi('RequestTokenResponse'),
    document: graphql(
      `mutation RequestToken($input: RequestTokenInput!) {
        requestToken(input: $input) { token user { accountType ...AnythingLLMUser } }
      }`,
      [UserFields],
    ),
    variables: ({ body }) => ({ input: body }),
    output: ({ requestToken: { token, user: account } }) => ({
      valid: true,
      ...(account.accountType === 'STANDARD' && { user: user(account) }),
      token,
      message: null,
    }),
    failure: (error) => {
      if (error.code === 'BAD_USER_INPUT') return noToken(200, '[001] Invalid login credentials.', { user: null });
      if (error.code === 'UNAUTHENTICATED') return noToken(401, '[003] Invalid password provided');
      return error.code === 'RATE_LIMITED' ? noToken(429, error.message, { user: null, error: error.message }) : null;
    },
  }),
  endpoint({
    method: 'get',
    path: '/system/check-token',
    tag,
    summary: 'Whether a credential opens anything',
    dialect: anythingllmSession,
    reply: z.literal('OK'),
    format: 'text',
    document: Viewer,
    signedIn: true,
    variables: () => ({}),
    output: () => 'OK' as const,
  }),
  endpoint({
    method: 'get',
    path: '/system/multi-user-mode',
    tag,
    summary: 'Whether people log in here',
    dialect: anythingllmSession,
    reply: z.object({ multiUserMode: z.boolean() }),
    document: graphql(`query MultiUserMode { authentication { multiUserMode } }`),
    variables: () => ({}),
    output: ({ authentication: { multiUserMode } }) => ({ multiUserMode }),
  }),
  endpoint({
    method: 'post',
    path: '/system/enable-multi-user',
    tag,
    summary: 'Make the first person, an administrator',
    dialect: anythingllmSession,
    body: z.object({ username: anyText, password: anyText }).openapi('EnableMultiUser'),
    reply: z.object({ success: z.boolean(), error: z.string().nullable() }).openapi('EnableMultiUserResponse'),
    document: graphql(
      `mutation EnableMultiUser($input: EnableMultiUserInput!) { enableMultiUser(input: $input) { user { id } } }`,
    ),
    variables: ({ body }) => ({ input: body }),
    output: () => ({ success: true, error: null }),
    failure: ({ code, message }) => {
      if (code === 'CONFLICT') return { status: 200, body: { success: false, error: message } };
      return code === 'BAD_USER_INPUT' ? { status: 400, body: { success: false, error: message } } : null;
    },
  }),
  endpoint({
    method: 'get',
    path: '/v1/auth',
    tag: 'AnythingLLM',
    summary: 'Whether a key opens anything',
    dialect: anythingllm,
    reply: z.object({ authenticated: z.literal(true) }),
    document: Viewer,
    signedIn: true,
    variables: () => ({}),
    output: () => ({ authenticated: true as const }),
  }),
];
