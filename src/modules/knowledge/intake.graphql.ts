import { builder } from '../../graphql/builder.ts';
import { edge } from '../../graphql/connection.ts';
import { acceptedTypes } from '../files/extract/kinds.ts';
import { documentOrder } from './document-lists.ts';
import type { Added } from './intake-texts.ts';
import { Document, DocumentEdge } from './knowledge.graphql.ts';

const DocumentDetailsInput = builder.inputType('DocumentDetailsInput', {
  description: 'Properties of a new document, which become its metadata.',
  fields: (t) => ({
    title: t.string({
      description: 'The title, at most 500 characters. Defaults to the name of the file or page; required for a text.',
    }),
    url: t.string({ description: 'The origin of the document. A web address becomes its link.' }),
    docAuthor: t.string({ description: 'The author of the document.' }),
    description: t.string({ description: 'A description of the document.' }),
    docSource: t.string({ description: 'The kind of source of the document.' }),
    chunkSource: t.string({ description: 'The source that is recorded for the passages.' }),
    published: t.field({ type: 'DateTime', description: 'The time of publication. Defaults to the present time.' }),
  }),
});

type InputFields = Parameters<NonNullable<Parameters<typeof builder.inputType>[1]['fields']>>[0];

const target = (t: InputFields) => ({
  folder: t.string({
    description: 'The folder of the documents, created if it does not exist. Defaults to `custom-documents`.',
  }),
  agentSlugs: t.stringList({
    description:
      'The slugs of agents that the documents are added to. Unknown agents and agents that the caller cannot edit are ignored.',
  }),
  metadata: t.field({ type: DocumentDetailsInput, description: 'Properties of the documents.' }),
});

const UploadDocumentsInput = builder.inputType('UploadDocumentsInput', {
  description: 'Input for the mutation `uploadDocuments`.',
  fields: (t) => ({
    files: t.field({ type: ['Upload'], required: true, description: '1 to 20 files, in a multipart request.' }),
    ...target(t),
  }),
});

const AddTextDocumentInput = builder.inputType('AddTextDocumentInput', {
  description: 'Input for the mutation `addTextDocument`.',
  fields: (t) => ({
    text: t.string({ required: true, description: 'Text or Markdown; at most 2,000,000 characters.' }),
    ...target(t),
    metadata: t.field({
      type: DocumentDetailsInput,
      required: true,
      description: 'Properties of the document; `title` is required.',
    }),
  }),
});

const LinkHeaderInput = builder.inputType('LinkHeaderInput', {
  description: 'An HTTP header of a request.',
  fields: (t) => ({
    name: t.string({
      required: true,
      description: 'The name of the header. Headers that belong to a connection are ignored.',
    }),
    value: t.string({ required: true, description: 'The value of the header; at most 4,000 characters.' }),
  }),
});

const AddLinkDocumentInput = builder.inputType('AddLinkDocumentInput', {
  description: 'Input for the mutation `addLinkDocument`.',
  fields: (t) => ({
    url: t.string({
      required: true,
      description: 'The http or https address of the page, on a public host or a host that the settings allow.',
    }),
    headers: t.field({
      type: [LinkHeaderInput],
      description: 'Headers to send to the origin of the address only; at most 50. They are not stored.',
    }),
    ...target(t),
  }),
});

const AddedDocument = builder.objectRef<Added>('AddedDocument').implement({
  description: 'A document that was added.',
  fields: (t) => ({
    document: t.field({
      type: Document,
      description: 'The document that was added.',
      resolve: ({ document }) => document,
    }),
    documentEdge: t.field({
      type: DocumentEdge,
      description: 'The added document with its cursor, for clients that add it to a list.',
      resolve: ({ document }) => edge(documentOrder, document),
    }),
    text: t.exposeString('text', { description: 'The extracted text of the document.' }),
  }),
});

/** Defines the payload of a mutation that adds documents. */
const addedPayload = (mutation: 'uploadDocuments' | 'addTextDocument' | 'addLinkDocument', description: string) =>
  builder.objectRef<Added[]>(`${mutation.charAt(0).toUpperCase()}${mutation.slice(1)}Payload`).implement({
    description: `Result of the mutation \`${mutation}\`.`,
    fields: (t) => ({
      added: t.field({ type: [AddedDocument], listSize: 20, description, resolve: (added) => added }),
    }),
  });

const UploadDocumentsPayload = addedPayload('uploadDocuments', 'The documents in the order of the files: at most 20.');
const AddTextDocumentPayload = addedPayload('addTextDocument', 'The document of the text, in a list of one.');
const AddLinkDocumentPayload = addedPayload('addLinkDocument', 'The document of the page, in a list of one.');

const AcceptedDocumentType = builder
  .objectRef<{ mediaType: string; extensions: readonly string[] }>('AcceptedDocumentType')
  .implement({
    description: 'A file type whose text can be read.',
    fields: (t) => ({
      mediaType: t.exposeString('mediaType', { description: 'The media type of such files.' }),
      extensions: t.stringList({
        description: 'The file name extensions of such files, each with its dot.',
        resolve: ({ extensions }) => [...extensions],
      }),
    }),
  });

builder.queryField('acceptedDocumentTypes', (t) =>
  t.field({
    type: [AcceptedDocumentType],
    listSize: 20,
    authScopes: { permission: 'manage:documents' },
    description: 'The file types that `uploadDocuments` reads. Plain text is read under any other extension, too.',
    resolve: () =>
      Object.entries(acceptedTypes)
        .filter(([mediaType]) => !mediaType.startsWith('image/'))
        .map(([mediaType, extensions]) => ({ mediaType, extensions })),
  }),
);

builder.mutationFields((t) => ({
  uploadDocuments: t.withAuth({ permission: 'manage:documents' }).field({
    type: UploadDocumentsPayload,
    ownTimeLimit: true,
    description:
      'Adds the texts of files as public documents, all or none. A document that was uploaded to the same folder with the same name is replaced. The files themselves are not stored. BAD_USER_INPUT names a file that cannot be read.',
    args: { input: t.arg({ type: UploadDocumentsInput, required: true, description: 'The files to add.' }) },
    resolve: (_root, { input: { files, ...input } }, { principal, services }) => {
      const uploads = files.map((file) => ({
        name: file.name,
        bytes: async () => new Uint8Array(await file.arrayBuffer()),
      }));
      return services.intake.uploadDocuments(principal, uploads, input);
    },
  }),
  addTextDocument: t.withAuth({ permission: 'manage:documents' }).field({
    type: AddTextDocumentPayload,
    ownTimeLimit: true,
    description: 'Adds a text as a public document. Search finds it as soon as the mutation returns.',
    args: { input: t.arg({ type: AddTextDocumentInput, required: true, description: 'The text to add.' }) },
    resolve: (_root, { input }, { principal, services }) => services.intake.addText(principal, input),
  }),
  addLinkDocument: t.withAuth({ permission: 'manage:documents' }).field({
    type: AddLinkDocumentPayload,
    ownTimeLimit: true,
    description:
      'Adds the current text of a web page as a public document. The page is fetched within 20 seconds, with at most 5 redirects, and never from a private address.',
    args: { input: t.arg({ type: AddLinkDocumentInput, required: true, description: 'The page to add.' }) },
    resolve: (_root, { input }, { principal, services, signal }) => services.intake.addLink(principal, input, signal),
  }),
}));
