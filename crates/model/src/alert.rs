//! Alerts: what stands out in the audit trail and in the daily counts, for somebody to look at.

use std::fmt;
use std::str::FromStr;

use crate::{AlertId, Timestamp, WorkspaceId};

/// What stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertPattern {
    /// Many requests with one credential were refused.
    ManyRefusals,
    /// A credential was used from a network where it was never seen.
    UnseenNetwork,
    /// A guardrail holds less than before.
    GuardrailLoosened,
    /// Somebody became an administrator of the instance, or an owner of a workspace.
    AdministratorMade,
    /// Somebody read many repositories, more than they usually do.
    MassRead,
}

impl AlertPattern {
    /// Every pattern.
    pub const ALL: [Self; 5] = [
        Self::ManyRefusals,
        Self::UnseenNetwork,
        Self::GuardrailLoosened,
        Self::AdministratorMade,
        Self::MassRead,
    ];

    /// What stands out, in words: `many requests were refused`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::ManyRefusals => "many requests were refused",
            Self::UnseenNetwork => "a credential was used from a network not seen before",
            Self::GuardrailLoosened => "a guardrail was loosened",
            Self::AdministratorMade => "somebody was made owner or administrator",
            Self::MassRead => "many repositories were read",
        }
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ManyRefusals => "many-refusals",
            Self::UnseenNetwork => "unseen-network",
            Self::GuardrailLoosened => "guardrail-loosened",
            Self::AdministratorMade => "administrator-made",
            Self::MassRead => "mass-read",
        }
    }
}

/// Which alerts a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertFilter {
    /// Every one.
    All,
    /// Those that nobody has acknowledged.
    Open,
}

/// The text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no pattern of alerts has this name")]
pub struct BadAlertPattern;

impl FromStr for AlertPattern {
    type Err = BadAlertPattern;

    fn from_str(text: &str) -> Result<Self, BadAlertPattern> {
        Self::ALL.into_iter().find(|pattern| pattern.as_str() == text).ok_or(BadAlertPattern)
    }
}

impl fmt::Display for AlertPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An alert: one for each pattern, subject and day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// Whose it is; none for the instance's.
    pub workspace: Option<WorkspaceId>,
    /// What stands out.
    pub pattern: AlertPattern,
    /// Who or what stands out, as the audit trail names it.
    pub subject: String,
    /// On which day, in days since the epoch.
    pub day: i64,
    /// What happened, as a sentence. Names in it are as people chose them.
    pub told: String,
    /// When it was raised.
    pub raised_on: Timestamp,
    /// Who has looked at it, and when.
    pub acknowledged: Option<(String, Timestamp)>,
}
