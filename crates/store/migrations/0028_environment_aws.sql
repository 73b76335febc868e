-- The role at Amazon that steps which deploy to the environment take on, where they name none themselves.
ALTER TABLE environment ADD COLUMN aws_role TEXT;
ALTER TABLE environment ADD COLUMN aws_session_duration {int};
ALTER TABLE environment ADD COLUMN aws_region TEXT;
