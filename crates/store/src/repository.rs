//! Repositories: their rows. The content lies with `git`.

use model::{
    Error, ForkPolicy, Principal, Project, ProjectId, Repository, RepositoryId, RepositorySlug, Resource,
    Result, Timestamp, VariablePlace, Workspace, WorkspaceId,
};

use wire::query::{FieldKind, Typed};
use wire::sort::Sort;

use crate::bookkeeping::{Bookkeeping, NOTE_SIZE, Table};
use crate::filter::Column;
use crate::visibility::{AtLeast, Closed};
use crate::workspace::WorkspaceName;
use crate::{
    Query, Reader, Row, Writer, credential, filter, grant, project, redirect, visibility, workspace,
};

pub(crate) const COLUMNS: &str = "r.id, r.workspace_id, r.project_id, r.slug, r.name, r.description, r.private, \
     r.fork_policy, r.language, r.has_issues, r.has_wiki, r.default_branch, r.size_bytes, r.created_on, r.updated_on, \
     r.deleted_on";

/// How a repository is named within its workspace in a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RepositoryName {
    /// By slug, present or former.
    Slug(RepositorySlug),
    /// By id.
    Id(RepositoryId),
}

/// A repository with what it lies in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The repository.
    pub repository: Repository,
    /// Its project.
    pub project: Project,
    /// Its workspace.
    pub workspace: Workspace,
}

pub(crate) fn from_row(row: &Row) -> Result<Repository> {
    let fork_policy: String = row.get("fork_policy")?;
    Ok(Repository {
        id: RepositoryId::from_uuid(row.get("id")?),
        workspace: WorkspaceId::from_uuid(row.get("workspace_id")?),
        project: ProjectId::from_uuid(row.get("project_id")?),
        slug: row.parse("slug")?,
        name: row.parse("name")?,
        description: row.get("description")?,
        private: row.get("private")?,
        fork_policy: ForkPolicy::parse(&fork_policy)
            .ok_or_else(|| Error::internal("an unknown fork policy"))?,
        language: row.get("language")?,
        has_issues: row.get("has_issues")?,
        has_wiki: row.get("has_wiki")?,
        default_branch: row.get("default_branch")?,
        size_bytes: row.get("size_bytes")?,
        created_on: row.get("created_on")?,
        updated_on: row.get("updated_on")?,
        deleted_on: row.get("deleted_on")?,
    })
}

/// By id, deleted or not.
pub fn find(reader: &mut Reader<'_>, id: RepositoryId) -> Result<Option<Repository>> {
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS).sql(" FROM repository r WHERE r.id = ").bind(id);
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

