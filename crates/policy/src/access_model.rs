//! Loading the access model, and asking it.

use std::collections::{BTreeMap, HashMap};

use cedar_policy::{
    Authorizer, Effect, Entities, Entity, EntityUid, Policy, PolicyId, PolicySet, Request, RequestEnv,
    Schema, ValidationMode, Validator,
};
use model::{Act, Action, Error, ResourceKind, Result};

use crate::decision::{Decision, Reason};
use crate::entity::Types;
use crate::fact::{PrincipalFacts, PrincipalKind, Question};
use crate::memo::Memo;
use crate::own_rule::OwnRules;
use crate::permit::{Origin, Permit, Target};
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
    needs: Option<String>,
}

/// A question with its entities at hand.
pub struct Prepared<'a> {
    request: Request,
    entities: Entities,
    relevant: &'a Relevant,
    /// The workspace's own rules, where they are asked: about what lies in a workspace alone, and never of the operator, so
    /// that there is a way back.
    own_rules: Option<&'a OwnRules>,
}

/// What matters to the questions about one action, by one kind of principal, on one kind of resource.
struct Relevant {
    /// The policies that could match. All others cannot, by their types alone.
    policies: PolicySet,
    /// What is said when none of them permits.
    no_permit: String,
}

impl AccessModel {
    /// Parses the schema and the policies, checks them strictly against each other, and sorts them by question.
    pub fn load() -> Result<Self> {
        Self::from_texts(text::SCHEMA, text::POLICIES)
    }

    /// As [`load`](Self::load), from other texts: for `prover`, and for tests that break a rule to see it noticed.
    pub fn from_texts(schema: &str, files: &[(&'static str, &str)]) -> Result<Self> {
        let (schema, warnings) = Schema::from_cedarschema_str(schema).map_err(Error::internal)?;
        if let Some(warning) = warnings.into_iter().next() {
            return Err(Error::internal(format!("the access model's schema: {warning}")));
        }
        let (policies, rules) = parse(files)?;
        let checked =
            Validator::new(schema.clone()).validate_with_level(&policies, ValidationMode::Strict, DEPTH);
        if !checked.validation_passed_without_warnings() {
            return Err(Error::internal(format!("the access model's policies: {checked}")));
        }
        let types = Types::new()?;
        let actions = actions(&schema)?;
        let questions = sort(&schema, &policies, &rules, &actions)?;
        let (authorizer, memo) = (Authorizer::new(), Memo::default());
        Ok(Self { schema, policies, rules, types, authorizer, actions, questions, memo })
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
                Ok(Prepared { request, entities, relevant, own_rules })
            }
            Err(error) => Err(undecided(&error.to_string())),
        }
    }

    /// Decides what was prepared.
    #[must_use]
    pub fn judge(&self, prepared: &Prepared<'_>) -> Decision {
        let Prepared { request, entities, relevant, own_rules } = prepared;
        let response = self.authorizer.is_authorized(request, &relevant.policies, entities);
        if let Some(error) = response.diagnostics().errors().next() {
            return undecided(&error.to_string());
        }
        let mut allowed = response.decision() == cedar_policy::Decision::Allow;
        let mut reasons: Vec<Reason> = response.diagnostics().reason().map(|id| self.reason(id)).collect();
        if reasons.is_empty() {
            return Decision::denied(Reason::NO_PERMIT, relevant.no_permit.clone());
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

/// Which policies could match which question, by the types alone.
fn sort(
    schema: &Schema,
    policies: &PolicySet,
    rules: &[Rule],
    actions: &HashMap<Action, Entity>,
) -> Result<HashMap<(Action, PrincipalKind, ResourceKind), Relevant>> {
    let by_uid: BTreeMap<EntityUid, Action> =
        actions.iter().map(|(action, entity)| (entity.uid(), *action)).collect();
    let key = |environment: &RequestEnv| {
        let action = by_uid.get(environment.action()).copied()?;
        let principal = environment.principal().to_string();
        let principal = PrincipalKind::ALL.iter().copied().find(|kind| kind.as_str() == principal)?;
        Some((action, principal, resource_kind(&environment.resource().to_string())?))
    };
    let mut found: HashMap<_, Vec<&Rule>> = HashMap::new();
    for environment in schema.request_envs() {
        let key = key(&environment).ok_or_else(|| {
            Error::internal(format!("the schema asks what the model does not: {}", environment.action()))
        })?;
        found.insert(key, Vec::new());
    }
    for rule in rules {
        let Some(policy) = policies.policy(&PolicyId::new(&rule.id)) else { continue };
        for environment in policy.get_valid_request_envs(schema) {
            if let Some(relevant) = key(&environment).and_then(|key| found.get_mut(&key)) {
                relevant.push(rule);
            }
        }
    }
    let mut questions = HashMap::new();
    for (key, relevant) in found {
        let policies = relevant.iter().filter_map(|rule| policies.policy(&PolicyId::new(&rule.id)).cloned());
        let policies = PolicySet::from_policies(policies).map_err(Error::internal)?;
        let mut needs: Vec<&str> = relevant.iter().filter_map(|rule| rule.needs.as_deref()).collect();
        needs.dedup();
        let no_permit = no_permit(key.0, key.1, &needs);
        questions.insert(key, Relevant { policies, no_permit });
    }
    Ok(questions)
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
