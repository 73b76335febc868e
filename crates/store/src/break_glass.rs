//! Break-glass: who asked for it, why, and for how long it is in force.

use model::{BreakGlass, BreakGlassId, Result, Timestamp, UserId, WorkspaceId};

use crate::{Query, Reader, Row, Writer, params};

const COLUMNS: &str =
    "b.id, b.workspace_id, b.user_id, b.reason, b.hours, b.requested_on, b.approved_on, b.approved_by,
     b.expires_on, b.ended_on, b.ended_by, w.slug AS workspace_slug, u.username AS holder
     FROM break_glass b JOIN workspace w ON w.id = b.workspace_id JOIN user_account u ON u.id = b.user_id";

fn from_row(row: &Row) -> Result<BreakGlass> {
    Ok(BreakGlass {
        id: BreakGlassId::from_uuid(row.get("id")?),
        workspace: WorkspaceId::from_uuid(row.get("workspace_id")?),
        workspace_slug: row.parse("workspace_slug")?,
        user: UserId::from_uuid(row.get("user_id")?),
        username: row.parse("holder")?,
        reason: row.get("reason")?,
        hours: row.get("hours")?,
        requested_on: row.get("requested_on")?,
        approved_on: row.get("approved_on")?,
        approved_by: row.get("approved_by")?,
        expires_on: row.get("expires_on")?,
        ended_on: row.get("ended_on")?,
        ended_by: row.get("ended_by")?,
    })
}

/// Until when break-glass is in force for a user in a workspace, where it is.
pub fn until(reader: &mut Reader<'_>, user: UserId, workspace: WorkspaceId) -> Result<Option<Timestamp>> {
    let now = reader.now();
    let row = reader.one(
        "SELECT max(expires_on) AS until FROM break_glass
         WHERE user_id = $1 AND workspace_id = $2 AND approved_on IS NOT NULL AND ended_on IS NULL AND expires_on > $3",
        params![user, workspace, now],
    )?;
    row.map(|row| row.get("until")).transpose().map(Option::flatten)
}

/// The workspaces where it is in force for a user.
pub fn in_force(reader: &mut Reader<'_>, user: UserId) -> Result<Vec<WorkspaceId>> {
    let now = reader.now();
    let rows = reader.all(
        "SELECT DISTINCT workspace_id FROM break_glass
         WHERE user_id = $1 AND approved_on IS NOT NULL AND ended_on IS NULL AND expires_on > $2",
        params![user, now],
    )?;
    rows.iter().map(|row| row.get("workspace_id").map(WorkspaceId::from_uuid)).collect()
}

/// What is in force for a user; what ends last comes first.
pub fn own(reader: &mut Reader<'_>, user: UserId) -> Result<Vec<BreakGlass>> {
    let now = reader.now();
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS).sql(" WHERE b.user_id = ").bind(user);
    query.sql(" AND b.approved_on IS NOT NULL AND b.ended_on IS NULL AND b.expires_on > ").bind(now);
    query.sql(" ORDER BY b.expires_on DESC, b.id");
    reader.query(&query)?.iter().map(from_row).collect()
}

/// The users for whom it is in force in a workspace.
pub fn holders(reader: &mut Reader<'_>, workspace: WorkspaceId) -> Result<Vec<UserId>> {
    let now = reader.now();
    let rows = reader.all(
        "SELECT DISTINCT user_id FROM break_glass
         WHERE workspace_id = $1 AND approved_on IS NOT NULL AND ended_on IS NULL AND expires_on > $2",
        params![workspace, now],
    )?;
    rows.iter().map(|row| row.get("user_id").map(UserId::from_uuid)).collect()
}

/// One of a workspace's.
pub fn find(reader: &mut Reader<'_>, workspace: WorkspaceId, id: BreakGlassId) -> Result<Option<BreakGlass>> {
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS).sql(" WHERE b.id = ").bind(id).sql(" AND b.workspace_id = ").bind(workspace);
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// Whether a user has asked for it in a workspace and it is neither over nor ended.
pub fn is_open(reader: &mut Reader<'_>, user: UserId, workspace: WorkspaceId) -> Result<bool> {
    let now = reader.now();
    let open = reader.count(
        "SELECT count(*) FROM break_glass
         WHERE user_id = $1 AND workspace_id = $2 AND ended_on IS NULL AND expires_on > $3",
        params![user, workspace, now],
    )?;
    Ok(open > 0)
}

/// Those of a workspace, or all; the newest first, and how many there are.
pub fn list(
    reader: &mut Reader<'_>,
    workspace: Option<WorkspaceId>,
    limit: i64,
    offset: i64,
) -> Result<(Vec<BreakGlass>, i64)> {
    let narrow = |query: &mut Query| {
        if let Some(workspace) = workspace {
            query.sql(" WHERE b.workspace_id = ").bind(workspace);
        }
    };
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS);
    narrow(&mut query);
    query.sql(" ORDER BY b.requested_on DESC, b.id LIMIT ").bind(limit).sql(" OFFSET ").bind(offset);
    let found = reader.query(&query)?.iter().map(from_row).collect::<Result<_>>()?;
    let mut query = Query::new("SELECT count(*) AS n FROM break_glass b");
    narrow(&mut query);
    let size = reader.query_one(&query)?.map_or(Ok(0), |row| row.get("n"))?;
    Ok((found, size))
}

/// It was asked for, and given where `approved_on` says so.
pub fn insert(writer: &mut Writer<'_>, new: &BreakGlass) -> Result<()> {
    writer
        .execute(
            "INSERT INTO break_glass (id, workspace_id, user_id, reason, hours, requested_on, approved_on, expires_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            params![
                new.id,
                new.workspace,
                new.user,
                new.reason.clone(),
                new.hours,
                new.requested_on,
                new.approved_on,
                new.expires_on
            ],
        )
        .map(drop)
}

/// It was given.
pub fn approve(
    writer: &mut Writer<'_>,
    id: BreakGlassId,
    by: &str,
    now: Timestamp,
    expires_on: Timestamp,
) -> Result<()> {
    writer
        .execute(
            "UPDATE break_glass SET approved_on = $3, approved_by = $2, expires_on = $4
             WHERE id = $1 AND approved_on IS NULL AND ended_on IS NULL",
            params![id, by, now, expires_on],
        )
        .map(drop)
}

/// It was ended, or refused before it was given.
pub fn end(writer: &mut Writer<'_>, id: BreakGlassId, by: &str, now: Timestamp) -> Result<()> {
    writer
        .execute(
            "UPDATE break_glass SET ended_on = $3, ended_by = $2 WHERE id = $1 AND ended_on IS NULL",
            params![id, by, now],
        )
        .map(drop)
}
