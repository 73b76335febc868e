//! Groups and who is in them.

use model::{Error, Group, GroupId, GroupSlug, Result, Subject, User, UserId, WorkspaceId};

use crate::{Query, Reader, Row, Writer, user};

const COLUMNS: &str =
    "id, workspace_id, slug, name, auto_add, default_permission, email_forwarding_disabled, created_on";

fn from_row(row: &Row) -> Result<Group> {
    Ok(Group {
        id: GroupId::from_uuid(row.get("id")?),
        workspace: WorkspaceId::from_uuid(row.get("workspace_id")?),
        slug: row.parse("slug")?,
        name: row.parse("name")?,
        auto_add: row.get("auto_add")?,
        default_permission: row.parse_some("default_permission")?,
        email_forwarding_disabled: row.get("email_forwarding_disabled")?,
        created_on: row.get("created_on")?,
    })
}

/// By slug.
pub fn find(reader: &mut Reader<'_>, workspace: WorkspaceId, slug: &GroupSlug) -> Result<Option<Group>> {
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS).sql(" FROM user_group WHERE workspace_id = ").bind(workspace);
    query.sql(" AND slug = ").bind(slug.as_str());
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// Every group of a workspace, by slug.
pub fn list(reader: &mut Reader<'_>, workspace: WorkspaceId) -> Result<Vec<Group>> {
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS).sql(" FROM user_group WHERE workspace_id = ").bind(workspace).sql(" ORDER BY slug");
    reader.query(&query)?.iter().map(from_row).collect()
}

/// The groups that new repositories of a workspace grant something by themselves.
pub fn added_to_new_repositories(reader: &mut Reader<'_>, workspace: WorkspaceId) -> Result<Vec<Group>> {
    Ok(list(reader, workspace)?
        .into_iter()
        .filter(|group| group.auto_add && group.default_permission.is_some())
        .collect())
}

/// Adds a group; a slug that is in use is a conflict.
pub fn insert(writer: &mut Writer<'_>, group: &Group) -> Result<()> {
    if find(writer, group.workspace, &group.slug)?.is_some() {
        return Err(Error::Conflict(format!(
            "the workspace has a group `{}`: choose another name",
            group.slug
        )));
    }
    writer
        .execute(
            "INSERT INTO user_group (id, workspace_id, slug, name, auto_add, default_permission,
                 email_forwarding_disabled, created_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            &[
                group.id.into(),
                group.workspace.into(),
                group.slug.as_str().into(),
                group.name.as_str().into(),
                group.auto_add.into(),
                group.default_permission.map(|level| level.as_str()).into(),
                group.email_forwarding_disabled.into(),
                group.created_on.into(),
            ],
        )
        .map(drop)
}

/// Writes back what can change about a group; the slug stays, so that grants by slug keep meaning the same.
pub fn update(writer: &mut Writer<'_>, group: &Group) -> Result<()> {
    writer
        .execute(
            "UPDATE user_group SET name = $2, auto_add = $3, default_permission = $4, email_forwarding_disabled = $5
             WHERE id = $1",
            &[
                group.id.into(),
                group.name.as_str().into(),
                group.auto_add.into(),
                group.default_permission.map(|level| level.as_str()).into(),
                group.email_forwarding_disabled.into(),
            ],
        )
        .map(drop)
}

/// Deletes a group, its memberships, its grants and its exemptions.
pub fn delete(writer: &mut Writer<'_>, id: GroupId) -> Result<()> {
    crate::branch_restriction::forget_subject(writer, Subject::Group(id))?;
    for sql in [
        "DELETE FROM access_grant WHERE subject_kind = 'group' AND subject_id = $1",
        "DELETE FROM group_member WHERE group_id = $1",
        "DELETE FROM user_group WHERE id = $1",
    ] {
        writer.execute(sql, &[id.into()])?;
    }
    Ok(())
}

/// A group's members, by username.
pub fn members(reader: &mut Reader<'_>, id: GroupId) -> Result<Vec<User>> {
    let rows = reader.all(
        "SELECT u.id, u.username, u.email, u.display_name, u.active, u.staff_role, u.second_step,
             u.approved, u.created_on
         FROM group_member m JOIN user_account u ON u.id = m.user_id
         WHERE m.group_id = $1 ORDER BY u.username_folded",
        &[id.into()],
    )?;
    rows.iter().map(user::from_row).collect()
}

/// Whether a user is in a group.
pub fn holds(reader: &mut Reader<'_>, id: GroupId, user: UserId) -> Result<bool> {
    let sql = "SELECT 1 AS one FROM group_member WHERE group_id = $1 AND user_id = $2";
    Ok(reader.one(sql, &[id.into(), user.into()])?.is_some())
}

/// Adds a member; one who is in it already stays.
pub fn add_member(writer: &mut Writer<'_>, id: GroupId, user: UserId) -> Result<()> {
    writer
        .execute(
            "INSERT INTO group_member (group_id, user_id) VALUES ($1, $2) ON CONFLICT (group_id, user_id) DO NOTHING",
            &[id.into(), user.into()],
        )
        .map(drop)
}

/// Takes a member out; whether it was in.
pub fn remove_member(writer: &mut Writer<'_>, id: GroupId, user: UserId) -> Result<bool> {
    let gone = writer.execute(
        "DELETE FROM group_member WHERE group_id = $1 AND user_id = $2",
        &[id.into(), user.into()],
    )?;
    Ok(gone > 0)
}
