//! Break-glass: an administrator of the instance reads in one workspace for a few hours, for a reason.

use model::{Timestamp, Username};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Braced, DateTime};

/// Break-glass that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "break_glass")]
pub struct BreakGlass {
    /// Its id.
    pub uuid: Braced,
    /// The workspace that it opens.
    pub workspace: String,
    /// The administrator whom it is for.
    pub username: String,
    /// Why.
    pub reason: String,
    /// For how many hours, from when it is given.
    pub hours: i64,
    /// `requested`, `in-force`, `expired` or `ended`.
    pub state: &'static str,
    /// When it was asked for.
    pub requested_on: DateTime,
    /// When it was given.
    pub approved_on: Option<DateTime>,
    /// Who gave it, as `user:ann`; null where there was nobody else, and it took effect at once.
    pub approved_by: Option<String>,
    /// When it ends by itself; while it waits, when it is not waited for any more.
    pub expires_on: DateTime,
    /// When somebody ended it.
    pub ended_on: Option<DateTime>,
    /// Who, as `user:ann`.
    pub ended_by: Option<String>,
}

impl BreakGlass {
    /// As it is at a moment.
    #[must_use]
    pub fn at(one: &model::BreakGlass, now: Timestamp) -> Self {
        Self {
            uuid: one.id.into(),
            workspace: one.workspace_slug.to_string(),
            username: one.username.to_string(),
            reason: one.reason.clone(),
            hours: one.hours,
            state: one.state(now),
            requested_on: one.requested_on.into(),
            approved_on: one.approved_on.map(Into::into),
            approved_by: one.approved_by.clone(),
            expires_on: one.expires_on.into(),
            ended_on: one.ended_on.map(Into::into),
            ended_by: one.ended_by.clone(),
        }
    }
}

/// The body that asks for it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object such as {\"reason\": \"…\", \"hours\": 2}")]
#[schemars(rename = "break_glass_create")]
pub struct BreakGlassCreate {
    /// Why: the workspace's owners read it.
    pub reason: String,
    /// For how many hours, at most 12.
    pub hours: i64,
    /// The administrator whom it is for: named by the command line on the server's machine alone.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub username: Option<Username>,
}
