//! Receivers of the audit trail.

use model::{AuditSinkKind, AuditSinkState, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::credential::expose;
use crate::{Braced, DateTime};

/// A receiver of the audit trail, and how far it has been told.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "audit_sink")]
pub struct AuditSink {
    /// Its id.
    pub uuid: Braced,
    /// `webhook` or `syslog`.
    pub kind: &'static str,
    /// Where it is.
    pub address: String,
    /// Who added it.
    pub created_by: String,
    /// When.
    pub created_on: DateTime,
    /// The place in the ledger that comes next: everything before it was received.
    pub next: u64,
    /// How many places it has not been told of.
    pub behind: u64,
    /// When something was last received.
    pub last_success_on: Option<DateTime>,
    /// When something was last not received.
    pub last_failure_on: Option<DateTime>,
    /// Why.
    pub last_error: Option<String>,
    /// How often in a row; 0 when all is well.
    pub failures: i64,
    /// When it is tried again.
    pub retry_on: Option<DateTime>,
}

impl AuditSink {
    /// A receiver in this state.
    #[must_use]
    pub fn new(sink: &model::AuditSink, state: AuditSinkState, behind: u64) -> Self {
        Self {
            uuid: sink.id.into(),
            kind: sink.kind.as_str(),
            address: sink.address.clone(),
            created_by: sink.created_by.clone(),
            created_on: sink.created_on.into(),
            next: state.next,
            behind,
            last_success_on: state.succeeded_on.map(Into::into),
            last_failure_on: state.failed_on.map(Into::into),
            last_error: state.last_error,
            failures: state.failures,
            retry_on: state.retry_on.map(Into::into),
        }
    }
}

/// The receivers of one trail.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "audit_sinks")]
pub struct AuditSinks {
    /// The oldest first.
    pub values: Vec<AuditSink>,
}

/// A receiver that was added. Without `Debug`, so that the secret reaches no log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "audit_sink_created")]
pub struct AuditSinkCreated {
    /// The receiver.
    #[serde(flatten)]
    pub sink: AuditSink,
    /// The key that signs what a webhook is sent: shown this once.
    #[serde(serialize_with = "expose_some")]
    #[schemars(with = "Option<String>")]
    pub secret: Option<Secret>,
}

pub(super) fn expose_some<S: serde::Serializer>(
    secret: &Option<Secret>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => expose(secret, serializer),
        None => serializer.serialize_none(),
    }
}

/// The body that adds a receiver.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "audit_sink_create")]
pub struct AuditSinkCreate {
    /// `webhook` or `syslog`.
    pub kind: String,
    /// An HTTPS address for a webhook; a host and a port for syslog over TLS (6514 where none is named).
    pub address: String,
    /// Whether it is told everything from the beginning, rather than from now on.
    #[serde(default)]
    pub from_beginning: bool,
}

impl AuditSinkCreate {
    /// The kind.
    ///
    /// # Errors
    /// When it is none.
    pub fn kind(&self) -> model::Result<AuditSinkKind> {
        self.kind.parse().map_err(|error| model::Error::invalid_field("kind", error))
    }
}
