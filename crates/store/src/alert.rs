//! Alerts, how far the trail was looked through for them, and what the daily counts tell.

use model::{Alert, AlertFilter, AlertId, AlertPattern, Result, Timestamp, WorkspaceId};
use uuid::Uuid;

use crate::bookkeeping::{Bookkeeping, Table};
use crate::{Query, Reader, Row, Writer, params};

fn scope(workspace: Option<WorkspaceId>) -> Uuid {
    workspace.map_or_else(Uuid::nil, WorkspaceId::uuid)
}

fn from_row(row: &Row) -> Result<Alert> {
    let of: Uuid = row.get("scope_id")?;
    let (by, on): (Option<String>, Option<Timestamp>) =
        (row.get("acknowledged_by")?, row.get("acknowledged_on")?);
    Ok(Alert {
        id: row.get("id")?,
        workspace: (!of.is_nil()).then(|| WorkspaceId::from_uuid(of)),
        pattern: row.parse("pattern")?,
        subject: row.get("subject")?,
        day: row.get("day")?,
        told: row.get("told")?,
        raised_on: row.get("raised_on")?,
        acknowledged: by.zip(on),
    })
}

const OPEN: &str = " AND acknowledged_on IS NULL";

/// A workspace's alerts, or the instance's, the newest first, and how many there are.
pub fn list(
    reader: &mut Reader<'_>,
    workspace: Option<WorkspaceId>,
    filter: AlertFilter,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Alert>, i64)> {
    let only = if filter == AlertFilter::Open { OPEN } else { "" };
    let mut query = Query::new("SELECT * FROM alert WHERE scope_id = ");
    query.bind(scope(workspace)).sql(only).sql(" ORDER BY raised_on DESC, id DESC LIMIT ");
    query.bind(limit).sql(" OFFSET ").bind(offset);
    let found = reader.query(&query)?.iter().map(from_row).collect::<Result<_>>()?;
    Ok((found, count(reader, workspace, filter)?))
}

/// How many alerts a workspace has, or the instance.
pub fn count(reader: &mut Reader<'_>, workspace: Option<WorkspaceId>, filter: AlertFilter) -> Result<i64> {
    let mut query = Query::new("SELECT count(*) AS size FROM alert WHERE scope_id = ");
    query.bind(scope(workspace)).sql(if filter == AlertFilter::Open { OPEN } else { "" });
    reader.query(&query)?.first().map_or(Ok(0), |row| row.get("size"))
}

/// One of a workspace's alerts, or of the instance's.
pub fn find(reader: &mut Reader<'_>, workspace: Option<WorkspaceId>, id: AlertId) -> Result<Option<Alert>> {
    let sql = "SELECT * FROM alert WHERE scope_id = $1 AND id = $2";
    reader.one(sql, params![scope(workspace), id])?.as_ref().map(from_row).transpose()
}

/// The subjects of a scope's alerts of one pattern and day.
pub fn subjects(
    reader: &mut Reader<'_>,
    workspace: Option<WorkspaceId>,
    pattern: AlertPattern,
    day: i64,
) -> Result<Vec<String>> {
    let rows = reader.all(
        "SELECT subject FROM alert WHERE scope_id = $1 AND pattern = $2 AND day = $3",
        params![scope(workspace), pattern.as_str(), day],
    )?;
    rows.iter().map(|row| row.get("subject")).collect()
}

/// Adds an alert.
pub fn insert(writer: &mut Writer<'_>, alert: &Alert) -> Result<()> {
    writer
        .execute(
            "INSERT INTO alert (id, scope_id, pattern, subject, day, told, raised_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            params![
                alert.id,
                scope(alert.workspace),
                alert.pattern.as_str(),
                alert.subject.as_str(),
                alert.day,
                alert.told.as_str(),
                alert.raised_on,
            ],
        )
        .map(drop)
}

/// Notes who has looked at an alert. Who came first stays.
pub fn acknowledge(writer: &mut Writer<'_>, id: AlertId, by: &str, on: Timestamp) -> Result<()> {
    writer
        .execute(
            "UPDATE alert SET acknowledged_by = $2, acknowledged_on = $3
             WHERE id = $1 AND acknowledged_on IS NULL",
            params![id, by, on],
        )
        .map(drop)
}

/// The one statement that bookkeeping may run on alerts: their events stay.
pub(crate) const FORGET: &str = "DELETE FROM alert WHERE raised_on < $1";

/// Removes the alerts of before a moment. Their events stay in the trail.
pub fn forget_before(books: &mut Bookkeeping<'_>, before: Timestamp) -> Result<u64> {
    books.execute(Table::Alert, FORGET, params![before])
}

/// The place in the ledger from which on events were not looked at.
pub fn next(reader: &mut Reader<'_>) -> Result<u64> {
    reader.one("SELECT next FROM alert_state WHERE one = 1", &[])?.map_or(Ok(0), |row| row.get("next"))
}

