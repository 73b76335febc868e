//! Steps that wait for the next one: of signing in, of enrolling something. What was asked is kept here and never sent;
//! the client holds a secret of which only the hash is here.

use model::{Result, SecretHash, Timestamp, UserId};
use serde_json::Value as Json;

use crate::bookkeeping::{Bookkeeping, Table};
use crate::engine::Row;
use crate::params;
use crate::reader::Reader;

/// A step that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Challenge {
    /// Whose, where that is known.
    pub user: Option<UserId>,
    /// What the next step needs to know.
    pub state: Json,
    /// How often a wrong answer was given.
    pub attempts: i64,
}

fn from_row(row: &Row) -> Result<Challenge> {
    Ok(Challenge { user: row.get("user_id")?, state: row.get("state")?, attempts: row.get("attempts")? })
}

/// Keeps a step until it is answered or `expires_on` has come.
pub fn keep(
    books: &mut Bookkeeping<'_>,
    hash: &SecretHash,
    kind: &str,
    user: Option<UserId>,
    state: Json,
    expires_on: Timestamp,
) -> Result<()> {
    books
        .execute(
            Table::Challenge,
            "INSERT INTO challenge (hash, kind, user_id, state, attempts, expires_on)
             VALUES ($1, $2, $3, $4, 0, $5)",
            params![hash, kind, user, state, expires_on],
        )
        .map(drop)
}

/// Marks something as used, until it would not be taken any more anyway. False when it was used already.
pub fn once(
    books: &mut Bookkeeping<'_>,
    hash: &SecretHash,
    kind: &str,
    expires_on: Timestamp,
) -> Result<bool> {
    let marked = books.execute(
        Table::Challenge,
        "INSERT INTO challenge (hash, kind, user_id, state, attempts, expires_on)
         VALUES ($1, $2, NULL, $3, 0, $4) ON CONFLICT (hash) DO NOTHING",
        params![hash, kind, Json::Null, expires_on],
    )?;
    Ok(marked > 0)
}

/// Looks at a step of this kind that still waits.
pub fn look(reader: &mut Reader<'_>, hash: &SecretHash, kind: &str) -> Result<Option<Challenge>> {
    let now = reader.now();
    let row = reader.one(
        "SELECT user_id, state, attempts FROM challenge WHERE hash = $1 AND kind = $2 AND expires_on > $3",
        params![hash, kind, now],
    )?;
    row.as_ref().map(from_row).transpose()
}

/// Takes a step of this kind that still waits; of several who ask at once, one gets it.
pub fn take(books: &mut Bookkeeping<'_>, hash: &SecretHash, kind: &str) -> Result<Option<Challenge>> {
    let now = books.now();
    let rows = books.returning(
        Table::Challenge,
        "DELETE FROM challenge WHERE hash = $1 AND kind = $2 AND expires_on > $3
         RETURNING user_id, state, attempts",
        params![hash, kind, now],
    )?;
    rows.first().map(from_row).transpose()
}

/// Counts an attempt to answer, and gives the step when there were no more than `most` so far.
pub fn attempt(
    books: &mut Bookkeeping<'_>,
    hash: &SecretHash,
    kind: &str,
    most: i64,
) -> Result<Option<Challenge>> {
    let now = books.now();
    let rows = books.returning(
        Table::Challenge,
        "UPDATE challenge SET attempts = attempts + 1
         WHERE hash = $1 AND kind = $2 AND expires_on > $3 AND attempts < $4
         RETURNING user_id, state, attempts",
        params![hash, kind, now, most],
    )?;
    rows.first().map(from_row).transpose()
}

/// How many steps of this kind wait for this user.
pub fn living(reader: &mut Reader<'_>, kind: &str, user: UserId) -> Result<i64> {
    let now = reader.now();
    reader.count(
        "SELECT count(*) FROM challenge WHERE kind = $1 AND user_id = $2 AND expires_on > $3",
        params![kind, user, now],
    )
}

/// Forgets every step of this kind that waits for this user.
pub fn forget(books: &mut Bookkeeping<'_>, kind: &str, user: UserId) -> Result<u64> {
    books.execute(
        Table::Challenge,
        "DELETE FROM challenge WHERE kind = $1 AND user_id = $2",
        params![kind, user],
    )
}

/// Forgets what waited for too long.
pub fn forget_expired(books: &mut Bookkeeping<'_>) -> Result<u64> {
    let now = books.now();
    books.execute(Table::Challenge, "DELETE FROM challenge WHERE expires_on <= $1", params![now])
}
