//! From facts to Cedar's entities: the principal with what it lies in, the resource with what it lies in, the
//! roles between them. Built anew for each question, and never by way of text.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
};
use model::{CredentialKind, Error, GroupId, ProjectId, Resource, Result, ScopeSet, StaffRole, WorkspaceId};

use crate::fact::{GrantFact, PrincipalFacts, PrincipalKind, Question, ResourceFacts};
use crate::guardrail::{EntryKinds, Guardrails};
use crate::role::{Role, named_by};

/// The schema's entity types, and the entities that there is one of.
pub(crate) struct Types {
    user: EntityTypeName,
    group: EntityTypeName,
    role: EntityTypeName,
    account: EntityTypeName,
    workspace: EntityTypeName,
    project: EntityTypeName,
    repository: EntityTypeName,
    repository_token: EntityTypeName,
    project_token: EntityTypeName,
    workspace_token: EntityTypeName,
    instance_runner: EntityTypeName,
    workspace_runner: EntityTypeName,
    repository_runner: EntityTypeName,
    instance: EntityUid,
    operator: EntityUid,
    anonymous: EntityUid,
    administrators: EntityUid,
    auditors: EntityUid,
}

fn named(name: &str) -> Result<EntityTypeName> {
    EntityTypeName::from_str(name).map_err(Error::internal)
}

fn single(kind: &str, id: &str) -> Result<EntityUid> {
    Ok(EntityUid::from_type_name_and_id(named(kind)?, EntityId::new(id)))
}

fn uid(kind: &EntityTypeName, id: uuid::Uuid) -> EntityUid {
    let mut text = [0; uuid::fmt::Simple::LENGTH];
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(&*id.simple().encode_lower(&mut text)))
}

