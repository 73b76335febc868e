-- Signing in with a browser.

-- Until somebody entitled to has said yes, an account reaches nothing but itself. Those that were made before this were
-- made by administrators.
ALTER TABLE user_account ADD COLUMN approved {bool} NOT NULL DEFAULT TRUE;

-- Of a session's secret only the hash is kept. The secret before it is taken for a short while after a change by age:
-- a browser sends several requests at once.
CREATE TABLE session (
    id {uuid} PRIMARY KEY,
    hash {bytes} NOT NULL UNIQUE,
    rotated_from {bytes},
    user_id {uuid} NOT NULL REFERENCES user_account (id),
    created_on {time} NOT NULL,
    rotated_on {time} NOT NULL,
    last_seen_on {time} NOT NULL,
    expires_on {time} NOT NULL,
    address TEXT,
    user_agent TEXT NOT NULL,
    method TEXT NOT NULL,
    provider TEXT,
    second_step_on {time},
    stepped_up_until {time}
) {strict};
CREATE INDEX session_of_user ON session (user_id, created_on);
CREATE INDEX session_rotated_from ON session (rotated_from) WHERE rotated_from IS NOT NULL;
CREATE INDEX session_last_seen ON session (last_seen_on);

-- What waits for the next step: of signing in, of enrolling a second step. Short-lived, and taken once.
CREATE TABLE challenge (
    hash {bytes} PRIMARY KEY,
    kind TEXT NOT NULL,
    user_id {uuid},
    state {json} NOT NULL,
    attempts {int} NOT NULL,
    expires_on {time} NOT NULL
) {strict};
CREATE INDEX challenge_expires ON challenge (expires_on);
