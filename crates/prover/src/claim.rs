//! What can be claimed of the access model, and how each kind of claim is proved or refuted.

use std::collections::HashSet;

use cedar_policy::Decision;
use cedar_policy_symcc::CompiledPolicy;
use model::{Action, Error, ResourceKind, Result};
use policy::PrincipalKind;

use crate::counterexample::{Counterexample, confirm, confirm_error};
use crate::rules::{Kind, Rules, assuming, set};
use crate::solver::Solver;

/// A choice of actions, by their names or by those of groups in the schema.
#[derive(Clone, Copy, Debug)]
pub enum Actions {
    /// Every action.
    All,
    /// These, and all that belong to these.
    Of(&'static [&'static str]),
    /// All but these, and but all that belong to these.
    Except(&'static [&'static str]),
}

/// One claim about every question there can be.
#[derive(Clone, Copy, Debug)]
pub enum Claim {
    /// Nobody of these kinds is ever allowed any of these actions on these kinds of resource while the condition
    /// holds, which is in Cedar's syntax.
    Never {
        /// Kinds of principal.
        by: &'static [PrincipalKind],
        /// Actions.
        what: Actions,
        /// Kinds of resource.
        on: &'static [ResourceKind],
        /// The condition.
        when: &'static str,
    },
    /// Whoever is allowed an action of the first group would, on the same resource and in the same circumstances, be
    /// allowed the second, given a condition in Cedar's syntax.
    Implies {
        /// Kinds of principal.
        by: &'static [PrincipalKind],
        /// The group of the actions that are allowed.
        one: &'static str,
        /// The action that follows.
        other: Action,
        /// The kind of resource.
        on: ResourceKind,
        /// The condition.
        given: &'static str,
    },
    /// Whatever one kind of principal would be allowed without the policies whose ids begin so, it is allowed with them.
    NeverRefusedBy {
        /// The kind of principal.
        to: PrincipalKind,
        /// How the ids begin.
        policies: &'static str,
    },
    /// No policy raises an error in answering any question.
    NoErrors,
    /// Without any one of the policies some question would be decided differently: none is dead, none says what
    /// others say already.
    EveryPolicyMatters,
}

impl Claim {
    /// Looks for a question that shows the claim to be false. None: it is proved.
    pub(crate) async fn refute(&self, rules: &Rules, solver: &mut Solver) -> Result<Option<Counterexample>> {
        match self {
            Self::Never { by, what, on, when } => never(rules, solver, by, *what, on, when).await,
            Self::Implies { by, one, other, on, given } => {
                let mut asked = HashSet::new();
                for kind in rules.kinds() {
                    let meant = kind.resource == *on
                        && by.contains(&kind.principal)
                        && rules.belongs(kind.action, one)?
                        && asked.insert(kind.alike);
                    if !meant {
                        continue;
                    }
                    if let Some(found) = implies(rules, solver, kind, *other, given).await? {
                        return Ok(Some(found));
                    }
                }
                about_something(asked.len())
            }
            Self::NeverRefusedBy { to, policies } => never_refused_by(rules, solver, *to, policies).await,
            Self::NoErrors => no_errors(rules, solver).await,
            Self::EveryPolicyMatters => every_policy_matters(rules, solver).await,
        }
    }
}

/// A claim about no kind of question at all would always be proved: it is a mistake.
fn about_something(asked: usize) -> Result<Option<Counterexample>> {
    if asked == 0 { Err(Error::internal("the claim is about no question at all")) } else { Ok(None) }
}

fn chosen(rules: &Rules, what: Actions, action: Action) -> Result<bool> {
    let belongs = |groups: &[&str]| {
        groups.iter().try_fold(false, |found, group| Ok(found || rules.belongs(action, group)?))
    };
    match what {
        Actions::All => Ok(true),
        Actions::Of(groups) => belongs(groups),
        Actions::Except(groups) => belongs(groups).map(|within| !within),
    }
}

async fn never(
    rules: &Rules,
    solver: &mut Solver,
    by: &[PrincipalKind],
    what: Actions,
    on: &[ResourceKind],
    when: &str,
) -> Result<Option<Counterexample>> {
    let mut asked = HashSet::new();
    for kind in rules.kinds() {
        let meant = by.contains(&kind.principal) && on.contains(&kind.resource);
        if !meant || !chosen(rules, what, kind.action)? || !asked.insert(kind.alike) {
            continue;
        }
        let policies = assuming(rules.relevant(kind), when)?;
        let compiled = rules.compile(&policies, kind)?;
        let found = solver.check_always_denies_with_counterexample_opt(&compiled).await;
        if let Some(found) = found.map_err(Error::internal)? {
            confirm(rules, &rules.policies, &found, Decision::Allow)?;
            return Ok(Some(Counterexample::new(kind, &found)));
        }
    }
    about_something(asked.len())
}

