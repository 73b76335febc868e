//! The first page, and the search for repositories.

use axum::http::StatusCode;
use model::{Action, Result, WorkspacePermission};
use pages::home::{HomePage, SearchPage, WorkspaceRow};
use service::{AtLeast, Named, REPOSITORY_FIELDS, RepositoryQuery, Window};
use wire::Sort;

use super::repository::row;
use super::{Around, ROWS, may, now, numbered, page, see_other, settings, turned};
use crate::http::{Cx, Response};

/// The most workspaces that are shown.
const MOST_WORKSPACES: i64 = 200;

/// The longest text that is looked for, in characters.
const LONGEST_QUERY: usize = 100;

/// `GET /`
///
/// # Errors
/// When the page's number cannot be read.
pub async fn get(cx: Cx) -> Result<Response> {
    // Whom nobody has approved yet reaches nothing but their own page, which says so.
    if cx.caller.as_user().is_some_and(|user| !user.approved) {
        return see_other("/account");
    }
    let (number, window) = numbered(&cx, ROWS)?;
    let workspaces = match cx.caller.as_user() {
        None => None,
        Some(_) => {
            let window = Window { limit: MOST_WORKSPACES, offset: 0 };
            let own = cx.service()?.own_workspaces(&cx.caller, window).await?;
            Some(
                own.values
                    .into_iter()
                    .map(|(workspace, level)| WorkspaceRow {
                        href: pages::address::of(&[workspace.slug.as_str()]),
                        name: workspace.name.to_string(),
                        slug: workspace.slug.to_string(),
                        role: role(level).to_owned(),
                    })
                    .collect(),
            )
        }
    };
    let query = RepositoryQuery { workspace: None, at_least: AtLeast::Visible, filter: None, sort: newest() };
    let found = cx.service()?.repositories(&cx.caller, query, window).await?;
    let pages = turned(&cx, "/", number, ROWS, found.values.len(), found.size);
    let now = now(&cx);
    let title = if workspaces.is_some() { "Workspaces" } else { "Public repositories" };
    let may_create = may(&cx, Action::WorkspaceCreate, Named::Instance).await;
    let shown = HomePage {
        new_workspace: may_create.then_some("/-/new-workspace"),
        instance: settings::instance_entrance(&cx).await,
        frame: Around::of(&cx).frame().titled(title),
        workspaces,
        repositories: found.values.iter().map(|located| row(located, true, now)).collect(),
        pages,
    };
    page(StatusCode::OK, &shown)
}

/// What a member is, in words.
pub(super) fn role(level: WorkspacePermission) -> &'static str {
    match level {
        WorkspacePermission::Owner => "Owner: may do everything in it",
        WorkspacePermission::CreateProject => "Member who may create projects",
        WorkspacePermission::Member => "Member",
    }
}

/// The last changed first.
pub(super) fn newest() -> Option<Sort> {
    Some(Sort { field: "updated_on", descending: true })
}

/// `GET /search?q=`
///
/// # Errors
/// When the page's number cannot be read.
pub async fn search(cx: Cx) -> Result<Response> {
    let (number, window) = numbered(&cx, ROWS)?;
    let query: String = cx.query.get("q")?.unwrap_or_default().trim().chars().take(LONGEST_QUERY).collect();
    let mut shown = SearchPage {
        frame: Around::of(&cx).frame().titled("Find a repository"),
        query,
        repositories: Vec::new(),
        pages: pages::frame::Pages::default(),
    };
    if !shown.query.is_empty() {
        let text: String =
            shown.query.chars().filter(|c| !matches!(c, '"' | '\\') && !c.is_control()).collect();
        let filter = wire::query::parse(&format!("name ~ \"{text}\" OR full_name ~ \"{text}\""))?;
        let filter = wire::query::check(&filter, &REPOSITORY_FIELDS)?;
        let query = RepositoryQuery {
            workspace: None,
            at_least: AtLeast::Visible,
            filter: Some(filter),
            sort: newest(),
        };
        let found = cx.service()?.repositories(&cx.caller, query, window).await?;
        shown.pages = turned(&cx, "/search", number, ROWS, found.values.len(), found.size);
        let now = now(&cx);
        shown.repositories = found.values.iter().map(|located| row(located, true, now)).collect();
    }
    page(StatusCode::OK, &shown)
}
