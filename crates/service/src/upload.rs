//! Commits made through the API: files are taken one by one, kept aside, and become one commit on a branch.
//!
//! The permission is asked before the first byte is read, and once more when all have come: much may have changed
//! meanwhile.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use git::commit::Identity;
use git::path::RepoPath;
use git::write::{FileChange, NewCommit};
use git::{BodyReader, Repository};
use model::{Error, ObjectId, RefName, Result, act};
use store::repository::Located;

use crate::access::RepositoryPath;
use crate::commit::repo_path;
use crate::{Caller, Service};

/// The most files that one commit of the API changes.
const MOST_FILES: usize = 10_000;

/// The most bytes that one commit of the API brings.
const MOST_BYTES: u64 = 1 << 30;

/// How much is read at once from what was kept aside.
const CHUNK: u64 = 256 * 1024;

/// What is said about the commit, beside its files.
#[derive(Clone, Debug, Default)]
pub struct CommitFacts {
    /// The message; one is made up without it.
    pub message: Option<String>,
    /// `Ann Lee <ann@example.com>`; the caller without it.
    pub author: Option<String>,
    /// The branch; the default one without it. A new one begins at the parent.
    pub branch: Option<String>,
    /// The parent; the branch's head without it.
    pub parent: Option<String>,
}

enum Change {
    Write { path: RepoPath, executable: Option<bool>, from: u64, length: u64 },
    Delete { path: RepoPath },
}

impl Change {
    fn path(&self) -> &RepoPath {
        match self {
            Self::Write { path, .. } | Self::Delete { path } => path,
        }
    }
}

/// Files on their way into a commit. Dropped, it leaves nothing behind.
pub struct Upload {
    service: Service,
    caller: Caller,
    located: Located,
    /// Has no name: it ends with the last who holds it open.
    aside: Arc<File>,
    taken: u64,
    changes: Vec<Change>,
}

impl Service {
    /// Begins a commit, for who may make one.
    pub async fn begin_upload(&self, caller: &Caller, path: &RepositoryPath) -> Result<Upload> {
        let ground = self.repository_ground(caller, path).await?;
        drop(self.permit(caller, act::CommitCreate, ground.as_ref())?);
        let name = format!(".upload-{}", model::RequestId::new(&self.random));
        let name = self.settings.data.join(name);
        let open = move || {
            let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&name)?;
            std::fs::remove_file(&name)?;
            Ok::<File, io::Error>(file)
        };
        let aside = tokio::task::spawn_blocking(open).await.map_err(Error::internal)?;
        Ok(Upload {
            service: self.clone(),
            caller: caller.clone(),
            located: ground.subject.clone(),
            aside: Arc::new(aside.map_err(Error::internal)?),
            taken: 0,
            changes: Vec::new(),
        })
    }
}

impl Upload {
    /// The repository.
    #[must_use]
    pub fn located(&self) -> &Located {
        &self.located
    }

    fn path_for(&self, path: &str) -> Result<RepoPath> {
        if self.changes.len() >= MOST_FILES {
            return Err(Error::invalid(format!("change at most {MOST_FILES} files at once")));
        }
        let checked = repo_path("path", path)?;
        if self.changes.iter().any(|change| *change.path() == checked) {
            return Err(Error::invalid(format!("`{checked}` is sent twice")));
        }
        Ok(checked)
    }

    /// Takes a file's content.
    ///
    /// # Errors
    /// `Invalid` for a path that cannot be, `TooLarge` above the limit, and whatever breaks the stream.
    pub async fn write<S>(&mut self, path: &str, executable: Option<bool>, mut content: S) -> Result<()>
    where
        S: Stream<Item = Result<Bytes>> + Unpin,
    {
        let path = self.path_for(path)?;
        let from = self.taken;
        while let Some(piece) = content.next().await {
            let piece = piece?;
            let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            if self.taken.saturating_add(length) > MOST_BYTES {
                return Err(Error::TooLarge { limit: MOST_BYTES });
            }
            let (file, at) = (Arc::clone(&self.aside), self.taken);
            let keep = move || file.write_all_at(&piece, at);
            tokio::task::spawn_blocking(keep).await.map_err(Error::internal)?.map_err(Error::internal)?;
            self.taken = self.taken.saturating_add(length);
        }
        self.changes.push(Change::Write { path, executable, from, length: self.taken - from });
        Ok(())
    }

    /// Notes a file that shall be no more. One that is also sent is written instead.
    ///
    /// # Errors
    /// `Invalid` for a path that cannot be.
    pub fn delete(&mut self, path: &str) -> Result<()> {
        let checked = repo_path("files", path)?;
        if !self.changes.iter().any(|change| *change.path() == checked) {
            let path = self.path_for(path)?;
            self.changes.push(Change::Delete { path });
        }
        Ok(())
    }

