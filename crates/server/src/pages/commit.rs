//! Commits: one, with what it changed, and histories.

use axum::http::StatusCode;
use futures_util::StreamExt;
use model::{Error, Result, Timestamp};
use pages::change::{self, FileChange, Limits, Patch};
use pages::commit::{ChangedFile, CommitLine, CommitPage, CommitsPage, FilePatch, subject_and_body};
use pages::frame::{Pages, Way};
use pages::measure::{Moment, count};
use service::{
    Caller, Commit, CommitQuery, DiffRequest, Diffstat, FileStat, FileStatus, Located, People,
    RepositoryPath, Service, Window,
};

use super::report::Told;
use super::{ROWS, RepositoryTab, now, page, repository_frame, repository_path, see_other};
use crate::http::{Cx, Response};

/// How many of a commit's files are listed.
const FILES: i64 = 300;

/// How much of a patch is read, in bytes.
const READ: usize = 2 << 20;

/// The first digits of a commit's name.
fn short_id(id: &str) -> String {
    id.chars().take(12).collect()
}

fn address(located: &Located, id: &str) -> String {
    pages::address::of(&[located.workspace.slug.as_str(), located.repository.slug.as_str(), "commits", id])
}

/// A commit in a line.
pub(super) fn line(located: &Located, commit: &Commit, people: &People, now: Timestamp) -> CommitLine {
    let author = people.with_email(&commit.author.email);
    CommitLine {
        href: address(located, commit.id.as_str()),
        subject: subject_and_body(&commit.message).0,
        author: author.map_or_else(|| commit.author.name.clone(), |user| user.display_name.to_string()),
        time: Moment::of_seconds(commit.author.seconds, now),
        short_id: short_id(commit.id.as_str()),
    }
}

/// `GET /{workspace}/{repo_slug}/commits?at=&path=`
///
/// # Errors
/// When a revision is not there, or the caller may not see the repository.
pub async fn list(cx: Cx) -> Result<Response> {
    let path = repository_path(&cx)?;
    let located = cx.service()?.repository(&cx.caller, &path).await?;
    let at = cx.query.get("at")?.filter(|text| !text.is_empty());
    let at = at.unwrap_or(&located.repository.default_branch).to_owned();
    let file = cx.query.get("path")?.filter(|text| !text.is_empty()).map(str::to_owned);
    let query = CommitQuery {
        include: vec![at.clone()],
        paths: file.iter().cloned().collect(),
        ..CommitQuery::default()
    };
    let token = cx.query.get("page")?.filter(|text| !text.is_empty());
    let limit = u64::try_from(ROWS).unwrap_or(1);
    let found = cx.service()?.commits(&cx.caller, &path, query, token, limit).await?;
    let heading = match &file {
        Some(file) => format!("Commits of {file} at {at}"),
        None => format!("Commits of {at}"),
    };
    let (workspace, slug) = (located.workspace.slug.as_str(), located.repository.slug.as_str());
    let mut here = pages::address::with_query(&pages::address::of(&[workspace, slug, "commits"]), "at", &at);
    if let Some(file) = &file {
        here = pages::address::with_query(&here, "path", file);
    }
    let next = found.next.as_deref().map(|token| pages::address::with_query(&here, "page", token));
    let now = now(&cx);
    let shown = CommitsPage {
        frame: repository_frame(
            &cx,
            &located,
            &format!("{heading} - {workspace}/{slug}"),
            RepositoryTab::Commits,
        )
        .await,
        heading,
        commits: found.commits.iter().map(|commit| line(&located, commit, &found.people, now)).collect(),
        pages: Pages { previous: token.map(|_| here.clone()), next, text: String::new() },
    };
    page(StatusCode::OK, &shown)
}

/// `GET /{workspace}/{repo_slug}/commits/branch/{name}` and `…/commits/tag/{name}`: lead to the history.
///
/// # Errors
/// When there is no such repository that the caller may see.
pub async fn of_ref(cx: Cx) -> Result<Response> {
    let located = cx.service()?.repository(&cx.caller, &repository_path(&cx)?).await?;
    let (workspace, slug) = (located.workspace.slug.as_str(), located.repository.slug.as_str());
    let history = pages::address::of(&[workspace, slug, "commits"]);
    see_other(&pages::address::with_query(&history, "at", cx.param("name")))
}

