//! Workspaces and their members.

use model::{
    Error, Member, Result, Timestamp, User, UserId, VariablePlace, Workspace, WorkspaceId,
    WorkspacePermission, WorkspaceSlug,
};

use crate::{Query, Reader, Row, Value, Writer, redirect, user};

const COLUMNS: &str = "w.id, w.slug, w.name, w.created_on, w.updated_on";

/// How a workspace is named in a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WorkspaceName {
    /// By slug, present or former.
    Slug(WorkspaceSlug),
    /// By id.
    Id(WorkspaceId),
}

pub(crate) fn from_row(row: &Row) -> Result<Workspace> {
    Ok(Workspace {
        id: WorkspaceId::from_uuid(row.get("id")?),
        slug: row.parse("slug")?,
        name: row.parse("name")?,
        created_on: row.get("created_on")?,
        updated_on: row.get("updated_on")?,
    })
}

fn one(reader: &mut Reader<'_>, condition: &'static str, value: Value) -> Result<Option<Workspace>> {
    let mut query = Query::new("SELECT ");
    query
        .sql(COLUMNS)
        .sql(" FROM workspace w WHERE w.deleted_on IS NULL AND ")
        .sql(condition)
        .sql(" = ")
        .bind(value);
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// By id.
pub fn find(reader: &mut Reader<'_>, id: WorkspaceId) -> Result<Option<Workspace>> {
    one(reader, "w.id", id.into())
}

/// By slug or id; a former slug leads to where the workspace is now, unless the slug has been given anew.
pub fn resolve(reader: &mut Reader<'_>, name: &WorkspaceName) -> Result<Option<Workspace>> {
    match name {
        WorkspaceName::Id(id) => find(reader, *id),
        WorkspaceName::Slug(slug) => {
            if let Some(workspace) = one(reader, "w.slug", slug.as_str().into())? {
                return Ok(Some(workspace));
            }
            match redirect::workspace(reader, slug)? {
                Some(id) => find(reader, id),
                None => Ok(None),
            }
        }
    }
}

/// All workspaces by slug, at most so many.
pub fn all(reader: &mut Reader<'_>, limit: i64) -> Result<Vec<Workspace>> {
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS).sql(" FROM workspace w WHERE w.deleted_on IS NULL ORDER BY w.slug LIMIT ").bind(limit);
    reader.query(&query)?.iter().map(from_row).collect()
}

/// The workspaces a user belongs to, with the effective permission there, by slug.
pub fn of_user(
    reader: &mut Reader<'_>,
    user: UserId,
    limit: i64,
    offset: i64,
) -> Result<(Vec<(Workspace, WorkspacePermission)>, i64)> {
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS).sql(
        ", g.permission FROM access_grant g JOIN workspace w ON w.id = g.resource_id
         WHERE g.subject_kind = 'user' AND g.resource_kind = 'workspace' AND w.deleted_on IS NULL AND g.subject_id = ",
    );
    query.bind(user).sql(" ORDER BY w.slug LIMIT ").bind(limit).sql(" OFFSET ").bind(offset);
    let found = reader
        .query(&query)?
        .iter()
        .map(|row| Ok((from_row(row)?, row.parse("permission")?)))
        .collect::<Result<_>>()?;
    let size = reader.count(
        "SELECT count(*) AS n FROM access_grant g JOIN workspace w ON w.id = g.resource_id
         WHERE g.subject_kind = 'user' AND g.resource_kind = 'workspace' AND w.deleted_on IS NULL
           AND g.subject_id = $1",
        &[user.into()],
    )?;
    Ok((found, size))
}

/// Adds a workspace; a slug that is in use is a conflict.
pub fn insert(writer: &mut Writer<'_>, workspace: &Workspace) -> Result<()> {
    slug_is_free(writer, workspace)?;
    redirect::forget_workspace(writer, &workspace.slug)?;
    writer
        .execute(
            "INSERT INTO workspace (id, slug, name, created_on, updated_on)
             VALUES ($1, $2, $3, $4, $5)",
            &[
                workspace.id.into(),
                workspace.slug.as_str().into(),
                workspace.name.as_str().into(),
                workspace.created_on.into(),
                workspace.updated_on.into(),
            ],
        )
        .map(drop)
}

fn slug_is_free(writer: &mut Writer<'_>, workspace: &Workspace) -> Result<()> {
    match one(writer, "w.slug", workspace.slug.as_str().into())? {
        Some(other) if other.id != workspace.id => {
            Err(Error::Conflict(format!("the workspace `{}` exists: choose another slug", workspace.slug)))
        }
        _ => Ok(()),
    }
}

/// Writes back what can change about a workspace; its former slug becomes a redirect.
pub fn update(writer: &mut Writer<'_>, before: &Workspace, after: &Workspace) -> Result<()> {
    slug_is_free(writer, after)?;
    if before.slug != after.slug {
        redirect::forget_workspace(writer, &after.slug)?;
        redirect::remember_workspace(writer, &before.slug, after.id, after.updated_on)?;
    }
    writer
        .execute(
            "UPDATE workspace SET slug = $2, name = $3, updated_on = $4 WHERE id = $1",
            &[
                after.id.into(),
                after.slug.as_str().into(),
                after.name.as_str().into(),
                after.updated_on.into(),
            ],
        )
        .map(drop)
}

