//! What changed between commits: as a patch, as a list of files, as a series of mails; and where two commits part.

use std::io;

use bytes::Bytes;
use futures_util::StreamExt;
use git::diff::{DiffQuery, FileStat};
use git::{ByteStream, Repository};
use model::{Error, ObjectId, Result, act};
use store::repository::Located;

use crate::access::RepositoryPath;
use crate::commit::{Commits, repo_path};
use crate::{Caller, Listing, Service, Window};

/// The longest diff or series of patches that is sent, in bytes. What is longer breaks off with the connection, so
/// that nobody takes it for whole.
pub const LONGEST_DIFF: u64 = 256 << 20;

/// The most files that a list of changes has.
const MOST_FILES: usize = 50_000;

/// The most lines around each change.
const MOST_CONTEXT: u32 = 10_000;

/// Which diff is asked for.
#[derive(Clone, Debug)]
pub struct DiffRequest {
    /// One commit, compared with its first parent; or `source..destination`.
    pub spec: String,
    /// Only these files or directories, if any are named.
    pub paths: Vec<String>,
    /// Lines around each change; three without it.
    pub context: Option<u32>,
    /// Take lines that differ in white space alone for equal.
    pub ignore_whitespace: bool,
    /// Look for renames.
    pub renames: bool,
    /// Give the content of binary files as well.
    pub binary: bool,
    /// Of two commits: what the source has that their common ancestor has not, rather than plainly the difference.
    pub topic: bool,
}

impl DiffRequest {
    /// As the contract has it where nothing else is said.
    #[must_use]
    pub fn new(spec: &str) -> Self {
        Self {
            spec: spec.to_owned(),
            paths: Vec::new(),
            context: None,
            ignore_whitespace: false,
            renames: true,
            binary: true,
            topic: true,
        }
    }
}

/// The files that changed between two commits.
#[derive(Clone, Debug)]
pub struct Diffstat {
    /// The repository.
    pub located: Located,
    /// The old side; none before a first commit.
    pub from: Option<ObjectId>,
    /// The new side.
    pub to: ObjectId,
    /// The files.
    pub listing: Listing<FileStat>,
}

/// One commit or two.
struct Spec<'a> {
    source: &'a str,
    destination: Option<&'a str>,
}

impl<'a> Spec<'a> {
    /// No name of a ref or commit holds two dots.
    fn parse(text: &'a str) -> Self {
        match text.split_once("..") {
            Some((source, destination)) => Self { source, destination: Some(destination) },
            None => Self { source: text, destination: None },
        }
    }
}

impl Service {
    async fn diff_query(&self, repository: &Repository, request: &DiffRequest) -> Result<DiffQuery> {
        let paths = request.paths.iter().map(|path| repo_path("path", path)).collect::<Result<Vec<_>>>()?;
        let context = request.context.unwrap_or(3);
        if context > MOST_CONTEXT {
            return Err(Error::invalid_field("context", format!("use at most {MOST_CONTEXT} lines")));
        }
        let spec = Spec::parse(&request.spec);
        let to = git::refs::resolve(repository, spec.source).await?;
        let from = match spec.destination {
            None => git::commit::read(repository, &to).await?.parents.into_iter().next(),
            Some(destination) => {
                let destination = git::refs::resolve(repository, destination).await?;
                let base = match request.topic {
                    true => git::commit::merge_base(repository, &to, &destination).await?,
                    false => None,
                };
                Some(base.unwrap_or(destination))
            }
        };
        Ok(DiffQuery {
            paths,
            context,
            ignore_whitespace: request.ignore_whitespace,
            renames: request.renames,
            binary: request.binary,
            ..DiffQuery::new(from, to)
        })
    }

    /// A diff, piece by piece.
    pub async fn diff(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        request: &DiffRequest,
    ) -> Result<ByteStream> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::RepositoryRead, ground.as_ref())?;
        let repository = self.git.open(ground.subject.repository.id)?;
        let query = self.diff_query(&repository, request).await?;
        Ok(bounded(git::diff::patch(&repository, &query)?, LONGEST_DIFF))
    }

    /// The files of a diff.
    pub async fn diffstat(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        request: &DiffRequest,
        window: Window,
    ) -> Result<Diffstat> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::RepositoryRead, ground.as_ref())?;
        let repository = self.git.open(ground.subject.repository.id)?;
        let query = self.diff_query(&repository, request).await?;
        let files = git::diff::stat(&repository, &query, MOST_FILES).await?;
        let size = i64::try_from(files.len()).unwrap_or(i64::MAX);
        let skip = usize::try_from(window.offset).unwrap_or(usize::MAX);
        let take = usize::try_from(window.limit).unwrap_or(0);
        let values = files.into_iter().skip(skip).take(take).collect();
        let located = ground.subject.clone();
        Ok(Diffstat { located, from: query.from, to: query.to, listing: Listing::new(values, size) })
    }

    /// The patch of one commit, or those of the commits that a source has and a destination has not.
    pub async fn patch(&self, caller: &Caller, path: &RepositoryPath, spec: &str) -> Result<ByteStream> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::RepositoryRead, ground.as_ref())?;
        let repository = self.git.open(ground.subject.repository.id)?;
        let spec = Spec::parse(spec);
        let to = git::refs::resolve(&repository, spec.source).await?;
        let from = match spec.destination {
            Some(destination) => Some(git::refs::resolve(&repository, destination).await?),
            None => git::commit::read(&repository, &to).await?.parents.into_iter().next(),
        };
        Ok(bounded(git::diff::mails(&repository, from.as_ref(), &to)?, LONGEST_DIFF))
    }

    /// The best common ancestor of the two commits of `one..other`.
    pub async fn merge_base(&self, caller: &Caller, path: &RepositoryPath, spec: &str) -> Result<Commits> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::RepositoryRead, ground.as_ref())?;
        let repository = self.git.open(ground.subject.repository.id)?;
        let spec = Spec::parse(spec);
        let other = spec.destination.ok_or_else(|| {
            Error::invalid_field("revspec", "name two commits with two dots between, as in `one..other`")
        })?;
        let one = git::refs::resolve(&repository, spec.source).await?;
        let other = git::refs::resolve(&repository, other).await?;
        let base = git::commit::merge_base(&repository, &one, &other).await?;
        let base = base.ok_or_else(|| Error::not_found("a common ancestor of the two commits"))?;
        self.one_commit(ground.subject.clone(), &repository, &base).await
    }
}

/// The stream, ended with an error when it goes beyond `limit` bytes.
fn bounded(stream: ByteStream, limit: u64) -> ByteStream {
    let mut left = limit;
    let count = move |piece: io::Result<Bytes>| {
        let piece = piece?;
        match left.checked_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX)) {
            Some(rest) => {
                left = rest;
                Ok(piece)
            }
            None => Err(io::Error::other(format!("the answer is longer than {limit} bytes"))),
        }
    };
    stream.map(count).boxed()
}
