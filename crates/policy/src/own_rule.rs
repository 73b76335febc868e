//! A workspace's own rules: `forbid` policies that its administrators write, and that bind in that workspace alone.
//!
//! They are asked after the access model and can only take away. A rule is checked before it is taken: one policy, a
//! `forbid`, within the schema, unable to raise an error (Cedar would skip it), and about no entities but the
//! workspace's own. That they bind in one workspace alone is not left to their text: they are asked about nothing else.

use std::sync::atomic::{AtomicU64, Ordering};

use cedar_policy::{
    Authorizer, Effect, Entities, EntityUid, Policy, PolicyId, PolicySet, Request, ValidationMode, Validator,
};
use model::{Error, Resource, ResourceKind, Result};

use crate::access_model::{AccessModel, DEPTH, resource_kind};
use crate::decision::Reason;

/// The longest text of a rule, in bytes.
pub const LONGEST_RULE: usize = 4_096;
/// The most rules of one workspace.
pub const MOST_RULES: usize = 20;

/// How deep brackets may lie in brackets, and how many conditions a rule may choose by: what reads a rule, and what
/// answers by it, goes as deep as the rule does.
const DEEPEST: usize = 12;
/// How many operators a rule may have, each character counted.
const MOST_OPERATORS: usize = 300;

/// In front of a rule's name, where it stands among the ids of policies.
pub const OWN_RULE: &str = "own-rule-";

/// One rule that was found fit.
#[derive(Clone, Debug)]
pub struct CheckedRule {
    policy: Policy,
    says: String,
}

impl CheckedRule {
    /// The workspaces, projects, repositories and accounts that the rule names: they have to be the workspace's own.
    #[must_use]
    pub fn mentions(&self) -> Vec<Resource> {
        self.policy.entity_literals().iter().filter_map(resource).collect()
    }

    /// The rule as a policy with an id of its own.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
}

fn resource(uid: &EntityUid) -> Option<Resource> {
    let id = uid.id().unescaped().parse::<uuid::Uuid>().ok()?;
    let kind = match uid.type_name().to_string().as_str() {
        "User" => ResourceKind::User,
        name => resource_kind(name)?,
    };
    Some(Resource::from_parts(kind, id))
}

/// The rules of one workspace, ready to be asked.
#[derive(Clone, Debug)]
pub struct OwnRules {
    /// No other rules in this process have it.
    id: u64,
    policies: PolicySet,
    says: Vec<(String, String)>,
}

impl OwnRules {
    /// Those rules together.
    pub fn new(rules: impl IntoIterator<Item = CheckedRule>) -> Result<Self> {
        let (mut policies, mut says) = (PolicySet::new(), Vec::new());
        for rule in rules {
            says.push((rule.policy.id().to_string(), rule.says));
            policies.add(rule.policy).map_err(Error::internal)?;
        }
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Ok(Self { id: NEXT.fetch_add(1, Ordering::Relaxed), policies, says })
    }

    /// What tells these rules from all others in this process.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Why they refuse; empty where they do not. An error is a refusal.
    pub(crate) fn refusals(
        &self,
        authorizer: &Authorizer,
        request: &Request,
        entities: &Entities,
    ) -> Vec<Reason> {
        let response = authorizer.is_authorized(request, &self.policies, entities);
        if let Some(error) = response.diagnostics().errors().next() {
            let text = format!("A rule of the workspace's own could not be decided: {error}");
            return vec![Reason { policy: Reason::UNDECIDED.to_owned(), text }];
        }
        let says = |id: &str| self.says.iter().find(|(known, _)| known == id).map(|(_, says)| says.clone());
        response
            .diagnostics()
            .reason()
            .map(|id| Reason { policy: id.to_string(), text: says(id.as_ref()).unwrap_or_default() })
            .collect()
    }
}

