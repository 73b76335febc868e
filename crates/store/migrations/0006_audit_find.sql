-- Finding events by more than who and where. `address_bits` are the address's sixteen bytes (IPv4 mapped into IPv6), so
-- that a network is a range; like every column beside `bytes`, it is checked against them.
ALTER TABLE audit_event ADD COLUMN address_bits {bytes};
CREATE INDEX audit_event_request ON audit_event (request_id);
CREATE INDEX audit_event_credential ON audit_event (credential, time, id) WHERE credential IS NOT NULL;
CREATE INDEX audit_event_address ON audit_event (address_bits, time, id) WHERE address_bits IS NOT NULL;
CREATE INDEX audit_event_action ON audit_event (action, time, id);
CREATE INDEX audit_event_label ON audit_event (resource, time, id);
-- Refusals are few, and what is looked for first.
CREATE INDEX audit_event_refused ON audit_event (time, id) WHERE outcome = 'refused';
CREATE INDEX audit_event_refused_workspace ON audit_event (workspace_id, time, id) WHERE outcome = 'refused';

-- The root of each full tile of the ledger: the hash that stands for it one level above. Kept because a high tile would
-- otherwise be hashed anew from millions of leaves; checked against the leaves like everything else.
CREATE TABLE ledger_tile (
    level {int} NOT NULL,
    idx {int} NOT NULL,
    hash {bytes} NOT NULL,
    PRIMARY KEY (level, idx)
) {strict};
