//! The content of files, as a stream or, when small, at once.

use std::time::Duration;

use model::{Error, ObjectId, Result};

use crate::command::{Bounds, GitCommand};
use crate::objects::{Kind, Oid, look};
use crate::path::RepoPath;
use crate::repository::Repository;
use crate::stream::{self, ByteStream};
use crate::tree::{self, Entry, EntryKind};

/// A longer blob is git's to read, which keeps no more of it in memory than a piece.
const SHORT: u64 = 1 << 20;

/// How long git may take between two pieces.
const SILENCE: Duration = Duration::from_secs(60);

/// The file or link at a path; its size stands in it. The content comes from [`open`] with its id.
///
/// # Errors
/// `NotFound` when there is nothing, a directory or a submodule.
pub async fn find(repository: &Repository, commit: &ObjectId, path: &RepoPath) -> Result<Entry> {
    let entry = tree::find(repository, commit, path).await?;
    entry
        .filter(|entry| matches!(entry.kind, EntryKind::File { .. } | EntryKind::Symlink))
        .ok_or_else(|| Error::not_found(format!("file `{path}` in `{commit}`")))
}

/// A blob's content, piece by piece, or at once where it is short.
///
/// # Errors
/// When git cannot be started; the stream itself ends early when there is no such blob.
pub async fn open(repository: &Repository, id: &ObjectId) -> Result<ByteStream> {
    if let Some(content) = short(repository, id).await {
        return Ok(stream::once(content));
    }
    let running = GitCommand::new(repository, "cat-file").operand("blob").object(id).spawn()?;
    Ok(stream::output(running, SILENCE))
}

/// A blob's content, if it has at most `limit` bytes.
///
/// # Errors
/// `TooLarge` above the limit.
pub async fn read(repository: &Repository, id: &ObjectId, limit: usize) -> Result<Vec<u8>> {
    if let Some(content) = short(repository, id).await {
        let too_large = Error::TooLarge { limit: u64::try_from(limit).unwrap_or(u64::MAX) };
        return if content.len() > limit { Err(too_large) } else { Ok(content) };
    }
    let command = GitCommand::new(repository, "cat-file").operand("blob").object(id);
    command.output(Vec::new(), Bounds { bytes: limit, ..Bounds::QUICK }).await
}

/// The content of a blob that is worth no process.
async fn short(repository: &Repository, id: &ObjectId) -> Option<Vec<u8>> {
    let id = Oid::of(id)?;
    look(repository, move |_, objects| objects.content(&id, Kind::Blob, SHORT)).await
}
