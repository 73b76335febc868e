-- What may not be done to branches that match, whoever may write to the repository. `matched` is a pattern of names or a
-- type of branch, as `match_kind` says.
CREATE TABLE branch_restriction (
    id {int} PRIMARY KEY,
    repository_id {uuid} NOT NULL,
    kind TEXT NOT NULL,
    match_kind TEXT NOT NULL,
    matched TEXT NOT NULL,
    created_on {time} NOT NULL,
    UNIQUE (repository_id, kind, match_kind, matched)
) {strict};

-- Who is exempt from one.
CREATE TABLE branch_restriction_exempt (
    restriction_id {int} NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id {uuid} NOT NULL,
    PRIMARY KEY (restriction_id, subject_kind, subject_id)
) {strict};
CREATE INDEX branch_restriction_exempt_subject ON branch_restriction_exempt (subject_kind, subject_id);

-- The number given last: none is given twice.
CREATE TABLE branch_restriction_number (
    one {int} PRIMARY KEY CHECK (one = 1),
    value {int} NOT NULL
) {strict};
INSERT INTO branch_restriction_number (one, value) VALUES (1, 0);

-- What branches are for, where a repository's settings differ from the default.
CREATE TABLE branching_model (
    repository_id {uuid} PRIMARY KEY,
    settings {json} NOT NULL
) {strict};
