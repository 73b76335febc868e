//! A counterexample in words: one question that shows a claim to be false.

use std::fmt;

use cedar_policy::{Authorizer, Decision, Entities, EntityUid, EvalResult, PolicySet};
use cedar_policy_symcc::Env;
use model::{Error, Result};

use crate::rules::{Kind, Rules};

/// One question, as the solver made it up, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample(String);

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Counterexample {
    /// For a claim that is about the policies themselves.
    pub(crate) fn about(text: String) -> Self {
        Self(text)
    }

    /// The question that the solver found.
    pub(crate) fn new(kind: &Kind, found: &Env) -> Self {
        let who = words(found.request.principal(), found.request.resource(), &found.entities);
        let what = words(found.request.resource(), None, &found.entities);
        let roles = roles(found);
        let text = format!(
            "{}{who} asks `{}` of {}{what}{roles}, {}",
            kind.principal.as_str(),
            kind.action,
            kind.resource.as_str(),
            scopes(found),
        );
        Self(text)
    }
}

/// Whether Cedar itself, asked the question that the solver made up, decides as the solver says. If it does not, the
/// proofs are worth nothing.
pub(crate) fn confirm(rules: &Rules, policies: &PolicySet, found: &Env, expected: Decision) -> Result<()> {
    let entities = with_actions(rules, found)?;
    let response = Authorizer::new().is_authorized(&found.request, policies, &entities);
    if response.decision() == expected {
        Ok(())
    } else {
        Err(Error::internal(
            "the solver and Cedar decide one question differently: the proofs are worth nothing",
        ))
    }
}

/// Whether Cedar itself raises an error in answering the question that the solver made up.
pub(crate) fn confirm_error(rules: &Rules, policies: &PolicySet, found: &Env) -> Result<()> {
    let entities = with_actions(rules, found)?;
    let response = Authorizer::new().is_authorized(&found.request, policies, &entities);
    let erred = response.diagnostics().errors().next().is_some();
    erred.then_some(()).ok_or_else(|| Error::internal("the solver sees an error where Cedar raises none"))
}

fn with_actions(rules: &Rules, found: &Env) -> Result<Entities> {
    let others = found.entities.iter().filter(|entity| rules.actions.get(&entity.uid()).is_none());
    let all = others.chain(rules.actions.iter()).cloned();
    Entities::from_entities(all, None).map_err(Error::internal)
}

/// The attributes of a principal or resource, as far as they are truths about it or name what it is bound to.
fn words(uid: Option<&EntityUid>, resource: Option<&EntityUid>, entities: &Entities) -> String {
    let Some(entity) = uid.and_then(|uid| entities.get(uid)) else { return String::new() };
    let mut words = Vec::new();
    let mut names: Vec<(&str, EvalResult)> =
        entity.attrs().filter_map(|(name, value)| value.ok().map(|value| (name, value))).collect();
    names.sort_by(|one, other| one.0.cmp(other.0));
    for (name, value) in names {
        match value {
            EvalResult::Bool(true) => words.push(name.to_owned()),
            EvalResult::Bool(false) => words.push(format!("not {name}")),
            EvalResult::EntityUid(bound) if resource == Some(&bound) => words.push(format!("of that {name}")),
            EvalResult::EntityUid(bound) => {
                let holds = resource.is_some_and(|resource| entities.is_ancestor_of(&bound, resource));
                if bound.type_name().to_string() == "Role" {
                    continue;
                }
                words.push(format!("of {} {name}", if holds { "the resource's" } else { "another" }));
            }
            _ => {}
        }
    }
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
}

/// Which roles the principal is in: those that the resource names, and those of the instance's staff.
fn roles(found: &Env) -> String {
    let (Some(principal), Some(resource)) = (found.request.principal(), found.request.resource()) else {
        return String::new();
    };
    let mut roles: Vec<String> = Vec::new();
    if let Some(entity) = found.entities.get(resource) {
        for (name, value) in entity.attrs() {
            if let Ok(EvalResult::EntityUid(role)) = value
                && role.type_name().to_string() == "Role"
                && found.entities.is_ancestor_of(&role, principal)
            {
                roles.push(format!("its {name}"));
            }
        }
    }
    for staff in ["administrators", "auditors"] {
        let is_staff =
            found.entities.ancestors(principal).into_iter().flatten().any(|ancestor| {
                ancestor.type_name().to_string() == "Role" && ancestor.id().unescaped() == staff
            });
        if is_staff {
            roles.push(format!("the instance's {staff}"));
        }
    }
    roles.sort();
    if roles.is_empty() { String::new() } else { format!(", being among {}", roles.join(" and ")) }
}

fn scopes(found: &Env) -> String {
    let texts = |name: &str| match found.request.context().and_then(|context| context.get(name)) {
        Some(EvalResult::Set(set)) => set.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        _ => String::new(),
    };
    // The solver's scopes are any texts that tell the two sets apart, the empty one among them.
    let named = |text: String| if text.is_empty() { "none".to_owned() } else { text };
    let credential = match found.request.context().and_then(|context| context.get("credential")) {
        Some(_) => "with a credential",
        None => "without a credential",
    };
    format!("{credential}; scopes required: {}; held: {}", named(texts("required")), named(texts("scopes")))
}
