-- AlterTable
ALTER TABLE "Document" ADD COLUMN     "uploadName" TEXT;

-- AlterTable
ALTER TABLE "File" ADD COLUMN     "replaces" UUID[] DEFAULT ARRAY[]::UUID[];

-- CreateIndex
CREATE INDEX "Document_uploadName_idx" ON "Document"("uploadName");
