//! What tokens say, claim by claim.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn entity(uuid: u128, name: &str) -> Entity {
    Entity { uuid: Uuid::from_u128(uuid), name: name.to_owned() }
}

/// A step on `main`, without a deployment.
pub(crate) fn facts() -> IdentityFacts {
    IdentityFacts {
        workspace: entity(0x1, "acme"),
        project: entity(0x2, "CORE"),
        repository: entity(0x3, "one"),
        pipeline: Uuid::from_u128(0x4),
        build_number: 17,
        step: Uuid::from_u128(0x5),
        attempt: 1,
        environment: None,
        reference: Reference::Branch { name: "main".to_owned() },
        ref_protected: true,
        commit: "0".repeat(40),
        trigger: TriggerKind::Push,
        actor: Some(entity(0x6, "ann")),
        runner: Uuid::from_u128(0x7),
    }
}

/// A step of a repository with names of the asker's choosing.
pub(crate) fn facts_of(repository: u128, branch: &str, environment: &str) -> IdentityFacts {
    IdentityFacts {
        repository: entity(repository, "one"),
        reference: Reference::Branch { name: branch.to_owned() },
        environment: Some(EnvironmentFacts {
            uuid: Uuid::from_u128(0x8),
            name: environment.to_owned(),
            kind: "production".to_owned(),
        }),
        ..facts()
    }
}

const ISSUER: &str = "https://git.example.org/2.0/workspaces/00000000-0000-0000-0000-000000000001/pipelines-config/identity/oidc";

fn terms() -> Terms<'static> {
    Terms {
        issuer: ISSUER,
        audiences: &[],
        subject: None,
        session_tags: false,
        issued: 1_800_000_000,
        lifetime: 7_200,
        id: Uuid::from_u128(0x9),
    }
}

fn claims(facts: &IdentityFacts, terms: &Terms<'_>) -> Value {
    serde_json::to_value(Claims::of(facts, terms).unwrap()).unwrap()
}

/// The claims that trust policies written for Bitbucket ask for, and ours.
#[test]
fn a_token_of_a_branch() {
    let braced = |n: u128| format!("{{{}}}", Uuid::from_u128(n));
    let id = |n: u128| Uuid::from_u128(n).to_string();
    let told = claims(&facts(), &terms());
    let expected = json!({
        "iss": ISSUER,
        "sub": format!("{}:{}", braced(3), braced(5)),
        "aud": format!("ari:cloud:bitbucket::workspace/{}", id(1)),
        "iat": 1_800_000_000, "nbf": 1_799_999_995, "exp": 1_800_003_600,
        "jti": id(9),
        "workspaceUuid": braced(1), "repositoryUuid": braced(3), "pipelineUuid": braced(4), "stepUuid": braced(5),
        "branchName": "main", "accountUuid": braced(6),
        "workspace": "acme", "workspace_id": id(1), "project": "CORE", "project_id": id(2),
        "repository": "acme/one", "repository_id": id(3),
        "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true", "sha": "0".repeat(40),
        "trigger": "push", "actor": "ann", "actor_id": id(6),
        "run_number": "17", "run_attempt": "1", "pipeline_id": id(4), "step_id": id(5),
        "runner_id": id(7), "runner_environment": "self-hosted",
    });
    assert_eq!(told, expected);
}

/// Would catch a claim that the issuer's configuration does not list.
#[test]
fn every_claim_is_listed() {
    let pull_request = Reference::PullRequest { id: 1, source: "a".to_owned(), destination: "b".to_owned() };
    let mut seen = Vec::new();
    for reference in [pull_request, Reference::Branch { name: "main".to_owned() }] {
        let facts = IdentityFacts { reference, ..facts_of(3, "main", "prod") };
        let told = claims(&facts, &Terms { session_tags: true, ..terms() });
        seen.extend(told.as_object().unwrap().keys().cloned());
    }
    assert!(seen.iter().all(|claim| CLAIMS.contains(&claim.as_str())));
    assert!(CLAIMS.iter().all(|claim| seen.iter().any(|seen| seen == claim)));
}

#[test]
fn a_deployment_is_in_the_subject_and_in_claims() {
    let told = claims(&facts_of(3, "main", "Production EU"), &terms());
    let braced = |n: u128| format!("{{{}}}", Uuid::from_u128(n));
    assert_eq!(told["sub"], format!("{}:{}:{}", braced(3), braced(8), braced(5)));
    assert_eq!(told["deploymentEnvironmentUuid"], braced(8));
    assert_eq!(
        (&told["environment"], &told["environment_type"]),
        (&json!("Production EU"), &json!("production"))
    );
}

