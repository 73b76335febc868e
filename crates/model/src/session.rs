//! A session: somebody who signed in with a browser. Without its secret, of which only the hash is kept.

use std::str::FromStr;

use crate::{SessionId, Timestamp, UserId};

/// How somebody signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignInMethod {
    /// With the account's password.
    Password,
    /// With a passkey alone, which is two factors in one.
    Passkey,
    /// With a workspace's identity provider.
    OpenIdConnect,
}

impl SignInMethod {
    /// The word for it in the store and the audit trail.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Passkey => "passkey",
            Self::OpenIdConnect => "openid-connect",
        }
    }
}

impl FromStr for SignInMethod {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Password, Self::Passkey, Self::OpenIdConnect]
            .into_iter()
            .find(|method| method.as_str() == text)
            .ok_or(())
    }
}

/// A session, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// When its owner signed in.
    pub created_on: Timestamp,
    /// When it was last used, to within a minute.
    pub last_seen_on: Timestamp,
    /// When it got the secret it has now.
    pub rotated_on: Timestamp,
    /// When it ends, however much it is used.
    pub expires_on: Timestamp,
    /// The address that its owner signed in from.
    pub address: Option<String>,
    /// What the browser said of itself then; shown to the owner, believed for nothing.
    pub user_agent: String,
    /// How its owner signed in.
    pub method: SignInMethod,
    /// The identity provider, where it was one.
    pub provider: Option<String>,
    /// When a second step was last given.
    pub second_step_on: Option<Timestamp>,
    /// Until when it counts as stepped up: who it is was proved a short while ago.
    pub stepped_up_until: Option<Timestamp>,
}

impl Session {
    /// Whether who uses it has proved a short while ago who they are.
    #[must_use]
    pub fn is_stepped_up(&self, now: Timestamp) -> bool {
        self.stepped_up_until.is_some_and(|until| now < until)
    }
}
