//! What one more `forbid` does to the access model: whether it refuses anything that was allowed, and whether it leaves
//! anything allowed at all.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use cedar_policy::Policy;
use model::{Error, ResourceKind, Result};
use policy::{AccessModel, PrincipalKind};

use crate::compare::lost;
use crate::counterexample::Counterexample;
use crate::rules::{Kind, Rules, set};
use crate::solver::start;

/// What is found of a rule; none where the time did not suffice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// Whether it refuses anything that would be allowed without it.
    pub can_fire: Option<bool>,
    /// Whether nothing in a workspace would be allowed any more, the operator aside.
    pub refuses_everything: Option<bool>,
    /// A question that is allowed without it and refused with it.
    pub example: Option<Counterexample>,
}

/// Looks at a rule with the solver at `path`, for at most `patience` in all.
pub async fn examine(path: &Path, model: &AccessModel, rule: &Policy, patience: Duration) -> Result<Finding> {
    let end = Instant::now() + patience;
    let old = Rules::of(model)?;
    let mut policies = model.policies().clone();
    policies.add(rule.clone()).map_err(Error::internal)?;
    let new = Rules::new(model.schema(), &policies)?;
    let mut solver = start(path)?;
    let mut finding = Finding::default();
    let mut meant: Vec<&Kind> = new.kinds().iter().filter(|kind| is_in_a_workspace(kind)).collect();
    // People reading and writing repositories make the examples that are understood best.
    meant.sort_by_key(|kind| {
        (kind.principal != PrincipalKind::User, kind.resource != ResourceKind::Repository)
    });
    let mut seen = HashSet::new();
    meant.retain(|kind| seen.insert(kind.alike));
    finding.can_fire = Some(false);
    for kind in &meant {
        if Instant::now() > end {
            finding.can_fire = None;
            break;
        }
        if old.relevant(kind) == new.relevant(kind) {
            continue;
        }
        if let Some(question) = lost(&old, &new, kind, &mut solver).await? {
            finding.can_fire = Some(true);
            finding.example = Some(question);
            break;
        }
    }
    finding.refuses_everything = Some(true);
    for kind in meant {
        if Instant::now() > end {
            finding.refuses_everything = None;
            break;
        }
        let compiled = new.compile(&set(new.relevant(kind).iter().cloned())?, kind)?;
        if !solver.check_always_denies_opt(&compiled).await.map_err(Error::internal)? {
            finding.refuses_everything = Some(false);
            break;
        }
    }
    Ok(finding)
}

fn is_in_a_workspace(kind: &Kind) -> bool {
    let within = [ResourceKind::Workspace, ResourceKind::Project, ResourceKind::Repository];
    kind.principal != PrincipalKind::Operator && within.contains(&kind.resource)
}
