//! Which policies matter to which question: sorted once, so that a decision looks at few.
//!
//! A policy is left out where it cannot hold: by its scope, by what its condition says of the principal's type, or
//! because it is about guardrails where none holds. To leave one in too many would cost time, and change no decision.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Effect, Entities, Entity, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet,
    PrincipalConstraint, RequestEnv, ResourceConstraint, Schema,
};
use model::{Action, Error, ResourceKind, Result};
use serde_json::Value;

use crate::access_model::{Rule, resource_kind};
use crate::fact::PrincipalKind;

/// What a question is about: the policies that could match are the same for all that are alike in this.
pub(crate) type Kind = (Action, PrincipalKind, ResourceKind);

/// What matters to the questions of one kind.
pub(crate) struct Relevant {
    /// The policies that could match.
    all: Arc<PolicySet>,
    /// Those of them that could where no guardrail holds.
    unguarded: Arc<PolicySet>,
    /// What is said when none of them permits.
    pub(crate) no_permit: String,
}

impl Relevant {
    /// The policies to ask, `guarded` where any guardrail holds.
    pub(crate) fn policies(&self, guarded: bool) -> &PolicySet {
        if guarded { &self.all } else { &self.unguarded }
    }
}

/// One policy, and what it could be about.
struct Candidate<'a> {
    rule: &'a Rule,
    policy: &'a Policy,
    principal: Option<EntityTypeName>,
    resource: Option<EntityTypeName>,
    actions: Option<HashSet<EntityUid>>,
    /// The questions that are left when the condition is looked at too, where that was done.
    kinds: Option<HashSet<Kind>>,
    guardrails_only: bool,
}

/// Sorts the policies by the kinds of question that the schema allows.
pub(crate) fn sort(
    schema: &Schema,
    policies: &PolicySet,
    rules: &[Rule],
    actions: &HashMap<Action, Entity>,
) -> Result<HashMap<Kind, Relevant>> {
    let by_uid: BTreeMap<EntityUid, Action> =
        actions.iter().map(|(action, entity)| (entity.uid(), *action)).collect();
    let groups = schema.action_entities().map_err(Error::internal)?;
    let mut candidates = Vec::new();
    for rule in rules {
        if let Some(policy) = policies.policy(&PolicyId::new(&rule.id)) {
            candidates.push(Candidate::new(rule, policy, schema, &groups, &by_uid)?);
        }
    }
    let mut sets: HashMap<Vec<&str>, Arc<PolicySet>> = HashMap::new();
    let mut questions = HashMap::new();
    for environment in schema.request_envs() {
        let kind = kind(&environment, &by_uid).ok_or_else(|| {
            Error::internal(format!("the schema asks what the model does not: {}", environment.action()))
        })?;
        let matching: Vec<&Candidate<'_>> =
            candidates.iter().filter(|candidate| candidate.could_match(&environment, &kind)).collect();
        let mut set = |guarded: bool| -> Result<Arc<PolicySet>> {
            let chosen = || matching.iter().filter(|candidate| guarded || !candidate.guardrails_only);
            // Most kinds of question share their policies with others.
            let key = chosen().map(|candidate| candidate.rule.id.as_str()).collect();
            if let Some(known) = sets.get(&key) {
                return Ok(Arc::clone(known));
            }
            let set = PolicySet::from_policies(chosen().map(|candidate| candidate.policy.clone()));
            let set = Arc::new(set.map_err(Error::internal)?);
            sets.insert(key, Arc::clone(&set));
            Ok(set)
        };
        let (all, unguarded) = (set(true)?, set(false)?);
        let mut needs: Vec<&str> =
            matching.iter().filter_map(|candidate| candidate.rule.needs.as_deref()).collect();
        needs.dedup();
        questions.insert(kind, Relevant { all, unguarded, no_permit: no_permit(kind.0, kind.1, &needs) });
    }
    Ok(questions)
}

impl<'a> Candidate<'a> {
    fn new(
        rule: &'a Rule,
        policy: &'a Policy,
        schema: &Schema,
        groups: &Entities,
        by_uid: &BTreeMap<EntityUid, Action>,
    ) -> Result<Self> {
        let principal = match policy.principal_constraint() {
            PrincipalConstraint::Is(kind) | PrincipalConstraint::IsIn(kind, _) => Some(kind),
            PrincipalConstraint::Eq(uid) => Some(uid.type_name().clone()),
            PrincipalConstraint::Any | PrincipalConstraint::In(_) => None,
        };
        let resource = match policy.resource_constraint() {
            ResourceConstraint::Is(kind) | ResourceConstraint::IsIn(kind, _) => Some(kind),
            ResourceConstraint::Eq(uid) => Some(uid.type_name().clone()),
            ResourceConstraint::Any | ResourceConstraint::In(_) => None,
        };
        let actions = match policy.action_constraint() {
            ActionConstraint::Any => None,
            ActionConstraint::Eq(action) => Some(HashSet::from([action])),
            ActionConstraint::In(named) => {
                let is_in = |uid: &&EntityUid| {
                    named.iter().any(|group| group == *uid || groups.is_ancestor_of(group, uid))
                };
                Some(by_uid.keys().filter(is_in).cloned().collect())
            }
        };
        // What permits is told to whoever is refused, so that it is looked at more closely where it is open to all.
        let kinds = (principal.is_none() && policy.effect() == Effect::Permit).then(|| {
            let environments = policy.get_valid_request_envs(schema);
            environments.filter_map(|environment| kind(&environment, by_uid)).collect()
        });
        let guardrails_only = policy.effect() == Effect::Forbid
            && needs_guardrails(&policy.to_json().map_err(Error::internal)?);
        Ok(Self { rule, policy, principal, resource, actions, kinds, guardrails_only })
    }

