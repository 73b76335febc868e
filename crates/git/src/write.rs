//! Commits made on the server: files in, one commit out, without a work tree, so that no link in a repository can
//! lead a write anywhere.
//!
//! The objects are made in a quarantine, where the caller decides about them as about a push's; only
//! [`PreparedCommit::publish`] brings them into the repository and moves the branch.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::Duration;

use model::{Error, ObjectId, Random, RefName, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::command::{Bounds, GitCommand};
use crate::commit::Identity;
use crate::hook::Quarantine;
use crate::lock::SharedLock;
use crate::path::RepoPath;
use crate::ref_update::RefUpdate;
use crate::refs;
use crate::repository::Repository;
use crate::tree::{EntryKind, kind_of_mode};

/// The most bytes one file may have.
pub const LARGEST_FILE: u64 = 100 << 20;

/// How long one file's content may take to arrive.
const UPLOAD: Duration = Duration::from_secs(600);

/// What the bounds of commands on whole trees are.
const TREE_BOUNDS: Bounds = Bounds { bytes: 256 << 20, time: Duration::from_secs(60) };

/// One change.
pub enum FileChange {
    /// The file shall have this content.
    Write {
        /// Where.
        path: RepoPath,
        /// What; at most [`LARGEST_FILE`] bytes.
        content: Box<dyn AsyncRead + Send + Unpin>,
        /// Whether it is meant to be run; `None` leaves it as it is.
        executable: Option<bool>,
    },
    /// The file shall be no more.
    Delete {
        /// Where.
        path: RepoPath,
    },
}

/// The commit to make.
pub struct NewCommit {
    /// On what; `None` for a first commit.
    pub parent: Option<ObjectId>,
    /// Who wrote it.
    pub author: Identity,
    /// Who commits it.
    pub committer: Identity,
    /// The message.
    pub message: String,
    /// The changes, each of another path.
    pub changes: Vec<FileChange>,
}

/// A commit in quarantine. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct PreparedCommit {
    id: ObjectId,
    parent: Option<ObjectId>,
    repository: Repository,
    workshop: Workshop,
}

/// Makes the commit in a quarantine.
///
/// # Errors
/// `Invalid` when a path, a name or the message cannot be, or nothing changes; `NotFound` when a file to delete
/// is not there; `TooLarge` for a file above the limit.
pub async fn prepare(repository: &Repository, new: NewCommit, random: &Random) -> Result<PreparedCommit> {
    check_message(&new.message)?;
    let people =
        [environment_of(&new.author, &AUTHOR)?, environment_of(&new.committer, &COMMITTER)?].concat();
    let workshop = Workshop::open(repository, random)?;
    let mut index = workshop.read_tree(new.parent.as_ref()).await?;
    let mut lines = Vec::new();
    for change in new.changes {
        lines.extend(workshop.apply(&mut index, change).await?);
    }
    let tree = workshop.write_tree(lines).await?;
    if let Some(parent) = &new.parent
        && crate::commit::read(repository, parent).await?.tree == tree
    {
        return Err(Error::invalid("nothing would change: send files with other content"));
    }
    let id = workshop.commit(&tree, new.parent.as_ref(), new.message, people).await?;
    Ok(PreparedCommit { id, parent: new.parent, repository: repository.clone(), workshop })
}

impl PreparedCommit {
    /// The commit's name.
    #[must_use]
    pub fn id(&self) -> &ObjectId {
        &self.id
    }

    /// Where its objects wait.
    #[must_use]
    pub fn quarantine(&self) -> &Quarantine {
        &self.workshop.quarantine
    }

    /// What publishing it on `branch` would do: from its parent to it.
    #[must_use]
    pub fn update(&self, branch: &RefName) -> RefUpdate {
        let zero = |id: &ObjectId| "0".repeat(id.as_str().len()).parse().unwrap_or_else(|_| id.clone());
        let old = self.parent.clone().unwrap_or_else(|| zero(&self.id));
        RefUpdate { old, new: self.id.clone(), name: branch.clone() }
    }

    /// Brings the objects into the repository as one pack, then moves the ref as `update` says. On disk when it
    /// returns.
    ///
    /// # Errors
    /// `Conflict` when the ref is not at its old value any more.
    pub async fn publish(self, update: &RefUpdate) -> Result<()> {
        let lock = SharedLock::take(&self.repository).await?;
        let names = self.workshop.objects().map_err(Error::internal)?;
        let mut pack = self.repository.path().join("objects/pack/pack").into_os_string();
        GitCommand::new(&self.workshop.repository, "pack-objects")
            .flag("-q")
            .directory_operand(std::mem::take(&mut pack))
            .inherit(lock.descriptor()?)
            .output(names.into_bytes(), TREE_BOUNDS)
            .await?;
        refs::update_locked(&self.repository, std::slice::from_ref(update), &lock).await
    }
}

