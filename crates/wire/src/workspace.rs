//! Workspaces, in three lengths, and membership.

use model::{WorkspaceId, WorkspacePermission};
use schemars::JsonSchema;
use serde::Serialize;

use crate::account::Account;
use crate::format::typed;
use crate::{Base, Braced, DateTime, Link};

/// A workspace.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "workspace")]
#[schemars(transform = typed("workspace"))]
pub struct Workspace {
    /// Its id.
    pub uuid: Braced,
    /// The name that people read.
    pub name: String,
    /// The first part of clone addresses.
    pub slug: String,
    /// Where its parts are found.
    pub links: WorkspaceLinks,
    /// What stands only at the workspace's own address and in lists of workspaces.
    #[serde(flatten)]
    pub detail: Option<WorkspaceDetail>,
}

/// What stands only in a workspace's full form.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "workspace_detail")]
pub struct WorkspaceDetail {
    /// Whether only members see that it exists.
    pub is_private: bool,
    /// Whether it may hold private content only.
    pub is_privacy_enforced: bool,
    /// `allow_forks`, or `internal_only`: no forks of private repositories outside.
    pub forking_mode: &'static str,
    /// When it was made.
    pub created_on: DateTime,
    /// When it was last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_on: Option<DateTime>,
}

/// Where a workspace's parts are found.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "workspace_links")]
pub struct WorkspaceLinks {
    /// The workspace itself, in the API.
    #[serde(rename = "self")]
    pub this: Link,
    /// Its page.
    pub html: Link,
    /// Its picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<Link>,
    /// Its members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<Link>,
    /// Those of its members who administer it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owners: Option<Link>,
    /// Its projects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projects: Option<Link>,
    /// Its repositories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repositories: Option<Link>,
}

impl Workspace {
    /// The short form, as embedded in other objects.
    #[must_use]
    pub fn new(base: &Base, id: WorkspaceId, slug: String, name: String) -> Self {
        let links = WorkspaceLinks {
            this: base.api(&["workspaces", &slug]),
            html: base.html(&[&slug]),
            avatar: None,
            members: None,
            owners: None,
            projects: None,
            repositories: None,
        };
        Self { uuid: Braced::from(id), name, slug, links, detail: None }
    }

    /// The full form.
    #[must_use]
    pub fn detailed(mut self, base: &Base, detail: WorkspaceDetail) -> Self {
        let slug = self.slug.as_str();
        let owners = base.api(&["workspaces", slug, "members"]).href + "?q=permission%3D%22owner%22";
        self.links.members = Some(base.api(&["workspaces", slug, "members"]));
        self.links.owners = Some(Link::new(owners));
        self.links.projects = Some(base.api(&["workspaces", slug, "projects"]));
        self.links.repositories = Some(base.api(&["repositories", slug]));
        self.detail = Some(detail);
        self
    }
}

/// A workspace in the shortest form, which has no name.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "workspace_base")]
#[schemars(transform = typed("workspace_base"))]
pub struct WorkspaceBase {
    /// Its id.
    pub uuid: Braced,
    /// The first part of clone addresses.
    pub slug: String,
    /// Where it is found.
    pub links: WorkspaceBaseLinks,
}

/// Where a workspace is found.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "workspace_base_links")]
pub struct WorkspaceBaseLinks {
    /// The workspace itself, in the API.
    #[serde(rename = "self")]
    pub this: Link,
    /// Its picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<Link>,
}

/// A workspace that the caller belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "workspace_access")]
#[schemars(transform = typed("workspace_access"))]
pub struct WorkspaceAccess {
    /// Whether the caller administers it.
    pub administrator: bool,
    /// Which one.
    pub workspace: WorkspaceBase,
}

impl WorkspaceAccess {
    /// From the workspace's facts and the caller's.
    #[must_use]
    pub fn new(base: &Base, id: WorkspaceId, slug: String, administrator: bool) -> Self {
        let links = WorkspaceBaseLinks { this: base.api(&["workspaces", &slug]), avatar: None };
        Self { administrator, workspace: WorkspaceBase { uuid: Braced::from(id), slug, links } }
    }
}

/// A user's membership in a workspace.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "workspace_membership")]
#[schemars(transform = typed("workspace_membership"))]
pub struct WorkspaceMembership {
    /// Who.
    pub user: Account,
    /// Where.
    pub workspace: Workspace,
    /// At which level; in listings of permissions only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<&'static str>,
    /// Since when; in listings of permissions only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added_on: Option<DateTime>,
    /// Where it is found.
    pub links: MembershipLinks,
}

/// Where a membership is found.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "workspace_membership_links")]
pub struct MembershipLinks {
    /// The membership itself, in the API.
    #[serde(rename = "self")]
    pub this: Link,
}

impl WorkspaceMembership {
    /// Without a level.
    #[must_use]
    pub fn new(base: &Base, user: crate::account::User, workspace: Workspace) -> Self {
        let this = base.api(&["workspaces", &workspace.slug, "members", user.uuid.as_str()]);
        let links = MembershipLinks { this };
        Self { user: Account::User(user), workspace, permission: None, added_on: None, links }
    }

    /// With a level.
    #[must_use]
    pub fn with_permission(mut self, permission: WorkspacePermission, added_on: DateTime) -> Self {
        self.permission = Some(permission.as_str());
        self.added_on = Some(added_on);
        self
    }
}

#[cfg(test)]
mod tests {
    use model::{Random, Timestamp, UserId};
    use serde_json::json;

    use super::*;
    use crate::account::User;

    #[test]
    fn the_three_lengths() {
        let base = Base::new("https://git.example.com");
        let id = WorkspaceId::new(&Random::seeded(1));
        let short = Workspace::new(&base, id, "acme".to_owned(), "Acme".to_owned());
        let this = json!({ "href": "https://git.example.com/2.0/workspaces/acme" });
        assert_eq!(
            json!(short),
            json!({
                "type": "workspace", "uuid": id.braced(), "name": "Acme", "slug": "acme",
                "links": { "self": this, "html": { "href": "https://git.example.com/acme" } },
            })
        );
        assert_eq!(
            json!(WorkspaceAccess::new(&base, id, "acme".to_owned(), true)),
            json!({
                "type": "workspace_access", "administrator": true,
                "workspace": { "type": "workspace_base", "uuid": id.braced(), "slug": "acme", "links": { "self": this } },
            })
        );
        let moment = DateTime::from(Timestamp::from_micros(0));
        let full = json!(short.detailed(
            &base,
            WorkspaceDetail {
                is_private: true,
                is_privacy_enforced: false,
                forking_mode: "allow_forks",
                created_on: moment,
                updated_on: None,
            }
        ));
        assert_eq!(full["forking_mode"], "allow_forks");
        assert_eq!(full["links"]["projects"]["href"], "https://git.example.com/2.0/workspaces/acme/projects");
    }

    #[test]
    fn a_membership_tells_its_level_only_where_asked() {
        let base = Base::new("https://git.example.com");
        let random = Random::seeded(1);
        let user = User::new(&base, UserId::new(&random), "Ann".to_owned(), "ann".to_owned());
        let workspace =
            Workspace::new(&base, WorkspaceId::new(&random), "acme".to_owned(), "Acme".to_owned());
        let membership = WorkspaceMembership::new(&base, user, workspace);
        assert!(json!(membership).get("permission").is_none());
        let told =
            membership.with_permission(WorkspacePermission::CreateProject, Timestamp::from_micros(0).into());
        assert_eq!(json!(told)["permission"], "create-project");
        assert_eq!(json!(told)["type"], "workspace_membership");
    }
}
