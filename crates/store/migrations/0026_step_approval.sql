-- How many people approve a deployment to the environment before it begins.
ALTER TABLE environment ADD COLUMN required_approvals {int} NOT NULL DEFAULT 0;

-- Who has approved a step that waits for approvals. Where it is run again, they are forgotten.
CREATE TABLE step_approval (
    step_id {uuid} NOT NULL REFERENCES pipeline_step (id),
    user_id {uuid} NOT NULL REFERENCES user_account (id),
    created_on {time} NOT NULL,
    PRIMARY KEY (step_id, user_id)
) {strict};
