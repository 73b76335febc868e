//! Loading the access model, and asking it.

use std::collections::HashMap;

use cedar_policy::{
    Authorizer, Effect, Entities, Entity, Policy, PolicyId, PolicySet, Request, Schema, ValidationMode,
    Validator,
};
use model::{Act, Action, Error, ResourceKind, Result};

use crate::decision::{Decision, Reason};
use crate::entity::Types;
use crate::fact::{PrincipalFacts, PrincipalKind, Question};
use crate::memo::Memo;
use crate::own_rule::OwnRules;
use crate::permit::{Origin, Permit, Target};
use crate::relevant::{self, Relevant};
use crate::text;

/// How many attributes or ancestors deep a policy may look from the principal or the resource. At one, it sees just
/// the two entities that are built for each question.
pub(crate) const DEPTH: u32 = 1;

/// The access model: schema and policies, checked and ready to be asked.
pub struct AccessModel {
    schema: Schema,
    policies: PolicySet,
    rules: Vec<Rule>,
    types: Types,
    authorizer: Authorizer,
    actions: HashMap<Action, Entity>,
    questions: HashMap<(Action, PrincipalKind, ResourceKind), Relevant>,
    memo: Memo,
}

/// One policy, as the documentation tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// The file that it stands in.
    pub file: &'static str,
    /// Whether it forbids rather than permits.
    pub forbids: bool,
    /// What it says.
    pub says: String,
    /// What it needs, for a refusal to name: `write on the repository`.
    pub(crate) needs: Option<String>,
}

/// A question with its entities at hand.
pub struct Prepared<'a> {
    request: Request,
    entities: Entities,
    policies: &'a PolicySet,
    no_permit: &'a str,
    /// The workspace's own rules, where they are asked: about what lies in a workspace alone, and never of the operator, so
    /// that there is a way back.
    own_rules: Option<&'a OwnRules>,
}

impl AccessModel {
    /// Reads the schema and the policies that the program was built with, and sorts them by question. They are not
    /// checked yet: [`validate`](Self::validate) takes longer than all else here, and can be done behind it.
    pub fn load() -> Result<Self> {
        Self::new(text::SCHEMA, text::POLICIES)
    }

