//! An identity that is connected with the caller's own account.

use schemars::JsonSchema;
use serde::Serialize;

use crate::DateTime;

/// Whom an identity provider says that the caller is: the identity signs in to their account.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "identity")]
pub struct Identity {
    /// What it is disconnected by. It follows from issuer and subject.
    pub id: String,
    /// The provider's issuer.
    pub issuer: String,
    /// What the provider calls its subject.
    pub subject: String,
    /// The workspace through whose provider it was connected; none where the caller is no member of it any more.
    pub workspace: Option<String>,
    /// When it was connected.
    pub connected_on: DateTime,
}
