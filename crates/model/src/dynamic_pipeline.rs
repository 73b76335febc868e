//! Who has the last word about what pipelines do: the provider and the rules of a workspace, or of a repository.

use uuid::Uuid;

use crate::{RepositoryId, Timestamp, WorkspaceId};

/// Whose they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DynamicPlace {
    /// A repository's: asked first.
    Repository(RepositoryId),
    /// A workspace's: asked last.
    Workspace(WorkspaceId),
}

impl DynamicPlace {
    /// `repository` or `workspace`.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Repository(_) => "repository",
            Self::Workspace(_) => "workspace",
        }
    }

    /// Its id.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        match self {
            Self::Repository(id) => id.uuid(),
            Self::Workspace(id) => id.uuid(),
        }
    }
}

/// The shortest and the longest time that a provider may be given, and the usual one, in seconds.
pub const TIME_LIMITS: std::ops::RangeInclusive<i64> = 1..=30;
/// See [`TIME_LIMITS`].
pub const USUAL_TIME_LIMIT: i64 = 10;

/// A provider and rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamicPipeline {
    /// Whose they are.
    pub place: DynamicPlace,
    /// Where the provider is asked; none where there are rules alone.
    pub address: Option<String>,
    /// How long each try may take, in seconds.
    pub time_limit: i64,
    /// Whether provider and rules hold.
    pub enabled: bool,
    /// The rules, as they were written; empty where there are none.
    pub rules: String,
    /// Who set them, as the audit trail names them.
    pub set_by: String,
    /// When.
    pub set_on: Timestamp,
}
