-- CreateIndex
CREATE INDEX "AuditEvent_actorId_idx" ON "AuditEvent"("actorId");

-- CreateIndex
CREATE INDEX "AuditEvent_tokenId_idx" ON "AuditEvent"("tokenId");

-- The trail is append-only, whoever is at the database. Only what is older than the retention that the transaction
-- names in `latchkey.audit_retention_days` can be deleted; nothing can be changed.
CREATE FUNCTION "latchkey_audit_append_only"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    retention text := current_setting('latchkey.audit_retention_days', true);
BEGIN
    IF TG_OP = 'DELETE' AND retention ~ '^[1-9][0-9]*$' AND OLD."at" < now() - make_interval(days => retention::int) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER "AuditEvent_append_only" BEFORE UPDATE OR DELETE ON "AuditEvent"
    FOR EACH ROW EXECUTE FUNCTION "latchkey_audit_append_only"();

CREATE TRIGGER "AuditEvent_no_truncate" BEFORE TRUNCATE ON "AuditEvent"
    FOR EACH STATEMENT EXECUTE FUNCTION "latchkey_audit_append_only"();
