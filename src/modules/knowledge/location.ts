import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Prisma } from '../../generated/prisma/client.ts';
import { slugOf } from '../../slug.ts';
import { plainText } from '../input.ts';

/** The folder of documents that were put into none. It is always there. */
export const defaultFolder = 'custom-documents';

/** A document's folder and file name, by which the AnythingLLM paths know it. */
export const locationOf = ({ fileName, folder }: { fileName: string; folder: { name: string } | null }): string =>
  `${folder?.name ?? defaultFolder}/${fileName}`;

/** Documents that one request may name by their locations. */
export const mostAtOnce = 10_000;

/** Characters of a slug in a file name. */
export const longestSlug = 100;

/** The file name of a new document: what it is called, and an id that no other has. A file keeps its extension. */
export function fileNameOf(title: string, { prefix = '', id = randomUUID() as string } = {}): string {
  const [, stem = title, extension = ''] = /^(.+)(\.\w{1,10})$/s.exec(title) ?? [];
  return `${prefix}${slugOf(stem.slice(0, longestSlug))}${extension}-${id}.json`;
}

/** One part of a location: a name, and never a path. */
const part = plainText(255)
  .trim()
  .min(1, 'must not be empty')
  .refine((name) => !/[/\\\p{Cc}]/u.test(name) && name !== '.' && name !== '..', 'must be a name, not a path');

export const FolderName = part;

/** `folder/file.json`, as its parts. */
export const Location = z
  .string()
  .max(600)
  .transform((location, context) => {
    const [folder, fileName, ...rest] = location.split('/').map((name) => part.safeParse(name));
    if (folder?.success && fileName?.success && rest.length === 0)
      return { folder: folder.data, fileName: fileName.data };
    context.addIssue({ code: 'custom', message: 'must be a folder and a file name: custom-documents/notes.json' });
    return z.NEVER;
  });

/** The documents of a folder; the text of a file is in none. */
export const inFolder = (folder: string): Prisma.DocumentWhereInput => ({
  fileId: null,
  ...(folder === defaultFolder ? { folderId: null } : { folder: { name: folder } }),
});

/** The documents at these locations; a text that is no location is that of none. */
export function atLocations(locations: readonly string[]): Prisma.DocumentWhereInput {
  const folders = new Map<string, string[]>();
  for (const location of locations) {
    const { data } = Location.safeParse(location);
    if (data) folders.set(data.folder, [...(folders.get(data.folder) ?? []), data.fileName]);
  }
  // Beside other conditions an empty OR would be none at all, and every document meant.
  if (folders.size === 0) return { id: { in: [] } };
  return { OR: [...folders].map(([folder, names]) => ({ AND: [inFolder(folder), { fileName: { in: names } }] })) };
}
