//! Branches and tags.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::commit::{Author, Commit};
use crate::format::typed;
use crate::{Base, DateTime, Link};

/// A branch.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "branch")]
#[schemars(transform = typed("branch"))]
pub struct Branch {
    /// Its name, without `refs/heads/`.
    pub name: String,
    /// What stands at the branch's own address and in lists of refs; a repository's main branch is a name alone.
    #[serde(flatten)]
    pub detail: Option<Box<BranchDetail>>,
}

/// What stands only in a branch's full form.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "branch_detail")]
pub struct BranchDetail {
    /// The commit it points to.
    pub target: Commit,
    /// Where its parts are found.
    pub links: RefLinks,
    /// How pull requests into it may be merged.
    pub merge_strategies: Vec<&'static str>,
    /// How they are merged unless told otherwise.
    pub default_merge_strategy: &'static str,
}

/// Where a ref's parts are found.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ref_links")]
pub struct RefLinks {
    /// The ref itself, in the API.
    #[serde(rename = "self")]
    pub this: Link,
    /// The commits it leads to.
    pub commits: Link,
    /// Its page.
    pub html: Link,
}

/// Every way of merging that the contract has.
pub const MERGE_STRATEGIES: &[&str] =
    &["merge_commit", "squash", "fast_forward", "squash_fast_forward", "rebase_fast_forward", "rebase_merge"];

impl RefLinks {
    fn new(base: &Base, full_name: &str, kind: [&str; 2], name: &str) -> Self {
        let [listed, shown] = kind;
        Self {
            this: base.api(&["repositories", full_name, "refs", listed, name]),
            commits: base.api(&["repositories", full_name, "commits", name]),
            html: base.html(&[full_name, shown, name]),
        }
    }
}

impl Branch {
    /// A name alone.
    #[must_use]
    pub fn named(name: String) -> Self {
        Self { name, detail: None }
    }

    /// The full form. `full_name` is the repository's.
    #[must_use]
    pub fn new(base: &Base, full_name: &str, name: String, target: Commit) -> Self {
        let detail = BranchDetail {
            target,
            links: RefLinks::new(base, full_name, ["branches", "branch"], &name),
            merge_strategies: MERGE_STRATEGIES.to_vec(),
            default_merge_strategy: "merge_commit",
        };
        Self { name, detail: Some(Box::new(detail)) }
    }
}

/// A tag.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "tag")]
#[schemars(transform = typed("tag"))]
pub struct Tag {
    /// Its name, without `refs/tags/`.
    pub name: String,
    /// The commit it points to.
    pub target: Commit,
    /// Where its parts are found.
    pub links: RefLinks,
    /// The message of an annotated tag.
    pub message: Option<String>,
    /// When an annotated tag was made.
    pub date: Option<DateTime>,
    /// Who made an annotated tag.
    pub tagger: Option<Author>,
}

impl Tag {
    /// A tag that is a name for a commit and nothing else. `full_name` is the repository's.
    #[must_use]
    pub fn new(base: &Base, full_name: &str, name: String, target: Commit) -> Self {
        let links = RefLinks::new(base, full_name, ["tags", "commits/tag"], &name);
        Self { name, target, links, message: None, date: None, tagger: None }
    }
}

/// Either, in lists of all refs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged, rename = "ref")]
pub enum Ref {
    /// A branch.
    Branch(Branch),
    /// A tag.
    Tag(Box<Tag>),
}

/// The body that makes a branch or tag.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "ref_input")]
pub struct RefInput {
    /// Its name, without `refs/heads/` or `refs/tags/`.
    pub name: String,
    /// What it shall point to.
    pub target: TargetInput,
    /// With a message, a tag is an annotated one.
    #[serde(default)]
    pub message: Option<String>,
}

/// What a new ref shall point to.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(expecting = "an object such as {\"hash\": \"1a2b3c4d\"}")]
#[schemars(rename = "ref_target_input")]
pub struct TargetInput {
    /// A commit's name, whole or abbreviated, or a branch's name.
    pub hash: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::body;

    #[test]
    fn a_branch_and_a_tag() {
        let base = Base::new("https://git.example.com");
        let commit = || Commit::new(&base, "acme/one", "a".repeat(40));
        let branch = json!(Branch::new(&base, "acme/one", "feature/x".to_owned(), commit()));
        assert_eq!(branch["type"], "branch");
        assert_eq!(branch["target"]["hash"], "a".repeat(40));
        assert_eq!(
            branch["links"]["self"]["href"],
            "https://git.example.com/2.0/repositories/acme/one/refs/branches/feature/x"
        );
        assert!(branch["merge_strategies"].as_array().unwrap().contains(&branch["default_merge_strategy"]));
        let tag = json!(Ref::Tag(Box::new(Tag::new(&base, "acme/one", "v1#".to_owned(), commit()))));
        assert_eq!(tag["type"], "tag");
        assert_eq!(tag["message"], json!(null));
        assert_eq!(tag["links"]["html"]["href"], "https://git.example.com/acme/one/commits/tag/v1%23");
    }

    #[test]
    fn a_body_names_what_it_lacks() {
        let error = body::read::<RefInput>(br#"{"name": "x", "target": {}}"#).unwrap_err();
        assert_eq!(error.to_string(), "`target.hash`: this field is required");
    }
}
