//! Repositories: their facts.

use axum::http::StatusCode;
use model::{Error, ForkPolicy, RepositorySlug, Result};
use service::{
    AtLeast, Changed, Located, NewRepository, ProjectName, REPOSITORY_FIELDS, RepositoryChange,
    RepositoryQuery, project_name,
};
use wire::repository::{ProjectReference, RepositoryInput};

use super::{Shape, list_request, located as with_location, optional_json, page, repository_path, send};
use crate::http::{Cx, Response, answer};

/// `GET /2.0/repositories/{workspace}`
///
/// # Errors
/// When the caller may see nothing of the workspace.
pub async fn list(cx: Cx) -> Result<Response> {
    let (request, window) = list_request(&cx)?;
    let workspace = cx.param("workspace");
    let query = RepositoryQuery {
        workspace: Some(workspace.to_owned()),
        at_least: role(cx.query.get("role")?)?,
        filter: cx.filter(&REPOSITORY_FIELDS)?,
        sort: cx.sort(&REPOSITORY_FIELDS)?,
    };
    let list = cx.service()?.repositories(&cx.caller, query, window).await?;
    let shape = Shape::of(&cx);
    let here = shape.api(&["repositories", workspace]);
    let page = page(&cx, &request, list, &here, |located| shape.repository_in_full(&located));
    send(&cx, StatusCode::OK, &page)
}

fn role(word: Option<&str>) -> Result<AtLeast> {
    match word {
        None | Some("") => Ok(AtLeast::Visible),
        Some("member") => Ok(AtLeast::Read),
        Some("contributor") => Ok(AtLeast::Write),
        Some("admin") => Ok(AtLeast::Admin),
        Some("owner") => Ok(AtLeast::Owner),
        Some(_) => Err(Error::invalid_field("role", "use one of `member`, `contributor`, `admin`, `owner`")),
    }
}

/// `GET /2.0/repositories/{workspace}/{repo_slug}`
///
/// # Errors
/// When the caller may not see it.
pub async fn get(cx: Cx) -> Result<Response> {
    let located = cx.service()?.repository(&cx.caller, &repository_path(&cx)?).await?;
    send(&cx, StatusCode::OK, &Shape::of(&cx).repository_in_full(&located))
}

/// `POST /2.0/repositories/{workspace}/{repo_slug}`: 200, as the contract has it.
///
/// # Errors
/// When the caller may not make one there, or the name is taken: both 400, as the contract has it.
pub async fn create(mut cx: Cx) -> Result<Response> {
    let body = input(&mut cx).await?;
    make(&mut cx, StatusCode::OK, body).await
}

async fn input(cx: &mut Cx) -> Result<RepositoryInput> {
    let body: RepositoryInput = optional_json(cx).await?;
    match body.scm.as_deref() {
        None | Some("" | "git") => Ok(body),
        Some(_) => Err(Error::invalid_field("scm", "only `git` is kept here")),
    }
}

async fn make(cx: &mut Cx, status: StatusCode, body: RepositoryInput) -> Result<Response> {
    let segment = cx.param("repo_slug");
    let slug: RepositorySlug =
        model::name::slug_from(segment).parse().map_err(|problem| Error::invalid_field("slug", problem))?;
    let private = body.is_private.unwrap_or(true);
    let policy = if private { ForkPolicy::NoPublicForks } else { ForkPolicy::AllowForks };
    let new = NewRepository {
        slug,
        name: body.name.or_else(|| segment.parse().ok()),
        project: body.project.as_ref().map(named_project).transpose()?,
        description: body.description.unwrap_or_default(),
        private,
        fork_policy: body.fork_policy.unwrap_or(policy),
        language: body.language.unwrap_or_default(),
        has_issues: body.has_issues.unwrap_or(false),
        has_wiki: body.has_wiki.unwrap_or(false),
        default_branch: body.mainbranch.map(|branch| branch.name),
    };
    let made = cx.service()?.create_repository(&cx.caller, cx.param("workspace"), new).await;
    let made = made.map_err(|error| match error {
        Error::Forbidden { message, .. } => Error::invalid(message),
        Error::Conflict(message) => Error::invalid_field("slug", message),
        other => other,
    })?;
    answer_located(cx, status, &made)
}

/// The repository, with its address.
fn answer_located(cx: &Cx, status: StatusCode, located: &Located) -> Result<Response> {
    let shape = Shape::of(cx);
    let response = send(cx, status, &shape.repository_in_full(located))?;
    with_location(response, &shape.below(located, &[]))
}

/// By id where there is one. The contract also puts an id where the key stands.
fn named_project(reference: &ProjectReference) -> Result<ProjectName> {
    let odd = || Error::invalid_field("project", "name it by `key` or `uuid`");
    match (&reference.uuid, &reference.key) {
        (Some(id), _) => id.parse().map(ProjectName::Id).map_err(|_| odd()),
        (None, Some(key)) => project_name(key).ok_or_else(odd),
        (None, None) => Err(odd()),
    }
}

/// `PUT /2.0/repositories/{workspace}/{repo_slug}`: changes it, or makes it.
///
/// # Errors
/// When the caller may neither change it nor make it.
pub async fn put(mut cx: Cx) -> Result<Response> {
    let body = input(&mut cx).await?;
    let path = repository_path(&cx)?;
    let wanted = body.clone();
    let change = RepositoryChange {
        name: body.name,
        project: body.project.as_ref().map(named_project).transpose()?,
        description: body.description,
        private: body.is_private,
        fork_policy: body.fork_policy,
        language: body.language,
        has_issues: body.has_issues,
        has_wiki: body.has_wiki,
        default_branch: body.mainbranch.map(|branch| branch.name),
        ..RepositoryChange::default()
    };
    let by_id = cx.param("repo_slug").starts_with('{');
    match cx.service()?.update_repository(&cx.caller, &path, change).await {
        Ok(Changed::Done(located)) if by_id || located.repository.slug.as_str() == cx.param("repo_slug") => {
            send(&cx, StatusCode::OK, &Shape::of(&cx).repository_in_full(&located))
        }
        Ok(Changed::Done(moved)) => answer_located(&cx, StatusCode::OK, &moved),
        Ok(Changed::Absent(absent)) if by_id => Err(absent),
        Ok(Changed::Absent(_)) => make(&mut cx, StatusCode::CREATED, wanted).await,
        Err(Error::Conflict(message)) => Err(Error::invalid_field("name", message)),
        Err(other) => Err(other),
    }
}

/// `DELETE /2.0/repositories/{workspace}/{repo_slug}`
///
/// # Errors
/// When the caller may not.
pub async fn delete(cx: Cx) -> Result<Response> {
    cx.service()?.delete_repository(&cx.caller, &repository_path(&cx)?).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
