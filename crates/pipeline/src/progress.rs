//! How a run goes on: which steps become ready, which are passed over, which are stopped, and what the run comes to.
//!
//! Groups run in order, each when the one before has ended well. Steps of a parallel group become ready together; those of
//! a stage, and single steps, one after the other. A step that fails ends the run when its group has ended; where it is
//! `fail-fast`, the others of its group are stopped at once. What does not run any more is `NotRun`.

use serde::{Deserialize, Serialize};

use crate::plan::{Group, GroupKind};

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// Its turn has not come.
    Pending,
    /// Somebody must start it.
    Paused,
    /// A runner may take it.
    Ready,
    /// A runner has it.
    Running,
    /// It succeeded.
    Passed,
    /// It failed, or could not be run.
    Failed,
    /// Somebody stopped it.
    Stopped,
    /// Its condition did not hold.
    Skipped,
    /// The run ended before its turn came.
    NotRun,
}

impl StepState {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Paused,
        Self::Ready,
        Self::Running,
        Self::Passed,
        Self::Failed,
        Self::Stopped,
        Self::Skipped,
        Self::NotRun,
    ];

    /// The word for it in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paused => "paused",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Skipped => "skipped",
            Self::NotRun => "not-run",
        }
    }

    /// Whether it changes no more by itself.
    #[must_use]
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Pending | Self::Paused | Self::Ready | Self::Running)
    }

    /// Whether what comes after it may run.
    fn lets_on(self) -> bool {
        matches!(self, Self::Passed | Self::Skipped)
    }
}

/// The text names no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no state of a step")]
pub struct BadState;

impl std::str::FromStr for StepState {
    type Err = BadState;

    fn from_str(text: &str) -> Result<Self, BadState> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(BadState)
    }
}

/// What is known of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its state.
    pub state: StepState,
    /// Whether somebody must start it.
    pub manual: bool,
    /// Whether somebody has.
    pub started: bool,
    /// Whether its failure stops the others of its parallel group.
    pub fail_fast: bool,
}

/// What a run comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// No step has begun.
    Pending,
    /// Steps run, or wait for a runner.
    Running,
    /// Nothing goes on until somebody starts a step.
    Paused,
    /// All steps that had to have passed.
    Passed,
    /// A step failed.
    Failed,
    /// Somebody stopped it.
    Stopped,
}

/// What changes now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advance {
    /// Steps, by index, whose state changes, and to what.
    pub changes: Vec<(usize, StepState)>,
    /// Running steps, by index, that are to be stopped.
    pub stop: Vec<usize>,
}

/// Goes as far as the run can go. `holds` tells whether a step's condition holds; it is asked once, when the turn of the
/// step has come.
pub fn advance(groups: &[Group], steps: &mut [Standing], mut holds: impl FnMut(usize) -> bool) -> Advance {
    let mut told = Advance::default();
    let mut lets_on = true;
    for group in groups {
        if lets_on {
            begin(group, steps, &mut holds, &mut told);
        }
        end(group, steps, &mut told);
        let over = |index: &usize| steps.get(*index).is_none_or(|step| step.state.lets_on());
        let all = group.steps.iter().all(over);
        lets_on = lets_on && all;
        // Where a step of this group has failed or was stopped, those behind it do not run.
        let dead = group.steps.iter().any(|index| {
            steps.get(*index).is_some_and(|step| {
                matches!(step.state, StepState::Failed | StepState::Stopped | StepState::NotRun)
            })
        });
        if dead {
            let behind = group.steps.last().map_or(0, |last| last + 1);
            for index in behind..steps.len() {
                change(steps, index, StepState::NotRun, &mut told);
            }
            break;
        }
        if !lets_on {
            break;
        }
    }
    told
}

fn change(steps: &mut [Standing], index: usize, to: StepState, told: &mut Advance) {
    if let Some(step) = steps.get_mut(index)
        && !step.state.is_over()
        && step.state != to
        && step.state != StepState::Running
    {
        step.state = to;
        told.changes.push((index, to));
    }
}

