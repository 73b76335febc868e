//! What the identity token of a step says: Bitbucket's claims, and Bastide's beside them.
//!
//! Whoever calls this has decided already that the facts are so. What is not here: keys and signatures, who may have a
//! token, and what is kept of one.

use serde::Serialize;
use std::collections::BTreeMap;
use thiserror::Error;
use uuid::Uuid;

use crate::bounds;
use crate::environment::Reference;
use crate::subject::{LONGEST_SUBJECT, SubjectTemplate, braced, default_subject};

/// The longest that a token lives, in seconds.
pub const LONGEST_LIFE: i64 = 3_600;
/// The shortest: clocks differ, and a token has to be exchanged first.
pub const SHORTEST_LIFE: i64 = 60;
/// How much earlier than it was made a token holds, in seconds: verifiers' clocks may be behind.
const EARLIER: i64 = 5;
/// Where runners stand, as tokens tell it: Bastide hosts none.
pub const RUNNER_ENVIRONMENT: &str = "self-hosted";

/// Something with an id that stays and a name that may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// Its UUID.
    pub uuid: Uuid,
    /// Its name: a slug, a key, a username.
    pub name: String,
}

/// A deployment environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentFacts {
    /// Its UUID.
    pub uuid: Uuid,
    /// Its name, as the repository's settings have it.
    pub name: String,
    /// `test`, `staging` or `production`.
    pub kind: String,
}

/// What started a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriggerKind {
    /// A branch or tag was pushed.
    Push,
    /// A pull request was made, or its source was pushed.
    PullRequest,
    /// Somebody started it.
    Manual,
    /// It was time.
    Schedule,
}

impl TriggerKind {
    /// As tokens tell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::PullRequest => "pull_request",
            Self::Manual => "manual",
            Self::Schedule => "schedule",
        }
    }
}

/// What is known of a step that asks for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFacts {
    /// The workspace, by its slug.
    pub workspace: Entity,
    /// The project, by its key.
    pub project: Entity,
    /// The repository, by its slug.
    pub repository: Entity,
    /// The run's UUID.
    pub pipeline: Uuid,
    /// The run's build number.
    pub build_number: u64,
    /// The step's UUID.
    pub step: Uuid,
    /// How often the step has been run, this time included.
    pub attempt: u32,
    /// The environment that the step deploys to.
    pub environment: Option<EnvironmentFacts>,
    /// What the run is for.
    pub reference: Reference,
    /// Whether the branch or tag is protected. Means nothing for pull requests and commits alone, which never are.
    pub ref_protected: bool,
    /// The commit's full id.
    pub commit: String,
    /// What started the run.
    pub trigger: TriggerKind,
    /// Who started it, by username; nobody, where it was time.
    pub actor: Option<Entity>,
    /// The runner's UUID.
    pub runner: Uuid,
}

impl IdentityFacts {
    /// `acme/one`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.workspace.name, self.repository.name)
    }

    /// The branch, of runs for a branch. A pull request's source is none: what runs there is not what the branch holds.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        match &self.reference {
            Reference::Branch { name } => Some(name),
            _ => None,
        }
    }

    /// The whole ref. That of a pull request is no branch's, so that whoever trusts a branch trusts no pull request.
    #[must_use]
    pub fn git_ref(&self) -> Option<String> {
        match &self.reference {
            Reference::Branch { name } => Some(format!("refs/heads/{name}")),
            Reference::Tag { name } => Some(format!("refs/tags/{name}")),
            Reference::PullRequest { id, .. } => Some(format!("refs/pull-requests/{id}")),
            Reference::Commit => None,
        }
    }

    /// What kind of ref it is.
    #[must_use]
    pub fn ref_type(&self) -> Option<&'static str> {
        match &self.reference {
            Reference::Branch { .. } => Some("branch"),
            Reference::Tag { .. } => Some("tag"),
            Reference::PullRequest { .. } => Some("pull_request"),
            Reference::Commit => None,
        }
    }

    /// Whether the run is for a protected branch or tag.
    #[must_use]
    pub fn is_ref_protected(&self) -> bool {
        self.ref_protected && matches!(self.reference, Reference::Branch { .. } | Reference::Tag { .. })
    }
}

/// Why a token cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// More audiences than a token may have.
    #[error("a token has at most {} audiences", bounds::AUDIENCES)]
    TooManyAudiences,
    /// An audience that is none.
    #[error(
        "an audience has 1 to {} characters and no control characters; found `{}`",
        bounds::AUDIENCE,
        .0.escape_debug()
    )]
    Audience(String),
    /// A subject that verifiers would not take.
    #[error(
        "the subject `{0}` is longer than {LONGEST_SUBJECT} characters: leave long values, such as the ref, out of the \
         subject template"
    )]
    LongSubject(String),
}

