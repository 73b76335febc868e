-- Variables of pipelines, of a workspace, a repository or an environment. The value is sealed, secured or not.
CREATE TABLE pipeline_variable (
    id {uuid} PRIMARY KEY,
    place_kind TEXT NOT NULL,
    place_id {uuid} NOT NULL,
    name TEXT NOT NULL,
    value {bytes} NOT NULL,
    secured {bool} NOT NULL,
    protected_only {bool} NOT NULL,
    environments {json} NOT NULL,
    created_on {time} NOT NULL,
    updated_on {time} NOT NULL,
    UNIQUE (place_kind, place_id, name)
) {strict};

-- Where deployments go.
CREATE TABLE environment (
    id {uuid} PRIMARY KEY,
    repository_id {uuid} NOT NULL,
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    slug TEXT NOT NULL,
    kind TEXT NOT NULL,
    kind_rank {int} NOT NULL,
    rank_in_kind {int} NOT NULL,
    hidden {bool} NOT NULL,
    admin_only {bool} NOT NULL,
    branches {json} NOT NULL,
    lock_enabled {bool} NOT NULL,
    created_on {time} NOT NULL,
    updated_on {time} NOT NULL,
    UNIQUE (repository_id, name_folded),
    UNIQUE (repository_id, slug)
) {strict};

-- Repositories whose environments are all kept: until then they have the three of the beginning, which are not.
CREATE TABLE environment_kept (
    repository_id {uuid} PRIMARY KEY
) {strict};

-- What went where. A step deploys once.
CREATE TABLE deployment (
    id {uuid} PRIMARY KEY,
    repository_id {uuid} NOT NULL,
    environment_id {uuid} NOT NULL,
    number {int} NOT NULL,
    pipeline_id {uuid} NOT NULL,
    step_id {uuid} NOT NULL UNIQUE,
    release_name TEXT NOT NULL,
    commit_hash TEXT NOT NULL,
    deployer_id {uuid},
    state TEXT NOT NULL,
    created_on {time} NOT NULL,
    started_on {time},
    completed_on {time},
    UNIQUE (environment_id, number)
) {strict};
CREATE INDEX deployment_repository ON deployment (repository_id, created_on);

-- How a repository's pipelines run, where that differs from the beginning: enabled, no run yet.
CREATE TABLE pipeline_config (
    repository_id {uuid} PRIMARY KEY,
    enabled {bool} NOT NULL,
    last_build_number {int} NOT NULL
) {strict};

-- Pipelines that start because it is time.
CREATE TABLE pipeline_schedule (
    id {uuid} PRIMARY KEY,
    repository_id {uuid} NOT NULL,
    cron TEXT NOT NULL,
    branch TEXT NOT NULL,
    selector TEXT NOT NULL,
    pattern TEXT,
    enabled {bool} NOT NULL,
    next_on {time},
    set_by {uuid},
    created_on {time} NOT NULL,
    updated_on {time} NOT NULL
) {strict};
CREATE INDEX pipeline_schedule_repository ON pipeline_schedule (repository_id, created_on);
CREATE INDEX pipeline_schedule_next ON pipeline_schedule (next_on);

-- What came of each time.
CREATE TABLE pipeline_schedule_execution (
    schedule_id {uuid} NOT NULL,
    due_on {time} NOT NULL,
    ran_on {time} NOT NULL,
    pipeline_id {uuid},
    error_key TEXT,
    error TEXT,
    PRIMARY KEY (schedule_id, due_on)
) {strict};
