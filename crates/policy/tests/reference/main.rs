//! The access model once more, written down as plain and slow code, and held against the Cedar policies over random
//! questions. Catches a policy that does not say what was meant, a mistake in how facts become entities, and one in
//! how policies are sorted by question.

#![cfg(test)]

mod asked;

use std::collections::HashMap;

use model::{
    Action, CredentialId, CredentialKind, EntryKind, GroupId, Permission, ProjectId, ProjectPermission,
    Random, RepositoryId, RepositoryPermission, Resource, RunnerId, Scope, ScopeSet, StaffRole, UserId,
    WorkspaceId, WorkspacePermission,
};
use policy::{AccessModel, GrantFact, Guardrails, PrincipalFacts, Question, Reason, ResourceFacts};
use proptest::prelude::*;

use asked::*;

/// What may be done, decided without Cedar.
fn reference(question: &Question<'_>) -> bool {
    let kind = question.resource.kind();
    question.action.resources().contains(&kind) && !restrained(question) && permitted(question)
}

fn restrained(question: &Question<'_>) -> bool {
    use Action as A;

    let token = matches!(question.principal, PrincipalFacts::AccessToken { .. });
    let nobody = matches!(question.principal, PrincipalFacts::Anonymous | PrincipalFacts::Operator);
    let inactive = matches!(question.principal, PrincipalFacts::User { active: false, .. });
    let unapproved = match (question.principal, question.resource) {
        (PrincipalFacts::User { approved: false, id, .. }, ResourceFacts::User { id: owner }) => id != owner,
        (PrincipalFacts::User { approved: false, .. }, _) => true,
        _ => false,
    };
    let lacking = !nobody && !question.held.contains_all(question.required);
    let unlisted = (token || question.credential.is_some())
        && question.required.is_empty()
        && !matches!(question.action, A::UserRead | A::WorkspaceRead);
    let people_only = matches!(
        question.action,
        A::GrantList
            | A::GrantSet
            | A::GrantRemove
            | A::MemberSet
            | A::MemberRemove
            | A::GroupCreate
            | A::GroupUpdate
            | A::GroupDelete
            | A::GroupMemberAdd
            | A::GroupMemberRemove
            | A::AccessTokenList
            | A::AccessTokenCreate
            | A::AccessTokenRevoke
            | A::AccessRead
            | A::AuditRead
            | A::CredentialList
            | A::CredentialCreate
            | A::CredentialRevoke
            | A::PasswordChange
            | A::PasswordReset
            | A::SecondStepList
            | A::SecondStepEnrol
            | A::SecondStepRemove
            | A::RecoveryCodesCreate
            | A::IdentityConnect
            | A::IdentityList
            | A::IdentityDisconnect
            | A::SessionList
            | A::SessionCreate
            | A::SessionUpdate
            | A::SessionRevoke
            | A::RepositoryTransfer
            | A::RepositoryRestore
            | A::GuardrailRead
            | A::GuardrailUpdate
            | A::IdentityProviderRead
            | A::IdentityProviderUpdate
            | A::AuditSinkRead
            | A::AuditSinkUpdate
            | A::AwsKeyRead
            | A::AwsKeyUpdate
            | A::AlertRead
            | A::AlertAcknowledge
            | A::BreakGlassRead
            | A::BreakGlassRequest
            | A::BreakGlassApprove
            | A::BreakGlassEnd
    );
    let nameless = matches!(question.principal, PrincipalFacts::Anonymous);
    inactive || unapproved || lacking || unlisted || (people_only && (token || nameless)) || guarded(question)
}

