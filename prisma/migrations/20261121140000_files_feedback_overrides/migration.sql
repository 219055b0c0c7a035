-- CreateEnum
CREATE TYPE "FileKind" AS ENUM ('IMAGE', 'DOCUMENT', 'PLAIN_TEXT', 'TABULAR');

-- CreateEnum
CREATE TYPE "FileStatus" AS ENUM ('PROCESSING', 'COMPLETED', 'FAILED');

-- CreateEnum
CREATE TYPE "ReasoningEffort" AS ENUM ('OFF', 'LOW', 'MEDIUM', 'HIGH');

-- AlterTable
ALTER TABLE "ChatMessage" ADD COLUMN     "preferredResponseId" INTEGER;

-- AlterTable
ALTER TABLE "ChatSession" ADD COLUMN     "model" TEXT,
ADD COLUMN     "reasoningEffort" "ReasoningEffort",
ADD COLUMN     "systemPrompt" TEXT,
ADD COLUMN     "taskPrompt" TEXT,
ADD COLUMN     "temperature" DOUBLE PRECISION;

-- AlterTable
ALTER TABLE "Document" ADD COLUMN     "fileId" UUID;

-- CreateTable
CREATE TABLE "Feedback" (
    "id" SERIAL NOT NULL,
    "messageId" INTEGER NOT NULL,
    "userId" UUID NOT NULL,
    "positive" BOOLEAN,
    "comment" TEXT,
    "reason" TEXT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Feedback_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "File" (
    "id" UUID NOT NULL,
    "ownerId" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "mediaType" TEXT NOT NULL,
    "kind" "FileKind" NOT NULL,
    "size" INTEGER NOT NULL,
    "status" "FileStatus" NOT NULL DEFAULT 'PROCESSING',
    "error" TEXT,
    "text" TEXT,
    "tokenCount" INTEGER,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "usedAt" TIMESTAMPTZ(3),

    CONSTRAINT "File_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "OrphanedBlob" (
    "id" UUID NOT NULL,
    "dueAt" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "OrphanedBlob_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "_AgentToFile" (
    "A" INTEGER NOT NULL,
    "B" UUID NOT NULL,

    CONSTRAINT "_AgentToFile_AB_pkey" PRIMARY KEY ("A","B")
);

-- CreateTable
CREATE TABLE "_ChatMessageToFile" (
    "A" INTEGER NOT NULL,
    "B" UUID NOT NULL,

    CONSTRAINT "_ChatMessageToFile_AB_pkey" PRIMARY KEY ("A","B")
);

-- CreateTable
CREATE TABLE "_FileToProject" (
    "A" UUID NOT NULL,
    "B" INTEGER NOT NULL,

    CONSTRAINT "_FileToProject_AB_pkey" PRIMARY KEY ("A","B")
);

-- CreateIndex
CREATE INDEX "Feedback_userId_idx" ON "Feedback"("userId");

-- CreateIndex
CREATE UNIQUE INDEX "Feedback_messageId_userId_key" ON "Feedback"("messageId", "userId");

-- CreateIndex
CREATE INDEX "File_ownerId_createdAt_idx" ON "File"("ownerId", "createdAt" DESC);

-- CreateIndex
CREATE INDEX "File_status_idx" ON "File"("status");

-- CreateIndex
CREATE INDEX "OrphanedBlob_dueAt_idx" ON "OrphanedBlob"("dueAt");

-- CreateIndex
CREATE INDEX "_AgentToFile_B_index" ON "_AgentToFile"("B");

-- CreateIndex
CREATE INDEX "_ChatMessageToFile_B_index" ON "_ChatMessageToFile"("B");

-- CreateIndex
CREATE INDEX "_FileToProject_B_index" ON "_FileToProject"("B");

-- CreateIndex
CREATE UNIQUE INDEX "Document_fileId_key" ON "Document"("fileId");

-- AddForeignKey
ALTER TABLE "Feedback" ADD CONSTRAINT "Feedback_messageId_fkey" FOREIGN KEY ("messageId") REFERENCES "ChatMessage"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Feedback" ADD CONSTRAINT "Feedback_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "File" ADD CONSTRAINT "File_ownerId_fkey" FOREIGN KEY ("ownerId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Document" ADD CONSTRAINT "Document_fileId_fkey" FOREIGN KEY ("fileId") REFERENCES "File"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "_AgentToFile" ADD CONSTRAINT "_AgentToFile_A_fkey" FOREIGN KEY ("A") REFERENCES "Agent"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "_AgentToFile" ADD CONSTRAINT "_AgentToFile_B_fkey" FOREIGN KEY ("B") REFERENCES "File"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "_ChatMessageToFile" ADD CONSTRAINT "_ChatMessageToFile_A_fkey" FOREIGN KEY ("A") REFERENCES "ChatMessage"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "_ChatMessageToFile" ADD CONSTRAINT "_ChatMessageToFile_B_fkey" FOREIGN KEY ("B") REFERENCES "File"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "_FileToProject" ADD CONSTRAINT "_FileToProject_A_fkey" FOREIGN KEY ("A") REFERENCES "File"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "_FileToProject" ADD CONSTRAINT "_FileToProject_B_fkey" FOREIGN KEY ("B") REFERENCES "Project"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- The bytes of a file are not in the database: whatever deletes its row, a cascade included, says here that they are to go.
CREATE FUNCTION "orphan_blob"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO "OrphanedBlob" ("id", "dueAt") VALUES (OLD."id", now()) ON CONFLICT ("id") DO UPDATE SET "dueAt" = now();
  RETURN NULL;
END $$;
CREATE TRIGGER "File_orphans_its_blob" AFTER DELETE ON "File" FOR EACH ROW EXECUTE FUNCTION "orphan_blob"();
