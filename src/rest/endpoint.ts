import { z } from '@hono/zod-openapi';
import type { TadaDocumentNode } from 'gql.tada';
import { type DocumentNode, type GraphQLError, type GraphQLObjectType, Kind } from 'graphql';
import { isPermission } from '../authz/permissions.ts';
import { demand, signedIn } from '../authz/principal.ts';
import type { Context } from '../context.ts';
import { AppError, invalid } from '../errors.ts';
import { appErrorOf } from '../graphql/errors.ts';
import { executeTraced, subscribeTraced } from '../graphql/execution/traced.ts';
import { runOptions } from '../graphql/plugins/limits.ts';
import { type Requirement, requirementsOf } from '../graphql/plugins/permissions.ts';
import { schema } from '../graphql/schema.ts';
import type { Dialect, Failure } from './dialect.ts';
import { inTermsOfRequest, type Mapping } from './field-names.ts';
import type { Present } from './graphql.ts';

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

/** The parts of a request after validation. */
export interface EndpointInput<Params, Query, Body> {
  params: Params;
  query: Query;
  body: Body;
}

/** The streamed response of an endpoint: each event of a subscription becomes lines. */
export interface StreamSpec<Params, Query, Body, Event, Variables> {
  document: TadaDocumentNode<Event, Variables>;
  /** The variables of the subscription; defaults to those of the endpoint's document. */
  variables?: (input: EndpointInput<Params, Query, Body>) => Variables;
  /** Returns whether the request asks for a stream. Omitted when every response is a stream. */
  when?: (input: EndpointInput<Params, Query, Body>) => boolean;
  /**
   * Sends each object as a server-sent event, `data: {…}` and an empty line, instead of a line of JSON. An error before
   * the first one is then an HTTP status, as for any other endpoint, and a heartbeat is a comment.
   */
  sse?: {
    /** The last event after success, such as `[DONE]`. */
    end?: string;
  };
  /**
   * For an endpoint that resumes a stream: the number of lines that its client already has. They are skipped before the
   * response starts. An error until then is an HTTP status, not a line: that of the endpoint's `failure`, or 400 when
   * the stream ends before them.
   */
  cursor?: (input: EndpointInput<Params, Query, Body>) => number;
  /** Created per request, since packets can depend on earlier ones. */
  packets: () => {
    of: (event: Event) => unknown[];
    /** Returns the packets for an error: of the caller before the first event, or of the server later. */
    failed: (error: AppError) => unknown[];
    /** Sent after 15 seconds without an event, unless with `sse`. */
    heartbeat?: () => unknown;
  };
  description: string;
}

/** A file as a response. */
export interface FileReply {
  bytes: Uint8Array<ArrayBuffer>;
  fileName: string;
  mediaType: string;
  /** Changes with the content. */
  etag: string;
}

/** The schema of the bytes of a file. */
export const binary = z.string().openapi({ format: 'binary' });

/** A condition under which an endpoint is served. */
export interface Gate {
  isOpen: (context: Context) => Promise<boolean>;
  /** The response while the gate is closed. */
  refusal: Failure;
}

/** One operation of a dialect: its path and schemas, its GraphQL document, and the mapping between them. */
export interface Endpoint<
  Params = unknown,
  Query = unknown,
  Body = unknown,
  Data = unknown,
  Variables = unknown,
  Reply = unknown,
  Event = unknown,
  EventVariables = Variables,
> {
  method: Method;
  /** As in OpenAPI, without `/api`: `/chat/delete-chat-session/{session_id}`. */
  path: string;
  tag: string;
  summary: string;
  /** The dialect; defaults to Onyx. */
  dialect?: Dialect;
  params?: z.ZodType<Params>;
  query?: z.ZodType<Query>;
  body?: z.ZodType<Body>;
  /** `true` also accepts a form as the body; `files` requires a form with files, whose fields are lists. */
  form?: true | 'files';
  /** Allows a missing body, which is read as an empty object. */
  optionalBody?: true;
  /** Defaults to 200; 204 has no body. */
  status?: 201 | 202 | 204;
  /** The format of the response; defaults to JSON, also for an endpoint that sometimes returns a file. */
  format?: 'text' | 'empty' | 'file';
  /** The media types of a text or a file, each with the schema of its content. Defaults to `text/plain` with `reply`. */
  content?: Record<string, z.ZodType>;
  /** The response sets a cookie, which pages of other origins must not cause. */
  setsCookie?: true;
  /** Headers of the response. */
  headers?: (
    data: Present<Data>,
    input: EndpointInput<Params, Query, Body>,
    context: Context,
  ) => Record<string, string>;
  reply: z.ZodType<unknown, Reply>;
  /**
   * The response is a file, whose content is read after the document has authorized the caller. Null: this response is
   * not a file.
   */
  download?: (reply: Reply, context: Context) => Promise<FileReply | null>;
  document: TadaDocumentNode<Data, Variables>;
  variables: (input: EndpointInput<Params, Query, Body>) => Variables;
  output: (data: Present<Data>, input: EndpointInput<Params, Query, Body>) => Reply;
  /** Rejects every request while the server is in another mode. */
  gate?: Gate;
  /** Requires a credential although the document is public. */
  signedIn?: true;
  /** Fields that the caller cannot read are null instead of an error of the whole. */
  partial?: true;
  /** Returns the response for an invalid request when the contract differs from the dialect's. */
  invalid?: (error: AppError) => Failure | null;
  /** Returns the response for an error when the contract differs from the dialect's. */
  failure?: (error: AppError, input: EndpointInput<Params, Query, Body> | null) => Failure | null;
  /** Examples of failures that only some values of a request cause, for the documentation of the endpoint. */
  failures?: readonly Failure[];
  stream?: StreamSpec<Params, Query, Body, Event, EventVariables>;
}

