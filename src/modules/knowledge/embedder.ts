import type { Log } from '../../log.ts';
import type { EmbeddingModel } from '../../models/embeddings.ts';
import type { Background } from '../../store/background.ts';
import type { Database } from '../../store/database.ts';

/** How long a search waits for the embedding model before it goes by words alone. Milliseconds. */
const patience = 5000;
/** Documents that are looked up at a time. */
const batch = 20;
/** Failures in a row after which the provider is left alone until the next time. */
const enough = 3;

/** A query as the embedding model sees it. */
export interface Meaning {
  /** Of length 1. */
  vector: number[];
  modelId: string;
}

/** Keeps passages embedded, and embeds what is searched for. */
export interface Embedder {
  /** null when the model does not answer, or not in time: then the search goes by words alone. */
  ofQuery(query: string): Promise<Meaning | null>;
  /** Embeds, in the background, the passages of all documents that were not embedded with this model. */
  soon(): void;
}

interface Parts {
  db: Database;
  model: EmbeddingModel;
  background: Background;
  log: Log;
}

/**
 * What it costs is the server's, and counts against nobody's budget. A document that cannot be embedded is found by its
 * words; it is tried again with the next change and the next start.
 */
export function createEmbedder({ db, model, background, log }: Parts): Embedder {
  let running = false;
  let again = false;

  const pending = (after: number) =>
    db.prisma.document.findMany({
      where: { id: { gt: after }, OR: [{ embeddedWith: null }, { embeddedWith: { not: model.modelId } }] },
      select: { id: true, title: true, contentHash: true },
      orderBy: { id: 'asc' },
      take: batch,
    });
  type Pending = Awaited<ReturnType<typeof pending>>[number];

  async function embed({ id, title, contentHash }: Pending): Promise<void> {
    const chunks = await db.prisma.chunk.findMany({
      where: { documentId: id },
      select: { id: true, heading: true, text: true },
      orderBy: { position: 'asc' },
    });
    const { vectors } = await model.embed(chunks.map(({ heading, text }) => `${heading || title}\n\n${text}`));
    const rows = chunks.map((chunk, index) => ({ id: chunk.id, vector: ofLength1(vectors[index] ?? []) }));
    await db.prisma.$transaction(async (transaction) => {
      // Its text may have changed meanwhile, and then these are not its passages.
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

  async function embedPending(): Promise<void> {
    let failures = 0;
    for (let after = 0; ; ) {
      const documents = await pending(after);
      for (const document of documents) {
        after = document.id;
        try {
          await embed(document);
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

  function soon(): void {
    again = true;
    if (running) return;
    running = true;
    background.run('embedding', async () => {
      try {
        while (again) {
          again = false;
          await embedPending();
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
        const { vectors } = await model.embed([query], AbortSignal.timeout(patience));
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
 * A vector cut to length 1, of numbers that a REAL holds: PostgreSQL refuses those that are too small for one. Empty where
 * it has no length.
 */
function ofLength1(vector: readonly number[]): number[] {
  const length = Math.hypot(...vector);
  return Number.isFinite(length) && length > 0 ? vector.map((value) => Math.fround(value / length)) : [];
}
