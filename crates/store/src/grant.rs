//! Grants, and the facts about one principal that a decision needs.

use model::{
    Error, Grant, GroupId, Permission, Resource, ResourceKind, Result, Subject, Timestamp, UserId,
    WorkspaceId,
};
use policy::GrantFact;
use uuid::Uuid;

use crate::{Reader, Row, Writer};

fn on(row: &Row) -> Result<(Resource, Permission)> {
    let kind: String = row.get("resource_kind")?;
    let kind = ResourceKind::parse(&kind)
        .ok_or_else(|| Error::internal("a grant on an unknown kind of resource"))?;
    let permission: String = row.get("permission")?;
    let permission = Permission::parse(kind, &permission).map_err(Error::internal)?;
    Ok((Resource::from_parts(kind, row.get("resource_id")?), permission))
}

/// The grants that a user holds, directly or through groups, on a chain of at most three resources (a repository, its
/// project, its workspace).
pub fn held_by(reader: &mut Reader<'_>, user: UserId, chain: &[Uuid]) -> Result<Vec<GrantFact>> {
    let at = |place: usize| chain.get(place).copied().unwrap_or_else(Uuid::nil);
    let rows = reader.all(
        "SELECT g.resource_kind, g.resource_id, g.permission, g.subject_kind, g.subject_id FROM access_grant g
         WHERE g.subject_kind = 'user' AND g.subject_id = $1 AND g.resource_id IN ($2, $3, $4)
         UNION ALL
         SELECT g.resource_kind, g.resource_id, g.permission, g.subject_kind, g.subject_id
         FROM group_member m JOIN access_grant g ON g.subject_kind = 'group' AND g.subject_id = m.group_id
         WHERE m.user_id = $1 AND g.resource_id IN ($2, $3, $4)",
        &[user.into(), at(0).into(), at(1).into(), at(2).into()],
    )?;
    rows.iter()
        .map(|row| {
            let (on, permission) = on(row)?;
            let kind: String = row.get("subject_kind")?;
            let subject: Uuid = row.get("subject_id")?;
            let via = (kind == "group").then(|| GroupId::from_uuid(subject));
            Ok(GrantFact { on, permission, via })
        })
        .collect()
}

/// One explicit grant.
pub fn find(reader: &mut Reader<'_>, resource: Resource, subject: Subject) -> Result<Option<Permission>> {
    let row = reader.one(
        "SELECT resource_kind, resource_id, permission FROM access_grant
         WHERE resource_kind = $1 AND resource_id = $2 AND subject_kind = $3 AND subject_id = $4",
        &[
            resource.kind().as_str().into(),
            resource.uuid().into(),
            subject.kind().into(),
            subject.uuid().into(),
        ],
    )?;
    row.map(|row| on(&row).map(|(_, permission)| permission)).transpose()
}

/// The explicit grants on a resource to one kind of subject, oldest first, and how many there are.
pub fn list(
    reader: &mut Reader<'_>,
    resource: Resource,
    groups: bool,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Grant>, i64)> {
    let kind = if groups { "group" } else { "user" };
    let rows = reader.all(
        "SELECT resource_kind, resource_id, subject_id, permission, granted_on FROM access_grant
         WHERE resource_kind = $1 AND resource_id = $2 AND subject_kind = $3
         ORDER BY granted_on, subject_id LIMIT $4 OFFSET $5",
        &[resource.kind().as_str().into(), resource.uuid().into(), kind.into(), limit.into(), offset.into()],
    )?;
    let grants = rows
        .iter()
        .map(|row| {
            let (on, permission) = on(row)?;
            let subject: Uuid = row.get("subject_id")?;
            let subject = if groups {
                Subject::Group(GroupId::from_uuid(subject))
            } else {
                Subject::User(UserId::from_uuid(subject))
            };
            Ok(Grant { on, subject, permission, granted_on: row.get("granted_on")? })
        })
        .collect::<Result<_>>()?;
    let size = reader.count(
        "SELECT count(*) AS n FROM access_grant
         WHERE resource_kind = $1 AND resource_id = $2 AND subject_kind = $3",
        &[resource.kind().as_str().into(), resource.uuid().into(), kind.into()],
    )?;
    Ok((grants, size))
}

/// Every user or group with a grant on one of a chain's resources: those whom "who can?" has to ask about.
pub fn subjects_on(reader: &mut Reader<'_>, chain: &[Uuid]) -> Result<Vec<Subject>> {
    let at = |place: usize| chain.get(place).copied().unwrap_or_else(Uuid::nil);
    let rows = reader.all(
        "SELECT DISTINCT subject_kind, subject_id FROM access_grant WHERE resource_id IN ($1, $2, $3)
         ORDER BY subject_kind, subject_id",
        &[at(0).into(), at(1).into(), at(2).into()],
    )?;
    rows.iter()
        .map(|row| {
            let kind: String = row.get("subject_kind")?;
            let id: Uuid = row.get("subject_id")?;
            Ok(match kind.as_str() {
                "group" => Subject::Group(GroupId::from_uuid(id)),
                _ => Subject::User(UserId::from_uuid(id)),
            })
        })
        .collect()
}

/// Grants, or changes the level of a grant.
pub fn set(
    writer: &mut Writer<'_>,
    resource: Resource,
    workspace: WorkspaceId,
    subject: Subject,
    permission: Permission,
    now: Timestamp,
) -> Result<()> {
    writer
        .execute(
            "INSERT INTO access_grant (resource_kind, resource_id, subject_kind, subject_id, workspace_id, permission,
                 granted_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (resource_kind, resource_id, subject_kind, subject_id) DO UPDATE SET permission = $6",
            &[
                resource.kind().as_str().into(),
                resource.uuid().into(),
                subject.kind().into(),
                subject.uuid().into(),
                workspace.into(),
                permission.as_str().into(),
                now.into(),
            ],
        )
        .map(drop)
}

/// Takes a grant back; whether there was one.
pub fn remove(writer: &mut Writer<'_>, resource: Resource, subject: Subject) -> Result<bool> {
    let gone = writer.execute(
        "DELETE FROM access_grant
         WHERE resource_kind = $1 AND resource_id = $2 AND subject_kind = $3 AND subject_id = $4",
        &[
            resource.kind().as_str().into(),
            resource.uuid().into(),
            subject.kind().into(),
            subject.uuid().into(),
        ],
    )?;
    Ok(gone > 0)
}

/// Takes back every grant on a resource.
pub fn remove_all(writer: &mut Writer<'_>, resource: Resource) -> Result<u64> {
    writer.execute(
        "DELETE FROM access_grant WHERE resource_kind = $1 AND resource_id = $2",
        &[resource.kind().as_str().into(), resource.uuid().into()],
    )
}

/// The grants that a group holds on a chain, as those of somebody who is in it.
pub fn held_by_group(reader: &mut Reader<'_>, group: GroupId, chain: &[Uuid]) -> Result<Vec<GrantFact>> {
    let at = |place: usize| chain.get(place).copied().unwrap_or_else(Uuid::nil);
    let rows = reader.all(
        "SELECT resource_kind, resource_id, permission FROM access_grant
         WHERE subject_kind = 'group' AND subject_id = $1 AND resource_id IN ($2, $3, $4)",
        &[group.into(), at(0).into(), at(1).into(), at(2).into()],
    )?;
    rows.iter()
        .map(|row| {
            let (on, permission) = on(row)?;
            Ok(GrantFact { on, permission, via: Some(group) })
        })
        .collect()
}
