//! A repository: how to clone it, what lies in it, what it says of itself.

use axum::http::StatusCode;
use model::{Error, Result, Timestamp};
use pages::code::Content;
use pages::frame::Pages;
use pages::measure::Moment;
use pages::repository::{Readme, RepositoryPage, RepositoryRow};
use pages::{Markup, markdown};
use service::{Entry, EntryKind, Located, RefKind, SourceAt};

use super::commit::line;
use super::source::{self, Place};
use super::{RepositoryTab, head, now, page, project, repository_frame, repository_path};
use crate::http::{Cx, Response};

/// What a repository's own account of itself may be called, the best first.
const READMES: &[&str] =
    &["readme.md", "readme.markdown", "readme.mkd", "readme", "readme.txt", "readme.rst"];

/// A repository in a list.
pub(super) fn row(located: &Located, whole_name: bool, now: Timestamp) -> RepositoryRow {
    let (workspace, repository) = (located.workspace.slug.as_str(), &located.repository);
    RepositoryRow {
        href: pages::address::of(&[workspace, repository.slug.as_str()]),
        name: match whole_name {
            true => format!("{workspace}/{}", repository.slug),
            false => repository.slug.to_string(),
        },
        description: repository.description.chars().take(200).collect(),
        project: located.project.key.to_string(),
        project_href: project::address(workspace, located.project.key.as_str()),
        private: repository.private,
        updated: Moment::of(repository.updated_on, now),
    }
}

/// `GET /{workspace}/{repo_slug}`
///
/// # Errors
/// When there is none that the caller may see.
pub async fn get(cx: Cx) -> Result<Response> {
    let (service, path) = (cx.service()?, repository_path(&cx)?);
    let located = service.repository(&cx.caller, &path).await?;
    let (workspace, slug) = (located.workspace.slug.as_str(), located.repository.slug.as_str());
    let branch = located.repository.default_branch.clone();
    let clone = wire::Base::new(&cx.app.settings.base_url).clone_https(workspace, slug).href;
    let title = format!("{workspace}/{slug}");
    let mut shown = RepositoryPage {
        frame: repository_frame(&cx, &located, &title, RepositoryTab::Source).await,
        head: head(&located),
        clone,
        branches_href: pages::address::of(&[workspace, slug, "branches"]),
        commit: None,
        parent: None,
        entries: Vec::new(),
        pages: Pages::default(),
        readme: None,
        branch: branch.clone(),
    };
    let tip = match service.git_ref(&cx.caller, &path, RefKind::Branches, &branch).await {
        Ok(found) => found,
        Err(Error::NotFound { .. }) => return page(StatusCode::OK, &shown),
        Err(other) => return Err(other),
    };
    let Some(tip_ref) = tip.listing.values.first() else { return page(StatusCode::OK, &shown) };
    shown.commit = Some(line(&located, &tip_ref.commit, &tip.people, now(&cx)));
    let root = service.root_of(&cx.caller, &path, &tip_ref.commit.id).await?;
    let place = Place { workspace, slug, revision: &branch };
    let listed = source::list(&cx, &root, place).await?;
    (shown.entries, shown.pages) = (listed.rows, listed.pages);
    if let Some(entry) = readme(&listed.entries) {
        let name = String::from_utf8_lossy(&entry.path).into_owned();
        shown.readme = described(&root.at(entry), &name, place).await?;
    }
    page(StatusCode::OK, &shown)
}

fn readme(entries: &[Entry]) -> Option<&Entry> {
    let rank = |entry: &Entry| {
        let name = String::from_utf8_lossy(&entry.path).to_lowercase();
        let plain = matches!(entry.kind, EntryKind::File { .. });
        READMES.iter().position(|known| plain && *known == name)
    };
    entries
        .iter()
        .filter_map(|entry| Some((rank(entry)?, entry)))
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, entry)| entry)
}

async fn described(file: &SourceAt, name: &str, place: Place<'_>) -> Result<Option<Readme>> {
    let bytes = source::bounded(file, markdown::LONGEST).await?;
    if bytes.len() > markdown::LONGEST {
        return Ok(None);
    }
    let Content::Lines(lines) = Content::of(&bytes) else { return Ok(None) };
    let text = lines.lines.join("\n");
    let lower = name.to_lowercase();
    let base = [place.workspace, place.slug, "src", place.revision];
    let html = match [".md", ".markdown", ".mkd"].iter().any(|ending| lower.ends_with(ending)) {
        true => {
            let text = text.clone();
            let base = base.map(str::to_owned);
            let rendered = tokio::task::spawn_blocking(move || {
                let base = base.each_ref().map(String::as_str);
                markdown::render(&text, markdown::Place { base: &base, directory: "" })
            });
            rendered.await.map_err(Error::internal)?
        }
        false => None,
    };
    let href = pages::address::with_path(&base, name.as_bytes());
    Ok(Some(Readme { name: name.to_owned(), href, html: html.unwrap_or_else(Markup::default), text }))
}
