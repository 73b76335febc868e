//! Why somebody may do something: the ways by which a permission reaches them, in words.
//!
//! Nothing is decided here. Each grant is tried by itself against the access model, so that what is told is what
//! decides; taking away access means cutting every path that is told.

use model::{GroupId, Resource};

use crate::access_model::AccessModel;
use crate::fact::{GrantFact, PrincipalFacts, Question};
use crate::role::{Role, named_by};

/// What people call the ids that stand in a question.
#[derive(Clone, Copy)]
pub struct Labels<'a> {
    /// Who asks: `user ann`, `access token deploy`.
    pub principal: &'a str,
    /// A group: `group acme/developers`.
    pub group: &'a dyn Fn(GroupId) -> String,
    /// A resource: `project acme/CORE`.
    pub resource: &'a dyn Fn(Resource) -> String,
}

/// The first path; empty when the question is denied.
#[must_use]
pub fn path(model: &AccessModel, question: &Question<'_>, labels: &Labels<'_>) -> Vec<String> {
    paths(model, question, labels).into_iter().next().unwrap_or_default()
}

/// Every path by which the question is allowed, each as sentences that lead from the principal to the resource:
/// first what needs no grant, then each grant that would be enough by itself. Empty when the question is denied.
#[must_use]
pub fn paths(model: &AccessModel, question: &Question<'_>, labels: &Labels<'_>) -> Vec<Vec<String>> {
    if !model.decide(question).allowed {
        return Vec::new();
    }
    let mut paths = Vec::new();
    let bare = model.decide(&Question { grants: &[], ..*question });
    let without_grant = if bare.allowed { bare.policies() } else { Vec::new() };
    if bare.allowed {
        let mut told: Vec<String> = binding(question, labels).into_iter().collect();
        told.extend(bare.reasons.into_iter().map(|reason| reason.text));
        paths.push(told);
    }
    for grant in question.grants {
        let alone = model.decide(&Question { grants: std::slice::from_ref(grant), ..*question });
        let more = alone.reasons.iter().find(|reason| !without_grant.contains(&reason.policy));
        if let (true, Some(reason)) = (alone.allowed, more) {
            let mut told = granting(model, question, grant, &reason.policy, labels);
            told.push(reason.text.clone());
            paths.push(told);
        }
    }
    paths
}

/// What an access token is bound to, and that the resource lies in it.
fn binding(question: &Question<'_>, labels: &Labels<'_>) -> Option<String> {
    let PrincipalFacts::AccessToken { bound_to, .. } = *question.principal else { return None };
    let resource = question.resource.resource();
    let bound = format!("{} is bound to {}", labels.principal, (labels.resource)(bound_to));
    Some(if bound_to == resource {
        format!("{bound}.")
    } else {
        format!("{bound}, which holds {}.", (labels.resource)(resource))
    })
}

fn granting(
    model: &AccessModel,
    question: &Question<'_>,
    grant: &GrantFact,
    policy: &str,
    labels: &Labels<'_>,
) -> Vec<String> {
    let mut told = Vec::new();
    let holder = match grant.via {
        None => labels.principal.to_owned(),
        Some(group) => {
            let group = (labels.group)(group);
            told.push(format!("{} is in {group}.", labels.principal));
            group
        }
    };
    let on = (labels.resource)(grant.on);
    told.push(format!("{holder} has {} on {on}.", grant.permission.as_str()));
    let steps = Role::granted(grant)
        .zip(needed(model, question, policy))
        .map(|(from, to)| steps(from, to, question))
        .unwrap_or_default();
    told.extend(steps.windows(2).filter_map(|step| match step {
        [from, to] => Some(containing(*from, *to, labels)),
        _ => None,
    }));
    told
}

fn containing(from: Role, to: Role, labels: &Labels<'_>) -> String {
    let (above, below) = (from.permission.as_str(), to.permission.as_str());
    let on = (labels.resource)(from.on);
    if from.on == to.on {
        format!("{above} on {on} contains {below}.")
    } else {
        format!("{above} on {on} gives {below} on {}.", (labels.resource)(to.on))
    }
}

/// The lowest role on the resource by which `policy` permits.
fn needed(model: &AccessModel, question: &Question<'_>, policy: &str) -> Option<Role> {
    named_by(question.resource).find(|role| {
        let grant = GrantFact { on: role.on, permission: role.permission, via: None };
        let decision = model.decide(&Question { grants: &[grant], ..*question });
        decision.allowed && decision.reasons.iter().any(|reason| reason.policy == policy)
    })
}

/// The roles from one to another that it contains, both included, with steps within one resource drawn together.
fn steps(from: Role, to: Role, question: &Question<'_>) -> Vec<Role> {
    let mut way = vec![from];
    let mut last = from;
    while last != to {
        let Some(next) = last.contains(question.resource) else { return Vec::new() };
        way.push(next);
        last = next;
    }
    drawn_together(way)
}

