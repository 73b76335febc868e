//! The whole list of invariants, proved by the real solver over the access model that is compiled in; and the proofs
//! seen to fail where the access model is broken on purpose. Catches a policy that opens more than it says.

#![cfg(test)]

use std::path::{Path, PathBuf};

use model::Error;
use policy::AccessModel;
use prover::{Finding, INVARIANTS, Rules, Verdict, compare, examine, prove, prove_all};

/// The solver, from `BASTIDE_CVC5` or the search path.
fn solver() -> PathBuf {
    let path = std::env::var_os("BASTIDE_CVC5").map_or_else(|| PathBuf::from("cvc5"), PathBuf::from);
    let started = std::process::Command::new(&path).arg("--version").output();
    assert!(
        started.is_ok_and(|output| output.status.success()),
        "the proofs need cvc5: install it (Debian: `apt install cvc5`) or name it in BASTIDE_CVC5"
    );
    path
}

#[tokio::test]
async fn every_invariant_is_proved_and_every_twin_is_refuted() {
    let report = prove_all(&solver()).await.unwrap();
    println!("{report}");
    for line in &report.twins {
        let Verdict::Refuted(question) = &line.verdict else { continue };
        println!("false    {}  {} ({question})", line.name, line.sentence);
    }
    assert!(report.holds(), "{report}");
}

