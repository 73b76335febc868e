//! Build statuses: what a build system says of a commit, under a key of its own.

use std::fmt;
use std::str::FromStr;

use crate::{CommitStatusId, ObjectId, RepositoryId, Timestamp};

/// Keys that begin so are Bastide's own: its pipelines tell their states under them.
pub const RESERVED_KEYS: &str = "bastide-pipelines/";

/// The text names no state of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use one of `INPROGRESS`, `SUCCESSFUL`, `FAILED`, `STOPPED`")]
pub struct BadBuildState;

/// How a build stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BuildState {
    /// It did not succeed.
    Failed,
    /// It runs.
    InProgress,
    /// Somebody stopped it.
    Stopped,
    /// It succeeded.
    Successful,
}

impl BuildState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Failed, Self::InProgress, Self::Stopped, Self::Successful];

    /// The word for it in the API and the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "FAILED",
            Self::InProgress => "INPROGRESS",
            Self::Stopped => "STOPPED",
            Self::Successful => "SUCCESSFUL",
        }
    }
}

impl fmt::Display for BuildState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for BuildState {
    type Err = BadBuildState;

    fn from_str(text: &str) -> Result<Self, BadBuildState> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or(BadBuildState)
    }
}

/// What is said of a build of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitStatus {
    /// Its id.
    pub id: CommitStatusId,
    /// In which repository.
    pub repository: RepositoryId,
    /// Of which commit: its whole name.
    pub commit: ObjectId,
    /// Under which key; one of a commit's statuses has it.
    pub key: String,
    /// How the build stands.
    pub state: BuildState,
    /// What people call the build.
    pub name: Option<String>,
    /// A sentence about it.
    pub description: Option<String>,
    /// Where it is, with placeholders as they were sent: see [`address`].
    pub url: Option<String>,
    /// The branch or tag that was built.
    pub refname: Option<String>,
    /// The principal to whom the key belongs on this commit.
    pub setter: String,
    /// When it was first told.
    pub created_on: Timestamp,
    /// When it was last told.
    pub updated_on: Timestamp,
}

/// An address with its placeholders filled in. Names of repositories and commits hold nothing that an address would
/// read otherwise, so what is filled in cannot change where it leads.
#[must_use]
pub fn address(url: &str, full_name: &str, commit: &ObjectId) -> String {
    url.replace("{repository.full_name}", full_name).replace("{commit.hash}", commit.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in() {
        let commit: ObjectId = "a".repeat(40).parse().unwrap();
        let url = "https://ci.example.com/{repository.full_name}/{commit.hash}?x={other}";
        let filled = format!("https://ci.example.com/acme/one/{commit}?x={{other}}");
        assert_eq!(address(url, "acme/one", &commit), filled);
    }

    #[test]
    fn states_read_back() {
        for state in BuildState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("successful".parse::<BuildState>().is_err());
    }
}
