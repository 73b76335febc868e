//! Trees: what lies where in a commit.

use std::io;

use model::{Error, ObjectId, Result};

use crate::command::{Bounds, GitCommand};
use crate::objects::{Kind, Objects, Oid, TreeEntry, look};
use crate::path::RepoPath;
use crate::repository::Repository;

/// The sizes of more files than this are for git to tell, which reads a pack faster than it can be asked.
const MOST_SIZES: usize = 2_000;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File {
        /// Whether it is meant to be run.
        executable: bool,
    },
    /// A symbolic link; its content is where it points. Never followed here.
    Symlink,
    /// A directory.
    Directory,
    /// Another repository's commit.
    Submodule,
}

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// From the top of the repository. Bytes: trees made long ago hold names that are taken no more.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Its object.
    pub id: ObjectId,
    /// In bytes, for files and links.
    pub size: Option<u64>,
}

/// The entry at a path; `None` when there is none.
///
/// # Errors
/// `NotFound` when the commit is not there.
pub async fn find(repository: &Repository, commit: &ObjectId, path: &RepoPath) -> Result<Option<Entry>> {
    if let Some(id) = Oid::of(commit) {
        let path = path.as_bytes().to_vec();
        let found = look(repository, move |_, objects| {
            let root = objects.root(&id)?;
            let found = objects.at_path(&root, &path)?;
            found.map(|found| entry(objects, found, path)).transpose()
        });
        if let Some(found) = found.await {
            return Ok(found);
        }
    }
    let command = list_command(repository).flag("--full-tree").object(commit).path_operand(path);
    let entries = run(command, commit).await?;
    Ok(entries.into_iter().find(|entry| entry.path == path.as_bytes()))
}

/// What lies below a directory (`None` for the top), down to `depth` levels, in git's order.
///
/// # Errors
/// `NotFound` when there is no such directory, `TooLarge` when there are more than `limit` entries.
pub async fn list(
    repository: &Repository,
    commit: &ObjectId,
    directory: Option<&RepoPath>,
    depth: usize,
    limit: usize,
) -> Result<Vec<Entry>> {
    if depth == 1
        && let Some(id) = Oid::of(commit)
    {
        let path = directory.map(|path| path.as_bytes().to_vec());
        let found = look(repository, move |_, objects| directly_below(objects, &id, path, limit));
        if let Some(found) = found.await {
            return found.ok_or(Error::TooLarge { limit: u64::try_from(limit).unwrap_or(u64::MAX) });
        }
    }
    let (tree, prefix) = match directory {
        None => (commit.clone(), Vec::new()),
        Some(path) => {
            let entry = find(repository, commit, path).await?;
            let entry = entry.filter(|entry| entry.kind == EntryKind::Directory);
            let missing = || Error::not_found(format!("directory `{path}` in `{commit}`"));
            (entry.ok_or_else(missing)?.id, [path.as_bytes(), b"/"].concat())
        }
    };
    let command = list_command(repository).flag_if(depth > 1, "-r").flag_if(depth > 1, "-t").object(&tree);
    let levels = |entry: &Entry| entry.path.iter().filter(|b| **b == b'/').count();
    let mut entries = run(command, commit).await?;
    entries.retain(|entry| levels(entry) < depth);
    if entries.len() > limit {
        return Err(Error::TooLarge { limit: u64::try_from(limit).unwrap_or(u64::MAX) });
    }
    for entry in &mut entries {
        entry.path.splice(0..0, prefix.iter().copied());
    }
    Ok(entries)
}

