-- Guardrails: what a workspace asks of whoever reaches its private content, and what the instance asks of all (the nil id).
-- One row each, off or on, so that who changed it last is known; a workspace's own rules among them, as `own-rule:NAME`.
CREATE TABLE guardrail (
    scope_id {uuid} NOT NULL,
    name TEXT NOT NULL,
    mode TEXT NOT NULL,
    value {json} NOT NULL,
    changed_by TEXT NOT NULL,
    changed_on {time} NOT NULL,
    PRIMARY KEY (scope_id, name)
) {strict};

-- The workspace that was used: what guardrails would have done is worked out from its counts.
ALTER TABLE daily_count ADD COLUMN workspace_id TEXT NOT NULL DEFAULT '';
CREATE INDEX daily_count_workspace ON daily_count (workspace_id, day);

-- How long credentials may live is a guardrail now; nothing could set this.
ALTER TABLE workspace DROP COLUMN maximum_token_days;
