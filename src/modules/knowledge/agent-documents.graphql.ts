import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nestedNodes, pageArgs } from '../../graphql/connection.ts';
import { textId } from '../../graphql/id-input.ts';
import { cut } from '../../paging.ts';
import { Agent, agentKey, agentLocator, agentPayload } from '../agents/agents.graphql.ts';
import type { DocumentKey } from './agent-documents.service.ts';
import { documentsById } from './document-lists.ts';
import { DocumentConnection } from './knowledge.graphql.ts';

builder.prismaObjectField(Agent, 'documents', (t) =>
  t.field({
    type: DocumentConnection,
    nullable: true,
    authScopes: { permission: 'read:search' },
    description: 'The documents of the agent that the caller may read, by `databaseId`.',
    args: {
      ...pageArgs(t.arg),
      filesIncluded: t.arg.boolean({
        required: true,
        defaultValue: true,
        description: 'Whether the list includes documents that hold the text of an uploaded file. Defaults to true.',
      }),
    },
    select: ({ filesIncluded, ...args }, { principal, pageLimit }, nested) => {
      const listed = { AND: [visible.documents(signedIn(principal)), filesIncluded ? {} : { fileId: null }] };
      const { where, ...page } = documentsById.page(args, pageLimit);
      return {
        documents: nestedNodes(nested, 'Document', documentsById, { ...page, where: { AND: [listed, where] } }),
        _count: { select: { documents: { where: listed } } },
      };
    },
    resolve: (agent, args, { pageLimit }) => {
      const page = cut(agent.documents, documentsById.page(args, pageLimit));
      return connection(documentsById, page, args, async () => agent._count.documents);
    },
  }),
);

builder.prismaObjectField(Agent, 'pinnedDocuments', (t) =>
  t.field({
    type: DocumentConnection,
    nullable: true,
    authScopes: { permission: 'read:search' },
    description:
      'The documents of the agent that every turn receives in full and that the caller may read, by `databaseId`.',
    args: pageArgs(t.arg),
    select: (args, { principal, pageLimit }, nested) => {
      const listed = visible.documents(signedIn(principal));
      const { where, ...page } = documentsById.page(args, pageLimit);
      return {
        pinnedDocuments: nestedNodes(nested, 'Document', documentsById, { ...page, where: { AND: [listed, where] } }),
        _count: { select: { pinnedDocuments: { where: listed } } },
      };
    },
    resolve: (agent, args, { pageLimit }) => {
      const page = cut(agent.pinnedDocuments, documentsById.page(args, pageLimit));
      return connection(documentsById, page, args, async () => agent._count.pinnedDocuments);
    },
  }),
);

const DocumentLocatorInput = builder.inputType('DocumentLocatorInput', {
  description: 'A document, by its ID or by its location; exactly one is required.',
  isOneOf: true,
  fields: (t) => ({
    id: t.id({ description: 'The document, by its global ID or its `documentId`.' }),
    location: t.string({ description: 'The location of the document, such as `custom-documents/notes.json`.' }),
  }),
});

type Locator = typeof DocumentLocatorInput.$inferInput;

/** Returns the key of the document that a locator identifies. Throws BAD_USER_INPUT for an ID of another type. */
const documentKey = ({ id, location }: Locator, path: (string | number)[]): DocumentKey =>
  id == null ? { location: location ?? '' } : { id: textId(id, 'Document', [...path, 'id']) };

const documentKeys = (locators: readonly Locator[] | null | undefined, name: string) =>
  locators?.map((locator, index) => documentKey(locator, ['input', name, index]));

const ChangeAgentDocumentsInput = builder.inputType('ChangeAgentDocumentsInput', {
  description:
    'Input for `changeAgentDocuments`. Locations of documents that the caller cannot read are ignored; IDs of such documents are rejected.',
  fields: (t) => ({
    ...agentLocator(t),
    add: t.field({
      type: [DocumentLocatorInput],
      description: 'The documents to add to the agent; at most 10,000.',
    }),
    remove: t.field({
      type: [DocumentLocatorInput],
      description: 'The documents to remove first, pinned or not; at most 10,000.',
    }),
  }),
});

const PinAgentDocumentInput = builder.inputType('PinAgentDocumentInput', {
  description: 'Input for the mutation `pinAgentDocument`.',
  fields: (t) => ({
    ...agentLocator(t),
    document: t.field({
      type: DocumentLocatorInput,
      required: true,
      description: 'The document, by its ID or by its location.',
    }),
    pinned: t.boolean({ required: true, description: 'Whether every turn receives the document in full.' }),
  }),
});

const ChangeAgentDocumentsPayload = agentPayload('changeAgentDocuments');
const PinAgentDocumentPayload = agentPayload('pinAgentDocument');

builder.mutationFields((t) => ({
  changeAgentDocuments: t.withAuth({ permission: 'write:agents' }).field({
    type: ChangeAgentDocumentsPayload,
    description: 'Adds documents to an agent and removes others. Allowed for callers that can change the agent.',
    args: {
      input: t.arg({ type: ChangeAgentDocumentsInput, required: true, description: 'The agent and the documents.' }),
    },
    resolve: (_root, { input: { agent, add, remove } }, { principal, services }) =>
      services.agentDocuments.change(principal, agentKey(agent), {
        add: documentKeys(add, 'add'),
        remove: documentKeys(remove, 'remove'),
      }),
  }),
  pinAgentDocument: t.withAuth({ permission: 'write:agents' }).field({
    type: PinAgentDocumentPayload,
    description:
      'Sets whether every turn of an agent receives one of its documents in full. NOT_FOUND for a document that the agent does not have.',
    args: { input: t.arg({ type: PinAgentDocumentInput, required: true, description: 'The agent and the document.' }) },
    resolve: (_root, { input: { agent, document, pinned } }, { principal, services }) =>
      services.agentDocuments.pin(principal, agentKey(agent), {
        document: documentKey(document, ['input', 'document']),
        pinned,
      }),
  }),
}));
