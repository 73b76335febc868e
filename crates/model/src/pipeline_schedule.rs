//! Schedules: pipelines that start because it is time.

use std::fmt;
use std::str::FromStr;

use crate::cron::CronPattern;
use crate::{PipelineId, RepositoryId, ScheduleId, Timestamp, UserId};

/// The text names no way of choosing a pipeline that a schedule knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use one of `branches`, `default`, `custom`")]
pub struct BadSelectorKind;

/// How a schedule chooses the pipeline in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SelectorKind {
    /// The one of the branch.
    Branches,
    /// The one of the branch too: `default` where none is of the branch's own.
    Default,
    /// One that is started by its name.
    Custom,
}

impl SelectorKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Branches, Self::Default, Self::Custom];

    /// The word for it in the API and the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Branches => "branches",
            Self::Default => "default",
            Self::Custom => "custom",
        }
    }
}

impl fmt::Display for SelectorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SelectorKind {
    type Err = BadSelectorKind;

    fn from_str(text: &str) -> Result<Self, BadSelectorKind> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or(BadSelectorKind)
    }
}

/// What a schedule starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleTarget {
    /// The branch whose commit is taken.
    pub branch: String,
    /// How the pipeline is chosen.
    pub selector: SelectorKind,
    /// The pipeline's name or pattern, as it was given; a custom one has a name.
    pub pattern: Option<String>,
}

impl ScheduleTarget {
    /// The custom pipeline that it starts, where it starts one.
    #[must_use]
    pub fn custom(&self) -> Option<&str> {
        self.pattern.as_deref().filter(|_| self.selector == SelectorKind::Custom)
    }
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineSchedule {
    /// Its id.
    pub id: ScheduleId,
    /// In which repository.
    pub repository: RepositoryId,
    /// When it is due.
    pub cron: CronPattern,
    /// What it starts.
    pub target: ScheduleTarget,
    /// Whether it starts anything.
    pub enabled: bool,
    /// When it is due next, where it is enabled and will be.
    pub next_on: Option<Timestamp>,
    /// Who made it or changed it last, where it was a user: its runs do no more than that user still may.
    pub set_by: Option<UserId>,
    /// When it was made.
    pub created_on: Timestamp,
    /// When it was last changed.
    pub updated_on: Timestamp,
}

/// What came of a schedule that was due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScheduleOutcome {
    /// A run.
    Started(PipelineId),
    /// None.
    Failed {
        /// A word for programs.
        key: String,
        /// Why.
        message: String,
    },
}

/// One time at which a schedule was due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleExecution {
    /// Of which schedule.
    pub schedule: ScheduleId,
    /// When it was due.
    pub due_on: Timestamp,
    /// When that was done.
    pub ran_on: Timestamp,
    /// What came of it.
    pub outcome: ScheduleOutcome,
}
