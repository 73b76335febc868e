//! What `/api` does to repositories.

use schemars::JsonSchema;
use serde::Deserialize;

/// The body that moves a repository to another project, of its own or of another workspace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object such as {\"project\": \"PROJ\"}")]
#[schemars(rename = "repository_transfer")]
pub struct Transfer {
    /// The other workspace's slug or id; absent to stay in the same one.
    #[serde(default)]
    pub workspace: Option<String>,
    /// The project's key or id.
    pub project: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body;

    #[test]
    fn a_transfer_needs_a_project() {
        let transfer: Transfer = body::read(br#"{"project": "CORE"}"#).unwrap();
        assert_eq!(transfer, Transfer { workspace: None, project: "CORE".to_owned() });
        let error = body::read::<Transfer>(br#"{"workspace": "acme"}"#).unwrap_err();
        assert_eq!(error.to_string(), "`project`: this field is required");
    }
}
