//! Whether an account's address was seen to be its owner's.

use model::{Email, Result, Timestamp, UserId};

use crate::{Reader, Writer};

/// When a user's address was last proved; none where it never was, or is another one since.
pub fn verified_on(reader: &mut Reader<'_>, user: UserId) -> Result<Option<Timestamp>> {
    let row = reader.one(
        "SELECT email_verified_on FROM user_account WHERE id = $1 AND deleted_on IS NULL",
        &[user.into()],
    )?;
    row.map(|row| row.get("email_verified_on")).transpose().map(Option::flatten)
}

/// The address was proved. Whether it is still the user's.
pub fn set_verified(writer: &mut Writer<'_>, user: UserId, email: &Email, now: Timestamp) -> Result<bool> {
    let changed = writer.execute(
        "UPDATE user_account SET email_verified_on = $3 WHERE id = $1 AND email_folded = $2 AND deleted_on IS NULL",
        &[user.into(), email.folded().into(), now.into()],
    )?;
    Ok(changed > 0)
}
