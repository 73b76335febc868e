//! The facts by which a question is decided, as whoever asks has found them.

use model::{
    Action, CredentialId, CredentialKind, GroupId, Permission, ProjectId, RepositoryId, Resource,
    ResourceKind, RunnerId, ScopeSet, StaffRole, UserId, WorkspaceId,
};

use crate::guardrail::Guardrails;

/// Who asks, and what must be known of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalFacts {
    /// Nobody known.
    Anonymous,
    /// The command line on the server's own machine.
    Operator,
    /// A person, by whatever credential.
    User {
        /// Their id.
        id: UserId,
        /// Whether the account is active.
        active: bool,
        /// Whether somebody entitled to has said yes to the account.
        approved: bool,
        /// Whether the account has a second step.
        second_step: bool,
        /// Their part in running the instance.
        staff: StaffRole,
        /// The workspace asked about, where break-glass is in force for them there.
        break_glass: Option<WorkspaceId>,
    },
    /// An access token, bound to a workspace, project or repository.
    AccessToken {
        /// The token's id.
        id: CredentialId,
        /// What it is bound to.
        bound_to: Resource,
    },
    /// A runner of pipelines.
    Runner {
        /// The runner's id.
        id: RunnerId,
        /// The workspace or repository that it is registered for, or the instance.
        bound_to: Resource,
    },
}

/// The kinds of principal that policies tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrincipalKind {
    /// A person.
    User,
    /// An access token bound to a repository.
    RepositoryAccessToken,
    /// An access token bound to a project.
    ProjectAccessToken,
    /// An access token bound to a workspace.
    WorkspaceAccessToken,
    /// The runner of the installation itself.
    InstanceRunner,
    /// A runner that is registered for a workspace.
    WorkspaceRunner,
    /// A runner that is registered for a repository.
    RepositoryRunner,
    /// The command line on the server's own machine.
    Operator,
    /// Nobody known.
    Anonymous,
}

impl PrincipalKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::User,
        Self::RepositoryAccessToken,
        Self::ProjectAccessToken,
        Self::WorkspaceAccessToken,
        Self::InstanceRunner,
        Self::WorkspaceRunner,
        Self::RepositoryRunner,
        Self::Operator,
        Self::Anonymous,
    ];

    /// The kind's name in the schema.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::RepositoryAccessToken => "RepositoryAccessToken",
            Self::ProjectAccessToken => "ProjectAccessToken",
            Self::WorkspaceAccessToken => "WorkspaceAccessToken",
            Self::InstanceRunner => "InstanceRunner",
            Self::WorkspaceRunner => "WorkspaceRunner",
            Self::RepositoryRunner => "RepositoryRunner",
            Self::Operator => "Operator",
            Self::Anonymous => "Anonymous",
        }
    }

    /// The credential that stands for itself, where the principal is one.
    pub(crate) fn own_credential(self) -> Option<CredentialKind> {
        match self {
            Self::RepositoryAccessToken => Some(CredentialKind::RepositoryAccessToken),
            Self::ProjectAccessToken => Some(CredentialKind::ProjectAccessToken),
            Self::WorkspaceAccessToken => Some(CredentialKind::WorkspaceAccessToken),
            Self::User
            | Self::InstanceRunner
            | Self::WorkspaceRunner
            | Self::RepositoryRunner
            | Self::Operator
            | Self::Anonymous => None,
        }
    }
}

impl PrincipalFacts {
    /// The same, with break-glass in force in a workspace, or nowhere. It is nothing to who is no person.
    #[must_use]
    pub fn with_break_glass(self, workspace: Option<WorkspaceId>) -> Self {
        match self {
            Self::User { id, active, approved, second_step, staff, .. } => {
                Self::User { id, active, approved, second_step, staff, break_glass: workspace }
            }
            other => other,
        }
    }

