//! A credential: an access token, app password or API token, without its secret.

use crate::{CredentialId, CredentialKind, DisplayName, Resource, ScopeSet, Timestamp, UserId, WorkspaceId};

/// A credential, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its id; an access token's id as an actor, too.
    pub id: CredentialId,
    /// What kind it is.
    pub kind: CredentialKind,
    /// The name that its maker gave it.
    pub name: DisplayName,
    /// The scopes it was given, as chosen: implied ones are not spelled out.
    pub scopes: ScopeSet,
    /// Whom it stands for.
    pub holder: Holder,
    /// The address to commit with, so that commits map to an access token.
    pub email: Option<String>,
    /// Who made it; for the record alone: an access token does not depend on that person.
    pub created_by: Option<UserId>,
    /// When it was made.
    pub created_on: Timestamp,
    /// When it ends by itself.
    pub expires_on: Option<Timestamp>,
    /// When it was last used, to within a few seconds.
    pub last_used_on: Option<Timestamp>,
    /// When it was revoked, or died with its resource or user.
    pub revoked_on: Option<Timestamp>,
}

/// Whom a credential stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A user, narrowed by the scopes.
    User(UserId),
    /// Itself, bound to a resource in a workspace.
    Resource(Resource, WorkspaceId),
}

impl Credential {
    /// Whether it opens anything at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_on.is_none() && self.expires_on.is_none_or(|end| now < end)
    }
}
