import type { Principal } from '../../authz/principal.ts';
import { badInput } from '../../errors.ts';
import type { Document } from '../../generated/prisma/client.ts';
import { cutText } from '../../unicode.ts';
import { extensionOf, type Format, unsupportedType } from '../files/extract/kinds.ts';
import type { NewDocument, Placement } from './add-documents.ts';
import type { IntakeDeps } from './intake-deps.ts';

/** A document that was added, with its extracted text. */
export interface Added {
  document: Document;
  text: string;
}

/** Adds documents and returns them with their texts. */
export async function addTexts(
  knowledge: IntakeDeps['knowledge'],
  principal: Principal,
  documents: NewDocument[],
  placement: Placement,
): Promise<Added[]> {
  const stored = await knowledge.add(principal, documents, placement);
  return stored.map((document, at) => ({ document, text: documents[at]?.text ?? '' }));
}

/** A file whose text is extracted: `as` overrides the format that its name and its bytes imply. */
interface TextFile {
  name: string;
  bytes: Uint8Array;
  as?: Format;
  charset?: string | null;
}

/** Returns the text of a file. Throws BAD_USER_INPUT at this path for a file that cannot be read or has no text. */
export async function readText(
  files: IntakeDeps['files'],
  principal: Principal,
  path: (string | number)[],
  { name, bytes, ...how }: TextFile,
) {
  const found = await files.textOf(principal, name, bytes, how);
  if ('text' in found) return found;
  throw badInput(
    path,
    found.reason === unsupportedType
      ? `File extension ${extensionOf(name) || '(none)'} not supported for parsing and cannot be assumed as text file type.`
      : `${name || 'The file'} ${found.reason}.`,
  );
}

/** Returns a date in the format of these clients, in UTC: `11/14/2023, 10:13:20 PM`. Defaults to the current time. */
export const localDate = (date: Date | null | undefined): string =>
  (date ?? new Date()).toLocaleString('en-US', { timeZone: 'UTC' }).replaceAll('\u202f', ' ');

/** Returns a web address that readers can follow, or null. */
export const webLink = (text: string | null): string | null =>
  text !== null && URL.canParse(text) && /^https?:$/.test(new URL(text).protocol) ? text : null;

/** Returns a file name without folders and without characters that file systems reject. */
export const fileName = (name: string): string =>
  cutText((name.toWellFormed().split(/[/\\]/).at(-1) ?? '').replace(/[<>:"|?*\p{Cc}]/gu, '').trim(), 255);
