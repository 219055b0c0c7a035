-- The normalization form of full-text search, equal to `searchForm` in src/text/normalize.ts: without characters that
-- have no visible form (Default_Ignorable_Code_Point), in NFKC.
CREATE FUNCTION "search_form"(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT normalize(regexp_replace($1, '[\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200F\u202A-\u202E\u2060-\u206F\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF0-\uFFF8\U0001BCA0-\U0001BCA3\U0001D173-\U0001D17A\U000E0000-\U000E0FFF]', '', 'g'), NFKC)
$$;

-- Rebuilding the generated columns normalizes the index entries of existing rows.
ALTER TABLE "Chunk" DROP COLUMN "search";
ALTER TABLE "Chunk" ADD COLUMN "search" tsvector GENERATED ALWAYS AS (
    setweight(to_tsvector('english', "search_form"("heading")), 'A')
    || setweight(to_tsvector('english', "search_form"("text")), 'B')
) STORED;
CREATE INDEX "Chunk_search_idx" ON "Chunk" USING GIN ("search");

ALTER TABLE "ChatMessage" DROP COLUMN "search";
ALTER TABLE "ChatMessage" ADD COLUMN "search" tsvector
    GENERATED ALWAYS AS (to_tsvector('simple', "search_form"("text"))) STORED;
CREATE INDEX "ChatMessage_search_idx" ON "ChatMessage" USING GIN ("search");
