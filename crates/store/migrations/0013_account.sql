-- What those who manage accounts are told of them. Of what happened before this nothing is known.

-- Who last approved an account or took the approval back, as the audit trail names them, and when.
ALTER TABLE user_account ADD COLUMN approval_by TEXT;
ALTER TABLE user_account ADD COLUMN approval_on {time};
-- When somebody last signed in to it with a browser.
ALTER TABLE user_account ADD COLUMN signed_in_on {time};
