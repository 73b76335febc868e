//! Receivers to which the audit trail is sent, and how far each has been told.

use model::{AuditSink, AuditSinkId, AuditSinkState, Result, Timestamp, WorkspaceId};
use uuid::Uuid;

use crate::bookkeeping::{Bookkeeping, Table};
use crate::{Reader, Row, Writer, params};

const COLUMNS: &str = "SELECT s.id, s.scope_id, s.kind, s.address, s.secret, s.created_by, s.created_on, t.next, \
     t.succeeded_on, t.failed_on, t.last_error, t.failures, t.retry_on \
     FROM audit_sink s JOIN audit_sink_state t ON t.sink_id = s.id";

fn scope(workspace: Option<WorkspaceId>) -> Uuid {
    workspace.map_or_else(Uuid::nil, WorkspaceId::uuid)
}

/// A receiver, its sealed key, and how it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The receiver.
    pub sink: AuditSink,
    /// The key that signs what a webhook is sent, sealed.
    pub secret: Option<Vec<u8>>,
    /// How it stands.
    pub state: AuditSinkState,
}

fn from_row(row: &Row) -> Result<Kept> {
    let of: Uuid = row.get("scope_id")?;
    Ok(Kept {
        sink: AuditSink {
            id: row.get("id")?,
            workspace: (!of.is_nil()).then(|| WorkspaceId::from_uuid(of)),
            kind: row.parse("kind")?,
            address: row.get("address")?,
            created_by: row.get("created_by")?,
            created_on: row.get("created_on")?,
        },
        secret: row.get("secret")?,
        state: AuditSinkState {
            next: row.get("next")?,
            succeeded_on: row.get("succeeded_on")?,
            failed_on: row.get("failed_on")?,
            last_error: row.get("last_error")?,
            failures: row.get("failures")?,
            retry_on: row.get("retry_on")?,
        },
    })
}

/// The receivers of a workspace's trail, or of the whole one, the oldest first.
pub fn list(reader: &mut Reader<'_>, workspace: Option<WorkspaceId>) -> Result<Vec<Kept>> {
    let mut query = crate::Query::new(COLUMNS);
    query.sql(" WHERE s.scope_id = ").bind(scope(workspace)).sql(" ORDER BY s.created_on, s.id");
    reader.query(&query)?.iter().map(from_row).collect()
}

/// Receivers that may be told something now, those that were told longest ago first.
pub fn due(reader: &mut Reader<'_>, size: u64, limit: i64) -> Result<Vec<Kept>> {
    let now = reader.now();
    let size = i64::try_from(size).map_err(model::Error::internal)?;
    let mut query = crate::Query::new(COLUMNS);
    query.sql(" WHERE t.next < ").bind(size).sql(" AND (t.retry_on IS NULL OR t.retry_on <= ").bind(now);
    query.sql(") ORDER BY t.next, s.id LIMIT ").bind(limit);
    reader.query(&query)?.iter().map(from_row).collect()
}

/// Adds a receiver that is told what stands at `next` and after.
pub fn insert(writer: &mut Writer<'_>, sink: &AuditSink, secret: Option<Vec<u8>>, next: u64) -> Result<()> {
    let next = i64::try_from(next).map_err(model::Error::internal)?;
    writer.execute(
        "INSERT INTO audit_sink (id, scope_id, kind, address, secret, created_by, created_on)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        params![
            sink.id,
            scope(sink.workspace),
            sink.kind.as_str(),
            sink.address.as_str(),
            secret,
            sink.created_by.as_str(),
            sink.created_on,
        ],
    )?;
    writer
        .execute(
            "INSERT INTO audit_sink_state (sink_id, next, failures) VALUES ($1, $2, 0)",
            params![sink.id, next],
        )
        .map(drop)
}

/// Removes a receiver of a workspace's trail, or of the whole one.
pub fn remove(
    writer: &mut Writer<'_>,
    workspace: Option<WorkspaceId>,
    id: AuditSinkId,
) -> Result<Option<AuditSink>> {
    let found = list(writer, workspace)?.into_iter().map(|kept| kept.sink).find(|sink| sink.id == id);
    if found.is_some() {
        writer.execute("DELETE FROM audit_sink_state WHERE sink_id = $1", params![id])?;
        writer.execute("DELETE FROM audit_sink WHERE id = $1", params![id])?;
    }
    Ok(found)
}

/// Notes that everything before `next` was received.
pub fn received(books: &mut Bookkeeping<'_>, id: AuditSinkId, next: u64, sent: bool) -> Result<()> {
    let (now, next) = (books.now(), i64::try_from(next).map_err(model::Error::internal)?);
    let on = sent.then_some(now);
    books
        .execute(
            Table::AuditSinkState,
            // Never back: whoever lost the lease while sending comes late.
            "UPDATE audit_sink_state SET next = $2, succeeded_on = COALESCE($3, succeeded_on), failures = 0,
                 retry_on = NULL
             WHERE sink_id = $1 AND next < $2",
            params![id, next, on],
        )
        .map(drop)
}

/// Notes that what comes next was not received, and when it is tried again.
pub fn failed(books: &mut Bookkeeping<'_>, id: AuditSinkId, error: &str, retry_on: Timestamp) -> Result<()> {
    let now = books.now();
    books
        .execute(
            Table::AuditSinkState,
            "UPDATE audit_sink_state SET failed_on = $2, last_error = $3, failures = failures + 1, retry_on = $4
             WHERE sink_id = $1",
            params![id, now, error, retry_on],
        )
        .map(drop)
}
