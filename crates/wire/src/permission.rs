//! Permissions of users and groups on projects and repositories.

use model::{ProjectPermission, RepositoryPermission};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::account::User;
use crate::format::typed;
use crate::group::Group;
use crate::project::Project;
use crate::repository::Repository;
use crate::{Base, Link, body};

/// The word for no permission at all: answered, never granted.
pub const NONE: &str = "none";

/// Where a grant is found.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "permission_links")]
pub struct PermissionLinks {
    /// The grant itself, in the API.
    #[serde(rename = "self")]
    pub this: Link,
}

/// A user's own permission on a repository.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "repository_user_permission")]
#[schemars(transform = typed("repository_user_permission"))]
pub struct RepositoryUserPermission {
    /// `read`, `write`, `admin` or `none`.
    pub permission: &'static str,
    /// Who.
    pub user: User,
    /// On what.
    pub repository: Repository,
    /// Where it is found.
    pub links: PermissionLinks,
}

/// A group's permission on a repository.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "repository_group_permission")]
#[schemars(transform = typed("repository_group_permission"))]
pub struct RepositoryGroupPermission {
    /// `read`, `write`, `admin` or `none`.
    pub permission: &'static str,
    /// Who.
    pub group: Group,
    /// On what.
    pub repository: Repository,
    /// Where it is found.
    pub links: PermissionLinks,
}

/// A user's own permission on a project.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "project_user_permission")]
#[schemars(transform = typed("project_user_permission"))]
pub struct ProjectUserPermission {
    /// `read`, `write`, `create-repo`, `admin` or `none`.
    pub permission: &'static str,
    /// Who.
    pub user: User,
    /// On what.
    pub project: Project,
    /// Where it is found.
    pub links: PermissionLinks,
}

/// A group's permission on a project.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "project_group_permission")]
#[schemars(transform = typed("project_group_permission"))]
pub struct ProjectGroupPermission {
    /// `read`, `write`, `create-repo`, `admin` or `none`.
    pub permission: &'static str,
    /// Who.
    pub group: Group,
    /// On what.
    pub project: Project,
    /// Where it is found.
    pub links: PermissionLinks,
}

/// What a user may do with a repository, all paths taken together.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "repository_permission")]
#[schemars(transform = typed("repository_permission"))]
pub struct RepositoryEffectivePermission {
    /// `read`, `write`, `admin` or `none`.
    pub permission: &'static str,
    /// Who.
    pub user: User,
    /// On what.
    pub repository: Repository,
}

/// The word for a repository's level, or for none.
#[must_use]
pub fn repository_level(permission: Option<RepositoryPermission>) -> &'static str {
    permission.map_or(NONE, RepositoryPermission::as_str)
}

/// The word for a project's level, or for none.
#[must_use]
pub fn project_level(permission: Option<ProjectPermission>) -> &'static str {
    permission.map_or(NONE, ProjectPermission::as_str)
}

fn grant(base: &Base, on: &[&str], kind: &str, subject: &str) -> PermissionLinks {
    let address = [on, &["permissions-config", kind, subject]].concat();
    PermissionLinks { this: base.api(&address) }
}

impl RepositoryUserPermission {
    /// From the grant's facts.
    #[must_use]
    pub fn new(
        base: &Base,
        user: User,
        repository: Repository,
        permission: Option<RepositoryPermission>,
    ) -> Self {
        let links = grant(base, &["repositories", &repository.full_name], "users", user.uuid.as_str());
        Self { permission: repository_level(permission), user, repository, links }
    }
}

impl RepositoryGroupPermission {
    /// From the grant's facts.
    #[must_use]
    pub fn new(
        base: &Base,
        group: Group,
        repository: Repository,
        permission: Option<RepositoryPermission>,
    ) -> Self {
        let links = grant(base, &["repositories", &repository.full_name], "groups", &group.slug);
        Self { permission: repository_level(permission), group, repository, links }
    }
}

impl ProjectUserPermission {
    /// From the grant's facts. `workspace` is the slug.
    #[must_use]
    pub fn new(
        base: &Base,
        workspace: &str,
        user: User,
        project: Project,
        permission: Option<ProjectPermission>,
    ) -> Self {
        let on = ["workspaces", workspace, "projects", project.key.as_str()];
        let links = grant(base, &on, "users", user.uuid.as_str());
        Self { permission: project_level(permission), user, project, links }
    }
}

impl ProjectGroupPermission {
    /// From the grant's facts. `workspace` is the slug.
    #[must_use]
    pub fn new(
        base: &Base,
        workspace: &str,
        group: Group,
        project: Project,
        permission: Option<ProjectPermission>,
    ) -> Self {
        let on = ["workspaces", workspace, "projects", project.key.as_str()];
        let links = grant(base, &on, "groups", &group.slug);
        Self { permission: project_level(permission), group, project, links }
    }
}

/// The body that grants a permission. `none` is not taken: a grant is taken back by `DELETE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(expecting = "an object such as {\"permission\": \"read\"}")]
#[schemars(rename = "permission_input", bound = "")]
pub struct PermissionInput<P> {
    /// The level.
    #[schemars(with = "String")]
    pub permission: P,
}

/// Reads the body that grants a permission of a kind.
pub fn read<P: DeserializeOwned>(bytes: &[u8]) -> model::Result<P> {
    body::read::<PermissionInput<P>>(bytes).map(|input| input.permission)
}

#[cfg(test)]
mod tests {
    use model::{ProjectId, Random, RepositoryId, UserId};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_grant_links_to_itself() {
        let base = Base::new("https://git.example.com");
        let random = Random::seeded(1);
        let (ann, one) = (UserId::new(&random), RepositoryId::new(&random));
        let user = User::new(&base, ann, "Ann".to_owned(), "ann".to_owned());
        let repository = Repository::new(&base, "acme", one, "one", "One".to_owned());
        let grant = RepositoryUserPermission::new(&base, user.clone(), repository, None);
        let value = json!(grant);
        assert_eq!(
            (&value["type"], &value["permission"]),
            (&json!("repository_user_permission"), &json!("none"))
        );
        let expected = "https://git.example.com/2.0/repositories/acme/one/permissions-config/users/%7B";
        assert!(value["links"]["self"]["href"].as_str().unwrap().starts_with(expected));
        let project =
            Project::new(&base, "acme", ProjectId::new(&random), "CORE".to_owned(), "Core".to_owned());
        let level = Some(ProjectPermission::CreateRepo);
        let value = json!(ProjectUserPermission::new(&base, "acme", user, project, level));
        assert_eq!(value["permission"], "create-repo");
    }

    #[test]
    fn only_levels_of_the_kind_are_granted() {
        assert_eq!(
            read::<ProjectPermission>(br#"{"permission": "create-repo"}"#).unwrap(),
            ProjectPermission::CreateRepo
        );
        for (body, expected) in [
            (r#"{"permission": "create-repo"}"#, "`permission`: use one of `read`, `write`, `admin`"),
            (r#"{"permission": "none"}"#, "`permission`: use one of `read`, `write`, `admin`"),
            ("{}", "`permission`: this field is required"),
        ] {
            assert_eq!(read::<RepositoryPermission>(body.as_bytes()).unwrap_err().to_string(), expected);
        }
    }
}