/// How a token is made.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The issuer.
    pub issuer: &'a str,
    /// For whom; for the workspace's default audience where there are none.
    pub audiences: &'a [String],
    /// The template in force; Bitbucket's subject where there is none.
    pub subject: Option<&'a SubjectTemplate>,
    /// Whether it holds session tags for Amazon.
    pub session_tags: bool,
    /// When, in seconds since 1970.
    pub issued: i64,
    /// How long it is to live, in seconds; never longer than [`LONGEST_LIFE`].
    pub lifetime: i64,
    /// The token's own id.
    pub id: Uuid,
}

/// For how long a token of a step lives that may take `max_time` seconds.
#[must_use]
pub fn lifetime(max_time: i64) -> i64 {
    max_time.clamp(SHORTEST_LIFE, LONGEST_LIFE)
}

/// The audience of tokens that name none.
#[must_use]
pub fn default_audience(workspace: Uuid) -> String {
    format!("ari:cloud:bitbucket::workspace/{workspace}")
}

/// One text when there is one, else a list, as Bitbucket does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// What a token says. Numbers and truths of ours are texts, which every verifier can compare.
#[derive(Clone, Debug, Serialize)]
pub struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    iat: i64,
    nbf: i64,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
    jti: String,

    #[serde(rename = "workspaceUuid")]
    workspace_braced: String,
    #[serde(rename = "repositoryUuid")]
    repository_braced: String,
    #[serde(rename = "pipelineUuid")]
    pipeline_braced: String,
    #[serde(rename = "stepUuid")]
    step_braced: String,
    #[serde(rename = "branchName", skip_serializing_if = "Option::is_none")]
    branch_name: Option<String>,
    #[serde(rename = "deploymentEnvironmentUuid", skip_serializing_if = "Option::is_none")]
    environment_braced: Option<String>,
    #[serde(rename = "accountUuid", skip_serializing_if = "Option::is_none")]
    account_braced: Option<String>,

    workspace: String,
    workspace_id: String,
    project: String,
    project_id: String,
    repository: String,
    repository_id: String,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    git_ref: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ref_type: Option<&'static str>,
    ref_protected: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull_request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head_ref: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_ref: Option<String>,
    sha: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment_type: Option<String>,
    trigger: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor_id: Option<String>,
    run_number: String,
    run_attempt: String,
    pipeline_id: String,
    step_id: String,
    runner_id: String,
    runner_environment: &'static str,

    #[serde(rename = "https://aws.amazon.com/tags", skip_serializing_if = "Option::is_none")]
    session_tags: Option<SessionTags>,
}

/// The names of the claims that tokens may have.
pub const CLAIMS: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "iat",
    "nbf",
    "exp",
    "jti",
    "workspaceUuid",
    "repositoryUuid",
    "pipelineUuid",
    "stepUuid",
    "branchName",
    "deploymentEnvironmentUuid",
    "accountUuid",
    "workspace",
    "workspace_id",
    "project",
    "project_id",
    "repository",
    "repository_id",
    "ref",
    "ref_type",
    "ref_protected",
    "pull_request_id",
    "head_ref",
    "base_ref",
    "sha",
    "environment",
    "environment_id",
    "environment_type",
    "trigger",
    "actor",
    "actor_id",
    "run_number",
    "run_attempt",
    "pipeline_id",
    "step_id",
    "runner_id",
    "runner_environment",
    "https://aws.amazon.com/tags",
];

/// What Amazon makes session tags of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct SessionTags {
    principal_tags: BTreeMap<&'static str, [String; 1]>,
    transitive_tag_keys: Vec<&'static str>,
}

/// The longest value of a session tag, in characters.
const LONGEST_TAG: usize = 256;

/// Whether Amazon takes a text as the value of a session tag. It takes letters of other alphabets too; a tag that is left
/// out matches nothing, one that was changed to fit could match what it should not.
fn is_tag(value: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b" _.:/=+-@".contains(&b);
    !value.is_empty() && value.len() <= LONGEST_TAG && value.bytes().all(plain)
}