    /// Makes the commit and moves the branch to it; gives the commit's name and the branch's.
    ///
    /// # Errors
    /// `Invalid` when nothing would change or something said of the commit cannot be; `Conflict` when the branch has
    /// moved in the meantime.
    pub async fn commit(self, facts: CommitFacts) -> Result<(ObjectId, String)> {
        if self.changes.is_empty() {
            return Err(Error::invalid("send at least one file, or name one to delete in `files`"));
        }
        let id = self.located.repository.id;
        let repository = self.service.git.open(id)?;
        let main = self.located.repository.default_branch.as_str();
        let name = facts.branch.clone().unwrap_or_else(|| main.to_owned());
        let (branch, head) = self.branch(&repository, &name).await?;
        let parent = match (&facts.parent, &head) {
            (Some(parent), _) => Some(self.parent(&repository, parent, head.as_ref()).await?),
            (None, Some(head)) => Some(head.clone()),
            // A new branch begins where the main one ends; in an empty repository, at nothing.
            (None, None) => self.branch(&repository, main).await?.1,
        };
        let committer = self.service.author(&self.caller);
        let author = match &facts.author {
            Some(text) => person(text, committer.seconds)?,
            None => committer.clone(),
        };
        let message = facts.message.filter(|message| !message.trim().is_empty());
        let message = message.unwrap_or_else(|| self.made_up_message());
        let begins = head.is_none();
        let changes = self.changes.into_iter().map(|change| opened(&self.aside, change)).collect();
        let new = NewCommit { parent, author, committer, message, changes };
        let prepared = git::write::prepare(&repository, new, &self.service.random).await?;
        let mut update = prepared.update(&branch);
        if begins {
            // A new branch that begins at a parent of another: the ref does not exist yet.
            update.old = "0".repeat(update.new.as_str().len()).parse().map_err(Error::internal)?;
        }
        let made = prepared.id().clone();
        let ground = self.service.ground_of(&self.caller, id).await?;
        let permit = self.service.permit(&self.caller, act::CommitCreate, &ground)?;
        let wanted = update.clone();
        let publish = move |_| async move { prepared.publish(&wanted).await };
        self.service.change_ref(&self.caller, permit, &ground.subject, update, publish).await?;
        Ok((made, name))
    }

    /// The branch, and its head where it has one.
    async fn branch(&self, repository: &Repository, name: &str) -> Result<(RefName, Option<ObjectId>)> {
        let branch = RefName::branch(name)
            .ok()
            .filter(|_| !name.starts_with("refs/"))
            .ok_or_else(|| Error::invalid_field("branch", "not a branch name that git accepts"))?;
        let head = git::refs::find(repository, &branch).await?.map(|found| found.target);
        Ok((branch, head))
    }

    async fn parent(
        &self,
        repository: &Repository,
        parent: &str,
        head: Option<&ObjectId>,
    ) -> Result<ObjectId> {
        let id = git::refs::resolve(repository, parent).await.map_err(|error| match error {
            Error::NotFound { .. } => Error::invalid_field("parents", "names no commit of the repository"),
            other => other,
        })?;
        match head {
            Some(head) if *head != id => Err(Error::Conflict(format!(
                "the branch is at `{head}`, not at `{id}`: take what is there into account and try again"
            ))),
            _ => Ok(id),
        }
    }

    fn made_up_message(&self) -> String {
        match self.changes.as_slice() {
            [Change::Write { path, .. }] => format!("{path} edited online with Bastide"),
            [Change::Delete { path }] => format!("{path} deleted online with Bastide"),
            many => format!("{} files changed online with Bastide", many.len()),
        }
    }
}

fn opened(aside: &Arc<File>, change: Change) -> FileChange {
    match change {
        Change::Delete { path } => FileChange::Delete { path },
        Change::Write { path, executable, from, length } => {
            let pieces = Box::pin(pieces(Arc::clone(aside), from, from + length));
            FileChange::Write { path, content: Box::new(BodyReader::new(pieces)), executable }
        }
    }
}

/// A part of what was kept aside, piece by piece.
fn pieces(file: Arc<File>, from: u64, end: u64) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::unfold(from, move |at| {
        let file = Arc::clone(&file);
        async move {
            let length = usize::try_from(end.saturating_sub(at).min(CHUNK)).ok().filter(|n| *n > 0)?;
            let read = move || {
                let mut buffer = vec![0; length];
                file.read_exact_at(&mut buffer, at).map(|()| Bytes::from(buffer))
            };
            let piece = tokio::task::spawn_blocking(read).await.map_err(io::Error::other);
            let next = at.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
            Some((piece.and_then(|piece| piece), next))
        }
    })
}

/// Reads `Ann Lee <ann@example.com>`.
fn person(text: &str, seconds: i64) -> Result<Identity> {
    let odd = || Error::invalid_field("author", "write `Name <address>`, without line ends");
    let (name, rest) = text.trim().split_once('<').ok_or_else(odd)?;
    let email = rest.strip_suffix('>').ok_or_else(odd)?;
    let bad = |text: &str| text.chars().any(|c| c.is_control() || matches!(c, '<' | '>'));
    if name.trim().is_empty() || bad(name) || bad(email) {
        return Err(odd());
    }
    let (name, email) = (name.trim().to_owned(), email.trim().to_owned());
    Ok(Identity { name, email, seconds, offset_minutes: 0 })
}
