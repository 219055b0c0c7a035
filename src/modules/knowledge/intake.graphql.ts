import { signedIn } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';
import { acceptedTypes } from '../files/extract/kinds.ts';
import type { Added } from './intake.service.ts';
import { Document } from './knowledge.graphql.ts';

const DocumentDetailsInput = builder.inputType('DocumentDetailsInput', {
  description: 'What is said about a document that is added. It becomes its metadata.',
  fields: (t) => ({
    title: t.string({ description: 'Its title, at most 500 characters; its own name unless given. A text needs one.' }),
    url: t.string({ description: 'Where it comes from. A web address becomes its link.' }),
    docAuthor: t.string({ description: 'Who wrote it.' }),
    description: t.string({ description: 'What it is.' }),
    docSource: t.string({ description: 'What kind of source it has.' }),
    chunkSource: t.string({ description: 'What its passages are said to be from.' }),
    published: t.field({ type: 'DateTime', description: 'When it was published; now unless given.' }),
  }),
});

type InputFields = Parameters<NonNullable<Parameters<typeof builder.inputType>[1]['fields']>>[0];

const target = (t: InputFields) => ({
  folder: t.string({
    description: 'The folder to put it into, made where it is not there: `custom-documents` unless given.',
  }),
  agentSlugs: t.stringList({
    description:
      'The agents whose own it becomes; those that the caller may not edit, or that are not there, are ignored.',
  }),
  metadata: t.field({ type: DocumentDetailsInput, description: 'What is said about it.' }),
});

const UploadDocumentsInput = builder.inputType('UploadDocumentsInput', {
  description: 'Files whose texts become documents.',
  fields: (t) => ({
    files: t.field({ type: ['Upload'], required: true, description: '1 to 20 files, in a multipart request.' }),
    ...target(t),
  }),
});

const AddTextDocumentInput = builder.inputType('AddTextDocumentInput', {
  description: 'A text that becomes a document.',
  fields: (t) => ({
    text: t.string({ required: true, description: 'Text or Markdown; at most 2,000,000 characters.' }),
    ...target(t),
    metadata: t.field({
      type: DocumentDetailsInput,
      required: true,
      description: 'What is said about it; a title at least.',
    }),
  }),
});

const LinkHeaderInput = builder.inputType('LinkHeaderInput', {
  description: 'A header of a request.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'Its name. Those that belong to a connection are left out.' }),
    value: t.string({ required: true, description: 'Its value; at most 4,000 characters.' }),
  }),
});

const AddLinkDocumentInput = builder.inputType('AddLinkDocumentInput', {
  description: 'A web page that becomes a document.',
  fields: (t) => ({
    url: t.string({
      required: true,
      description: 'Its http or https address, at a public host or one that the settings allow.',
    }),
    headers: t.field({
      type: [LinkHeaderInput],
      description: 'What to send along, to the origin of the address alone; at most 50. They are not kept.',
    }),
    ...target(t),
  }),
});

const AddedDocument = builder.objectRef<Added>('AddedDocument').implement({
  description: 'A document that was added.',
  fields: (t) => ({
    document: t.field({ type: Document, description: 'The document.', resolve: ({ document }) => document }),
    text: t.exposeString('text', { description: 'Its text, as it was read.' }),
  }),
});

const AddDocumentsPayload = builder.objectRef<Added[]>('AddDocumentsPayload').implement({
  description: 'The documents that a mutation added.',
  fields: (t) => ({
    added: t.field({
      type: [AddedDocument],
      listSize: 20,
      description: 'The documents in the order of the input: at most 20.',
      resolve: (added) => added,
    }),
  }),
});

const AcceptedDocumentType = builder
  .objectRef<{ mediaType: string; extensions: readonly string[] }>('AcceptedDocumentType')
  .implement({
    description: 'A type of file whose text can be read.',
    fields: (t) => ({
      mediaType: t.exposeString('mediaType', { description: 'Its media type.' }),
      extensions: t.stringList({
        description: 'The extensions that files of it have, with their dots.',
        resolve: ({ extensions }) => [...extensions],
      }),
    }),
  });

builder.queryField('acceptedDocumentTypes', (t) =>
  t.field({
    type: [AcceptedDocumentType],
    listSize: 20,
    authScopes: { permission: 'manage:documents' },
    description: 'What `uploadDocuments` reads. Text is read under any other extension too.',
    resolve: () =>
      Object.entries(acceptedTypes)
        .filter(([mediaType]) => !mediaType.startsWith('image/'))
        .map(([mediaType, extensions]) => ({ mediaType, extensions })),
  }),
);

builder.mutationFields((t) => ({
  uploadDocuments: t.field({
    type: AddDocumentsPayload,
    ownTimeLimit: true,
    authScopes: { permission: 'manage:documents' },
    description:
      'Adds the texts of files as public documents, all or none. The files are not kept. BAD_USER_INPUT names the one that cannot be read.',
    args: { input: t.arg({ type: UploadDocumentsInput, required: true, description: 'The files.' }) },
    resolve: (_root, { input: { files, ...input } }, { principal, services }) => {
      const uploads = files.map((file) => ({
        name: file.name,
        bytes: async () => new Uint8Array(await file.arrayBuffer()),
      }));
      return services.intake.uploadDocuments(signedIn(principal), uploads, input);
    },
  }),
  addTextDocument: t.field({
    type: AddDocumentsPayload,
    ownTimeLimit: true,
    authScopes: { permission: 'manage:documents' },
    description: 'Adds a text as a public document. It can be found as soon as this returns.',
    args: { input: t.arg({ type: AddTextDocumentInput, required: true, description: 'The text.' }) },
    resolve: (_root, { input }, { principal, services }) => services.intake.addText(signedIn(principal), input),
  }),
  addLinkDocument: t.field({
    type: AddDocumentsPayload,
    ownTimeLimit: true,
    authScopes: { permission: 'manage:documents' },
    description:
      'Adds the text of a web page as a public document, as the page is now. It is fetched in at most 20 seconds, with at most 5 redirects, and never from a private address.',
    args: { input: t.arg({ type: AddLinkDocumentInput, required: true, description: 'The page.' }) },
    resolve: (_root, { input }, { principal, services, signal }) =>
      services.intake.addLink(signedIn(principal), input, signal),
  }),
}));
