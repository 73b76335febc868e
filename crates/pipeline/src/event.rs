//! What starts pipelines, and what keeps them from starting.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{bounds, trigger::TriggerEvent};

/// Something that may start pipelines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
    /// A branch was pushed.
    Branch {
        /// Its name.
        branch: String,
    },
    /// A tag was pushed.
    Tag {
        /// Its name.
        tag: String,
    },
    /// A pull request was created, or its source was pushed.
    PullRequest {
        /// Its number.
        id: u64,
        /// Its source branch.
        source: String,
        /// The branch it is for.
        destination: String,
    },
    /// Somebody started a custom pipeline.
    Custom {
        /// Its name.
        name: String,
        /// What they set.
        variables: BTreeMap<String, String>,
    },
    /// It was time.
    Schedule {
        /// The branch whose commit is taken.
        branch: String,
        /// A custom pipeline; the branch's own where none is named.
        custom: Option<String>,
    },
}

impl Event {
    /// The event that rules below `triggers` know it by.
    pub(crate) fn trigger(&self) -> Option<TriggerEvent> {
        match self {
            Self::Branch { .. } | Self::Tag { .. } => Some(TriggerEvent::RepositoryPush),
            Self::PullRequest { .. } => Some(TriggerEvent::PullrequestPush),
            Self::Custom { .. } | Self::Schedule { .. } => None,
        }
    }

    /// What the event itself says of a variable, for the conditions of rules.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        match (self, name) {
            (Self::Branch { branch } | Self::Schedule { branch, .. }, "BITBUCKET_BRANCH") => {
                Some(branch.clone())
            }
            (Self::Tag { tag }, "BITBUCKET_TAG") => Some(tag.clone()),
            (Self::PullRequest { source, .. }, "BITBUCKET_BRANCH") => Some(source.clone()),
            (Self::PullRequest { id, .. }, "BITBUCKET_PR_ID") => Some(id.to_string()),
            (Self::PullRequest { destination, .. }, "BITBUCKET_PR_DESTINATION_BRANCH") => {
                Some(destination.clone())
            }
            _ => None,
        }
    }
}

/// Whether the message of a commit says that its push starts nothing.
#[must_use]
pub fn skips(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("[skip ci]") || message.contains("[ci skip]")
}

/// Whether a push of so many references starts pipelines.
#[must_use]
pub fn push_starts(references: usize) -> bool {
    references <= bounds::REFERENCES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_may_skip() {
        assert!(skips("fix: typo [skip ci]"));
        assert!(skips("[CI skip]\n\ntypo"));
        assert!(!skips("skip ci"));
        assert!(!skips("[skip-ci]"));
    }

    #[test]
    fn a_push_of_many_references_starts_nothing() {
        assert!(push_starts(5));
        assert!(!push_starts(6));
    }
}