impl Claims {
    /// The claims of a step's token.
    pub fn of(facts: &IdentityFacts, terms: &Terms<'_>) -> Result<Self, IdentityError> {
        let sub = terms.subject.map_or_else(|| default_subject(facts), |template| template.subject(facts));
        if sub.len() > LONGEST_SUBJECT {
            return Err(IdentityError::LongSubject(sub));
        }
        let environment = facts.environment.as_ref();
        let actor = facts.actor.as_ref();
        let (pull_request, head, base) = match &facts.reference {
            Reference::PullRequest { id, source, destination } => {
                (Some(id.to_string()), Some(source.clone()), Some(destination.clone()))
            }
            _ => (None, None, None),
        };
        let branch = |name: String| format!("refs/heads/{name}");
        let mut claims = Self {
            iss: terms.issuer.to_owned(),
            sub,
            aud: audience(facts, terms.audiences)?,
            iat: terms.issued,
            nbf: terms.issued.saturating_sub(EARLIER),
            exp: terms.issued.saturating_add(lifetime(terms.lifetime)),
            jti: terms.id.to_string(),
            workspace_braced: braced(facts.workspace.uuid),
            repository_braced: braced(facts.repository.uuid),
            pipeline_braced: braced(facts.pipeline),
            step_braced: braced(facts.step),
            branch_name: facts.branch().map(str::to_owned),
            environment_braced: environment.map(|one| braced(one.uuid)),
            account_braced: actor.map(|actor| braced(actor.uuid)),
            workspace: facts.workspace.name.clone(),
            workspace_id: facts.workspace.uuid.to_string(),
            project: facts.project.name.clone(),
            project_id: facts.project.uuid.to_string(),
            repository: facts.full_name(),
            repository_id: facts.repository.uuid.to_string(),
            git_ref: facts.git_ref(),
            ref_type: facts.ref_type(),
            ref_protected: if facts.is_ref_protected() { "true" } else { "false" },
            pull_request_id: pull_request,
            head_ref: head.map(branch),
            base_ref: base.map(branch),
            sha: facts.commit.clone(),
            environment: environment.map(|one| one.name.clone()),
            environment_id: environment.map(|one| one.uuid.to_string()),
            environment_type: environment.map(|one| one.kind.clone()),
            trigger: facts.trigger.as_str(),
            actor: actor.map(|actor| actor.name.clone()),
            actor_id: actor.map(|actor| actor.uuid.to_string()),
            run_number: facts.build_number.to_string(),
            run_attempt: facts.attempt.to_string(),
            pipeline_id: facts.pipeline.to_string(),
            step_id: facts.step.to_string(),
            runner_id: facts.runner.to_string(),
            runner_environment: RUNNER_ENVIRONMENT,
            session_tags: None,
        };
        claims.session_tags = terms.session_tags.then(|| claims.tags());
        Ok(claims)
    }

    /// For whom the token is, who it is about, and when it ends: what a record of it tells.
    #[must_use]
    pub fn told(&self) -> (Vec<&str>, &str, &str) {
        let audiences = match &self.aud {
            Audience::One(one) => vec![one.as_str()],
            Audience::Several(several) => several.iter().map(String::as_str).collect(),
        };
        (audiences, &self.sub, &self.jti)
    }

    fn tags(&self) -> SessionTags {
        let mut tags = BTreeMap::new();
        let mut put = |key, value: Option<&str>| {
            if let Some(value) = value.filter(|value| is_tag(value)) {
                tags.insert(key, [value.to_owned()]);
            }
        };
        put("workspace", Some(&self.workspace));
        put("workspace_id", Some(&self.workspace_id));
        put("project", Some(&self.project));
        put("project_id", Some(&self.project_id));
        put("repository", Some(&self.repository));
        put("repository_id", Some(&self.repository_id));
        put("ref", self.git_ref.as_deref());
        put("ref_type", self.ref_type);
        put("ref_protected", Some(self.ref_protected));
        put("environment", self.environment.as_deref());
        put("environment_id", self.environment_id.as_deref());
        put("environment_type", self.environment_type.as_deref());
        put("trigger", Some(self.trigger));
        put("actor_id", self.actor_id.as_deref());
        let transitive_tag_keys = tags.keys().copied().collect();
        SessionTags { principal_tags: tags, transitive_tag_keys }
    }
}

fn audience(facts: &IdentityFacts, audiences: &[String]) -> Result<Audience, IdentityError> {
    if audiences.len() > bounds::AUDIENCES {
        return Err(IdentityError::TooManyAudiences);
    }
    let mut several: Vec<String> = Vec::new();
    for audience in audiences {
        let fits = (1..=bounds::AUDIENCE).contains(&audience.chars().count());
        if !fits || audience.chars().any(char::is_control) {
            return Err(IdentityError::Audience(audience.clone()));
        }
        if !several.contains(audience) {
            several.push(audience.clone());
        }
    }
    Ok(match several.len() {
        0 => Audience::One(default_audience(facts.workspace.uuid)),
        1 => several.pop().map_or(Audience::Several(Vec::new()), Audience::One),
        _ => Audience::Several(several),
    })
}

#[cfg(test)]
pub(crate) mod tests {
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
        let pull_request =
            Reference::PullRequest { id: 1, source: "a".to_owned(), destination: "b".to_owned() };
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
        assert_eq!(
            (&told["ref"], &told["ref_type"]),
            (&json!("refs/pull-requests/4"), &json!("pull_request"))
        );
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
}
