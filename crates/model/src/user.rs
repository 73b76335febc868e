//! A person's account.

use crate::{DisplayName, Email, StaffRole, Timestamp, UserId, Username};

/// A person's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The name for signing in; never given to anybody else, also after deletion.
    pub username: Username,
    /// Where mail goes; also the user name for API tokens over REST.
    pub email: Email,
    /// The name that people read.
    pub display_name: DisplayName,
    /// An inactive account reaches nothing.
    pub active: bool,
    /// Its part in running the instance.
    pub staff_role: StaffRole,
    /// Whether it has at least one confirmed second step (a passkey, a TOTP device), which shuts the password out of
    /// everything but signing in.
    pub second_step: bool,
    /// Whether somebody entitled to has said yes to it. Until then it reaches nothing but itself. Accounts that an
    /// administrator made are born approved.
    pub approved: bool,
    /// When it was made.
    pub created_on: Timestamp,
}

/// An account as those who manage accounts see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedUser {
    /// The account.
    pub user: User,
    /// Who last approved it or took the approval back, as the audit trail names them, and when; none where nobody did.
    pub approval: Option<(String, Timestamp)>,
    /// When somebody last signed in to it with a browser; none where nobody is known to have.
    pub signed_in_on: Option<Timestamp>,
}

/// What accounts are looked for by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserState {
    /// In use.
    Active,
    /// Waits for somebody to approve it.
    Waiting,
    /// Switched off.
    Inactive,
    /// Helps to run the instance.
    Staff,
}

impl UserState {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Active, Self::Waiting, Self::Inactive, Self::Staff];

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::Inactive => "inactive",
            Self::Staff => "staff",
        }
    }
}
