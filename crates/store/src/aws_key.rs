//! The server's own key at Amazon: at most one, with what is beside it while it is replaced. Secrets come and go sealed.
//!
//! Each step of a replacement names the key that it believes to be there, and changes nothing where that is another one:
//! somebody may have given the server another key meanwhile, or another server may have been first.

use model::{AwsKeyId, Result, Timestamp, UserArn};

use crate::{Reader, Writer, params};

/// A key that is to follow, and is not proved yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Its id.
    pub id: AwsKeyId,
    /// Its secret, sealed.
    pub secret: Vec<u8>,
    /// When it was made.
    pub since: Timestamp,
}

/// The key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsKey {
    /// Whose it is.
    pub user: UserArn,
    /// Its id.
    pub id: AwsKeyId,
    /// Its secret, sealed.
    pub secret: Vec<u8>,
    /// Since when the server has it.
    pub since: Timestamp,
    /// The one that is to follow.
    pub pending: Option<Pending>,
    /// The one before, which is still to be removed at Amazon.
    pub old: Option<AwsKeyId>,
    /// When replacing it failed, where that was the last that was tried.
    pub failed_on: Option<Timestamp>,
    /// Why.
    pub last_error: Option<String>,
}

/// The key, where there is one.
pub fn find(reader: &mut Reader<'_>) -> Result<Option<AwsKey>> {
    let sql = "SELECT user_arn, key_id, secret, since, pending_key_id, pending_secret, pending_since, old_key_id, failed_on,
                   last_error
               FROM aws_key";
    let Some(row) = reader.one(sql, &[])? else { return Ok(None) };
    let pending: (Option<AwsKeyId>, Option<Vec<u8>>, Option<Timestamp>) =
        (row.parse_some("pending_key_id")?, row.get("pending_secret")?, row.get("pending_since")?);
    let pending = match pending {
        (Some(id), Some(secret), Some(since)) => Some(Pending { id, secret, since }),
        _ => None,
    };
    Ok(Some(AwsKey {
        user: row.parse("user_arn")?,
        id: row.parse("key_id")?,
        secret: row.get("secret")?,
        since: row.get("since")?,
        pending,
        old: row.parse_some("old_key_id")?,
        failed_on: row.get("failed_on")?,
        last_error: row.get("last_error")?,
    }))
}

/// Keeps a key in place of the one that there was, whole.
pub fn set(writer: &mut Writer<'_>, key: &AwsKey) -> Result<()> {
    writer.execute("DELETE FROM aws_key", &[])?;
    writer
        .execute(
            "INSERT INTO aws_key (one, user_arn, key_id, secret, since, pending_key_id, pending_secret, pending_since,
                 old_key_id, failed_on, last_error)
             VALUES (1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            params![
                key.user.as_str(),
                key.id.as_str(),
                key.secret.clone(),
                key.since,
                key.pending.as_ref().map(|pending| pending.id.as_str()),
                key.pending.as_ref().map(|pending| pending.secret.clone()),
                key.pending.as_ref().map(|pending| pending.since),
                key.old.as_ref().map(AwsKeyId::as_str),
                key.failed_on,
                key.last_error.as_deref(),
            ],
        )
        .map(drop)
}

/// Forgets the key and all beside it.
pub fn remove(writer: &mut Writer<'_>) -> Result<()> {
    writer.execute("DELETE FROM aws_key", &[]).map(drop)
}

/// Keeps the key that is to follow the one called `present`. False where that is not the one, or something follows already.
pub fn keep_pending(writer: &mut Writer<'_>, present: &AwsKeyId, pending: &Pending) -> Result<bool> {
    let kept = writer.execute(
        "UPDATE aws_key SET pending_key_id = $2, pending_secret = $3, pending_since = $4
         WHERE key_id = $1 AND pending_key_id IS NULL",
        params![present.as_str(), pending.id.as_str(), pending.secret.clone(), pending.since],
    )?;
    Ok(kept > 0)
}

/// Makes the key that is to follow the present one; the one before is to be removed. False where it does not follow any more.
pub fn switch(writer: &mut Writer<'_>, pending: &AwsKeyId) -> Result<bool> {
    let now = writer.origin().time;
    let switched = writer.execute(
        "UPDATE aws_key SET old_key_id = key_id, key_id = pending_key_id, secret = pending_secret, since = $2,
             pending_key_id = NULL, pending_secret = NULL, pending_since = NULL, failed_on = NULL, last_error = NULL
         WHERE pending_key_id = $1 AND pending_secret IS NOT NULL",
        params![pending.as_str(), now],
    )?;
    Ok(switched > 0)
}

/// Gives up the key that is to follow.
pub fn forget_pending(writer: &mut Writer<'_>, pending: &AwsKeyId) -> Result<()> {
    writer
        .execute(
            "UPDATE aws_key SET pending_key_id = NULL, pending_secret = NULL, pending_since = NULL
             WHERE pending_key_id = $1",
            params![pending.as_str()],
        )
        .map(drop)
}

/// Notes that the key before is gone.
pub fn forget_old(writer: &mut Writer<'_>, old: &AwsKeyId) -> Result<()> {
    writer
        .execute(
            "UPDATE aws_key SET old_key_id = NULL, failed_on = NULL, last_error = NULL WHERE old_key_id = $1",
            params![old.as_str()],
        )
        .map(drop)
}

/// Notes that replacing the key failed, and why.
pub fn failed(writer: &mut Writer<'_>, error: &str) -> Result<()> {
    let now = writer.origin().time;
    writer.execute("UPDATE aws_key SET failed_on = $1, last_error = $2", params![now, error]).map(drop)
}
