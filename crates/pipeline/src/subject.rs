//! The subject of identity tokens: Bitbucket's form, or a template of a workspace or a repository.
//!
//! What trusts a token decides by its subject, often by a pattern with `*`. So no template may let one repository's
//! subject look like another's: the first value in it is the repository's UUID, which nobody chooses, and nothing before
//! it can hold a brace. Values stand between colons, one each, and what they say cannot hold a colon or a brace, so that
//! none reaches into the place of another.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use uuid::Uuid;

use crate::environment::Reference;
use crate::identity::IdentityFacts;

/// The longest template, in bytes.
pub const LONGEST_TEMPLATE: usize = 250;
/// The most parts of a template.
pub const MOST_PARTS: usize = 12;
/// The longest subject, in bytes: what OpenID Connect allows.
pub const LONGEST_SUBJECT: usize = 255;

macro_rules! placeholders {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What stands in a template for a value.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Placeholder { $($(#[$doc])* $name,)* }

        impl Placeholder {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// As it is written between braces.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

placeholders! {
    /// The repository's UUID. Every template begins its values with it.
    RepositoryUuid = "repository_uuid";
    /// The workspace's UUID.
    WorkspaceUuid = "workspace_uuid";
    /// The project's UUID.
    ProjectUuid = "project_uuid";
    /// The run's UUID.
    PipelineUuid = "pipeline_uuid";
    /// The step's UUID: another in each run.
    StepUuid = "step_uuid";
    /// The UUID of the environment that the step deploys to.
    EnvironmentUuid = "environment_uuid";
    /// The UUID of who started the run.
    ActorUuid = "actor_uuid";
    /// The runner's UUID.
    RunnerUuid = "runner_uuid";
    /// `acme/one`.
    Repository = "repository";
    /// The workspace's slug.
    Workspace = "workspace";
    /// The project's key.
    Project = "project";
    /// The environment's name.
    Environment = "environment";
    /// `test`, `staging` or `production`.
    EnvironmentType = "environment_type";
    /// The whole ref: `refs/heads/main`.
    Ref = "ref";
    /// `branch`, `tag`, `pull_request`; nothing for a commit alone.
    RefType = "ref_type";
    /// Whether the branch or tag is protected: `true` or `false`.
    RefProtected = "ref_protected";
    /// The branch, of runs for a branch.
    Branch = "branch";
    /// The tag, of runs for a tag.
    Tag = "tag";
    /// The number of the pull request, of runs for one.
    PullRequestId = "pull_request_id";
    /// `push`, `pull_request`, `manual` or `schedule`.
    Trigger = "trigger";
    /// The commit's full id.
    Sha = "sha";
    /// The build number.
    RunNumber = "run_number";
    /// Where runners stand: `self-hosted`.
    RunnerEnvironment = "runner_environment";
}

/// What a value of a template is.
enum Value {
    Uuid(Uuid),
    Text(String),
    Nothing,
}

impl Placeholder {
    fn value(self, facts: &IdentityFacts) -> Value {
        let text = |text: &str| Value::Text(text.to_owned());
        let uuid = |uuid: Option<Uuid>| uuid.map_or(Value::Nothing, Value::Uuid);
        let environment = facts.environment.as_ref();
        let perhaps = |text: Option<String>| text.map_or(Value::Nothing, Value::Text);
        match self {
            Self::RepositoryUuid => Value::Uuid(facts.repository.uuid),
            Self::WorkspaceUuid => Value::Uuid(facts.workspace.uuid),
            Self::ProjectUuid => Value::Uuid(facts.project.uuid),
            Self::PipelineUuid => Value::Uuid(facts.pipeline),
            Self::StepUuid => Value::Uuid(facts.step),
            Self::EnvironmentUuid => uuid(environment.map(|one| one.uuid)),
            Self::ActorUuid => uuid(facts.actor.as_ref().map(|actor| actor.uuid)),
            Self::RunnerUuid => uuid(Some(facts.runner)),
            Self::Repository => Value::Text(facts.full_name()),
            Self::Workspace => text(&facts.workspace.name),
            Self::Project => text(&facts.project.name),
            Self::Environment => perhaps(environment.map(|one| one.name.clone())),
            Self::EnvironmentType => perhaps(environment.map(|one| one.kind.clone())),
            Self::Ref => perhaps(facts.git_ref()),
            Self::RefType => perhaps(facts.ref_type().map(str::to_owned)),
            Self::RefProtected => text(if facts.is_ref_protected() { "true" } else { "false" }),
            Self::Branch => perhaps(facts.branch().map(str::to_owned)),
            Self::Tag => match &facts.reference {
                Reference::Tag { name } => text(name),
                _ => Value::Nothing,
            },
            Self::PullRequestId => match &facts.reference {
                Reference::PullRequest { id, .. } => Value::Text(id.to_string()),
                _ => Value::Nothing,
            },
            Self::Trigger => text(facts.trigger.as_str()),
            Self::Sha => text(&facts.commit),
            Self::RunNumber => Value::Text(facts.build_number.to_string()),
            Self::RunnerEnvironment => text(crate::identity::RUNNER_ENVIRONMENT),
        }
    }

    /// Whether every token of a repository has the same here, until something is renamed or moved.
    fn is_of_repository(self) -> bool {
        matches!(
            self,
            Self::RepositoryUuid
                | Self::WorkspaceUuid
                | Self::ProjectUuid
                | Self::Repository
                | Self::Workspace
                | Self::Project
                | Self::RunnerEnvironment
        )
    }
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// Longer than a template may be.
    #[error(
        "a subject template has at most {LONGEST_TEMPLATE} characters and {MOST_PARTS} parts between colons"
    )]
    TooLong,
    /// Two colons with nothing between.
    #[error("a part of the subject template is empty: write one placeholder or a word between two colons")]
    EmptyPart,
    /// A name between braces that is none.
    #[error("`{{{0}}}` is no placeholder: use {known}", known = known())]
    Unknown(String),
    /// Something that is neither a placeholder nor a word.
    #[error(
        "`{0}` is neither one placeholder, as `{{ref}}`, nor a word of letters, digits and any of `. _ / = @ + -`: put \
         each placeholder between colons of its own"
    )]
    Mixed(String),
    /// Another value stands first, or none at all.
    #[error(
        "the first placeholder of a subject template is `{{repository_uuid}}`: without it, other repositories could get \
         the same subject"
    )]
    NotOfRepository,
}

