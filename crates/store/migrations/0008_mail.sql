-- What mail needs to know.

-- When an account's address was last seen to be its owner's, by a link that was mailed there. Another address starts anew.
ALTER TABLE user_account ADD COLUMN email_verified_on {time};

-- How many days before a credential's end its people were last told of it; zero: they need not be. Told once each.
ALTER TABLE credential ADD COLUMN warned_days {int};
CREATE INDEX credential_expires ON credential (expires_on) WHERE revoked_on IS NULL AND expires_on IS NOT NULL;
