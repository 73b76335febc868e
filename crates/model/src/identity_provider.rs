//! Identity providers: who a workspace lets say who its people are (OpenID Connect).

use crate::{GroupSlug, Timestamp, WorkspaceId};

/// A workspace's identity provider, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityProvider {
    /// Whose.
    pub workspace: WorkspaceId,
    /// The issuer: the address that its discovery document lies below, exactly as it names itself.
    pub issuer: String,
    /// How the provider knows this installation.
    pub client_id: String,
    /// Whether there is a client secret; it is kept sealed.
    pub has_secret: bool,
    /// Scopes that are asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The claim of the ID token that lists groups.
    pub groups_claim: Option<String>,
    /// Which of the provider's groups is which of the workspace's.
    pub group_mapping: Vec<GroupMapping>,
    /// Whether whoever it lets in for the first time gets an account, which waits for approval, and membership.
    pub makes_accounts: bool,
    /// Who changed this last, as the audit trail names them.
    pub changed_by: String,
    /// When.
    pub changed_on: Timestamp,
}

/// One of the provider's groups, and the workspace's group whose members it decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMapping {
    /// As the groups claim names it.
    pub claim: String,
    /// The workspace's group.
    pub group: GroupSlug,
}
