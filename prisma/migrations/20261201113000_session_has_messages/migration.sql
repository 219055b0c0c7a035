-- A list of sessions leaves out those without messages. Whether a session has any is stored with it, since a condition on
-- its messages makes PostgreSQL read the messages of all sessions.
ALTER TABLE "ChatSession" ADD COLUMN "hasMessages" BOOLEAN NOT NULL DEFAULT false;

UPDATE "ChatSession" SET "hasMessages" = true
WHERE EXISTS (SELECT 1 FROM "ChatMessage" m WHERE m."sessionId" = "ChatSession"."id" AND m."role" <> 'SYSTEM');

-- A session at a time, because PostgreSQL has no statistics of the added rows and can choose to compare each of them with
-- each session.
CREATE FUNCTION "latchkey_messages_added"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    session uuid;
BEGIN
    FOR session IN SELECT DISTINCT "sessionId" FROM added WHERE "role" <> 'SYSTEM' LOOP
        UPDATE "ChatSession" SET "hasMessages" = true WHERE "id" = session AND NOT "hasMessages";
    END LOOP;
    RETURN NULL;
END $$;

CREATE FUNCTION "latchkey_messages_removed"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    session uuid;
BEGIN
    FOR session IN SELECT DISTINCT "sessionId" FROM removed WHERE "role" <> 'SYSTEM' LOOP
        UPDATE "ChatSession" SET "hasMessages" = false
        WHERE "id" = session AND "hasMessages" AND NOT EXISTS (
            SELECT 1 FROM "ChatMessage" m WHERE m."sessionId" = session AND m."role" <> 'SYSTEM');
    END LOOP;
    RETURN NULL;
END $$;

CREATE TRIGGER "ChatMessage_added" AFTER INSERT ON "ChatMessage"
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION "latchkey_messages_added"();

CREATE TRIGGER "ChatMessage_removed" AFTER DELETE ON "ChatMessage"
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION "latchkey_messages_removed"();