fn known() -> String {
    let names: Vec<String> = Placeholder::ALL.iter().map(|one| format!("`{{{}}}`", one.as_str())).collect();
    names.join(", ")
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Word(String),
    Value(Placeholder),
}

/// What a subject is made of: parts between colons, each a word or one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectTemplate(Vec<Part>);

impl FromStr for SubjectTemplate {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        if text.len() > LONGEST_TEMPLATE || text.split(':').count() > MOST_PARTS {
            return Err(TemplateError::TooLong);
        }
        let parts = text.split(':').map(part).collect::<Result<Vec<_>, _>>()?;
        let first = parts.iter().find_map(|part| match part {
            Part::Value(placeholder) => Some(*placeholder),
            Part::Word(_) => None,
        });
        match first {
            Some(Placeholder::RepositoryUuid) => Ok(Self(parts)),
            _ => Err(TemplateError::NotOfRepository),
        }
    }
}

fn part(text: &str) -> Result<Part, TemplateError> {
    if text.is_empty() {
        return Err(TemplateError::EmptyPart);
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/=@+-".contains(c);
    if text.chars().all(plain) {
        return Ok(Part::Word(text.to_owned()));
    }
    let mixed = || TemplateError::Mixed(text.to_owned());
    let name = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or_else(mixed)?;
    if !name.chars().all(|c| plain(c) || c == ' ') {
        return Err(mixed());
    }
    let found = Placeholder::ALL.iter().find(|one| one.as_str() == name);
    found.map(|one| Part::Value(*one)).ok_or_else(|| TemplateError::Unknown(name.to_owned()))
}

impl fmt::Display for SubjectTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { ":" })?;
            match part {
                Part::Word(word) => f.write_str(word)?,
                Part::Value(placeholder) => write!(f, "{{{}}}", placeholder.as_str())?,
            }
        }
        Ok(())
    }
}

impl SubjectTemplate {
    /// The subject of a step's token. A value that the step has not is an empty part, so that each keeps its place.
    #[must_use]
    pub fn subject(&self, facts: &IdentityFacts) -> String {
        self.each(|placeholder| written(placeholder, facts))
    }

