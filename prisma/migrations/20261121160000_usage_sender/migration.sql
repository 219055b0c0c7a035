-- AlterTable
ALTER TABLE "UsageRecord" ADD COLUMN     "senderId" UUID;

-- What was sent before counts against the owner of the token's project, where the token is still there.
UPDATE "UsageRecord" u SET "senderId" = COALESCE(
  (SELECT p."ownerId" FROM "Token" t JOIN "Project" p ON p."id" = t."projectId" WHERE t."id" = u."tokenId"), u."userId");

-- AlterTable
ALTER TABLE "UsageRecord" ALTER COLUMN     "senderId" SET NOT NULL;

-- CreateIndex
CREATE INDEX "UsageRecord_senderId_hour_idx" ON "UsageRecord"("senderId", "hour");
