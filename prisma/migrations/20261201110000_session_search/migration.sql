-- A search computed the words of the name of every session that the caller can read.
ALTER TABLE "ChatSession" ADD COLUMN "search" tsvector
    GENERATED ALWAYS AS (to_tsvector('simple', "search_form"(coalesce("name", '')))) STORED;
CREATE INDEX "ChatSession_search_idx" ON "ChatSession" USING GIN ("search");
