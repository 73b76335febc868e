//! Repositories.

use model::{DisplayName, ForkPolicy, RepositoryId};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::account::Account;
use crate::format::typed;
use crate::git_ref::Branch;
use crate::project::Project;
use crate::workspace::Workspace;
use crate::{Base, Braced, DateTime, Link};

/// A repository.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "repository")]
#[schemars(transform = typed("repository"))]
pub struct Repository {
    /// Its id.
    pub uuid: Braced,
    /// The workspace's slug and its own: `acme/one`.
    pub full_name: String,
    /// The name that people read.
    pub name: String,
    /// Where its parts are found.
    pub links: RepositoryLinks,
    /// What stands only at the repository's own address and in lists of repositories.
    #[serde(flatten)]
    pub detail: Option<Box<RepositoryDetail>>,
}

/// What stands only in a repository's full form.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "repository_detail")]
pub struct RepositoryDetail {
    /// The second part of clone addresses.
    pub slug: String,
    /// What it is for.
    pub description: String,
    /// Always `git`.
    pub scm: &'static str,
    /// The workspace, as an account.
    pub owner: Account,
    /// The workspace.
    pub workspace: Workspace,
    /// The project it belongs to.
    pub project: Project,
    /// What it was forked from.
    pub parent: Option<Box<Repository>>,
    /// Whether only those with a grant see it.
    pub is_private: bool,
    /// Who may fork it: `allow_forks`, `no_public_forks`, `no_forks`.
    pub fork_policy: &'static str,
    /// The branch that a clone checks out; null while there is none.
    pub mainbranch: Option<Branch>,
    /// On disk, in bytes, as of the last maintenance.
    pub size: u64,
    /// The main programming language, as its owner names it.
    pub language: String,
    /// Kept for clients that send it.
    pub has_issues: bool,
    /// Kept for clients that send it.
    pub has_wiki: bool,
    /// When it was made.
    pub created_on: DateTime,
    /// When it was last changed or pushed to.
    pub updated_on: DateTime,
}

/// Where a repository's parts are found.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "repository_links")]
pub struct RepositoryLinks {
    /// The repository itself, in the API.
    #[serde(rename = "self")]
    pub this: Link,
    /// Its page.
    pub html: Link,
    /// Its picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<Link>,
    /// Those that stand in the full form alone.
    #[serde(flatten)]
    pub more: Option<Box<MoreLinks>>,
}

/// The links that stand in a repository's full form alone.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "repository_more_links")]
pub struct MoreLinks {
    /// Where it is cloned from.
    pub clone: Vec<Link>,
    /// Its branches.
    pub branches: Link,
    /// Its tags.
    pub tags: Link,
    /// Its commits.
    pub commits: Link,
    /// Its files.
    pub source: Link,
    /// Its pull requests.
    pub pullrequests: Link,
    /// Its forks.
    pub forks: Link,
    /// Those who watch it.
    pub watchers: Link,
    /// Its downloads.
    pub downloads: Link,
    /// Its webhooks.
    pub hooks: Link,
}

impl Repository {
    /// The short form, as embedded in other objects.
    #[must_use]
    pub fn new(base: &Base, workspace: &str, id: RepositoryId, slug: &str, name: String) -> Self {
        let links = RepositoryLinks {
            this: base.api(&["repositories", workspace, slug]),
            html: base.html(&[workspace, slug]),
            avatar: None,
            more: None,
        };
        Self { uuid: Braced::from(id), full_name: format!("{workspace}/{slug}"), name, links, detail: None }
    }

    /// The full form.
    #[must_use]
    pub fn detailed(mut self, base: &Base, detail: RepositoryDetail) -> Self {
        let (workspace, slug) = (detail.workspace.slug.as_str(), detail.slug.as_str());
        let part = |name: &str| base.api(&["repositories", workspace, slug, name]);
        self.links.more = Some(Box::new(MoreLinks {
            clone: vec![base.clone_https(workspace, slug)],
            branches: part("refs/branches"),
            tags: part("refs/tags"),
            commits: part("commits"),
            source: part("src"),
            pullrequests: part("pullrequests"),
            forks: part("forks"),
            watchers: part("watchers"),
            downloads: part("downloads"),
            hooks: part("hooks"),
        }));
        self.detail = Some(Box::new(detail));
        self
    }
}

/// The body that makes or changes a repository. Fields that are not known, and those that the address implies
/// (`owner`, `full_name`), are passed over; absent ones keep their value.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, expecting = "an object")]
#[schemars(rename = "repository_input")]
pub struct RepositoryInput {
    /// Only `git` is taken.
    pub scm: Option<String>,
    /// The name that people read; on a change, the slug follows it.
    #[schemars(with = "Option<String>")]
    pub name: Option<DisplayName>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether only those with a grant see it.
    pub is_private: Option<bool>,
    /// The project it belongs to.
    pub project: Option<ProjectReference>,
    /// The branch that a clone checks out.
    pub mainbranch: Option<BranchReference>,
    /// Who may fork it.
    #[serde(deserialize_with = "fork_policy")]
    #[schemars(with = "Option<String>")]
    pub fork_policy: Option<ForkPolicy>,
    /// The main programming language.
    pub language: Option<String>,
    /// Kept for clients that send it.
    pub has_issues: Option<bool>,
    /// Kept for clients that send it.
    pub has_wiki: Option<bool>,
}