/// What guardrails refuse.
fn guarded(question: &Question<'_>) -> bool {
    use Action as A;

    let guardrails = &question.guardrails;
    let (private, public_place) = match question.resource {
        ResourceFacts::Instance => {
            let guarded = matches!(
                question.action,
                A::AuditRead
                    | A::GuardrailRead
                    | A::GuardrailUpdate
                    | A::AuditSinkRead
                    | A::AuditSinkUpdate
                    | A::AwsKeyRead
                    | A::AwsKeyUpdate
                    | A::AlertRead
                    | A::AlertAcknowledge
                    | A::BreakGlassRead
            );
            (guarded, false)
        }
        ResourceFacts::User { .. } => (false, false),
        ResourceFacts::Workspace { .. } => {
            (!matches!(question.action, A::WorkspaceRead | A::IdentityProviderSync), false)
        }
        ResourceFacts::Project { private, .. } | ResourceFacts::Repository { private, .. } => {
            (*private, !private)
        }
    };
    let private = private && question.action != A::Upkeep;
    let publishing = matches!(question.action, A::RepositoryPublish | A::ProjectPublish);
    if guardrails.private_only && publishing {
        return true;
    }
    let user = matches!(question.principal, PrincipalFacts::User { .. });
    let reading = matches!(
        question.action,
        A::RepositoryRead
            | A::RepositoryClone
            | A::RepositoryFork
            | A::RepositoryForkOutside
            | A::PipelineRead
            | A::ProjectRead
    );
    let nameless = matches!(question.principal, PrincipalFacts::Anonymous);
    let need = match question.resource {
        ResourceFacts::Project { .. } | ResourceFacts::Repository { .. } => Need::Read,
        _ => Need::Nothing,
    };
    if guardrails.private_only && reading && (public_place || private) && (nameless || user) {
        let let_in = user && (granted(question, need) || broken(question));
        if !let_in {
            return true;
        }
    }
    let outside = question.action == A::RepositoryForkOutside;
    let forks = guardrails.no_forks_outside && outside;
    let address =
        guardrails.address_allowed == Some(false) && !matches!(question.principal, PrincipalFacts::Operator);
    let second_step = guardrails.second_step
        && matches!(question.principal, PrincipalFacts::User { second_step: false, .. });
    let step = question.credential == Some(CredentialKind::StepToken);
    let kind = match question.principal {
        PrincipalFacts::AccessToken { .. } if step => question.credential,
        PrincipalFacts::AccessToken { bound_to: Resource::Repository(_), .. } => {
            Some(CredentialKind::RepositoryAccessToken)
        }
        PrincipalFacts::AccessToken { bound_to: Resource::Project(_), .. } => {
            Some(CredentialKind::ProjectAccessToken)
        }
        PrincipalFacts::AccessToken { .. } => Some(CredentialKind::WorkspaceAccessToken),
        PrincipalFacts::Operator => None,
        _ => question.credential,
    };
    let entry = kind.map(EntryKind::Credential).or(user.then_some(EntryKind::Session));
    let lives = guardrails.longest_days.is_some_and(|longest| {
        kind.is_some() && guardrails.credential_days.is_none_or(|days| days > longest)
    });
    let admitted =
        guardrails.admitted.is_some_and(|admitted| entry.is_some_and(|entry| !admitted.contains(entry)));
    let provider =
        guardrails.identity_provider && user && kind.is_none() && guardrails.by_provider != Some(true);
    private && (forks || address || second_step || lives || admitted || provider)
}

/// What an action needs at the resource, in words of one ladder per kind.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Need {
    Read,
    Write,
    Admin,
    Delete,
    Make,
    Member,
    Runner,
    Nothing,
}

fn need(action: Action, resource: &ResourceFacts) -> Need {
    use Action as A;

    match resource {
        ResourceFacts::Repository { .. } => match action {
            A::RepositoryRead
            | A::RepositoryClone
            | A::RepositoryFork
            | A::RepositoryForkOutside
            | A::PipelineRead => Need::Read,
            A::RepositoryWrite
            | A::RepositoryPushIntent
            | A::RepositoryPush
            | A::RefCreate
            | A::RefDelete
            | A::CommitCreate
            | A::PipelineRun
            | A::PipelineSteer
            | A::PipelineCacheRead
            | A::PipelineCacheRemove
            | A::PipelineScheduleSet
            | A::PipelineScheduleRemove
            | A::CommitStatusSet
            | A::ReportSet
            | A::ReportRemove => Need::Write,
            A::StepClaim | A::StepFinish | A::IdentityTokenMint | A::AwsRoleAssume => Need::Runner,
            A::RepositoryDelete => Need::Delete,
            A::Upkeep | A::RunnerRegister => Need::Nothing,
            _ => Need::Admin,
        },
        ResourceFacts::Project { .. } => match action {
            A::ProjectRead => Need::Read,
            A::RepositoryCreate | A::RepositoryPublish => Need::Make,
            A::Upkeep => Need::Nothing,
            _ => Need::Admin,
        },
        ResourceFacts::Workspace { .. } => match action {
            A::WorkspaceRead | A::MemberList | A::GroupRead => Need::Member,
            A::ProjectCreate | A::ProjectPublish => Need::Make,
            A::Upkeep
            | A::RunnerRegister
            | A::IdentityProviderSync
            | A::BreakGlassRequest
            | A::BreakGlassApprove => Need::Nothing,
            _ => Need::Admin,
        },
        ResourceFacts::Instance | ResourceFacts::User { .. } => Need::Nothing,
    }
}

