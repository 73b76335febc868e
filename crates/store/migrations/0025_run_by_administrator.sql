-- Whether the person behind a run administered the repository when it was started: what only administrators may deploy to is
-- open to it.
ALTER TABLE pipeline ADD COLUMN by_administrator {bool} NOT NULL DEFAULT FALSE;
