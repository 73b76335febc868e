//! A project: its repositories.

use axum::http::StatusCode;
use model::{Action, Result};
use pages::project::ProjectPage;
use service::{AtLeast, Named, REPOSITORY_FIELDS, RepositoryQuery};

use super::home::newest;
use super::repository::row;
use super::{ROWS, may, now, numbered, page, settings, turned};
use crate::http::{Cx, Response};

/// A project's page: the address that the published interface gives for it.
pub(super) fn address(workspace: &str, key: &str) -> String {
    pages::address::of(&[workspace, "workspace", "projects", key])
}

/// `GET /{workspace}/workspace/projects/{project_key}`
///
/// # Errors
/// When there is none that the caller may see.
pub async fn get(cx: Cx) -> Result<Response> {
    let (number, window) = numbered(&cx, ROWS)?;
    let service = cx.service()?;
    let (workspace, project) =
        service.project(&cx.caller, cx.param("workspace"), cx.param("project_key")).await?;
    let (slug, key) = (workspace.slug.as_str(), project.key.as_str());
    let filter = wire::query::parse(&format!("project.key = \"{key}\""))?;
    let query = RepositoryQuery {
        workspace: Some(slug.to_owned()),
        at_least: AtLeast::Visible,
        filter: Some(wire::query::check(&filter, &REPOSITORY_FIELDS)?),
        sort: newest(),
    };
    let found = service.repositories(&cx.caller, query, window).await?;
    let here = address(slug, key);
    let now = now(&cx);
    let may_create = may(&cx, Action::RepositoryCreate, Named::Project(slug, key)).await;
    let new = pages::address::of(&[slug, "workspace", "new-repository"]);
    let shown = ProjectPage {
        frame: settings::project_frame(&cx, slug, key, project.name.as_str(), None).await,
        new_repository: may_create.then(|| pages::address::with_query(&new, "project", key)),
        name: project.name.to_string(),
        key: key.to_owned(),
        private: project.private,
        description: project.description.clone(),
        pages: turned(&cx, &here, number, ROWS, found.values.len(), found.size),
        repositories: found.values.iter().map(|located| row(located, false, now)).collect(),
    };
    page(StatusCode::OK, &shown)
}
