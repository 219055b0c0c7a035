import SchemaBuilder from '@pothos/core';
import PrismaPlugin from '@pothos/plugin-prisma';
import RelayPlugin, { resolveNodes } from '@pothos/plugin-relay';
import ScopeAuthPlugin from '@pothos/plugin-scope-auth';
import { JSONObjectResolver, SafeIntResolver, UUIDResolver } from 'graphql-scalars';
import type { Permission } from '../authz/permissions.ts';
import { demand, signedIn } from '../authz/principal.ts';
import type { Context } from '../context.ts';
import type { IncomingFile } from '../form.ts';
import type PrismaTypes from '../generated/pothos.ts';
import { getDatamodel } from '../generated/pothos.ts';
import { StorableDateTime } from './date-time.ts';
import { readableNodes } from './nodes.ts';
import BudgetPlugin from './plugins/budget.ts';
import CurrentSecretPlugin from './plugins/current-secret.ts';
import ListSizePlugin from './plugins/list-size.ts';
import NullAsAbsentPlugin from './plugins/null-as-absent.ts';
import PermissionsPlugin from './plugins/permissions.ts';
import { refusing } from './refusing.ts';
import { UploadedFile } from './upload.ts';

export interface SchemaTypes {
  Context: Context;
  PrismaTypes: PrismaTypes;
  DefaultAuthStrategy: 'all';
  DefaultFieldNullability: false;
  DefaultEdgesNullability: { list: false; items: false };
  DefaultNodeNullability: false;
  AuthScopes: { permission: Permission; permissions: readonly Permission[]; signedIn: boolean };
  Scalars: {
    DateTime: { Input: Date; Output: Date };
    UUID: { Input: string; Output: string };
    SafeInt: { Input: number; Output: number };
    JSONObject: { Input: Record<string, unknown>; Output: unknown };
    Upload: { Input: IncomingFile; Output: never };
  };
}

export const builder = new SchemaBuilder<SchemaTypes>({
  // In order from the outermost wrapper: the budget stops an operation before authorization runs, and authorization
  // wraps the resolvers of the other plugins.
  plugins: [
    BudgetPlugin,
    ScopeAuthPlugin,
    PermissionsPlugin,
    CurrentSecretPlugin,
    ListSizePlugin,
    NullAsAbsentPlugin,
    RelayPlugin,
    PrismaPlugin,
  ],
  scopeAuth: {
    // By default, one of two scopes in a map is sufficient.
    defaultStrategy: 'all',
    authorizeOnSubscribe: true,
    // The scopes throw an error that names what is missing.
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
    idFieldOptions: { description: 'The global id.' },
    edgesFieldOptions: { nullable: { list: false, items: false }, description: 'The things with their cursors.' },
    nodeFieldOptions: { nullable: false, description: 'The thing.' },
    cursorFieldOptions: { description: 'Its place: `after` goes on behind it.' },
    pageInfoFieldOptions: { description: 'Where the page stands.' },
    hasNextPageFieldOptions: { description: 'Whether there is more behind it.' },
    hasPreviousPageFieldOptions: { description: 'Whether there is something before it.' },
    startCursorFieldOptions: { description: 'The cursor of its first; null for an empty page.' },
    endCursorFieldOptions: { description: 'The cursor of its last; null for an empty page.' },
    nodesOnConnection: { description: 'The things themselves, for who needs no cursors.' },
    nodeTypeOptions: { description: 'Anything that has a global id.' },
    pageInfoTypeOptions: { description: 'Where a page of a list stands.' },
    nodeQueryOptions: {
      authScopes: { signedIn: true },
      description:
        'The thing with this global id; null when there is none that the caller may read. Each type needs the permission that its own lists need.',
      args: { id: { description: 'A global id.' } },
      resolve: async (_root, { id }, context, _info, resolveNode) =>
        (await readableNodes([id], context)).length > 0 ? resolveNode(id) : null,
    },
    nodesQueryOptions: {
      authScopes: { signedIn: true },
      description:
        'The things with these global ids, in their order, null for each that the caller may not read. At most 100.',
      args: { ids: { description: 'Global ids.' } },
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

builder.queryType({ description: 'Everything that reads.' });
builder.mutationType({
  description: 'Everything that changes something. Each takes one `input` and answers with what changed.',
});
builder.subscriptionType({ description: 'Streams of events, over SSE or WebSocket on this same endpoint.' });

builder.addScalarType('DateTime', StorableDateTime);
builder.addScalarType('UUID', refusing(UUIDResolver));
builder.addScalarType('SafeInt', refusing(SafeIntResolver));
builder.addScalarType('JSONObject', refusing(JSONObjectResolver));
builder.addScalarType('Upload', UploadedFile);
