//! What an action is done to.

use std::fmt;

use crate::{ProjectId, RepositoryId, UserId, WorkspaceId};

/// The kinds of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// This installation.
    Instance,
    /// A person's account.
    User,
    /// A workspace.
    Workspace,
    /// A project.
    Project,
    /// A repository.
    Repository,
}

impl ResourceKind {
    /// The word for it in the store, the audit trail and access questions.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::User => "user",
            Self::Workspace => "workspace",
            Self::Project => "project",
            Self::Repository => "repository",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Instance, Self::User, Self::Workspace, Self::Project, Self::Repository]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// One resource, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// This installation.
    Instance,
    /// A person's account.
    User(UserId),
    /// A workspace.
    Workspace(WorkspaceId),
    /// A project.
    Project(ProjectId),
    /// A repository.
    Repository(RepositoryId),
}

impl Resource {
    /// Its kind.
    #[must_use]
    pub fn kind(self) -> ResourceKind {
        match self {
            Self::Instance => ResourceKind::Instance,
            Self::User(_) => ResourceKind::User,
            Self::Workspace(_) => ResourceKind::Workspace,
            Self::Project(_) => ResourceKind::Project,
            Self::Repository(_) => ResourceKind::Repository,
        }
    }

    /// Its id; the instance has the nil UUID.
    #[must_use]
    pub fn uuid(self) -> uuid::Uuid {
        match self {
            Self::Instance => uuid::Uuid::nil(),
            Self::User(id) => id.uuid(),
            Self::Workspace(id) => id.uuid(),
            Self::Project(id) => id.uuid(),
            Self::Repository(id) => id.uuid(),
        }
    }

    /// From what the store keeps.
    #[must_use]
    pub fn from_parts(kind: ResourceKind, uuid: uuid::Uuid) -> Self {
        match kind {
            ResourceKind::Instance => Self::Instance,
            ResourceKind::User => Self::User(UserId::from_uuid(uuid)),
            ResourceKind::Workspace => Self::Workspace(WorkspaceId::from_uuid(uuid)),
            ResourceKind::Project => Self::Project(ProjectId::from_uuid(uuid)),
            ResourceKind::Repository => Self::Repository(RepositoryId::from_uuid(uuid)),
        }
    }
}

/// `repository:{uuid}`; `instance` has no id.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance => f.write_str("instance"),
            other => write!(f, "{}:{{{}}}", other.kind().as_str(), other.uuid()),
        }
    }
}

impl From<UserId> for Resource {
    fn from(id: UserId) -> Self {
        Self::User(id)
    }
}

impl From<WorkspaceId> for Resource {
    fn from(id: WorkspaceId) -> Self {
        Self::Workspace(id)
    }
}

impl From<ProjectId> for Resource {
    fn from(id: ProjectId) -> Self {
        Self::Project(id)
    }
}

impl From<RepositoryId> for Resource {
    fn from(id: RepositoryId) -> Self {
        Self::Repository(id)
    }
}
