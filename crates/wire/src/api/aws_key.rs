//! The server's own key at Amazon.

use model::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{DateTime, body};

/// The server's own key at Amazon, without its secret, which is told to nobody.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "aws_key")]
pub struct AwsKey {
    /// Its id.
    pub access_key_id: String,
    /// The user whose it is.
    pub user: String,
    /// Since when the server has it.
    pub since: DateTime,
    /// When the server replaces it; null where the operator has it replaced by hand.
    pub rotates_on: Option<DateTime>,
    /// The id of the key that is to follow it, and is not proved yet.
    pub pending_key_id: Option<String>,
    /// The id of the key before it, which is still to be removed at Amazon.
    pub old_key_id: Option<String>,
    /// When replacing it failed, where that was the last that was tried.
    pub failed_on: Option<DateTime>,
    /// Why it failed.
    pub last_error: Option<String>,
}

/// The body that gives the server a key of a user of IAM's. Without `Debug`: it holds a secret.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "aws_key_set")]
pub struct AwsKeySet {
    /// Its id: `AKIA…`.
    pub access_key_id: String,
    /// Its secret.
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "String")]
    pub secret_access_key: Secret,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    body::secret(deserializer)?.ok_or_else(|| serde::de::Error::custom("use a text"))
}
