//! A grant: a permission of a user or group on a resource.

use crate::{Permission, Resource, Subject, Timestamp};

/// One explicit grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// On what.
    pub on: Resource,
    /// To whom.
    pub subject: Subject,
    /// At which level.
    pub permission: Permission,
    /// Since when.
    pub granted_on: Timestamp,
}