fn permitted(question: &Question<'_>) -> bool {
    let need = need(question.action, question.resource);
    let public = match question.resource {
        ResourceFacts::Repository { private, .. } | ResourceFacts::Project { private, .. } => {
            !private && need == Need::Read
        }
        _ => false,
    };
    match question.principal {
        PrincipalFacts::Anonymous => public,
        PrincipalFacts::Operator => operator(question.action),
        PrincipalFacts::AccessToken { bound_to, .. } => {
            need != Need::Runner && token(*bound_to, question.resource, need)
        }
        PrincipalFacts::Runner { bound_to, .. } => {
            need == Need::Runner
                && (*bound_to == Resource::Instance
                    || *bound_to == question.resource.resource()
                    || question.resource.workspace().map(Resource::Workspace) == Some(*bound_to))
        }
        PrincipalFacts::User { id, staff, .. } => {
            public || staff_or_own(question, *id, *staff) || granted(question, need) || opened(question)
        }
    }
}

/// Whether break-glass is in force for an administrator of the instance where the question is asked.
fn broken(question: &Question<'_>) -> bool {
    let PrincipalFacts::User { staff: StaffRole::Administrator, break_glass: Some(on), .. } =
        *question.principal
    else {
        return false;
    };
    question.resource.workspace() == Some(on)
}

/// What it opens.
fn opened(question: &Question<'_>) -> bool {
    use Action as A;

    broken(question)
        && matches!(
            question.action,
            A::WorkspaceRead
                | A::MemberList
                | A::GroupRead
                | A::ProjectRead
                | A::RepositoryRead
                | A::RepositoryClone
        )
}

fn operator(action: Action) -> bool {
    use Action as A;

    matches!(
        action,
        A::UserList
            | A::UserCreate
            | A::UserRead
            | A::UserInspect
            | A::UserUpdate
            | A::UserApprove
            | A::UserResetLink
            | A::UserDelete
            | A::WorkspaceCreate
            | A::WorkspaceRead
            | A::WorkspaceUpdate
            | A::WorkspaceDelete
            | A::MemberList
            | A::MemberSet
            | A::MemberRemove
            | A::GroupRead
            | A::AccessTokenList
            | A::AccessTokenRevoke
            | A::AccessRead
            | A::AuditRead
            | A::AwsRoleRead
            | A::AwsRoleSet
            | A::AwsKeyRead
            | A::AwsKeyUpdate
            | A::GuardrailRead
            | A::GuardrailUpdate
            | A::IdentityProviderRead
            | A::IdentityProviderUpdate
            | A::AuditSinkRead
            | A::AuditSinkUpdate
            | A::AlertRead
            | A::AlertAcknowledge
            | A::BreakGlassRead
            | A::BreakGlassRequest
            | A::BreakGlassEnd
    )
}

fn token(bound_to: Resource, resource: &ResourceFacts, need: Need) -> bool {
    let itself = resource.resource() == bound_to;
    let around = [
        resource.workspace().map(Resource::Workspace),
        resource.project().map(Resource::Project),
        resource.repository().map(Resource::Repository),
    ];
    if !around.contains(&Some(bound_to)) {
        return false;
    }
    match resource {
        ResourceFacts::Workspace { .. } => itself && matches!(need, Need::Member | Need::Make),
        _ => need != Need::Nothing,
    }
}

