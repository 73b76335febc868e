//! Runners.

use model::{Error, Resource, ResourceKind, Result, Runner, RunnerId, SecretHash, Timestamp};
use uuid::Uuid;

use crate::bookkeeping::{Bookkeeping, Table};
use crate::pipeline_step::{labels_of, labels_text};
use crate::{OrConflict, Query, Reader, Row, Writer, params};

/// The workspace is looked up: a repository may have moved since its runner was made.
const SELECT: &str = "SELECT n.id, n.resource_kind, n.resource_id, n.name, n.labels, n.enabled, n.created_on, \
     n.registered_on, c.seen_on, c.labels AS own_labels, c.program, \
     COALESCE(r.workspace_id, w.id) AS workspace_id FROM runner n \
     LEFT JOIN runner_contact c ON c.runner_id = n.id LEFT JOIN repository r ON r.id = n.resource_id \
     LEFT JOIN workspace w ON w.id = n.resource_id WHERE ";

fn from_row(row: &Row) -> Result<Runner> {
    let (kind, id): (String, Uuid) = (row.get("resource_kind")?, row.get("resource_id")?);
    let kind = ResourceKind::parse(&kind)
        .ok_or_else(|| Error::internal("a runner that is registered for nothing known"))?;
    let (labels, own): (String, Option<String>) = (row.get("labels")?, row.get("own_labels")?);
    Ok(Runner {
        id: row.get("id")?,
        bound_to: Resource::from_parts(kind, id),
        workspace: row.get("workspace_id")?,
        name: row.parse("name")?,
        labels: labels_of(&labels),
        own_labels: labels_of(own.as_deref().unwrap_or_default()),
        program: row.get("program")?,
        enabled: row.get("enabled")?,
        created_on: row.get("created_on")?,
        registered_on: row.get("registered_on")?,
        seen_on: row.get("seen_on")?,
    })
}

/// The runners that are registered for a workspace or repository itself, by name.
pub fn list(reader: &mut Reader<'_>, of: Resource, limit: i64, offset: i64) -> Result<Vec<Runner>> {
    let mut query = Query::new(SELECT);
    query.sql("n.resource_id = ").bind(of.uuid()).sql(" ORDER BY n.name, n.id LIMIT ").bind(limit);
    query.sql(" OFFSET ").bind(offset);
    reader.query(&query)?.iter().map(from_row).collect()
}

/// How many there are.
pub fn count(reader: &mut Reader<'_>, of: Resource) -> Result<i64> {
    reader.count("SELECT count(*) FROM runner WHERE resource_id = $1", params![of.uuid()])
}

