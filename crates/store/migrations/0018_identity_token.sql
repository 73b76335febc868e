-- The keys that sign a workspace's identity tokens. Each is published from its making until it retires or is revoked, and
-- signs from when it is active until a younger one is. The private half is sealed, and gone once the key signs no more.
CREATE TABLE identity_token_key (
    workspace_id {uuid} NOT NULL REFERENCES workspace (id),
    kid TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    public_key {json} NOT NULL,
    sealed {bytes},
    created_on {time} NOT NULL,
    activates_on {time} NOT NULL,
    retires_on {time},
    revoked_on {time},
    PRIMARY KEY (workspace_id, kid)
) {strict};

-- What a workspace's identity tokens say, where it differs from the default.
CREATE TABLE identity_token_workspace (
    workspace_id {uuid} PRIMARY KEY REFERENCES workspace (id),
    algorithm TEXT NOT NULL,
    subject_template TEXT,
    session_tags {bool} NOT NULL
) {strict};

-- What those of a repository say, where it differs from its workspace.
CREATE TABLE identity_token_repository (
    repository_id {uuid} PRIMARY KEY,
    subject_template TEXT,
    session_tags {bool}
) {strict};
