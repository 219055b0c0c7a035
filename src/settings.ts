import { isIPv4 } from 'node:net';
import { resolve } from 'node:path';
import { z } from 'zod';
import { isWellFormedSecret } from './authz/secret.ts';
import { projectRoot } from './project-root.ts';
import { s3Problems, s3Settings, s3Variables } from './s3-settings.ts';
import {
  allowedHosts,
  baseUrl,
  databaseUrl,
  days,
  flag,
  headerText,
  hosts,
  list,
  oneOf,
  origins,
  redisUrl,
  seconds,
  text,
  whole,
} from './setting-types.ts';
import { StartupError } from './startup-error.ts';

/**
 * The settings of a model. A key is only used for its own server, so that the key of the language model is not sent to
 * another one.
 */
function served(
  model: string | undefined,
  baseUrl: string | undefined,
  apiKey: string | undefined,
  fallback: { LLM_BASE_URL?: string | undefined; LLM_API_KEY?: string | undefined },
): { model: string; baseUrl: string; apiKey: string | undefined } | null {
  if (model === undefined) return null;
  if (baseUrl !== undefined) return { model, baseUrl, apiKey };
  return { model, baseUrl: fallback.LLM_BASE_URL as string, apiKey: apiKey ?? fallback.LLM_API_KEY };
}

/** Returns whether only this machine can reach a server that listens on `host`. */
const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));

/**
 * Registration is open only on a developer's machine. It is closed with `AUTH_TOKEN`, since the first account ends the
 * sessions that this password opened.
 */
function defaultRegistration(env: {
  AUTH_TOKEN?: string | undefined;
  NODE_ENV?: string | undefined;
  HOST: string;
}): 'open' | 'invite' | 'closed' {
  if (env.AUTH_TOKEN) return 'closed';
  return env.NODE_ENV === 'production' || !isLoopback(env.HOST) ? 'invite' : 'open';
}

/** Every setting of the server; the README describes them. */
const variables = z.object({
  NODE_ENV: z.string().optional(),
  PORT: whole(0, 65_535).default(4000),
  HOST: text.default('127.0.0.1'),
  DATA_DIR: text.default('./data'),
  DATABASE_URL: databaseUrl.optional(),
  REDIS_URL: redisUrl.optional(),
  ...s3Variables,
  SECRET_KEY: z.string().min(32, 'must have at least 32 characters').optional(),
  PUBLIC_URL: baseUrl.optional(),
  LLM_PROVIDER: oneOf('embedded', 'openai-compatible').default('embedded'),
  LLM_BASE_URL: baseUrl.optional(),
  LLM_API_KEY: headerText.optional(),
  LLM_MODEL: text.optional(),
  LLM_MODELS: list,
  LLM_VISION: flag.default(false),
  LLM_CONTEXT_TOKENS: whole(2048, 10_000_000).default(32_768),
  EMBEDDING_MODEL: text.optional(),
  EMBEDDING_BASE_URL: baseUrl.optional(),
  EMBEDDING_API_KEY: headerText.optional(),
  IMAGE_MODEL: text.optional(),
  IMAGE_BASE_URL: baseUrl.optional(),
  IMAGE_API_KEY: headerText.optional(),
  LLM_SILENCE_SECONDS: seconds.default(60),
  TURN_SECONDS: seconds.default(600),
  OPERATION_SECONDS: seconds.default(30),
  SHUTDOWN_SECONDS: seconds.default(10),
  STATEMENT_SECONDS: seconds.default(20),
  BOOTSTRAP_ADMIN_KEY: z
    .string()
    .refine(
      (key) => isWellFormedSecret(key, 'API_KEY'),
      'must be an on_ key with a valid checksum; `npm run new-key` prints one',
    )
    .optional(),
  AUTH_TOKEN: z.string().min(8, 'must have at least 8 characters').optional(),
  REGISTRATION: oneOf('open', 'invite', 'closed').optional(),
  GRAPHIQL: flag.optional(),
  TRUSTED_PROXIES: whole(0, 10).default(0),
  CORS_ORIGINS: origins,
  WIDGET_ORIGINS: oneOf('deny', 'allow').optional(),
  ALLOWED_HOSTS: allowedHosts,
  AUDIT_RETENTION_DAYS: days,
  CHAT_RETENTION_DAYS: days,
  WEB_URL: baseUrl.optional(),
  LINK_ALLOWED_HOSTS: hosts,
  MAX_FILE_MB: whole(1, 200).default(20),
  OTEL_EXPORTER_OTLP_ENDPOINT: baseUrl.optional(),
  LOG_LEVEL: oneOf('silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace').default('info'),
});

