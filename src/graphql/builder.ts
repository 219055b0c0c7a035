import SchemaBuilder from '@pothos/core';
import { resolveNodes } from '@pothos/plugin-relay';
import { JSONObjectResolver, SafeIntResolver, UUIDResolver } from 'graphql-scalars';
import type { Permission } from '../authz/permissions.ts';
import { demand, type Principal, signedIn } from '../authz/principal.ts';
import type { Context } from '../context.ts';
import type PrismaTypes from '../generated/pothos.ts';
import { getDatamodel } from '../generated/pothos.ts';
import type { IncomingFile } from '../http/multipart.ts';
import { StorableDateTime } from './date-time.ts';
import { readableNodes } from './nodes.ts';
import { pothosPlugins } from './plugins/pothos-plugins.ts';
import { refusing } from './strict-scalar.ts';
import { UploadedFile } from './upload.ts';

/** The context of a request with a valid credential. */
type SignedInContext = Context & { principal: Principal };

export interface SchemaTypes {
  Context: Context;
  PrismaTypes: PrismaTypes;
  DefaultAuthStrategy: 'all';
  DefaultFieldNullability: false;
  DefaultEdgesNullability: { list: false; items: false };
  DefaultNodeNullability: false;
  AuthScopes: { permission: Permission; permissions: readonly Permission[]; signedIn: boolean };
  /** A field that `t.withAuth` declares runs only for a principal. */
  AuthContexts: { permission: SignedInContext; permissions: SignedInContext; signedIn: SignedInContext };
  Scalars: {
    DateTime: { Input: Date; Output: Date };
    UUID: { Input: string; Output: string };
    SafeInt: { Input: number; Output: number };
    JSONObject: { Input: Record<string, unknown>; Output: unknown };
    Upload: { Input: IncomingFile; Output: never };
  };
}

export const builder = new SchemaBuilder<SchemaTypes>({
  plugins: [...pothosPlugins],
  scopeAuth: {
    // By default, one of two scopes in a map is sufficient.
    defaultStrategy: 'all',
    authorizeOnSubscribe: true,
    // The scopes throw an error that names the missing permission.
    authScopes: ({ principal }) => ({
      permission: (permission) => demand(principal, permission) !== null,
      permissions: (permissions) => demand(principal, ...permissions) !== null,
      signedIn: () => signedIn(principal) !== null,
    }),
  },
  prisma: {
    client: ({ db }) => db.prisma,
    dmmf: getDatamodel(),
    exposeDescriptions: false,
    onUnusedQuery: null,
  },
  defaultFieldNullability: false,
  relay: {
    idFieldOptions: { description: 'The global ID of the object.' },
    edgesFieldOptions: {
      nullable: { list: false, items: false },
      description: 'The items of the page with their cursors.',
    },
    nodeFieldOptions: { nullable: false, description: 'The node at the end of this edge.' },
    cursorFieldOptions: { description: 'Opaque cursor; pass it as `after` to get the next page.' },
    pageInfoFieldOptions: { description: 'The position of the page in the list.' },
    hasNextPageFieldOptions: { description: 'Whether the list has items after the page.' },
    hasPreviousPageFieldOptions: { description: 'Whether the list has items before the page.' },
    startCursorFieldOptions: { description: 'The cursor of the first item; null for an empty page.' },
    endCursorFieldOptions: { description: 'The cursor of the last item; null for an empty page.' },
    nodesOnConnection: { description: 'The items of the page, for clients that need no cursors.' },
    nodeTypeOptions: { description: 'An object with a global ID.' },
    pageInfoTypeOptions: { description: 'The position of a page in its list.' },
    nodeQueryOptions: {
      authScopes: { signedIn: true },
      description:
        'The object with this global ID; null if it does not exist or the caller cannot read it. Each type requires the permission of its lists.',
      args: { id: { description: 'The global ID of the object.' } },
      resolve: async (_root, { id }, context, info): Promise<unknown> => {
        const readable = await readableNodes([id], context);
        return readable.length > 0 ? (await resolveNodes(builder, context, info, readable))[0] : null;
      },
    },
    nodesQueryOptions: {
      authScopes: { signedIn: true },
      description:
        'The objects with these global IDs, in the order of the IDs; null for an object that does not exist or that the caller cannot read.',
      args: { ids: { description: 'The global IDs of the objects; at most 100.' } },
      listSize: ({ ids }) => ids.length,
      resolve: async (_root, { ids }, context, info): Promise<unknown[]> => {
        const readable = await readableNodes(ids, context);
        // The resolver that is passed in fetches all IDs of the arguments, regardless of its own argument.
        const nodes: unknown[] = await resolveNodes(builder, context, info, readable);
        const key = ({ typename, id }: { typename: string; id: string }) => `${typename}:${id}`;
        const byKey = new Map(readable.map((id, index) => [key(id), nodes[index]]));
        return ids.map((id) => byKey.get(key(id)) ?? null);
      },
    },
  },
});

builder.queryType({ description: 'The queries, which read data and change nothing.' });
builder.mutationType({
  description: 'The mutations, which change data. Each takes one `input` and returns the changed objects.',
});
builder.subscriptionType({
  description: 'The subscriptions, which stream events over server-sent events or WebSocket at the same endpoint.',
});

builder.addScalarType('DateTime', StorableDateTime);
builder.addScalarType('UUID', refusing(UUIDResolver));
builder.addScalarType('SafeInt', refusing(SafeIntResolver));
builder.addScalarType('JSONObject', refusing(JSONObjectResolver));
builder.addScalarType('Upload', UploadedFile);
