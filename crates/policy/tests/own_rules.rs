//! Rules of a workspace's own: what is taken, what is refused and why, and that they only ever take away. Catches a text
//! that grants, errs, reaches beyond its workspace, or brings the reader down.

#![expect(clippy::unwrap_used, reason = "what a test is built from fails the test")]

use model::{
    Action, CredentialKind, Permission, ProjectId, Random, RepositoryId, RepositoryPermission, Resource,
    ScopeSet, StaffRole, UserId, WorkspaceId,
};
use policy::{
    AccessModel, Decision, GrantFact, Guardrails, LONGEST_RULE, OwnRules, PrincipalFacts, Question,
    ResourceFacts,
};
use proptest::prelude::*;

fn refused(text: &str) -> String {
    let model = AccessModel::load().unwrap();
    model.own_rule("rule", "", text).map(drop).unwrap_err().to_string()
}

#[test]
fn what_is_no_rule_says_why() {
    for (text, why) in [
        ("", "one `forbid` policy"),
        ("forbid", "not a policy"),
        ("permit (principal, action, resource);", "only `forbid`"),
        (
            "forbid (principal, action, resource); forbid (principal, action, resource);",
            "one `forbid` policy",
        ),
        ("forbid (principal == ?principal, action, resource);", "?principal"),
        ("forbid (principal, action, resource) when { resource.colour };", "colour"),
        ("forbid (principal, action, resource) when { context.credential == \"api_token\" };", "credential"),
        ("forbid (principal, action == Action::\"repository.explode\", resource);", "repository.explode"),
        ("forbid (principal is Workspace, action, resource);", "applicable action"),
        (
            "forbid (principal, action, resource is Repository) when { principal in Group::\"devs\" };",
            "Group",
        ),
        ("forbid (principal, action, resource) when { principal in Role::\"administrators\" };", "Role"),
        ("forbid (principal, action, resource == Repository::\"acme/one\");", "32 hexadecimal digits"),
        (
            "forbid (principal, action, resource) when { context has credential_days && \
             context.credential_days + 9223372036854775807 > 0 };",
            "arithmetic",
        ),
        (
            "forbid (principal, action, resource) when { context.address.isInRange(ip(\"10.0.0.0/8\")) };",
            "optional attribute",
        ),
        (
            "forbid (principal, action, resource) when { context has address && \
             context.address.isInRange(ip(\"x\")) };",
            "rule",
        ),
        (
            "forbid (principal is ProjectAccessToken, action, resource) when { principal.project.private };",
            "level",
        ),
        ("forbid (principal, action, resource) when { 1 == \"one\" };", "rule"),
    ] {
        let told = refused(text);
        assert!(told.contains(why), "{text}\n{told}");
        assert!(told.starts_with("`own_rules`: `rule`: "), "{told}");
    }
    let model = AccessModel::load().unwrap();
    let good = "forbid (principal, action, resource);";
    for name in ["", "Rule", "a b", &"a".repeat(65), "own/rule"] {
        assert!(model.own_rule(name, "", good).is_err(), "{name}");
    }
}

#[test]
fn a_text_that_is_too_long_or_too_deep_is_refused() {
    assert!(
        refused(&format!("forbid (principal, action, resource); //{}", " ".repeat(LONGEST_RULE)))
            .contains("bytes")
    );
    let model = AccessModel::load().unwrap();
    for (open, close) in
        [("(", ")"), ("!", ""), ("[", "]"), ("{a:", "}"), ("if true then ", " else false"), ("-", "")]
    {
        let fits = (LONGEST_RULE - 100) / (open.len() + close.len());
        let text = |deep: usize| {
            let (open, close) = (open.repeat(deep), close.repeat(deep));
            format!("forbid (principal, action, resource) when {{ {open}true{close} }};")
        };
        assert!(refused(&text(fits)).contains("too deep"), "{open}");
        // As deep as is let through: taken or refused, but not by a crash.
        for deep in [1, 12, 13, 150, 300] {
            let _ = model.own_rule("deep", "", &text(deep));
        }
    }
    // Long rather than deep; what stands in strings and comments does not count.
    let long = |operator: &str, times| {
        let all = vec!["principal is User"; times].join(operator);
        format!("forbid (principal, action, resource) when {{ {all} }}; // ((((((((((((((((((((((")
    };
    model.own_rule("long", "", &long(" || ", 100)).unwrap();
    assert!(model.own_rule("long", "", &long(" && ", 170)).is_err());
    let text = "forbid (principal, action, resource) when { context has credential && context.credential == \"\\\"((((((((((((((((\" };";
    model.own_rule("string", "", text).unwrap();
}

