//! Why a request was refused.

use schemars::JsonSchema;
use serde::Serialize;

use super::{AuditEvent, Reason};

/// A refusal, as far as the reader may know of it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "audit_refusal")]
pub struct Refusal {
    /// What was asked, by whom, from where.
    pub event: AuditEvent,
    /// The policies that refused, and what each says.
    pub reasons: Vec<Reason>,
    /// Who or what can change that.
    pub remedies: Vec<String>,
    /// Those who can grant what was missing: `user:ann`. Empty for whoever asked.
    pub changed_by: Vec<String>,
    /// Whether this is all there is to know, or only what whoever asked may know.
    pub whole: bool,
}

/// The refusals of one request: a push has one for each ref.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "audit_refusals")]
pub struct Refusals {
    /// The request.
    pub request_id: String,
    /// Its refusals, in order.
    pub refusals: Vec<Refusal>,
}
