//! The access tokens of a whole workspace.

use model::CredentialId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Credential;
use crate::{Braced, DateTime};

/// An access token of a workspace, of one of its projects or of one of its repositories.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "workspace_token")]
pub struct WorkspaceToken {
    /// The token.
    #[serde(flatten)]
    pub credential: Credential,
    /// What it is bound to, as `repository:acme/one`.
    pub resource: String,
    /// The username of who made it.
    pub creator: Option<String>,
    /// Whether they are an active member of the workspace. The token does not depend on it.
    pub creator_is_here: bool,
    /// What should be looked at.
    pub advice: Vec<TokenAdvice>,
}

/// Something about a token that should be looked at.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "token_advice")]
pub struct TokenAdvice {
    /// `unused`, `over-broad`, `no-end`, `ends-soon` or `creator-gone`.
    pub code: &'static str,
    /// The same as a sentence.
    pub text: String,
    /// Of `unused`: since when. Of `ends-soon`: when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<DateTime>,
    /// Of `over-broad`: the scopes that nothing it did in the last 90 days needed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

/// The body that revokes several.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object such as {\"uuids\": [\"{…}\"]}")]
#[schemars(rename = "tokens_revoke")]
pub struct TokensRevoke {
    /// Their ids, at most 500.
    #[schemars(with = "Vec<Braced>")]
    pub uuids: Vec<CredentialId>,
}

/// What became of each.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "tokens_revoked")]
pub struct TokensRevoked {
    /// The ids of those that were revoked.
    pub revoked: Vec<Braced>,
    /// The ids of those that were not there any more.
    pub gone: Vec<Braced>,
    /// Those that still work, and why.
    pub failed: Vec<TokenNotRevoked>,
}

/// A token that still works.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "token_not_revoked")]
pub struct TokenNotRevoked {
    /// Its id.
    pub uuid: Braced,
    /// Why.
    pub message: String,
}

/// The body that makes a successor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "an object such as {\"overlap_seconds\": 3600}")]
#[schemars(rename = "token_rotate")]
pub struct TokenRotate {
    /// How long the old token still works, at most 30 days; it ends at once by default.
    pub overlap_seconds: u32,
    /// When the successor shall end by itself; by default it lives as long as the old one was made for.
    #[schemars(with = "Option<DateTime>")]
    pub expires_on: Option<model::Timestamp>,
}
