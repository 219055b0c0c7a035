-- The forms in which names and titles are searched and compared, see `searchForm` in src/text/normalize.ts.
ALTER TABLE "User" ADD COLUMN "nameForm" TEXT NOT NULL GENERATED ALWAYS AS ("search_form"("name")) STORED;
ALTER TABLE "Token" ADD COLUMN "nameForm" TEXT GENERATED ALWAYS AS ("search_form"("name")) STORED;
ALTER TABLE "Project"
    ADD COLUMN "nameForm" TEXT NOT NULL GENERATED ALWAYS AS ("search_form"("name")) STORED,
    ADD COLUMN "descriptionForm" TEXT GENERATED ALWAYS AS ("search_form"("description")) STORED;
ALTER TABLE "File" ADD COLUMN "nameForm" TEXT NOT NULL GENERATED ALWAYS AS ("search_form"("name")) STORED;
ALTER TABLE "Document" ADD COLUMN "titleForm" TEXT NOT NULL GENERATED ALWAYS AS ("search_form"("title")) STORED;

-- Folders whose names look the same become one folder, the oldest.
UPDATE "Document" SET "folderId" = first."id"
FROM "DocumentFolder" folder
JOIN (SELECT min("id") AS "id", "search_form"("name") AS form FROM "DocumentFolder" GROUP BY form) first
    ON first.form = "search_form"(folder."name")
WHERE "Document"."folderId" = folder."id" AND folder."id" <> first."id";
DELETE FROM "DocumentFolder" later USING "DocumentFolder" first
WHERE later."id" > first."id" AND "search_form"(later."name") = "search_form"(first."name");
ALTER TABLE "DocumentFolder"
    ADD COLUMN "nameForm" TEXT NOT NULL GENERATED ALWAYS AS ("search_form"("name")) STORED;
CREATE UNIQUE INDEX "DocumentFolder_nameForm_key" ON "DocumentFolder"("nameForm");
