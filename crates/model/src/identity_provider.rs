//! Identity providers: who a workspace lets say who its people are (OpenID Connect).

use sha2::{Digest, Sha256};

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

/// Somebody whom a provider identifies, connected with an account here: the identity signs in to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The provider's issuer.
    pub issuer: String,
    /// What the provider calls whom it identifies.
    pub subject: String,
    /// The workspace through whose provider it was connected.
    pub workspace: WorkspaceId,
    /// When it was connected.
    pub connected_on: Timestamp,
}

impl Identity {
    /// What addresses call it, in 32 hexadecimal digits. It follows from issuer and subject, which are what an identity is.
    #[must_use]
    pub fn id(&self) -> String {
        let mut hash = Sha256::new();
        for part in [&self.issuer, &self.subject] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack: an issuer and a subject that put together read as those of somebody else.
    #[test]
    fn an_id_tells_issuer_and_subject_apart() {
        let id = |issuer: &str, subject: &str| {
            let (issuer, subject) = (issuer.to_owned(), subject.to_owned());
            let workspace = WorkspaceId::new(&crate::Random::seeded(1));
            Identity { issuer, subject, workspace, connected_on: Timestamp::from_micros(0) }.id()
        };
        assert_eq!(id("https://id.example.com", "ann").len(), 32);
        assert_eq!(id("a", "b"), id("a", "b"));
        assert_ne!(id("https://id.example.com", "ann"), id("https://id.example.coma", "nn"));
    }
}
