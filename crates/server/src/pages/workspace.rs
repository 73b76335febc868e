//! A workspace: its repositories and projects.

use axum::http::StatusCode;
use model::{Action, Result};
use pages::workspace::{ProjectRow, WorkspacePage};
use service::{AtLeast, Named, RepositoryQuery, Window};

use super::home::newest;
use super::repository::row;
use super::{ROWS, WorkspaceTab, may_each, now, numbered, page, project, turned, workspace_frame};
use crate::http::{Cx, Response};

/// The most projects that are shown.
const MOST_PROJECTS: i64 = 200;

/// `GET /{workspace}`
///
/// # Errors
/// When there is nothing in it that the caller may see.
pub async fn get(cx: Cx) -> Result<Response> {
    let (number, window) = numbered(&cx, ROWS)?;
    let service = cx.service()?;
    let named = cx.param("workspace");
    let all = Window { limit: MOST_PROJECTS, offset: 0 };
    let (workspace, projects) = service.projects(&cx.caller, named, None, None, all).await?;
    let query = RepositoryQuery {
        workspace: Some(named.to_owned()),
        at_least: AtLeast::Visible,
        filter: None,
        sort: newest(),
    };
    let found = service.repositories(&cx.caller, query, window).await?;
    let slug = workspace.slug.as_str();
    let here = pages::address::of(&[slug]);
    let now = now(&cx);
    let name = workspace.name.to_string();
    let may = may_each(&cx, &[Action::WorkspaceRead, Action::ProjectCreate], Named::Workspace(slug)).await;
    let at = |part: &str| pages::address::of(&[slug, "workspace", part]);
    let base = &cx.app.settings.base_url;
    let shown = WorkspacePage {
        frame: workspace_frame(&cx, slug, &name, WorkspaceTab::Overview).await,
        pages: turned(&cx, &here, number, ROWS, found.values.len(), found.size),
        repositories: found.values.iter().map(|located| row(located, false, now)).collect(),
        projects: projects
            .values
            .into_iter()
            .map(|project| ProjectRow {
                href: project::address(slug, project.key.as_str()),
                name: project.name.to_string(),
                key: project.key.to_string(),
                private: project.private,
            })
            .collect(),
        new_repository: may.first().is_some_and(|may| *may).then(|| at("new-repository")),
        new_project: may.get(1).is_some_and(|may| *may).then(|| at("new-project")),
        create_command: format!(
            "curl -u USERNAME:APP_PASSWORD --json '{{\"scm\":\"git\"}}' {base}/2.0/repositories/{slug}/REPOSITORY"
        ),
        name,
    };
    page(StatusCode::OK, &shown)
}
