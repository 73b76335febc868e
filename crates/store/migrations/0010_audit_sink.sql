-- Receivers to which the audit trail is sent: a workspace's, or the whole one (the nil id). The key that signs what a webhook
-- is sent is sealed.
CREATE TABLE audit_sink (
    id {uuid} PRIMARY KEY,
    scope_id {uuid} NOT NULL,
    kind TEXT NOT NULL,
    address TEXT NOT NULL,
    secret {bytes},
    created_by TEXT NOT NULL,
    created_on {time} NOT NULL
) {strict};
CREATE INDEX audit_sink_scope ON audit_sink (scope_id, created_on);

-- How far each has been told: bookkeeping, apart from what was set.
CREATE TABLE audit_sink_state (
    sink_id {uuid} PRIMARY KEY,
    next {int} NOT NULL,
    succeeded_on {time},
    failed_on {time},
    last_error TEXT,
    failures {int} NOT NULL,
    retry_on {time}
) {strict};
CREATE INDEX audit_sink_state_next ON audit_sink_state (next);
