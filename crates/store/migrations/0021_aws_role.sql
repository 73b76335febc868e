-- Roles at Amazon that the steps of a workspace may take on.
CREATE TABLE aws_role (
    id {uuid} PRIMARY KEY,
    workspace_id {uuid} NOT NULL REFERENCES workspace (id),
    arn TEXT NOT NULL,
    mode TEXT NOT NULL,
    name TEXT NOT NULL,
    region TEXT,
    longest_session {int} NOT NULL,
    created_on {time} NOT NULL,
    UNIQUE (workspace_id, arn)
) {strict};

-- Who may take a role on: runs for which all that one row says holds. Without a repository: those of the whole workspace.
CREATE TABLE aws_role_grant (
    role_id {uuid} NOT NULL REFERENCES aws_role (id),
    position {int} NOT NULL,
    repository_id {uuid},
    ref_pattern TEXT,
    protected_only {bool} NOT NULL,
    environment TEXT,
    PRIMARY KEY (role_id, position)
) {strict};
CREATE INDEX aws_role_grant_repository ON aws_role_grant (repository_id);

-- By what an account at Amazon knows a workspace. Made once, never changed, and kept when the roles go, so that no role that
-- trusts it can come to trust anybody else.
CREATE TABLE aws_external_id (
    workspace_id {uuid} NOT NULL REFERENCES workspace (id),
    account TEXT NOT NULL,
    external_id TEXT NOT NULL UNIQUE,
    created_on {time} NOT NULL,
    PRIMARY KEY (workspace_id, account)
) {strict};
