//! How the steps of a repository's pipelines connect over SSH: the key pair, whose private half is sealed, and the keys of
//! known hosts.

use model::{KnownHostId, RepositoryId, Result, Timestamp};

use crate::{OrConflict, Reader, Row, Writer, params};

/// A repository's key pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPairRow {
    /// The repository.
    pub repository: RepositoryId,
    /// The private half, sealed.
    pub private_key: Vec<u8>,
    /// The line of the public half.
    pub public_key: String,
    /// When it was set.
    pub created_on: Timestamp,
}

/// A host with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownHostRow {
    /// Its id.
    pub id: KnownHostId,
    /// The repository.
    pub repository: RepositoryId,
    /// Its name or address; with a port as `[host]:port`.
    pub hostname: String,
    /// The kind of its key: `ssh-ed25519`.
    pub key_type: String,
    /// Its key in Base64.
    pub public_key: String,
    /// When it was added.
    pub created_on: Timestamp,
}

fn key_pair_of(row: &Row) -> Result<KeyPairRow> {
    Ok(KeyPairRow {
        repository: row.get("repository_id")?,
        private_key: row.get("private_key")?,
        public_key: row.get("public_key")?,
        created_on: row.get("created_on")?,
    })
}

fn host(row: &Row) -> Result<KnownHostRow> {
    Ok(KnownHostRow {
        id: row.get("id")?,
        repository: row.get("repository_id")?,
        hostname: row.get("hostname")?,
        key_type: row.get("key_type")?,
        public_key: row.get("public_key")?,
        created_on: row.get("created_on")?,
    })
}

/// A repository's key pair.
pub fn key_pair(reader: &mut Reader<'_>, repository: RepositoryId) -> Result<Option<KeyPairRow>> {
    let row = reader.one("SELECT * FROM ssh_key_pair WHERE repository_id = $1", params![repository])?;
    row.as_ref().map(key_pair_of).transpose()
}

/// Sets a repository's key pair, in the place of the one before.
pub fn set_key_pair(writer: &mut Writer<'_>, row: &KeyPairRow) -> Result<()> {
    writer
        .execute(
            "INSERT INTO ssh_key_pair (repository_id, private_key, public_key, created_on) VALUES ($1, $2, $3, $4)
             ON CONFLICT (repository_id) DO UPDATE SET private_key = excluded.private_key,
                 public_key = excluded.public_key, created_on = excluded.created_on",
            params![row.repository, row.private_key.as_slice(), row.public_key.as_str(), row.created_on],
        )
        .map(drop)
}

/// Removes a repository's key pair.
pub fn remove_key_pair(writer: &mut Writer<'_>, repository: RepositoryId) -> Result<()> {
    writer.execute("DELETE FROM ssh_key_pair WHERE repository_id = $1", params![repository]).map(drop)
}

/// A repository's known hosts, by name.
pub fn known_hosts(reader: &mut Reader<'_>, repository: RepositoryId) -> Result<Vec<KnownHostRow>> {
    let rows = reader.all(
        "SELECT * FROM ssh_known_host WHERE repository_id = $1 ORDER BY hostname",
        params![repository],
    )?;
    rows.iter().map(host).collect()
}

/// One of them.
pub fn known_host(
    reader: &mut Reader<'_>,
    repository: RepositoryId,
    id: KnownHostId,
) -> Result<Option<KnownHostRow>> {
    let row = reader
        .one("SELECT * FROM ssh_known_host WHERE repository_id = $1 AND id = $2", params![repository, id])?;
    row.as_ref().map(host).transpose()
}

fn taken(row: &KnownHostRow) -> String {
    format!("a known host `{}` is there already: change that one", row.hostname)
}

/// Adds a host.
///
/// # Errors
/// `Conflict` where there is one of this name.
pub fn add_known_host(writer: &mut Writer<'_>, row: &KnownHostRow) -> Result<()> {
    writer
        .execute(
            "INSERT INTO ssh_known_host (id, repository_id, hostname, key_type, public_key, created_on)
             VALUES ($1, $2, $3, $4, $5, $6)",
            params![
                row.id,
                row.repository,
                row.hostname.as_str(),
                row.key_type.as_str(),
                row.public_key.as_str(),
                row.created_on,
            ],
        )
        .or_conflict(taken(row))
        .map(drop)
}

/// Writes a host back.
///
/// # Errors
/// `Conflict` where another one has this name.
pub fn update_known_host(writer: &mut Writer<'_>, row: &KnownHostRow) -> Result<()> {
    writer
        .execute(
            "UPDATE ssh_known_host SET hostname = $3, key_type = $4, public_key = $5
             WHERE repository_id = $1 AND id = $2",
            params![
                row.repository,
                row.id,
                row.hostname.as_str(),
                row.key_type.as_str(),
                row.public_key.as_str(),
            ],
        )
        .or_conflict(taken(row))
        .map(drop)
}

/// Removes a host.
pub fn remove_known_host(writer: &mut Writer<'_>, repository: RepositoryId, id: KnownHostId) -> Result<()> {
    writer
        .execute("DELETE FROM ssh_known_host WHERE repository_id = $1 AND id = $2", params![repository, id])
        .map(drop)
}

/// Removes all that a repository had.
pub(crate) fn forget(writer: &mut Writer<'_>, repository: RepositoryId) -> Result<()> {
    remove_key_pair(writer, repository)?;
    writer.execute("DELETE FROM ssh_known_host WHERE repository_id = $1", params![repository]).map(drop)
}
