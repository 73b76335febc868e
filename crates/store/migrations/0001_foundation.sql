-- Accounts and structure. Type words in braces are replaced for each engine (docs/decisions/0004).
-- Rows of what was deleted stay as tombstones: `deleted_on` is set, and unique names hold among the living only,
-- but for usernames, which are never given again.

CREATE TABLE user_account (
    id {uuid} PRIMARY KEY,
    username TEXT NOT NULL,
    username_folded TEXT NOT NULL UNIQUE,
    email TEXT NOT NULL,
    email_folded TEXT UNIQUE,
    display_name TEXT NOT NULL,
    active {bool} NOT NULL,
    staff_role TEXT NOT NULL,
    password_hash TEXT,
    second_step {bool} NOT NULL,
    created_on {time} NOT NULL,
    deleted_on {time}
) {strict};

CREATE TABLE workspace (
    id {uuid} PRIMARY KEY,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    maximum_token_days {int},
    created_on {time} NOT NULL,
    updated_on {time} NOT NULL,
    deleted_on {time}
) {strict};
CREATE UNIQUE INDEX workspace_slug ON workspace (slug) WHERE deleted_on IS NULL;

CREATE TABLE project (
    id {uuid} PRIMARY KEY,
    workspace_id {uuid} NOT NULL REFERENCES workspace (id),
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    description TEXT NOT NULL,
    private {bool} NOT NULL,
    created_on {time} NOT NULL,
    updated_on {time} NOT NULL,
    deleted_on {time}
) {strict};
CREATE UNIQUE INDEX project_key ON project (workspace_id, key) WHERE deleted_on IS NULL;

CREATE TABLE repository (
    id {uuid} PRIMARY KEY,
    workspace_id {uuid} NOT NULL REFERENCES workspace (id),
    project_id {uuid} NOT NULL REFERENCES project (id),
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    description TEXT NOT NULL,
    description_folded TEXT NOT NULL,
    private {bool} NOT NULL,
    fork_policy TEXT NOT NULL,
    language TEXT NOT NULL,
    has_issues {bool} NOT NULL,
    has_wiki {bool} NOT NULL,
    default_branch TEXT NOT NULL,
    size_bytes {int} NOT NULL,
    created_on {time} NOT NULL,
    updated_on {time} NOT NULL,
    deleted_on {time}
) {strict};
CREATE UNIQUE INDEX repository_slug ON repository (workspace_id, slug) WHERE deleted_on IS NULL;
CREATE INDEX repository_project ON repository (project_id);
CREATE INDEX repository_deleted ON repository (deleted_on) WHERE deleted_on IS NOT NULL;

-- Where an old name leads. `scope_id` is the workspace the name lived in (the nil id for workspaces' own names).
-- A living name always wins over a redirect.
CREATE TABLE redirect (
    kind TEXT NOT NULL,
    scope_id {uuid} NOT NULL,
    name TEXT NOT NULL,
    target_id {uuid} NOT NULL,
    created_on {time} NOT NULL,
    PRIMARY KEY (kind, scope_id, name)
) {strict};

CREATE TABLE user_group (
    id {uuid} PRIMARY KEY,
    workspace_id {uuid} NOT NULL REFERENCES workspace (id),
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    auto_add {bool} NOT NULL,
    default_permission TEXT,
    email_forwarding_disabled {bool} NOT NULL,
    created_on {time} NOT NULL,
    UNIQUE (workspace_id, slug)
) {strict};

CREATE TABLE group_member (
    group_id {uuid} NOT NULL REFERENCES user_group (id),
    user_id {uuid} NOT NULL REFERENCES user_account (id),
    PRIMARY KEY (group_id, user_id)
) {strict};
CREATE INDEX group_member_user ON group_member (user_id);

-- A permission of a user or group on a workspace, project or repository. A user's grant on a workspace is the
-- membership itself.
CREATE TABLE access_grant (
    resource_kind TEXT NOT NULL,
    resource_id {uuid} NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id {uuid} NOT NULL,
    workspace_id {uuid} NOT NULL REFERENCES workspace (id),
    permission TEXT NOT NULL,
    granted_on {time} NOT NULL,
    PRIMARY KEY (resource_kind, resource_id, subject_kind, subject_id)
) {strict};
CREATE INDEX access_grant_subject ON access_grant (subject_kind, subject_id, workspace_id);

-- Access tokens, app passwords and API tokens. Only the SHA-256 of the secret is kept.
CREATE TABLE credential (
    id {uuid} PRIMARY KEY,
    kind TEXT NOT NULL,
    hash {bytes} NOT NULL UNIQUE,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    user_id {uuid} REFERENCES user_account (id),
    resource_kind TEXT,
    resource_id {uuid},
    workspace_id {uuid},
    email TEXT,
    created_by {uuid},
    created_on {time} NOT NULL,
    expires_on {time},
    last_used_on {time},
    revoked_on {time}
) {strict};
CREATE INDEX credential_resource ON credential (resource_kind, resource_id) WHERE revoked_on IS NULL;
CREATE INDEX credential_user ON credential (user_id) WHERE revoked_on IS NULL;

-- A push, from its intent (before git may move a ref) to its outcome. `origin` and `target` are the provenance that
-- the outcome's audit event carries, whoever settles it.
CREATE TABLE push (
    id {uuid} PRIMARY KEY,
    repository_id {uuid} NOT NULL REFERENCES repository (id),
    begun_on {time} NOT NULL,
    origin {json} NOT NULL,
    refs {json} NOT NULL,
    settled_on {time}
) {strict};
CREATE INDEX push_open ON push (begun_on) WHERE settled_on IS NULL;
CREATE INDEX push_repository ON push (repository_id, begun_on);
