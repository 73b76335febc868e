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
