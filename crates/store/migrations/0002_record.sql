-- The record: audit events, their ledger, counts, jobs, leases, keys, settings. Nothing here refers to a row of another
-- table but by its id, since what is recorded outlives what it tells of.

-- Raised by every write that changes who may do what; facts are cached under it.
CREATE TABLE access_generation (
    one {int} PRIMARY KEY CHECK (one = 1),
    value {int} NOT NULL
) {strict};
INSERT INTO access_generation (one, value) VALUES (1, 1);

-- `bytes` are the event; the columns beside it are for finding it, and are checked against the bytes. `mac` is taken
-- over the bytes with a key that is not in the database.
CREATE TABLE audit_event (
    id {uuid} PRIMARY KEY,
    time {time} NOT NULL,
    request_id {uuid} NOT NULL,
    actor TEXT NOT NULL,
    actor_id TEXT,
    credential TEXT,
    address TEXT,
    action TEXT NOT NULL,
    resource TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    workspace_id TEXT,
    outcome TEXT NOT NULL,
    bytes {bytes} NOT NULL,
    mac {bytes} NOT NULL
) {strict};
CREATE INDEX audit_event_time ON audit_event (time, id);
CREATE INDEX audit_event_workspace ON audit_event (workspace_id, time, id);
CREATE INDEX audit_event_actor ON audit_event (actor, time, id);
CREATE INDEX audit_event_resource ON audit_event (resource_id, time, id);

-- Events that have no place in the ledger yet, with the entry that each will be.
CREATE TABLE ledger_pending (
    time {time} NOT NULL,
    event_id {uuid} NOT NULL,
    entry {bytes} NOT NULL,
    PRIMARY KEY (time, event_id)
) {strict};

CREATE TABLE ledger_entry (
    idx {int} PRIMARY KEY,
    event_id {uuid} NOT NULL UNIQUE,
    entry {bytes} NOT NULL,
    leaf {bytes} NOT NULL
) {strict};

-- The right edge of the tree: all that appending needs.
CREATE TABLE ledger_frontier (
    one {int} PRIMARY KEY CHECK (one = 1),
    size {int} NOT NULL,
    frontier {bytes} NOT NULL
) {strict};

CREATE TABLE ledger_checkpoint (
    size {int} PRIMARY KEY,
    note TEXT NOT NULL,
    time {time} NOT NULL
) {strict};

-- What was really used, by day. The empty text stands for "none", so that the key has no NULL.
CREATE TABLE daily_count (
    day {int} NOT NULL,
    actor TEXT NOT NULL,
    credential TEXT NOT NULL,
    action TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    address TEXT NOT NULL,
    outcome TEXT NOT NULL,
    count {int} NOT NULL,
    PRIMARY KEY (day, actor, credential, action, resource_id, address, outcome)
) {strict};

-- Refusals of the unauthenticated, by minute since the epoch.
CREATE TABLE refusal_count (
    minute {int} NOT NULL,
    address TEXT NOT NULL,
    count {int} NOT NULL,
    PRIMARY KEY (minute, address)
) {strict};

-- A job that waits or runs. `key` keeps a kind from being queued twice for the same thing; asked for while it runs, it
-- runs once more (`again`).
CREATE TABLE job (
    id {uuid} PRIMARY KEY,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    payload {json} NOT NULL,
    run_after {time} NOT NULL,
    attempts {int} NOT NULL,
    lease_until {time},
    leased_by TEXT,
    again {bool} NOT NULL,
    last_error TEXT,
    UNIQUE (kind, key)
) {strict};
CREATE INDEX job_due ON job (run_after);

-- Who does what only one process may do at a time.
CREATE TABLE lease (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until {time} NOT NULL
) {strict};

-- Keys, wrapped under the master key, which is not here.
CREATE TABLE data_key (
    id {bytes} PRIMARY KEY,
    state TEXT NOT NULL,
    wrapped {bytes} NOT NULL,
    created_on {time} NOT NULL
) {strict};

-- One key seals at a time.
CREATE UNIQUE INDEX data_key_active ON data_key (state) WHERE state = 'active';

-- One key for each purpose, sealed by a data key.
CREATE TABLE signing_key (
    purpose TEXT PRIMARY KEY,
    public_key {bytes} NOT NULL,
    sealed {bytes} NOT NULL,
    created_on {time} NOT NULL
) {strict};

CREATE TABLE setting (
    key TEXT PRIMARY KEY,
    value {json} NOT NULL
) {strict};
