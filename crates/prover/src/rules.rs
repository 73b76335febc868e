//! The policies that are reasoned about, sorted by the questions to which they could matter.

use std::collections::{HashMap, HashSet};

use cedar_policy::{Entities, EntityUid, Policy, PolicyId, PolicySet, RequestEnv, Schema};
use cedar_policy_symcc::CompiledPolicySet;
use model::{Action, Error, ResourceKind, Result};
use policy::{AccessModel, PrincipalKind};

/// A kind of question: one action, by one kind of principal, on one kind of resource.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) action: Action,
    pub(crate) principal: PrincipalKind,
    pub(crate) resource: ResourceKind,
    pub(crate) environment: RequestEnv,
    /// Which kinds are decided alike: the same policies match them, and none looks at the action again. What is proved
    /// of one of them is proved of all.
    pub(crate) alike: usize,
}

/// A schema and policies, and which policies could match which kind of question.
pub struct Rules {
    pub(crate) schema: Schema,
    pub(crate) policies: PolicySet,
    pub(crate) actions: Entities,
    kinds: Vec<Kind>,
    relevant: HashMap<String, Vec<Policy>>,
    /// The policies whose conditions look at the action, beyond what their heads say of it.
    looking: HashSet<PolicyId>,
}

fn key(environment: &RequestEnv) -> String {
    format!("{} {} {}", environment.principal(), environment.action(), environment.resource())
}

impl Rules {
    /// Those of the access model.
    pub fn of(model: &AccessModel) -> Result<Self> {
        Self::new(model.schema(), model.policies())
    }

    /// Those of the access model and some more, in Cedar's syntax.
    pub fn with(model: &AccessModel, more: &str) -> Result<Self> {
        let more: PolicySet = more.parse().map_err(Error::internal)?;
        let mut policies = model.policies().clone();
        for policy in more.policies() {
            let id = policy.annotation("id").unwrap_or("more").to_owned();
            policies.add(policy.new_id(PolicyId::new(id))).map_err(Error::internal)?;
        }
        Self::new(model.schema(), &policies)
    }

    /// A schema that asks what the model's actions ask, and policies.
    pub fn new(schema: &Schema, policies: &PolicySet) -> Result<Self> {
        let mut relevant: HashMap<String, Vec<Policy>> = HashMap::new();
        for policy in policies.policies() {
            for environment in policy.get_valid_request_envs(schema) {
                relevant.entry(key(&environment)).or_default().push(policy.clone());
            }
        }
        for policies in relevant.values_mut() {
            policies.sort_by(|one, other| one.id().cmp(other.id()));
        }
        let mut kinds = schema.request_envs().map(kind).collect::<Result<Vec<Kind>>>()?;
        kinds.sort_by_key(|kind| (kind.action, kind.principal, kind.resource));
        let looking = looking(policies)?;
        tell_alike(&mut kinds, &relevant, &looking);
        let actions = schema.action_entities().map_err(Error::internal)?;
        Ok(Self { schema: schema.clone(), policies: policies.clone(), actions, kinds, relevant, looking })
    }

    /// Whether the policy's conditions look at the action, beyond what its head says of it.
    pub(crate) fn looks_at_the_action(&self, policy: &Policy) -> bool {
        self.looking.contains(policy.id())
    }

    /// Every kind of question, in a fixed order.
    pub(crate) fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// The policies that could match such a question.
    pub(crate) fn relevant(&self, kind: &Kind) -> &[Policy] {
        self.relevant.get(&key(&kind.environment)).map_or(&[], Vec::as_slice)
    }

    /// Whether the action is `group` or belongs to it.
    pub(crate) fn belongs(&self, action: Action, group: &str) -> Result<bool> {
        let uid = |id: &str| format!("Action::{id:?}").parse::<EntityUid>().map_err(Error::internal);
        Ok(action.as_str() == group || self.actions.is_ancestor_of(&uid(group)?, &uid(action.as_str())?))
    }

