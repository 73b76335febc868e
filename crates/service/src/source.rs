//! Files and directories at a commit.

use git::refs::RefKind;
use git::tree::{Entry, EntryKind};
use git::{ByteStream, Repository};
use model::{Error, ObjectId, Result, act};
use store::repository::Located;
use wire::query::{FieldKind, Typed};
use wire::sort::Sort;

use crate::access::RepositoryPath;
use crate::commit::repo_path;
use crate::select::{Field, select};
use crate::{Caller, Listing, Service, Window};

/// The fields by which directories' listings are filtered and sorted.
pub static SOURCE_FIELDS: [(&str, FieldKind); 4] = [
    ("path", FieldKind::Text),
    ("type", FieldKind::Text),
    ("size", FieldKind::Number),
    ("attributes", FieldKind::Text),
];

/// The most entries that a listing, with what lies below, goes through.
const MOST_ENTRIES: usize = 200_000;

/// What lies at a path of a commit. There is one only for who may read the repository.
#[derive(Clone, Debug)]
pub struct SourceAt {
    /// The repository.
    pub located: Located,
    /// The commit.
    pub commit: ObjectId,
    /// What lies there; none for the root.
    pub entry: Option<Entry>,
    repository: Repository,
}

impl SourceAt {
    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.entry.as_ref().is_none_or(|entry| entry.kind == EntryKind::Directory)
    }

    /// Its path from the root; empty for the root.
    #[must_use]
    pub fn path(&self) -> String {
        let path = self.entry.as_ref().map(|entry| entry.path.as_slice()).unwrap_or_default();
        String::from_utf8_lossy(path).into_owned()
    }

    /// The file's content, piece by piece: of a link where it points, of a submodule its commit's name.
    ///
    /// # Errors
    /// When it is a directory.
    pub async fn content(&self) -> Result<ByteStream> {
        match &self.entry {
            Some(entry) if matches!(entry.kind, EntryKind::File { .. } | EntryKind::Symlink) => {
                git::blob::open(&self.repository, &entry.id).await
            }
            Some(entry) if entry.kind == EntryKind::Submodule => {
                let name = bytes::Bytes::from(entry.id.to_string());
                Ok(Box::pin(futures_util::stream::iter([Ok(name)])))
            }
            _ => Err(Error::internal("the content of a directory was asked for")),
        }
    }

    /// One of the entries that this directory listed, without asking git again.
    #[must_use]
    pub fn at(&self, entry: &Entry) -> Self {
        Self {
            located: self.located.clone(),
            commit: self.commit.clone(),
            entry: Some(entry.clone()),
            repository: self.repository.clone(),
        }
    }

    /// What lies in the directory, down to `depth` levels.
    ///
    /// # Errors
    /// `TooLarge` when it is more than anybody reads.
    pub async fn entries(
        &self,
        depth: usize,
        filter: Option<&Typed>,
        sort: Option<Sort>,
        window: Window,
    ) -> Result<Listing<Entry>> {
        let path = self.entry.as_ref().map(|_| repo_path("path", &self.path())).transpose()?;
        let entries =
            git::tree::list(&self.repository, &self.commit, path.as_ref(), depth, MOST_ENTRIES).await?;
        Ok(select(entries, field, filter, sort, window))
    }
}

/// The words for what is special about an entry.
#[must_use]
pub fn attributes(kind: EntryKind) -> Vec<&'static str> {
    match kind {
        EntryKind::File { executable: true } => vec!["executable"],
        EntryKind::Symlink => vec!["link"],
        EntryKind::Submodule => vec!["subrepository"],
        EntryKind::File { executable: false } | EntryKind::Directory => Vec::new(),
    }
}

fn field(entry: &Entry, name: &str) -> Field {
    match name {
        "path" => Field::Text(String::from_utf8_lossy(&entry.path).into_owned()),
        "type" if entry.kind == EntryKind::Directory => Field::Text("commit_directory".to_owned()),
        "type" => Field::Text("commit_file".to_owned()),
        "size" => entry.size.and_then(|size| i64::try_from(size).ok()).map_or(Field::Null, Field::Number),
        _ => Field::Text(attributes(entry.kind).join(",")),
    }
}

impl Service {
    /// What lies at a path (the root for an empty one) of a revision.
    pub async fn source(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        revision: &str,
        file: &str,
    ) -> Result<SourceAt> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::RepositoryRead, ground.as_ref())?;
        let repository = self.git.open(ground.subject.repository.id)?;
        let commit = git::refs::resolve(&repository, revision).await?;
        let entry = match file.trim_matches('/') {
            "" => None,
            file => {
                let missing = || Error::not_found(format!("`{}` at `{commit}`", file.escape_debug()));
                let path = repo_path("path", file).map_err(|_| missing())?;
                Some(git::tree::find(&repository, &commit, &path).await?.ok_or_else(missing)?)
            }
        };
        Ok(SourceAt { located: ground.subject.clone(), commit, entry, repository })
    }

    /// The root of a commit that a ref was just seen to lead to: git is not asked again what it means.
    pub async fn root_of(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        commit: &ObjectId,
    ) -> Result<SourceAt> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::RepositoryRead, ground.as_ref())?;
        let repository = self.git.open(ground.subject.repository.id)?;
        Ok(SourceAt { located: ground.subject.clone(), commit: commit.clone(), entry: None, repository })
    }

    /// The repository and the commit that its default branch leads to.
    pub async fn main_commit(&self, caller: &Caller, path: &RepositoryPath) -> Result<(Located, ObjectId)> {
        let located = self.repository(caller, path).await?;
        let branch = located.repository.default_branch.clone();
        let found = self.git_ref(caller, path, RefKind::Branches, &branch).await?;
        let tip = found.listing.values.into_iter().next();
        let tip = tip.ok_or_else(|| Error::not_found(format!("the branch `{branch}`")))?;
        Ok(((*located).clone(), tip.commit.id))
    }
}
