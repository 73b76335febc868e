-- What people prove beside the password.

-- `sealed` is a TOTP device's secret, or a passkey's public key: sealed, so that who can write here can put in neither.
-- `counter` is the last time step whose code was used, or the passkey's own count of its uses: it only rises.
CREATE TABLE second_step (
    id {uuid} PRIMARY KEY,
    user_id {uuid} NOT NULL REFERENCES user_account (id),
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    sealed {bytes} NOT NULL,
    counter {int} NOT NULL,
    credential_id {bytes} UNIQUE,
    created_on {time} NOT NULL,
    last_used_on {time}
) {strict};
CREATE INDEX second_step_user ON second_step (user_id, created_on);

CREATE TABLE recovery_code (
    user_id {uuid} NOT NULL REFERENCES user_account (id),
    hash {bytes} NOT NULL,
    PRIMARY KEY (user_id, hash)
) {strict};