/// Lets the steps of a group begin whose turn has come.
fn begin(group: &Group, steps: &mut [Standing], holds: &mut impl FnMut(usize) -> bool, told: &mut Advance) {
    for (at, index) in group.steps.iter().enumerate() {
        let Some(step) = steps.get(*index).copied() else { continue };
        match step.state {
            StepState::Pending | StepState::Paused => {
                let manual = step.manual || (group.manual && at == 0);
                let to = match manual && !step.started {
                    true => StepState::Paused,
                    false if holds(*index) => StepState::Ready,
                    false => StepState::Skipped,
                };
                change(steps, *index, to, told);
            }
            _ => {}
        }
        // One after the other: the next one's turn comes when this one has ended well.
        let goes_on = steps.get(*index).is_some_and(|step| step.state.lets_on());
        if group.kind != GroupKind::Parallel && !goes_on {
            return;
        }
    }
}

/// Ends what a failure in the group ends.
fn end(group: &Group, steps: &mut [Standing], told: &mut Advance) {
    let bad = |step: &Standing| matches!(step.state, StepState::Failed | StepState::Stopped);
    let failed: Vec<Standing> =
        group.steps.iter().filter_map(|index| steps.get(*index)).filter(|step| bad(step)).copied().collect();
    if failed.is_empty() {
        return;
    }
    let fast = failed.iter().any(|step| step.fail_fast);
    for index in &group.steps {
        match (group.kind, steps.get(*index).map(|step| step.state)) {
            // Its siblings go on unless one is fail-fast; those that wait for somebody do not.
            (GroupKind::Parallel, Some(StepState::Running)) if fast => told.stop.push(*index),
            (GroupKind::Parallel, Some(StepState::Ready)) if !fast => {}
            (_, Some(StepState::Running)) => {}
            _ => change(steps, *index, StepState::NotRun, told),
        }
    }
}

