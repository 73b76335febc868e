//! Roles: what a grant puts its holder into, and how roles contain each other.

use model::{
    Permission, ProjectPermission, RepositoryPermission, Resource, ResourceKind, WorkspacePermission,
};

use crate::fact::{GrantFact, ResourceFacts};

/// A permission level on one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Role {
    /// On what.
    pub on: Resource,
    /// At which level.
    pub permission: Permission,
}

impl Role {
    /// The role that a grant puts its holder into; none when the level is not one of that kind of resource.
    #[must_use]
    pub fn granted(grant: &GrantFact) -> Option<Self> {
        let fits = matches!(
            (grant.on.kind(), grant.permission),
            (ResourceKind::Workspace, Permission::Workspace(_))
                | (ResourceKind::Project, Permission::Project(_))
                | (ResourceKind::Repository, Permission::Repository(_))
        );
        fits.then_some(Self { on: grant.on, permission: grant.permission })
    }

    /// The role that this one contains next, on the way down to those that `resource` names; none when it is the
    /// lowest, or opens nothing of that resource. Each role contains all that follow.
    #[must_use]
    pub fn contains(self, resource: &ResourceFacts) -> Option<Self> {
        let within = self.on == resource.resource();
        self.below(resource).or_else(|| self.lower().filter(|_| within))
    }

    /// The next lower level on the same resource.
    fn lower(self) -> Option<Self> {
        use ProjectPermission as P;
        use RepositoryPermission as R;
        use WorkspacePermission as W;

        let permission = match self.permission {
            Permission::Workspace(W::Owner) => Permission::Workspace(W::CreateProject),
            Permission::Workspace(W::CreateProject) => Permission::Workspace(W::Member),
            Permission::Project(P::Admin) => Permission::Project(P::CreateRepo),
            Permission::Project(P::CreateRepo) => Permission::Project(P::Write),
            Permission::Project(P::Write) => Permission::Project(P::Read),
            Permission::Repository(R::Admin) => Permission::Repository(R::Write),
            Permission::Repository(R::Write) => Permission::Repository(R::Read),
            Permission::Workspace(W::Member)
            | Permission::Project(P::Read)
            | Permission::Repository(R::Read) => return None,
        };
        Some(Self { on: self.on, permission })
    }

    /// The level that this one gives on what lies in its resource, towards `resource`. It contains all that the lower
    /// levels on its own resource would give there.
    fn below(self, resource: &ResourceFacts) -> Option<Self> {
        use ProjectPermission as P;
        use RepositoryPermission as R;
        use WorkspacePermission as W;

        let (on, permission) = match self.permission {
            Permission::Workspace(W::Owner) if self.on == Resource::Workspace(resource.workspace()?) => {
                (resource.project()?.into(), Permission::Project(P::Admin))
            }
            Permission::Project(level) if self.on == Resource::Project(resource.project()?) => {
                let level = match level {
                    P::Read => R::Read,
                    // Whoever makes repositories writes to all of them.
                    P::Write | P::CreateRepo => R::Write,
                    P::Admin => R::Admin,
                };
                (resource.repository()?.into(), Permission::Repository(level))
            }
            _ => return None,
        };
        Some(Self { on, permission })
    }

    /// The name within the resource, as a group of people: `writers`.
    #[must_use]
    pub fn members_are(self) -> &'static str {
        use ProjectPermission as P;
        use RepositoryPermission as R;
        use WorkspacePermission as W;

        match self.permission {
            Permission::Workspace(W::Member) => "members",
            Permission::Workspace(W::CreateProject) | Permission::Project(P::CreateRepo) => "creators",
            Permission::Workspace(W::Owner) => "owners",
            Permission::Project(P::Read) | Permission::Repository(R::Read) => "readers",
            Permission::Project(P::Write) | Permission::Repository(R::Write) => "writers",
            Permission::Project(P::Admin) | Permission::Repository(R::Admin) => "admins",
        }
    }
}

/// The roles that `resource` names in its attributes.
pub(crate) fn named_by(resource: &ResourceFacts) -> impl Iterator<Item = Role> {
    let on = resource.resource();
    let levels: Vec<Permission> = match on.kind() {
        ResourceKind::Workspace => {
            WorkspacePermission::ALL.iter().map(|level| Permission::Workspace(*level)).collect()
        }
        ResourceKind::Project => {
            ProjectPermission::ALL.iter().map(|level| Permission::Project(*level)).collect()
        }
        ResourceKind::Repository => {
            RepositoryPermission::ALL.iter().map(|level| Permission::Repository(*level)).collect()
        }
        ResourceKind::Instance | ResourceKind::User => Vec::new(),
    };
    levels.into_iter().map(move |permission| Role { on, permission })
}
