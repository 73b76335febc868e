//! Branch restrictions: what may not be done to the branches of a repository that match, whoever has permission to
//! write to it.

use std::fmt;
use std::str::FromStr;

use crate::{BranchType, BranchingModel, Glob, GroupId, RepositoryId, Timestamp, UserId};

/// The text names no kind of restriction that is enforced here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use one of `push`, `force`, `delete`")]
pub struct BadRestrictionKind;

/// What is restricted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RestrictionKind {
    /// Writing: making, moving and deleting the branch is for those who are exempt, and for nobody else.
    Push,
    /// Rewriting: nobody moves the branch to a commit that does not contain what the branch pointed to.
    Force,
    /// Deleting: nobody does.
    Delete,
}

impl RestrictionKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Push, Self::Force, Self::Delete];

    /// The word for it in the API and the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Force => "force",
            Self::Delete => "delete",
        }
    }
}

impl fmt::Display for RestrictionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RestrictionKind {
    type Err = BadRestrictionKind;

    fn from_str(text: &str) -> Result<Self, BadRestrictionKind> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or(BadRestrictionKind)
    }
}

/// Which branches a restriction is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BranchMatch {
    /// Those whose names match.
    Glob(Glob),
    /// Those of a type, by the repository's branching model.
    BranchingModel(BranchType),
}

impl BranchMatch {
    /// The word for the way of matching in the API and the store.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Glob(_) => "glob",
            Self::BranchingModel(_) => "branching_model",
        }
    }

    /// The pattern, or the type.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Glob(glob) => glob.as_str(),
            Self::BranchingModel(kind) => kind.as_str(),
        }
    }

    /// Whether a branch matches, in a repository with this branching model and main branch.
    #[must_use]
    pub fn matches(&self, branch: &str, model: &BranchingModel, main: &str) -> bool {
        match self {
            Self::Glob(glob) => glob.matches(branch),
            Self::BranchingModel(kind) => model.is_of(branch, *kind, main),
        }
    }
}

/// One restriction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchRestriction {
    /// Its number, given once in the installation.
    pub id: i64,
    /// On which repository.
    pub repository: RepositoryId,
    /// What is restricted.
    pub kind: RestrictionKind,
    /// On which branches.
    pub branches: BranchMatch,
    /// Users who are exempt; of the kind `push` alone.
    pub users: Vec<UserId>,
    /// Groups whose members are exempt; of the kind `push` alone.
    pub groups: Vec<GroupId>,
    /// When it was made.
    pub created_on: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_read_back() {
        for kind in RestrictionKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("require_approvals_to_merge".parse::<RestrictionKind>().is_err());
    }
}
