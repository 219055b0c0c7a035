import { z } from '@hono/zod-openapi';
import { type DocumentNode, getNullableType, isListType, TypeInfo, visit, visitWithTypeInfo } from 'graphql';
import {
  AppError,
  badInput,
  conflict,
  denied,
  forbidden,
  invalidCredential,
  notFound,
  rateLimited,
  supersededSecret,
  unauthenticated,
  unavailable,
} from '../errors.ts';
import { schema } from '../graphql/schema.ts';
import { type Failure, failureFor, unreadFailure } from './dialect.ts';
import { type AnyEndpoint, endpointRequirements, rootFields } from './endpoint.ts';
import { fieldsOf } from './field-names.ts';
import { onyx } from './onyx/errors.ts';
import { dialectOf } from './routes.ts';

export type Content = Record<string, { schema: z.ZodType }>;
export type Responses = Record<number, { description: string; content?: Content }>;

const Refused = z.object({ error_code: z.string().optional(), detail: z.string() }).openapi('Error');
const RateLimited = z
  .object({
    scope: z.string().nullable().openapi({
      description:
        'The scope of the exceeded limit: `global`, `user_group`, `user` or `token`; null for any other limit.',
    }),
    reset_at: z
      .string()
      .nullable()
      .openapi({ description: 'The time at which the period of the limit ends; null if it is unknown.' }),
    retry_after_seconds: z.int().nullable(),
    error_code: z.literal('RATE_LIMITED'),
    detail: z.string(),
  })
  .openapi('RateLimitError');
const Message = z.object({ message: z.string() }).openapi('MessageError');
const Unreadable = z
  .object({ status_code: z.literal(422), message: z.string(), data: z.null() })
  .openapi('ValidationError', {
    description: 'The request does not match the documented schema; `message` names the fields.',
  });
const Failed = z.object({ error: z.string() }).openapi('AnythingLLMError');
const Unsuccessful = z.object({ success: z.literal(false), error: z.string() }).openapi('AnythingLLMFailure');
const OpenAIFailed = z
  .object({
    error: z.object({
      message: z.string(),
      type: z.string(),
      param: z.string().nullable().openapi({ description: 'The invalid field of the request.' }),
      code: z.string().nullable(),
    }),
  })
  .openapi('OpenAIError');
const OAuthFailed = z.object({ error: z.string(), error_description: z.string() }).openapi('OAuthError');

const named = [Unreadable, RateLimited, OAuthFailed, OpenAIFailed];

/** Returns the schema of one value. The properties of an object are those of the value. */
function schemaOf(value: unknown): z.ZodType {
  if (value === null) return z.null();
  if (typeof value === 'string') return z.string();
  if (typeof value === 'number') return z.number();
  if (typeof value === 'boolean') return z.literal(value);
  if (Array.isArray(value)) return z.array(z.unknown());
  return z.object(Object.fromEntries(Object.entries(value as object).map(([name, inner]) => [name, schemaOf(inner)])));
}

/** Returns the schema of the body of an error: a named one where several endpoints share it. */
function schemaOfError(body: unknown): z.ZodType {
  const specific = named.find((schema) => schema.safeParse(body).success);
  if (specific) return specific;
  const keys = Object.keys(body as object);
  const isAmong = (schema: z.ZodObject) =>
    keys.every((key) => Object.hasOwn(schema.shape, key)) && schema.safeParse(body).success;
  return [Refused, Message, Failed, Unsuccessful].find(isAmong) ?? schemaOf(body);
}

const descriptions: Record<number, string> = {
  400: 'The request is invalid.',
  401: 'No valid credential was sent.',
  402: 'The quota of the model’s provider is exhausted.',
  403: 'No valid credential was sent, or it lacks a permission.',
  404: 'An object does not exist, or the caller cannot read it.',
  409: 'The request conflicts with the current state of an object.',
  413: 'The body of the request is too large.',
  415: 'The media type of the body is not supported.',
  422: 'The request does not match the documented schema.',
  429: 'A limit is exceeded. `Retry-After` has the number of seconds to wait.',
  500: 'The server failed. The message has the ID of the request, which the log of the server contains.',
  502: 'The model’s provider failed.',
  503: 'The server or its database is unavailable. `Retry-After` has the number of seconds to wait.',
};