/// The modes of all files of the tree under work, by path.
type Index = BTreeMap<Vec<u8>, EntryKind>;

/// A quarantine and an index in it.
#[derive(Debug)]
struct Workshop {
    quarantine: Quarantine,
    directory: PathBuf,
    repository: Repository,
}

impl Workshop {
    fn open(repository: &Repository, random: &Random) -> Result<Self> {
        let name = format!("{}bastide-{}", Quarantine::PREFIX, hex::encode(random.bytes::<8>()));
        let quarantine = Quarantine::named(&name).ok_or_else(|| Error::internal("a bad quarantine name"))?;
        let directory = repository.path().join("objects").join(name);
        DirBuilder::new().mode(0o700).create(&directory).map_err(Error::internal)?;
        let repository = repository.with_objects_in(directory.clone());
        Ok(Self { quarantine, directory, repository })
    }

    /// Nothing in here needs to survive a crash.
    fn command(&self, subcommand: &'static str) -> GitCommand {
        GitCommand::new(&self.repository, subcommand)
            .config("core.fsync", "none")
            .environment("GIT_INDEX_FILE", self.directory.join("index"))
    }

    async fn read_tree(&self, parent: Option<&ObjectId>) -> Result<Index> {
        let Some(parent) = parent else { return Ok(Index::new()) };
        self.command("read-tree").object(parent).output(Vec::new(), TREE_BOUNDS).await?;
        let listed =
            self.command("ls-files").flag("-z").flag("--stage").output(Vec::new(), TREE_BOUNDS).await?;
        let records = listed.split(|b| *b == 0).filter(|record| !record.is_empty());
        let parsed: Option<Index> = records.map(parse_staged).collect();
        parsed.ok_or_else(|| Error::internal("git ls-files printed what cannot be read"))
    }

    /// Stores what a change brings; gives its line for the index.
    async fn apply(&self, index: &mut Index, change: FileChange) -> Result<Vec<u8>> {
        let (path, mode, id) = match change {
            FileChange::Delete { path } => {
                let there = index.remove(path.as_bytes());
                there.ok_or_else(|| Error::not_found(format!("file `{path}`")))?;
                (path, "0", "0".repeat(40))
            }
            FileChange::Write { path, content, executable } => {
                let before = check_place(index, &path)?;
                let executable = executable.unwrap_or(before);
                let id = self.store(content).await?;
                index.insert(path.as_bytes().to_vec(), EntryKind::File { executable });
                (path, if executable { "100755" } else { "100644" }, id.to_string())
            }
        };
        Ok([format!("{mode} {id}\t").as_bytes(), path.as_bytes(), b"\0"].concat())
    }

    async fn store(&self, content: Box<dyn AsyncRead + Send + Unpin>) -> Result<ObjectId> {
        let mut running =
            self.command("hash-object").flag("-w").flag("--stdin").flag("--no-filters").spawn()?;
        let (stdin, stdout) = (running.stdin(), running.stdout());
        let (Some(mut stdin), Some(mut stdout)) = (stdin, stdout) else {
            return Err(Error::internal("git has no pipes"));
        };
        let mut limited = content.take(LARGEST_FILE + 1);
        let work = async {
            let copied =
                tokio::io::copy(&mut limited, &mut stdin).await.map_err(crate::push_commands::unreadable)?;
            if copied > LARGEST_FILE {
                return Err(Error::TooLarge { limit: LARGEST_FILE });
            }
            stdin.shutdown().await.map_err(Error::internal)?;
            drop(stdin);
            let mut id = String::new();
            stdout.read_to_string(&mut id).await.map_err(Error::internal)?;
            let (status, stderr) = running.wait().await?;
            id.trim_end().parse().map_err(|_| Error::Internal(format!("git hash-object: {status}: {stderr}")))
        };
        tokio::time::timeout(UPLOAD, work).await.map_err(|_| Error::Unavailable)?
    }

    async fn write_tree(&self, lines: Vec<u8>) -> Result<ObjectId> {
        self.command("update-index").flag("-z").flag("--index-info").output(lines, TREE_BOUNDS).await?;
        parse_id(&self.command("write-tree").output(Vec::new(), TREE_BOUNDS).await?)
    }