    fn could_match(&self, environment: &RequestEnv, kind: &Kind) -> bool {
        self.principal.as_ref().is_none_or(|principal| principal == environment.principal())
            && self.resource.as_ref().is_none_or(|resource| resource == environment.resource())
            && self.actions.as_ref().is_none_or(|actions| actions.contains(environment.action()))
            && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(kind))
    }
}

fn kind(environment: &RequestEnv, by_uid: &BTreeMap<EntityUid, Action>) -> Option<Kind> {
    let action = by_uid.get(environment.action()).copied()?;
    let principal = environment.principal().to_string();
    let principal = PrincipalKind::ALL.iter().copied().find(|kind| kind.as_str() == principal)?;
    Some((action, principal, resource_kind(&environment.resource().to_string())?))
}

/// Whether a policy, as Cedar's JSON, holds nowhere without `context.guardrails`: where one of its `when`s asks, among
/// what it joins by `&&`, that it is there.
fn needs_guardrails(policy: &Value) -> bool {
    fn asks(condition: &Value) -> bool {
        match condition.get("&&") {
            Some(both) => ["left", "right"].iter().filter_map(|side| both.get(side)).any(asks),
            None => {
                *condition == serde_json::json!({"has": {"left": {"Var": "context"}, "attr": "guardrails"}})
            }
        }
    }
    let whens = policy["conditions"].as_array().into_iter().flatten();
    whens.filter(|condition| condition["kind"] == "when").any(|condition| asks(&condition["body"]))
}

fn no_permit(action: Action, principal: PrincipalKind, needs: &[&str]) -> String {
    let needs = needs.join(", or ");
    match (principal, needs.as_str()) {
        (PrincipalKind::Anonymous, "") => format!("`{action}` needs you to sign in."),
        (PrincipalKind::Anonymous, _) => format!("`{action}` needs {needs}, or you to sign in."),
        (_, "") => format!("No policy permits `{action}` to anybody of this kind."),
        (_, _) => format!("`{action}` needs {needs}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_model::AccessModel;
    use crate::text;

    #[test]
    fn the_policies_that_the_program_is_built_with_pass_every_check() {
        AccessModel::from_texts(text::SCHEMA, text::POLICIES).unwrap();
    }

    /// Each guardrail, and nothing else, waits until one holds.
    #[test]
    fn what_asks_for_guardrails_is_known_by_its_condition() {
        let model = AccessModel::load().unwrap();
        for rule in model.rules() {
            let policy = model.policies().policy(&PolicyId::new(&rule.id)).unwrap();
            let waits = needs_guardrails(&policy.to_json().unwrap());
            assert_eq!(waits, rule.file == "guardrails.cedar", "{}", rule.id);
        }
        let reads = |condition: &str| {
            let policy: Policy =
                format!("forbid (principal, action, resource) {condition};").parse().unwrap();
            needs_guardrails(&policy.to_json().unwrap())
        };
        assert!(reads("when { true } when { 1 == 1 && (context has guardrails && false) }"));
        assert!(!reads("unless { context has guardrails }"));
        assert!(!reads("when { !(context has guardrails) }"));
        assert!(!reads("when { context has guardrails || principal == resource }"));
        assert!(!reads("when { principal has guardrails }"));
    }

    /// No policy is left out that the types alone would let match.
    #[test]
    fn what_could_match_is_asked() {
        let model = AccessModel::load().unwrap();
        let by_uid: BTreeMap<EntityUid, Action> = model
            .schema()
            .action_entities()
            .unwrap()
            .iter()
            .filter_map(|entity| Some((entity.uid(), entity.uid().id().unescaped().parse().ok()?)))
            .collect();
        let mut seen = 0;
        for rule in model.rules() {
            let policy = model.policies().policy(&PolicyId::new(&rule.id)).unwrap();
            for environment in policy.get_valid_request_envs(model.schema()) {
                let kind = kind(&environment, &by_uid).unwrap();
                let asked = model.relevant(kind).unwrap().policies(true);
                assert!(asked.policy(&PolicyId::new(&rule.id)).is_some(), "{} {kind:?}", rule.id);
                seen += 1;
            }
        }
        assert!(seen > 500, "{seen}");
    }
}
