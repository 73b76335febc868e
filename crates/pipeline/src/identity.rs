//! What the identity token of a step says: Bitbucket's claims, and Bastide's beside them.
//!
//! Whoever calls this has decided already that the facts are so. What is not here: keys and signatures, who may have a
//! token, and what is kept of one.

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;

use serde::Serialize;
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
pub(crate) fn is_tag(value: &str) -> bool {
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
