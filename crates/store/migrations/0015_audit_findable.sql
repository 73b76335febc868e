-- An index on what an event tells of is changed in another page for each event, and how many pages change decides how
-- many events a second are durable before their callers are answered. So an event enters these indexes with its place
-- in the ledger, many at once; what was recorded since is few, and looked through. PostgreSQL's log takes single
-- entries of a page: there an event is findable from the start.
ALTER TABLE audit_event ADD COLUMN findable {int} NOT NULL DEFAULT 1;
DROP INDEX audit_event_workspace;
DROP INDEX audit_event_actor;
DROP INDEX audit_event_resource;
DROP INDEX audit_event_credential;
DROP INDEX audit_event_address;
DROP INDEX audit_event_action;
DROP INDEX audit_event_label;
DROP INDEX audit_event_refused_workspace;
CREATE INDEX audit_event_workspace ON audit_event (workspace_id, time, id) WHERE findable = 1;
CREATE INDEX audit_event_actor ON audit_event (actor, time, id) WHERE findable = 1;
CREATE INDEX audit_event_resource ON audit_event (resource_id, time, id) WHERE findable = 1;
CREATE INDEX audit_event_credential ON audit_event (credential, time, id) WHERE findable = 1 AND credential IS NOT NULL;
CREATE INDEX audit_event_address ON audit_event (address_bits, time, id) WHERE findable = 1 AND address_bits IS NOT NULL;
CREATE INDEX audit_event_action ON audit_event (action, time, id) WHERE findable = 1;
CREATE INDEX audit_event_label ON audit_event (resource, time, id) WHERE findable = 1;
CREATE INDEX audit_event_refused_workspace ON audit_event (workspace_id, time, id)
    WHERE findable = 1 AND outcome = 'refused';