    async fn commit(
        &self,
        tree: &ObjectId,
        parent: Option<&ObjectId>,
        mut message: String,
        people: Vec<(&'static str, String)>,
    ) -> Result<ObjectId> {
        let mut command = self.command("commit-tree").object(tree);
        if let Some(parent) = parent {
            command = command.flag("-p").object_value(parent);
        }
        for (name, value) in people {
            command = command.environment(name, value);
        }
        if !message.ends_with('\n') {
            message.push('\n');
        }
        parse_id(&command.output(message.into_bytes(), Bounds::QUICK).await?)
    }

    /// The names of all objects made here, one a line.
    fn objects(&self) -> io::Result<String> {
        let mut names = String::new();
        for first in fs::read_dir(&self.directory)? {
            let first = first?;
            let start = first.file_name().to_string_lossy().into_owned();
            if start.len() != 2 || !first.file_type()?.is_dir() {
                continue;
            }
            for rest in fs::read_dir(first.path())? {
                names.push_str(&start);
                names.push_str(&rest?.file_name().to_string_lossy());
                names.push('\n');
            }
        }
        Ok(names)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            tracing::warn!(%error, "a quarantine is left for maintenance to remove");
        }
    }
}

/// Whether a file may stand at `path`; gives whether one that does is executable.
fn check_place(index: &Index, path: &RepoPath) -> Result<bool> {
    let bytes = path.as_bytes();
    let above = bytes.iter().enumerate().filter(|(_, b)| **b == b'/').filter_map(|(at, _)| bytes.get(..at));
    for directory in above {
        if index.contains_key(directory) {
            let name = String::from_utf8_lossy(directory);
            return Err(Error::invalid(format!(
                "`{name}` is not a directory: choose another path than `{path}`"
            )));
        }
    }
    let below = [bytes, b"/"].concat();
    if index.range(below.clone()..).next().is_some_and(|(other, _)| other.starts_with(&below)) {
        return Err(Error::invalid(format!("`{path}` is a directory: choose another path")));
    }
    match index.get(bytes) {
        None => Ok(false),
        Some(EntryKind::File { executable }) => Ok(*executable),
        Some(_) => Err(Error::invalid(format!("`{path}` is a link or a submodule: delete it first"))),
    }
}

/// `mode id stage<TAB>path`.
fn parse_staged(record: &[u8]) -> Option<(Vec<u8>, EntryKind)> {
    let tab = record.iter().position(|b| *b == b'\t')?;
    let head = std::str::from_utf8(record.get(..tab)?).ok()?;
    let kind = kind_of_mode(head.split(' ').next()?)?;
    Some((record.get(tab + 1..)?.to_vec(), kind))
}

fn parse_id(output: &[u8]) -> Result<ObjectId> {
    String::from_utf8_lossy(output).trim_end().parse().map_err(Error::internal)
}

fn check_message(message: &str) -> Result<()> {
    if message.trim().is_empty() || message.contains('\0') {
        return Err(Error::invalid_field("message", "write a message, without NUL"));
    }
    Ok(())
}

const AUTHOR: [&str; 3] = ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_AUTHOR_DATE"];
const COMMITTER: [&str; 3] = ["GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "GIT_COMMITTER_DATE"];

/// A person as git takes it. Names reach the environment as values of three fixed variables, and only if they have
/// nothing in them that would end a line or a field of the commit.
fn environment_of(
    person: &Identity,
    [name, email, date]: &[&'static str; 3],
) -> Result<Vec<(&'static str, String)>> {
    let bad = |text: &str| text.chars().any(|c| c.is_control() || matches!(c, '<' | '>'));
    if bad(&person.name) || bad(&person.email) || person.name.trim().is_empty() {
        return Err(Error::invalid_field("author", "write `Name <address>`, without line ends"));
    }
    let (sign, minutes) =
        if person.offset_minutes < 0 { ('-', -person.offset_minutes) } else { ('+', person.offset_minutes) };
    let when = format!("@{} {sign}{:02}{:02}", person.seconds.max(0), minutes / 60, minutes % 60);
    Ok(vec![(*name, person.name.clone()), (*email, person.email.clone()), (*date, when)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack: a user name that sets another variable, ends the commit's header, or begins a second one.
    #[test]
    fn a_person_cannot_bring_lines_or_fields() {
        let person = |name: &str, email: &str| Identity {
            name: name.to_owned(),
            email: email.to_owned(),
            seconds: 1_700_000_000,
            offset_minutes: -90,
        };
        for (name, email) in
            [("a\nparent 0", "e"), ("a\0GIT_DIR=/x", "e"), ("a", "e> 1 +0\nx"), ("", "e"), ("<a>", "e")]
        {
            assert!(environment_of(&person(name, email), &AUTHOR).is_err(), "{name:?} {email:?}");
        }
        let set = environment_of(&person("GIT_DIR=/x; rm", "a@b"), &AUTHOR).unwrap();
        assert_eq!(set[0], ("GIT_AUTHOR_NAME", "GIT_DIR=/x; rm".to_owned()));
        assert_eq!(set[2], ("GIT_AUTHOR_DATE", "@1700000000 -0130".to_owned()));
    }
}
