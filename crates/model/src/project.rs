//! A project: repositories that belong together and share grants.

use crate::{DisplayName, ProjectId, ProjectKey, Timestamp, WorkspaceId};

/// A project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Where it lives.
    pub workspace: WorkspaceId,
    /// Its key, unique in the workspace.
    pub key: ProjectKey,
    /// The name that people read.
    pub name: DisplayName,
    /// What it is for.
    pub description: String,
    /// A private project holds no public repositories.
    pub private: bool,
    /// When it was made.
    pub created_on: Timestamp,
    /// When it was last changed.
    pub updated_on: Timestamp,
}
