-- A run of a pipeline. `target` is what it runs on, in the words of the interface; `ref_name` the whole ref, where there is
-- one. `groups` are the plan's, and the steps have rows of their own. `variables` were set for this run, each sealed.
-- `origin` is the provenance that events about it carry.
CREATE TABLE pipeline (
    id {uuid} PRIMARY KEY,
    repository_id {uuid} NOT NULL REFERENCES repository (id),
    build_number {int} NOT NULL,
    trigger_kind TEXT NOT NULL,
    creator_id {uuid},
    creator TEXT NOT NULL,
    ref_name TEXT,
    commit_id TEXT NOT NULL,
    protected {bool} NOT NULL,
    selector TEXT NOT NULL,
    pattern TEXT,
    groups {json} NOT NULL,
    variables {json} NOT NULL,
    state TEXT NOT NULL,
    error {json},
    created_on {time} NOT NULL,
    completed_on {time},
    UNIQUE (repository_id, build_number)
) {strict};
CREATE INDEX pipeline_repository ON pipeline (repository_id, created_on);

-- What pushes have started, by push and ref: so that a job that is run again starts nothing twice.
CREATE TABLE pipeline_started (
    key TEXT PRIMARY KEY,
    started_on {time} NOT NULL
) {strict};

-- What it was planned from: the file as it lay in the repository, or as it was sent.
CREATE TABLE pipeline_configuration (
    pipeline_id {uuid} PRIMARY KEY REFERENCES pipeline (id),
    source TEXT NOT NULL,
    text TEXT NOT NULL
) {strict};

-- A step of a run. `labels` are those that its runner must have, sorted, with blanks between and around. Two steps that
-- hold the same environment, or the same group, never run at once: see `holds`.
CREATE TABLE pipeline_step (
    id {uuid} PRIMARY KEY,
    pipeline_id {uuid} NOT NULL REFERENCES pipeline (id),
    repository_id {uuid} NOT NULL,
    position {int} NOT NULL,
    name TEXT,
    plan {json} NOT NULL,
    labels TEXT NOT NULL,
    manual {bool} NOT NULL,
    started {bool} NOT NULL,
    excluded {bool} NOT NULL,
    state TEXT NOT NULL,
    verdict {json},
    attempt {int} NOT NULL,
    runner_id {uuid},
    credential_id {uuid},
    environment_id {uuid},
    concurrency_group TEXT,
    holds {bool} NOT NULL,
    outputs {json},
    ready_on {time},
    started_on {time},
    completed_on {time},
    UNIQUE (pipeline_id, position)
) {strict};
CREATE INDEX pipeline_step_ready ON pipeline_step (ready_on, id) WHERE state = 'ready';
CREATE INDEX pipeline_step_held ON pipeline_step (repository_id) WHERE holds;
CREATE INDEX pipeline_step_credential ON pipeline_step (credential_id);

-- Who runs a step, until when. It is renewed with each sign of life.
CREATE TABLE step_lease (
    step_id {uuid} PRIMARY KEY,
    attempt {int} NOT NULL,
    runner_id {uuid} NOT NULL,
    lease_until {time} NOT NULL,
    stop {bool} NOT NULL
) {strict};
CREATE INDEX step_lease_until ON step_lease (lease_until);
CREATE INDEX step_lease_runner ON step_lease (runner_id);

-- What a step left to later ones. The bytes lie beside the logs.
CREATE TABLE step_artifact (
    id {uuid} PRIMARY KEY,
    step_id {uuid} NOT NULL REFERENCES pipeline_step (id),
    pipeline_id {uuid} NOT NULL,
    position {int} NOT NULL,
    name TEXT NOT NULL,
    size {int} NOT NULL,
    sha256 TEXT NOT NULL,
    created_on {time} NOT NULL,
    UNIQUE (step_id, name)
) {strict};
CREATE INDEX step_artifact_pipeline ON step_artifact (pipeline_id);
CREATE INDEX step_artifact_age ON step_artifact (created_on);

-- What a cache keeps, by its name and the key of its version.
CREATE TABLE pipeline_cache (
    id {uuid} PRIMARY KEY,
    repository_id {uuid} NOT NULL,
    name TEXT NOT NULL,
    cache_key TEXT NOT NULL,
    size {int} NOT NULL,
    sha256 TEXT NOT NULL,
    created_on {time} NOT NULL,
    UNIQUE (repository_id, name, cache_key)
) {strict};

-- A runner. `hash` is of its credential, `next_hash` of the one that replaces it with its first use.
CREATE TABLE runner (
    id {uuid} PRIMARY KEY,
    resource_kind TEXT NOT NULL,
    resource_id {uuid} NOT NULL,
    workspace_id {uuid} NOT NULL,
    name TEXT NOT NULL,
    labels TEXT NOT NULL,
    enabled {bool} NOT NULL,
    created_on {time} NOT NULL,
    code_hash {bytes} UNIQUE,
    code_expires_on {time},
    hash {bytes} UNIQUE,
    next_hash {bytes} UNIQUE,
    registered_on {time},
    UNIQUE (resource_id, name)
) {strict};

-- When a runner was last heard of, and what it told of itself.
CREATE TABLE runner_contact (
    runner_id {uuid} PRIMARY KEY,
    seen_on {time} NOT NULL,
    labels TEXT NOT NULL,
    program TEXT NOT NULL
) {strict};