    /// A pattern that holds for every subject of the repository: what varies is `*`.
    #[must_use]
    pub fn pattern(&self, facts: &IdentityFacts) -> String {
        let pattern = self.each(|placeholder| match placeholder.is_of_repository() {
            true => written(placeholder, facts),
            false => "*".to_owned(),
        });
        let shorter = pattern.trim_end_matches(":*");
        if shorter.len() < pattern.len() { format!("{shorter}:*") } else { pattern }
    }

    /// Whether two steps may have the same subject, so that it can be named in advance.
    #[must_use]
    pub fn is_stable(&self) -> bool {
        use Placeholder::{PipelineUuid, RunNumber, RunnerUuid, Sha, StepUuid};
        let passing = [PipelineUuid, RunNumber, RunnerUuid, Sha, StepUuid];
        !self.0.iter().any(|part| matches!(part, Part::Value(one) if passing.contains(one)))
    }

    fn each(&self, value: impl Fn(Placeholder) -> String) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Word(word) => word.clone(),
            Part::Value(placeholder) => value(*placeholder),
        });
        parts.collect::<Vec<_>>().join(":")
    }
}

/// Bitbucket's subject: the repository, the environment where the step deploys, the step; each a UUID in braces.
#[must_use]
pub fn default_subject(facts: &IdentityFacts) -> String {
    let (repository, step) = (braced(facts.repository.uuid), braced(facts.step));
    match &facts.environment {
        Some(environment) => format!("{repository}:{}:{step}", braced(environment.uuid)),
        None => format!("{repository}:{step}"),
    }
}

/// The pattern that holds for each of them.
#[must_use]
pub fn default_pattern(facts: &IdentityFacts) -> String {
    format!("{}:*", braced(facts.repository.uuid))
}

fn written(placeholder: Placeholder, facts: &IdentityFacts) -> String {
    match placeholder.value(facts) {
        Value::Uuid(uuid) => braced(uuid),
        Value::Text(text) => escaped(&text),
        Value::Nothing => String::new(),
    }
}

