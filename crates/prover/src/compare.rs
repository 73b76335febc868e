//! Two sets of policies held against each other: what would be decided differently.

use std::path::Path;

use cedar_policy::{Decision, PolicySet, Schema};
use model::{Error, Result};

use crate::counterexample::{Counterexample, confirm};
use crate::rules::{Kind, Rules, set};
use crate::solver::{Solver, start};

/// What a new set of policies decides differently from an old one: one example for each kind of question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What was allowed and would be refused.
    pub refused_anew: Vec<Counterexample>,
    /// What was refused and would be allowed.
    pub allowed_anew: Vec<Counterexample>,
}

impl Comparison {
    /// Whether both decide every question alike.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.refused_anew.is_empty() && self.allowed_anew.is_empty()
    }
}

/// Compares two sets of policies under one schema, with the solver at `path`.
pub async fn compare(path: &Path, schema: &Schema, old: &PolicySet, new: &PolicySet) -> Result<Comparison> {
    let (old, new) = (Rules::new(schema, old)?, Rules::new(schema, new)?);
    let mut solver = start(path)?;
    let mut comparison = Comparison::default();
    for kind in old.kinds() {
        if old.relevant(kind) == new.relevant(kind) {
            continue;
        }
        comparison.refused_anew.extend(lost(&old, &new, kind, &mut solver).await?);
        comparison.allowed_anew.extend(lost(&new, &old, kind, &mut solver).await?);
    }
    Ok(comparison)
}

/// A question that `from` allows and `to` does not.
pub(crate) async fn lost(
    from: &Rules,
    to: &Rules,
    kind: &Kind,
    solver: &mut Solver,
) -> Result<Option<Counterexample>> {
    let (before, after) =
        (set(from.relevant(kind).iter().cloned())?, set(to.relevant(kind).iter().cloned())?);
    let (first, second) = (from.compile(&before, kind)?, to.compile(&after, kind)?);
    let found = solver.check_implies_with_counterexample_opt(&first, &second).await;
    let Some(found) = found.map_err(Error::internal)? else { return Ok(None) };
    confirm(from, &before, &found, Decision::Allow)?;
    confirm(to, &after, &found, Decision::Deny)?;
    Ok(Some(Counterexample::new(kind, &found)))
}