fn staff_or_own(question: &Question<'_>, id: UserId, staff: StaffRole) -> bool {
    use Action as A;

    match question.action {
        A::UserList
        | A::UserCreate
        | A::UserInspect
        | A::UserUpdate
        | A::UserApprove
        | A::UserResetLink
        | A::UserDelete => staff == StaffRole::Administrator,
        A::BreakGlassRequest | A::BreakGlassApprove | A::BreakGlassEnd => staff == StaffRole::Administrator,
        A::AuditRead | A::BreakGlassRead => staff != StaffRole::None,
        A::AlertRead | A::AuditSinkRead => {
            staff != StaffRole::None && *question.resource == ResourceFacts::Instance
        }
        A::GuardrailRead | A::GuardrailUpdate | A::AuditSinkUpdate | A::AlertAcknowledge => {
            staff == StaffRole::Administrator && *question.resource == ResourceFacts::Instance
        }
        A::AwsKeyRead | A::AwsKeyUpdate => staff == StaffRole::Administrator,
        A::WorkspaceCreate | A::UserRead => true,
        A::AccountRead
        | A::AccountUpdate
        | A::CredentialList
        | A::CredentialCreate
        | A::CredentialRevoke
        | A::PasswordChange
        | A::PasswordReset
        | A::SecondStepList
        | A::SecondStepEnrol
        | A::SecondStepRemove
        | A::RecoveryCodesCreate
        | A::IdentityConnect
        | A::IdentityList
        | A::IdentityDisconnect
        | A::SessionList
        | A::SessionCreate
        | A::SessionUpdate
        | A::SessionRevoke => question.resource.resource() == Resource::User(id),
        _ => false,
    }
}

fn granted(question: &Question<'_>, need: Need) -> bool {
    let on = |at: Option<Resource>| {
        question.grants.iter().filter(move |grant| Some(grant.on) == at).map(|grant| grant.permission)
    };
    let workspace = on(question.resource.workspace().map(Resource::Workspace))
        .filter_map(|level| match level {
            Permission::Workspace(level) => Some(level),
            _ => None,
        })
        .max();
    let project = on(question.resource.project().map(Resource::Project))
        .filter_map(|level| match level {
            Permission::Project(level) => Some(level),
            _ => None,
        })
        .chain((workspace == Some(WorkspacePermission::Owner)).then_some(ProjectPermission::Admin))
        .max();
    let repository = on(question.resource.repository().map(Resource::Repository))
        .filter_map(|level| match level {
            Permission::Repository(level) => Some(level),
            _ => None,
        })
        .chain(project.map(|level| match level {
            ProjectPermission::Read => RepositoryPermission::Read,
            ProjectPermission::Write | ProjectPermission::CreateRepo => RepositoryPermission::Write,
            ProjectPermission::Admin => RepositoryPermission::Admin,
        }))
        .max();
    match question.resource {
        ResourceFacts::Repository { .. } => match need {
            Need::Read => repository.is_some(),
            Need::Write => repository >= Some(RepositoryPermission::Write),
            Need::Admin | Need::Delete => repository == Some(RepositoryPermission::Admin),
            _ => false,
        },
        ResourceFacts::Project { .. } => match need {
            Need::Read => project.is_some(),
            Need::Make => project >= Some(ProjectPermission::CreateRepo),
            Need::Admin => project == Some(ProjectPermission::Admin),
            _ => false,
        },
        ResourceFacts::Workspace { .. } => match need {
            Need::Member => workspace.is_some(),
            Need::Make => workspace >= Some(WorkspacePermission::CreateProject),
            Need::Admin => workspace == Some(WorkspacePermission::Owner),
            _ => false,
        },
        ResourceFacts::Instance | ResourceFacts::User { .. } => false,
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() }
}

