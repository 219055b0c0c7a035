import type { EmbeddingModel } from '../../ai/embeddings.ts';
import type { Log } from '../../log.ts';
import type { Background } from '../../store/background.ts';
import type { Database } from '../../store/database.ts';
import type { Locks } from '../../store/shared/locks.ts';

/** Time that a search waits for the embedding model before it uses words only. Milliseconds. */
const queryTimeoutMs = 5000;
/** Number of documents that are looked up at a time. */
const batch = 20;
/** Time until the next attempt while another process embeds. Milliseconds. */
const retryMs = 5_000;
/** Number of consecutive failures after which the provider is not called until the next run. */
const enough = 3;

/** The embedding of a query. */
interface Meaning {
  /** Has length 1. */
  vector: number[];
  modelId: string;
}

/** Embeds passages in the background, and queries. */
export interface Embedder {
  /** Returns null when the model does not respond in time; the search then uses words only. */
  ofQuery(query: string): Promise<Meaning | null>;
  /** Embeds, in the background, the passages of all documents without vectors of this model. */
  soon(): void;
}

interface EmbedderDeps {
  db: Database;
  model: EmbeddingModel;
  background: Background;
  log: Log;
  locks: Locks;
}

type IndexDeps = Pick<EmbedderDeps, 'db' | 'model'>;

/** Returns the next documents after this ID whose passages have no vectors of the model. */
const pendingDocuments = ({ db, model }: IndexDeps, after: number) =>
  db.prisma.document.findMany({
    where: { id: { gt: after }, OR: [{ embeddedWith: null }, { embeddedWith: { not: model.modelId } }] },
    select: { id: true, title: true, contentHash: true },
    orderBy: { id: 'asc' },
    take: batch,
  });
type PendingDocument = Awaited<ReturnType<typeof pendingDocuments>>[number];

/** Stores the vectors of a document's passages, unless its text has changed since it was read. */
async function embedDocument({ db, model }: IndexDeps, { id, title, contentHash }: PendingDocument): Promise<void> {
  const chunks = await db.prisma.chunk.findMany({
    where: { documentId: id },
    select: { id: true, heading: true, text: true },
    orderBy: { position: 'asc' },
  });
  const { vectors } = await model.embed(chunks.map(({ heading, text }) => `${heading || title}\n\n${text}`));
  const rows = chunks.map((chunk, index) => ({ id: chunk.id, vector: ofLength1(vectors[index] ?? []) }));
  await db.prisma.$transaction(async (transaction) => {
    // If the text has changed meanwhile, these are not its passages.
    const { count } = await transaction.document.updateMany({
      where: { id, contentHash },
      data: { embeddedWith: model.modelId },
    });
    if (count > 0)
      await transaction.$executeRaw`
        UPDATE "Chunk" c SET "embedding" = ARRAY(SELECT value::real FROM jsonb_array_elements_text(row."vector") AS value)
        FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS row("id" int, "vector" jsonb)
        WHERE c."id" = row."id" AND c."documentId" = ${id}`;
  });
}

/**
 * Creates the indexer. Its usage does not count against a user's budget. A document that cannot be embedded is found by
 * its words, and is tried again with the next change and at the next start.
 */
export function createEmbedder({ db, model, background, log, locks }: EmbedderDeps): Embedder {
  let running = false;
  let again = false;

  async function embedPending(): Promise<void> {
    let failures = 0;
    for (let after = 0; ; ) {
      const documents = await pendingDocuments({ db, model }, after);
      for (const document of documents) {
        after = document.id;
        try {
          await embedDocument({ db, model }, document);
          failures = 0;
        } catch (error) {
          log.warn({ documentId: document.id, reason: (error as Error).message }, 'a document could not be embedded');
          failures += 1;
          if (failures >= enough) return;
        }
      }
      if (documents.length < batch) return;
    }
  }

  /** Embeds the pending documents, or tries later when another process is doing that. */
  async function embedAlone(): Promise<void> {
    const lock = await locks.tryTake('embedding');
    if (!lock) return void setTimeout(soon, retryMs).unref();
    try {
      await embedPending();
    } finally {
      await lock.release();
    }
  }

  function soon(): void {
    again = true;
    if (running) return;
    running = true;
    background.run('embedding', async () => {
      try {
        while (again) {
          again = false;
          await embedAlone();
        }
      } finally {
        running = false;
      }
    });
  }

  return {
    soon,
    async ofQuery(query) {
      try {
        const { vectors } = await model.embed([query], AbortSignal.timeout(queryTimeoutMs));
        const vector = ofLength1(vectors[0] ?? []);
        return vector.length > 0 ? { vector, modelId: model.modelId } : null;
      } catch (error) {
        log.warn({ reason: (error as Error).message }, 'a query could not be embedded');
        return null;
      }
    },
  };
}

/**
 * Normalizes a vector to length 1 with numbers that a REAL can store: PostgreSQL rejects numbers that are too small.
 * Returns an empty list for a vector without length.
 */
function ofLength1(vector: readonly number[]): number[] {
  const length = Math.hypot(...vector);
  return Number.isFinite(length) && length > 0 ? vector.map((value) => Math.fround(value / length)) : [];
}
