//! What guardrails would do before they are set: who would be refused now, and who by what was really used in the last
//! days; and what the solver says of rules of the workspace's own.
//!
//! Each question is asked of the access model as it would be asked, once with the guardrails of today and once with those
//! that are thought of. What only reports yet is looked at as if it refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use model::{Guardrails, Result, WorkspaceId, act};
use store::Reader;

use crate::guard::Guard;
use crate::guardrail_change::{Budget, Change, Gathered};
use crate::{Caller, NewGuardrails, Service};

/// How much of one workspace is looked at.
const IN_WORKSPACE: Budget = Budget { uses: 5_000, holders: 1_000 };
/// How much of all workspaces together.
const IN_INSTANCE: Budget = Budget { uses: 20_000, holders: 5_000 };
/// So many workspaces, where the instance's guardrails are thought of.
const MOST_WORKSPACES: usize = 1_000;
/// So many of those who would be refused, and of the workspaces where, are told one by one.
const MOST_TOLD: usize = 200;
/// How long the solver may look at one rule.
const PATIENCE: Duration = Duration::from_secs(10);

/// Somebody who would be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The slug of the workspace where.
    pub workspace: String,
    /// As the audit trail names them.
    pub principal: String,
    /// The credential, by kind and id; none for signing in.
    pub credential: Option<String>,
    /// From where it was used; none where it would be refused from everywhere.
    pub address: Option<String>,
    /// How often in the last days.
    pub uses: i64,
    /// By which guardrails and rules.
    pub refused_by: Vec<String>,
}

/// How many would be refused in one workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedIn {
    /// Its slug.
    pub workspace: String,
    /// How many people.
    pub people: usize,
    /// How many credentials.
    pub credentials: usize,
    /// How many uses of the last days.
    pub uses: i64,
}

/// What the solver says of a rule; nothing where there is no solver, or no time.
#[derive(Clone, Debug)]
pub struct RuleFinding {
    /// The rule.
    pub name: String,
    /// Whether it refuses anything that would be allowed without it.
    pub can_fire: Option<bool>,
    /// Whether nothing in the workspace would be allowed any more.
    pub refuses_everything: Option<bool>,
    /// A request that is allowed without it and refused with it.
    pub example: Option<String>,
}

/// What guardrails would do.
#[derive(Clone, Debug)]
pub struct GuardrailEffect {
    /// Who would be refused and is not, the most frequent first.
    pub refused: Vec<Refused>,
    /// How many there are, told or not.
    pub total: usize,
    /// How many people among them.
    pub people: usize,
    /// How many credentials among them.
    pub credentials: usize,
    /// How many uses of the last days.
    pub uses: i64,
    /// The workspaces where somebody would be refused, the most frequent first.
    pub workspaces: Vec<RefusedIn>,
    /// How many there are, told or not.
    pub workspaces_total: usize,
    /// How many workspaces were looked at.
    pub looked_at: usize,
    /// Whether there was more than was looked at.
    pub incomplete: bool,
    /// Whether whoever asks would be locked out.
    pub locks_out: bool,
    /// What the solver says of the rules.
    pub rules: Vec<RuleFinding>,
}

impl Service {
    /// What these guardrails would do to a workspace, or, without one, to all as what the instance asks of them.
    pub async fn guardrail_effect(
        &self,
        caller: &Caller,
        workspace: Option<&str>,
        mut new: NewGuardrails,
    ) -> Result<GuardrailEffect> {
        let ground = self.guardrail_ground(caller, workspace).await?;
        self.check(caller, act::GuardrailRead, &ground)?;
        let seen = self.guardrails(caller, workspace).await?;
        // Nothing is saved: there is nothing to confirm.
        new.confirm_wide_ranges = true;
        let candidate = self.candidate(&new, ground.subject, &seen).await?;
        let locks_out = self.keeps_in(caller, &ground, candidate).is_err();
        let (service, scope, guardrails) = (self.clone(), ground.subject, new.guardrails.clone());
        let (gathered, looked_at) =
            self.store.read(move |reader| service.gathered(reader, scope, &guardrails)).await?;
        let rules = self.examined(&new, &seen).await;
        Ok(GuardrailEffect { locks_out, looked_at, rules, ..summed(gathered) })
    }

