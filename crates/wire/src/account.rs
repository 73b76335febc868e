//! Accounts: users, access tokens as actors (`app_user`), and workspaces where an owner is an account (`team`).

use model::{CredentialId, CredentialKind, UserId, WorkspaceId};
use schemars::JsonSchema;
use serde::Serialize;

use crate::format::typed;
use crate::{Base, Braced, DateTime, Link};

/// Whoever may stand where the contract has an account.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged, rename = "account")]
pub enum Account {
    /// A person.
    User(User),
    /// An access token.
    AppUser(AppUser),
    /// A workspace.
    Team(Team),
}

/// Where an account's parts are found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "account_links")]
pub struct AccountLinks {
    /// The account itself, in the API.
    #[serde(rename = "self", skip_serializing_if = "Option::is_none")]
    pub this: Option<Link>,
    /// Its page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<Link>,
    /// Its picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<Link>,
    /// Its repositories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repositories: Option<Link>,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "user")]
#[schemars(transform = typed("user"))]
pub struct User {
    /// Its id.
    pub uuid: Braced,
    /// Its id in the form without braces; clients that know Atlassian account ids use it as one.
    pub account_id: String,
    /// The name that people read.
    pub display_name: String,
    /// The short name: the username.
    pub nickname: String,
    /// Where it is found.
    pub links: AccountLinks,
    /// What stands only at the account's own address.
    #[serde(flatten)]
    pub detail: Option<UserDetail>,
}

/// What stands only at a user's own address.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "user_detail")]
pub struct UserDetail {
    /// When the account was made.
    pub created_on: DateTime,
    /// `active` or `inactive`.
    pub account_status: &'static str,
    /// The name for signing in, told to the account itself alone; git credential helpers ask for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Whether the account has a second step, told to the account itself alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_2fa_enabled: Option<bool>,
}

impl User {
    /// The short form, as embedded in other objects.
    #[must_use]
    pub fn new(base: &Base, id: UserId, display_name: String, nickname: String) -> Self {
        let uuid = Braced::from(id);
        let links = AccountLinks {
            this: Some(base.api(&["users", uuid.as_str()])),
            html: Some(base.html(&[uuid.as_str()])),
            ..AccountLinks::default()
        };
        Self { uuid, account_id: id.to_string(), display_name, nickname, links, detail: None }
    }
}

/// The word for whether an account reaches anything.
#[must_use]
pub fn status(active: bool) -> &'static str {
    if active { "active" } else { "inactive" }
}

/// An access token, which acts for itself. It has no nickname.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "app_user")]
#[schemars(transform = typed("app_user"))]
pub struct AppUser {
    /// Its id.
    pub uuid: Braced,
    /// Its id in the form without braces.
    pub account_id: String,
    /// The token's name.
    pub display_name: String,
    /// What kind of token it is: `repository_access_token` and so on.
    pub kind: &'static str,
    /// Always `active`: what a revoked token did stays its own.
    pub account_status: &'static str,
    /// When it was made.
    pub created_on: DateTime,
    /// Where it is found.
    pub links: AccountLinks,
}

impl AppUser {
    /// From the token's facts.
    #[must_use]
    pub fn new(id: CredentialId, kind: CredentialKind, display_name: String, created_on: DateTime) -> Self {
        Self {
            uuid: Braced::from(id),
            account_id: id.to_string(),
            display_name,
            kind: kind.name(),
            account_status: "active",
            created_on,
            links: AccountLinks::default(),
        }
    }
}

/// A workspace as the owner of a repository or project.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "team")]
#[schemars(transform = typed("team"))]
pub struct Team {
    /// The workspace's id.
    pub uuid: Braced,
    /// The workspace's name.
    pub display_name: String,
    /// The workspace's slug.
    pub username: String,
    /// Where it is found.
    pub links: AccountLinks,
}

impl Team {
    /// From the workspace's facts.
    #[must_use]
    pub fn new(base: &Base, id: WorkspaceId, slug: &str, name: String) -> Self {
        let links = AccountLinks {
            this: Some(base.api(&["workspaces", slug])),
            html: Some(base.html(&[slug])),
            repositories: Some(base.api(&["repositories", slug])),
            ..AccountLinks::default()
        };
        Self { uuid: Braced::from(id), display_name: name, username: slug.to_owned(), links }
    }
}

/// One of a user's e-mail addresses.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "email")]
#[schemars(transform = typed("email"))]
pub struct EmailAddress {
    /// The address.
    pub email: String,
    /// Whether mail goes there.
    pub is_primary: bool,
    /// Whether it is known to be the user's.
    pub is_confirmed: bool,
    /// Where it is found.
    pub links: AccountLinks,
}

impl EmailAddress {
    /// The one address that an account has.
    #[must_use]
    pub fn primary(base: &Base, email: String, is_confirmed: bool) -> Self {
        let links =
            AccountLinks { this: Some(base.api(&["user", "emails", &email])), ..AccountLinks::default() };
        Self { email, is_primary: true, is_confirmed, links }
    }
}

#[cfg(test)]
mod tests {
    use model::{Random, Timestamp};
    use serde_json::json;

    use super::*;

    fn base() -> Base {
        Base::new("https://git.example.com")
    }

    #[test]
    fn a_user_is_short_unless_detailed() {
        let id = UserId::new(&Random::seeded(1));
        let mut user = User::new(&base(), id, "Ann Lee".to_owned(), "ann".to_owned());
        let short = json!({
            "type": "user",
            "uuid": id.braced(),
            "account_id": id.to_string(),
            "display_name": "Ann Lee",
            "nickname": "ann",
            "links": {
                "self": { "href": format!("https://git.example.com/2.0/users/%7B{id}%7D") },
                "html": { "href": format!("https://git.example.com/%7B{id}%7D") },
            },
        });
        assert_eq!(json!(Account::User(user.clone())), short);
        user.detail = Some(UserDetail {
            created_on: Timestamp::from_micros(0).into(),
            account_status: status(true),
            username: None,
            has_2fa_enabled: Some(false),
        });
        assert_eq!(json!(user)["created_on"], "1970-01-01T00:00:00.000000+00:00");
        assert_eq!(json!(user)["account_status"], "active");
        assert_eq!(json!(user).get("username"), None);
    }

    #[test]
    fn a_token_has_a_kind_and_no_nickname() {
        let token = AppUser::new(
            CredentialId::new(&Random::seeded(1)),
            CredentialKind::RepositoryAccessToken,
            "ci".to_owned(),
            Timestamp::from_micros(0).into(),
        );
        let value = json!(Account::AppUser(token));
        assert_eq!(value["type"], "app_user");
        assert_eq!(value["kind"], "repository_access_token");
        assert_eq!(value["account_status"], "active");
        assert!(value.get("nickname").is_none());
    }
}
