//! What I can access, and why: workspaces and projects, and the repositories a part at a time.

use axum::http::StatusCode;
use model::{Action, Result};
use pages::measure::Moment;
use pages::own_access::{OwnAccessPage, ReachGroup, ReachRow};
use service::{AtLeast, Reach, RepositoryQuery, Window};

use super::account::{Section, frame};
use super::{ROWS, now, numbered, page, project, turned};
use crate::http::{Cx, Response};

/// The most workspaces, and the most projects of one, that are shown.
const MOST: Window = Window { limit: 200, offset: 0 };

/// Something to be explained: as questions name it, as people do, and where it is.
struct Named {
    asked: String,
    name: String,
    href: String,
}

/// `GET /account/access`
///
/// # Errors
/// When nobody is signed in.
pub async fn get(cx: Cx) -> Result<Response> {
    let (number, window) = numbered(&cx, ROWS)?;
    let service = cx.service()?;
    let (mut workspaces, mut projects) = (Vec::new(), Vec::new());
    for (workspace, _) in service.own_workspaces(&cx.caller, MOST).await?.values {
        let slug = workspace.slug.as_str();
        let (_, found) = service.projects(&cx.caller, slug, None, None, MOST).await?;
        projects.extend(found.values.iter().map(|found| Named {
            asked: format!("project:{slug}/{}", found.key),
            name: format!("{slug}/{}", found.key),
            href: project::address(slug, found.key.as_str()),
        }));
        workspaces.push(Named {
            asked: format!("workspace:{slug}"),
            name: slug.to_owned(),
            href: pages::address::of(&[slug]),
        });
    }
    // What break-glass opens is told by the workspace: to list what lies in it is to read it, which would be recorded.
    for one in service.own_break_glass(&cx.caller).await? {
        let slug = one.workspace_slug.as_str();
        let asked = format!("workspace:{slug}");
        if !workspaces.iter().any(|known| known.asked == asked) {
            workspaces.push(Named { asked, name: slug.to_owned(), href: pages::address::of(&[slug]) });
        }
    }
    let query = RepositoryQuery { workspace: None, at_least: AtLeast::Read, filter: None, sort: None };
    let found = service.repositories(&cx.caller, query, window).await?;
    let pages = turned(&cx, "/account/access", number, ROWS, found.values.len(), found.size);
    let repositories = found.values.iter().map(|located| {
        let (workspace, slug) = (located.workspace.slug.as_str(), located.repository.slug.as_str());
        Named {
            asked: format!("repository:{workspace}/{slug}"),
            name: format!("{workspace}/{slug}"),
            href: pages::address::of(&[workspace, slug]),
        }
    });
    let groups = [
        ("Workspaces", "Workspace", workspaces),
        ("Projects", "Project", projects),
        ("Repositories", "Repository", repositories.collect()),
    ];
    let mut shown = OwnAccessPage {
        frame: frame(&cx, "What I can access", Section::OwnAccess),
        groups: Vec::with_capacity(groups.len()),
        pages,
    };
    for (heading, one, named) in groups {
        shown.groups.push(ReachGroup { heading, one, rows: rows(&cx, named).await? });
    }
    page(StatusCode::OK, &shown)
}

async fn rows(cx: &Cx, named: Vec<Named>) -> Result<Vec<ReachRow>> {
    let asked: Vec<String> = named.iter().map(|one| one.asked.clone()).collect();
    let found = cx.service()?.own_access(&cx.caller, &asked).await?;
    let now = now(cx);
    let row = |(one, reach): (Named, Option<Reach>)| {
        let reach = reach?;
        Some(ReachRow {
            name: one.name,
            href: one.href,
            level: match (reach.action, reach.until) {
                (Action::WorkspaceRead, Some(_)) => "See it and read what lies in it",
                (action, _) => level(action),
            },
            paths: reach.paths.iter().map(|path| path.join(" ")).collect(),
            until: reach.until.map(|until| Moment::of(until, now)),
        })
    };
    Ok(named.into_iter().zip(found).filter_map(row).collect())
}

/// A level in words.
fn level(action: Action) -> &'static str {
    match action {
        Action::WorkspaceAdmin => "Everything in it",
        Action::ProjectCreate => "See it and create projects",
        Action::WorkspaceRead | Action::ProjectRead => "See it",
        Action::ProjectAdmin | Action::RepositoryAdmin => "Administer it",
        Action::RepositoryCreate => "See it and create repositories",
        Action::RepositoryWrite => "Read and push",
        _ => "Read",
    }
}
