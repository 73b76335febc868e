//! A workspace's identity provider.

use model::{GroupSlug, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DateTime, body};

/// How a workspace's people sign in through its identity provider.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "workspace_identity_provider")]
pub struct WorkspaceIdentityProvider {
    /// The provider; none where nothing is set.
    pub provider: Option<IdentityProvider>,
    /// Where the provider has to send people back to: to be listed with the client there.
    pub redirect_uri: String,
}

/// An identity provider (OpenID Connect), without its secret.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "identity_provider")]
pub struct IdentityProvider {
    /// The issuer.
    pub issuer: String,
    /// How the provider knows this installation.
    pub client_id: String,
    /// Whether there is a client secret.
    pub has_client_secret: bool,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The claim of the ID token that lists groups.
    pub groups_claim: Option<String>,
    /// Which of the provider's groups is which of the workspace's.
    pub group_mapping: Vec<GroupMapping>,
    /// Whether whoever it lets in for the first time gets an account, which waits for approval, and membership.
    pub makes_accounts: bool,
    /// Who changed this last.
    pub changed_by: String,
    /// When.
    pub changed_on: DateTime,
}

/// One of the provider's groups, and the workspace's group whose members it decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "identity_provider_group")]
pub struct GroupMapping {
    /// As the groups claim names it.
    pub claim: String,
    /// The slug of the workspace's group.
    #[schemars(with = "String")]
    pub group: GroupSlug,
}

impl From<&model::IdentityProvider> for IdentityProvider {
    fn from(provider: &model::IdentityProvider) -> Self {
        let line = |line: &model::GroupMapping| GroupMapping {
            claim: line.claim.clone(),
            group: line.group.clone(),
        };
        Self {
            issuer: provider.issuer.clone(),
            client_id: provider.client_id.clone(),
            has_client_secret: provider.has_secret,
            scopes: provider.scopes.clone(),
            groups_claim: provider.groups_claim.clone(),
            group_mapping: provider.group_mapping.iter().map(line).collect(),
            makes_accounts: provider.makes_accounts,
            changed_by: provider.changed_by.clone(),
            changed_on: provider.changed_on.into(),
        }
    }
}

/// The body that sets a provider, whole. Without `Debug`: it may hold a secret.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "identity_provider_set")]
pub struct IdentityProviderSet {
    /// The issuer, as the provider's own configuration names it.
    pub issuer: String,
    /// How the provider knows this installation.
    pub client_id: String,
    /// The client's secret; without it the one that there is stays, where issuer and client stay.
    #[serde(default, deserialize_with = "body::secret")]
    #[schemars(with = "Option<String>")]
    pub client_secret: Option<Secret>,
    /// What is asked for beside `openid`; `profile` and `email` where nothing is said.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// The claim of the ID token that lists groups.
    #[serde(default)]
    pub groups_claim: Option<String>,
    /// Which of the provider's groups is which of the workspace's.
    #[serde(default)]
    pub group_mapping: Vec<GroupMapping>,
    /// Whether whoever it lets in for the first time gets an account, which waits for approval, and membership.
    #[serde(default)]
    pub makes_accounts: bool,
}