/// Deletes a workspace that holds no living project, with its grants, groups and tokens.
pub fn delete(writer: &mut Writer<'_>, id: WorkspaceId, now: Timestamp) -> Result<()> {
    let projects = writer.count(
        "SELECT count(*) AS n FROM project WHERE workspace_id = $1 AND deleted_on IS NULL",
        &[id.into()],
    )?;
    if projects > 0 {
        return Err(Error::Conflict(
            "the workspace still holds projects: delete or move them first".to_owned(),
        ));
    }
    for sql in [
        "DELETE FROM access_grant WHERE workspace_id = $1",
        "DELETE FROM group_member WHERE group_id IN (SELECT id FROM user_group WHERE workspace_id = $1)",
        "DELETE FROM user_group WHERE workspace_id = $1",
        "DELETE FROM guardrail WHERE scope_id = $1",
        "DELETE FROM identity_provider WHERE workspace_id = $1",
        "DELETE FROM audit_sink_state WHERE sink_id IN (SELECT id FROM audit_sink WHERE scope_id = $1)",
        "DELETE FROM audit_sink WHERE scope_id = $1",
        "DELETE FROM alert WHERE scope_id = $1",
        "DELETE FROM code_scanning WHERE workspace_id = $1",
        "DELETE FROM aws_role_grant WHERE role_id IN (SELECT id FROM aws_role WHERE workspace_id = $1)",
        "DELETE FROM aws_role WHERE workspace_id = $1",
    ] {
        writer.execute(sql, &[id.into()])?;
    }
    crate::pipeline_variable::forget(writer, VariablePlace::Workspace(id))?;
    crate::dynamic_pipeline::forget(writer, model::DynamicPlace::Workspace(id))?;
    writer.execute(
        "UPDATE credential SET revoked_on = $2 WHERE workspace_id = $1 AND revoked_on IS NULL",
        &[id.into(), now.into()],
    )?;
    writer.execute("UPDATE workspace SET deleted_on = $2 WHERE id = $1", &[id.into(), now.into()]).map(drop)
}

/// What a user is in a workspace.
pub fn membership(
    reader: &mut Reader<'_>,
    id: WorkspaceId,
    user: UserId,
) -> Result<Option<WorkspacePermission>> {
    let row = reader.one(
        "SELECT permission FROM access_grant
         WHERE resource_kind = 'workspace' AND resource_id = $1 AND subject_kind = 'user' AND subject_id = $2",
        &[id.into(), user.into()],
    )?;
    row.map(|row| row.parse("permission")).transpose()
}

/// A workspace's members by username, and how many there are.
pub fn members(
    reader: &mut Reader<'_>,
    id: WorkspaceId,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Member>, i64)> {
    let rows = reader.all(
        "SELECT u.id, u.username, u.email, u.display_name, u.active, u.staff_role, u.second_step,
             u.approved, u.created_on,
                g.permission, g.granted_on
         FROM access_grant g JOIN user_account u ON u.id = g.subject_id
         WHERE g.resource_kind = 'workspace' AND g.resource_id = $1 AND g.subject_kind = 'user'
         ORDER BY u.username_folded LIMIT $2 OFFSET $3",
        &[id.into(), limit.into(), offset.into()],
    )?;
    let members = rows
        .iter()
        .map(|row| {
            let user: User = user::from_row(row)?;
            Ok(Member { user, permission: row.parse("permission")?, granted_on: row.get("granted_on")? })
        })
        .collect::<Result<_>>()?;
    let size = reader.count(
        "SELECT count(*) AS n FROM access_grant
         WHERE resource_kind = 'workspace' AND resource_id = $1 AND subject_kind = 'user'",
        &[id.into()],
    )?;
    Ok((members, size))
}

/// How many active owners there are beside `user`: the last one is not taken away.
pub fn other_owners(reader: &mut Reader<'_>, id: WorkspaceId, user: UserId) -> Result<i64> {
    reader.count(
        "SELECT count(*) AS n FROM access_grant g JOIN user_account u ON u.id = g.subject_id
         WHERE g.resource_kind = 'workspace' AND g.resource_id = $1 AND g.subject_kind = 'user'
           AND g.permission = 'owner' AND g.subject_id <> $2 AND u.active",
        &[id.into(), user.into()],
    )
}

/// Ends a membership, with every grant, group membership and exemption of the user in the workspace.
pub fn remove_member(writer: &mut Writer<'_>, id: WorkspaceId, user: UserId) -> Result<()> {
    crate::branch_restriction::forget_member(writer, id, user)?;
    writer.execute(
        "DELETE FROM group_member
         WHERE user_id = $2 AND group_id IN (SELECT id FROM user_group WHERE workspace_id = $1)",
        &[id.into(), user.into()],
    )?;
    writer
        .execute(
            "DELETE FROM access_grant WHERE workspace_id = $1 AND subject_kind = 'user' AND subject_id = $2",
            &[id.into(), user.into()],
        )
        .map(drop)
}
