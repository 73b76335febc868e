//! Links by which a new password is set.

use model::Secret;
use schemars::JsonSchema;
use serde::Serialize;

use super::credential::expose;
use crate::DateTime;

/// A link by which one user sets a new password, once. Without `Debug`, so that it reaches no log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "reset_link")]
pub struct ResetLink {
    /// The address to open. Whoever has it can set the password.
    #[serde(serialize_with = "expose")]
    #[schemars(with = "String")]
    pub address: Secret,
    /// When it ends.
    pub expires_on: DateTime,
}