thread_local! {
    static MODEL: AccessModel = AccessModel::load().unwrap();
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_policies_decide_as_the_reference_does(asked in asked()) {
        let decision = MODEL.with(|model| model.decide(&asked.question()));
        prop_assert_eq!(decision.allowed, reference(&asked.question()), "{:?}", decision);
        let anew = MODEL.with(|model| model.work_out(&asked.question()));
        prop_assert_eq!(&anew, &decision, "what was decided before is told of another question");
        prop_assert!(!decision.reasons.is_empty());
        prop_assert!(decision.reasons.iter().all(|reason| reason.policy != Reason::UNDECIDED));
        prop_assert!(decision.reasons.iter().all(|reason| reason.text.ends_with('.')));
    }

    #[test]
    fn a_restraint_outvotes_every_permit_and_without_a_rule_all_is_denied(asked in asked()) {
        let decision = MODEL.with(|model| model.decide(&asked.question()));
        let restrained = decision.reasons.iter().any(|reason| {
            reason.policy.starts_with("restraint-") || reason.policy.starts_with("guardrail-")
        });
        let unruled = [Reason::NO_PERMIT, Reason::NO_SUCH_QUESTION];
        let unruled = decision.reasons.iter().any(|reason| unruled.contains(&reason.policy.as_str()));
        prop_assert_eq!(!decision.allowed, restrained || unruled, "{:?}", decision);
    }

    #[test]
    fn taking_a_grant_away_never_allows_more(fewer in asked(), taken in grant()) {
        let mut asked = fewer.clone();
        asked.grants.push(taken);
        let (before, after) = MODEL.with(|model| {
            (model.decide(&asked.question()).allowed, model.decide(&fewer.question()).allowed)
        });
        prop_assert!(before || !after);
    }

    #[test]
    fn a_guardrail_never_allows_more(asked in asked(), none in Just(Guardrails::NONE)) {
        let mut bare = asked.clone();
        bare.guardrails = none;
        let (with, without) = MODEL.with(|model| {
            (model.decide(&asked.question()).allowed, model.decide(&bare.question()).allowed)
        });
        prop_assert!(without || !with);
    }

    #[test]
    fn fewer_scopes_never_allow_more(asked in asked(), held in scopes()) {
        let mut fewer = asked.clone();
        fewer.held = asked.held.iter().filter(|scope| held.contains(*scope)).collect();
        let (before, after) = MODEL.with(|model| {
            (model.decide(&asked.question()).allowed, model.decide(&fewer.question()).allowed)
        });
        prop_assert!(before || !after);
    }
}

#[test]
fn the_random_questions_are_answered_both_ways() {
    use proptest::strategy::ValueTree;

    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut allowed = 0;
    for _ in 0..2_000 {
        let asked = asked().new_tree(&mut runner).unwrap().current();
        allowed += usize::from(reference(&asked.question()));
    }
    assert!((150..1_850).contains(&allowed), "{allowed} of 2000 are allowed");
}

/// The access model without one policy.
fn without(id: &str) -> AccessModel {
    let files: Vec<(&'static str, String)> = policy::text::POLICIES
        .iter()
        .map(|(name, text)| {
            let mut parts = text.split("@id(\"");
            let head = parts.next().unwrap_or_default().to_owned();
            let kept = parts.filter(|part| !part.starts_with(&format!("{id}\"")));
            (*name, kept.fold(head, |text, part| text + "@id(\"" + part))
        })
        .collect();
    let files: Vec<(&'static str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    AccessModel::from_texts(policy::text::SCHEMA, &files).unwrap()
}

/// The comparison with the reference can fail: take any one policy out, and it does.
#[test]
fn each_policy_that_is_taken_out_is_noticed() {
    use proptest::strategy::ValueTree;

    let whole = AccessModel::load().unwrap();
    let strategy = asked();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    // A rule is missed where it alone decides: only there is the model without it asked.
    let mut missed: HashMap<String, AccessModel> = HashMap::new();
    for rule in whole.rules() {
        let model = without(&rule.id);
        assert_eq!(model.rules().len() + 1, whole.rules().len());
        missed.insert(rule.id.clone(), model);
    }
    for _ in 0..100_000 {
        let asked = strategy.new_tree(&mut runner).unwrap().current();
        let question = asked.question();
        if let [alone] = whole.decide(&question).policies().as_slice()
            && let Some(model) = missed.get(alone)
            && model.decide(&question).allowed != reference(&question)
        {
            missed.remove(alone);
        }
        if missed.is_empty() {
            return;
        }
    }
    panic!("nobody misses {:?}", missed.keys());
}
