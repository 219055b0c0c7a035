import type { z } from '@hono/zod-openapi';
import type { TadaDocumentNode } from 'gql.tada';
import { type DocumentNode, execute, type GraphQLError, type GraphQLObjectType, Kind, subscribe } from 'graphql';
import { isPermission } from '../authz/permissions.ts';
import { demand, signedIn } from '../authz/principal.ts';
import type { Context } from '../context.ts';
import { AppError, invalid } from '../errors.ts';
import { appErrorOf } from '../graphql/errors.ts';
import { runOptions } from '../graphql/plugins/limits.ts';
import { type Requirement, requirementsOf } from '../graphql/plugins/permissions.ts';
import { schema } from '../graphql/schema.ts';
import type { Dialect, Failure } from './dialect.ts';
import type { Present } from './graphql.ts';

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

/** What a caller sent, once zod has read it. */
export interface RowInput<Params, Query, Body> {
  params: Params;
  query: Query;
  body: Body;
}

/** How a row answers with a stream: each event of a subscription becomes lines. */
export interface StreamSpec<Params, Query, Body, Event, Variables> {
  document: TadaDocumentNode<Event, Variables>;
  /** What the subscription is given; what the row's document is given unless told. */
  variables?: (input: RowInput<Params, Query, Body>) => Variables;
  when: (input: RowInput<Params, Query, Body>) => boolean;
  /**
   * Each object is an event of its own, `data: {…}` and an empty line, and no line of JSON. An error before the first
   * is a status then, as for any other row, and a heartbeat is a comment.
   */
  sse?: {
    /** What a last event says, such as `[DONE]`, where nothing failed. */
    end?: string;
  };
  /**
   * For a row that resumes: how many lines its client has already. These are passed over before the reply begins, and
   * an error until then is a status like that of any other row, not a line: that of the row's `failure`, or 400 where
   * the stream ends before them.
   */
  cursor?: (input: RowInput<Params, Query, Body>) => number;
  /** Made once a request, since packets can depend on those before them. */
  packets: () => {
    of: (event: Event) => unknown[];
    /** What stands for an error: of the caller's before the first event, or of the server's in between. */
    failed: (error: AppError) => unknown[];
    /** Sent after 15 seconds of silence, unless by `sse`. */
    heartbeat?: () => unknown;
  };
  description: string;
}

/** A file as a reply. */
export interface FileReply {
  bytes: Uint8Array<ArrayBuffer>;
  fileName: string;
  mediaType: string;
  /** Changes when the bytes do. */
  etag: string;
}

/** One operation of a dialect: its path and shapes, the GraphQL document behind it, and the mapping between the two. */
export interface Row<
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
  /** Which clients it is for: Onyx's unless given. */
  dialect?: Dialect;
  params?: z.ZodType<Params>;
  query?: z.ZodType<Query>;
  body?: z.ZodType<Body>;
  /** The body may be a form as well, or is one with files: then each of its fields is a list. */
  form?: true | 'files';
  /** The body may be missing, which is the same as an empty object. */
  optionalBody?: true;
  /** 200 unless given; 204 has no body. */
  status?: 201 | 202 | 204;
  /** How the reply is written: as JSON unless given. */
  format?: 'text' | 'empty';
  /** One of its headers is a cookie, which pages of other origins must not bring about. */
  setsCookie?: true;
  /** Headers of the reply. */
  headers?: (data: Present<Data>, input: RowInput<Params, Query, Body>, context: Context) => Record<string, string>;
  reply: z.ZodType<unknown, Reply>;
  /**
   * The reply is a file: its bytes, once the document has said that the caller may have them. null: it is not, this
   * time.
   */
  download?: (reply: Reply, context: Context) => Promise<FileReply | null>;
  document: TadaDocumentNode<Data, Variables>;
  variables: (input: RowInput<Params, Query, Body>) => Variables;
  output: (data: Present<Data>, input: RowInput<Params, Query, Body>) => Reply;
  /** What the contract answers instead of running the row, as long as the server is in another mode. */
  gate?: (context: Context) => Promise<Failure | null>;
  /** The document is open to strangers, and the row is not. */
  signedIn?: true;
  /** Fields that the caller may not read come back null, and are not an error of the whole. */
  partial?: true;
  /** Where the contract answers a request of the wrong shape otherwise than its dialect does. */
  invalid?: (error: AppError) => Failure | null;
  /** Where the contract answers an error otherwise than its dialect does. */
  failure?: (error: AppError, input: RowInput<Params, Query, Body> | null) => Failure | null;
  stream?: StreamSpec<Params, Query, Body, Event, EventVariables>;
}