/** Returns a body as clients receive it: a date is text. A value that the request provides is text too. */
const asSent = (body: unknown): unknown =>
  body === undefined
    ? undefined
    : JSON.parse(JSON.stringify(body, (_, value) => (typeof value === 'function' ? '' : value)));

/** Collects failures as the responses of an operation. A status can have several schemas. */
function responsesOf(failures: readonly Failure[]): Responses {
  const schemas = new Map<number, Map<string, Map<string, z.ZodType>>>();
  const distinct = new Map(failures.map((failure) => [JSON.stringify(failure), failure]));
  for (const { status, body: unsent, headers = {} } of distinct.values()) {
    const body = asSent(unsent);
    const types = schemas.get(status) ?? new Map<string, Map<string, z.ZodType>>();
    schemas.set(status, types);
    if (body === undefined) continue;
    const isText = typeof body === 'string';
    const type = isText ? (headers['Content-Type'] ?? 'text/plain').replace(/;.*/, '') : 'application/json';
    const schema = isText ? z.string() : schemaOfError(body);
    const key = JSON.stringify(z.toJSONSchema(schema, { unrepresentable: 'any' }));
    types.set(type, (types.get(type) ?? new Map<string, z.ZodType>()).set(key, schema));
  }
  const contentOf = (types: Map<string, Map<string, z.ZodType>>): Content =>
    Object.fromEntries(
      [...types].map(([type, alternatives]) => {
        const [first, second, ...others] = alternatives.values();
        return [type, { schema: second ? z.union([first as z.ZodType, second, ...others]) : (first as z.ZodType) }];
      }),
    );
  return Object.fromEntries(
    [...schemas].map(([status, types]) => [
      status,
      {
        description: descriptions[status] ?? 'The request failed.',
        ...(types.size > 0 && { content: contentOf(types) }),
      },
    ]),
  );
}

const tooManyRequests = rateLimited('REQUEST_LIMIT', 'Too many requests.', 60, {
  scope: 'TOKEN',
  resetAt: new Date(0),
});
const internal = new AppError('INTERNAL', 'INTERNAL_ERROR', 'Internal error.');

/** The errors of every endpoint. */
const anywhere: readonly AppError[] = [
  tooManyRequests,
  new AppError('RATE_LIMITED', 'RATE_LIMITED', 'Too many requests.'),
  internal,
  unavailable('DATABASE_UNAVAILABLE', 'Unavailable.'),
];

const missingCredential: readonly AppError[] = [
  unauthenticated(),
  invalidCredential(),
  supersededSecret(),
  forbidden(['read:agents']),
];

/** Returns an error for each field of a request, for each part as a whole, and for a field without a schema. */
const invalidFields = ({ params, query, body }: AnyEndpoint): AppError[] =>
  Object.entries({ path: params, query, body })
    .flatMap(([part, shape]) => (shape ? [[part], ...[...fieldsOf(shape), 'field'].map((name) => [part, name])] : []))
    .map((path) => badInput(path, 'is wrong'));

/** The root fields that call a language model, besides those that stream. */
const modelFields = new Set([
  'createChatCompletion',
  'createEmbeddings',
  'createImage',
  'embedTurn',
  'seedChatSession',
  'sendChatMessage',
  'updateChatSession',
]);
const modelFailures: readonly AppError[] = [
  new AppError('UPSTREAM_REJECTED', 'REQUEST_REJECTED', 'The provider rejected the request.'),
  new AppError('UPSTREAM_FAILED', 'UPSTREAM_FAILED', 'The provider failed.'),
  new AppError('TIMEOUT', 'OPERATION_TIMEOUT', 'The provider took too long.'),
];

const writes = (endpoint: AnyEndpoint): boolean =>
  endpoint.method !== 'get' && rootFields(endpoint.document).some(({ operation }) => operation !== 'Query');

