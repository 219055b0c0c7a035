-- AlterTable
ALTER TABLE "Invitation" ADD COLUMN     "creatorTokenIds" INTEGER[] DEFAULT ARRAY[]::INTEGER[];

-- AlterTable
ALTER TABLE "InviteCode" ADD COLUMN     "creatorTokenIds" INTEGER[] DEFAULT ARRAY[]::INTEGER[];

-- AlterTable
ALTER TABLE "Token" ADD COLUMN     "creatorTokenIds" INTEGER[] DEFAULT ARRAY[]::INTEGER[],
ADD COLUMN     "secretVersion" INTEGER NOT NULL DEFAULT 0;

-- What the user of a key created, its key created: so far only the user was recorded.
WITH RECURSIVE maker AS (
  SELECT t."id" AS "tokenId", k."id" AS "makerId" FROM "Token" t
    JOIN "Token" k ON k."userId" = t."creatorId" AND k."kind" IN ('API_KEY', 'ANYTHINGLLM') AND k."id" <> t."id"
), origin AS (
  SELECT "tokenId", "makerId" FROM maker
  UNION
  SELECT origin."tokenId", maker."makerId" FROM origin JOIN maker ON maker."tokenId" = origin."makerId"
)
UPDATE "Token" t SET "creatorTokenIds" = o."ids"
  FROM (SELECT "tokenId", array_agg("makerId") AS "ids" FROM origin GROUP BY "tokenId") o WHERE o."tokenId" = t."id";

UPDATE "InviteCode" c SET "creatorTokenIds" = array_append(k."creatorTokenIds", k."id")
  FROM "Token" k WHERE k."userId" = c."createdById" AND k."kind" IN ('API_KEY', 'ANYTHINGLLM');

UPDATE "Invitation" i SET "creatorTokenIds" = array_append(k."creatorTokenIds", k."id")
  FROM "Token" k WHERE k."userId" = i."invitedById" AND k."kind" IN ('API_KEY', 'ANYTHINGLLM');
