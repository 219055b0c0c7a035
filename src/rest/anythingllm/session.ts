import { z } from '@hono/zod-openapi';
import type { Failure } from '../dialect.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql } from '../graphql.ts';
import { anythingllm, anythingllmSession } from './dialect.ts';
import { anyText, User, UserFields, user } from './shapes.ts';

const tag = 'AnythingLLM sessions';

const Credentials = z
  .object({
    username: anyText.openapi({
      description: 'The username or the email address. Ignored while the server has no user accounts.',
    }),
    password: anyText.openapi({
      description: 'The password of the user. While the server has no user accounts, the password of the server.',
    }),
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
    summary: 'Log in and get a session token',
    dialect: anythingllmSession,
    body: Credentials,
    reply: z
      .object({
        valid: z.boolean(),
        user: User.nullish().openapi({
          description:
            'The user who logged in; null when the login fails. Absent while the server has no user accounts.',
        }),
        token: z.string().nullable(),
        message: z.string().nullable().openapi({
          description:
            'The reason why the response contains no token. A wrong username or password is reported with status 200.',
        }),
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
    summary: 'Check whether a session token or an API key is valid',
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
    summary: 'Check whether multi-user mode is enabled',
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
    summary: 'Enable multi-user mode by creating the first user, an administrator',
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
    summary: 'Check whether an API key is valid',
    dialect: anythingllm,
    reply: z.object({ authenticated: z.literal(true) }),
    document: Viewer,
    signedIn: true,
    variables: () => ({}),
    output: () => ({ authenticated: true as const }),
  }),
];
