import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Prisma } from '../../generated/prisma/client.ts';
import { slugOf } from '../../slug.ts';
import { searchForm } from '../../text/normalize.ts';
import { blank, plainText } from '../../zod-types.ts';

/** The default folder, which always exists. */
export const defaultFolder = 'custom-documents';

/** Returns a document's folder and file name, which identify it on the AnythingLLM paths. */
export const locationOf = ({ fileName, folder }: { fileName: string; folder: { name: string } | null }): string =>
  `${folder?.name ?? defaultFolder}/${fileName}`;

/** Maximum number of documents that one request can name by location. */
export const maxAtOnce = 10_000;

/** Maximum length of a slug in a file name, in characters. */
export const maxSlugLength = 100;

/** Returns the file name of a new document: its title and a unique ID. A file keeps its extension. */
export function fileNameOf(title: string, { prefix = '', id = randomUUID() as string } = {}): string {
  const [, stem = title, extension = ''] = /^(.+)(\.\w{1,10})$/s.exec(title) ?? [];
  return `${prefix}${slugOf(stem.slice(0, maxSlugLength))}${extension}-${id}.json`;
}

/** One segment of a location: a name, never a path. */
const part = plainText(255)
  .trim()
  .min(1, 'must not be empty')
  .refine((name) => !/[/\\\p{Cc}]/u.test(name) && name !== '.' && name !== '..', 'must be a name, not a path');

/** The name of a folder. Folders whose names look the same are one folder, see {@link folderNamed}. */
export const FolderName = part
  .refine((name) => searchForm(name).trim() !== '', blank)
  .overwrite((name) => (searchForm(name) === defaultFolder ? defaultFolder : name));

/** Selects the folder with a name that looks like this one. */
export const folderNamed = (name: string) => ({ nameForm: searchForm(name) });

/** The segments of `folder/file.json`. */
export const Location = z
  .string()
  .max(600)
  .transform((location, context) => {
    const [folderName, name, ...rest] = location.split('/');
    const folder = FolderName.safeParse(folderName);
    const fileName = part.safeParse(name);
    if (folder.success && fileName.success && rest.length === 0)
      return { folder: folder.data, fileName: fileName.data };
    context.addIssue({ code: 'custom', message: 'must be a folder and a file name: custom-documents/notes.json' });
    return z.NEVER;
  });

/** Selects the documents of a folder; the text of an uploaded file has no folder. */
export const inFolder = (folder: string): Prisma.DocumentWhereInput => ({
  fileId: null,
  ...(folder === defaultFolder ? { folderId: null } : { folder: folderNamed(folder) }),
});

/** Selects the documents at these locations; an invalid location selects no document. */
export function atLocations(locations: readonly string[]): Prisma.DocumentWhereInput {
  const folders = new Map<string, string[]>();
  for (const location of locations) {
    const { data } = Location.safeParse(location);
    if (data) folders.set(data.folder, [...(folders.get(data.folder) ?? []), data.fileName]);
  }
  // An empty OR would be ignored, and the condition would select every document.
  if (folders.size === 0) return { id: { in: [] } };
  return { OR: [...folders].map(([folder, names]) => ({ AND: [inFolder(folder), { fileName: { in: names } }] })) };
}