/// Percent-encodes what could end a value or open a UUID, and what a subject may not hold: it is ASCII.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b':' | b'{' | b'}' | b'%' | b'*' | b'?' => out.push_str(&format!("%{byte:02X}")),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// A UUID as Bitbucket writes it: `{922e118c-f34f-4226-a897-0e0afbec553d}`.
pub(crate) fn braced(uuid: Uuid) -> String {
    uuid.as_braced().to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::identity::tests::{facts, facts_of};

    fn template(text: &str) -> Result<SubjectTemplate, TemplateError> {
        text.parse()
    }

    #[test]
    fn templates_are_read_and_written_back() {
        for text in [
            "{repository_uuid}",
            "repo:{repository_uuid}:ref:{ref}",
            "{repository_uuid}:{environment_uuid}",
            "v1/bastide:{repository_uuid}:{ref_type}:{branch}:{ref_protected}",
        ] {
            assert_eq!(template(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_could_be_mistaken_is_refused_and_says_why() {
        let refused = |text: &str| template(text).unwrap_err();
        for text in ["", ":", "{repository_uuid}:", "a::{repository_uuid}"] {
            assert_eq!(refused(text), TemplateError::EmptyPart, "{text}");
        }
        for text in ["{ref}:{repository_uuid}", "{workspace_uuid}:{ref}", "repo", "{branch}"] {
            assert_eq!(refused(text), TemplateError::NotOfRepository, "{text}");
        }
        for text in [
            "{repository_uuid}{ref}",
            "{repository_uuid}:x{ref}",
            "{repository_uuid}:a*",
            "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd",
            "ä:{repository_uuid}",
            "{}}:{repository_uuid}",
        ] {
            assert!(matches!(refused(text), TemplateError::Mixed(_)), "{text}");
        }
        let error = refused("{repository_uuid}:{refs}").to_string();
        assert!(error.starts_with("`{refs}` is no placeholder: use `{repository_uuid}`, "), "{error}");
        assert!(error.ends_with("`{runner_environment}`"), "{error}");
        assert_eq!(refused(&format!("{{repository_uuid}}:{}", "a".repeat(250))), TemplateError::TooLong);
        assert_eq!(refused(&"{repository_uuid}:".repeat(13)), TemplateError::TooLong);
    }

    #[test]
    fn subjects_and_patterns() {
        let mut facts = facts();
        let repository = braced(facts.repository.uuid);
        assert_eq!(default_subject(&facts), format!("{repository}:{}", braced(facts.step)));
        let subject = |text: &str, facts: &IdentityFacts| template(text).unwrap().subject(facts);
        let with = "repo:{repository_uuid}:{ref}:{environment}";
        assert_eq!(subject(with, &facts), format!("repo:{repository}:refs/heads/main:"));
        facts.reference = Reference::Branch { name: "a:b{c}%é".to_owned() };
        assert_eq!(
            subject("{repository_uuid}:{branch}", &facts),
            format!("{repository}:a%3Ab%7Bc%7D%25%C3%A9")
        );
        let pattern = |text: &str| template(text).unwrap().pattern(&facts);
        assert_eq!(pattern(with), format!("repo:{repository}:*"));
        assert_eq!(
            pattern("{repository_uuid}:{branch}:{project}"),
            format!("{repository}:*:{}", facts.project.name)
        );
        assert!(template(with).unwrap().is_stable());
        assert!(!template("{repository_uuid}:{step_uuid}").unwrap().is_stable());
    }

    fn any_template() -> impl Strategy<Value = SubjectTemplate> {
        let value = prop::sample::select(Placeholder::ALL).prop_map(|one| format!("{{{}}}", one.as_str()));
        let part = prop_oneof![value, "[a-z0-9._/=@+-]{1,6}"];
        (prop::collection::vec("[a-z0-9._/=@+-]{1,6}", 0..3), prop::collection::vec(part, 0..6)).prop_map(
            |(mut parts, rest)| {
                parts.push("{repository_uuid}".to_owned());
                parts.extend(rest);
                parts.join(":").parse().unwrap()
            },
        )
    }

    /// The first group in braces: what a pattern for one repository pins down.
    fn first_braced(subject: &str) -> Option<&str> {
        let (_, rest) = subject.split_once('{')?;
        Some(rest.split_once('}')?.0)
    }

    proptest! {
        /// Attack: a template, or a branch's or environment's name, by which one repository gets what another is trusted with.
        #[test]
        fn two_repositories_share_no_subject(
            one in any_template(), other in any_template(), mine: u128, theirs: u128,
            branch in "\\PC{0,20}", name in "\\PC{0,20}",
        ) {
            prop_assume!(mine != theirs);
            let mine = facts_of(mine, &branch, &name);
            // The attacker's names may hold the other's UUID, braces and all.
            let theirs = facts_of(theirs, &format!("{}:{branch}", braced(mine.repository.uuid)), &name);
            for subject in [one.subject(&theirs), other.subject(&theirs), default_subject(&theirs)] {
                let own = theirs.repository.uuid.to_string();
                prop_assert_eq!(first_braced(&subject), Some(own.as_str()));
                for trusted in [one.subject(&mine), other.subject(&mine), default_subject(&mine)] {
                    prop_assert_ne!(&subject, &trusted);
                }
            }
        }

        /// Attack: a name that ends its own place and fills the next.
        #[test]
        fn values_stay_in_their_places(template in any_template(), branch in "\\PC{0,20}", name in "\\PC{0,20}") {
            let facts = facts_of(7, &branch, &name);
            let subject = template.subject(&facts);
            prop_assert!(subject.is_ascii() && !subject.chars().any(char::is_control));
            let places: Vec<&str> = subject.split(':').collect();
            prop_assert_eq!(places.len(), template.0.len());
            for (place, part) in places.iter().zip(&template.0) {
                match part {
                    Part::Word(word) => prop_assert_eq!(place, word),
                    Part::Value(placeholder) => prop_assert_eq!(*place, written(*placeholder, &facts)),
                }
            }
        }

        /// Would catch two names that become one.
        #[test]
        fn different_names_stay_different(one in "\\PC{0,8}", other in "\\PC{0,8}") {
            prop_assert_eq!(escaped(&one) == escaped(&other), one == other);
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,40}") {
            if let Ok(template) = text.parse::<SubjectTemplate>() {
                prop_assert_eq!(template.to_string(), text);
            }
        }
    }
}
