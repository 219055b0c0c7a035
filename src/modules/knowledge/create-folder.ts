import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { conflict, parse } from '../../errors.ts';
import type { FolderDeps } from './folder-deps.ts';
import { type FolderSummary, insertFolder } from './folder-rules.ts';
import { defaultFolder, FolderName } from './location.ts';

const CreateFolder = z.object({ name: FolderName });

export const folderCreation = ({ db, audit }: FolderDeps) => ({
  /** Creates a folder. Throws BAD_USER_INPUT for an invalid name, CONFLICT for a name that is in use. */
  async create(principal: Principal, input: z.input<typeof CreateFolder>): Promise<FolderSummary> {
    const { name } = parse(CreateFolder, input);
    await db.prisma.$transaction(async (transaction) => {
      if (name === defaultFolder || !(await insertFolder(transaction, audit, principal, name)))
        throw conflict('FOLDER_NAME_TAKEN', 'A folder with this name already exists.');
    });
    return { name, documentCount: 0 };
  },
});
