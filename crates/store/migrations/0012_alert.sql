-- What stands out in the audit trail, for somebody to look at. `scope_id` is the workspace, or nil for the instance.
CREATE TABLE alert (
    id {uuid} PRIMARY KEY,
    scope_id {uuid} NOT NULL,
    pattern TEXT NOT NULL,
    subject TEXT NOT NULL,
    day {int} NOT NULL,
    told TEXT NOT NULL,
    raised_on {time} NOT NULL,
    acknowledged_by TEXT,
    acknowledged_on {time},
    UNIQUE (scope_id, pattern, day, subject)
) {strict};
CREATE INDEX alert_scope ON alert (scope_id, raised_on, id);
CREATE INDEX alert_raised ON alert (raised_on);

-- How far the trail was looked through. What was there before is not gone through again.
CREATE TABLE alert_state (
    one {int} PRIMARY KEY CHECK (one = 1),
    next {int} NOT NULL
) {strict};
INSERT INTO alert_state (one, next) SELECT 1, COALESCE(MAX(idx) + 1, 0) FROM ledger_entry;