// biome-ignore lint/suspicious/noExplicitAny: a table holds rows of every shape; each was checked where it was written.
export type AnyEndpoint = Endpoint<any, any, any, any, any, any, any, any>;

/** Checks the types of an endpoint's parts. */
export const endpoint = <Params, Query, Body, Data, Variables, Reply, Event = unknown, EventVariables = Variables>(
  spec: Endpoint<Params, Query, Body, Data, Variables, Reply, Event, EventVariables>,
): AnyEndpoint => spec;

/** Returns the root fields that a document selects. */
export function rootFields(
  document: DocumentNode,
): { operation: 'Query' | 'Mutation' | 'Subscription'; name: string }[] {
  return document.definitions.flatMap((definition) => {
    if (definition.kind !== Kind.OPERATION_DEFINITION) return [];
    const operation = ({ query: 'Query', mutation: 'Mutation', subscription: 'Subscription' } as const)[
      definition.operation
    ];
    return definition.selectionSet.selections.flatMap((selection) =>
      selection.kind === Kind.FIELD ? [{ operation, name: selection.name.value }] : [],
    );
  });
}

const known = new WeakMap<DocumentNode, Requirement[]>();

/** Returns everything that the root fields of a document require of their caller. */
export function requirements(document: DocumentNode): Requirement[] {
  let found = known.get(document);
  if (!found) {
    found = rootFields(document).flatMap(({ operation, name }) => {
      const field = (schema.getType(operation) as GraphQLObjectType).getFields()[name];
      if (!field) throw new Error(`a row names ${operation}.${name}, which is not there`);
      return requirementsOf(field);
    });
    known.set(document, found);
  }
  return found;
}

/**
 * Returns what an endpoint requires of its caller: the requirements of its document, or a credential. Empty for a
 * public endpoint.
 */
export const endpointRequirements = (endpoint: AnyEndpoint): Exclude<Requirement, 'public'>[] => [
  ...(endpoint.signedIn ? (['signedIn'] as const) : []),
  ...requirements(endpoint.document).filter((requirement) => requirement !== 'public'),
];

/** Checks the requirements before anything of the request is read. Throws UNAUTHENTICATED, FORBIDDEN. */
export function admit(endpoint: AnyEndpoint, context: Context): void {
  for (const requirement of endpointRequirements(endpoint)) {
    if (isPermission(requirement)) demand(context.principal, requirement);
    else signedIn(context.principal);
  }
}

/** Validates one part of a request. Throws BAD_USER_INPUT with the paths of invalid fields. */
export function readPart<T>(type: z.ZodType<T> | undefined, part: string, value: unknown): T {
  if (!type) return undefined as T;
  const result = type.safeParse(value);
  if (!result.success) throw invalid(result.error, [part]);
  return result.data;
}

/** Describes how a request is mapped onto the document of an endpoint, or of its stream. */
export const mappingOf = (
  { params, query, body }: AnyEndpoint,
  { document, variables }: Pick<AnyEndpoint, 'document' | 'variables'>,
  input: EndpointInput<unknown, unknown, unknown>,
): Mapping<EndpointInput<unknown, unknown, unknown>> => ({
  document,
  variables,
  input,
  shapes: { params, query, body },
});

/**
 * Returns the cause of a GraphQL error with the field names of the request, including a value that the endpoint's schema
 * accepts and GraphQL rejects.
 */
function cause(error: GraphQLError, mapping: Mapping<EndpointInput<unknown, unknown, unknown>>): unknown {
  const known = appErrorOf(error);
  if (!known) return error.originalError ?? error;
  const [field] = error.originalError instanceof AppError ? (error.path ?? []) : [];
  return inTermsOfRequest(known, mapping, field === undefined ? undefined : String(field));
}

/** Executes an endpoint's document in process and maps the result. Throws the errors of resolvers. */
export async function executeEndpoint(
  endpoint: AnyEndpoint,
  input: EndpointInput<unknown, unknown, unknown>,
  context: Context,
): Promise<{ body: unknown; headers: Record<string, string> | undefined }> {
  const { document, variables } = endpoint;
  const args = {
    schema,
    document,
    variableValues: variables(input) as Record<string, unknown>,
    contextValue: context,
  };
  const { data, errors } = await context.budget.run(() => executeTraced(args), runOptions(args));
  const fatal = errors?.filter((error) => !(endpoint.partial && data && isRefusal(error)));
  if (fatal?.[0]) throw cause(fatal[0], mappingOf(endpoint, endpoint, input));
  const present = data as Present<unknown>;
  return { body: endpoint.output(present, input), headers: endpoint.headers?.(present, input, context) };
}

const isRefusal = (error: GraphQLError): boolean =>
  error.originalError instanceof AppError && error.originalError.code === 'FORBIDDEN' && (error.path?.length ?? 0) > 1;

/** Starts an endpoint's subscription. Throws the errors of its resolver. */
export async function streamRow(
  mapping: Mapping<EndpointInput<unknown, unknown, unknown>>,
  variableValues: Record<string, unknown>,
  context: Context,
): Promise<AsyncGenerator<unknown, void, undefined>> {
  const { document } = mapping;
  const result = await subscribeTraced({ schema, document, variableValues, contextValue: context });
  if (!(Symbol.asyncIterator in result))
    throw result.errors?.[0] ? cause(result.errors[0], mapping) : new Error('no stream');
  return (async function* () {
    for await (const { data, errors } of result) {
      if (errors?.[0]) throw cause(errors[0], mapping);
      yield data;
    }
  })();
}