/// Names a project by its key or its id. With both, the id counts.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, expecting = "an object such as {\"key\": \"PROJ\"}")]
#[schemars(rename = "project_reference")]
pub struct ProjectReference {
    /// Its key.
    pub key: Option<String>,
    /// Its id.
    pub uuid: Option<String>,
}

/// Names a branch.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(expecting = "an object such as {\"name\": \"main\"}")]
#[schemars(rename = "branch_reference")]
pub struct BranchReference {
    /// Its name, without `refs/heads/`.
    pub name: String,
}

fn fork_policy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ForkPolicy>, D::Error> {
    let Some(word) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    match ForkPolicy::parse(&word) {
        Some(policy) => Ok(Some(policy)),
        None => Err(serde::de::Error::custom("use one of `allow_forks`, `no_public_forks`, `no_forks`")),
    }
}

#[cfg(test)]
mod tests {
    use model::{ProjectId, Random, Timestamp, WorkspaceId};
    use serde_json::json;

    use super::*;
    use crate::account::Team;
    use crate::body;

    fn repository() -> Repository {
        let base = Base::new("https://git.example.com");
        let random = Random::seeded(1);
        let home = WorkspaceId::new(&random);
        let moment = DateTime::from(Timestamp::from_micros(0));
        Repository::new(&base, "acme", RepositoryId::new(&random), "one", "One".to_owned()).detailed(
            &base,
            RepositoryDetail {
                slug: "one".to_owned(),
                description: "first".to_owned(),
                scm: "git",
                owner: Account::Team(Team::new(&base, home, "acme", "Acme".to_owned())),
                workspace: Workspace::new(&base, home, "acme".to_owned(), "Acme".to_owned()),
                project: Project::new(
                    &base,
                    "acme",
                    ProjectId::new(&random),
                    "CORE".to_owned(),
                    "Core".to_owned(),
                ),
                parent: None,
                is_private: true,
                fork_policy: ForkPolicy::NoPublicForks.as_str(),
                mainbranch: Some(Branch::named("main".to_owned())),
                size: 12,
                language: String::new(),
                has_issues: false,
                has_wiki: false,
                created_on: moment,
                updated_on: moment,
            },
        )
    }

    #[test]
    fn the_full_form_is_flat() {
        let full = json!(repository());
        assert_eq!(full["type"], "repository");
        assert_eq!(full["full_name"], "acme/one");
        assert_eq!(full["mainbranch"], json!({ "type": "branch", "name": "main" }));
        assert_eq!(full["parent"], json!(null));
        assert_eq!(
            full["links"]["clone"],
            json!([{ "href": "https://git.example.com/acme/one.git", "name": "https" }])
        );
        assert_eq!(
            full["links"]["commits"]["href"],
            "https://git.example.com/2.0/repositories/acme/one/commits"
        );
        assert!(full.get("detail").is_none() && full["links"].get("more").is_none());
    }

    #[test]
    fn the_short_form_has_no_more_than_names_and_links() {
        let mut short = repository();
        (short.detail, short.links.more) = (None, None);
        let value = json!(short);
        let keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["type", "uuid", "full_name", "name", "links"]);
        assert_eq!(value["links"].as_object().unwrap().len(), 2);
    }

    #[test]
    fn a_body_is_read_with_what_it_has_and_refused_by_field() {
        let input: RepositoryInput = body::read(
            br#"{"scm": "git", "project": {"key": "CORE"}, "is_private": true, "fork_policy": "no_forks",
                "mainbranch": {"name": "trunk", "type": "branch"}, "website": 1, "description": null}"#,
        )
        .unwrap();
        assert_eq!(input.project.unwrap().key.as_deref(), Some("CORE"));
        assert_eq!(input.fork_policy, Some(ForkPolicy::NoForks));
        assert_eq!(input.mainbranch.unwrap().name, "trunk");
        for (body, expected) in [
            (r#"{"is_private": "yes"}"#, "`is_private`: invalid type: string \"yes\", expected a boolean"),
            (
                r#"{"project": "CORE"}"#,
                "`project`: invalid type: string \"CORE\", expected an object such as",
            ),
            (r#"{"fork_policy": "all"}"#, "`fork_policy`: use one of `allow_forks`"),
            (r#"{"mainbranch": {}}"#, "`mainbranch.name`: this field is required"),
            (r#"{"name": ""}"#, "`name`: use 1 to 250 characters"),
        ] {
            let error = body::read::<RepositoryInput>(body.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{body}: {error}");
        }
    }
}
