//! Keys, as `keyring` wraps and seals them: nothing here opens without the master key, which is not in the store.

use keyring::KeyId;
use keyring::ring::{KeyState, WrappedKey};
use model::{Result, Timestamp};

use crate::bookkeeping::{Bookkeeping, Table};
use crate::engine::Row;
use crate::params;
use crate::reader::Reader;

fn data_key(row: &Row) -> Result<WrappedKey> {
    Ok(WrappedKey {
        id: KeyId::from_bytes(row.get("id")?),
        created: row.get("created_on")?,
        state: row.parse("state")?,
        wrapped: row.get("wrapped")?,
    })
}

/// Every data key, the oldest first.
pub fn data_keys(reader: &mut Reader<'_>) -> Result<Vec<WrappedKey>> {
    let rows =
        reader.all("SELECT id, state, wrapped, created_on FROM data_key ORDER BY created_on, id", &[])?;
    rows.iter().map(data_key).collect()
}

/// Keeps the first data key, unless another process has kept one already: read [`data_keys`] afterwards.
pub fn insert_first_data_key(books: &mut Bookkeeping<'_>, key: &WrappedKey) -> Result<()> {
    // Of active keys there is at most one, so whoever comes second changes nothing.
    books
        .execute(
            Table::DataKey,
            "INSERT INTO data_key (id, state, wrapped, created_on) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            params![key.id.as_bytes(), key.state.as_str(), key.wrapped.as_slice(), key.created],
        )
        .map(drop)
}

/// Keeps new and changed data keys: what a rotation, or another master key, gave.
pub fn put_data_keys(books: &mut Bookkeeping<'_>, keys: &[WrappedKey]) -> Result<()> {
    // The retired first: of active ones there is never more than one.
    let (active, retired): (Vec<_>, Vec<_>) = keys.iter().partition(|key| key.state == KeyState::Active);
    for key in retired.into_iter().chain(active) {
        books.execute(
            Table::DataKey,
            "INSERT INTO data_key (id, state, wrapped, created_on) VALUES ($1, $2, $3, $4)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, wrapped = excluded.wrapped",
            params![key.id.as_bytes(), key.state.as_str(), key.wrapped.as_slice(), key.created],
        )?;
    }
    Ok(())
}

/// The sealed signing key for a purpose.
pub fn signing_key(reader: &mut Reader<'_>, purpose: &str) -> Result<Option<Vec<u8>>> {
    let row = reader.one("SELECT sealed FROM signing_key WHERE purpose = $1", params![purpose])?;
    row.map(|row| row.get("sealed")).transpose()
}

/// Keeps the signing key for a purpose, unless there is one already: read [`signing_key`] afterwards.
pub fn insert_first_signing_key(
    books: &mut Bookkeeping<'_>,
    purpose: &str,
    public: &[u8; 32],
    sealed: &[u8],
    now: Timestamp,
) -> Result<()> {
    books
        .execute(
            Table::SigningKey,
            "INSERT INTO signing_key (purpose, public_key, sealed, created_on) VALUES ($1, $2, $3, $4)
             ON CONFLICT (purpose) DO NOTHING",
            params![purpose, public, sealed, now],
        )
        .map(drop)
}
