import { signedIn } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';
import { agentKey, agentLocator, agentPayload } from './agents.graphql.ts';

const ChangeAgentDocumentsInput = builder.inputType('ChangeAgentDocumentsInput', {
  description:
    'Which documents an agent gets and loses. Locations at which the caller may read nothing are passed over.',
  fields: (t) => ({
    ...agentLocator(t),
    add: t.stringList({ description: 'The locations of documents to give to it; at most 10,000.' }),
    remove: t.stringList({
      description: 'The locations of documents to take from it first, pinned or not; at most 10,000.',
    }),
  }),
});

const PinAgentDocumentInput = builder.inputType('PinAgentDocumentInput', {
  description: 'Whether every turn of an agent is given one of its documents whole.',
  fields: (t) => ({
    ...agentLocator(t),
    location: t.string({ required: true, description: 'The location of the document.' }),
    pinned: t.boolean({ required: true, description: 'Whether it is given whole.' }),
  }),
});

const ChangeAgentDocumentsPayload = agentPayload('changeAgentDocuments');
const PinAgentDocumentPayload = agentPayload('pinAgentDocument');

builder.mutationFields((t) => ({
  changeAgentDocuments: t.field({
    type: ChangeAgentDocumentsPayload,
    authScopes: { permission: 'write:agents' },
    description: 'Gives documents to an agent and takes others from it: whoever may change the agent.',
    args: { input: t.arg({ type: ChangeAgentDocumentsInput, required: true, description: 'Which documents.' }) },
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
      'Says whether every turn of an agent is given one of its documents whole. NOT_FOUND for a document that is not its own.',
    args: { input: t.arg({ type: PinAgentDocumentInput, required: true, description: 'Which document.' }) },
    resolve: (_root, { input: { agent, location, pinned } }, { principal, services }) =>
      services.agentDocuments.pin(signedIn(principal), agentKey(agent), { location, pinned }),
  }),
}));
