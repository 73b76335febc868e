-- What build systems say of commits. `setter` is the principal to whom a key belongs on that commit.
CREATE TABLE commit_status (
    id {uuid} PRIMARY KEY,
    repository_id {uuid} NOT NULL,
    commit_hash TEXT NOT NULL,
    status_key TEXT NOT NULL,
    state TEXT NOT NULL,
    name TEXT,
    description TEXT,
    url TEXT,
    refname TEXT,
    setter TEXT NOT NULL,
    created_on {time} NOT NULL,
    updated_on {time} NOT NULL,
    UNIQUE (repository_id, commit_hash, status_key)
) {strict};

-- What analyses say of commits. `tool` is what the rule of a workspace compares.
CREATE TABLE commit_report (
    id {uuid} PRIMARY KEY,
    repository_id {uuid} NOT NULL,
    commit_hash TEXT NOT NULL,
    external_id TEXT NOT NULL,
    title TEXT NOT NULL,
    details TEXT,
    reporter TEXT,
    tool TEXT,
    link TEXT,
    remote_link_enabled {bool} NOT NULL,
    logo_url TEXT,
    report_type TEXT,
    result TEXT,
    data {json} NOT NULL,
    setter TEXT NOT NULL,
    created_on {time} NOT NULL,
    updated_on {time} NOT NULL,
    UNIQUE (repository_id, commit_hash, external_id)
) {strict};

CREATE TABLE commit_report_annotation (
    id {uuid} PRIMARY KEY,
    report_id {uuid} NOT NULL,
    external_id TEXT NOT NULL,
    annotation_type TEXT NOT NULL,
    summary TEXT NOT NULL,
    details TEXT,
    path TEXT,
    line {int} NOT NULL,
    severity TEXT,
    result TEXT,
    link TEXT,
    created_on {time} NOT NULL,
    updated_on {time} NOT NULL,
    UNIQUE (report_id, external_id)
) {strict};

-- Which findings fail a run of a pipeline, where a workspace has a rule. `tools` is empty where it is about all.
CREATE TABLE code_scanning (
    workspace_id {uuid} PRIMARY KEY,
    fail_at TEXT,
    tools {json} NOT NULL
) {strict};
