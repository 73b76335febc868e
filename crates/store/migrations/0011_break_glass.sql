-- Break-glass: an administrator of the instance reads in one workspace for a few hours, for a reason. Without `approved_on` it
-- was only asked for; with it and without `approved_by`, there was nobody else who could have given it.
CREATE TABLE break_glass (
    id {uuid} PRIMARY KEY,
    workspace_id {uuid} NOT NULL REFERENCES workspace (id),
    user_id {uuid} NOT NULL REFERENCES user_account (id),
    reason TEXT NOT NULL,
    hours {int} NOT NULL,
    requested_on {time} NOT NULL,
    approved_on {time},
    approved_by TEXT,
    expires_on {time} NOT NULL,
    ended_on {time},
    ended_by TEXT
) {strict};
CREATE INDEX break_glass_open ON break_glass (user_id, workspace_id) WHERE ended_on IS NULL;
CREATE INDEX break_glass_workspace ON break_glass (workspace_id, requested_on);
