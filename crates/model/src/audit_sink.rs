//! Receivers of the audit trail.

use std::fmt;
use std::str::FromStr;

use crate::{AuditSinkId, Timestamp, WorkspaceId};

/// How a receiver is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuditSinkKind {
    /// Lines of JSON by HTTPS, signed.
    Webhook,
    /// Syslog over TLS.
    Syslog,
}

impl AuditSinkKind {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Syslog => "syslog",
        }
    }
}

/// The text is no kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write `webhook` or `syslog`")]
pub struct BadAuditSinkKind;

impl FromStr for AuditSinkKind {
    type Err = BadAuditSinkKind;

    fn from_str(text: &str) -> Result<Self, BadAuditSinkKind> {
        [Self::Webhook, Self::Syslog].into_iter().find(|kind| kind.as_str() == text).ok_or(BadAuditSinkKind)
    }
}

impl fmt::Display for AuditSinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSink {
    /// Its id.
    pub id: AuditSinkId,
    /// Whose trail it is told; none for the whole one.
    pub workspace: Option<WorkspaceId>,
    /// How it is spoken to.
    pub kind: AuditSinkKind,
    /// Where it is: an HTTPS address, or a host and a port.
    pub address: String,
    /// Who set it, as the audit trail names them.
    pub created_by: String,
    /// When.
    pub created_on: Timestamp,
}

/// How far a receiver has been told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditSinkState {
    /// The place in the ledger that comes next: everything before it was received.
    pub next: u64,
    /// When something was last received.
    pub succeeded_on: Option<Timestamp>,
    /// When something was last not received.
    pub failed_on: Option<Timestamp>,
    /// Why.
    pub last_error: Option<String>,
    /// How often in a row.
    pub failures: i64,
    /// When it is tried again.
    pub retry_on: Option<Timestamp>,
}
