-- What made a cache: the run and the step, and where its content lay.
ALTER TABLE pipeline_cache ADD COLUMN pipeline_id {uuid};
ALTER TABLE pipeline_cache ADD COLUMN step_id {uuid};
ALTER TABLE pipeline_cache ADD COLUMN path TEXT;
CREATE INDEX pipeline_cache_age ON pipeline_cache (created_on);

-- What a step's test tools reported. Of many cases not all are kept; the totals count all.
CREATE TABLE test_report (
    step_id {uuid} PRIMARY KEY REFERENCES pipeline_step (id),
    repository_id {uuid} NOT NULL,
    attempt {int} NOT NULL,
    passed {int} NOT NULL,
    failed {int} NOT NULL,
    errors {int} NOT NULL,
    skipped {int} NOT NULL,
    duration {int} NOT NULL,
    created_on {time} NOT NULL
) {strict};
CREATE INDEX test_report_repository ON test_report (repository_id);

-- `duration` in microseconds. `reason` is the message of a failure, `output` what came with it.
CREATE TABLE test_case (
    id {uuid} PRIMARY KEY,
    step_id {uuid} NOT NULL REFERENCES test_report (step_id),
    position {int} NOT NULL,
    suite TEXT NOT NULL,
    class_name TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    duration {int} NOT NULL,
    reason TEXT,
    output TEXT,
    UNIQUE (step_id, position)
) {strict};

-- By which the steps of a repository's pipelines show who they are over SSH. The private half is sealed.
CREATE TABLE ssh_key_pair (
    repository_id {uuid} PRIMARY KEY,
    private_key {bytes} NOT NULL,
    public_key TEXT NOT NULL,
    created_on {time} NOT NULL
) {strict};

-- The keys of hosts that those steps connect to. `public_key` is Base64.
CREATE TABLE ssh_known_host (
    id {uuid} PRIMARY KEY,
    repository_id {uuid} NOT NULL,
    hostname TEXT NOT NULL,
    key_type TEXT NOT NULL,
    public_key TEXT NOT NULL,
    created_on {time} NOT NULL,
    UNIQUE (repository_id, hostname)
) {strict};
