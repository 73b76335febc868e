//! Directories and files at a revision.

use axum::http::StatusCode;
use bytes::Bytes;
use futures_util::StreamExt;
use model::{Error, Result};
use pages::code::{Content, LARGEST};
use pages::frame::{Pages, Way};
use pages::source::{EntryRow, FilePage, TreePage};
use service::{Entry, EntryKind, Located, SourceAt, attributes};
use wire::Sort;

use super::{RepositoryTab, head, numbered, page, repository_frame, repository_path, see_other, turned};
use crate::http::{Cx, Response};
use crate::rest;

/// How many entries of a directory are on a page.
const ENTRIES: i64 = 250;

/// What the addresses of a repository's files begin with.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) workspace: &'a str,
    pub(super) slug: &'a str,
    pub(super) revision: &'a str,
}

impl Place<'_> {
    fn of(self, what: &str, path: &[u8]) -> String {
        pages::address::with_path(&[self.workspace, self.slug, what, self.revision], path)
    }
}

/// A part of a directory.
pub(super) struct Listed {
    pub(super) entries: Vec<Entry>,
    pub(super) rows: Vec<EntryRow>,
    pub(super) pages: Pages,
}

/// A part of a directory, directories first.
pub(super) async fn list(cx: &Cx, found: &SourceAt, place: Place<'_>) -> Result<Listed> {
    let (number, window) = numbered(cx, ENTRIES)?;
    let sort = Sort { field: "type", descending: false };
    let listed = found.entries(1, None, Some(sort), window).await?;
    let here = place.of("src", found.path().as_bytes());
    let pages = turned(cx, &here, number, ENTRIES, listed.values.len(), listed.size);
    let rows = listed.values.iter().map(|entry| row(entry, place)).collect();
    Ok(Listed { entries: listed.values, rows, pages })
}

fn row(entry: &Entry, place: Place<'_>) -> EntryRow {
    let name = entry.path.rsplit(|byte| *byte == b'/').next().unwrap_or(&entry.path);
    EntryRow {
        href: place.of("src", &entry.path),
        name: String::from_utf8_lossy(name).into_owned(),
        directory: entry.kind == EntryKind::Directory,
        size: entry.size.map(pages::measure::size).unwrap_or_default(),
        remark: attributes(entry.kind).join(", "),
    }
}

/// The beginning of a file, one byte longer than `limit` at most.
pub(super) async fn bounded(found: &SourceAt, limit: usize) -> Result<Vec<u8>> {
    let mut stream = found.content().await?;
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece: Bytes = piece.map_err(Error::internal)?;
        let left = limit.saturating_add(1).saturating_sub(bytes.len());
        bytes.extend_from_slice(piece.get(..left.min(piece.len())).unwrap_or_default());
        if bytes.len() > limit {
            break;
        }
    }
    Ok(bytes)
}

/// `GET /{workspace}/{repo_slug}/src`: leads to the root of the main branch.
///
/// # Errors
/// When there is none that the caller may see.
pub async fn root(cx: Cx) -> Result<Response> {
    let located = cx.service()?.repository(&cx.caller, &repository_path(&cx)?).await?;
    see_other(&pages::address::of(&[located.workspace.slug.as_str(), located.repository.slug.as_str()]))
}

/// `GET /{workspace}/{repo_slug}/branch/{name}`: leads to the root of a branch.
///
/// # Errors
/// When there is no such repository that the caller may see.
pub async fn branch(cx: Cx) -> Result<Response> {
    let located = cx.service()?.repository(&cx.caller, &repository_path(&cx)?).await?;
    let (workspace, slug) = (located.workspace.slug.as_str(), located.repository.slug.as_str());
    see_other(&pages::address::of(&[workspace, slug, "src", cx.param("name")]))
}

/// `GET /{workspace}/{repo_slug}/src/{commit}/{path}`
///
/// # Errors
/// When there is nothing, or the caller may not see the repository.
pub async fn get(cx: Cx) -> Result<Response> {
    let revision = cx.param("commit").to_owned();
    let found = cx.service()?.source(&cx.caller, &repository_path(&cx)?, &revision, cx.param("path")).await?;
    let located = found.located.clone();
    let place = Place {
        workspace: located.workspace.slug.as_str(),
        slug: located.repository.slug.as_str(),
        revision: &revision,
    };
    match &found.entry {
        Some(entry) if !found.is_directory() => file(&cx, &found, entry, &located, place).await,
        _ => directory(&cx, &found, &located, place).await,
    }
}