fn entity(
    uid: EntityUid,
    attributes: impl IntoIterator<Item = (&'static str, RestrictedExpression)>,
    parents: impl IntoIterator<Item = EntityUid>,
) -> Result<Entity> {
    let attributes: HashMap<String, RestrictedExpression> =
        attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Entity::new(uid, attributes, parents.into_iter().collect()).map_err(Error::internal)
}

/// Adds what is not there yet.
fn add<T: PartialEq>(list: &mut Vec<T>, one: T) {
    if !list.contains(&one) {
        list.push(one);
    }
}

/// A principal or a resource: its id, and the entities that policies may see.
struct Seen {
    uid: EntityUid,
    entities: Vec<Entity>,
}

impl Types {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            user: named(PrincipalKind::User.as_str())?,
            group: named("Group")?,
            role: named("Role")?,
            account: named("Account")?,
            workspace: named("Workspace")?,
            project: named("Project")?,
            repository: named("Repository")?,
            repository_token: named(PrincipalKind::RepositoryAccessToken.as_str())?,
            project_token: named(PrincipalKind::ProjectAccessToken.as_str())?,
            workspace_token: named(PrincipalKind::WorkspaceAccessToken.as_str())?,
            instance_runner: named(PrincipalKind::InstanceRunner.as_str())?,
            workspace_runner: named(PrincipalKind::WorkspaceRunner.as_str())?,
            repository_runner: named(PrincipalKind::RepositoryRunner.as_str())?,
            instance: single("Instance", "instance")?,
            operator: single(PrincipalKind::Operator.as_str(), "operator")?,
            anonymous: single(PrincipalKind::Anonymous.as_str(), "anonymous")?,
            administrators: single("Role", "administrators")?,
            auditors: single("Role", "auditors")?,
        })
    }

    /// The request and the entities that the policies look at, `action` with the groups it belongs to among them.
    pub(crate) fn slice(&self, question: &Question<'_>, action: &Entity) -> Result<(Request, Entities)> {
        let principal = self.principal(question)?;
        let resource = self.resource(question.resource)?;
        let context = context(question)?;
        let request = Request::new(principal.uid, action.uid(), resource.uid, context, None)
            .map_err(Error::internal)?;
        let entities = principal.entities.into_iter().chain(resource.entities);
        let entities = Entities::from_entities(entities.chain([action.clone()]), None);
        Ok((request, entities.map_err(Error::internal)?))
    }

    fn principal(&self, question: &Question<'_>) -> Result<Seen> {
        match question.principal {
            PrincipalFacts::Anonymous => Ok(Seen { uid: self.anonymous.clone(), entities: Vec::new() }),
            PrincipalFacts::Operator => Ok(Seen { uid: self.operator.clone(), entities: Vec::new() }),
            PrincipalFacts::User { id, active, approved, second_step, staff, break_glass } => {
                let uid = uid(&self.user, id.uuid());
                let mut parents = self.granted(question.grants, question.resource);
                match staff {
                    StaffRole::None => {}
                    StaffRole::Auditor => parents.push(self.auditors.clone()),
                    StaffRole::Administrator => parents.push(self.administrators.clone()),
                }
                let attributes =
                    [("active", *active), ("approved", *approved), ("second_step", *second_step)]
                        .map(|(name, value)| (name, RestrictedExpression::new_bool(value)));
                let break_glass = break_glass.map(|workspace| {
                    ("break_glass", RestrictedExpression::new_entity_uid(self.workspace(workspace)))
                });
                let user = entity(uid.clone(), attributes.into_iter().chain(break_glass), parents)?;
                Ok(Seen { uid, entities: vec![user] })
            }
            PrincipalFacts::AccessToken { id, bound_to } => {
                let (kind, attribute, bound_to) = match *bound_to {
                    Resource::Repository(id) => {
                        (&self.repository_token, "repository", uid(&self.repository, id.uuid()))
                    }
                    Resource::Project(id) => (&self.project_token, "project", self.project(id)),
                    Resource::Workspace(id) => (&self.workspace_token, "workspace", self.workspace(id)),
                    Resource::Instance | Resource::User(_) => {
                        return Err(Error::internal(
                            "an access token is bound to what tokens are not bound to",
                        ));
                    }
                };
                bound(uid(kind, id.uuid()), attribute, bound_to)
            }
            PrincipalFacts::Runner { id, bound_to } => match *bound_to {
                Resource::Instance => {
                    let uid = uid(&self.instance_runner, id.uuid());
                    Ok(Seen { entities: vec![entity(uid.clone(), [], HashSet::new())?], uid })
                }
                Resource::Workspace(workspace) => {
                    bound(uid(&self.workspace_runner, id.uuid()), "workspace", self.workspace(workspace))
                }
                Resource::Repository(repository) => bound(
                    uid(&self.repository_runner, id.uuid()),
                    "repository",
                    uid(&self.repository, repository.uuid()),
                ),
                _ => Err(Error::internal("a runner is registered for what runners are not registered for")),
            },
        }
    }

    /// The groups and roles that grants put a user into, with the roles that those contain. They are told as what the
    /// user lies in, not as entities between: no policy looks at them otherwise, and each would cost a microsecond or two.
    fn granted(&self, grants: &[GrantFact], resource: &ResourceFacts) -> Vec<EntityUid> {
        let (mut groups, mut roles): (Vec<GroupId>, Vec<Role>) = (Vec::new(), Vec::new());
        for grant in grants {
            let Some(role) = Role::granted(grant) else { continue };
            add(&mut roles, role);
            if let Some(group) = grant.via {
                add(&mut groups, group);
            }
        }
        let mut at = 0;
        while let Some(role) = roles.get(at).copied() {
            at += 1;
            if let Some(contained) = role.contains(resource) {
                add(&mut roles, contained);
            }
        }
        let groups = groups.into_iter().map(|group| uid(&self.group, group.uuid()));
        groups.chain(roles.into_iter().map(|role| self.role(role))).collect()
    }

    fn resource(&self, facts: &ResourceFacts) -> Result<Seen> {
        let roles = named_by(facts)
            .map(|role| (role.members_are(), RestrictedExpression::new_entity_uid(self.role(role))));
        let private = |private| [("private", RestrictedExpression::new_bool(private))];
        let (uid, entities) = match *facts {
            ResourceFacts::Instance => (self.instance.clone(), Vec::new()),
            ResourceFacts::User { id } => {
                let account = uid(&self.account, id.uuid());
                let owner = RestrictedExpression::new_entity_uid(uid(&self.user, id.uuid()));
                (account.clone(), vec![entity(account, [("owner", owner)], [])?])
            }
            ResourceFacts::Workspace { id } => {
                let uid = self.workspace(id);
                (uid.clone(), vec![entity(uid, roles, [])?])
            }
            ResourceFacts::Project { id, workspace, private: hidden } => {
                let uid = self.project(id);
                let parent = self.workspace(workspace);
                (uid.clone(), vec![entity(uid, roles.chain(private(hidden)), [parent])?])
            }
            ResourceFacts::Repository { id, project, workspace, private: hidden } => {
                let uid = uid(&self.repository, id.uuid());
                let project = self.project(project);
                let between =
                    Entity::new_no_attrs(project.clone(), HashSet::from([self.workspace(workspace)]));
                let itself = entity(uid.clone(), roles.chain(private(hidden)), [project])?;
                (uid, vec![itself, between])
            }
        };
        Ok(Seen { uid, entities })
    }

    fn workspace(&self, id: WorkspaceId) -> EntityUid {
        uid(&self.workspace, id.uuid())
    }

    fn project(&self, id: ProjectId) -> EntityUid {
        uid(&self.project, id.uuid())
    }

    fn role(&self, role: Role) -> EntityUid {
        let mut text = [0; uuid::fmt::Simple::LENGTH];
        let on = &*role.on.uuid().simple().encode_lower(&mut text);
        let id = [role.on.kind().as_str(), "/", on, "/", role.permission.as_str()].concat();
        EntityUid::from_type_name_and_id(self.role.clone(), EntityId::new(id))
    }
}