async fn implies(
    rules: &Rules,
    solver: &mut Solver,
    kind: &Kind,
    other: Action,
    given: &str,
) -> Result<Option<Counterexample>> {
    let same =
        |to: &&Kind| to.action == other && to.principal == kind.principal && to.resource == kind.resource;
    let Some(to) = rules.kinds().iter().find(same) else {
        return Err(Error::internal(format!(
            "`{other}` is not asked of the same resources as `{}`",
            kind.action
        )));
    };
    let one = assuming(&rules.for_any_action(kind)?, given)?;
    let two = set(rules.for_any_action(to)?)?;
    let (first, second) = (rules.compile(&one, to)?, rules.compile(&two, to)?);
    let found = solver.check_implies_with_counterexample_opt(&first, &second).await;
    let Some(found) = found.map_err(Error::internal)? else { return Ok(None) };
    confirm(rules, &one, &found, Decision::Allow)?;
    confirm(rules, &two, &found, Decision::Deny)?;
    let question = Counterexample::new(to, &found);
    Ok(Some(Counterexample::about(format!("{question}; `{}` would be allowed", kind.action))))
}

async fn never_refused_by(
    rules: &Rules,
    solver: &mut Solver,
    to: PrincipalKind,
    policies: &str,
) -> Result<Option<Counterexample>> {
    let meant = |policy: &cedar_policy::Policy| AsRef::<str>::as_ref(policy.id()).starts_with(policies);
    if !rules.policies.policies().any(meant) {
        return about_something(0);
    }
    let mut asked = HashSet::new();
    for kind in rules.kinds().iter().filter(|kind| kind.principal == to) {
        let all = rules.relevant(kind);
        if !all.iter().any(meant) || !asked.insert(kind.alike) {
            continue;
        }
        let without = set(all.iter().filter(|policy| !meant(policy)).cloned())?;
        let with = set(all.iter().cloned())?;
        let (first, second) = (rules.compile(&without, kind)?, rules.compile(&with, kind)?);
        let found = solver.check_implies_with_counterexample_opt(&first, &second).await;
        if let Some(found) = found.map_err(Error::internal)? {
            confirm(rules, &without, &found, Decision::Allow)?;
            confirm(rules, &with, &found, Decision::Deny)?;
            return Ok(Some(Counterexample::new(kind, &found)));
        }
    }
    Ok(None)
}

async fn no_errors(rules: &Rules, solver: &mut Solver) -> Result<Option<Counterexample>> {
    let mut asked = HashSet::new();
    for kind in rules.kinds() {
        for policy in rules.relevant(kind) {
            // Which action it is makes no difference to a policy that looks at it in its head alone.
            let action = rules.looks_at_the_action(policy).then_some(kind.action);
            if !asked.insert((policy.id(), kind.principal, kind.resource, action)) {
                continue;
            }
            let compiled = CompiledPolicy::compile(policy, &kind.environment, &rules.schema);
            let compiled = compiled.map_err(Error::internal)?;
            let found = solver.check_never_errors_with_counterexample_opt(&compiled).await;
            if let Some(found) = found.map_err(Error::internal)? {
                confirm_error(rules, &set([policy.clone()])?, &found)?;
                let question = Counterexample::new(kind, &found);
                return Ok(Some(Counterexample::about(format!("`{}` errs when {question}", policy.id()))));
            }
        }
    }
    Ok(None)
}

async fn every_policy_matters(rules: &Rules, solver: &mut Solver) -> Result<Option<Counterexample>> {
    let mut policies: Vec<_> = rules.policies.policies().collect();
    policies.sort_by(|one, other| one.id().cmp(other.id()));
    for policy in policies {
        let mut matters = false;
        let mut asked = HashSet::new();
        for kind in rules.kinds() {
            let all = rules.relevant(kind);
            if !all.contains(policy) || !asked.insert(kind.alike) {
                continue;
            }
            let with = rules.compile(&set(all.iter().cloned())?, kind)?;
            let without = set(all.iter().filter(|other| *other != policy).cloned())?;
            let without = rules.compile(&without, kind)?;
            if !solver.check_equivalent_opt(&with, &without).await.map_err(Error::internal)? {
                matters = true;
                break;
            }
        }
        if !matters {
            let text = format!("without `{}` every question would be decided as it is with it", policy.id());
            return Ok(Some(Counterexample::about(text)));
        }
    }
    Ok(None)
}
