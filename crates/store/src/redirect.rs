//! Where old names lead. A living name always wins, so a redirect is only asked when nothing living was found, and is
//! forgotten when its name is given anew.

use model::{
    ProjectId, ProjectKey, RepositoryId, RepositorySlug, Result, Timestamp, WorkspaceId, WorkspaceSlug,
};
use uuid::Uuid;

use crate::{Reader, Value, Writer};

fn find(reader: &mut Reader<'_>, kind: &'static str, scope: Uuid, name: &str) -> Result<Option<Uuid>> {
    let row = reader.one(
        "SELECT target_id FROM redirect WHERE kind = $1 AND scope_id = $2 AND name = $3",
        &[kind.into(), scope.into(), name.into()],
    )?;
    row.map(|row| row.get("target_id")).transpose()
}

fn remember(
    writer: &mut Writer<'_>,
    kind: &'static str,
    scope: Uuid,
    name: &str,
    target: Value,
    now: Timestamp,
) -> Result<()> {
    writer
        .execute(
            "INSERT INTO redirect (kind, scope_id, name, target_id, created_on) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (kind, scope_id, name) DO UPDATE SET target_id = $4, created_on = $5",
            &[kind.into(), scope.into(), name.into(), target, now.into()],
        )
        .map(drop)
}

fn forget(writer: &mut Writer<'_>, kind: &'static str, scope: Uuid, name: &str) -> Result<()> {
    writer
        .execute(
            "DELETE FROM redirect WHERE kind = $1 AND scope_id = $2 AND name = $3",
            &[kind.into(), scope.into(), name.into()],
        )
        .map(drop)
}

pub(crate) fn workspace(reader: &mut Reader<'_>, slug: &WorkspaceSlug) -> Result<Option<WorkspaceId>> {
    Ok(find(reader, "workspace", Uuid::nil(), slug.as_str())?.map(WorkspaceId::from_uuid))
}

pub(crate) fn remember_workspace(
    writer: &mut Writer<'_>,
    slug: &WorkspaceSlug,
    target: WorkspaceId,
    now: Timestamp,
) -> Result<()> {
    remember(writer, "workspace", Uuid::nil(), slug.as_str(), target.into(), now)
}

pub(crate) fn forget_workspace(writer: &mut Writer<'_>, slug: &WorkspaceSlug) -> Result<()> {
    forget(writer, "workspace", Uuid::nil(), slug.as_str())
}

pub(crate) fn project(
    reader: &mut Reader<'_>,
    scope: WorkspaceId,
    key: &ProjectKey,
) -> Result<Option<ProjectId>> {
    Ok(find(reader, "project", scope.uuid(), key.as_str())?.map(ProjectId::from_uuid))
}

pub(crate) fn remember_project(
    writer: &mut Writer<'_>,
    scope: WorkspaceId,
    key: &ProjectKey,
    target: ProjectId,
    now: Timestamp,
) -> Result<()> {
    remember(writer, "project", scope.uuid(), key.as_str(), target.into(), now)
}

pub(crate) fn forget_project(writer: &mut Writer<'_>, scope: WorkspaceId, key: &ProjectKey) -> Result<()> {
    forget(writer, "project", scope.uuid(), key.as_str())
}

pub(crate) fn repository(
    reader: &mut Reader<'_>,
    scope: WorkspaceId,
    slug: &RepositorySlug,
) -> Result<Option<RepositoryId>> {
    Ok(find(reader, "repository", scope.uuid(), slug.as_str())?.map(RepositoryId::from_uuid))
}

pub(crate) fn remember_repository(
    writer: &mut Writer<'_>,
    scope: WorkspaceId,
    slug: &RepositorySlug,
    target: RepositoryId,
    now: Timestamp,
) -> Result<()> {
    remember(writer, "repository", scope.uuid(), slug.as_str(), target.into(), now)
}

pub(crate) fn forget_repository(
    writer: &mut Writer<'_>,
    scope: WorkspaceId,
    slug: &RepositorySlug,
) -> Result<()> {
    forget(writer, "repository", scope.uuid(), slug.as_str())
}