const Environment = variables
  .superRefine((env, context) => {
    for (const kind of ['EMBEDDING', 'IMAGE'] as const)
      if (env[`${kind}_MODEL`] && !env[`${kind}_BASE_URL`] && !env.LLM_BASE_URL)
        context.addIssue({ code: 'custom', path: [`${kind}_BASE_URL`], message: `is required with ${kind}_MODEL` });
    if (env.REDIS_URL && !env.DATABASE_URL)
      context.addIssue({
        code: 'custom',
        path: ['REDIS_URL'],
        message: 'requires DATABASE_URL, because several instances cannot share the embedded database',
      });
    for (const { name, message } of s3Problems(env)) context.addIssue({ code: 'custom', path: [name], message });
    if (env.LLM_PROVIDER !== 'openai-compatible') return;
    for (const name of ['LLM_BASE_URL', 'LLM_MODEL'] as const)
      if (!env[name])
        context.addIssue({ code: 'custom', path: [name], message: 'is required with LLM_PROVIDER=openai-compatible' });
  })
  .transform((env) => ({
    /** Every line of output is JSON. */
    isProduction: env.NODE_ENV === 'production',
    port: env.PORT,
    host: env.HOST,
    dataDir: resolve(projectRoot, env.DATA_DIR),
    databaseUrl: env.DATABASE_URL,
    /** The bucket that stores the bytes of files; null when `dataDir` does. */
    s3: s3Settings(env),
    /** Redis, through which several instances share their state. */
    redisUrl: env.REDIS_URL,
    /** The secret that all instances have in common. */
    secretKey: env.SECRET_KEY,
    /** The URL of this server without a trailing slash. Links in citations start with it. */
    publicUrl: env.PUBLIC_URL ?? `http://${env.HOST.includes(':') ? `[${env.HOST}]` : env.HOST}:${env.PORT}`,
    model: {
      provider: env.LLM_PROVIDER,
      baseUrl: env.LLM_BASE_URL,
      apiKey: env.LLM_API_KEY,
      model: env.LLM_MODEL,
      others: env.LLM_MODELS,
      sees: env.LLM_VISION,
      contextTokens: env.LLM_CONTEXT_TOKENS,
    },
    /** The optional models for embeddings and images; they default to the server of the language model. */
    embeddings: served(env.EMBEDDING_MODEL, env.EMBEDDING_BASE_URL, env.EMBEDDING_API_KEY, env),
    images: served(env.IMAGE_MODEL, env.IMAGE_BASE_URL, env.IMAGE_API_KEY, env),
    /** Maximum silence of a model and maximum duration of a turn. Milliseconds. */
    modelSilenceMs: env.LLM_SILENCE_SECONDS * 1000,
    turnMs: env.TURN_SECONDS * 1000,
    /** The longest that a query or a mutation may run when it does not wait for a model or for files. Milliseconds. */
    operationMs: env.OPERATION_SECONDS * 1000,
    /** How long a shutdown waits for running answers. Milliseconds. */
    shutdownMs: env.SHUTDOWN_SECONDS * 1000,
    /** The time that one statement may take in the database. Milliseconds. */
    statementTimeoutMs: env.STATEMENT_SECONDS * 1000,
    bootstrapAdminKey: env.BOOTSTRAP_ADMIN_KEY,
    /** The password of the built-in owner, valid while no person exists. */
    authToken: env.AUTH_TOKEN,
    /** Who can register: everyone, invited people, or no one. Administrators can always create accounts. */
    registration: env.REGISTRATION ?? defaultRegistration(env),
    /** The first person to register becomes an administrator only where the operator chose `open`. */
    firstPersonIsAdmin: env.REGISTRATION === 'open',
    /** Whether anonymous clients can use GraphiQL and introspection. Authenticated callers always can. */
    graphiql: env.GRAPHIQL ?? env.NODE_ENV !== 'production',
    /** Number of reverse proxies, each of which appends its client to `X-Forwarded-For`. */
    trustedProxies: env.TRUSTED_PROXIES,
    corsOrigins: env.CORS_ORIGINS,
    /** Which pages can show a chat widget that has no list of origins: all, or only those of `publicUrl`. */
    widgetOrigins: env.WIDGET_ORIGINS ?? (env.NODE_ENV === 'production' ? 'deny' : 'allow'),
    /** Host names that the `Host` header can have, besides `localhost`, IP addresses and the host of `publicUrl`. */
    allowedHosts: env.ALLOWED_HOSTS,
    /** Days after which audit events are deleted; kept indefinitely when absent. */
    auditRetentionDays: env.AUDIT_RETENTION_DAYS,
    /** Days after which unused chats are erased; kept indefinitely when absent. */
    chatRetentionDays: env.CHAT_RETENTION_DAYS,
    /** The base URL of the chat page in links to chats. Defaults to the URL of this server. */
    webUrl: env.WEB_URL,
    /** Hosts, with or without a port, that links can refer to although their addresses are not public. */
    linkAllowedHosts: env.LINK_ALLOWED_HOSTS,
    /** Maximum size of an uploaded file. Bytes. */
    maxFileSize: env.MAX_FILE_MB * 1024 * 1024,
    logLevel: env.LOG_LEVEL,
    /** The collector that receives traces and logs. Nothing is exported when absent. */
    collectorUrl: env.OTEL_EXPORTER_OTLP_ENDPOINT,
  }));

export const settingNames: readonly string[] = Object.keys(variables.shape);

/** The value of each setting that the environment does not have. */
export const settingDefaults: Readonly<Record<string, unknown>> = variables.parse({});

export type Settings = Readonly<z.output<typeof Environment>>;

/** An invalid setting; the message is one line that names it. */
export class SettingsError extends StartupError {
  override readonly name = 'SettingsError';
}

/** Reads and validates the environment. An empty variable counts as absent. Throws SettingsError. */
export function readSettings(environment: Record<string, string | undefined>): Settings {
  const present = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  const result = Environment.safeParse(present);
  if (result.success) return Object.freeze(result.data);
  throw new SettingsError(result.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`).join('; '));
}
