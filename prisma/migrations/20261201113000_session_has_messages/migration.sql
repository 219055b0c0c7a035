-- A list of sessions leaves out those without messages. Whether a session has any is stored with it, since a condition on
-- its messages makes PostgreSQL read the messages of all sessions.
ALTER TABLE "ChatSession" ADD COLUMN "hasMessages" BOOLEAN NOT NULL DEFAULT false;

UPDATE "ChatSession" SET "hasMessages" = true
WHERE EXISTS (SELECT 1 FROM "ChatMessage" m WHERE m."sessionId" = "ChatSession"."id" AND m."role" <> 'SYSTEM');

CREATE FUNCTION "latchkey_messages_added"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE "ChatSession" SET "hasMessages" = true
    WHERE "id" IN (SELECT "sessionId" FROM added WHERE "role" <> 'SYSTEM') AND NOT "hasMessages";
    RETURN NULL;
END $$;

CREATE FUNCTION "latchkey_messages_removed"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE "ChatSession" SET "hasMessages" = false
    WHERE "id" IN (SELECT "sessionId" FROM removed WHERE "role" <> 'SYSTEM') AND "hasMessages"
        AND NOT EXISTS (
            SELECT 1 FROM "ChatMessage" m WHERE m."sessionId" = "ChatSession"."id" AND m."role" <> 'SYSTEM');
    RETURN NULL;
END $$;

CREATE TRIGGER "ChatMessage_added" AFTER INSERT ON "ChatMessage"
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION "latchkey_messages_added"();

CREATE TRIGGER "ChatMessage_removed" AFTER DELETE ON "ChatMessage"
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION "latchkey_messages_removed"();
