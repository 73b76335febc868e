//! Second steps and recovery codes. Secrets come sealed, codes as hashes.

use model::{Error, Result, SecondStep, SecondStepId, SecondStepKind, SecretHash, UserId};

use crate::bookkeeping::{Bookkeeping, Table};
use crate::engine::Row;
use crate::params;
use crate::reader::Reader;
use crate::writer::Writer;

/// A code is used once: of several requests with the same one, the first raises the counter.
const USE_CODE: &str =
    "UPDATE second_step SET counter = $2, last_used_on = $3 WHERE id = $1 AND counter < $2";
/// A passkey that counts at all counts upwards.
const USE_PASSKEY: &str = "UPDATE second_step SET counter = $2, last_used_on = $3
     WHERE id = $1 AND (counter < $2 OR (counter = 0 AND $2 = 0))";
pub(crate) const USE_RECOVERY_CODE: &str = "DELETE FROM recovery_code WHERE user_id = $1 AND hash = $2";

/// The statements that bookkeeping may run on second steps.
pub(crate) const BOOKKEEPING: &[&str] = &[USE_CODE, USE_PASSKEY];

/// A second step with its sealed secret.
#[derive(Clone)]
pub struct Kept {
    /// What it is.
    pub step: SecondStep,
    /// A TOTP device's secret, or a passkey's public key; sealed.
    pub sealed: Vec<u8>,
}

fn step(row: &Row) -> Result<SecondStep> {
    let kind: String = row.get("kind")?;
    let kind: SecondStepKind =
        kind.parse().map_err(|()| Error::internal("a second step of an unknown kind"))?;
    Ok(SecondStep {
        id: row.get("id")?,
        user: row.get("user_id")?,
        kind,
        name: row.parse("name")?,
        created_on: row.get("created_on")?,
        last_used_on: row.get("last_used_on")?,
    })
}

fn kept(row: &Row) -> Result<Kept> {
    Ok(Kept { step: step(row)?, sealed: row.get("sealed")? })
}

/// A user's second steps with their sealed secrets, the oldest first.
pub fn list(reader: &mut Reader<'_>, user: UserId) -> Result<Vec<Kept>> {
    let rows = reader.all(
        "SELECT id, user_id, kind, name, sealed, created_on, last_used_on FROM second_step
         WHERE user_id = $1 ORDER BY created_on, id",
        params![user],
    )?;
    rows.iter().map(kept).collect()
}

/// The passkey with this credential id.
pub fn find_passkey(reader: &mut Reader<'_>, credential_id: &[u8]) -> Result<Option<Kept>> {
    let row = reader.one(
        "SELECT id, user_id, kind, name, sealed, created_on, last_used_on FROM second_step
         WHERE credential_id = $1",
        params![credential_id],
    )?;
    row.as_ref().map(kept).transpose()
}

/// Adds a confirmed second step. `counter` is what was used to confirm it.
pub fn insert(
    writer: &mut Writer<'_>,
    kept: &Kept,
    counter: i64,
    credential_id: Option<&[u8]>,
) -> Result<()> {
    let step = &kept.step;
    if let Some(id) = credential_id
        && find_passkey(writer, id)?.is_some()
    {
        return Err(Error::Conflict("this passkey is enrolled already: use another one".to_owned()));
    }
    writer.execute(
        "INSERT INTO second_step (id, user_id, kind, name, sealed, counter, credential_id, created_on)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        params![
            step.id,
            step.user,
            step.kind.as_str(),
            step.name.as_str(),
            kept.sealed.as_slice(),
            counter,
            credential_id,
            step.created_on,
        ],
    )?;
    tell_account(writer, step.user)
}

/// Removes a second step of this user's. Tells whether there was one.
pub fn remove(writer: &mut Writer<'_>, user: UserId, id: SecondStepId) -> Result<bool> {
    let removed =
        writer.execute("DELETE FROM second_step WHERE id = $1 AND user_id = $2", params![id, user])?;
    tell_account(writer, user)?;
    Ok(removed == 1)
}

/// Removes all of a user's, recovery codes included, and tells how many second steps that were.
pub fn remove_all(writer: &mut Writer<'_>, user: UserId) -> Result<u64> {
    writer.execute("DELETE FROM recovery_code WHERE user_id = $1", params![user])?;
    let removed = writer.execute("DELETE FROM second_step WHERE user_id = $1", params![user])?;
    tell_account(writer, user)?;
    Ok(removed)
}

/// The account's own row tells whether it has any, since every request reads that row.
fn tell_account(writer: &mut Writer<'_>, user: UserId) -> Result<()> {
    writer
        .execute(
            "UPDATE user_account SET second_step = EXISTS (SELECT 1 FROM second_step WHERE user_id = $1)
             WHERE id = $1",
            params![user],
        )
        .map(drop)
}

/// Uses the code of a time step, and tells whether it was unused, as was every later one.
pub fn use_code(books: &mut Bookkeeping<'_>, id: SecondStepId, time_step: i64) -> Result<bool> {
    let now = books.now();
    Ok(books.execute(Table::SecondStepUse, USE_CODE, params![id, time_step, now])? == 1)
}

/// Notes a passkey's use, and tells whether it counted upwards, as a passkey does that was not copied.
pub fn use_passkey(books: &mut Bookkeeping<'_>, id: SecondStepId, counter: u32) -> Result<bool> {
    let now = books.now();
    Ok(books.execute(Table::SecondStepUse, USE_PASSKEY, params![id, counter, now])? == 1)
}

/// Puts new recovery codes in the place of all before.
pub fn replace_recovery_codes(writer: &mut Writer<'_>, user: UserId, codes: &[SecretHash]) -> Result<()> {
    writer.execute("DELETE FROM recovery_code WHERE user_id = $1", params![user])?;
    for code in codes {
        writer.execute("INSERT INTO recovery_code (user_id, hash) VALUES ($1, $2)", params![user, code])?;
    }
    Ok(())
}

/// Uses a recovery code of this user's, and tells whether there was one.
pub fn use_recovery_code(books: &mut Bookkeeping<'_>, user: UserId, code: &SecretHash) -> Result<bool> {
    Ok(books.execute(Table::RecoveryCodeUse, USE_RECOVERY_CODE, params![user, code])? == 1)
}

/// How many recovery codes a user has left.
pub fn recovery_codes(reader: &mut Reader<'_>, user: UserId) -> Result<i64> {
    reader.count("SELECT count(*) AS n FROM recovery_code WHERE user_id = $1", params![user])
}