#[test]
fn what_a_rule_mentions_is_told() {
    let model = AccessModel::load().unwrap();
    let random = Random::seeded(4);
    let (repository, user) = (RepositoryId::new(&random), UserId::new(&random));
    let text = format!(
        "forbid (principal == User::\"{}\", action, resource) unless {{ resource in Project::\"{}\" || resource == Repository::\"{}\" }};",
        user.uuid().simple(),
        ProjectId::new(&random).uuid().simple(),
        repository.uuid().simple()
    );
    let mentions = model.own_rule("rule", "", &text).unwrap().mentions();
    assert_eq!(mentions.len(), 3);
    assert!(mentions.contains(&Resource::Repository(repository)) && mentions.contains(&Resource::User(user)));
}

struct World {
    model: AccessModel,
    user: PrincipalFacts,
    repository: ResourceFacts,
    grant: GrantFact,
}

impl World {
    fn new() -> Self {
        let random = Random::seeded(4);
        let id = RepositoryId::new(&random);
        let (project, workspace) = (ProjectId::new(&random), WorkspaceId::new(&random));
        Self {
            model: AccessModel::load().unwrap(),
            user: PrincipalFacts::User {
                id: UserId::new(&random),
                active: true,
                approved: true,
                second_step: false,
                staff: StaffRole::None,
                break_glass: None,
            },
            repository: ResourceFacts::Repository { id, project, workspace, private: true },
            grant: GrantFact {
                on: id.into(),
                permission: Permission::Repository(RepositoryPermission::Write),
                via: None,
            },
        }
    }

    fn decide(&self, action: Action, rules: &OwnRules, address: Option<&str>) -> Decision {
        let required: ScopeSet = "repository:write".parse().unwrap();
        self.model.decide(&Question {
            action,
            principal: &self.user,
            resource: &self.repository,
            grants: std::slice::from_ref(&self.grant),
            held: ScopeSet::everything(),
            required,
            credential: Some(CredentialKind::AppPassword),
            guardrails: Guardrails {
                own_rules: Some(rules),
                address: address.map(|address| address.parse().unwrap()),
                ..Guardrails::NONE
            },
        })
    }
}

#[test]
fn a_rule_takes_away_what_it_says_and_tells_its_own_words() {
    let world = World::new();
    let text = "forbid (principal is User, action in Action::\"repository.write\", resource is Repository) \
                when { context has credential && context.credential == \"app_password\" };";
    let rule = world.model.own_rule("no-app-passwords", "App passwords do not push.", text).unwrap();
    let rules = OwnRules::new([rule]).unwrap();
    let push = world.decide(Action::RepositoryPush, &rules, None);
    assert!(!push.allowed);
    assert_eq!(push.policies(), ["own-rule-no-app-passwords"]);
    assert_eq!(push.reasons[0].text, "App passwords do not push.");
    assert!(world.decide(Action::RepositoryClone, &rules, None).allowed);
}

#[test]
fn a_rule_may_look_at_the_clients_address() {
    let world = World::new();
    let text = "forbid (principal, action in Action::\"repository.write\", resource is Repository) \
                unless { context has address && context.address.isInRange(ip(\"10.0.0.0/8\")) };";
    let rules = OwnRules::new([world.model.own_rule("office", "", text).unwrap()]).unwrap();
    for (address, allowed) in
        [(Some("10.1.2.3"), true), (Some("::ffff:10.1.2.3"), true), (Some("192.0.2.1"), false), (None, false)]
    {
        let decision = world.decide(Action::RepositoryPush, &rules, address);
        assert_eq!(decision.allowed, allowed, "{address:?}: {decision:?}");
    }
}

#[test]
fn a_rule_binds_neither_the_operator_nor_what_lies_in_no_workspace() {
    let world = World::new();
    let rule = world.model.own_rule("all", "", "forbid (principal, action, resource);").unwrap();
    let rules = OwnRules::new([rule]).unwrap();
    let guardrails = Guardrails { own_rules: Some(&rules), ..Guardrails::NONE };
    let workspace = ResourceFacts::Workspace { id: world.repository.workspace().unwrap() };
    let ask = |principal: &PrincipalFacts, resource: &ResourceFacts, action| {
        let question = Question {
            action,
            principal,
            resource,
            grants: &[],
            held: ScopeSet::everything(),
            required: ScopeSet::NONE,
            credential: None,
            guardrails,
        };
        world.model.decide(&question).allowed
    };
    assert!(ask(&PrincipalFacts::Operator, &workspace, Action::GuardrailUpdate));
    assert!(ask(&world.user, &ResourceFacts::Instance, Action::WorkspaceCreate));
    assert!(!world.decide(Action::RepositoryClone, &rules, None).allowed);
}

thread_local! {
    static MODEL: AccessModel = AccessModel::load().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_without_panic(text in "(forbid|permit)? ?\\(?[a-zA-Z:\"{}()&|!=<>+*., -]{0,120};?") {
        let _ = MODEL.with(|model| model.own_rule("any", "", &text).map(drop));
    }
}
