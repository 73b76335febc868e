//! Sessions. Only the hash of a secret is kept.

use model::{Result, SecretHash, Session, SessionId, Timestamp, UserId};

use crate::bookkeeping::{Bookkeeping, Table};
use crate::engine::Row;
use crate::params;
use crate::reader::Reader;
use crate::writer::Writer;

const SEEN: &str = "UPDATE session SET last_seen_on = $2 WHERE id = $1 AND last_seen_on < $2";
/// Of several requests that bring the same old secret at once, one gets the new one.
const ROTATE: &str =
    "UPDATE session SET hash = $3, rotated_from = $2, rotated_on = $4 WHERE id = $1 AND hash = $2";
const FORGET: &str = "DELETE FROM session WHERE expires_on <= $1 OR last_seen_on <= $2";

/// The statements that bookkeeping may run on sessions: none of them lets anybody in who was not in already.
pub(crate) const BOOKKEEPING: &[&str] = &[SEEN, ROTATE, FORGET];

fn from_row(row: &Row) -> Result<Session> {
    Ok(Session {
        id: row.get("id")?,
        user: row.get("user_id")?,
        created_on: row.get("created_on")?,
        last_seen_on: row.get("last_seen_on")?,
        rotated_on: row.get("rotated_on")?,
        expires_on: row.get("expires_on")?,
        address: row.get("address")?,
        user_agent: row.get("user_agent")?,
        method: {
            let method: String = row.get("method")?;
            method.parse().map_err(|()| model::Error::internal("a session begun in an unknown way"))?
        },
        provider: row.get("provider")?,
        second_step_on: row.get("second_step_on")?,
        stepped_up_until: row.get("stepped_up_until")?,
    })
}

/// By the hash of its secret, or of the one before it where that was changed after `rotated_after`. Ended ones are not
/// there; whether it is too old is for the caller to say.
pub fn find_by_hash(
    reader: &mut Reader<'_>,
    hash: &SecretHash,
    rotated_after: Timestamp,
) -> Result<Option<Session>> {
    let row = reader.one(
        "SELECT id, user_id, created_on, last_seen_on, rotated_on, expires_on, address, user_agent, method, provider,
             second_step_on, stepped_up_until
         FROM session WHERE hash = $1 OR (rotated_from = $1 AND rotated_on > $2)",
        params![hash, rotated_after],
    )?;
    row.as_ref().map(from_row).transpose()
}

/// A user's sessions, the newest first, of which none is older than the limits say.
pub fn list(
    reader: &mut Reader<'_>,
    user: UserId,
    now: Timestamp,
    seen_after: Timestamp,
) -> Result<Vec<Session>> {
    let rows = reader.all(
        "SELECT id, user_id, created_on, last_seen_on, rotated_on, expires_on, address, user_agent, method, provider,
             second_step_on, stepped_up_until
         FROM session WHERE user_id = $1 AND expires_on > $2 AND last_seen_on > $3 ORDER BY created_on DESC, id",
        params![user, now, seen_after],
    )?;
    rows.iter().map(from_row).collect()
}

/// Begins a session. Of more than `most` of a user's the oldest end.
pub fn insert(writer: &mut Writer<'_>, session: &Session, hash: &SecretHash, most: i64) -> Result<()> {
    writer.execute(
        "INSERT INTO session (id, hash, user_id, created_on, rotated_on, last_seen_on, expires_on, address,
             user_agent, method, provider, second_step_on, stepped_up_until)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        params![
            session.id,
            hash,
            session.user,
            session.created_on,
            session.rotated_on,
            session.last_seen_on,
            session.expires_on,
            session.address.clone(),
            &session.user_agent,
            session.method.as_str(),
            session.provider.clone(),
            session.second_step_on,
            session.stepped_up_until,
        ],
    )?;
    writer
        .execute(
            "DELETE FROM session WHERE user_id = $1 AND id NOT IN
                 (SELECT id FROM session WHERE user_id = $1 ORDER BY created_on DESC, id LIMIT $2)",
            params![session.user, most],
        )
        .map(drop)
}

/// Gives a session another secret because more was proved; the one before ends at once. Tells whether there was one.
pub fn step_up(
    writer: &mut Writer<'_>,
    id: SessionId,
    hash: &SecretHash,
    second_step_on: Option<Timestamp>,
    until: Timestamp,
) -> Result<bool> {
    let now = writer.now();
    let changed = writer.execute(
        "UPDATE session SET hash = $2, rotated_from = NULL, rotated_on = $3, stepped_up_until = $4,
             second_step_on = coalesce($5, second_step_on) WHERE id = $1",
        params![id, hash, now, until, second_step_on],
    )?;
    Ok(changed == 1)
}

/// Ends a session of this user's. Tells whether there was one.
pub fn end(writer: &mut Writer<'_>, user: UserId, id: SessionId) -> Result<bool> {
    let ended = writer.execute("DELETE FROM session WHERE id = $1 AND user_id = $2", params![id, user])?;
    Ok(ended == 1)
}

/// Ends every session of this user's but one, and tells how many that were.
pub fn end_others(writer: &mut Writer<'_>, user: UserId, but: SessionId) -> Result<u64> {
    writer.execute("DELETE FROM session WHERE user_id = $1 AND id <> $2", params![user, but])
}

/// Ends every session of this user's: with the account, with its password.
pub fn end_all(writer: &mut Writer<'_>, user: UserId) -> Result<u64> {
    writer.execute("DELETE FROM session WHERE user_id = $1", params![user])
}

/// Ends every session that this provider began.
pub fn end_of_provider(writer: &mut Writer<'_>, provider: &str) -> Result<u64> {
    writer.execute("DELETE FROM session WHERE provider = $1", params![provider])
}

/// Ends every session of this user's that this provider began.
pub fn end_of_user(writer: &mut Writer<'_>, user: UserId, provider: &str) -> Result<u64> {
    writer.execute("DELETE FROM session WHERE user_id = $1 AND provider = $2", params![user, provider])
}

/// Notes that a session was used.
pub fn note_seen(books: &mut Bookkeeping<'_>, id: SessionId, now: Timestamp) -> Result<()> {
    books.execute(Table::SessionUse, SEEN, params![id, now]).map(drop)
}

/// Changes a session's secret by age. Tells whether `from` was its secret until now.
pub fn rotate(
    books: &mut Bookkeeping<'_>,
    id: SessionId,
    from: &SecretHash,
    to: &SecretHash,
    now: Timestamp,
) -> Result<bool> {
    Ok(books.execute(Table::SessionUse, ROTATE, params![id, from, to, now])? == 1)
}

/// Forgets sessions that have ended by age: past their end, or not seen since `seen_before`.
pub fn forget_expired(books: &mut Bookkeeping<'_>, seen_before: Timestamp) -> Result<u64> {
    let now = books.now();
    books.execute(Table::SessionUse, FORGET, params![now, seen_before])
}
