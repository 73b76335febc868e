//! Identity tokens of a workspace's pipelines: what they say, the keys that sign them, and how others come to trust them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::DateTime;

/// What a workspace's identity tokens are like.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "identity_tokens")]
pub struct IdentityTokens {
    /// The issuer. It survives renames of the workspace.
    pub issuer: String,
    /// The audience of tokens that name none.
    pub default_audience: String,
    /// `RS256` or `ES256`: how keys sign that are made from now on.
    pub algorithm: String,
    /// The template of the subject; null for Bitbucket's form.
    pub subject_template: Option<String>,
    /// Whether tokens hold session tags for Amazon.
    pub session_tags: bool,
    /// The keys, the oldest first. None is there before the first token or rotation.
    pub keys: Vec<IdentityTokenKey>,
    /// What keeps others from trusting the issuer.
    pub warnings: Vec<String>,
}

/// A key that signs identity tokens.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "identity_token_key")]
pub struct IdentityTokenKey {
    /// Its id: the thumbprint of its public half (RFC 7638).
    pub kid: String,
    /// `RS256` or `ES256`.
    pub algorithm: String,
    /// `waiting`: published and not signing yet; `signing`; `retiring`: published until its tokens have ended; `retired`;
    /// `revoked`.
    pub state: &'static str,
    /// When it was made and published.
    pub created_on: DateTime,
    /// From when it signs.
    pub activates_on: DateTime,
    /// When it is published no more; null until a younger one follows it.
    pub retires_on: Option<DateTime>,
    /// When it was revoked.
    pub revoked_on: Option<DateTime>,
}

/// The body that sets what a workspace's identity tokens are like, whole.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "identity_tokens_set")]
pub struct IdentityTokensSet {
    /// `RS256`, as without it, or `ES256`: how keys sign that are made from now on.
    #[serde(default)]
    pub algorithm: Option<String>,
    /// The template of the subject, as `{repository_uuid}:{ref}`; Bitbucket's form without one.
    #[serde(default)]
    pub subject_template: Option<String>,
    /// Whether tokens hold session tags for Amazon.
    #[serde(default)]
    pub session_tags: bool,
}

/// The body that asks for a new key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "identity_token_key_create")]
pub struct IdentityTokenKeyCreate {
    /// After how many seconds it signs; after a day without it. Until then it is published, so that verifiers know it.
    #[serde(default)]
    pub activates_after: Option<i64>,
}

/// What a repository's identity tokens are like.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "repository_identity_tokens")]
pub struct RepositoryIdentityTokens {
    /// The issuer.
    pub issuer: String,
    /// The audience of tokens that name none.
    pub default_audience: String,
    /// The repository's own template of the subject; null where the workspace's holds.
    pub own_subject_template: Option<String>,
    /// The template in force; null for Bitbucket's form.
    pub subject_template: Option<String>,
    /// What the repository itself says of session tags for Amazon; null where the workspace's word holds.
    pub own_session_tags: Option<bool>,
    /// Whether tokens hold session tags for Amazon.
    pub session_tags: bool,
    /// What the token of a step says that deploys from the main branch. Its ids of runs and steps are made up.
    pub sample: Value,
    /// How others come to trust these tokens.
    pub trust: TrustPolicies,
}

/// Documents to paste, with what is the reader's to fill in written in capitals.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "identity_token_trust")]
pub struct TrustPolicies {
    /// Amazon: the trust policy of a role, JSON.
    pub aws: String,
    /// Amazon: the same, with conditions on session tags.
    pub aws_session_tags: String,
    /// Google Cloud: commands.
    pub gcp: String,
    /// Microsoft Entra ID: a federated credential, JSON.
    pub azure: String,
    /// `HashiCorp` Vault: a role of the JWT method, JSON.
    pub vault: String,
    /// What keeps some of them from working.
    pub warnings: Vec<String>,
}

/// The body that sets what a repository's identity tokens are like, whole.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "repository_identity_tokens_set")]
pub struct RepositoryIdentityTokensSet {
    /// The template of the subject; the workspace's without one.
    #[serde(default)]
    pub subject_template: Option<String>,
    /// Whether tokens hold session tags for Amazon; as the workspace has it where nothing is said.
    #[serde(default)]
    pub session_tags: Option<bool>,
}
