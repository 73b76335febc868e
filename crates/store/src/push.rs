//! Pushes, from intent to outcome. An intent is committed before git may move a ref; it stays open until what git did
//! is recorded, by the request that pushed or by whoever settles it later.

use model::{PushId, RepositoryId, Result, Timestamp};
use serde_json::Value as Json;

use crate::{Reader, Row, Writer};

/// An open push.
#[derive(Clone, Debug)]
pub struct OpenPush {
    /// Its id.
    pub id: PushId,
    /// The repository.
    pub repository: RepositoryId,
    /// When the intent was committed.
    pub begun_on: Timestamp,
    /// The provenance for the outcome's audit event.
    pub origin: Json,
    /// What was asked, ref by ref.
    pub refs: Json,
}

fn from_row(row: &Row) -> Result<OpenPush> {
    Ok(OpenPush {
        id: PushId::from_uuid(row.get("id")?),
        repository: RepositoryId::from_uuid(row.get("repository_id")?),
        begun_on: row.get("begun_on")?,
        origin: row.get("origin")?,
        refs: row.get("refs")?,
    })
}

/// Records an intent.
pub fn begin(writer: &mut Writer<'_>, push: &OpenPush) -> Result<()> {
    writer
        .execute(
            "INSERT INTO push (id, repository_id, begun_on, origin, refs) VALUES ($1, $2, $3, $4, $5)",
            &[
                push.id.into(),
                push.repository.into(),
                push.begun_on.into(),
                push.origin.clone().into(),
                push.refs.clone().into(),
            ],
        )
        .map(drop)
}

/// An intent that is still open.
pub fn find_open(reader: &mut Reader<'_>, id: PushId) -> Result<Option<OpenPush>> {
    let row = reader.one(
        "SELECT id, repository_id, begun_on, origin, refs FROM push WHERE id = $1 AND settled_on IS NULL",
        &[id.into()],
    )?;
    row.as_ref().map(from_row).transpose()
}

/// Intents begun before `before` that nobody has settled, oldest first.
pub fn open_before(reader: &mut Reader<'_>, before: Timestamp, limit: i64) -> Result<Vec<OpenPush>> {
    let rows = reader.all(
        "SELECT id, repository_id, begun_on, origin, refs FROM push
         WHERE settled_on IS NULL AND begun_on < $1 ORDER BY begun_on LIMIT $2",
        &[before.into(), limit.into()],
    )?;
    rows.iter().map(from_row).collect()
}

/// Closes an intent; false when somebody else has done so already, whose record then stands.
pub fn settle(writer: &mut Writer<'_>, push: &OpenPush, now: Timestamp) -> Result<bool> {
    let settled = writer.execute(
        "UPDATE push SET settled_on = $2 WHERE id = $1 AND settled_on IS NULL",
        &[push.id.into(), now.into()],
    )?;
    if settled > 0 {
        writer.execute(
            "UPDATE repository SET updated_on = $2 WHERE id = $1 AND updated_on < $2",
            &[push.repository.into(), now.into()],
        )?;
    }
    Ok(settled > 0)
}
