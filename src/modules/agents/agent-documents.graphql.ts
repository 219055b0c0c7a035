import { builder } from '../../graphql/builder.ts';
import { textId } from '../../graphql/id-input.ts';
import type { DocumentKey } from './agent-documents.service.ts';
import { agentKey, agentLocator, agentPayload } from './agents.graphql.ts';

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
