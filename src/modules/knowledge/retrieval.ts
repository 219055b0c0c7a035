import { z } from 'zod';
import { can, type Principal } from '../../authz/principal.ts';
import { parse } from '../../errors.ts';
import type { Database, Statement } from '../../store/database.ts';
import { searchForm } from '../../text/normalize.ts';
import { cutText } from '../../unicode.ts';
import { databaseId, plainText } from '../../zod-types.ts';
import type { Embedder } from './embedding-indexer.ts';
import { type DocumentOwner, ownerNames } from './owners.ts';

/** Number of characters of a query that are used; the rest is ignored. */
const maxQueryLength = 4000;

/** A date that PostgreSQL and ISO 8601 format in the same way. */
export const storableDate = z.date().min(new Date('0001-01-01T00:00:00Z')).max(new Date('9999-12-31T23:59:59.999Z'));

const Retrieve = z.object({
  query: z.string().transform(searchable),
  agentId: databaseId.nullish(),
  projectId: databaseId.nullish(),
  /** Selects only the agent's files, and the project's files and documents. */
  attachedOnly: z.boolean().default(false),
  /** Documents to exclude. */
  except: z.array(z.string()).default([]),
  /** Selects these documents only, with as many of their passages as fit. */
  only: z.array(z.string()).nullish(),
  limit: z.number().int().min(0),
  sources: z.array(plainText(50)).max(100).nullish(),
  since: storableDate.nullish(),
  tags: z
    .array(z.object({ key: plainText(200), value: plainText(2000) }))
    .max(100)
    .nullish(),
});

/**
 * Returns a query that PostgreSQL can parse. No query is rejected, since a question can be pasted from anywhere:
 * characters that text cannot store separate words, and so do dashes without a word after them: `websearch_to_tsquery`
 * reads a line of them as nested negations and fails beyond 32.
 */