/** Returns whether a document selects a list, which can be too long for one response. */
function selectsList(document: DocumentNode): boolean {
  const types = new TypeInfo(schema);
  let found = false;
  const Field = () => {
    found ||= isListType(getNullableType(types.getType()));
  };
  visit(document, visitWithTypeInfo(types, { Field }));
  return found;
}

/** Returns a sample of each kind of error that the execution of an endpoint can throw, from its declaration. */
function errorsOfExecution(endpoint: AnyEndpoint): AppError[] {
  const takesInput = endpoint.params !== undefined || endpoint.query !== undefined || endpoint.body !== undefined;
  const hasOwnFailure = (error: AppError) => endpoint.failure !== undefined && endpoint.failure(error, null) !== null;
  const callsModel =
    endpoint.stream !== undefined || rootFields(endpoint.document).some(({ name }) => modelFields.has(name));
  return [
    ...anywhere,
    ...(endpointRequirements(endpoint).length > 0 ? missingCredential : missingCredential.filter(hasOwnFailure)),
    ...(endpoint.setsCookie ? [denied('CROSS_ORIGIN_REQUEST', 'A page of another origin cannot do this.')] : []),
    ...(takesInput
      ? [notFound('AGENT_NOT_FOUND'), notFound('CHAT_SESSION_NOT_FOUND'), ...invalidFields(endpoint)]
      : []),
    ...(selectsList(endpoint.document)
      ? [new AppError('BAD_USER_INPUT', 'RESPONSE_TOO_LARGE', 'The list is too long.')]
      : []),
    ...(writes(endpoint) ? [conflict('CHANGED_CONCURRENTLY', 'Conflict.')] : []),
    ...(callsModel ? modelFailures : []),
  ];
}

/** A request whose every field is this value again, for error responses that quote the request. */
const anyInput: unknown = new Proxy(() => '', {
  get: (_target, key) => (key === Symbol.toPrimitive ? () => '' : anyInput),
  apply: () => anyInput,
});

/** Returns the failures of an endpoint for an error. An endpoint can have different ones before and after it reads the request. */
function failuresFor(endpoint: AnyEndpoint, error: AppError): Failure[] {
  return [null, anyInput].map((input) => failureFor(dialectOf(endpoint), endpoint, error, input as never));
}

/** Returns the failures of an endpoint for a request that does not match its schemas. */
function failuresOfReading(endpoint: AnyEndpoint): Failure[] {
  const dialect = dialectOf(endpoint);
  const { invalid, say } = dialect;
  const errors = [
    ...invalidFields(endpoint),
    ...(endpoint.method === 'post' ? [badInput(['Idempotency-Key'], 'is wrong')] : []),
  ];
  return [
    say(400, 'Bad Request'),
    ...errors.map((error) => endpoint.invalid?.(error) ?? invalid(error)),
    ...errors.map(invalid),
    ...(endpoint.body
      ? [
          say(415, 'Unsupported Media Type'),
          unreadFailure(dialect, { status: 413, text: 'The body is too large.' }),
          unreadFailure(dialect, { status: 429, text: 'Too many requests.' }),
        ]
      : []),
  ];
}

/** Returns the error responses of an endpoint, from its declaration and the format of its dialect. */
export function errorsOf(endpoint: AnyEndpoint): Responses {
  const failures = [
    ...failuresOfReading(endpoint),
    ...errorsOfExecution(endpoint).flatMap((error) => failuresFor(endpoint, error)),
    ...(endpoint.gate ? [endpoint.gate.refusal] : []),
    ...(endpoint.failures ?? []),
  ];
  // A failure with the status of success has the schema of the reply.
  return responsesOf(failures.filter(({ status }) => status !== (endpoint.status ?? 200)));
}

/** The error responses of the paths that need no credential and read only the URL. */
export const publicErrors: Responses = responsesOf([onyx.say(400, 'Bad Request')]);

/** The error responses of a download: it has no body and changes nothing. */
export const downloadErrors: Responses = responsesOf([
  onyx.say(400, 'Bad Request'),
  onyx.invalid(badInput(['query', 'field'], 'is wrong')),
  ...[...anywhere, ...missingCredential, notFound('USER_NOT_FOUND')].map(onyx.failure),
]);