impl AccessModel {
    /// Reads a rule and checks it. `name` is what refusals call it, `description` what they say.
    pub fn own_rule(&self, name: &str, description: &str, text: &str) -> Result<CheckedRule> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            return Err(odd(name, "name it with at most 64 lower-case letters, digits and `-`"));
        }
        if text.len() > LONGEST_RULE {
            return Err(odd(name, &format!("a rule has at most {LONGEST_RULE} bytes: write two")));
        }
        is_flat(text).map_err(|why| odd(name, why))?;
        let set: PolicySet = text.parse().map_err(|error| odd(name, &format!("not a policy: {error}")))?;
        let (policies, templates) = (set.policies().count(), set.templates().count());
        let (Some(policy), 1, 0) = (set.policies().next(), policies, templates) else {
            return Err(odd(name, "write one `forbid` policy, without `?principal` and `?resource`"));
        };
        if policy.effect() != Effect::Forbid {
            return Err(odd(
                name,
                "a rule of one's own can only `forbid`: permissions are granted, not written",
            ));
        }
        let policy = policy.new_id(PolicyId::new([OWN_RULE, name].concat()));
        self.is_valid(&policy).map_err(|why| odd(name, &why))?;
        let says = match description.trim() {
            "" => format!("A rule of the workspace's own, `{name}`, refuses it."),
            text => text.to_owned(),
        };
        Ok(CheckedRule { policy, says })
    }

    fn is_valid(&self, policy: &Policy) -> Result<(), String> {
        let json = policy.to_json().map_err(|error| error.to_string())?;
        if calculates(&json) {
            return Err(
                "leave out arithmetic: a number that grows too large would switch the rule off".to_owned()
            );
        }
        for uid in policy.entity_literals() {
            let kind = uid.type_name().to_string();
            match kind.as_str() {
                // Which of these somebody is in is known as far as it matters to permissions alone, so a rule that
                // names one would not do what it says.
                "Group" | "Role" => {
                    return Err(format!(
                        "do not name a `{kind}`: use `principal in resource.writers` and the like"
                    ));
                }
                "Action" => {}
                "Workspace" | "Project" | "Repository" | "User" | "Account" if resource(&uid).is_none() => {
                    return Err(format!("`{uid}` is no id: write the id's 32 hexadecimal digits"));
                }
                _ => {}
            }
        }
        let set = PolicySet::from_policies([policy.clone()]).map_err(|error| error.to_string())?;
        let checked =
            Validator::new(self.schema().clone()).validate_with_level(&set, ValidationMode::Strict, DEPTH);
        match checked.validation_passed_without_warnings() {
            true => Ok(()),
            false => Err(checked.to_string()),
        }
    }
}

fn odd(name: &str, why: &str) -> Error {
    Error::invalid_field("own_rules", format!("`{name}`: {why}"))
}

/// Whether a text is flat enough to be read at all, what stands in strings and comments aside.
fn is_flat(text: &str) -> Result<(), &'static str> {
    let (mut depth, mut operators, mut choices) = (0_usize, 0_usize, 0_usize);
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skip = match next {
            '"' => string(rest),
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            'a'..='z' | 'A'..='Z' | '_' | '0'..='9' => {
                let word = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                choices += usize::from(rest.get(..word) == Some("if"));
                word
            }
            _ => next.len_utf8(),
        };
        match next {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '!' | '-' | '+' | '*' | '&' | '|' | '=' | '<' | '>' | '.' => operators += 1,
            _ => {}
        }
        if depth > DEEPEST || choices > DEEPEST || operators > MOST_OPERATORS {
            return Err("too deep or too long a condition: write several rules");
        }
        rest = rest.get(skip..).unwrap_or_default();
    }
    Ok(())
}

/// The length of the string that a text begins with.
fn string(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

/// Whether a policy adds, subtracts or multiplies, which may overflow.
fn calculates(json: &serde_json::Value) -> bool {
    match json {
        serde_json::Value::Object(map) => map.iter().any(|(key, value)| {
            matches!(key.as_str(), "+" | "-" | "*" | "neg") && value.is_object() || calculates(value)
        }),
        serde_json::Value::Array(items) => items.iter().any(calculates),
        _ => false,
    }
}
