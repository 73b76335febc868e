//! The schema and the model's list of actions are one list. Catches an action that is added to one of them alone, and
//! with it a question that no policy was ever written or proved for.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};

use model::action::act;
use model::{
    Action, Permission, Random, RequestId, ResourceKind, ScopeSet, StaffRole, Timestamp, UserId, WorkspaceId,
    WorkspacePermission,
};
use policy::{
    AccessModel, GrantFact, Guardrails, Origin, PrincipalFacts, PrincipalKind, Question, Reason,
    ResourceFacts, Target,
};

fn kind(kind: &ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Instance => "Instance",
        ResourceKind::User => "Account",
        ResourceKind::Workspace => "Workspace",
        ResourceKind::Project => "Project",
        ResourceKind::Repository => "Repository",
    }
}

#[test]
fn the_schema_asks_what_the_model_asks_of_everybody() {
    let model = AccessModel::load().unwrap();
    let mut asked: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for environment in model.schema().request_envs() {
        let pair = (environment.principal().to_string(), environment.resource().to_string());
        asked.entry(environment.action().id().unescaped().to_owned()).or_default().insert(pair);
    }
    let mut expected: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for action in Action::ALL {
        let pairs = PrincipalKind::ALL.iter().flat_map(|principal| {
            action.resources().iter().map(|on| (principal.as_str().to_owned(), kind(on).to_owned()))
        });
        expected.insert(action.as_str().to_owned(), pairs.collect());
    }
    assert_eq!(asked, expected);
}

fn within(model: &AccessModel, group: &str) -> BTreeSet<&'static str> {
    let entities = model.schema().action_entities().unwrap();
    let uid = |id: &str| format!("Action::\"{id}\"").parse().unwrap();
    let within = |action: &&Action| entities.is_ancestor_of(&uid(group), &uid(action.as_str()));
    Action::ALL.iter().filter(within).map(|action| action.as_str()).collect()
}

#[test]
fn whatever_writes_requires_a_scope_of_whoever_has_scopes() {
    let model = AccessModel::load().unwrap();
    let scoped = within(&model, "scoped");
    let open: Vec<&Action> = Action::ALL.iter().filter(|action| !scoped.contains(action.as_str())).collect();
    assert_eq!(open, [&Action::UserRead, &Action::WorkspaceRead]);
    assert!(open.iter().all(|action| !action.writes()));
}

#[test]
fn only_people_touch_who_may_do_what() {
    let model = AccessModel::load().unwrap();
    let people_only = within(&model, "people-only");
    for action in Action::ALL {
        let name = action.as_str();
        let about_access = [
            "grant.",
            "member.",
            "group.",
            "access-token.",
            "credential.",
            "session.",
            "second-step.",
            "password.",
            "recovery-codes.",
            "access.",
            "audit.",
            "guardrail.",
            "break-glass.",
            "identity.",
            "identity-provider.",
            "audit-sink.",
            "alert.",
            "aws-key.",
        ]
        .iter()
        .any(|start| name.starts_with(start));
        let about_access = about_access || ["repository.transfer", "repository.restore"].contains(&name);
        // No policy permits `identity-provider.sync` to anybody.
        let harmless = ["member.list", "group.read", "identity-provider.sync"].contains(&name);
        assert_eq!(people_only.contains(name), about_access && !harmless, "{name}");
    }
}

#[test]
fn every_policy_can_be_read_by_a_stranger() {
    let model = AccessModel::load().unwrap();
    assert!(model.rules().len() > 20);
    for rule in model.rules() {
        assert!(rule.says.ends_with('.'), "{}: {}", rule.id, rule.says);
        assert!(rule.says.chars().next().unwrap().is_uppercase(), "{}", rule.id);
        let forbids = [("restraint-", "restraints.cedar"), ("guardrail-", "guardrails.cedar")];
        let named = forbids.iter().find(|(start, _)| rule.id.starts_with(start)).map(|(_, file)| *file);
        assert_eq!(rule.forbids, named.is_some(), "{}", rule.id);
        assert!(named.is_none_or(|file| rule.file == file), "{}", rule.id);
    }
    assert_eq!(model.rules().len(), model.policies().policies().count());
}

#[test]
fn a_policy_that_looks_too_far_or_at_nothing_is_not_loaded() {
    let with = |text: &'static str| {
        let mut files = policy::text::POLICIES.to_vec();
        files.push(("more.cedar", text));
        AccessModel::from_texts(policy::text::SCHEMA, &files).map(|_| ()).map_err(|error| match error {
            model::Error::Internal(text) => text,
            other => other.to_string(),
        })
    };
    let far = with(
        "@id(\"far\") @says(\"Far.\") permit (principal is ProjectAccessToken, action, resource) \
         when { principal.project.private };",
    );
    assert!(far.unwrap_err().contains("far"));
    let unknown =
        with("@id(\"odd\") @says(\"Odd.\") permit (principal, action, resource) when { resource.colour };");
    assert!(unknown.is_err());
    assert!(with("permit (principal, action, resource);").unwrap_err().contains("@id"));
    let twice = with("@id(\"account-own\") @says(\"Twice.\") forbid (principal, action, resource);");
    assert!(twice.is_err());
}

/// One access model serves all requests at once.
#[test]
fn the_access_model_is_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<AccessModel>();
}

/// A permit is for the action and the resource that were asked about, and no other.
#[test]
fn a_permit_comes_from_its_own_question_alone() {
    let model = AccessModel::load().unwrap();
    let random = Random::seeded(9);
    let principal = PrincipalFacts::User {
        id: UserId::new(&random),
        active: true,
        approved: true,
        second_step: true,
        staff: StaffRole::None,
        break_glass: None,
    };
    let id = WorkspaceId::new(&random);
    let resource = ResourceFacts::Workspace { id };
    let owner = Permission::Workspace(WorkspacePermission::Owner);
    let question = Question {
        action: Action::MemberSet,
        principal: &principal,
        resource: &resource,
        grants: &[GrantFact { on: id.into(), permission: owner, via: None }],
        held: ScopeSet::everything(),
        required: ScopeSet::NONE,
        credential: None,
        guardrails: Guardrails::NONE,
    };
    let origin = Origin {
        request_id: RequestId::new(&random),
        time: Timestamp::from_micros(1),
        actor: "user:ann".to_owned(),
        actor_id: None,
        credential: None,
        address: None,
    };
    let target = |resource| Target { resource, label: "workspace:acme".to_owned(), workspace: Some(id) };
    let permit = model.permit::<act::MemberSet>(&question, origin.clone(), target(id.into())).unwrap();
    assert_eq!(permit.reasons(), ["workspace-owners-administer"]);

    let another =
        model.permit::<act::MemberRemove>(&question, origin.clone(), target(id.into())).unwrap_err();
    assert_eq!(another.policies(), [Reason::NO_SUCH_QUESTION]);
    let elsewhere = WorkspaceId::new(&random).into();
    let elsewhere = model.permit::<act::MemberSet>(&question, origin.clone(), target(elsewhere)).unwrap_err();
    assert_eq!(elsewhere.policies(), [Reason::NO_SUCH_QUESTION]);

    let refused = Question { grants: &[], ..question };
    let refused = model.permit::<act::MemberSet>(&refused, origin, target(id.into())).unwrap_err();
    assert_eq!(refused.reasons[0].text, "`member.set` needs owner of the workspace.");
}
