//! Approvals on the page of a run: what a step waits for, and what it offers whoever looks at it.

use model::UserId;
use service::{StepApprovals, StepView};

/// The approvals of a step that waits for more of them.
pub(super) fn missing(view: &StepView) -> Option<&StepApprovals> {
    view.approvals.as_ref().filter(|of| view.row.state == "paused" && of.are_missing())
}

/// What a step that waits for more approvals says.
pub(super) fn waits_for(approvals: &StepApprovals) -> String {
    let names: Vec<String> = approvals.given.iter().map(|one| one.user.display_name.to_string()).collect();
    let (given, required) = (names.len(), approvals.required);
    match names.is_empty() {
        true => format!("Waits for approval: {given} of {required}."),
        false => format!("Waits for approval: {given} of {required}, by {}.", names.join(" and ")),
    }
}

/// What a step that waits offers whoever looks at it.
pub(super) enum Offer {
    /// Nothing.
    Nothing,
    /// To start it.
    Start,
    /// To approve it.
    Approve,
    /// Why an approval of theirs would not count.
    NotTheirs(&'static str),
}

/// What a step offers somebody who may steer the run, or approve deployments, or not.
pub(super) fn offer(view: &StepView, (steers, approves): (bool, bool), viewer: Option<UserId>) -> Offer {
    let started = viewer.is_some() && view.approvals.as_ref().is_some_and(|of| of.started_by == viewer);
    match missing(view) {
        None if steers && view.row.state == "paused" => Offer::Start,
        Some(_) if approves && started => {
            Offer::NotTheirs("You started this run: somebody else approves the step.")
        }
        Some(of) if approves && viewer.is_some_and(|person| of.has(person)) => {
            Offer::NotTheirs("You have approved the step: somebody else approves it too.")
        }
        Some(_) if approves => Offer::Approve,
        _ => Offer::Nothing,
    }
}
