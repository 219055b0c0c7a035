import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { parse } from '../../errors.ts';
import type { Document } from '../../generated/prisma/client.ts';
import { transactionTimeouts } from './document-rules.ts';
import type { FolderDeps } from './folder-deps.ts';
import { atLocations, maxAtOnce } from './location.ts';
import { eraseDocuments, lockDocuments } from './placed-documents.ts';

const DeleteDocuments = z.object({ locations: z.array(z.string().max(600)).max(maxAtOnce) });

export const documentDeletion = ({ db, audit }: FolderDeps) => ({
  /** Deletes the documents at these locations. Locations without a readable document are ignored. */
  deleteDocuments: (principal: Principal, input: z.input<typeof DeleteDocuments>): Promise<Document[]> =>
    db.prisma.$transaction(async (transaction) => {
      const { locations } = parse(DeleteDocuments, input);
      const documents = await lockDocuments(transaction, principal, atLocations(locations));
      await eraseDocuments(transaction, audit, principal, documents);
      return documents;
    }, transactionTimeouts),
});
