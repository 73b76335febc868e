//! A project: its repositories.

use axum::http::StatusCode;
use model::Result;
use pages::frame::Way;
use pages::project::ProjectPage;
use service::{AtLeast, REPOSITORY_FIELDS, RepositoryQuery};

use super::home::newest;
use super::repository::row;
use super::{Around, ROWS, now, numbered, page, turned};
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
    let mut frame = Around::of(&cx).frame().titled(project.name.to_string());
    frame.crumbs = vec![Way::new(slug, pages::address::of(&[slug])), Way::new(key, &here).here(true)];
    let shown = ProjectPage {
        frame,
        name: project.name.to_string(),
        key: key.to_owned(),
        private: project.private,
        description: project.description.clone(),
        pages: turned(&cx, &here, number, ROWS, found.values.len(), found.size),
        repositories: found.values.iter().map(|located| row(located, false, now)).collect(),
    };
    page(StatusCode::OK, &shown)
}
