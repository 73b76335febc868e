//! Runs of pipelines.

use std::fmt;
use std::str::FromStr;

use crate::{PipelineId, RefName, RepositoryId, Timestamp, UserId};

/// The text names nothing of the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no word for a run of a pipeline")]
pub struct BadWord;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$of])* $variant,)* }

        impl $name {
            /// Each of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word for it in the store.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl FromStr for $name {
            type Err = BadWord;

            fn from_str(text: &str) -> Result<Self, BadWord> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or(BadWord)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What started a run.
    PipelineTrigger {
        /// A push.
        Push = "push",
        /// Somebody.
        Manual = "manual",
        /// A schedule.
        Schedule = "schedule",
    }
}

words! {
    /// Where a run stands.
    PipelineState {
        /// No runner has taken a step of it.
        Pending = "pending",
        /// Steps of it run, or wait for a runner.
        Running = "running",
        /// It waits for somebody.
        Paused = "paused",
        /// All its steps have ended well.
        Passed = "passed",
        /// A step of it has failed.
        Failed = "failed",
        /// Somebody has stopped it.
        Stopped = "stopped",
        /// It could not be run.
        Error = "error",
    }
}

impl PipelineState {
    /// Whether it changes no more by itself.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Passed | Self::Failed | Self::Stopped | Self::Error)
    }
}

/// Why a run could not be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineError {
    /// A word for programs.
    pub key: String,
    /// For people; may have several lines.
    pub message: String,
}

/// A run of a pipeline, without its steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineRun {
    /// Its id.
    pub id: PipelineId,
    /// The repository.
    pub repository: RepositoryId,
    /// Counts the runs of the repository.
    pub build_number: i64,
    /// What started it.
    pub trigger: PipelineTrigger,
    /// The person who started it, or whose push did.
    pub creator_id: Option<UserId>,
    /// Who that was, as the audit trail names them.
    pub creator: String,
    /// The ref that it runs on, where there is one.
    pub reference: Option<RefName>,
    /// The full id of its commit.
    pub commit: String,
    /// Whether the ref was protected when it was started.
    pub protected: bool,
    /// Whether the person behind it administered the repository when it was started.
    pub by_administrator: bool,
    /// Where in the file it was chosen from: `default`, `branches`, `tags`, `custom`.
    pub selector: String,
    /// The pattern that fitted, or the name of the custom pipeline.
    pub pattern: Option<String>,
    /// Where it stands.
    pub state: PipelineState,
    /// Why it could not be run.
    pub error: Option<PipelineError>,
    /// When it was started.
    pub created_on: Timestamp,
    /// When it ended.
    pub completed_on: Option<Timestamp>,
}
