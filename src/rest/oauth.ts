import { z } from '@hono/zod-openapi';
import type { ErrorCode } from '../error-reasons.ts';
import type { AppError } from '../errors.ts';
import { bearerCredential } from './credential.ts';
import type { Dialect, Failure } from './dialect.ts';
import { type AnyEndpoint, endpoint } from './endpoint.ts';
import { graphql } from './graphql.ts';
import { ignoring } from './parameters.ts';
import { permissionNames } from './permission-names.ts';

/** Returns an error in the format of RFC 6749, section 5.2, and RFC 6750, section 3.1. */
const oauthError = (status: number, error: string, description: string, headers?: Record<string, string>): Failure => ({
  status,
  body: { error, error_description: description },
  ...(headers && { headers }),
});

const answers: Record<ErrorCode, (error: AppError) => Failure> = {
  UNAUTHENTICATED: ({ message }) => oauthError(401, 'invalid_token', message, { 'WWW-Authenticate': 'Bearer' }),
  FORBIDDEN: ({ message }) => oauthError(403, 'insufficient_scope', message),
  NOT_FOUND: ({ message }) => oauthError(404, 'invalid_request', message),
  BAD_USER_INPUT: ({ message }) => oauthError(400, 'invalid_request', message),
  CONFLICT: ({ message }) => oauthError(409, 'invalid_request', message),
  RATE_LIMITED: ({ message }) => oauthError(429, 'temporarily_unavailable', message),
  UPSTREAM_REJECTED: ({ message }) => oauthError(400, 'invalid_request', message),
  UPSTREAM_FAILED: ({ message }) => oauthError(502, 'server_error', message),
  TIMEOUT: ({ message }) => oauthError(503, 'temporarily_unavailable', message),
  UNAVAILABLE: ({ message }) => oauthError(503, 'temporarily_unavailable', message),
  INTERNAL: ({ message }) => oauthError(500, 'server_error', message),
};

const say = (status: number, text: string) => oauthError(status, 'invalid_request', text);
const failure = (error: AppError): Failure => answers[error.code](error);

export const oauth: Dialect = {
  credential: bearerCredential,
  atRoot: true,
  looseBodies: false,
  failure,
  invalid: failure,
  say,
};

const Introspection = z
  .object({
    active: z.boolean(),
    scope: z.string().optional().openapi({ description: 'The permissions of the token, separated by spaces.' }),
    client_id: z.string().optional(),
    username: z.string().optional(),
    token_type: z.literal('Bearer').optional(),
    exp: z.int().optional().openapi({
      description:
        'The time at which the token expires, in seconds since 1970-01-01 UTC. Absent when the token is inactive or does not expire.',
    }),
    iat: z.int().optional(),
    sub: z.string().optional(),
    jti: z.string().optional().openapi({ description: 'The integer ID of the token, as a string.' }),
    token_kind: z.string().optional(),
    role: z.string().optional(),
    project_id: z.int().optional(),
  })
  .openapi('TokenIntrospection');

const seconds = (date: Date | null): number | undefined => (date ? Math.floor(date.getTime() / 1000) : undefined);

export const oauthEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'post',
    path: '/oauth/introspect',
    tag: 'Introspection',
    summary: 'Introspect a token (RFC 7662)',
    dialect: oauth,
    form: true,
    body: z.object({
      token: z.string().min(1).max(1000),
      token_type_hint: ignoring(z.string().optional(), 'The kind of a token is part of it.'),
    }),
    reply: Introspection,
    document: graphql(`
      query IntrospectToken($token: String!) {
        introspectToken(token: $token) {
          active databaseId kind userDatabaseId username role permissions projectDatabaseId createdAt expiresAt
        }
      }
    `),
    variables: ({ body }) => ({ token: body.token }),
    output: ({ introspectToken: token }) =>
      token.active
        ? {
            active: true,
            scope: token.permissions ? permissionNames(token.permissions).join(' ') : undefined,
            client_id: token.userDatabaseId ?? undefined,
            username: token.username ?? undefined,
            token_type: 'Bearer' as const,
            exp: seconds(token.expiresAt),
            iat: seconds(token.createdAt),
            sub: token.userDatabaseId ?? undefined,
            jti: token.databaseId?.toString(),
            token_kind: token.kind ?? undefined,
            role: token.role?.toLowerCase(),
            project_id: token.projectDatabaseId ?? undefined,
          }
        : { active: false },
    headers: () => ({ 'Cache-Control': 'no-store' }),
  }),
];
