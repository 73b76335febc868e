-- Access tokens of a whole workspace, and what each was used for.

CREATE INDEX credential_workspace ON credential (workspace_id, created_on) WHERE revoked_on IS NULL;
CREATE INDEX daily_count_credential ON daily_count (credential, day);
