//! Groups: the object of the 2.0 API, and the bare one of the 1.0 API, which has no `type`.

use model::{DisplayName, Error, RepositoryPermission, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::account::{Account, User};
use crate::format::typed;
use crate::workspace::Workspace;
use crate::{Base, Link, Parameters, body};

/// A group in the 2.0 API.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "group")]
#[schemars(transform = typed("group"))]
pub struct Group {
    /// The name that people read.
    pub name: String,
    /// Its slug, unique in the workspace.
    pub slug: String,
    /// The workspace's slug and its own: `acme:developers`.
    pub full_slug: String,
    /// The workspace, as an account.
    pub owner: Account,
    /// The workspace.
    pub workspace: Workspace,
    /// Where it is found.
    pub links: GroupLinks,
}

/// Where a group is found. The 2.0 API has no address for a group itself.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "group_links")]
pub struct GroupLinks {
    /// Its page.
    pub html: Link,
}

impl Group {
    /// From its facts and its workspace's.
    #[must_use]
    pub fn new(base: &Base, name: String, slug: String, owner: Account, workspace: Workspace) -> Self {
        let html = base.html(&[&workspace.slug, "workspace", "settings", "groups", &slug]);
        let full_slug = format!("{}:{slug}", workspace.slug);
        Self { name, slug, full_slug, owner, workspace, links: GroupLinks { html } }
    }
}

/// A group in the 1.0 API.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "group_1.0")]
pub struct BareGroup {
    /// The name that people read.
    pub name: String,
    /// Its slug, unique in the workspace.
    pub slug: String,
    /// What new repositories grant it: `read`, `write`, `admin`, or null.
    pub permission: Option<&'static str>,
    /// Whether new repositories do so.
    pub auto_add: bool,
    /// Kept for clients that send it.
    pub email_forwarding_disabled: bool,
    /// Its members.
    pub members: Vec<BareAccount>,
    /// The workspace, as an account.
    pub owner: BareAccount,
}

/// An account in the 1.0 API.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "account_1.0")]
pub struct BareAccount {
    /// The name that people read.
    pub display_name: String,
    /// In braces.
    pub uuid: String,
    /// As in the 2.0 API; a workspace has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The short name; a workspace's slug.
    pub nickname: String,
    /// Whether it is a workspace.
    pub is_team: bool,
    /// Always false.
    pub is_staff: bool,
    /// The picture's address; empty where there is none.
    pub avatar: String,
    /// Where it is found, below the base URL.
    pub resource_uri: String,
}

impl BareAccount {
    /// A user.
    #[must_use]
    pub fn user(user: &User) -> Self {
        Self {
            display_name: user.display_name.clone(),
            uuid: user.uuid.as_str().to_owned(),
            account_id: Some(user.account_id.clone()),
            nickname: user.nickname.clone(),
            is_team: false,
            is_staff: false,
            avatar: user.links.avatar.as_ref().map(|link| link.href.clone()).unwrap_or_default(),
            resource_uri: format!("/1.0/users/{}", user.account_id),
        }
    }

    /// A workspace.
    #[must_use]
    pub fn workspace(workspace: &Workspace) -> Self {
        Self {
            display_name: workspace.name.clone(),
            uuid: workspace.uuid.as_str().to_owned(),
            account_id: None,
            nickname: workspace.slug.clone(),
            is_team: true,
            is_staff: false,
            avatar: workspace.links.avatar.as_ref().map(|link| link.href.clone()).unwrap_or_default(),
            resource_uri: format!("/1.0/users/{}", workspace.slug),
        }
    }
}

/// The form that makes a group: `name=…`, not JSON.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(rename = "group_1.0_form")]
pub struct GroupForm {
    /// The name that people read; the slug is made from it.
    #[schemars(with = "String")]
    pub name: DisplayName,
}

impl GroupForm {
    /// Reads the form.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|_| Error::invalid("the form is not UTF-8"))?;
        let form = Parameters::parse(text)?;
        match form.get("name")? {
            Some(name) => match name.parse() {
                Ok(name) => Ok(Self { name }),
                Err(error) => Err(Error::invalid_field("name", error)),
            },
            None => Err(Error::invalid_field("name", "this field is required, as a form: `name=developers`")),
        }
    }
}

/// The body that changes a group. Fields that are not known are passed over; absent ones keep their value.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, expecting = "an object")]
#[schemars(rename = "group_1.0_input")]
pub struct GroupInput {
    /// The name that people read.
    #[schemars(with = "Option<String>")]
    pub name: Option<DisplayName>,
    /// What new repositories grant it: `Some(None)` takes that back.
    #[serde(deserialize_with = "permission")]
    #[schemars(with = "Option<String>")]
    pub permission: Option<Option<RepositoryPermission>>,
    /// Whether new repositories do so.
    pub auto_add: Option<bool>,
    /// Kept for clients that send it.
    pub email_forwarding_disabled: Option<bool>,
}

/// Clients take the permission back with `null` or an empty text.
fn permission<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<RepositoryPermission>>, D::Error> {
    match body::nullable::<D, String>(deserializer)?.flatten().as_deref() {
        None | Some("") => Ok(Some(None)),
        Some(word) => word.parse().map(|level| Some(Some(level))).map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use model::{Random, UserId, WorkspaceId};
    use serde_json::json;

    use super::*;
    use crate::account::Team;

    #[test]
    fn the_two_apis_write_a_group_differently() {
        let base = Base::new("https://git.example.com");
        let random = Random::seeded(1);
        let home = WorkspaceId::new(&random);
        let workspace = Workspace::new(&base, home, "acme".to_owned(), "Acme".to_owned());
        let ann = User::new(&base, UserId::new(&random), "Ann".to_owned(), "ann".to_owned());
        let bare = json!(BareGroup {
            name: "Developers".to_owned(),
            slug: "developers".to_owned(),
            permission: None,
            auto_add: false,
            email_forwarding_disabled: false,
            members: vec![BareAccount::user(&ann)],
            owner: BareAccount::workspace(&workspace),
        });
        assert!(bare.get("type").is_none() && bare["members"][0].get("type").is_none());
        assert_eq!(bare["permission"], json!(null));
        assert_eq!(bare["members"][0]["uuid"], json!(ann.uuid));
        assert_eq!(bare["owner"]["is_team"], true);
        let owner = Account::Team(Team::new(&base, home, "acme", "Acme".to_owned()));
        let group =
            json!(Group::new(&base, "Developers".to_owned(), "developers".to_owned(), owner, workspace));
        assert_eq!((&group["type"], &group["full_slug"]), (&json!("group"), &json!("acme:developers")));
    }

    #[test]
    fn a_form_and_a_body_are_read() {
        assert_eq!(GroupForm::read(b"name=Release+crew").unwrap().name.as_str(), "Release crew");
        for bad in ["", "name=", "name=a&name=b", "{\"name\": \"a\"}"] {
            assert!(GroupForm::read(bad.as_bytes()).is_err(), "{bad}");
        }
        let permission = |text: &str| body::read::<GroupInput>(text.as_bytes()).map(|input| input.permission);
        assert_eq!(permission("{}").unwrap(), None);
        assert_eq!(permission(r#"{"permission": null}"#).unwrap(), Some(None));
        assert_eq!(permission(r#"{"permission": ""}"#).unwrap(), Some(None));
        assert_eq!(
            permission(r#"{"permission": "write"}"#).unwrap(),
            Some(Some(RepositoryPermission::Write))
        );
        assert!(permission(r#"{"permission": "create-repo"}"#).is_err());
    }
}
