//! A repository: its facts; the content lies with `git`.

use crate::{DisplayName, ProjectId, RepositoryId, RepositorySlug, Timestamp, WorkspaceId};

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Its id, and the name of its directory.
    pub id: RepositoryId,
    /// Where it lives.
    pub workspace: WorkspaceId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// The second part of its clone URL.
    pub slug: RepositorySlug,
    /// The name that people read.
    pub name: DisplayName,
    /// What it is for.
    pub description: String,
    /// Whether only those with a grant see it.
    pub private: bool,
    /// Who may fork it.
    pub fork_policy: ForkPolicy,
    /// The main programming language, as the owner names it.
    pub language: String,
    /// Kept for clients that send it: there is no issue tracker.
    pub has_issues: bool,
    /// Kept for clients that send it: there is no wiki.
    pub has_wiki: bool,
    /// The branch that a clone checks out.
    pub default_branch: String,
    /// On disk, as of the last maintenance.
    pub size_bytes: i64,
    /// When it was made.
    pub created_on: Timestamp,
    /// When it was last changed or pushed to.
    pub updated_on: Timestamp,
    /// When it was deleted, while it can still be restored.
    pub deleted_on: Option<Timestamp>,
}

/// Who may fork a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForkPolicy {
    /// Everybody who can read it.
    AllowForks,
    /// Only into private repositories that stay private.
    NoPublicForks,
    /// Nobody.
    NoForks,
}

impl ForkPolicy {
    /// The word for it in the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllowForks => "allow_forks",
            Self::NoPublicForks => "no_public_forks",
            Self::NoForks => "no_forks",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::AllowForks, Self::NoPublicForks, Self::NoForks]
            .into_iter()
            .find(|policy| policy.as_str() == text)
    }
}