/// The access model with one text in place of another.
fn broken(from: &str, to: &str) -> AccessModel {
    let mut found = 0;
    let files: Vec<(&'static str, String)> = policy::text::POLICIES
        .iter()
        .map(|(name, text)| {
            found += text.matches(from).count();
            (*name, text.replace(from, to))
        })
        .collect();
    assert_eq!(found, 1, "`{from}` stands in the policies {found} times");
    let files: Vec<(&'static str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    AccessModel::from_texts(policy::text::SCHEMA, &files).expect("the broken policies are valid policies")
}

async fn refuted(model: &AccessModel) -> Vec<&'static str> {
    let lines = prove(INVARIANTS, &Rules::of(model).unwrap(), &solver()).await.unwrap();
    lines.iter().filter(|line| line.verdict != Verdict::Proved).map(|line| line.name).collect()
}

/// Kinds of question that the same policies decide are asked about once, which is right as long as all actions come
/// with one context.
#[test]
fn every_action_comes_with_the_same_context() {
    let schema = policy::text::SCHEMA;
    assert_ne!(schema.matches("appliesTo").count(), 0);
    assert_eq!(schema.matches("appliesTo").count(), schema.matches("context: Asked,").count());
}

#[tokio::test]
async fn a_token_let_out_of_its_repository_is_noticed() {
    let model =
        broken("when { resource == principal.repository }", "when { resource != principal.repository }");
    assert_eq!(refuted(&model).await, ["repository-tokens-stay"]);
}

#[tokio::test]
async fn a_runner_let_out_of_its_repository_is_noticed() {
    let model =
        broken("when { principal.repository == resource }", "when { principal.repository != resource }");
    assert_eq!(refuted(&model).await, ["runners-stay"]);
}

#[tokio::test]
async fn each_restraint_and_guardrail_that_is_taken_out_is_noticed() {
    let forbidding = ["restraints.cedar", "guardrails.cedar"];
    let texts = policy::text::POLICIES.iter().filter(|(name, _)| forbidding.contains(name));
    let ids: Vec<&str> = texts
        .flat_map(|(_, text)| text.split("@id(\"").skip(1).filter_map(|rest| rest.split('"').next()))
        .collect();
    let noticed_by = [
        ("restraint-inactive-user", "inactive-users-reach-nothing"),
        ("restraint-unapproved-user", "unapproved-users-reach-their-account-alone"),
        ("restraint-scopes", "scopes-bind"),
        ("restraint-scope-unlisted", "no-call-without-a-scope"),
        ("restraint-people-only", "people-only"),
        ("guardrail-ip-allowlist", "the-ip-allowlist-holds"),
        ("guardrail-second-step", "the-second-step-holds"),
        ("guardrail-credential-lifetime", "credentials-end-in-time"),
        ("guardrail-credential-kinds", "only-admitted-credentials"),
        ("guardrail-sessions", "only-admitted-credentials"),
        ("guardrail-identity-provider", "only-the-identity-provider"),
        ("guardrail-private-only", "nothing-is-made-public"),
        ("guardrail-private-only-shown", "nothing-is-made-public"),
        ("guardrail-no-forks-outside", "forks-stay-inside"),
    ];
    assert_eq!(ids, noticed_by.map(|(id, _)| id), "each restraint has an invariant that misses it");
    let whole = AccessModel::load().unwrap();
    for (id, invariant) in noticed_by {
        let policies = whole
            .policies()
            .clone()
            .policies()
            .filter(|policy| policy.id().as_ref() as &str != id)
            .cloned()
            .collect::<Vec<_>>();
        let policies = cedar_policy::PolicySet::from_policies(policies).unwrap();
        let rules = Rules::new(whole.schema(), &policies).unwrap();
        let asked = INVARIANTS.iter().find(|listed| listed.name == invariant).expect("is in the list");
        let lines = prove(std::slice::from_ref(asked), &rules, &solver()).await.unwrap();
        let line = lines.first().expect("one line for one invariant");
        let Verdict::Refuted(question) = &line.verdict else { panic!("{id} is not missed by {invariant}") };
        println!("without {id}: {question}");
    }
}

#[tokio::test]
async fn staff_let_into_private_repositories_are_noticed() {
    let model = broken(
        "permit (principal is User, action in Action::\"repository.read\", resource is Repository)\nwhen { principal in resource.readers };",
        "permit (principal is User, action in Action::\"repository.read\", resource is Repository)\nwhen { principal in resource.readers || principal in Role::\"administrators\" };",
    );
    let found = refuted(&model).await;
    // The last: where every administrator reads, break-glass for browsing opens nothing more.
    let expected = [
        "private-repositories-need-a-grant",
        "staff-open-no-content",
        "break-glass-is-narrow",
        "every-policy-matters",
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn break_glass_that_opens_more_than_it_says_is_noticed() {
    let asked =
        INVARIANTS.iter().find(|listed| listed.name == "break-glass-is-narrow").expect("is in the list");
    for (from, to) in [
        (
            "Action::\"repository.clone\"],\n    resource\n) when {\n    principal in Role::\"administrators\" &&",
            "Action::\"repository.clone\"],\n    resource\n) when {",
        ),
        (
            "action == Action::\"repository.read\", resource is Repository)\nwhen {\n    principal in Role::\"administrators\" &&\n    principal has break_glass &&\n    resource in principal.break_glass",
            "action == Action::\"repository.read\", resource is Repository)\nwhen {\n    principal in Role::\"administrators\" &&\n    principal has break_glass",
        ),
        (
            "action == Action::\"repository.read\", resource is Repository)",
            "action in Action::\"repository.read\", resource is Repository)",
        ),
        (
            "Action::\"project.read\", Action::\"repository.clone\"]",
            "Action::\"project.read\", Action::\"repository.push\"]",
        ),
    ] {
        let rules = Rules::of(&broken(from, to)).unwrap();
        let lines = prove(std::slice::from_ref(asked), &rules, &solver()).await.unwrap();
        assert!(matches!(lines[0].verdict, Verdict::Refuted(_)), "{to}");
    }
}

#[tokio::test]
async fn two_sets_of_policies_are_compared() {
    let model = AccessModel::load().unwrap();
    let same = compare(&solver(), model.schema(), model.policies(), model.policies()).await.unwrap();
    assert!(same.is_same());
    let stricter = broken(
        "when { (principal is User || principal is Anonymous) && !resource.private };\n\n@id(\"repository-readers-read\")",
        "when { principal is User && !resource.private };\n\n@id(\"repository-readers-read\")",
    );
    let found = compare(&solver(), model.schema(), model.policies(), stricter.policies()).await.unwrap();
    assert!(found.allowed_anew.is_empty(), "{found:?}");
    let told: Vec<String> = found.refused_anew.iter().map(ToString::to_string).collect();
    for action in
        ["repository.read", "repository.fork", "repository.fork-outside", "repository.clone", "pipeline.read"]
    {
        let expected = format!("Anonymous asks `{action}` of repository (not private)");
        assert!(told.iter().any(|question| question.starts_with(&expected)), "{action}: {told:?}");
    }
    assert!(told.iter().all(|question| question.starts_with("Anonymous asks")), "{told:?}");
}

/// A rule of a workspace's own, as its administrator is told of it before it is saved.
#[tokio::test]
async fn a_rule_is_examined() {
    let model = AccessModel::load().unwrap();
    let found = async |text: &str| -> Finding {
        let rule = model.own_rule("rule", "", text).unwrap();
        examine(&solver(), &model, rule.policy(), std::time::Duration::from_secs(600)).await.unwrap()
    };
    let some = found(
        "forbid (principal is User, action == Action::\"repository.push\", resource) when { resource.private };",
    );
    let some = some.await;
    assert_eq!((some.can_fire, some.refuses_everything), (Some(true), Some(false)));
    let example = some.example.unwrap().to_string();
    assert!(example.starts_with("User") && example.contains("repository.push"), "{example}");
    // What no permit allows is refused by nobody.
    let never =
        found("forbid (principal is Anonymous, action == Action::\"repository.push\", resource);").await;
    assert_eq!((never.can_fire, never.refuses_everything, never.example), (Some(false), Some(false), None));
    let all = found("forbid (principal, action, resource);").await;
    assert_eq!((all.can_fire, all.refuses_everything), (Some(true), Some(true)));
}

#[tokio::test]
async fn a_missing_solver_is_told_by_its_name() {
    let error = prove_all(Path::new("/nowhere/cvc5")).await.unwrap_err();
    assert!(
        matches!(&error, Error::Invalid { message, .. } if message.contains("/nowhere/cvc5")),
        "{error:?}"
    );
}
