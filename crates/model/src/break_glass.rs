//! Break-glass: an administrator of the instance reads in one workspace for a few hours, for a reason.

use crate::{BreakGlassId, Timestamp, UserId, Username, WorkspaceId, WorkspaceSlug};

/// Break-glass that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakGlass {
    /// Its id.
    pub id: BreakGlassId,
    /// Where it opens private content.
    pub workspace: WorkspaceId,
    /// The same, by its name in addresses.
    pub workspace_slug: WorkspaceSlug,
    /// For whom.
    pub user: UserId,
    /// The same, by name.
    pub username: Username,
    /// Why.
    pub reason: String,
    /// For how many hours, from when it is given.
    pub hours: i64,
    /// When it was asked for.
    pub requested_on: Timestamp,
    /// When it was given; none while it waits.
    pub approved_on: Option<Timestamp>,
    /// Who gave it, as the audit trail names them; none where nobody else could have.
    pub approved_by: Option<String>,
    /// When it ends by itself; of one that waits, when it is not waited for any more.
    pub expires_on: Timestamp,
    /// When somebody ended it, or refused it.
    pub ended_on: Option<Timestamp>,
    /// Who, as the audit trail names them.
    pub ended_by: Option<String>,
}

impl BreakGlass {
    /// `requested`, `in-force`, `expired` or `ended`.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> &'static str {
        match (self.ended_on, self.approved_on) {
            (Some(_), _) => "ended",
            _ if self.expires_on <= now => "expired",
            (None, Some(_)) => "in-force",
            (None, None) => "requested",
        }
    }
}
