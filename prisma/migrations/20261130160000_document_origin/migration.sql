-- CreateEnum
CREATE TYPE "DocumentOrigin" AS ENUM ('INGESTION', 'UPLOAD', 'FILE', 'PROJECT', 'IMPORT', 'BUILTIN');

-- AlterTable
ALTER TABLE "Document" ADD COLUMN     "origin" "DocumentOrigin" NOT NULL DEFAULT 'INGESTION',
ADD COLUMN     "primaryOwners" JSONB NOT NULL DEFAULT '[]',
ADD COLUMN     "searchTitle" TEXT,
ADD COLUMN     "secondaryOwners" JSONB NOT NULL DEFAULT '[]';

-- The origin of the documents so far, as far as the other columns tell it. The server's own pages have no owner.
UPDATE "Document" SET "origin" = (CASE
  WHEN "fileId" IS NOT NULL THEN 'FILE'
  WHEN "ownerId" IS NULL AND "externalId" IN ('latchkey-readme', 'latchkey-architecture') THEN 'BUILTIN'
  WHEN "projectId" IS NOT NULL THEN 'PROJECT'
  WHEN "source" = 'anythingllm' THEN 'IMPORT'
  WHEN "source" IN ('upload', 'raw_text', 'link') THEN 'UPLOAD'
  ELSE 'INGESTION' END)::"DocumentOrigin";
