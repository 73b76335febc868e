//! What changed between two commits: as a patch, or as a list of files with counts.
//!
//! Nothing of the repository's own attributes or drivers runs: no external diff, no text conversion.

use std::time::Duration;

use model::{Error, ObjectId, Result};

use crate::command::{Bounds, GitCommand};
use crate::path::RepoPath;
use crate::repository::Repository;
use crate::stream::{self, ByteStream};

/// How long git may take before a diff's first piece and between two.
const SILENCE: Duration = Duration::from_secs(60);

/// The name of the tree without entries, which git knows everywhere.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// Which diff.
#[derive(Clone, Debug)]
pub struct DiffQuery {
    /// The old side; `None` for nothing at all, as before a first commit.
    pub from: Option<ObjectId>,
    /// The new side.
    pub to: ObjectId,
    /// Only these, if there are any.
    pub paths: Vec<RepoPath>,
    /// Lines around each change.
    pub context: u32,
    /// Take lines that differ in white space alone for equal.
    pub ignore_whitespace: bool,
    /// Look for renames.
    pub renames: bool,
    /// Give the content of binary files as well, so that the patch can be applied.
    pub binary: bool,
}

impl DiffQuery {
    /// From one commit to another as people expect it: three lines around, renames found.
    #[must_use]
    pub fn new(from: Option<ObjectId>, to: ObjectId) -> Self {
        Self {
            from,
            to,
            paths: Vec::new(),
            context: 3,
            ignore_whitespace: false,
            renames: true,
            binary: false,
        }
    }

    fn command(&self, repository: &Repository) -> Result<GitCommand> {
        let empty = EMPTY_TREE.parse().map_err(Error::internal)?;
        Ok(GitCommand::new(repository, "diff-tree")
            .flag("-r")
            .flag("--no-ext-diff")
            .flag("--no-textconv")
            .flag("--no-color")
            .flag("--no-relative")
            .flag(if self.renames { "-M" } else { "--no-renames" })
            .flag_if(self.ignore_whitespace, "--ignore-all-space")
            .object(self.from.as_ref().unwrap_or(&empty))
            .object(&self.to)
            .paths(&self.paths))
    }
}

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileStatus {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Its content, mode or kind changed.
    Modified,
    /// It has another path, and perhaps other content.
    Renamed,
}

/// One file of a diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// What happened.
    pub status: FileStatus,
    /// Where it was; `None` when it is new.
    pub old_path: Option<Vec<u8>>,
    /// Where it is; `None` when it is gone.
    pub new_path: Option<Vec<u8>>,
    /// Lines that came; `None` for binary files.
    pub added: Option<u64>,
    /// Lines that went; `None` for binary files.
    pub removed: Option<u64>,
}

/// The patch, piece by piece.
///
/// # Errors
/// When git cannot be started; the stream ends early when a commit is not there.
pub fn patch(repository: &Repository, query: &DiffQuery) -> Result<ByteStream> {
    let command = query
        .command(repository)?
        .flag("-p")
        .flag("--src-prefix=a/")
        .flag("--dst-prefix=b/")
        .flag_if(query.binary, "--binary")
        .number("--unified", u64::from(query.context));
    Ok(stream::output(command.spawn()?, SILENCE))
}

/// The commits of `to` that `from` has not, each as a mail with its patch.
///
/// # Errors
/// When git cannot be started.
pub fn mails(repository: &Repository, from: Option<&ObjectId>, to: &ObjectId) -> Result<ByteStream> {
    let command = GitCommand::new(repository, "format-patch")
        .flag("--stdout")
        .flag("--no-ext-diff")
        .flag("--no-textconv")
        .flag("--no-signature")
        .flag("-M")
        .number("--max-count", crate::commit::MOST_COMMITS);
    let command = match from {
        Some(from) => command.exclude(from),
        None => command.flag("--root"),
    };
    Ok(stream::output(command.object(to).paths([]).spawn()?, SILENCE))
}

/// The files that changed, in git's order.
///
/// # Errors
/// `NotFound` when a commit is not there, `TooLarge` when more than `limit` files changed.
pub async fn stat(repository: &Repository, query: &DiffQuery, limit: usize) -> Result<Vec<FileStat>> {
    let command = query.command(repository)?.flag("--raw").flag("--numstat").flag("-z");
    let finished = command.finish(Vec::new(), Bounds { bytes: 64 << 20, ..Bounds::QUICK }).await?;
    if !finished.status.success() {
        return Err(if finished.stderr.contains("bad object") {
            Error::not_found("one of the commits")
        } else {
            Error::Internal(format!("git diff-tree: {}: {}", finished.status, finished.stderr))
        });
    }
    let stats =
        parse_stats(&finished.stdout).ok_or_else(|| Error::internal("git diff-tree cannot be read"))?;
    if stats.len() > limit {
        return Err(Error::TooLarge { limit: u64::try_from(limit).unwrap_or(u64::MAX) });
    }
    Ok(stats)
}

/// All raw records come first (`:modes ids status`, path, and for renames a second path), then as many counts
/// (`added<TAB>removed<TAB>path`, or with an empty path and two paths behind it).
fn parse_stats(output: &[u8]) -> Option<Vec<FileStat>> {
    let mut fields = output.split(|b| *b == 0).peekable();
    let mut stats = Vec::new();
    while fields.peek().is_some_and(|field| field.starts_with(b":")) {
        stats.push(parse_raw(&mut fields)?);
    }
    for stat in &mut stats {
        let mut parts = fields.next()?.splitn(3, |b| *b == b'\t');
        let (added, removed, path) = (parts.next()?, parts.next()?, parts.next()?);
        if path.is_empty() {
            fields.next()?;
            fields.next()?;
        }
        stat.added = parse_count(added);
        stat.removed = parse_count(removed);
    }
    Some(stats)
}

fn parse_raw<'a>(fields: &mut impl Iterator<Item = &'a [u8]>) -> Option<FileStat> {
    let head = std::str::from_utf8(fields.next()?).ok()?;
    let letter = head.rsplit(' ').next()?.chars().next()?;
    let first = fields.next()?.to_vec();
    let (status, old_path, new_path) = match letter {
        'A' => (FileStatus::Added, None, Some(first)),
        'D' => (FileStatus::Removed, Some(first), None),
        'R' | 'C' => (FileStatus::Renamed, Some(first), Some(fields.next()?.to_vec())),
        _ => (FileStatus::Modified, Some(first.clone()), Some(first)),
    };
    Some(FileStat { status, old_path, new_path, added: None, removed: None })
}

fn parse_count(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn renames_and_binary_files_are_told_apart() {
        let ids = format!("100644 100644 {} {}", "a".repeat(40), "b".repeat(40));
        let output = format!(":{ids} R090\0old\0new\0:{ids} A\0bin\t\n\x003\t1\t\0old\0new\0-\t-\tbin\t\n\0");
        let stats = parse_stats(output.as_bytes()).unwrap();
        assert_eq!(
            (stats[0].status, stats[0].added, stats[0].removed),
            (FileStatus::Renamed, Some(3), Some(1))
        );
        assert_eq!(stats[0].old_path.as_deref(), Some(&b"old"[..]));
        assert_eq!((stats[1].status, stats[1].added), (FileStatus::Added, None));
        assert_eq!(stats[1].new_path.as_deref(), Some(&b"bin\t\n"[..]));
    }

    proptest! {
        #[test]
        fn arbitrary_output_never_panics(bytes in proptest::collection::vec(prop_oneof![Just(0), Just(b':'), Just(b'\t'), any::<u8>()], 0..200)) {
            let _ = parse_stats(&bytes);
        }
    }
}