fn living(
    reader: &mut Reader<'_>,
    workspace: WorkspaceId,
    name: &RepositoryName,
) -> Result<Option<Repository>> {
    let mut query = Query::new("SELECT ");
    query
        .sql(COLUMNS)
        .sql(" FROM repository r WHERE r.deleted_on IS NULL AND r.workspace_id = ")
        .bind(workspace);
    match name {
        RepositoryName::Slug(slug) => query.sql(" AND r.slug = ").bind(slug.as_str()),
        RepositoryName::Id(id) => query.sql(" AND r.id = ").bind(*id),
    };
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// The repository of this name in a workspace that was deleted last and can still be restored.
pub fn deleted(
    reader: &mut Reader<'_>,
    workspace: WorkspaceId,
    name: &RepositoryName,
) -> Result<Option<Repository>> {
    let mut query = Query::new("SELECT ");
    query
        .sql(COLUMNS)
        .sql(" FROM repository r WHERE r.deleted_on IS NOT NULL AND r.workspace_id = ")
        .bind(workspace);
    match name {
        RepositoryName::Slug(slug) => query.sql(" AND r.slug = ").bind(slug.as_str()),
        RepositoryName::Id(id) => query.sql(" AND r.id = ").bind(*id),
    };
    query.sql(" ORDER BY r.deleted_on DESC LIMIT 1");
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// The repository that a request names, with its project and workspace. Former names lead to it. A name is looked up
/// within its workspace only: without a workspace, only an id will do (the contract's empty braces).
pub fn resolve(
    reader: &mut Reader<'_>,
    workspace: Option<&WorkspaceName>,
    name: &RepositoryName,
) -> Result<Option<Located>> {
    let repository = match workspace {
        Some(workspace) => {
            let Some(workspace) = workspace::resolve(reader, workspace)? else { return Ok(None) };
            let found = match living(reader, workspace.id, name)? {
                Some(found) => Some(found),
                None => match name {
                    RepositoryName::Slug(slug) => match redirect::repository(reader, workspace.id, slug)? {
                        // It may have moved to another workspace since.
                        Some(id) => find(reader, id)?.filter(|found| found.deleted_on.is_none()),
                        None => None,
                    },
                    RepositoryName::Id(_) => None,
                },
            };
            match found {
                Some(found) if found.workspace == workspace.id => {
                    return locate_in(reader, found, workspace);
                }
                other => other,
            }
        }
        None => match name {
            RepositoryName::Id(id) => find(reader, *id)?.filter(|found| found.deleted_on.is_none()),
            RepositoryName::Slug(_) => None,
        },
    };
    match repository {
        Some(repository) => locate(reader, repository),
        None => Ok(None),
    }
}

fn locate_in(
    reader: &mut Reader<'_>,
    repository: Repository,
    workspace: Workspace,
) -> Result<Option<Located>> {
    let project = project::find(reader, repository.project)?;
    Ok(project.map(|project| Located { repository, project, workspace }))
}

/// A repository with its living project and workspace.
pub fn locate(reader: &mut Reader<'_>, repository: Repository) -> Result<Option<Located>> {
    let Some(workspace) = workspace::find(reader, repository.workspace)? else { return Ok(None) };
    locate_in(reader, repository, workspace)
}

fn slug_is_free(writer: &mut Writer<'_>, repository: &Repository) -> Result<()> {
    match living(writer, repository.workspace, &RepositoryName::Slug(repository.slug.clone()))? {
        Some(other) if other.id != repository.id => Err(Error::Conflict(format!(
            "the workspace has a repository `{}`: choose another slug",
            repository.slug
        ))),
        _ => Ok(()),
    }
}

fn fits_project(writer: &mut Writer<'_>, repository: &Repository) -> Result<()> {
    let project = project::find(writer, repository.project)?
        .filter(|project| project.workspace == repository.workspace)
        .ok_or_else(|| Error::invalid_field("project", "there is no such project in the workspace"))?;
    if project.private && !repository.private {
        return Err(Error::invalid_field(
            "is_private",
            format!("the project `{}` is private and holds no public repositories", project.key),
        ));
    }
    Ok(())
}

/// Adds a repository; a slug that is in use is a conflict.
pub fn insert(writer: &mut Writer<'_>, repository: &Repository) -> Result<()> {
    slug_is_free(writer, repository)?;
    fits_project(writer, repository)?;
    redirect::forget_repository(writer, repository.workspace, &repository.slug)?;
    writer
        .execute(
            "INSERT INTO repository (id, workspace_id, project_id, slug, name, name_folded, description,
                 description_folded, private, fork_policy, language, has_issues, has_wiki, default_branch, size_bytes,
                 created_on, updated_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
            &[
                repository.id.into(),
                repository.workspace.into(),
                repository.project.into(),
                repository.slug.as_str().into(),
                repository.name.as_str().into(),
                repository.name.folded().into(),
                repository.description.as_str().into(),
                repository.description.to_lowercase().into(),
                repository.private.into(),
                repository.fork_policy.as_str().into(),
                repository.language.as_str().into(),
                repository.has_issues.into(),
                repository.has_wiki.into(),
                repository.default_branch.as_str().into(),
                repository.size_bytes.into(),
                repository.created_on.into(),
                repository.updated_on.into(),
            ],
        )
        .map(drop)
}

/// Writes back what can change about a repository. Its former place becomes a redirect, and its access tokens die
/// when it leaves the workspace.
pub fn update(writer: &mut Writer<'_>, before: &Repository, after: &Repository) -> Result<()> {
    slug_is_free(writer, after)?;
    fits_project(writer, after)?;
    if (before.workspace, &before.slug) != (after.workspace, &after.slug) {
        redirect::forget_repository(writer, after.workspace, &after.slug)?;
        redirect::remember_repository(writer, before.workspace, &before.slug, after.id, after.updated_on)?;
    }
    if before.workspace != after.workspace {
        let resource = Resource::Repository(after.id);
        credential::revoke_bound_to(writer, resource, after.updated_on)?;
        // Grants name members and groups of the workspace it leaves.
        grant::remove_all(writer, resource)?;
    }
    writer
        .execute(
            "UPDATE repository SET workspace_id = $2, project_id = $3, slug = $4, name = $5, name_folded = $6,
                 description = $7, description_folded = $8, private = $9, fork_policy = $10, language = $11,
                 has_issues = $12, has_wiki = $13, default_branch = $14, updated_on = $15
             WHERE id = $1",
            &[
                after.id.into(),
                after.workspace.into(),
                after.project.into(),
                after.slug.as_str().into(),
                after.name.as_str().into(),
                after.name.folded().into(),
                after.description.as_str().into(),
                after.description.to_lowercase().into(),
                after.private.into(),
                after.fork_policy.as_str().into(),
                after.language.as_str().into(),
                after.has_issues.into(),
                after.has_wiki.into(),
                after.default_branch.as_str().into(),
                after.updated_on.into(),
            ],
        )
        .map(drop)
}

/// Marks a repository deleted: it can be restored until the sweep removes it. Its tokens and grants do not come back.
pub fn delete(writer: &mut Writer<'_>, id: RepositoryId, now: Timestamp) -> Result<()> {
    credential::revoke_bound_to(writer, Resource::Repository(id), now)?;
    grant::remove_all(writer, Resource::Repository(id))?;
    writer.execute("UPDATE repository SET deleted_on = $2 WHERE id = $1", &[id.into(), now.into()]).map(drop)
}

/// Brings a deleted repository back under its slug, which is a conflict when the slug has been given anew.
pub fn restore(writer: &mut Writer<'_>, repository: &Repository) -> Result<()> {
    slug_is_free(writer, repository)?;
    fits_project(writer, repository)?;
    writer.execute("UPDATE repository SET deleted_on = NULL WHERE id = $1", &[repository.id.into()]).map(drop)
}

/// Repositories that were deleted before `before`: the sweep's work.
pub fn deleted_before(reader: &mut Reader<'_>, before: Timestamp, limit: i64) -> Result<Vec<Repository>> {
    let mut query = Query::new("SELECT ");
    query
        .sql(COLUMNS)
        .sql(" FROM repository r WHERE r.deleted_on IS NOT NULL AND r.deleted_on < ")
        .bind(before);
    query.sql(" ORDER BY r.deleted_on LIMIT ").bind(limit);
    reader.query(&query)?.iter().map(from_row).collect()
}

/// Notes what a repository takes on disk.
pub fn note_size(books: &mut Bookkeeping<'_>, id: RepositoryId, bytes: i64) -> Result<()> {
    books.execute(Table::RepositorySize, NOTE_SIZE, &[id.into(), bytes.into()]).map(drop)
}

/// Removes what the sweep has removed from disk.
pub fn forget(writer: &mut Writer<'_>, id: RepositoryId) -> Result<()> {
    crate::branch_restriction::forget(writer, id)?;
    crate::environment::forget(writer, id)?;
    crate::pipeline_variable::forget(writer, VariablePlace::Repository(id))?;
    crate::pipeline_config::forget(writer, id)?;
    crate::pipeline_schedule::forget(writer, id)?;
    crate::identity_token::forget(writer, id)?;
    crate::aws_role::forget(writer, id)?;
    crate::dynamic_pipeline::forget(writer, model::DynamicPlace::Repository(id))?;
    crate::commit_status::forget(writer, id)?;
    crate::report::forget(writer, id)?;
    crate::test_report::forget(writer, id)?;
    crate::pipeline_ssh::forget(writer, id)?;
    for sql in [
        "DELETE FROM redirect WHERE kind = 'repository' AND target_id = $1",
        "DELETE FROM push WHERE repository_id = $1",
        "DELETE FROM step_artifact WHERE pipeline_id IN (SELECT id FROM pipeline WHERE repository_id = $1)",
        "DELETE FROM step_lease WHERE step_id IN (SELECT id FROM pipeline_step WHERE repository_id = $1)",
        "DELETE FROM step_approval WHERE step_id IN (SELECT id FROM pipeline_step WHERE repository_id = $1)",
        "DELETE FROM pipeline_step WHERE repository_id = $1",
        "DELETE FROM pipeline_final_configuration WHERE pipeline_id IN (SELECT id FROM pipeline WHERE repository_id = $1)",
        "DELETE FROM pipeline_configuration WHERE pipeline_id IN (SELECT id FROM pipeline WHERE repository_id = $1)",
        "DELETE FROM pipeline WHERE repository_id = $1",
        "DELETE FROM pipeline_cache WHERE repository_id = $1",
        "DELETE FROM runner_contact WHERE runner_id IN (SELECT id FROM runner WHERE resource_id = $1)",
        "DELETE FROM runner WHERE resource_id = $1",
        "DELETE FROM repository WHERE id = $1 AND deleted_on IS NOT NULL",
    ] {
        writer.execute(sql, &[id.into()])?;
    }
    Ok(())
}

/// The columns that a list of repositories can be filtered and sorted by.
pub(crate) const COLUMNS_BY_FIELD: [Column; 19] = [
    Column { field: "uuid", kind: FieldKind::Uuid, sql: "r.id", folded: "r.id" },
    Column { field: "name", kind: FieldKind::Text, sql: "r.name", folded: "r.name_folded" },
    Column { field: "slug", kind: FieldKind::Text, sql: "r.slug", folded: "r.slug" },
    Column {
        field: "full_name",
        kind: FieldKind::Text,
        sql: "(w.slug || '/' || r.slug)",
        folded: "(w.slug || '/' || r.slug)",
    },
    Column {
        field: "description",
        kind: FieldKind::Text,
        sql: "r.description",
        folded: "r.description_folded",
    },
    Column { field: "is_private", kind: FieldKind::Bool, sql: "r.private", folded: "r.private" },
    Column { field: "language", kind: FieldKind::Text, sql: "r.language", folded: "lower(r.language)" },
    Column { field: "size", kind: FieldKind::Number, sql: "r.size_bytes", folded: "r.size_bytes" },
    Column { field: "has_issues", kind: FieldKind::Bool, sql: "r.has_issues", folded: "r.has_issues" },
    Column { field: "has_wiki", kind: FieldKind::Bool, sql: "r.has_wiki", folded: "r.has_wiki" },
    Column { field: "fork_policy", kind: FieldKind::Text, sql: "r.fork_policy", folded: "r.fork_policy" },
    Column {
        field: "mainbranch.name",
        kind: FieldKind::Text,
        sql: "r.default_branch",
        folded: "lower(r.default_branch)",
    },
    Column { field: "created_on", kind: FieldKind::Time, sql: "r.created_on", folded: "r.created_on" },
    Column { field: "updated_on", kind: FieldKind::Time, sql: "r.updated_on", folded: "r.updated_on" },
    Column { field: "project.key", kind: FieldKind::Text, sql: "p.key", folded: "lower(p.key)" },
    Column { field: "project.uuid", kind: FieldKind::Uuid, sql: "p.id", folded: "p.id" },
    Column { field: "project.name", kind: FieldKind::Text, sql: "p.name", folded: "p.name_folded" },
    Column { field: "workspace.slug", kind: FieldKind::Text, sql: "w.slug", folded: "w.slug" },
    Column { field: "workspace.uuid", kind: FieldKind::Uuid, sql: "w.id", folded: "w.id" },
];

/// The same, as the declaration that expressions are checked by.
pub static FIELDS: [(&str, FieldKind); 19] = filter::declared(&COLUMNS_BY_FIELD);

/// Which repositories a list asks for.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// Who looks.
    pub viewer: Principal,
    /// What guardrails close to them.
    pub closed: Closed,
    /// In which workspace; all of them without one.
    pub workspace: Option<WorkspaceId>,
    /// In which project.
    pub project: Option<ProjectId>,
    /// With at least which level.
    pub at_least: AtLeast,
    /// A filter over [`FIELDS`].
    pub filter: Option<Typed>,
    /// An order over [`FIELDS`]; by slug without one.
    pub sort: Option<Sort>,
    /// At most so many.
    pub limit: i64,
    /// After so many.
    pub offset: i64,
}

/// The repositories that a viewer may see, and how many there are.
pub fn list(reader: &mut Reader<'_>, request: &ListRequest) -> Result<(Vec<Located>, i64)> {
    let narrow = |query: &mut Query| -> Result<()> {
        query.sql(
            " FROM repository r JOIN project p ON p.id = r.project_id JOIN workspace w ON w.id = r.workspace_id
             WHERE r.deleted_on IS NULL AND w.deleted_on IS NULL",
        );
        if let Some(workspace) = request.workspace {
            query.sql(" AND r.workspace_id = ").bind(workspace);
        }
        if let Some(project) = request.project {
            query.sql(" AND r.project_id = ").bind(project);
        }
        query.sql(" AND ");
        visibility::repositories(query, request.viewer, request.at_least, &request.closed);
        if let Some(filter) = &request.filter {
            query.sql(" AND ");
            filter::push(query, filter, &COLUMNS_BY_FIELD)?;
        }
        Ok(())
    };
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS);
    narrow(&mut query)?;
    filter::order(&mut query, request.sort, &COLUMNS_BY_FIELD, "r.slug", "r.id")?;
    query.sql(" LIMIT ").bind(request.limit).sql(" OFFSET ").bind(request.offset);
    let rows = reader.query(&query)?;
    let found = rows.iter().map(from_row).collect::<Result<Vec<_>>>()?;
    let mut located = Vec::with_capacity(found.len());
    for repository in found {
        located.extend(locate(reader, repository)?);
    }
    let mut query = Query::new("SELECT count(*) AS n");
    narrow(&mut query)?;
    let size = reader.query_one(&query)?.map_or(Ok(0), |row| row.get("n"))?;
    Ok((located, size))
}
