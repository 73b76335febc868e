//! Who may do what with a project or a repository, and by which ways they came to it: a grant of their own, a group's, on
//! the resource itself, its project or its workspace. For whoever has to answer "why can they see this?".

use std::collections::{BTreeMap, BTreeSet};

use model::{
    Action, GroupId, Permission, RepositoryPermission, Resource, ResourceKind, Result, ScopeSet, StaffRole,
    Subject, User, UserId, WorkspacePermission, act,
};
use policy::{GrantFact, PrincipalFacts, Question, ResourceFacts};

use crate::grant::{GrantPlace, Place};
use crate::{Caller, Listing, Service, Window};

/// One way by which somebody came to a permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionPath {
    /// On what the grant is.
    pub on: ResourceKind,
    /// At which level.
    pub permission: Permission,
    /// The slug of the group that holds it; none where the user does.
    pub group: Option<String>,
}

/// What somebody may do, and why.
#[derive(Clone, Debug)]
pub struct PathedPermission {
    /// Who.
    pub user: User,
    /// At most what: `read`, `write`, `create-repo` or `admin`.
    pub level: &'static str,
    /// By which ways, the nearest first.
    pub paths: Vec<PermissionPath>,
}

/// The resource and what it lies in, the nearest first.
fn chain(place: &Place) -> Vec<Resource> {
    let (facts, mut chain) = (place.ground.facts, vec![place.resource]);
    if let (Resource::Repository(_), Some(project)) = (place.resource, facts.project()) {
        chain.push(Resource::Project(project));
    }
    chain.push(Resource::Workspace(place.workspace));
    chain
}

impl Service {
    /// Everybody whom a grant lets into a project or repository, by username, with the ways that let them in.
    pub async fn permission_paths(
        &self,
        caller: &Caller,
        on: &GrantPlace,
        window: Window,
    ) -> Result<Listing<PathedPermission>> {
        let place = self.grant_place(caller, on).await?;
        self.check(caller, act::GrantList, &place.ground)?;
        let (chain, workspace) = (chain(&place), place.workspace);
        let ids: Vec<_> = chain.iter().map(|resource| resource.uuid()).collect();
        let (held, slugs) = self
            .store
            .read(move |reader| {
                let groups = store::group::list(reader, workspace)?;
                let slugs: BTreeMap<GroupId, String> =
                    groups.into_iter().map(|group| (group.id, group.slug.to_string())).collect();
                let mut users: BTreeSet<UserId> = BTreeSet::new();
                for subject in store::grant::subjects_on(reader, &ids)? {
                    match subject {
                        Subject::User(id) => drop(users.insert(id)),
                        Subject::Group(id) => {
                            users.extend(store::group::members(reader, id)?.iter().map(|user| user.id));
                        }
                    }
                }
                let mut held = Vec::with_capacity(users.len());
                for id in users {
                    if let Some(user) = store::user::find(reader, id)? {
                        held.push((user, store::grant::held_by(reader, id, &ids)?));
                    }
                }
                Ok((held, slugs))
            })
            .await?;
        let facts = crate::guard::as_private(place.ground.facts);
        let mut all: Vec<PathedPermission> = held
            .into_iter()
            .filter_map(|(user, grants)| self.pathed(user, &grants, &facts, (&chain, &slugs)))
            .collect();
        all.sort_by_cached_key(|one| one.user.username.to_string().to_lowercase());
        let size = i64::try_from(all.len()).unwrap_or(i64::MAX);
        let skip = usize::try_from(window.offset).unwrap_or(usize::MAX);
        let take = usize::try_from(window.limit).unwrap_or(0);
        Ok(Listing::new(all.into_iter().skip(skip).take(take).collect(), size))
    }

    fn pathed(
        &self,
        user: User,
        grants: &[GrantFact],
        facts: &ResourceFacts,
        (chain, slugs): (&[Resource], &BTreeMap<GroupId, String>),
    ) -> Option<PathedPermission> {
        let level = self.strongest(&user, grants, facts)?;
        let mut paths: Vec<(usize, PermissionPath)> = grants
            .iter()
            .filter(|grant| counts(grant.permission))
            .map(|grant| {
                let near = chain.iter().position(|resource| *resource == grant.on).unwrap_or(usize::MAX);
                let group = grant.via.map(|id| slugs.get(&id).cloned().unwrap_or_else(|| id.to_string()));
                (near, PermissionPath { on: grant.on.kind(), permission: grant.permission, group })
            })
            .collect();
        paths.sort_by(|(one, path), (other, second)| {
            one.cmp(other).then_with(|| path.group.cmp(&second.group))
        });
        Some(PathedPermission { user, level, paths: paths.into_iter().map(|(_, path)| path).collect() })
    }

    /// The strongest level, as the access model sees all grants together.
    fn strongest(&self, user: &User, grants: &[GrantFact], facts: &ResourceFacts) -> Option<&'static str> {
        let principal = PrincipalFacts::User {
            id: user.id,
            active: user.active,
            approved: user.approved,
            second_step: user.second_step,
            staff: StaffRole::None,
            break_glass: None,
        };
        let may = |action| {
            let question = Question {
                action,
                principal: &principal,
                resource: facts,
                grants,
                held: ScopeSet::everything(),
                required: ScopeSet::NONE,
                credential: None,
                // What the grants say; guardrails are asked when somebody comes by them.
                guardrails: policy::Guardrails::NONE,
            };
            self.model.decide(&question).allowed
        };
        if facts.repository().is_some() {
            return match () {
                () if may(Action::RepositoryAdmin) => Some(RepositoryPermission::Admin.as_str()),
                () if may(Action::RepositoryWrite) => Some(RepositoryPermission::Write.as_str()),
                () if may(Action::RepositoryRead) => Some(RepositoryPermission::Read.as_str()),
                () => None,
            };
        }
        let granted = grants.iter().filter_map(|grant| match grant.permission {
            Permission::Project(level) => Some(level),
            Permission::Workspace(_) | Permission::Repository(_) => None,
        });
        match may(Action::ProjectAdmin) {
            true => Some(model::ProjectPermission::Admin.as_str()),
            false => granted.max().map(model::ProjectPermission::as_str),
        }
    }
}

/// Whether a grant lets anybody in: members of a workspace are not in its projects by that alone.
fn counts(permission: Permission) -> bool {
    match permission {
        Permission::Workspace(level) => level == WorkspacePermission::Owner,
        Permission::Project(_) | Permission::Repository(_) => true,
    }
}
