//! What build systems say of commits.

use model::{CommitStatus, ObjectId, RepositoryId, Result};
use wire::query::{FieldKind, Typed};
use wire::sort::Sort;

use crate::filter::Column;
use crate::{OrConflict, Query, Reader, Row, Writer, filter, params};

const COLUMNS: &str =
    "SELECT s.id, s.repository_id, s.commit_hash, s.status_key, s.state, s.name, s.description, s.url,
     s.refname, s.setter, s.created_on, s.updated_on";

/// The columns that a commit's statuses can be filtered and sorted by.
const COLUMNS_BY_FIELD: [Column; 8] = [
    Column { field: "uuid", kind: FieldKind::Uuid, sql: "s.id", folded: "s.id" },
    Column { field: "key", kind: FieldKind::Text, sql: "s.status_key", folded: "lower(s.status_key)" },
    Column {
        field: "state",
        kind: FieldKind::Enum(&["FAILED", "INPROGRESS", "STOPPED", "SUCCESSFUL"]),
        sql: "s.state",
        folded: "s.state",
    },
    Column { field: "name", kind: FieldKind::Text, sql: "s.name", folded: "lower(s.name)" },
    Column {
        field: "description",
        kind: FieldKind::Text,
        sql: "s.description",
        folded: "lower(s.description)",
    },
    Column { field: "refname", kind: FieldKind::Text, sql: "s.refname", folded: "lower(s.refname)" },
    Column { field: "created_on", kind: FieldKind::Time, sql: "s.created_on", folded: "s.created_on" },
    Column { field: "updated_on", kind: FieldKind::Time, sql: "s.updated_on", folded: "s.updated_on" },
];

/// The same, as the declaration that expressions are checked by.
pub static FIELDS: [(&str, FieldKind); 8] = filter::declared(&COLUMNS_BY_FIELD);

/// Which of a commit's statuses to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those told of this branch or tag.
    pub refname: Option<String>,
    /// A filter over [`FIELDS`].
    pub filter: Option<Typed>,
    /// An order over them; the newest first without one.
    pub sort: Option<Sort>,
}

fn from_row(row: &Row) -> Result<CommitStatus> {
    Ok(CommitStatus {
        id: row.get("id")?,
        repository: row.get("repository_id")?,
        commit: row.parse("commit_hash")?,
        key: row.get("status_key")?,
        state: row.parse("state")?,
        name: row.get("name")?,
        description: row.get("description")?,
        url: row.get("url")?,
        refname: row.get("refname")?,
        setter: row.get("setter")?,
        created_on: row.get("created_on")?,
        updated_on: row.get("updated_on")?,
    })
}

/// A commit's statuses, and how many there are.
pub fn list(
    reader: &mut Reader<'_>,
    repository: RepositoryId,
    commit: &ObjectId,
    wanted: &Filter,
    (limit, offset): (i64, i64),
) -> Result<(Vec<CommitStatus>, i64)> {
    let narrow = |query: &mut Query| -> Result<()> {
        query.sql(" FROM commit_status s WHERE s.repository_id = ").bind(repository);
        query.sql(" AND s.commit_hash = ").bind(commit.as_str());
        if let Some(refname) = &wanted.refname {
            query.sql(" AND s.refname = ").bind(refname);
        }
        if let Some(condition) = &wanted.filter {
            query.sql(" AND ");
            filter::push(query, condition, &COLUMNS_BY_FIELD)?;
        }
        Ok(())
    };
    let mut query = Query::new(COLUMNS);
    narrow(&mut query)?;
    filter::order(&mut query, wanted.sort, &COLUMNS_BY_FIELD, "s.created_on DESC", "s.id")?;
    query.sql(" LIMIT ").bind(limit).sql(" OFFSET ").bind(offset);
    let found = reader.query(&query)?.iter().map(from_row).collect::<Result<_>>()?;
    let mut query = Query::new("SELECT count(*) AS n");
    narrow(&mut query)?;
    let size = reader.query_one(&query)?.map_or(Ok(0), |row| row.get("n"))?;
    Ok((found, size))
}

/// A commit's status under a key.
pub fn find(
    reader: &mut Reader<'_>,
    repository: RepositoryId,
    commit: &ObjectId,
    key: &str,
) -> Result<Option<CommitStatus>> {
    let mut query = Query::new(COLUMNS);
    query.sql(" FROM commit_status s WHERE s.repository_id = ").bind(repository);
    query.sql(" AND s.commit_hash = ").bind(commit.as_str()).sql(" AND s.status_key = ").bind(key);
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// How many keys a commit has.
pub fn count(reader: &mut Reader<'_>, repository: RepositoryId, commit: &ObjectId) -> Result<i64> {
    let sql = "SELECT count(*) AS n FROM commit_status WHERE repository_id = $1 AND commit_hash = $2";
    reader.count(sql, params![repository, commit.as_str()])
}

/// Adds a status.
///
/// # Errors
/// `Conflict` where the commit has one under this key.
pub fn insert(writer: &mut Writer<'_>, one: &CommitStatus) -> Result<()> {
    writer
        .execute(
            "INSERT INTO commit_status (id, repository_id, commit_hash, status_key, state, name, description, url,
                 refname, setter, created_on, updated_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            params![
                one.id,
                one.repository,
                one.commit.as_str(),
                &one.key,
                one.state.as_str(),
                one.name.as_deref(),
                one.description.as_deref(),
                one.url.as_deref(),
                one.refname.as_deref(),
                &one.setter,
                one.created_on,
                one.updated_on,
            ],
        )
        .or_conflict(format!("the commit has a status `{}` already: send it again", one.key))
        .map(drop)
}

/// Writes a status back.
pub fn update(writer: &mut Writer<'_>, one: &CommitStatus) -> Result<()> {
    writer
        .execute(
            "UPDATE commit_status SET state = $2, name = $3, description = $4, url = $5, refname = $6, setter = $7,
                 updated_on = $8
             WHERE id = $1",
            params![
                one.id,
                one.state.as_str(),
                one.name.as_deref(),
                one.description.as_deref(),
                one.url.as_deref(),
                one.refname.as_deref(),
                &one.setter,
                one.updated_on,
            ],
        )
        .map(drop)
}

/// Removes all that a repository had.
pub(crate) fn forget(writer: &mut Writer<'_>, repository: RepositoryId) -> Result<()> {
    writer.execute("DELETE FROM commit_status WHERE repository_id = $1", params![repository]).map(drop)
}