fn drawn_together(way: Vec<Role>) -> Vec<Role> {
    let mut short: Vec<Role> = Vec::new();
    for role in way {
        if let [.., before, last] = short.as_mut_slice()
            && before.on == last.on
            && last.on == role.on
        {
            *last = role;
        } else {
            short.push(role);
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use model::{
        Action, CredentialId, Permission, ProjectId, ProjectPermission, Random, RepositoryId,
        RepositoryPermission, ScopeSet, StaffRole, UserId, WorkspaceId, WorkspacePermission,
    };

    use super::*;
    use crate::ResourceFacts;

    struct World {
        model: AccessModel,
        workspace: WorkspaceId,
        project: ProjectId,
        repository: RepositoryId,
        group: GroupId,
        user: PrincipalFacts,
    }

    impl World {
        fn new() -> Self {
            let random = Random::seeded(3);
            Self {
                model: AccessModel::load().unwrap(),
                workspace: WorkspaceId::new(&random),
                project: ProjectId::new(&random),
                repository: RepositoryId::new(&random),
                group: GroupId::new(&random),
                user: PrincipalFacts::User {
                    id: UserId::new(&random),
                    active: true,
                    approved: true,
                    second_step: true,
                    staff: StaffRole::None,
                    break_glass: None,
                },
            }
        }

        fn paths(
            &self,
            action: Action,
            principal: &PrincipalFacts,
            private: bool,
            grants: &[GrantFact],
        ) -> Vec<Vec<String>> {
            let (workspace, project) = (self.workspace, self.project);
            let resource = ResourceFacts::Repository { id: self.repository, project, workspace, private };
            let required = "repository".parse().unwrap();
            let question = Question {
                action,
                principal,
                resource: &resource,
                grants,
                held: ScopeSet::everything(),
                required,
                credential: None,
                guardrails: crate::Guardrails::NONE,
            };
            let labels = Labels {
                principal: "ann",
                group: &|_| "group devs".to_owned(),
                resource: &|on| match on {
                    Resource::Workspace(_) => "workspace acme".to_owned(),
                    Resource::Project(_) => "project CORE".to_owned(),
                    _ => "repository one".to_owned(),
                },
            };
            paths(&self.model, &question, &labels)
        }
    }

    #[test]
    fn a_grant_of_a_group_on_the_project_is_followed_to_the_repository() {
        let world = World::new();
        let grants = [
            GrantFact {
                on: world.project.into(),
                permission: Permission::Project(ProjectPermission::Write),
                via: Some(world.group),
            },
            GrantFact {
                on: world.repository.into(),
                permission: Permission::Repository(RepositoryPermission::Read),
                via: None,
            },
        ];
        let told = world.paths(Action::RepositoryPush, &world.user, true, &grants);
        assert_eq!(
            told,
            [[
                "ann is in group devs.",
                "group devs has write on project CORE.",
                "write on project CORE gives write on repository one.",
                "A user with write permission on the repository may push to it and change its content.",
            ]]
        );
    }

    #[test]
    fn an_owner_reads_by_every_level_between() {
        let world = World::new();
        let owner = GrantFact {
            on: world.workspace.into(),
            permission: Permission::Workspace(WorkspacePermission::Owner),
            via: None,
        };
        let told = world.paths(Action::RepositoryRead, &world.user, true, &[owner]);
        assert_eq!(
            told,
            [[
                "ann has owner on workspace acme.",
                "owner on workspace acme gives admin on project CORE.",
                "admin on project CORE gives admin on repository one.",
                "admin on repository one contains read.",
                "A user with read permission on the repository may browse and clone it.",
            ]]
        );
    }

    #[test]
    fn what_is_public_is_told_beside_the_grant_and_what_is_denied_is_not_told() {
        let world = World::new();
        let read = GrantFact {
            on: world.repository.into(),
            permission: Permission::Repository(RepositoryPermission::Read),
            via: None,
        };
        let told = world.paths(Action::RepositoryRead, &world.user, false, &[read]);
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[0], ["Anyone may browse and clone a public repository."]);
        assert_eq!(told[1][0], "ann has read on repository one.");
        assert!(world.paths(Action::RepositoryPush, &world.user, false, &[read]).is_empty());
    }

    #[test]
    fn a_token_is_told_by_what_it_is_bound_to() {
        let world = World::new();
        let id = CredentialId::new(&Random::seeded(5));
        let token = PrincipalFacts::AccessToken { id, bound_to: world.project.into() };
        let told = world.paths(Action::RepositoryPush, &token, true, &[]);
        assert_eq!(told[0][0], "ann is bound to project CORE, which holds repository one.");
        assert_eq!(told[0].len(), 2);
    }
}