/// A runner.
pub fn find(reader: &mut Reader<'_>, id: RunnerId) -> Result<Option<Runner>> {
    let mut query = Query::new(SELECT);
    query.sql("n.id = ").bind(id);
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// The runner whose credential this is; whether it is the next one.
pub fn find_by_hash(reader: &mut Reader<'_>, hash: &SecretHash) -> Result<Option<(Runner, bool)>> {
    let mut query = Query::new(SELECT);
    query.sql("n.hash = ").bind(*hash);
    if let Some(row) = reader.query_one(&query)? {
        return Ok(Some((from_row(&row)?, false)));
    }
    let mut query = Query::new(SELECT);
    query.sql("n.next_hash = ").bind(*hash);
    reader.query_one(&query)?.map(|row| Ok((from_row(&row)?, true))).transpose()
}

/// The runner that a one-time code is for, until it is used or too old.
pub fn find_by_code(reader: &mut Reader<'_>, code: &SecretHash) -> Result<Option<Runner>> {
    let now = reader.now();
    let mut query = Query::new(SELECT);
    query.sql("n.code_hash = ").bind(*code).sql(" AND n.code_expires_on > ").bind(now);
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// Adds a runner with its one-time code.
pub fn insert(writer: &mut Writer<'_>, runner: &Runner, code: &SecretHash, until: Timestamp) -> Result<()> {
    writer
        .execute(
            "INSERT INTO runner (id, resource_kind, resource_id, name, labels, enabled, created_on,
                 code_hash, code_expires_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            params![
                runner.id,
                runner.bound_to.kind().as_str(),
                runner.bound_to.uuid(),
                runner.name.as_str(),
                labels_text(&runner.labels),
                runner.enabled,
                runner.created_on,
                *code,
                until,
            ],
        )
        .or_conflict("a runner of this name is there already")
        .map(drop)
}

/// The installation's own runner gets a credential, and those before are nothing any more. It is made where there is none.
pub fn set_own(writer: &mut Writer<'_>, runner: &Runner, hash: &SecretHash) -> Result<()> {
    let now = writer.now();
    writer
        .execute(
            "INSERT INTO runner (id, resource_kind, resource_id, name, labels, enabled, created_on, hash, registered_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, next_hash = NULL, registered_on = excluded.registered_on",
            params![
                runner.id,
                runner.bound_to.kind().as_str(),
                runner.bound_to.uuid(),
                runner.name.as_str(),
                labels_text(&runner.labels),
                runner.enabled,
                runner.created_on,
                *hash,
                now,
            ],
        )
        .map(drop)
}

/// No credential of a runner is anything any more.
pub fn forget_credentials(writer: &mut Writer<'_>, id: RunnerId) -> Result<()> {
    writer
        .execute(
            "UPDATE runner SET hash = NULL, next_hash = NULL, registered_on = NULL WHERE id = $1",
            params![id],
        )
        .map(drop)
}

/// Changes what people say of a runner.
pub fn update(writer: &mut Writer<'_>, runner: &Runner) -> Result<()> {
    writer
        .execute(
            "UPDATE runner SET name = $2, labels = $3, enabled = $4 WHERE id = $1",
            params![runner.id, runner.name.as_str(), labels_text(&runner.labels), runner.enabled],
        )
        .or_conflict("a runner of this name is there already")
        .map(drop)
}

/// The code is exchanged for a credential; false where somebody was faster.
pub fn register(writer: &mut Writer<'_>, id: RunnerId, code: &SecretHash, hash: &SecretHash) -> Result<bool> {
    let now = writer.now();
    let changed = writer.execute(
        "UPDATE runner SET hash = $3, next_hash = NULL, code_hash = NULL, code_expires_on = NULL, registered_on = $4
         WHERE id = $1 AND code_hash = $2",
        params![id, *code, *hash, now],
    )?;
    Ok(changed > 0)
}

/// A credential that replaces the present one with its first use.
pub fn set_next(writer: &mut Writer<'_>, id: RunnerId, hash: &SecretHash) -> Result<()> {
    writer.execute("UPDATE runner SET next_hash = $2 WHERE id = $1", params![id, *hash]).map(drop)
}

/// The next credential was used: it is the present one now.
pub fn turn_over(writer: &mut Writer<'_>, id: RunnerId, hash: &SecretHash) -> Result<()> {
    writer
        .execute(
            "UPDATE runner SET hash = $2, next_hash = NULL WHERE id = $1 AND next_hash = $2",
            params![id, *hash],
        )
        .map(drop)
}

/// Removes a runner.
pub fn remove(writer: &mut Writer<'_>, id: RunnerId) -> Result<()> {
    writer.execute("DELETE FROM runner_contact WHERE runner_id = $1", params![id])?;
    writer.execute("DELETE FROM runner WHERE id = $1", params![id]).map(drop)
}

/// Notes that a runner was heard of, and what it told of itself.
pub fn note_contact(
    books: &mut Bookkeeping<'_>,
    id: RunnerId,
    labels: &[String],
    program: &str,
) -> Result<()> {
    let now = books.now();
    books
        .execute(
            Table::RunnerContact,
            "INSERT INTO runner_contact (runner_id, seen_on, labels, program) VALUES ($1, $2, $3, $4)
             ON CONFLICT (runner_id) DO UPDATE SET seen_on = excluded.seen_on, labels = excluded.labels,
                 program = excluded.program",
            params![id, now, labels_text(labels), program],
        )
        .map(drop)
}
