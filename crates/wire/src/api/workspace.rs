//! Workspaces, for those who make them.

use model::{DisplayName, WorkspaceSlug};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Braced, DateTime};

/// A workspace.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "managed_workspace")]
pub struct Workspace {
    /// Its id.
    pub uuid: Braced,
    /// The first part of clone addresses.
    pub slug: String,
    /// The name that people read.
    pub name: String,
    /// When it was made.
    pub created_on: DateTime,
}

impl From<&model::Workspace> for Workspace {
    fn from(workspace: &model::Workspace) -> Self {
        Self {
            uuid: workspace.id.into(),
            slug: workspace.slug.to_string(),
            name: workspace.name.to_string(),
            created_on: workspace.created_on.into(),
        }
    }
}

/// The body that makes a workspace.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "managed_workspace_create")]
pub struct WorkspaceCreate {
    /// The first part of clone addresses.
    #[schemars(with = "String")]
    pub slug: WorkspaceSlug,
    /// The name that people read.
    #[schemars(with = "String")]
    pub name: DisplayName,
}

/// The body that changes a workspace; absent fields keep their value.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "managed_workspace_update")]
pub struct WorkspaceUpdate {
    /// The first part of clone addresses.
    #[schemars(with = "Option<String>")]
    pub slug: Option<WorkspaceSlug>,
    /// The name that people read.
    #[schemars(with = "Option<String>")]
    pub name: Option<DisplayName>,
}

#[cfg(test)]
mod tests {
    use model::{Random, Timestamp, WorkspaceId};
    use serde_json::json;

    use super::*;
    use crate::body;

    #[test]
    fn a_workspace_has_the_published_fields() {
        let id = WorkspaceId::new(&Random::seeded(1));
        let workspace = model::Workspace {
            id,
            slug: "acme".parse().unwrap(),
            name: "Acme".parse().unwrap(),
            created_on: Timestamp::from_micros(0),
            updated_on: Timestamp::from_micros(0),
        };
        assert_eq!(
            json!(Workspace::from(&workspace)),
            json!({
                "uuid": id.braced(), "slug": "acme", "name": "Acme",
                "created_on": "1970-01-01T00:00:00.000000+00:00",
            })
        );
    }

    #[test]
    fn a_slug_that_is_a_page_is_refused() {
        let error = body::read::<WorkspaceCreate>(br#"{"slug": "api", "name": "x"}"#).unwrap_err();
        assert_eq!(error.to_string(), "`slug`: this name is reserved");
        let update: WorkspaceUpdate = body::read(br#"{"name": "Acme"}"#).unwrap();
        assert_eq!((update.slug, update.name.unwrap().as_str()), (None, "Acme"));
    }
}