/// Attack: a pull request from `main`, or from a protected branch, that passes for the branch itself.
#[test]
fn a_pull_request_passes_for_no_branch() {
    let reference =
        Reference::PullRequest { id: 4, source: "main".to_owned(), destination: "release".to_owned() };
    let told = claims(&IdentityFacts { reference, ..facts() }, &terms());
    assert!(told.get("branchName").is_none());
    assert_eq!((&told["ref"], &told["ref_type"]), (&json!("refs/pull-requests/4"), &json!("pull_request")));
    assert_eq!(
        (&told["head_ref"], &told["base_ref"]),
        (&json!("refs/heads/main"), &json!("refs/heads/release"))
    );
    assert_eq!(told["ref_protected"], "false");
    let tag = Reference::Tag { name: "main".to_owned() };
    let told = claims(&IdentityFacts { reference: tag, ..facts() }, &terms());
    assert!(told.get("branchName").is_none());
    assert_eq!((&told["ref"], &told["ref_type"]), (&json!("refs/tags/main"), &json!("tag")));
    let told = claims(&IdentityFacts { reference: Reference::Commit, actor: None, ..facts() }, &terms());
    for absent in ["ref", "ref_type", "branchName", "actor", "actor_id", "accountUuid"] {
        assert!(told.get(absent).is_none(), "{absent}");
    }
    assert_eq!(told["ref_protected"], "false");
}

#[test]
fn audiences_are_a_text_or_a_list_within_bounds() {
    let aud = |audiences: &[&str]| {
        let audiences: Vec<String> = audiences.iter().map(|&one| one.to_owned()).collect();
        Claims::of(&facts(), &Terms { audiences: &audiences, ..terms() })
            .map(|claims| serde_json::to_value(claims).unwrap()["aud"].clone())
    };
    assert_eq!(aud(&["sts.amazonaws.com"]).unwrap(), "sts.amazonaws.com");
    assert_eq!(aud(&["a", "b", "a"]).unwrap(), json!(["a", "b"]));
    assert_eq!(aud(&["a", "a"]).unwrap(), "a");
    assert_eq!(aud(&["a"; 11]).unwrap_err(), IdentityError::TooManyAudiences);
    for odd in ["", &"a".repeat(151), "a\nb"] {
        assert!(matches!(aud(&[odd]).unwrap_err(), IdentityError::Audience(_)));
    }
    assert!(aud(&[&"é".repeat(150)]).is_ok());
}

#[test]
fn no_token_lives_longer_than_an_hour() {
    assert_eq!([lifetime(0), lifetime(-5), lifetime(600), lifetime(i64::MAX)], [60, 60, 600, 3_600]);
    for lifetime in [i64::MIN, 0, 120, 7_200, i64::MAX] {
        let claims = Claims::of(&facts(), &Terms { lifetime, ..terms() }).unwrap();
        assert!((60..=3_600).contains(&(claims.exp - terms().issued)));
    }
}

#[test]
fn a_subject_that_verifiers_would_not_take_is_refused() {
    let template: SubjectTemplate = "{repository_uuid}:{branch}".parse().unwrap();
    let refused =
        Claims::of(&facts_of(3, &"a".repeat(250), "x"), &Terms { subject: Some(&template), ..terms() });
    assert!(matches!(refused, Err(IdentityError::LongSubject(_))));
}

#[test]
fn session_tags_are_there_only_when_asked_for() {
    assert!(claims(&facts(), &terms()).get("https://aws.amazon.com/tags").is_none());
    let told = claims(&facts_of(3, "fix#7", "prod"), &Terms { session_tags: true, ..terms() });
    let tags = &told["https://aws.amazon.com/tags"];
    assert_eq!(tags["principal_tags"]["environment"], json!(["prod"]));
    assert_eq!(tags["principal_tags"]["repository_id"], json!([Uuid::from_u128(3).to_string()]));
    // `#` is nothing that a tag can hold: it is left out rather than changed into another branch's name.
    assert!(tags["principal_tags"].get("ref").is_none());
    let keys: Vec<&String> = tags["principal_tags"].as_object().unwrap().keys().collect();
    assert_eq!(json!(keys), tags["transitive_tag_keys"]);
}

proptest! {
    /// Would catch a tag that Amazon refuses, which would refuse the whole token, or one that says what is not so.
    #[test]
    fn session_tags_fit_and_say_what_is_so(branch in "\\PC{0,300}", name in "\\PC{0,300}") {
        let facts = facts_of(3, &branch, &name);
        let told = claims(&facts, &Terms { session_tags: true, ..terms() });
        let tags = told["https://aws.amazon.com/tags"]["principal_tags"].as_object().unwrap();
        prop_assert!(tags.len() <= 50);
        for (key, value) in tags {
            let value = value[0].as_str().unwrap();
            prop_assert!(key.len() <= 128 && !value.is_empty() && value.len() <= 256);
            prop_assert!(value.chars().all(|c| c.is_ascii_alphanumeric() || " _.:/=+-@".contains(c)));
            prop_assert_eq!(&told[key], value);
        }
    }
}
