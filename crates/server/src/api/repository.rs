//! What the published interface has no words for about repositories: bringing back what was deleted, and moving.

use axum::http::StatusCode;
use model::{Error, Result};
use service::{Located, RepositoryPath, project_name};
use wire::account::{Account, Team};
use wire::api::Transfer;
use wire::git_ref::Branch;
use wire::project::Project;
use wire::repository::{Repository, RepositoryDetail};
use wire::workspace::Workspace;
use wire::{Base, DateTime};

use super::admitted;
use crate::http::{Cx, Response, answer};

fn path(cx: &Cx) -> Result<RepositoryPath> {
    RepositoryPath::parse(cx.param("workspace"), cx.param("repo_slug"))
}

/// `POST /api/repositories/{workspace}/{repo_slug}/restore`
///
/// # Errors
/// When the caller may not, nothing of this name was deleted, or the name is taken again.
pub async fn restore(cx: Cx) -> Result<Response> {
    let located = admitted(&cx)?.restore_repository(&cx.caller, &path(&cx)?).await?;
    answer::json(StatusCode::OK, &shape(&cx, located))
}

/// `POST /api/repositories/{workspace}/{repo_slug}/transfer`
///
/// # Errors
/// When the caller may not, here or there, or the body is not what it must be.
pub async fn transfer(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: Transfer = cx.json().await?;
    let project = project_name(&body.project)
        .ok_or_else(|| Error::invalid_field("project", "not a project's key or id"))?;
    let service = cx.service()?;
    let located =
        service.transfer_repository(&cx.caller, &path(&cx)?, body.workspace.as_deref(), project).await?;
    answer::json(StatusCode::OK, &shape(&cx, located))
}

/// The published interface's full form.
fn shape(cx: &Cx, located: Located) -> Repository {
    let base = Base::new(&cx.app.settings.base_url);
    let Located { repository, project, workspace } = located;
    let slug = workspace.slug.as_str();
    let detail = RepositoryDetail {
        slug: repository.slug.to_string(),
        description: repository.description,
        scm: "git",
        owner: Account::Team(Team::new(&base, workspace.id, slug, workspace.name.to_string())),
        workspace: Workspace::new(&base, workspace.id, slug.to_owned(), workspace.name.to_string()),
        project: Project::new(&base, slug, project.id, project.key.to_string(), project.name.to_string()),
        parent: None,
        is_private: repository.private,
        fork_policy: repository.fork_policy.as_str(),
        mainbranch: Some(Branch::named(repository.default_branch)),
        size: u64::try_from(repository.size_bytes).unwrap_or(0),
        language: repository.language,
        has_issues: repository.has_issues,
        has_wiki: repository.has_wiki,
        created_on: DateTime::from(repository.created_on),
        updated_on: DateTime::from(repository.updated_on),
    };
    let name = repository.name.to_string();
    Repository::new(&base, slug, repository.id, repository.slug.as_str(), name).detailed(&base, detail)
}
