//! Projects.

use model::{Error, Principal, Project, ProjectId, ProjectKey, Result, Timestamp, WorkspaceId};

use wire::query::{FieldKind, Typed};
use wire::sort::Sort;

use crate::filter::Column;
use crate::visibility::Closed;
use crate::{Query, Reader, Row, Value, Writer, filter, redirect, visibility};

pub(crate) const COLUMNS: &str =
    "p.id, p.workspace_id, p.key, p.name, p.description, p.private, p.created_on, p.updated_on";

/// How a project is named in a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProjectName {
    /// By key, present or former.
    Key(ProjectKey),
    /// By id.
    Id(ProjectId),
}

pub(crate) fn from_row(row: &Row) -> Result<Project> {
    Ok(Project {
        id: ProjectId::from_uuid(row.get("id")?),
        workspace: WorkspaceId::from_uuid(row.get("workspace_id")?),
        key: row.parse("key")?,
        name: row.parse("name")?,
        description: row.get("description")?,
        private: row.get("private")?,
        created_on: row.get("created_on")?,
        updated_on: row.get("updated_on")?,
    })
}

fn one(
    reader: &mut Reader<'_>,
    workspace: WorkspaceId,
    condition: &'static str,
    value: Value,
) -> Result<Option<Project>> {
    let mut query = Query::new("SELECT ");
    query
        .sql(COLUMNS)
        .sql(" FROM project p WHERE p.deleted_on IS NULL AND p.workspace_id = ")
        .bind(workspace);
    query.sql(" AND ").sql(condition).sql(" = ").bind(value);
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// By id, whichever workspace it lives in.
pub fn find(reader: &mut Reader<'_>, id: ProjectId) -> Result<Option<Project>> {
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS).sql(" FROM project p WHERE p.deleted_on IS NULL AND p.id = ").bind(id);
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// By key or id within a workspace; a former key leads to the project, unless it has been given anew.
pub fn resolve(
    reader: &mut Reader<'_>,
    workspace: WorkspaceId,
    name: &ProjectName,
) -> Result<Option<Project>> {
    match name {
        ProjectName::Id(id) => one(reader, workspace, "p.id", (*id).into()),
        ProjectName::Key(key) => {
            if let Some(project) = one(reader, workspace, "p.key", key.as_str().into())? {
                return Ok(Some(project));
            }
            match redirect::project(reader, workspace, key)? {
                Some(id) => one(reader, workspace, "p.id", id.into()),
                None => Ok(None),
            }
        }
    }
}

/// The project that was made first: where a repository goes when its request names none.
pub fn oldest(reader: &mut Reader<'_>, workspace: WorkspaceId) -> Result<Option<Project>> {
    let mut query = Query::new("SELECT ");
    query
        .sql(COLUMNS)
        .sql(" FROM project p WHERE p.deleted_on IS NULL AND p.workspace_id = ")
        .bind(workspace);
    query.sql(" ORDER BY p.created_on, p.id LIMIT 1");
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

fn key_is_free(writer: &mut Writer<'_>, project: &Project) -> Result<()> {
    match one(writer, project.workspace, "p.key", project.key.as_str().into())? {
        Some(other) if other.id != project.id => {
            Err(Error::Conflict(format!("the workspace has a project `{}`: choose another key", project.key)))
        }
        _ => Ok(()),
    }
}

/// Adds a project; a key that is in use is a conflict.
pub fn insert(writer: &mut Writer<'_>, project: &Project) -> Result<()> {
    key_is_free(writer, project)?;
    redirect::forget_project(writer, project.workspace, &project.key)?;
    writer
        .execute(
            "INSERT INTO project (id, workspace_id, key, name, name_folded, description, private, created_on,
                 updated_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            &[
                project.id.into(),
                project.workspace.into(),
                project.key.as_str().into(),
                project.name.as_str().into(),
                project.name.folded().into(),
                project.description.as_str().into(),
                project.private.into(),
                project.created_on.into(),
                project.updated_on.into(),
            ],
        )
        .map(drop)
}

/// Writes back what can change about a project; its former key becomes a redirect.
pub fn update(writer: &mut Writer<'_>, before: &Project, after: &Project) -> Result<()> {
    key_is_free(writer, after)?;
    if before.key != after.key {
        redirect::forget_project(writer, after.workspace, &after.key)?;
        redirect::remember_project(writer, after.workspace, &before.key, after.id, after.updated_on)?;
    }
    if after.private {
        let public = writer.count(
            "SELECT count(*) AS n FROM repository WHERE project_id = $1 AND NOT private AND deleted_on IS NULL",
            &[after.id.into()],
        )?;
        if public > 0 {
            return Err(Error::invalid_field(
                "is_private",
                "a private project holds no public repositories: make them private first",
            ));
        }
    }
    writer
        .execute(
            "UPDATE project SET key = $2, name = $3, name_folded = $4, description = $5, private = $6, updated_on = $7
             WHERE id = $1",
            &[
                after.id.into(),
                after.key.as_str().into(),
                after.name.as_str().into(),
                after.name.folded().into(),
                after.description.as_str().into(),
                after.private.into(),
                after.updated_on.into(),
            ],
        )
        .map(drop)
}

/// Deletes a project that holds no living repository, with its grants and tokens.
pub fn delete(writer: &mut Writer<'_>, id: ProjectId, now: Timestamp) -> Result<()> {
    let repositories = writer.count(
        "SELECT count(*) AS n FROM repository WHERE project_id = $1 AND deleted_on IS NULL",
        &[id.into()],
    )?;
    if repositories > 0 {
        return Err(Error::forbidden("the project still holds repositories: delete or move them first"));
    }
    writer.execute(
        "DELETE FROM access_grant WHERE resource_kind = 'project' AND resource_id = $1",
        &[id.into()],
    )?;
    writer.execute(
        "UPDATE credential SET revoked_on = $2
         WHERE resource_kind = 'project' AND resource_id = $1 AND revoked_on IS NULL",
        &[id.into(), now.into()],
    )?;
    writer.execute("UPDATE project SET deleted_on = $2 WHERE id = $1", &[id.into(), now.into()]).map(drop)
}

/// The columns that a list of projects can be filtered and sorted by.
pub(crate) const COLUMNS_BY_FIELD: [Column; 6] = [
    Column { field: "uuid", kind: FieldKind::Uuid, sql: "p.id", folded: "p.id" },
    Column { field: "key", kind: FieldKind::Text, sql: "p.key", folded: "lower(p.key)" },
    Column { field: "name", kind: FieldKind::Text, sql: "p.name", folded: "p.name_folded" },
    Column { field: "is_private", kind: FieldKind::Bool, sql: "p.private", folded: "p.private" },
    Column { field: "created_on", kind: FieldKind::Time, sql: "p.created_on", folded: "p.created_on" },
    Column { field: "updated_on", kind: FieldKind::Time, sql: "p.updated_on", folded: "p.updated_on" },
];

/// The same, as the declaration that expressions are checked by.
pub static FIELDS: [(&str, FieldKind); 6] = filter::declared(&COLUMNS_BY_FIELD);

/// The projects of a workspace that a viewer may see, and how many there are.
pub fn list(
    reader: &mut Reader<'_>,
    workspace: WorkspaceId,
    (viewer, closed): (Principal, &Closed),
    filter: Option<&Typed>,
    sort: Option<Sort>,
    (limit, offset): (i64, i64),
) -> Result<(Vec<Project>, i64)> {
    let narrow = |query: &mut Query| -> Result<()> {
        query
            .sql(" FROM project p WHERE p.deleted_on IS NULL AND p.workspace_id = ")
            .bind(workspace)
            .sql(" AND ");
        visibility::projects(query, viewer, closed);
        if let Some(filter) = filter {
            query.sql(" AND ");
            filter::push(query, filter, &COLUMNS_BY_FIELD)?;
        }
        Ok(())
    };
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS);
    narrow(&mut query)?;
    filter::order(&mut query, sort, &COLUMNS_BY_FIELD, "p.name_folded", "p.id")?;
    query.sql(" LIMIT ").bind(limit).sql(" OFFSET ").bind(offset);
    let found = reader.query(&query)?.iter().map(from_row).collect::<Result<_>>()?;
    let mut query = Query::new("SELECT count(*) AS n");
    narrow(&mut query)?;
    let size = reader.query_one(&query)?.map_or(Ok(0), |row| row.get("n"))?;
    Ok((found, size))
}