/// A principal that is bound to something.
fn bound(uid: EntityUid, attribute: &'static str, to: EntityUid) -> Result<Seen> {
    let to = RestrictedExpression::new_entity_uid(to);
    Ok(Seen { uid: uid.clone(), entities: vec![entity(uid, [(attribute, to)], [])?] })
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn context(question: &Question<'_>) -> Result<Context> {
    let texts = |set: ScopeSet| RestrictedExpression::new_set(set.iter().map(|scope| text(scope.as_str())));
    // Scopes that the call does not require change no decision, and a session holds all there are.
    let held = question.required.iter().filter(|scope| question.held.contains(*scope)).collect();
    // A step's token is bound to a repository as an access token is, and is of a kind of its own.
    let step = question.credential.filter(|kind| *kind == CredentialKind::StepToken);
    let own = step.or(question.principal.kind().and_then(PrincipalKind::own_credential));
    let guardrails = &question.guardrails;
    let mut pairs = Vec::with_capacity(4);
    pairs.push(("scopes".to_owned(), texts(held)));
    pairs.push(("required".to_owned(), texts(question.required)));
    if let Some(kind) = own.or(question.credential) {
        pairs.push(("credential".to_owned(), text(kind.name())));
    }
    // What only guardrails look at is not there where none holds.
    let own_rules = guardrails.own_rules.is_some();
    let any = guardrails.any();
    if any || own_rules {
        if let Some(days) = guardrails.credential_days {
            pairs.push(("credential_days".to_owned(), RestrictedExpression::new_long(days)));
        }
        if let Some(by_provider) = guardrails.by_provider {
            pairs.push(("by_provider".to_owned(), RestrictedExpression::new_bool(by_provider)));
        }
    }
    if any {
        pairs.push(("guardrails".to_owned(), record(guardrails)?));
    }
    if let (true, Some(address)) = (own_rules, guardrails.address) {
        let address = address.to_canonical().to_string();
        pairs.push(("address".to_owned(), RestrictedExpression::new_ip(address)));
    }
    Context::from_pairs(pairs).map_err(Error::internal)
}

/// The guardrails as the schema describes them.
fn record(guardrails: &Guardrails<'_>) -> Result<RestrictedExpression> {
    let truth = RestrictedExpression::new_bool;
    let always = [
        ("second_step", truth(guardrails.second_step)),
        ("private_only", truth(guardrails.private_only)),
        ("no_forks_outside", truth(guardrails.no_forks_outside)),
        ("identity_provider", truth(guardrails.identity_provider)),
    ];
    let kinds = |kinds: EntryKinds| RestrictedExpression::new_set(kinds.iter().map(|kind| text(kind.name())));
    let sometimes = [
        guardrails.address_allowed.map(|allowed| ("address_allowed", truth(allowed))),
        guardrails.longest_days.map(|days| ("longest_days", RestrictedExpression::new_long(days))),
        guardrails.admitted.map(|admitted| ("admitted", kinds(admitted))),
    ];
    let fields = always.into_iter().chain(sometimes.into_iter().flatten());
    RestrictedExpression::new_record(fields.map(|(name, value)| (name.to_owned(), value)))
        .map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use cedar_policy::Schema;
    use model::{
        Action, CredentialId, Permission, ProjectPermission, Random, RepositoryId, UserId,
        WorkspacePermission,
    };

    use super::*;
    use crate::own_rule::OwnRules;
    use crate::text;

    fn principals(random: &Random, on: &[Resource]) -> Vec<PrincipalFacts> {
        let mut principals = vec![PrincipalFacts::Anonymous, PrincipalFacts::Operator];
        for staff in StaffRole::ALL {
            let id = UserId::new(random);
            principals.push(PrincipalFacts::User {
                id,
                active: true,
                approved: true,
                second_step: false,
                staff: *staff,
                break_glass: on.iter().find_map(|on| match on {
                    Resource::Workspace(id) if *staff == StaffRole::Administrator => Some(*id),
                    _ => None,
                }),
            });
        }
        for bound_to in on {
            let id = CredentialId::new(random);
            principals.push(PrincipalFacts::AccessToken { id, bound_to: *bound_to });
        }
        principals
    }

    fn conforms(schema: &Schema, question: &Question<'_>, action: &Entity) {
        let (request, entities) = Types::new().unwrap().slice(question, action).unwrap();
        let (principal, resource) = (request.principal().unwrap(), request.resource().unwrap());
        let context = request.context().unwrap().clone();
        Request::new(principal.clone(), action.uid(), resource.clone(), context, Some(schema)).unwrap();
        for entity in entities.iter().filter(|entity| entity.uid() != action.uid()) {
            let uid = entity.uid();
            // What lies between a resource and its workspace is there for its place alone: policies cannot look at
            // its attributes (see `DEPTH`).
            if uid == *resource || uid.type_name().to_string() != "Project" {
                Entities::from_entities([entity.clone()], Some(schema)).unwrap();
            }
        }
    }

    /// The proofs hold for entities as the schema describes them: so these must be such entities.
    #[test]
    fn what_is_built_for_a_question_is_what_the_schema_describes() {
        let schema = Schema::from_cedarschema_str(text::SCHEMA).unwrap().0;
        let random = Random::seeded(11);
        let (workspace, project) = (WorkspaceId::new(&random), ProjectId::new(&random));
        let repository = RepositoryId::new(&random);
        let resources = [
            ResourceFacts::Instance,
            ResourceFacts::User { id: UserId::new(&random) },
            ResourceFacts::Workspace { id: workspace },
            ResourceFacts::Project { id: project, workspace, private: true },
            ResourceFacts::Repository { id: repository, project, workspace, private: false },
        ];
        let grants = [
            GrantFact {
                on: workspace.into(),
                permission: Permission::Workspace(WorkspacePermission::Owner),
                via: None,
            },
            GrantFact {
                on: project.into(),
                permission: Permission::Project(ProjectPermission::Write),
                via: Some(GroupId::new(&random)),
            },
        ];
        let actions = schema.action_entities().unwrap();
        let action = actions.get(&single("Action", Action::Upkeep.as_str()).unwrap()).unwrap().clone();
        let bound = [workspace.into(), project.into(), repository.into()];
        let own_rules = OwnRules::new([]).unwrap();
        let guardrails = Guardrails {
            address_allowed: Some(true),
            second_step: true,
            private_only: true,
            no_forks_outside: true,
            longest_days: Some(90),
            admitted: Some(model::EntryKind::all().collect()),
            identity_provider: true,
            own_rules: Some(&own_rules),
            credential_days: Some(1),
            by_provider: Some(false),
            address: Some("::ffff:10.0.0.1".parse().unwrap()),
        };
        for principal in principals(&random, &bound) {
            for (resource, guardrails) in
                resources.iter().flat_map(|one| [(one, Guardrails::NONE), (one, guardrails)])
            {
                let scopes: ScopeSet = "repository repository:write".parse().unwrap();
                let question = Question {
                    action: Action::Upkeep,
                    principal: &principal,
                    resource,
                    grants: &grants,
                    held: scopes,
                    required: scopes,
                    credential: None,
                    guardrails,
                };
                conforms(&schema, &question, &action);
            }
        }
    }
}
