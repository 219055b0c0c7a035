import { signedIn } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';
import { agentKey, agentLocator, agentPayload } from './agents.graphql.ts';

const ChangeAgentDocumentsInput = builder.inputType('ChangeAgentDocumentsInput', {
  description: 'Input for `changeAgentDocuments`. Locations of documents that the caller cannot read are ignored.',
  fields: (t) => ({
    ...agentLocator(t),
    add: t.stringList({ description: 'The locations of the documents to add to the agent; at most 10,000.' }),
    remove: t.stringList({
      description: 'The locations of the documents to remove first, pinned or not; at most 10,000.',
    }),
  }),
});

const PinAgentDocumentInput = builder.inputType('PinAgentDocumentInput', {
  description: 'Input for the mutation `pinAgentDocument`.',
  fields: (t) => ({
    ...agentLocator(t),
    location: t.string({ required: true, description: 'The location of the document.' }),
    pinned: t.boolean({ required: true, description: 'Whether every turn receives the document in full.' }),
  }),
});

const ChangeAgentDocumentsPayload = agentPayload('changeAgentDocuments');
const PinAgentDocumentPayload = agentPayload('pinAgentDocument');

builder.mutationFields((t) => ({
  changeAgentDocuments: t.field({
    type: ChangeAgentDocumentsPayload,
    authScopes: { permission: 'write:agents' },
    description: 'Adds documents to an agent and removes others. Allowed for callers that can change the agent.',
    args: {
      input: t.arg({ type: ChangeAgentDocumentsInput, required: true, description: 'The agent and the documents.' }),
    },
    resolve: (_root, { input: { agent, add, remove } }, { principal, services }) =>
      services.agentDocuments.change(signedIn(principal), agentKey(agent), {
        add: add ?? undefined,
        remove: remove ?? undefined,
      }),
  }),
  pinAgentDocument: t.field({
    type: PinAgentDocumentPayload,
    authScopes: { permission: 'write:agents' },
    description:
      'Sets whether every turn of an agent receives one of its documents in full. NOT_FOUND for a document that the agent does not have.',
    args: { input: t.arg({ type: PinAgentDocumentInput, required: true, description: 'The agent and the document.' }) },
    resolve: (_root, { input: { agent, location, pinned } }, { principal, services }) =>
      services.agentDocuments.pin(signedIn(principal), agentKey(agent), { location, pinned }),
  }),
}));
