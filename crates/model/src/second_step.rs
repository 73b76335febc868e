//! A second step: what a person proves beside the password. Without its secret.

use std::str::FromStr;

use crate::{DisplayName, SecondStepId, Timestamp, UserId};

/// What kind of second step. Recovery codes are none: they stand in for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecondStepKind {
    /// An app that shows six digits, new ones every half minute (RFC 6238).
    Totp,
    /// A passkey (WebAuthn); also good as the only step.
    Passkey,
}

impl SecondStepKind {
    /// The word for it in the store and the audit trail.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Passkey => "passkey",
        }
    }
}

impl FromStr for SecondStepKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Totp, Self::Passkey].into_iter().find(|kind| kind.as_str() == text).ok_or(())
    }
}

/// A confirmed second step, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondStep {
    /// Its id.
    pub id: SecondStepId,
    /// Whose.
    pub user: UserId,
    /// What kind.
    pub kind: SecondStepKind,
    /// The name that its owner gave it.
    pub name: DisplayName,
    /// When it was confirmed.
    pub created_on: Timestamp,
    /// When it last let its owner in.
    pub last_used_on: Option<Timestamp>,
}
