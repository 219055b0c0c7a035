-- CreateEnum
CREATE TYPE "ChatMode" AS ENUM ('AUTOMATIC', 'CHAT', 'QUERY');

-- CreateEnum
CREATE TYPE "InviteStatus" AS ENUM ('PENDING', 'CLAIMED', 'DISABLED');

-- AlterEnum
ALTER TYPE "TokenKind" ADD VALUE 'EMBED';

-- AlterTable
ALTER TABLE "Agent" ADD COLUMN     "chatMode" "ChatMode" NOT NULL DEFAULT 'AUTOMATIC',
ADD COLUMN     "historyLimit" INTEGER,
ADD COLUMN     "model" TEXT,
ADD COLUMN     "refusalText" TEXT,
ADD COLUMN     "similarityThreshold" DOUBLE PRECISION NOT NULL DEFAULT 0,
ADD COLUMN     "slug" TEXT NOT NULL DEFAULT (gen_random_uuid())::text,
ADD COLUMN     "temperature" DOUBLE PRECISION;

-- AlterTable
ALTER TABLE "ChatSession" ADD COLUMN     "clientKey" TEXT,
ADD COLUMN     "databaseId" SERIAL NOT NULL,
ADD COLUMN     "slug" TEXT;

-- AlterTable
ALTER TABLE "Chunk" ADD COLUMN     "embedding" REAL[] DEFAULT ARRAY[]::REAL[];

-- AlterTable
ALTER TABLE "Document" ADD COLUMN     "embeddedWith" TEXT,
ADD COLUMN     "fileName" TEXT NOT NULL DEFAULT ((gen_random_uuid())::text || '.json'::text),
ADD COLUMN     "folderId" INTEGER,
ADD COLUMN     "tokenCount" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "wordCount" INTEGER NOT NULL DEFAULT 0;

-- AlterTable
ALTER TABLE "User" ADD COLUMN     "bio" TEXT NOT NULL DEFAULT '',
ADD COLUMN     "dailyMessageLimit" INTEGER,
ADD COLUMN     "databaseId" SERIAL NOT NULL;

-- CreateTable
CREATE TABLE "InviteCode" (
    "id" SERIAL NOT NULL,
    "hash" BYTEA NOT NULL,
    "display" TEXT NOT NULL,
    "status" "InviteStatus" NOT NULL DEFAULT 'PENDING',
    "agentIds" INTEGER[] DEFAULT ARRAY[]::INTEGER[],
    "createdById" UUID,
    "claimedById" UUID,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "InviteCode_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Embed" (
    "id" SERIAL NOT NULL,
    "uuid" UUID NOT NULL DEFAULT gen_random_uuid(),
    "enabled" BOOLEAN NOT NULL DEFAULT true,
    "chatMode" "ChatMode" NOT NULL DEFAULT 'QUERY',
    "allowedOrigins" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "allowModel" BOOLEAN NOT NULL DEFAULT false,
    "allowTemperature" BOOLEAN NOT NULL DEFAULT false,
    "allowPrompt" BOOLEAN NOT NULL DEFAULT false,
    "maxChatsPerDay" INTEGER,
    "maxChatsPerSession" INTEGER,
    "messageLimit" INTEGER,
    "agentId" INTEGER NOT NULL,
    "userId" UUID NOT NULL,
    "createdById" UUID,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Embed_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "DocumentFolder" (
    "id" SERIAL NOT NULL,
    "name" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "DocumentFolder_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "_Pinned" (
    "A" INTEGER NOT NULL,
    "B" INTEGER NOT NULL,

    CONSTRAINT "_Pinned_AB_pkey" PRIMARY KEY ("A","B")
);

-- CreateTable
CREATE TABLE "ImportRecord" (
    "source" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "sourceId" TEXT NOT NULL,
    "targetId" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "ImportRecord_pkey" PRIMARY KEY ("source","kind","sourceId")
);

-- CreateIndex
CREATE UNIQUE INDEX "InviteCode_hash_key" ON "InviteCode"("hash");

-- CreateIndex
CREATE UNIQUE INDEX "Embed_uuid_key" ON "Embed"("uuid");

-- CreateIndex
CREATE UNIQUE INDEX "Embed_userId_key" ON "Embed"("userId");

-- CreateIndex
CREATE INDEX "Embed_agentId_idx" ON "Embed"("agentId");

-- CreateIndex
CREATE UNIQUE INDEX "DocumentFolder_name_key" ON "DocumentFolder"("name");

-- CreateIndex
CREATE INDEX "_Pinned_B_index" ON "_Pinned"("B");

-- CreateIndex
CREATE UNIQUE INDEX "Agent_slug_key" ON "Agent"("slug");

-- CreateIndex
CREATE UNIQUE INDEX "ChatSession_databaseId_key" ON "ChatSession"("databaseId");

-- CreateIndex
CREATE UNIQUE INDEX "ChatSession_slug_key" ON "ChatSession"("slug");

-- CreateIndex
CREATE UNIQUE INDEX "ChatSession_userId_agentId_clientKey_key" ON "ChatSession"("userId", "agentId", "clientKey");

-- CreateIndex
CREATE UNIQUE INDEX "Document_fileName_key" ON "Document"("fileName");

-- CreateIndex
CREATE INDEX "Document_folderId_idx" ON "Document"("folderId");

-- CreateIndex
CREATE UNIQUE INDEX "User_databaseId_key" ON "User"("databaseId");

-- AddForeignKey
ALTER TABLE "InviteCode" ADD CONSTRAINT "InviteCode_createdById_fkey" FOREIGN KEY ("createdById") REFERENCES "User"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "InviteCode" ADD CONSTRAINT "InviteCode_claimedById_fkey" FOREIGN KEY ("claimedById") REFERENCES "User"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Embed" ADD CONSTRAINT "Embed_agentId_fkey" FOREIGN KEY ("agentId") REFERENCES "Agent"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Embed" ADD CONSTRAINT "Embed_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Embed" ADD CONSTRAINT "Embed_createdById_fkey" FOREIGN KEY ("createdById") REFERENCES "User"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Document" ADD CONSTRAINT "Document_folderId_fkey" FOREIGN KEY ("folderId") REFERENCES "DocumentFolder"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "_Pinned" ADD CONSTRAINT "_Pinned_A_fkey" FOREIGN KEY ("A") REFERENCES "Agent"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "_Pinned" ADD CONSTRAINT "_Pinned_B_fkey" FOREIGN KEY ("B") REFERENCES "Document"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What was there before gets what is made with everything new.
UPDATE "Agent" SET "slug" = CASE WHEN "id" = 0 THEN 'default'
  ELSE concat_ws('-', nullif(trim(BOTH '-' FROM lower(regexp_replace("name", '[^a-zA-Z0-9]+', '-', 'g'))), ''), "id") END;
UPDATE "Document" SET ("wordCount", "tokenCount") = (
  SELECT COALESCE(sum(array_length(regexp_split_to_array("text", '\s+'), 1)), 0), COALESCE(sum(ceil(length("text") / 4.0)), 0)
  FROM "Chunk" WHERE "documentId" = "Document"."id");

-- Of vectors of length 1 their likeness, -1 to 1; null where they are of different kinds. Where the extension pgvector
-- is there, the server puts that in its place (src/store/vectors.ts).
CREATE FUNCTION "dot_product"(a REAL[], b REAL[]) RETURNS DOUBLE PRECISION LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  total DOUBLE PRECISION := 0;
BEGIN
  FOR i IN 1..cardinality(a) LOOP
    total := total + a[i] * b[i];
  END LOOP;
  RETURN total;
END $$;
