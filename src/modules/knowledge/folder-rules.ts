import type { Principal } from '../../authz/principal.ts';
import { conflict } from '../../errors.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import { type AuditService, by } from '../audit/audit.service.ts';
import { defaultFolder, folderNamed } from './location.ts';

/** A folder with the number of documents in it that the principal can read. */
export interface FolderSummary {
  name: string;
  documentCount: number;
}

/**
 * Maximum number of folders, not counting the default folder, which always exists. Limited because a list returns all
 * folders.
 */
export const maxFolders = 5000;

/** Throws CONFLICT when a transaction has created more folders than the server can have. */
export async function checkFolderCount(transaction: Prisma.TransactionClient): Promise<void> {
  if ((await transaction.documentFolder.count()) > maxFolders)
    throw conflict('TOO_MANY_FOLDERS', `Too many folders (limit: ${maxFolders}). Delete one to create another.`);
}

/** Creates a folder. Returns false when it already exists. Throws CONFLICT when there are too many folders. */
export async function insertFolder(
  transaction: Prisma.TransactionClient,
  audit: AuditService,
  principal: Principal,
  name: string,
): Promise<boolean> {
  const [folder] = await transaction.documentFolder.createManyAndReturn({ data: [{ name }], skipDuplicates: true });
  if (!folder) return false;
  await checkFolderCount(transaction);
  await audit.record(transaction, {
    ...by(principal),
    action: 'document_folder.create',
    target: { type: 'DocumentFolder', id: folder.id },
    detail: { name },
  });
  return true;
}

/** Returns the ID of a folder, which is created if it does not exist, or null for the default folder. */
export async function folderToFill(
  transaction: Prisma.TransactionClient,
  audit: AuditService,
  principal: Principal,
  name: string | null,
): Promise<number | null> {
  if (name === null || name === defaultFolder) return null;
  await insertFolder(transaction, audit, principal, name);
  return (await transaction.documentFolder.findUniqueOrThrow({ where: folderNamed(name) })).id;
}