function searchable(query: string): string {
  return searchForm(cutText(query, maxQueryLength).toWellFormed())
    .replace(/\0|-{2,}|-(?![\p{L}\p{N}"])/gu, ' ')
    .trim();
}

export type RetrieveInput = z.input<typeof Retrieve>;

/** A search result. */
export interface Hit {
  /** The document's `externalId`. */
  documentId: string;
  chunkId: number;
  position: number;
  title: string;
  heading: string;
  link: string | null;
  text: string;
  source: string;
  metadata: Record<string, string | string[]>;
  /**
   * The names of the people responsible for the document. Absent in messages that were stored before this field
   * existed.
   */
  primaryOwners?: string[];
  secondaryOwners?: string[];
  /**
   * How well the passage fits the question, from 0 to 1, independent of other passages: the cosine similarity if the
   * passage has an embedding, or else {@link coverage}. The order of the hits also depends on other rankings.
   */
  score: number;
  /** The modification time that the document declares. */
  updatedAt: Date | null;
  /** Excerpts with the matching words in `<hi>…</hi>`. The rest is the document's text, unescaped. */
  highlights: string[];
}

/** Maximum number of passages in a result. */
const maxHits = 100;

/** Maximum number of passages of one document in a result. */
const perDocument = 3;

/** Maximum number of passages that are compared word by word, per document and in total. */
const weighed = { perDocument: 30, all: 600 };

/**
 * Number of words at the start and at the end of a query that are matched individually: every passage is compared with
 * each, and text pasted between them is rarely part of the question.
 */
const maxWords = 32;

/** Separates excerpts: a control character that does not occur in text. */
const fragmentEnd = '\u001f';

/** Maximum number of passages that are ranked by similarity, and their minimum cosine similarity. */
const alikeMost = 200;
const alikeLeast = 0.25;

/**
 * The ranking by similarity, where `$15` and `$16` are the embedding of the query and its model. It has the same weight
 * as both full-text rankings together.
 */
const alike = `, meant AS (
  SELECT "id", "documentId", row_number() OVER (ORDER BY likeness DESC, "id") AS place
  FROM (SELECT c."id", c."documentId", "dot_product"(c."embedding", $15::real[]) AS likeness
        FROM "Chunk" c JOIN allowed ON allowed."id" = c."documentId" JOIN "Document" d ON d."id" = c."documentId"
        WHERE d."embeddedWith" = $16 AND cardinality(c."embedding") = cardinality($15::real[])) AS measured
  WHERE likeness >= ${alikeLeast} ORDER BY likeness DESC, "id" LIMIT ${alikeMost}
), both_ways AS (
  SELECT "id", COALESCE(ranked."documentId", meant."documentId") AS "documentId",
         COALESCE(fused, 0) + COALESCE(3.0 / (60 + meant.place), 0) AS fused
  FROM ranked FULL JOIN meant USING ("id")
)`;

/**
 * The score of a passage without an embedding: the weight of the question's words that the passage contains, as a share
 * of the weight of all of its words except stop words, to the power of 1.5. Rare words weigh more; a word that no
 * passage contains has the average weight. A passage with one word in three scores 0.19, with two in three 0.54.
 */
const coverage = `COALESCE(power(
    (SELECT sum(weight) FROM weights WHERE c."search" @@ word) / (SELECT sum(weight) FROM weights), 1.5), 0)`;

/** The score of a passage in a search by meaning: negative cosines count as 0. */
const similarity = `CASE WHEN d."embeddedWith" = $16 AND cardinality(c."embedding") = cardinality($15::real[])
    THEN least(1, greatest(0, "dot_product"(c."embedding", $15::real[]))) ELSE ${coverage} END`;

/** The condition that a document is the text of a file of the project. */
const inProject = (project: string): string =>
  `EXISTS (SELECT FROM "_FileToProject" t WHERE t."A" = d."fileId" AND t."B" = ${project}::int)`;

/**
 * Combines two rankings of the readable passages by reciprocal rank fusion; with an embedding model, a third ranking by
 * similarity is added. `strict` requires the whole query as `websearch_to_tsquery` parses it (quoted phrases, `or`,
 * `-not`), ranked by proximity. `loose` requires any word, weighted by its rarity among the passages, so that "which
 * PostgreSQL versions are supported" is a question about PostgreSQL. Strict has twice the weight, so that a passage
 * that matches everything ranks first.
 *
 * The visibility rule is `visible.documents` in SQL; a test verifies that both are equal.
 */
const statement = (hybrid: boolean): Statement => ({
  name: hybrid ? 'knowledge_retrieve_hybrid' : 'knowledge_retrieve',
  text: `
WITH asked AS MATERIALIZED (
  SELECT websearch_to_tsquery('english', $1) AS strict,
         array_to_string(term[:${maxWords}] || term[greatest(${maxWords} + 1, cardinality(term) - ${maxWords} + 1):], ' | ')::tsquery AS loose
  FROM string_to_array(plainto_tsquery('english', $1)::text, ' & ') AS term
), allowed AS (
  SELECT d."id" FROM "Document" d
  LEFT JOIN "Agent" a ON a."id" = $4::int AND a."deletedAt" IS NULL
  LEFT JOIN "Project" p ON p."id" = d."projectId"
  WHERE CASE WHEN $9::int IS NOT NULL THEN d."projectId" = $9::int OR ${inProject('$9')}
      ELSE d."isPublic" OR d."ownerId" = $2::uuid OR p."ownerId" = $2::uuid
        OR ($3::boolean AND d."projectId" IS NULL AND d."fileId" IS NULL)
        OR EXISTS (SELECT FROM "_FileToProject" t JOIN "Project" o ON o."id" = t."B"
          WHERE t."A" = d."fileId" AND o."ownerId" = $2::uuid)
        OR EXISTS (SELECT FROM "_AgentToFile" t JOIN "Agent" g ON g."id" = t."A"
          WHERE t."B" = d."fileId" AND g."deletedAt" IS NULL AND ($11::boolean OR g."isPublic" OR g."isBuiltin"
            OR g."ownerId" = $2::uuid OR EXISTS (
              SELECT FROM "AgentShare" s WHERE s."agentId" = g."id" AND s."userId" = $2::uuid))) END
    AND ($10::int IS NULL OR d."projectId" IS NULL OR d."projectId" = $10::int)
    AND (d."projectId" = $10::int OR ${inProject('$10')}
      OR EXISTS (SELECT FROM "_AgentToFile" t WHERE t."A" = a."id" AND t."B" = d."fileId")
      OR (NOT $12::boolean AND ($4::int IS NULL OR (d."fileId" IS NULL AND (a."knowledge" = 'ALL'
        OR (a."knowledge" = 'ATTACHED' AND EXISTS (
          SELECT FROM "_AgentToDocument" t WHERE t."A" = a."id" AND t."B" = d."id")))))
      AND (a."searchStartDate" IS NULL OR COALESCE(d."documentUpdatedAt", d."createdAt") >= a."searchStartDate")))
    AND NOT (d."externalId" = ANY ($13::text[]))
    AND ($14::text[] IS NULL OR d."externalId" = ANY ($14::text[]))
    AND ($5::text[] IS NULL OR d."source" = ANY ($5::text[]))
    AND ($6::timestamptz IS NULL OR COALESCE(d."documentUpdatedAt", d."createdAt") >= $6::timestamptz)
    AND ($7::jsonb IS NULL OR EXISTS (
      SELECT FROM jsonb_each(d."metadata") field
      CROSS JOIN jsonb_array_elements(
        CASE jsonb_typeof(field."value") WHEN 'array' THEN field."value" ELSE jsonb_build_array(field."value") END) item
      JOIN jsonb_to_recordset($7::jsonb) AS tag("key" text, "value" text)
        ON tag."key" = "search_form"(field."key") AND tag."value" = "search_form"(item #>> '{}')
      WHERE jsonb_typeof(item) = 'string'))
), matches AS (
  SELECT c."id", c."documentId", c."search" @@ strict AS complete, ts_rank(c."search", loose, 1) AS rank
  FROM asked, "Chunk" c JOIN allowed ON allowed."id" = c."documentId"
  WHERE c."search" @@ loose
), nearest AS (
  SELECT "id", "documentId", complete
  FROM (SELECT *, row_number() OVER (PARTITION BY "documentId" ORDER BY complete DESC, rank DESC, "id") AS place
        FROM matches) AS placed
  WHERE place <= ${weighed.perDocument} ORDER BY complete DESC, rank DESC, "id" LIMIT ${weighed.all}
), candidates AS MATERIALIZED (
  SELECT nearest.*, c."search" FROM nearest JOIN "Chunk" c ON c."id" = nearest."id"
), each AS MATERIALIZED (
  SELECT DISTINCT unnest(string_to_array(loose::text, ' | '))::tsquery AS word FROM asked
), words AS MATERIALIZED (
  SELECT word, ln(1 + (SELECT count(*) FROM candidates)::float8 / count(*)) AS rarity
  FROM each, candidates WHERE "search" @@ word GROUP BY word
), weights AS MATERIALIZED (
  SELECT word, COALESCE(rarity, (SELECT avg(rarity) FROM words)) AS weight FROM each LEFT JOIN words USING (word)
), ranked AS (
  SELECT "id", "documentId",
         CASE WHEN complete THEN 2.0 / (60 + row_number() OVER (PARTITION BY complete ORDER BY density DESC, weight DESC, "id"))
              ELSE 0 END
         + 1.0 / (60 + row_number() OVER (ORDER BY weight DESC, "id")) AS fused
  FROM (SELECT "id", "documentId", complete, ts_rank_cd("search", strict, 1) AS density,
               (SELECT sum(rarity * ts_rank("search", word, 1)) FROM words WHERE "search" @@ word) AS weight
        FROM asked, candidates) AS measured
)${hybrid ? alike : ''}, spread AS (
  SELECT *, row_number() OVER (PARTITION BY "documentId" ORDER BY fused DESC, "id") AS place
  FROM ${hybrid ? 'both_ways' : 'ranked'}
), best AS (
  SELECT "id", fused FROM spread WHERE place <= CASE WHEN $14::text[] IS NULL THEN ${perDocument} ELSE $8::int END ORDER BY fused DESC, "id" LIMIT $8::int
)
SELECT d."externalId" AS "documentId", c."id" AS "chunkId", c."position", d."title", c."heading", c."link", c."text",
       d."source", d."metadata", d."primaryOwners", d."secondaryOwners", (${hybrid ? similarity : coverage})::float8 AS "score", d."documentUpdatedAt" AS "updatedAt",
       ts_headline('english', c."text", loose, 'StartSel=<hi>, StopSel=</hi>, MaxFragments=3, MinWords=8, MaxWords=30, FragmentDelimiter=${fragmentEnd}') AS "highlights"
FROM asked, best JOIN "Chunk" c ON c."id" = best."id" JOIN "Document" d ON d."id" = c."documentId"
ORDER BY fused DESC, c."id"`,
});

/** A row that the statement returns for a passage. */
interface Row extends Omit<Hit, 'highlights' | 'primaryOwners' | 'secondaryOwners'> {
  highlights: string;
  primaryOwners: DocumentOwner[];
  secondaryOwners: DocumentOwner[];
}

const byText = statement(false);
const byTextAndMeaning = statement(true);

/**
 * Returns the best passages for a question, at most three per document unless `only` names it, from documents that the
 * principal can read. Not every word has to match. `agentId` restricts the search to the agent's documents when its
 * knowledge is ATTACHED, and to documents since its `searchStartDate`; the caller checks whether the principal can use
 * the agent. `projectId`, for a turn in a project, adds that project's documents regardless of the agent's knowledge,
 * and excludes those of other projects; a project token finds documents of its project only. For an agent, the text of
 * a file is searched only if the file belongs to that agent or project. At least one of `sources` and one of `tags`
 * must match; an empty list is no condition. `limit` is reduced to 100. Returns nothing for a query without words and
 * for a deleted agent. Throws BAD_USER_INPUT.
 */
export async function retrieve(
  db: Database,
  principal: Principal,
  input: RetrieveInput,
  embedder: Pick<Embedder, 'ofQuery'> | null = null,
): Promise<Hit[]> {
  const { query, agentId, projectId, attachedOnly, except, only, limit, sources, since, tags } = parse(Retrieve, input);
  const confinedTo = principal.credential.projectId;
  if (query === '' || limit === 0) return [];
  const meaning = (await embedder?.ofQuery(query)) ?? null;
  const rows = await db.query<Row>(meaning ? byTextAndMeaning : byText, [
    query,
    principal.userId,
    can(principal, 'manage:documents'),
    agentId ?? null,
    sources?.length ? sources : null,
    since ?? null,
    tags?.length
      ? JSON.stringify(tags.map(({ key, value }) => ({ key: searchForm(key), value: searchForm(value) })))
      : null,
    Math.min(limit, maxHits),
    confinedTo,
    confinedTo ?? projectId ?? null,
    can(principal, 'manage:agents'),
    attachedOnly,
    except,
    only ?? null,
    ...(meaning ? [meaning.vector, meaning.modelId] : []),
  ]);
  return rows.map(({ highlights, primaryOwners, secondaryOwners, ...hit }) => ({
    ...hit,
    primaryOwners: ownerNames(primaryOwners),
    secondaryOwners: ownerNames(secondaryOwners),
    highlights: highlights.split(fragmentEnd).filter((fragment) => fragment.includes('<hi>')),
  }));
}