/// `GET /{workspace}/{repo_slug}/raw/{commit}/{path}`: the file itself, to be kept rather than run.
///
/// # Errors
/// When there is no such file, or the caller may not see the repository.
pub async fn raw(cx: Cx) -> Result<Response> {
    let found = cx
        .service()?
        .source(&cx.caller, &repository_path(&cx)?, cx.param("commit"), cx.param("path"))
        .await?;
    match &found.entry {
        Some(entry) if !found.is_directory() => rest::source::content(&cx.headers, &found, entry).await,
        _ => Err(Error::not_found("the file")),
    }
}

/// The way from the root: every directory, the last part being where one is.
fn trail(place: Place<'_>, path: &str) -> Vec<Way> {
    let mut trail = vec![Way::new(place.slug, place.of("src", b"")).here(path.is_empty())];
    let mut at = String::new();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    for (index, part) in parts.iter().enumerate() {
        at = format!("{at}/{part}");
        trail.push(Way::new(*part, place.of("src", at.as_bytes())).here(index + 1 == parts.len()));
    }
    trail
}

/// What a directory's and a file's page have alike.
struct Here {
    path: String,
    permalink: Option<String>,
    history: String,
    trail: Vec<Way>,
}

fn here(found: &SourceAt, place: Place<'_>) -> Here {
    let (path, commit) = (found.path(), found.commit.as_str());
    let lasting = Place { revision: commit, ..place };
    let history = pages::address::of(&[place.workspace, place.slug, "commits"]);
    let history = pages::address::with_query(&history, "at", place.revision);
    Here {
        permalink: (place.revision != commit).then(|| lasting.of("src", path.as_bytes())),
        history: if path.is_empty() { history } else { pages::address::with_query(&history, "path", &path) },
        trail: trail(place, &path),
        path,
    }
}

/// A revision as people say it: a commit's whole name is too long.
fn short(revision: &str) -> String {
    let hash = revision.len() >= 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hash { revision.chars().take(12).collect() } else { revision.to_owned() }
}

async fn directory(cx: &Cx, found: &SourceAt, located: &Located, place: Place<'_>) -> Result<Response> {
    let listed = list(cx, found, place).await?;
    let Here { path, permalink, history, trail } = here(found, place);
    let title =
        format!("{}/{path} at {} - {}/{}", place.slug, short(place.revision), place.workspace, place.slug);
    let above = path.rsplit_once('/').map_or("", |(above, _)| above);
    let shown = TreePage {
        frame: repository_frame(cx, located, &title, RepositoryTab::Source).await,
        head: head(located),
        trail,
        revision: short(place.revision),
        permalink,
        history,
        parent: (!path.is_empty()).then(|| place.of("src", above.as_bytes())),
        entries: listed.rows,
        pages: listed.pages,
        path,
    };
    page(StatusCode::OK, &shown)
}

async fn file(
    cx: &Cx,
    found: &SourceAt,
    entry: &Entry,
    located: &Located,
    place: Place<'_>,
) -> Result<Response> {
    let large = entry.size.is_some_and(|size| usize::try_from(size).is_ok_and(|size| size > LARGEST));
    let content = match large {
        true => Content::TooLarge,
        false => Content::of(&bounded(found, LARGEST).await?),
    };
    let Here { path, permalink, history, trail } = here(found, place);
    let title = format!("{path} at {} - {}/{}", short(place.revision), place.workspace, place.slug);
    let remark = match entry.kind {
        EntryKind::Symlink => "a link to:".to_owned(),
        EntryKind::Submodule => "another repository's commit:".to_owned(),
        kind => attributes(kind).join(", "),
    };
    let shown = FilePage {
        frame: repository_frame(cx, located, &title, RepositoryTab::Source).await,
        head: head(located),
        trail,
        revision: short(place.revision),
        permalink,
        history,
        size: entry.size.map(pages::measure::size).unwrap_or_default(),
        remark,
        raw: place.of("raw", path.as_bytes()),
        content,
        path,
    };
    page(StatusCode::OK, &shown)
}
