//! Branches and tags.

use axum::http::StatusCode;
use model::Result;
use pages::git_ref::{RefRow, RefsPage};
use service::{RefKind, RefQuery};
use wire::Sort;

use super::commit::line;
use super::{ROWS, RepositoryTab, now, numbered, page, repository_frame, repository_path, turned};
use crate::http::{Cx, Response};

/// `GET /{workspace}/{repo_slug}/branches`
///
/// # Errors
/// When there is no such repository that the caller may see.
pub async fn branches(cx: Cx) -> Result<Response> {
    list(cx, RefKind::Branches).await
}

/// `GET /{workspace}/{repo_slug}/tags`
///
/// # Errors
/// When there is no such repository that the caller may see.
pub async fn tags(cx: Cx) -> Result<Response> {
    list(cx, RefKind::Tags).await
}

async fn list(cx: Cx, kind: RefKind) -> Result<Response> {
    let (number, window) = numbered(&cx, ROWS)?;
    let sort = Some(Sort { field: "target.date", descending: true });
    let query = RefQuery { kind: Some(kind), filter: None, sort };
    let found = cx.service()?.refs(&cx.caller, &repository_path(&cx)?, query, window).await?;
    let located = &found.located;
    let (workspace, slug) = (located.workspace.slug.as_str(), located.repository.slug.as_str());
    let (heading, segment, tab) = match kind {
        RefKind::Branches => ("Branches", "branches", RepositoryTab::Branches),
        RefKind::Tags => ("Tags", "tags", RepositoryTab::Tags),
    };
    let (empty_text, empty_command) = match kind {
        RefKind::Branches => {
            ("Branches will stand here. The first push makes one.", "git push -u origin HEAD")
        }
        RefKind::Tags => (
            "Tags will stand here. These commands make one and push it.",
            "git tag -a v1.0 -m \"Version 1.0\" && git push origin v1.0",
        ),
    };
    let now = now(&cx);
    let rows = found.listing.values.iter().map(|one| RefRow {
        name: one.name.clone(),
        href: pages::address::of(&[workspace, slug, "src", &one.name]),
        history: pages::address::with_query(
            &pages::address::of(&[workspace, slug, "commits"]),
            "at",
            &one.name,
        ),
        main: kind == RefKind::Branches && one.name == located.repository.default_branch,
        protected: one.protected,
        commit: line(located, &one.commit, &found.people, now),
    });
    let here = pages::address::of(&[workspace, slug, segment]);
    let title = format!("{heading} - {workspace}/{slug}");
    let shown = RefsPage {
        refs: rows.collect(),
        frame: repository_frame(&cx, located, &title, tab).await,
        heading,
        empty_text,
        empty_command,
        pages: turned(&cx, &here, number, ROWS, found.listing.values.len(), found.listing.size),
    };
    page(StatusCode::OK, &shown)
}
