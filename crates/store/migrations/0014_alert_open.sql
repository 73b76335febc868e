-- Open alerts are few, and counted on every page of the settings.
CREATE INDEX alert_open ON alert (scope_id, raised_on, id) WHERE acknowledged_on IS NULL;