/// What lies in a directory (`None` for the top); `None` when there are more than `limit` entries.
///
/// # Errors
/// The disk's, and whatever makes this git's to tell: there is no such directory, or it is very large.
fn directly_below(
    objects: &mut Objects,
    commit: &Oid,
    directory: Option<Vec<u8>>,
    limit: usize,
) -> io::Result<Option<Vec<Entry>>> {
    let unusual = |what: &'static str| io::Error::new(io::ErrorKind::Unsupported, what);
    let root = objects.root(commit)?;
    let (tree, prefix) = match directory {
        None => (root, Vec::new()),
        Some(path) => {
            let found = objects.at_path(&root, &path)?.filter(TreeEntry::is_tree);
            (found.ok_or_else(|| unusual("there is no such directory"))?.id, [&path[..], b"/"].concat())
        }
    };
    let found = objects.tree(&tree)?;
    if found.len() > limit {
        return Ok(None);
    }
    if found.len() > MOST_SIZES {
        return Err(unusual("a very large directory"));
    }
    let entries = found.into_iter().map(|one| {
        let path = [&prefix[..], &one.name].concat();
        entry(objects, one, path)
    });
    entries.collect::<io::Result<_>>().map(Some)
}

/// The entry of a tree's object, at that path.
fn entry(objects: &mut Objects, found: TreeEntry, path: Vec<u8>) -> io::Result<Entry> {
    let kind = kind_of_mode(&format!("{:0>6}", found.mode));
    let kind =
        kind.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "an entry's mode is unknown"))?;
    let size = match kind {
        EntryKind::Directory | EntryKind::Submodule => None,
        EntryKind::File { .. } | EntryKind::Symlink => match objects.head(&found.id)? {
            (Kind::Blob, size) => Some(size),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "a file is no blob")),
        },
    };
    Ok(Entry { path, kind, id: found.id.id()?, size })
}

fn list_command(repository: &Repository) -> GitCommand {
    GitCommand::new(repository, "ls-tree").flag("-z").flag("-l")
}

async fn run(command: GitCommand, commit: &ObjectId) -> Result<Vec<Entry>> {
    let finished = command.finish(Vec::new(), Bounds { bytes: 128 << 20, ..Bounds::QUICK }).await?;
    if !finished.status.success() {
        return Err(
            if finished.stderr.contains("not a tree object") || finished.stderr.contains("Not a valid") {
                Error::not_found(format!("commit `{commit}`"))
            } else {
                Error::Internal(format!("git ls-tree: {}: {}", finished.status, finished.stderr))
            },
        );
    }
    parse_entries(&finished.stdout).ok_or_else(|| Error::internal("git ls-tree printed what cannot be read"))
}

fn parse_entries(output: &[u8]) -> Option<Vec<Entry>> {
    output.split(|b| *b == 0).filter(|record| !record.is_empty()).map(parse_entry).collect()
}

/// `mode type id size<TAB>path`, the size padded with spaces and `-` where there is none.
fn parse_entry(record: &[u8]) -> Option<Entry> {
    let tab = record.iter().position(|b| *b == b'\t')?;
    let (head, path) = (record.get(..tab)?, record.get(tab + 1..)?);
    let mut words = std::str::from_utf8(head).ok()?.split_ascii_whitespace();
    let kind = kind_of_mode(words.next()?)?;
    let _object_type = words.next()?;
    let id = words.next()?.parse().ok()?;
    Some(Entry { path: path.to_vec(), kind, id, size: words.next()?.parse().ok() })
}

pub(crate) fn kind_of_mode(mode: &str) -> Option<EntryKind> {
    match mode {
        "040000" => Some(EntryKind::Directory),
        "120000" => Some(EntryKind::Symlink),
        "160000" => Some(EntryKind::Submodule),
        "100755" => Some(EntryKind::File { executable: true }),
        // 100664 stands in trees that git itself wrote in 2005.
        "100644" | "100664" => Some(EntryKind::File { executable: false }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entries_are_read_whatever_their_names() {
        let id = "a".repeat(40);
        let output = format!("100755 blob {id}      12\ta\tb\n\0160000 commit {id}       -\tsub\0");
        let entries = parse_entries(output.as_bytes()).unwrap();
        assert_eq!((entries[0].path.as_slice(), entries[0].size), (&b"a\tb\n"[..], Some(12)));
        assert_eq!((entries[1].kind, entries[1].size), (EntryKind::Submodule, None));
    }

    proptest! {
        #[test]
        fn arbitrary_output_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_entries(&bytes);
        }
    }
}
