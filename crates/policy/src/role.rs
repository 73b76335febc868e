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

    /// The roles that this one contains at once, as far as they matter to `resource`: the next lower level, and
    /// the level that it gives on what the resource lies in or is.
    pub fn contains(self, resource: &ResourceFacts) -> impl Iterator<Item = Self> {
        use ProjectPermission as P;
        use RepositoryPermission as R;
        use WorkspacePermission as W;

        let here = |permission| Some(Self { on: self.on, permission });
        let lower = match self.permission {
            Permission::Workspace(W::Owner) => here(Permission::Workspace(W::CreateProject)),
            Permission::Workspace(W::CreateProject) => here(Permission::Workspace(W::Member)),
            Permission::Project(P::Admin) => here(Permission::Project(P::CreateRepo)),
            Permission::Project(P::CreateRepo) => here(Permission::Project(P::Write)),
            Permission::Project(P::Write) => here(Permission::Project(P::Read)),
            Permission::Repository(R::Admin) => here(Permission::Repository(R::Write)),
            Permission::Repository(R::Write) => here(Permission::Repository(R::Read)),
            Permission::Workspace(W::Member)
            | Permission::Project(P::Read)
            | Permission::Repository(R::Read) => None,
        };
        let project = resource.workspace().filter(|id| self.on == Resource::Workspace(*id));
        let project = project.and(resource.project());
        let repository = resource.project().filter(|id| self.on == Resource::Project(*id));
        let repository = repository.and(resource.repository());
        let below = match self.permission {
            Permission::Workspace(W::Owner) => {
                project.map(|id| Self { on: id.into(), permission: Permission::Project(P::Admin) })
            }
            Permission::Project(level) => repository.and_then(|id| {
                let level = match level {
                    P::Read => R::Read,
                    P::Write => R::Write,
                    P::Admin => R::Admin,
                    // Contains project write, and with it repository write.
                    P::CreateRepo => return None,
                };
                Some(Self { on: id.into(), permission: Permission::Repository(level) })
            }),
            Permission::Workspace(_) | Permission::Repository(_) => None,
        };
        [lower, below].into_iter().flatten()
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