    /// The kind; none for an access token or a runner that is bound to what such are not bound to.
    #[must_use]
    pub fn kind(&self) -> Option<PrincipalKind> {
        match self {
            Self::Anonymous => Some(PrincipalKind::Anonymous),
            Self::Operator => Some(PrincipalKind::Operator),
            Self::User { .. } => Some(PrincipalKind::User),
            Self::AccessToken { bound_to, .. } => match bound_to.kind() {
                ResourceKind::Repository => Some(PrincipalKind::RepositoryAccessToken),
                ResourceKind::Project => Some(PrincipalKind::ProjectAccessToken),
                ResourceKind::Workspace => Some(PrincipalKind::WorkspaceAccessToken),
                ResourceKind::Instance | ResourceKind::User => None,
            },
            Self::Runner { bound_to, .. } => match bound_to.kind() {
                ResourceKind::Repository => Some(PrincipalKind::RepositoryRunner),
                ResourceKind::Workspace => Some(PrincipalKind::WorkspaceRunner),
                ResourceKind::Instance => Some(PrincipalKind::InstanceRunner),
                ResourceKind::User | ResourceKind::Project => None,
            },
        }
    }
}

/// What is asked for, with what holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResourceFacts {
    /// This installation.
    Instance,
    /// A person's account.
    User {
        /// Whose.
        id: UserId,
    },
    /// A workspace.
    Workspace {
        /// Its id.
        id: WorkspaceId,
    },
    /// A project.
    Project {
        /// Its id.
        id: ProjectId,
        /// The workspace that it lies in.
        workspace: WorkspaceId,
        /// Whether only those may see it who have been let in.
        private: bool,
    },
    /// A repository.
    Repository {
        /// Its id.
        id: RepositoryId,
        /// The project that it lies in.
        project: ProjectId,
        /// The workspace that the project lies in.
        workspace: WorkspaceId,
        /// Whether only those may see it who have been let in.
        private: bool,
    },
}

impl ResourceFacts {
    /// The resource itself.
    #[must_use]
    pub fn resource(&self) -> Resource {
        match *self {
            Self::Instance => Resource::Instance,
            Self::User { id } => Resource::User(id),
            Self::Workspace { id } => Resource::Workspace(id),
            Self::Project { id, .. } => Resource::Project(id),
            Self::Repository { id, .. } => Resource::Repository(id),
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ResourceKind {
        self.resource().kind()
    }

    /// The workspace that it is or lies in.
    #[must_use]
    pub fn workspace(&self) -> Option<WorkspaceId> {
        match *self {
            Self::Instance | Self::User { .. } => None,
            Self::Workspace { id } => Some(id),
            Self::Project { workspace, .. } | Self::Repository { workspace, .. } => Some(workspace),
        }
    }

    /// The project that it is or lies in.
    #[must_use]
    pub fn project(&self) -> Option<ProjectId> {
        match *self {
            Self::Instance | Self::User { .. } | Self::Workspace { .. } => None,
            Self::Project { id, .. } => Some(id),
            Self::Repository { project, .. } => Some(project),
        }
    }

    /// The repository that it is.
    #[must_use]
    pub fn repository(&self) -> Option<RepositoryId> {
        match *self {
            Self::Repository { id, .. } => Some(id),
            _ => None,
        }
    }
}

/// A grant of the principal, or of a group of theirs, on the resource or on what holds it. Grants on anything else
/// change no decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GrantFact {
    /// On what.
    pub on: Resource,
    /// At which level.
    pub permission: Permission,
    /// The group that holds it; none when the user does.
    pub via: Option<GroupId>,
}

/// One question for the access model.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What is to be done.
    pub action: Action,
    /// By whom.
    pub principal: &'a PrincipalFacts,
    /// To what.
    pub resource: &'a ResourceFacts,
    /// The grants of a user. Access tokens, the operator and the anonymous have none; theirs are not looked at.
    pub grants: &'a [GrantFact],
    /// The scopes that the credential holds, closed under implication; [`ScopeSet::everything`] for a session.
    pub held: ScopeSet,
    /// The scopes that the call requires, in the vocabulary of the credential.
    pub required: ScopeSet,
    /// The kind of credential that was used; none for a session, the operator and the anonymous.
    pub credential: Option<CredentialKind>,
    /// The guardrails that hold for the resource: [`Guardrails::NONE`] where there are none, or where the question is
    /// about permissions alone.
    pub guardrails: Guardrails<'a>,
}
