//! One ref's change in a push, what became of it, and whether it rewrites history.

use model::{Error, ObjectId, RefName, Result};
use serde::{Deserialize, Serialize};

use crate::command::{Bounds, GitCommand};
use crate::repository::Repository;

/// What a push wants of one ref.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefUpdate {
    /// What the client believes the ref to be; zero for none.
    pub old: ObjectId,
    /// What it shall be; zero to delete it.
    pub new: ObjectId,
    /// The ref.
    pub name: RefName,
}

/// What kind of change an update is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The ref did not exist.
    Create,
    /// The ref shall be no more.
    Delete,
    /// The new value descends from the old one.
    FastForward,
    /// The new value leaves something of the old one behind.
    Forced,
}

impl RefUpdate {
    /// Whether the ref is made anew.
    #[must_use]
    pub fn is_creation(&self) -> bool {
        self.old.is_zero()
    }

    /// Whether the ref is deleted.
    #[must_use]
    pub fn is_deletion(&self) -> bool {
        self.new.is_zero()
    }

    /// Which kind of change this is. For a push under way, `repository` is the one in its quarantine, since the
    /// new objects are nowhere else. Values that are not commits (tags of trees, say) count as forced.
    ///
    /// # Errors
    /// When git cannot tell.
    pub async fn change(&self, repository: &Repository) -> Result<Change> {
        if self.is_creation() {
            return Ok(Change::Create);
        }
        if self.is_deletion() {
            return Ok(Change::Delete);
        }
        let forced = is_forced(repository, self).await?;
        Ok(if forced { Change::Forced } else { Change::FastForward })
    }
}

/// Whether the update leaves something of the old value behind; see [`RefUpdate::change`].
///
/// # Errors
/// When git cannot tell.
pub async fn is_forced(repository: &Repository, update: &RefUpdate) -> Result<bool> {
    if update.is_creation() || update.is_deletion() {
        return Ok(false);
    }
    // A tag that is moved is replaced, whatever it points at.
    if update.name.as_tag().is_some() {
        return Ok(update.old != update.new);
    }
    let finished = GitCommand::new(repository, "merge-base")
        .flag("--is-ancestor")
        .object(&update.old)
        .object(&update.new)
        .finish(Vec::new(), Bounds::QUICK)
        .await?;
    match finished.status.code() {
        Some(0) => Ok(false),
        Some(1 | 128) => Ok(true),
        _ => Err(Error::Internal(format!("git merge-base: {}: {}", finished.status, finished.stderr))),
    }
}

/// What became of one ref of a push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefOutcome {
    /// What was wanted.
    pub update: RefUpdate,
    /// Whether the ref was given the new value.
    pub applied: bool,
    /// What git said against it.
    pub refusal: Option<String>,
}

/// What became of a push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushOutcome {
    /// Ref by ref, in the client's order.
    pub refs: Vec<RefOutcome>,
    /// Whether git came to its end and said so; false when it was ended from outside.
    pub finished: bool,
}
