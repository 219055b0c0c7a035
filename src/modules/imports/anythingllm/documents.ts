import { createHash } from 'node:crypto';
import type { Prisma } from '../../../generated/prisma/client.ts';
import { searchForm } from '../../../text/normalize.ts';
import { cutText } from '../../../unicode.ts';
import { checkFolderCount } from '../../knowledge/folder-rules.ts';
import { defaultFolder, folderNamed } from '../../knowledge/location.ts';
import type { Importing } from '../importing.ts';
import { Unfit } from '../ledger.ts';
import { cutTo, storable, webLink } from '../text.ts';
import type { Folder } from './folder.ts';
import { StoredDocument } from './shapes.ts';

/** Maximum length of a document and of one section, in UTF-16 units, as for ingestion. */
const longest = { document: 5_000_000, section: 2_000_000 };
/** Maximum size of a document file in bytes: the longest text with every character escaped, and other fields. */
const maxBytes = longest.document * 6 + 1024 * 1024;

/** Maximum length of a document's key in UTF-16 units, which an index limits. */
const maxKeyLength = 300;

/**
 * Returns the key that identifies a document wherever it is moved: its own ID, or else the ID at the end of its file
 * name.
 */
function keyOf({ id }: StoredDocument, name: string, location: string): string {
  if (id !== '' && id.length <= maxKeyLength) return id;
  return /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/i.test(name) ? name : location;
}

/** Returns the same ID for a document of a source at every run. */
function documentId(source: string, key: string): string {
  const hex = createHash('sha256').update(`${source}\n${key}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** Throws UnimportableError for a file that is not a document. */
function readDocument(bytes: Buffer): StoredDocument {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new Unfit('is not JSON');
  }
  const read = StoredDocument.safeParse(value);
  if (!read.success) throw new Unfit('is not a document of AnythingLLM');
  const { pageContent } = read.data;
  if (pageContent.length > longest.document) throw new Unfit(`has more than ${longest.document} characters`);
  if (pageContent.trim() === '') throw new Unfit('has no text');
  return read.data;
}

/** Returns the URL of the original document, if it is on the web. */
const linkOf = ({ url, chunkSource }: StoredDocument) => webLink(chunkSource.replace(/^link:\/\//, '')) ?? webLink(url);

const metadataKeys = ['url', 'docAuthor', 'description', 'docSource', 'chunkSource', 'published'] as const;

function contentOf(document: StoredDocument, fileName: string) {
  const text = storable(document.pageContent);
  const link = linkOf(document);
  const sections: { text: string; link: string | null }[] = [];
  for (let start = 0; start < text.length; ) {
    const section = cutText(text.slice(start, start + longest.section + 64), longest.section);
    sections.push({ text: section, link });
    start += section.length;
  }
  return {
    title: cutTo(document.title, 500).trim() || cutTo(fileName, 500),
    sections,
    metadata: Object.fromEntries(
      metadataKeys.filter((key) => document[key] !== '').map((key) => [key, cutTo(document[key], 2000)]),
    ),
  };
}

const isDefault = (folder: string): boolean => searchForm(folder) === defaultFolder;

/** Lists the folders and the files of documents, and reports the other entries. */
function listDocuments({ report }: Importing, folder: Folder) {
  const folders: string[] = [];
  for (const { name, isFolder } of folder.list('documents'))
    if (isFolder) folders.push(name);
    else report.leave(`documents/${name}`, 'is not a folder');
  const files = folders.flatMap((parent) =>
    folder.list('documents', parent).flatMap(({ name, isFolder }) => {
      if (!isFolder && name.endsWith('.json')) return [{ parent, name, location: `${parent}/${name}` }];
      report.leave(`documents/${parent}/${name}`, 'is not the file of a document');
      return [];
    }),
  );
  return { folders, files };
}

/** Imports the folders besides the default folder. */
async function importFolders({ ledger }: Importing, folders: readonly string[]): Promise<void> {
  for (const name of folders)
    if (!isDefault(name))
      await ledger.bring('folder', {
        id: name,
        name,
        async work(transaction) {
          const { id } = await transaction.documentFolder.upsert({
            where: folderNamed(name),
            create: { name },
            update: {},
          });
          await checkFolderCount(transaction);
          return String(id);
        },
      });
}

/**
 * Imports the documents with their locations. They are public, like all documents that are named by a location. Returns
 * the keys of the readable ones by location.
 */
export async function importDocuments(importing: Importing, folder: Folder): Promise<Map<string, string>> {
  const { services, operator, ledger, report } = importing;
  const { folders, files } = listDocuments(importing, folder);
  await importFolders(importing, folders);

  // A folder beyond the server's maximum is not imported. Its documents are, into the default folder.
  const hasFolder = (name: string): boolean => !isDefault(name) && ledger.targetOf('folder', name) !== undefined;
  const keys = new Map<string, string>();
  const locations = new Map<string, string>();
  for (const { parent, name, location } of files) {
    ledger.step('document', files.length);
    let document: StoredDocument;
    try {
      document = readDocument(folder.read(maxBytes, 'documents', parent, name));
    } catch (error) {
      if (error instanceof Unfit) report.leave(`document ${location}`, error.message);
      else report.fail(`document ${location}`, error);
      continue;
    }
    const key = keyOf(document, name, location);
    const first = locations.get(key);
    keys.set(location, key);
    if (first !== undefined) {
      report.leave(`document ${location}`, `has the same ID as ${first} and is treated as the same document`);
      continue;
    }
    locations.set(key, location);
    const fresh = ledger.targetOf('document', key) === undefined;
    if (fresh && storable(document.pageContent).length < document.pageContent.length)
      report.changed(`document ${location}`, 'was imported without its NUL characters');
    const id = documentId(ledger.source, key);
    await ledger.bring('document', {
      id: key,
      name: location,
      // Repeated after an interrupted run with the same ID, and so the same document.
      async prepare() {
        const content = { id, ...contentOf(document, name), source: 'anythingllm', isPublic: true };
        await services.knowledge.ingest(operator, content, 'IMPORT');
      },
      async work(transaction) {
        const taken = await transaction.document.count({ where: { fileName: name, externalId: { not: id } } });
        if (taken > 0)
          report.changed(`document ${location}`, 'was renamed because another document has this file name');
        const { wordCount, token_count_estimate: tokenCount } = document;
        const data: Prisma.DocumentUpdateInput = {
          ...(taken === 0 && { fileName: name }),
          ...(hasFolder(parent) && { folder: { connect: folderNamed(parent) } }),
          ...(wordCount !== null && { wordCount }),
          ...(tokenCount !== null && { tokenCount }),
        };
        await transaction.document.update({ where: { externalId: id }, data });
        return id;
      },
    });
  }
  return keys;
}