    /// Who would be refused in the workspace, or in any, and in how many it was looked.
    fn gathered(
        &self,
        reader: &mut Reader<'_>,
        scope: Option<WorkspaceId>,
        new: &Guardrails,
    ) -> Result<(Gathered, usize)> {
        let mut gathered = Gathered::default();
        let (workspaces, mut budget) = match scope {
            Some(id) => (store::workspace::find(reader, id)?.into_iter().collect(), IN_WORKSPACE),
            None => {
                let limit = i64::try_from(MOST_WORKSPACES).unwrap_or(i64::MAX);
                let all = store::workspace::all(reader, limit)?;
                gathered.incomplete = all.len() >= MOST_WORKSPACES;
                (all, IN_INSTANCE)
            }
        };
        for (before, workspace) in workspaces.iter().enumerate() {
            if budget.is_spent() {
                return Ok((gathered, before));
            }
            let before = self.guard(reader, workspace.id)?;
            let (floor, own) = match scope {
                Some(_) => (before.floor.clone(), new.clone()),
                None => (new.clone(), before.own.clone()),
            };
            let after = Guard::new(&self.model, Some(workspace.id), floor, own)?;
            let change = Change { service: self, workspace, before: &before, after: &after };
            change.gather(reader, &mut budget, &mut gathered)?;
        }
        Ok((gathered, workspaces.len()))
    }

    /// The rules that are new or changed, as the solver sees them, where there is one.
    async fn examined(&self, new: &NewGuardrails, seen: &crate::GuardrailView) -> Vec<RuleFinding> {
        let mut found = Vec::new();
        for rule in &new.guardrails.own_rules {
            if seen.guardrails.own_rules.iter().any(|old| old.name == rule.name && old.policy == rule.policy)
            {
                continue;
            }
            let Ok(checked) = self.model.own_rule(&rule.name, &rule.description, &rule.policy) else {
                continue;
            };
            let examined = prover::examine(Path::new("cvc5"), &self.model, checked.policy(), PATIENCE).await;
            // Without a solver nothing is said of rules; whatever else it is stopped by does not stop the rest.
            let Ok(finding) = examined else { continue };
            found.push(RuleFinding {
                name: rule.name.clone(),
                can_fire: finding.can_fire,
                refuses_everything: finding.refuses_everything,
                example: finding.example.map(|example| example.to_string()),
            });
        }
        found
    }
}

/// People and credentials that are told apart.
#[derive(Default)]
struct Distinct<'a> {
    people: BTreeSet<&'a str>,
    credentials: BTreeSet<&'a str>,
    uses: i64,
}

impl<'a> Distinct<'a> {
    fn add(&mut self, one: &'a Refused) {
        if one.principal.starts_with("user:") {
            self.people.insert(&one.principal);
        }
        self.credentials.extend(one.credential.as_deref());
        self.uses = self.uses.saturating_add(one.uses);
    }
}

/// What was gathered, without what only its caller knows.
fn summed(gathered: Gathered) -> GuardrailEffect {
    let entries = gathered.refused.into_iter().map(|(key, (uses, by))| Refused {
        workspace: key.workspace,
        principal: key.principal,
        credential: key.credential,
        address: key.address,
        uses,
        refused_by: by.into_iter().collect(),
    });
    let mut refused: Vec<Refused> = entries.collect();
    let (mut whole, mut apart) = (Distinct::default(), BTreeMap::<&str, Distinct<'_>>::new());
    for one in &refused {
        whole.add(one);
        apart.entry(&one.workspace).or_default().add(one);
    }
    let (people, credentials, uses) = (whole.people.len(), whole.credentials.len(), whole.uses);
    let mut workspaces: Vec<RefusedIn> = apart
        .into_iter()
        .map(|(workspace, here)| RefusedIn {
            workspace: workspace.to_owned(),
            people: here.people.len(),
            credentials: here.credentials.len(),
            uses: here.uses,
        })
        .collect();
    let (total, workspaces_total) = (refused.len(), workspaces.len());
    workspaces.sort_by_key(|one| std::cmp::Reverse((one.uses, one.people)));
    workspaces.truncate(MOST_TOLD);
    refused.sort_by(|one, two| two.uses.cmp(&one.uses).then_with(|| one.principal.cmp(&two.principal)));
    refused.truncate(MOST_TOLD);
    GuardrailEffect {
        refused,
        total,
        people,
        credentials,
        uses,
        workspaces,
        workspaces_total,
        looked_at: 0,
        incomplete: gathered.incomplete,
        locks_out: false,
        rules: Vec::new(),
    }
}