    /// The policies that match a kind of question, made to speak of whatever action: so that two actions can be held
    /// against each other in one question.
    pub(crate) fn for_any_action(&self, kind: &Kind) -> Result<Vec<Policy>> {
        self.relevant(kind).iter().map(|policy| self.of_any_action(policy)).collect()
    }

    fn of_any_action(&self, policy: &Policy) -> Result<Policy> {
        if self.looks_at_the_action(policy) {
            let text = format!("`{}` speaks of the action in its conditions", policy.id());
            return Err(Error::internal(text));
        }
        let mut json = policy.to_json().map_err(Error::internal)?;
        if let Some(scope) = json.get_mut("action") {
            *scope = serde_json::json!({"op": "All"});
        }
        Policy::from_json(Some(policy.id().clone()), json).map_err(Error::internal)
    }

    /// The policies as terms for the solver, for one kind of question.
    pub(crate) fn compile(&self, policies: &PolicySet, kind: &Kind) -> Result<CompiledPolicySet> {
        CompiledPolicySet::compile(policies, &kind.environment, &self.schema)
            .map_err(|error| Error::internal(format!("{}: {error}", key(&kind.environment))))
    }
}

/// Numbers the kinds by what decides them. The schema gives every action the same context (a test holds it to that).
fn tell_alike(kinds: &mut [Kind], relevant: &HashMap<String, Vec<Policy>>, looking: &HashSet<PolicyId>) {
    let mut numbers = HashMap::new();
    for kind in kinds {
        let policies = relevant.get(&key(&kind.environment)).map_or(&[][..], Vec::as_slice);
        let ids: Vec<&PolicyId> = policies.iter().map(Policy::id).collect();
        let action = ids.iter().any(|id| looking.contains(id)).then_some(kind.action);
        let next = numbers.len();
        kind.alike = *numbers.entry((kind.principal, kind.resource, action, ids)).or_insert(next);
    }
}

/// The policies whose conditions look at the action.
fn looking(policies: &PolicySet) -> Result<HashSet<PolicyId>> {
    let mut looking = HashSet::new();
    for policy in policies.policies() {
        let json = policy.to_json().map_err(Error::internal)?;
        let conditions = json.get("conditions").map(ToString::to_string).unwrap_or_default();
        if conditions.contains(r#""Var":"action""#) {
            looking.insert(policy.id().clone());
        }
    }
    Ok(looking)
}

fn kind(environment: RequestEnv) -> Result<Kind> {
    let unknown =
        || Error::internal(format!("the model knows no question of the kind {}", key(&environment)));
    let action = environment.action().id().unescaped().parse().map_err(|_| unknown())?;
    let principal = environment.principal().to_string();
    let principal = PrincipalKind::ALL.iter().copied().find(|kind| kind.as_str() == principal);
    let resource = match environment.resource().to_string().as_str() {
        "Instance" => Some(ResourceKind::Instance),
        "Account" => Some(ResourceKind::User),
        "Workspace" => Some(ResourceKind::Workspace),
        "Project" => Some(ResourceKind::Project),
        "Repository" => Some(ResourceKind::Repository),
        _ => None,
    };
    let (principal, resource) = principal.zip(resource).ok_or_else(unknown)?;
    Ok(Kind { action, principal, resource, environment, alike: 0 })
}

/// A set of the given policies.
pub(crate) fn set(policies: impl IntoIterator<Item = Policy>) -> Result<PolicySet> {
    PolicySet::from_policies(policies).map_err(Error::internal)
}

/// The policies, and nothing allowed unless `condition` holds: so that a proof is about the questions where it does.
pub(crate) fn assuming(policies: &[Policy], condition: &str) -> Result<PolicySet> {
    let text = format!("forbid (principal, action, resource) unless {{ {condition} }};");
    let assumption = Policy::parse(Some(PolicyId::new("assumption")), text).map_err(Error::internal)?;
    set(policies.iter().cloned().chain([assumption]))
}
