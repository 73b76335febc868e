//! The lock that tells whether a repository's refs may still be moving.
//!
//! Whoever moves refs holds it shared, and so do all processes that work for them, since a child inherits the
//! descriptor: the lock ends with the last of them, even when the server died first. Whoever judges what became of
//! a push takes it exclusively, and never waits: a push that still moves refs is judged later.

use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use model::{Error, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::repository::Repository;

/// The lock's file in a repository's directory.
pub(crate) const LOCK_FILE: &str = "bastide.lock";

const MAINTENANCE_LOCK_FILE: &str = "bastide-maintenance.lock";

/// How often and how long a shared lock is asked for: a judgement takes milliseconds.
const TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(20);

/// Refs may move while this lives.
#[derive(Debug)]
pub struct SharedLock(File);

impl SharedLock {
    /// Waits for judgements under way, then takes the lock.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be had within ten seconds.
    pub async fn take(repository: &Repository) -> Result<Self> {
        let file = open(repository, LOCK_FILE)?;
        for _ in 0..TRIES {
            match flock(&file, FlockOperation::NonBlockingLockShared) {
                Ok(()) => return Ok(Self(file)),
                Err(Errno::WOULDBLOCK | Errno::INTR) => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(Error::internal(error)),
            }
        }
        Err(Error::Unavailable)
    }

    /// A descriptor for a child process; the lock lasts until the last of them is closed.
    pub(crate) fn descriptor(&self) -> Result<OwnedFd> {
        Ok(self.0.try_clone().map_err(Error::internal)?.into())
    }
}

/// No ref moves while this lives, except by hand.
#[derive(Debug)]
pub struct ExclusiveLock {
    _file: File,
}

/// Takes the repository's lock exclusively if no push moves refs; `None` if one does.
///
/// # Errors
/// When the lock's file cannot be opened or locked.
pub fn try_exclusive(repository: &Repository) -> Result<Option<ExclusiveLock>> {
    try_lock(repository, LOCK_FILE)
}

/// Takes the lock that keeps two maintenance runs apart.
pub(crate) fn try_maintenance(repository: &Repository) -> Result<Option<ExclusiveLock>> {
    try_lock(repository, MAINTENANCE_LOCK_FILE)
}

fn try_lock(repository: &Repository, name: &str) -> Result<Option<ExclusiveLock>> {
    let file = open(repository, name)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(ExclusiveLock { _file: file })),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(Error::internal(error)),
    }
}

fn open(repository: &Repository, name: &str) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(repository.path().join(name))
        .map_err(|error| Error::Internal(format!("the repository's lock cannot be opened: {error}")))
}
