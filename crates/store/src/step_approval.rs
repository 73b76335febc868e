//! Who has approved steps whose environment asks for approvals.

use model::{Result, StepId, Timestamp, UserId};

use crate::{OrConflict, Reader, Row, Writer, params};

/// Somebody's approval of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepApprovalRow {
    /// Who gave it.
    pub user: UserId,
    /// When.
    pub created_on: Timestamp,
}

fn from_row(row: &Row) -> Result<StepApprovalRow> {
    Ok(StepApprovalRow { user: row.get("user_id")?, created_on: row.get("created_on")? })
}

/// A step's approvals, the first one first.
pub fn list(reader: &mut Reader<'_>, step: StepId) -> Result<Vec<StepApprovalRow>> {
    let rows = reader.all(
        "SELECT user_id, created_on FROM step_approval WHERE step_id = $1 ORDER BY created_on, user_id",
        params![step],
    )?;
    rows.iter().map(from_row).collect()
}

/// Adds somebody's approval.
///
/// # Errors
/// `Conflict` where they have approved the step already.
pub fn insert(writer: &mut Writer<'_>, step: StepId, user: UserId) -> Result<()> {
    let now = writer.now();
    writer
        .execute(
            "INSERT INTO step_approval (step_id, user_id, created_on) VALUES ($1, $2, $3)",
            params![step, user, now],
        )
        .or_conflict("you have approved this step already: somebody else approves it too")
        .map(drop)
}

/// Forgets a step's approvals.
pub(crate) fn forget(writer: &mut Writer<'_>, step: StepId) -> Result<()> {
    writer.execute("DELETE FROM step_approval WHERE step_id = $1", params![step]).map(drop)
}
