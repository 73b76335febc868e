//! Commits: one, many, and histories.
//!
//! Revisions are object names here: what a user wrote is looked up first, by [`crate::refs::resolve`].

use std::io;
use std::path::Path;

use model::{Error, ObjectId, Result};

use crate::command::{Bounds, GitCommand};
use crate::objects::{Kind, LONGEST_COMMIT, Objects, Oid, look};
use crate::path::RepoPath;
use crate::repository::Repository;

/// The most commits that one question gives.
pub const MOST_COMMITS: u64 = 1000;

/// Who and when, as a commit says it: nothing of it was checked by anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name; bytes that are not UTF-8 are replaced.
    pub name: String,
    /// The address; the same.
    pub email: String,
    /// In seconds since the epoch.
    pub seconds: i64,
    /// What the clock was ahead of UTC, in minutes.
    pub offset_minutes: i32,
}

/// One commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its name.
    pub id: ObjectId,
    /// Its content.
    pub tree: ObjectId,
    /// What it was made on.
    pub parents: Vec<ObjectId>,
    /// Who wrote it.
    pub author: Identity,
    /// Who committed it.
    pub committer: Identity,
    /// The whole message, in UTF-8.
    pub message: String,
}

impl Commit {
    /// From its object's bytes. `None` for one that git, which has seen all that ever was in commits, should read: with
    /// another order or form of lines than git writes today, another encoding, a zero byte.
    pub(crate) fn from_object(id: ObjectId, object: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(object).ok().filter(|text| !text.contains('\0'))?;
        let (head, message) = text.split_once("\n\n")?;
        let mut lines = head.split('\n');
        let tree = lines.next()?.strip_prefix("tree ")?.parse().ok()?;
        let mut parents = Vec::new();
        let mut line = lines.next()?;
        while let Some(parent) = line.strip_prefix("parent ") {
            parents.push(parent.parse().ok()?);
            line = lines.next()?;
        }
        let author = parse_identity(line.strip_prefix("author ")?)?;
        let committer = parse_identity(lines.next()?.strip_prefix("committer ")?)?;
        let again = ["tree ", "parent ", "author ", "committer ", "encoding "];
        let odd = lines.any(|line| again.iter().any(|word| line.starts_with(word)));
        let commit = Self { id, tree, parents, author, committer, message: message.to_owned() };
        (!odd).then_some(commit)
    }
}

/// `Ann Example <ann@example.com> 1700000000 +0100`, as git writes it.
fn parse_identity(line: &str) -> Option<Identity> {
    let (name, rest) = line.split_once(" <")?;
    let (email, date) = rest.split_once("> ")?;
    let plain = |text: &str| !text.contains(['<', '>']) && text.trim() == text;
    let (seconds, zone) = date.split_once(' ')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let dated = !seconds.is_empty() && seconds.len() <= 11 && digits(seconds);
    let zoned = zone.len() == 5 && zone.strip_prefix(['+', '-']).is_some_and(digits);
    if !plain(name) || !plain(email) || name.is_empty() || !dated || !zoned {
        return None;
    }
    let (seconds, offset_minutes) = parse_date(date);
    Some(Identity { name: name.to_owned(), email: email.to_owned(), seconds, offset_minutes })
}

/// Which commits a history has.
#[derive(Clone, Debug, Default)]
pub struct LogQuery {
    /// Reachable from one of these.
    pub include: Vec<ObjectId>,
    /// And from none of these.
    pub exclude: Vec<ObjectId>,
    /// And from no ref: in a push's quarantine, what the push brings.
    pub beyond_refs: bool,
    /// Touching one of these, if there are any.
    pub paths: Vec<RepoPath>,
    /// Follow a file (exactly one path) through its renames.
    pub follow: bool,
    /// Only along first parents.
    pub first_parent: bool,
    /// How many to pass over.
    pub skip: u64,
    /// How many to give; at most [`MOST_COMMITS`].
    pub limit: u64,
}

