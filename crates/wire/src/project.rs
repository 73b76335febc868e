//! Projects.

use model::{DisplayName, ProjectId, ProjectKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::format::typed;
use crate::workspace::Workspace;
use crate::{Base, Braced, DateTime, Link, Parameters};

/// A project.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "project")]
#[schemars(transform = typed("project"))]
pub struct Project {
    /// Its id.
    pub uuid: Braced,
    /// Its key, unique in the workspace.
    pub key: String,
    /// The name that people read.
    pub name: String,
    /// Where its parts are found.
    pub links: ProjectLinks,
    /// What stands only at the project's own address and in lists of projects.
    #[serde(flatten)]
    pub detail: Option<Box<ProjectDetail>>,
}

/// What stands only in a project's full form.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "project_detail")]
pub struct ProjectDetail {
    /// The workspace, as an account.
    pub owner: Account,
    /// The workspace.
    pub workspace: Workspace,
    /// What it is for.
    pub description: String,
    /// A private project holds no public repositories.
    pub is_private: bool,
    /// Whether any of its repositories is public.
    pub has_publicly_visible_repos: bool,
    /// When it was made.
    pub created_on: DateTime,
    /// When it was last changed.
    pub updated_on: DateTime,
}

/// Where a project's parts are found.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "project_links")]
pub struct ProjectLinks {
    /// The project itself, in the API.
    #[serde(rename = "self")]
    pub this: Link,
    /// Its page.
    pub html: Link,
    /// Its picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<Link>,
    /// Its repositories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repositories: Option<Link>,
}

impl Project {
    /// The short form, as embedded in other objects.
    #[must_use]
    pub fn new(base: &Base, workspace: &str, id: ProjectId, key: String, name: String) -> Self {
        let links = ProjectLinks {
            this: base.api(&["workspaces", workspace, "projects", &key]),
            html: base.html(&[workspace, "workspace", "projects", &key]),
            avatar: None,
            repositories: None,
        };
        Self { uuid: Braced::from(id), key, name, links, detail: None }
    }

    /// The full form.
    #[must_use]
    pub fn detailed(mut self, base: &Base, detail: ProjectDetail) -> Self {
        let filter = Parameters::default().with("q", &format!("project.key=\"{}\"", self.key)).encode();
        let repositories = base.api(&["repositories", &detail.workspace.slug]).href;
        self.links.repositories = Some(Link::new(format!("{repositories}?{filter}")));
        self.detail = Some(Box::new(detail));
        self
    }
}

/// The body that makes or changes a project. Fields that are not known are passed over; absent ones keep their value.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, expecting = "an object")]
#[schemars(rename = "project_input")]
pub struct ProjectInput {
    /// The key; on a change, the new one.
    #[schemars(with = "Option<String>")]
    pub key: Option<ProjectKey>,
    /// The name that people read.
    #[schemars(with = "Option<String>")]
    pub name: Option<DisplayName>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it holds no public repositories.
    pub is_private: Option<bool>,
}

#[cfg(test)]
mod tests {
    use model::{Random, Timestamp, WorkspaceId};
    use serde_json::json;

    use super::*;
    use crate::account::Team;
    use crate::body;

    #[test]
    fn short_and_full() {
        let base = Base::new("https://git.example.com");
        let random = Random::seeded(1);
        let (id, home) = (ProjectId::new(&random), WorkspaceId::new(&random));
        let short = Project::new(&base, "acme", id, "CORE".to_owned(), "Core".to_owned());
        assert_eq!(
            json!(short),
            json!({
                "type": "project", "uuid": id.braced(), "key": "CORE", "name": "Core",
                "links": {
                    "self": { "href": "https://git.example.com/2.0/workspaces/acme/projects/CORE" },
                    "html": { "href": "https://git.example.com/acme/workspace/projects/CORE" },
                },
            })
        );
        let moment = DateTime::from(Timestamp::from_micros(0));
        let full = json!(short.detailed(
            &base,
            ProjectDetail {
                owner: Account::Team(Team::new(&base, home, "acme", "Acme".to_owned())),
                workspace: Workspace::new(&base, home, "acme".to_owned(), "Acme".to_owned()),
                description: String::new(),
                is_private: true,
                has_publicly_visible_repos: false,
                created_on: moment,
                updated_on: moment,
            }
        ));
        assert_eq!(full["owner"]["type"], "team");
        assert_eq!(full["is_private"], true);
        assert_eq!(
            full["links"]["repositories"]["href"],
            "https://git.example.com/2.0/repositories/acme?q=project.key%3D%22CORE%22"
        );
    }

    #[test]
    fn a_body_with_more_than_is_known_is_read() {
        let input: ProjectInput =
            body::read(br#"{"key": "CORE", "name": "Core", "links": {"avatar": {}}, "is_private": true}"#)
                .unwrap();
        assert_eq!(input.key.unwrap().as_str(), "CORE");
        assert_eq!((input.is_private, input.description), (Some(true), None));
        let error = body::read::<ProjectInput>(br#"{"key": "core"}"#).unwrap_err().to_string();
        assert!(error.starts_with("`key`: use 1 to 40 capital letters"), "{error}");
    }
}