// biome-ignore lint/suspicious/noExplicitAny: a table holds rows of every shape; each was checked where it was written.
export type AnyRow = Row<any, any, any, any, any, any, any, any>;

/** Checks a row's parts against each other. */
export const row = <Params, Query, Body, Data, Variables, Reply, Event = unknown, EventVariables = Variables>(
  spec: Row<Params, Query, Body, Data, Variables, Reply, Event, EventVariables>,
): AnyRow => spec;

/** The root fields that a row's document selects. */
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

/** Everything that the root fields of a document require of their caller. */
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

/** What a row asks of its caller: what its document asks, or at least a credential. None for a row that is open. */
export const rowRequirements = (row: AnyRow): Exclude<Requirement, 'public'>[] => [
  ...(row.signedIn ? (['signedIn'] as const) : []),
  ...requirements(row.document).filter((requirement) => requirement !== 'public'),
];

/** Refuses before anything of the request is read. Throws UNAUTHENTICATED, FORBIDDEN. */
export function admit(row: AnyRow, context: Context): void {
  for (const requirement of rowRequirements(row)) {
    if (isPermission(requirement)) demand(context.principal, requirement);
    else signedIn(context.principal);
  }
}

/** Reads one part of a request. Throws BAD_USER_INPUT with the paths of what is wrong. */
export function readPart<T>(type: z.ZodType<T> | undefined, part: string, value: unknown): T {
  if (!type) return undefined as T;
  const result = type.safeParse(value);
  if (!result.success) throw invalid(result.error, [part]);
  return result.data;
}

/** The error behind what GraphQL reports: also of a value that fits the row's shape and not the graph's. */
const cause = (error: GraphQLError): unknown => appErrorOf(error) ?? error.originalError ?? error;

/** Runs a row's document in process and maps what comes back. Throws what the resolvers threw. */
export async function runRow(
  row: AnyRow,
  input: RowInput<unknown, unknown, unknown>,
  context: Context,
): Promise<{ body: unknown; headers: Record<string, string> | undefined }> {
  const args = {
    schema,
    document: row.document,
    variableValues: row.variables(input) as Record<string, unknown>,
    contextValue: context,
  };
  const { data, errors } = await context.budget.run(() => execute(args), runOptions(args));
  const fatal = errors?.filter((error) => !(row.partial && data && isRefusal(error)));
  if (fatal?.[0]) throw cause(fatal[0]);
  const present = data as Present<unknown>;
  return { body: row.output(present, input), headers: row.headers?.(present, input, context) };
}

const isRefusal = (error: GraphQLError): boolean =>
  error.originalError instanceof AppError && error.originalError.code === 'FORBIDDEN' && (error.path?.length ?? 0) > 1;

/** Starts a row's subscription. Throws what its resolver threw. */
export async function streamRow(
  document: DocumentNode,
  variables: Record<string, unknown>,
  context: Context,
): Promise<AsyncGenerator<unknown, void, undefined>> {
  const result = await subscribe({ schema, document, variableValues: variables, contextValue: context });
  if (!(Symbol.asyncIterator in result)) throw result.errors?.[0] ? cause(result.errors[0]) : new Error('no stream');
  return (async function* () {
    for await (const { data, errors } of result) {
      if (errors?.[0]) throw cause(errors[0]);
      yield data;
    }
  })();
}
