-- One runner may be the installation's own: it is registered for the instance, which lies in no workspace. Of the others the
-- workspace is looked up, since a repository can move to another one.
ALTER TABLE runner DROP COLUMN workspace_id;