/// What the run comes to.
#[must_use]
pub fn state(steps: &[Standing]) -> RunState {
    let any = |state: StepState| steps.iter().any(|step| step.state == state);
    let begun = steps.iter().any(|step| !matches!(step.state, StepState::Pending | StepState::Ready));
    if any(StepState::Running) {
        RunState::Running
    } else if any(StepState::Ready) {
        if begun { RunState::Running } else { RunState::Pending }
    } else if any(StepState::Failed) {
        RunState::Failed
    } else if any(StepState::Stopped) {
        RunState::Stopped
    } else if any(StepState::Paused) {
        RunState::Paused
    } else if any(StepState::Pending) {
        RunState::Pending
    } else {
        RunState::Passed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(kind: GroupKind, steps: &[usize], manual: bool) -> Group {
        Group { kind, name: None, steps: steps.to_vec(), manual, deployment: None, condition: None }
    }

    fn pending(manual: bool, fail_fast: bool) -> Standing {
        Standing { state: StepState::Pending, manual, started: false, fail_fast }
    }

    fn states(steps: &[Standing]) -> Vec<StepState> {
        steps.iter().map(|step| step.state).collect()
    }

    use StepState::{Failed, NotRun, Passed, Paused, Pending, Ready, Running, Skipped, Stopped};

    #[test]
    fn single_steps_run_one_after_the_other() {
        let groups = [group(GroupKind::Step, &[0], false), group(GroupKind::Step, &[1], false)];
        let mut steps = [pending(false, false); 2];
        assert_eq!(advance(&groups, &mut steps, |_| true).changes, [(0, Ready)]);
        assert_eq!(state(&steps), RunState::Pending);
        assert_eq!(advance(&groups, &mut steps, |_| true), Advance::default());
        steps[0].state = Passed;
        assert_eq!(advance(&groups, &mut steps, |_| true).changes, [(1, Ready)]);
        assert_eq!(state(&steps), RunState::Running);
        steps[1].state = Passed;
        assert_eq!(state(&steps), RunState::Passed);
    }

    #[test]
    fn a_failure_ends_the_run_when_its_group_has_ended() {
        let groups = [group(GroupKind::Parallel, &[0, 1], false), group(GroupKind::Step, &[2], false)];
        let mut steps = [pending(false, false); 3];
        assert_eq!(advance(&groups, &mut steps, |_| true).changes, [(0, Ready), (1, Ready)]);
        steps[0].state = Failed;
        steps[1].state = Running;
        assert_eq!(advance(&groups, &mut steps, |_| true).changes, [(2, NotRun)]);
        assert_eq!(state(&steps), RunState::Running);
        steps[1].state = Passed;
        assert_eq!(advance(&groups, &mut steps, |_| true), Advance::default());
        assert_eq!(state(&steps), RunState::Failed);
    }

    #[test]
    fn a_fail_fast_step_stops_its_siblings() {
        let groups = [group(GroupKind::Parallel, &[0, 1, 2], false)];
        let mut steps = [pending(false, true); 3];
        advance(&groups, &mut steps, |_| true);
        steps[0].state = Failed;
        steps[1].state = Running;
        let told = advance(&groups, &mut steps, |_| true);
        assert_eq!((told.changes, told.stop), (vec![(2, NotRun)], vec![1]));
    }

    #[test]
    fn what_somebody_must_start_waits_for_them() {
        let groups = [group(GroupKind::Step, &[0], false), group(GroupKind::Stage, &[1, 2], true)];
        let mut steps = [pending(false, false); 3];
        advance(&groups, &mut steps, |_| true);
        steps[0].state = Passed;
        assert_eq!(advance(&groups, &mut steps, |_| true).changes, [(1, Paused)]);
        assert_eq!(state(&steps), RunState::Paused);
        steps[1].started = true;
        assert_eq!(advance(&groups, &mut steps, |_| true).changes, [(1, Ready)]);
        steps[1].state = Passed;
        assert_eq!(advance(&groups, &mut steps, |_| true).changes, [(2, Ready)]);
    }

    #[test]
    fn a_condition_that_does_not_hold_passes_a_step_over() {
        let groups = [group(GroupKind::Step, &[0], false), group(GroupKind::Stage, &[1, 2], false)];
        let mut steps = [pending(false, false); 3];
        let told = advance(&groups, &mut steps, |index| index == 2);
        assert_eq!(told.changes, [(0, Skipped), (1, Skipped), (2, Ready)]);
    }

    proptest! {
        /// Whatever happens to its steps, a run comes to an end, and nothing begins behind a failure.
        #[test]
        fn every_run_ends(
            kinds in prop::collection::vec((0..3_u8, 1..4_usize, any::<bool>()), 1..5),
            fates in prop::collection::vec((0..4_u8, any::<bool>(), any::<bool>()), 20),
        ) {
            let mut groups = Vec::new();
            let mut steps = Vec::new();
            for (kind, count, manual) in kinds {
                let (kind, count) = match kind { 0 => (GroupKind::Step, 1), 1 => (GroupKind::Parallel, count), _ => (GroupKind::Stage, count) };
                let begin = steps.len();
                steps.extend((0..count).map(|at| { let (_, manual, fast) = fates[begin + at]; pending(manual, fast) }));
                groups.push(group(kind, &(begin..begin + count).collect::<Vec<_>>(), manual && kind == GroupKind::Stage));
            }
            let mut rounds = 0;
            loop {
                rounds += 1;
                prop_assert!(rounds < 100, "{:?}", states(&steps));
                let failed = steps.iter().position(|step| matches!(step.state, Failed | Stopped));
                let told = advance(&groups, &mut steps, |index| fates[index].0 != 3);
                if let Some(failed) = failed {
                    let group = groups.iter().position(|group| group.steps.contains(&failed)).unwrap();
                    for (index, to) in &told.changes {
                        let of = groups.iter().position(|group| group.steps.contains(index)).unwrap();
                        prop_assert!(*to != Ready || (of == group && groups[of].kind == GroupKind::Parallel));
                    }
                }
                for index in told.stop { steps[index].state = Stopped; }
                match state(&steps) {
                    RunState::Passed | RunState::Failed | RunState::Stopped => break,
                    _ => {}
                }
                for index in 0..steps.len() {
                    match steps[index].state {
                        Paused => steps[index].started = true,
                        Ready => steps[index].state = Running,
                        Running => steps[index].state = match fates[index].0 { 0 | 3 => Passed, 1 => Failed, _ => Passed },
                        _ => {}
                    }
                }
            }
            prop_assert!(steps.iter().all(|step| step.state.is_over() || (step.state == Paused && steps.iter().any(|other| matches!(other.state, Failed | Stopped)))), "{:?}", states(&steps));
            prop_assert!(!states(&steps).contains(&Pending));
        }
    }
}