impl LogQuery {
    /// Adds which commits are meant.
    fn select(&self, command: GitCommand) -> GitCommand {
        let mut command = command.flag_if(self.first_parent, "--first-parent");
        if self.beyond_refs {
            // The second turns what follows into inclusions again.
            command = command.flag("--not").flag("--all").flag("--not");
        }
        for id in &self.include {
            command = command.object(id);
        }
        for id in &self.exclude {
            command = command.exclude(id);
        }
        command.paths(&self.paths)
    }
}

const FIELDS: usize = 10;
const FORMAT: &str = "--format=tformat:%H%x00%T%x00%P%x00%an%x00%ae%x00%ad%x00%cn%x00%ce%x00%cd%x00%B";

/// A history, newest first.
///
/// # Errors
/// `NotFound` when one of the objects is no commit here, `Unavailable` when it takes too long.
pub async fn log(repository: &Repository, query: &LogQuery) -> Result<Vec<Commit>> {
    if query.include.is_empty() || query.limit == 0 {
        return Ok(Vec::new());
    }
    let command = show_command(repository)
        .number("--skip", query.skip)
        .number("--max-count", query.limit.min(MOST_COMMITS))
        .flag_if(query.follow && query.paths.len() == 1, "--follow");
    run(query.select(command)).await
}

/// How many commits a history has; `skip` and `limit` of the query do not count.
///
/// # Errors
/// As [`log`].
pub async fn count(repository: &Repository, query: &LogQuery) -> Result<u64> {
    if query.include.is_empty() {
        return Ok(0);
    }
    let command = query.select(GitCommand::new(repository, "rev-list").flag("--count"));
    let output = command.output(Vec::new(), Bounds::QUICK).await?;
    String::from_utf8_lossy(&output).trim().parse().map_err(|_| Error::internal("git counted no number"))
}

/// One commit.
///
/// # Errors
/// `NotFound` when there is no such commit.
pub async fn read(repository: &Repository, id: &ObjectId) -> Result<Commit> {
    if let Some(mut found) = read_at_hand(repository, std::slice::from_ref(id)).await
        && let Some(commit) = found.pop()
    {
        return Ok(commit);
    }
    let command = show_command(repository).flag("--no-walk").object(id);
    let found = run(command.paths([])).await?;
    found.into_iter().next().ok_or_else(|| Error::not_found(format!("commit `{id}`")))
}

/// The commits with these names, in this order; at most [`MOST_COMMITS`].
///
/// # Errors
/// `NotFound` when one of them is not there.
pub async fn read_all(repository: &Repository, ids: &[ObjectId]) -> Result<Vec<Commit>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    if u64::try_from(ids.len()).unwrap_or(u64::MAX) > MOST_COMMITS {
        return Err(Error::TooLarge { limit: MOST_COMMITS });
    }
    if let Some(found) = read_at_hand(repository, ids).await {
        return Ok(found);
    }
    let mut command = show_command(repository).flag("--no-walk=unsorted");
    for id in ids {
        command = command.object(id);
    }
    let found = run(command.paths([])).await?;
    // Git says each commit once, however often it was asked for.
    let by_id: std::collections::HashMap<&ObjectId, &Commit> = found.iter().map(|c| (&c.id, c)).collect();
    ids.iter()
        .map(|id| {
            by_id.get(id).map(|c| (*c).clone()).ok_or_else(|| Error::not_found(format!("commit `{id}`")))
        })
        .collect()
}

/// The commits with these names; `None` where only git can tell them all.
async fn read_at_hand(repository: &Repository, ids: &[ObjectId]) -> Option<Vec<Commit>> {
    let ids = ids.to_vec();
    let read = move |_: &Path, objects: &mut Objects| {
        let unusual = || io::Error::other("a commit that only git can read");
        let read_one = |id: ObjectId| {
            let object = objects.content(&Oid::of(&id).ok_or_else(unusual)?, Kind::Commit, LONGEST_COMMIT)?;
            Commit::from_object(id, &object).ok_or_else(unusual)
        };
        ids.into_iter().map(read_one).collect()
    };
    look(repository, read).await
}

