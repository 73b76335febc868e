-- The server's own key at Amazon, of a user of IAM's, where it was given one: at most one row. Secrets are sealed. While the key
-- is replaced there are others beside it: the one that is to follow, until it was proved, and the one before, until it is removed
-- at Amazon.
CREATE TABLE aws_key (
    one {int} PRIMARY KEY CHECK (one = 1),
    user_arn TEXT NOT NULL,
    key_id TEXT NOT NULL,
    secret {bytes} NOT NULL,
    since {time} NOT NULL,
    pending_key_id TEXT,
    pending_secret {bytes},
    pending_since {time},
    old_key_id TEXT,
    failed_on {time},
    last_error TEXT
) {strict};