/// Notes that everything before `next` was looked at.
pub fn looked_at(books: &mut Bookkeeping<'_>, next: u64) -> Result<()> {
    let next = i64::try_from(next).map_err(model::Error::internal)?;
    let sql = "UPDATE alert_state SET next = $1 WHERE one = 1 AND next < $1";
    books.execute(Table::AlertState, sql, params![next]).map(drop)
}

/// Somebody and what they did in a day, summed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// Where; none where it was in no workspace.
    pub workspace: Option<WorkspaceId>,
    /// Who, as the audit trail names them.
    pub actor: String,
    /// With which credential; empty for none, and where it was not told apart.
    pub credential: String,
    /// How much.
    pub count: i64,
}

fn workspace(row: &Row) -> Result<Option<WorkspaceId>> {
    Ok(row.get::<String>("workspace_id")?.parse().ok())
}

fn sum(row: &Row) -> Result<Sum> {
    Ok(Sum {
        workspace: workspace(row)?,
        actor: row.get("actor")?,
        credential: row.get("credential")?,
        count: row.get("total")?,
    })
}

/// Who was refused at least so often on a day, by workspace and credential; the most first.
pub fn refused(reader: &mut Reader<'_>, day: i64, least: i64, limit: i64) -> Result<Vec<Sum>> {
    let rows = reader.all(
        "SELECT workspace_id, actor, credential, CAST(sum(count) AS BIGINT) AS total FROM daily_count
         WHERE day = $1 AND outcome = 'refused'
         GROUP BY workspace_id, actor, credential HAVING sum(count) >= $2
         ORDER BY total DESC, workspace_id, actor, credential LIMIT $3",
        params![day, least, limit],
    )?;
    rows.iter().map(sum).collect()
}

/// Who read at least so many repositories of a workspace on a day; the most first.
pub fn readers(reader: &mut Reader<'_>, day: i64, least: i64, limit: i64) -> Result<Vec<Sum>> {
    let rows = reader.all(
        "SELECT workspace_id, actor, '' AS credential, CAST(count(DISTINCT resource_id) AS BIGINT) AS total
         FROM daily_count
         WHERE day = $1 AND outcome <> 'refused' AND workspace_id <> ''
             AND action IN ('repository.clone', 'repository.read')
         GROUP BY workspace_id, actor HAVING count(DISTINCT resource_id) >= $2
         ORDER BY total DESC, workspace_id, actor LIMIT $3",
        params![day, least, limit],
    )?;
    rows.iter().map(sum).collect()
}

/// How many repositories of a workspace somebody read on the day, of those before `day` and not before `from`, on which
/// they read the most.
pub fn most_read(reader: &mut Reader<'_>, of: &Sum, from: i64, day: i64) -> Result<i64> {
    let within = of.workspace.map(|id| id.to_string()).unwrap_or_default();
    let row = reader.one(
        "SELECT CAST(count(DISTINCT resource_id) AS BIGINT) AS total FROM daily_count
         WHERE workspace_id = $1 AND day >= $2 AND day < $3 AND actor = $4 AND outcome <> 'refused'
             AND action IN ('repository.clone', 'repository.read')
         GROUP BY day ORDER BY total DESC LIMIT 1",
        params![within, from, day, of.actor.as_str()],
    )?;
    row.map_or(Ok(0), |row| row.get("total"))
}

/// A credential and an address that it was used from in a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedFrom {
    /// Where.
    pub workspace: WorkspaceId,
    /// Whose.
    pub actor: String,
    /// The credential, by kind and id.
    pub credential: String,
    /// From where.
    pub address: String,
}

/// From which addresses credentials were used in workspaces on a day. Sessions are none: people move about.
pub fn used_from(reader: &mut Reader<'_>, day: i64, limit: i64) -> Result<Vec<UsedFrom>> {
    let rows = reader.all(
        "SELECT DISTINCT workspace_id, actor, credential, address FROM daily_count
         WHERE day = $1 AND outcome <> 'refused' AND workspace_id <> '' AND credential <> ''
             AND address <> '' AND credential NOT LIKE 'session:%'
         ORDER BY workspace_id, actor, credential, address LIMIT $2",
        params![day, limit],
    )?;
    let mut found = Vec::new();
    for row in &rows {
        if let Some(workspace) = workspace(row)? {
            found.push(UsedFrom {
                workspace,
                actor: row.get("actor")?,
                credential: row.get("credential")?,
                address: row.get("address")?,
            });
        }
    }
    Ok(found)
}

/// From which addresses a credential was used in a workspace before a day.
pub fn known_from(
    reader: &mut Reader<'_>,
    workspace: WorkspaceId,
    credential: &str,
    day: i64,
    limit: i64,
) -> Result<Vec<String>> {
    let rows = reader.all(
        "SELECT DISTINCT address FROM daily_count
         WHERE credential = $1 AND day < $2 AND workspace_id = $3 AND outcome <> 'refused' AND address <> ''
         ORDER BY address LIMIT $4",
        params![credential, day, workspace.to_string(), limit],
    )?;
    rows.iter().map(|row| row.get("address")).collect()
}