/// `GET /{workspace}/{repo_slug}/commits/{commit}?path=`
///
/// # Errors
/// When there is none, or the caller may not see the repository.
pub async fn get(cx: Cx) -> Result<Response> {
    let path = repository_path(&cx)?;
    let found = cx.service()?.commit(&cx.caller, &path, cx.param("commit")).await?;
    let commit = found.commits.first().ok_or_else(|| Error::not_found("the commit"))?;
    let located = &found.located;
    let id = commit.id.as_str();
    let only = cx.query.get("path")?.filter(|text| !text.is_empty());
    let request = DiffRequest {
        paths: only.map(str::to_owned).into_iter().collect(),
        binary: false,
        ..DiffRequest::new(id)
    };
    let changes = Changes::of(&cx, &path, &request, only.is_some()).await?;
    let (workspace, slug) = (located.workspace.slug.as_str(), located.repository.slug.as_str());
    let shown = line(located, commit, &found.people, now(&cx));
    let committer = (commit.committer.email != commit.author.email).then(|| commit.committer.name.clone());
    let parents = commit
        .parents
        .iter()
        .map(|parent| Way::new(short_id(parent.as_str()), address(located, parent.as_str())));
    let told = Told::of(&cx, &path, located, &commit.id).await?;
    let title = format!("{} - {workspace}/{slug}", shown.subject);
    let page_of_commit = CommitPage {
        frame: repository_frame(&cx, located, &title, RepositoryTab::Commits).await,
        commit: shown,
        id: id.to_owned(),
        body: subject_and_body(&commit.message).1,
        author_email: commit.author.email.clone(),
        committer,
        parents: parents.collect(),
        tree: pages::address::of(&[workspace, slug, "src", id]),
        builds: told.builds,
        more_builds: told.more_builds,
        reports: told.reports,
        more_reports: told.more_reports,
        summary: changes.summary(),
        files: changes.files().iter().map(|stat| changed(located, id, stat)).collect(),
        patch: changes.patch.files.iter().map(|file| patched(located, id, file)).collect(),
        cut: changes.patch.cut,
    };
    page(StatusCode::OK, &page_of_commit)
}

/// The beginning of a patch, and whether that is all of it.
async fn beginning(
    service: &Service,
    caller: &Caller,
    path: &RepositoryPath,
    request: &DiffRequest,
) -> Result<(Vec<u8>, bool)> {
    let mut stream = service.diff(caller, path, request).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece.map_err(Error::internal)?);
        if bytes.len() > READ {
            return Ok((bytes, false));
        }
    }
    Ok((bytes, true))
}

/// What a commit changed: the list of files, unless it is too long to be made, and as much of the patch as is shown.
struct Changes {
    stat: Option<Diffstat>,
    patch: Patch,
}

impl Changes {
    async fn of(cx: &Cx, path: &RepositoryPath, request: &DiffRequest, one_file: bool) -> Result<Self> {
        let service = cx.service()?;
        let window = Window { limit: FILES, offset: 0 };
        let (stat, patch) = tokio::join!(
            service.diffstat(&cx.caller, path, request, window),
            beginning(service, &cx.caller, path, request)
        );
        let (bytes, whole) = patch?;
        let limits = if one_file { Limits::FILE } else { Limits::COMMIT };
        let stat = match stat {
            Ok(stat) => Some(stat),
            Err(Error::TooLarge { .. }) => None,
            Err(other) => return Err(other),
        };
        Ok(Self { stat, patch: change::read(&bytes, limits, whole) })
    }

    fn files(&self) -> &[FileStat] {
        self.stat.as_ref().map_or(&[], |stat| &stat.listing.values)
    }

    fn summary(&self) -> String {
        let Some(stat) = &self.stat else {
            return "Too many files changed to list them; the first changes are below.".to_owned();
        };
        let total = stat.listing.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
        let shown = &stat.listing.values;
        let sum = |of: fn(&FileStat) -> Option<u64>| shown.iter().filter_map(of).fold(0, u64::saturating_add);
        let lines = format!(
            "{} added, {} removed",
            count(sum(|stat| stat.added), "line", "lines"),
            count(sum(|stat| stat.removed), "line", "lines")
        );
        let files = count(total, "file changed", "files changed");
        match usize::try_from(total).is_ok_and(|total| total > shown.len()) {
            true => format!("{files}. Of the first {}: {lines}.", shown.len()),
            false => format!("{files}, {lines}."),
        }
    }
}

fn changed(located: &Located, id: &str, stat: &FileStat) -> ChangedFile {
    let text = |path: &Option<Vec<u8>>| path.as_ref().map(|path| String::from_utf8_lossy(path).into_owned());
    let (old, new) = (text(&stat.old_path), text(&stat.new_path));
    let path = new.clone().or_else(|| old.clone()).unwrap_or_default();
    let number = |lines: Option<u64>| lines.map(pages::measure::grouped).unwrap_or_default();
    ChangedFile {
        href: Some(pages::address::with_query(&address(located, id), "path", &path)),
        former_path: old.filter(|old| stat.status == FileStatus::Renamed && *old != path),
        path,
        word: match stat.status {
            FileStatus::Added => "Added",
            FileStatus::Removed => "Removed",
            FileStatus::Modified => "Changed",
            FileStatus::Renamed => "Renamed",
        },
        added: number(stat.added),
        removed: number(stat.removed),
    }
}

fn patched(located: &Located, id: &str, file: &FileChange) -> FilePatch {
    let (workspace, slug) = (located.workspace.slug.as_str(), located.repository.slug.as_str());
    let path = file.path();
    let view = pages::address::with_path(&[workspace, slug, "src", id], &file.new_path);
    FilePatch {
        more: file.cut.then(|| pages::address::with_query(&address(located, id), "path", &path)),
        view: (!file.new_path.is_empty()).then_some(view),
        former: file.former_path(),
        remarks: file.remarks.clone(),
        binary: file.binary,
        lines: file.lines.clone(),
        path,
    }
}