/// The bytes of the commit's object, as a signature covers them.
///
/// # Errors
/// When there is no such commit, or it is longer than a MiB.
pub async fn raw(repository: &Repository, id: &ObjectId) -> Result<Vec<u8>> {
    let command = GitCommand::new(repository, "cat-file").operand("commit").object(id);
    command.output(Vec::new(), Bounds { bytes: 1 << 20, ..Bounds::QUICK }).await
}

/// The best common ancestor of two commits.
///
/// # Errors
/// When git cannot tell.
pub async fn merge_base(
    repository: &Repository,
    one: &ObjectId,
    other: &ObjectId,
) -> Result<Option<ObjectId>> {
    let command = GitCommand::new(repository, "merge-base").object(one).object(other);
    let finished = command.finish(Vec::new(), Bounds::QUICK).await?;
    match finished.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&finished.stdout).trim_end().parse().ok()),
        Some(1) => Ok(None),
        _ => Err(Error::Internal(format!("git merge-base: {}", finished.stderr))),
    }
}

fn show_command(repository: &Repository) -> GitCommand {
    GitCommand::new(repository, "log").flag("-z").flag("--no-color").flag("--date=raw").flag(FORMAT)
}

async fn run(command: GitCommand) -> Result<Vec<Commit>> {
    let finished = command.finish(Vec::new(), Bounds { bytes: 64 << 20, ..Bounds::QUICK }).await?;
    if !finished.status.success() {
        let missing = ["bad object", "unknown revision", "bad revision"];
        return Err(if missing.iter().any(|text| finished.stderr.contains(text)) {
            Error::not_found("one of the commits")
        } else {
            Error::Internal(format!("git log: {}: {}", finished.status, finished.stderr))
        });
    }
    parse_log(&finished.stdout).ok_or_else(|| Error::internal("git log printed what cannot be read"))
}

/// Every field and every commit ends with a NUL, which none of them can contain.
fn parse_log(output: &[u8]) -> Option<Vec<Commit>> {
    if output.is_empty() {
        return Some(Vec::new());
    }
    let fields: Vec<&[u8]> = output.strip_suffix(b"\0")?.split(|b| *b == 0).collect();
    let records = fields.chunks_exact(FIELDS);
    if !records.remainder().is_empty() {
        return None;
    }
    records.map(parse_commit).collect()
}

fn parse_commit(fields: &[&[u8]]) -> Option<Commit> {
    let mut texts = fields.iter().map(|field| String::from_utf8_lossy(field).into_owned());
    let id = texts.next()?.parse().ok()?;
    let tree = texts.next()?.parse().ok()?;
    let parents = texts.next()?.split_whitespace().map(|p| p.parse().ok()).collect::<Option<_>>()?;
    let mut identity = || {
        let (name, email, date) = (texts.next()?, texts.next()?, texts.next()?);
        let (seconds, offset_minutes) = parse_date(&date);
        Some(Identity { name, email, seconds, offset_minutes })
    };
    let author = identity()?;
    let committer = identity()?;
    Some(Commit { id, tree, parents, author, committer, message: texts.next()? })
}

/// `1700000000 +0100`. A date that no clock shows counts as the epoch: commits hold whatever their author wrote.
pub(crate) fn parse_date(text: &str) -> (i64, i32) {
    let (seconds, zone) = text.split_once(' ').unwrap_or((text, ""));
    let zone: i32 = zone.parse().unwrap_or(0);
    let minutes = zone / 100 * 60 + zone % 100;
    (seconds.parse().unwrap_or(0), if minutes.abs() < 24 * 60 { minutes } else { 0 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_read_with_their_offset() {
        assert_eq!(parse_date("1700000000 +0530"), (1_700_000_000, 330));
        assert_eq!(parse_date("1700000000 -0130"), (1_700_000_000, -90));
        assert_eq!(parse_date("-5 +9999"), (-5, 0));
        assert_eq!(parse_date(""), (0, 0));
    }

    proptest! {
        #[test]
        fn arbitrary_output_never_panics(bytes in proptest::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..200)) {
            let _ = parse_log(&bytes);
        }
    }
}