    /// As [`load`](Self::load), from other texts, and checked: for `prover`, and for tests that break a rule to see it
    /// noticed.
    pub fn from_texts(schema: &str, files: &[(&'static str, &str)]) -> Result<Self> {
        let model = Self::new(schema, files)?;
        model.validate()?;
        Ok(model)
    }

    fn new(schema: &str, files: &[(&'static str, &str)]) -> Result<Self> {
        let (schema, warnings) = Schema::from_cedarschema_str(schema).map_err(Error::internal)?;
        if let Some(warning) = warnings.into_iter().next() {
            return Err(Error::internal(format!("the access model's schema: {warning}")));
        }
        let (policies, rules) = parse(files)?;
        let types = Types::new()?;
        let actions = actions(&schema)?;
        let questions = relevant::sort(&schema, &policies, &rules, &actions)?;
        let (authorizer, memo) = (Authorizer::new(), Memo::default());
        Ok(Self { schema, policies, rules, types, authorizer, actions, questions, memo })
    }

    /// Checks all policies strictly against the schema. Blocks until that is done: some hundred milliseconds.
    pub fn validate(&self) -> Result<()> {
        let validator = Validator::new(self.schema.clone());
        let checked = validator.validate_with_level(&self.policies, ValidationMode::Strict, DEPTH);
        if checked.validation_passed_without_warnings() {
            return Ok(());
        }
        Err(Error::internal(format!("the access model's policies: {checked}")))
    }

    /// Decides. The same question is worked out once.
    #[must_use]
    pub fn decide(&self, question: &Question<'_>) -> Decision {
        self.memo.decision(question, || self.work_out(question))
    }

    /// Decides, whether or not the same was asked before.
    #[must_use]
    pub fn work_out(&self, question: &Question<'_>) -> Decision {
        match self.prepare(question) {
            Ok(prepared) => self.judge(&prepared),
            Err(decision) => decision,
        }
    }

    /// Everything that deciding needs, built from the question's facts.
    pub fn prepare<'a>(&'a self, question: &Question<'a>) -> Result<Prepared<'a>, Decision> {
        let (action, resource) = (question.action, question.resource.kind());
        let relevant = question
            .principal
            .kind()
            .and_then(|kind| self.questions.get(&(action, kind, resource)).zip(self.actions.get(&action)));
        let Some((relevant, action_entity)) = relevant else {
            let text = format!("`{action}` is not something that can be done to a {}.", resource.as_str());
            return Err(Decision::denied(Reason::NO_SUCH_QUESTION, text));
        };
        match self.types.slice(question, action_entity) {
            Ok((request, entities)) => {
                let bound = question.resource.workspace().is_some();
                let bound = bound && !matches!(question.principal, PrincipalFacts::Operator);
                let own_rules = question.guardrails.own_rules.filter(|_| bound);
                let policies = relevant.policies(question.guardrails.any());
                Ok(Prepared { request, entities, policies, no_permit: &relevant.no_permit, own_rules })
            }
            Err(error) => Err(undecided(&error.to_string())),
        }
    }

    /// Decides what was prepared.
    #[must_use]
    pub fn judge(&self, prepared: &Prepared<'_>) -> Decision {
        let Prepared { request, entities, policies, no_permit, own_rules } = prepared;
        let response = self.authorizer.is_authorized(request, policies, entities);
        if let Some(error) = response.diagnostics().errors().next() {
            return undecided(&error.to_string());
        }
        let mut allowed = response.decision() == cedar_policy::Decision::Allow;
        let mut reasons: Vec<Reason> = response.diagnostics().reason().map(|id| self.reason(id)).collect();
        if reasons.is_empty() {
            return Decision::denied(Reason::NO_PERMIT, (*no_permit).to_owned());
        }
        let own =
            own_rules.map(|rules| rules.refusals(&self.authorizer, request, entities)).unwrap_or_default();
        if !own.is_empty() {
            // What permits is no reason for a refusal.
            reasons.retain(|_| !allowed);
            reasons.extend(own);
            allowed = false;
        }
        reasons.sort_by(|one, other| one.policy.cmp(&other.policy));
        Decision { allowed, reasons }
    }

    /// Decides, and mints the permit where the decision allows. A question about another action than the permit's,
    /// or about another resource than the target's, is refused.
    pub fn permit<A: Act>(
        &self,
        question: &Question<'_>,
        origin: Origin,
        target: Target,
    ) -> Result<Permit<A>, Decision> {
        if question.action != A::ACTION || question.resource.resource() != target.resource {
            let text = format!("A permit for `{}` cannot come from another question.", A::ACTION);
            return Err(Decision::denied(Reason::NO_SUCH_QUESTION, text));
        }
        let decision = self.decide(question);
        if decision.allowed {
            Ok(Permit::decided(origin, target, decision.policies()))
        } else {
            Err(decision)
        }
    }

    /// The schema.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The policies, by their ids.
    #[must_use]
    pub fn policies(&self) -> &PolicySet {
        &self.policies
    }

    /// The policies as the documentation tells them, in reading order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What the reason of a decision that was recorded says: to `principal`, of `action`, on a kind of resource. Empty
    /// for a policy that is no longer one.
    #[must_use]
    pub fn says(
        &self,
        policy: &str,
        action: Action,
        principal: PrincipalKind,
        resource: ResourceKind,
    ) -> String {
        match self.questions.get(&(action, principal, resource)) {
            Some(relevant) if policy == Reason::NO_PERMIT => relevant.no_permit.clone(),
            _ => self.reason(&PolicyId::new(policy)).text,
        }
    }

    /// What matters to the questions of one kind.
    #[cfg(test)]
    pub(crate) fn relevant(&self, kind: relevant::Kind) -> Option<&Relevant> {
        self.questions.get(&kind)
    }

    fn reason(&self, id: &PolicyId) -> Reason {
        let id: &str = id.as_ref();
        let rule = self.rules.iter().find(|rule| rule.id == id);
        Reason { policy: id.to_owned(), text: rule.map(|rule| rule.says.clone()).unwrap_or_default() }
    }
}

/// Whatever went wrong: denied.
fn undecided(cause: &str) -> Decision {
    Decision::denied(Reason::UNDECIDED, format!("The question could not be decided: {cause}"))
}

/// Reads the files; each policy is named by its `@id`.
fn parse(files: &[(&'static str, &str)]) -> Result<(PolicySet, Vec<Rule>)> {
    let mut set = PolicySet::new();
    let mut rules = Vec::new();
    for (file, text) in files {
        let parsed: PolicySet = text.parse().map_err(|error| Error::internal(format!("{file}: {error}")))?;
        let mut policies: Vec<&Policy> = parsed.policies().collect();
        // Cedar numbers the policies of one text: `policy0`, `policy1`, and so on.
        policies.sort_by_key(|policy| {
            AsRef::<str>::as_ref(policy.id()).trim_start_matches("policy").parse::<usize>().ok()
        });
        for policy in policies {
            let told =
                |key| policy.annotation(key).map(str::to_owned).filter(|text: &String| !text.is_empty());
            let (Some(id), Some(says)) = (told("id"), told("says")) else {
                return Err(Error::internal(format!("{file}: a policy has no `@id` or no `@says`")));
            };
            set.add(policy.new_id(PolicyId::new(&id))).map_err(Error::internal)?;
            let forbids = policy.effect() == Effect::Forbid;
            rules.push(Rule { id, file, forbids, says, needs: told("needs") });
        }
    }
    Ok((set, rules))
}

/// Each action's entity, with the groups that it belongs to.
fn actions(schema: &Schema) -> Result<HashMap<Action, Entity>> {
    let entities = schema.action_entities().map_err(Error::internal)?;
    let mut actions = HashMap::new();
    for entity in entities.iter() {
        if let Ok(action) = entity.uid().id().unescaped().parse::<Action>() {
            actions.insert(action, entity.clone());
        }
    }
    Ok(actions)
}

/// The kind of resource that an entity type stands for.
pub(crate) fn resource_kind(name: &str) -> Option<ResourceKind> {
    match name {
        "Instance" => Some(ResourceKind::Instance),
        "Account" => Some(ResourceKind::User),
        "Workspace" => Some(ResourceKind::Workspace),
        "Project" => Some(ResourceKind::Project),
        "Repository" => Some(ResourceKind::Repository),
        _ => None,
    }
}
