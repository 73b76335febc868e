//! Build statuses of commits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::commit::Commit;
use crate::format::typed;
use crate::repository::Repository;
use crate::{Base, Braced, DateTime, Link};

/// What is said of a build of a commit.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "build")]
#[schemars(rename = "commitstatus", transform = typed("build"))]
pub struct CommitStatus {
    /// Its id.
    pub uuid: Braced,
    /// Its key, one of the commit's.
    pub key: String,
    /// `FAILED`, `INPROGRESS`, `STOPPED` or `SUCCESSFUL`.
    pub state: &'static str,
    /// What people call the build; its key where it has no name.
    pub name: String,
    /// A sentence about it.
    pub description: String,
    /// Where it is, with placeholders filled in.
    pub url: Option<String>,
    /// The branch or tag that was built.
    pub refname: Option<String>,
    /// The commit.
    pub commit: Commit,
    /// The repository.
    pub repository: Repository,
    /// When it was first told.
    pub created_on: DateTime,
    /// When it was last told.
    pub updated_on: DateTime,
    /// Where it is found.
    pub links: CommitStatusLinks,
}

/// Where a build status is found.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "commitstatus_links")]
pub struct CommitStatusLinks {
    /// The status itself.
    #[serde(rename = "self")]
    pub this: Link,
    /// The commit.
    pub commit: Link,
}

impl CommitStatusLinks {
    /// From the repository's full name, the commit and the key. A key is one segment, whatever slashes it has.
    #[must_use]
    pub fn new(base: &Base, full_name: &str, commit: &Commit, key: &str) -> Self {
        let mut this = base.api(&["repositories", full_name, "commit", &commit.hash, "statuses", "build"]);
        this.href.push('/');
        this.href.push_str(&crate::links::segment(key));
        Self { this, commit: commit.links.this.clone() }
    }
}

/// A build status as requests send it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, expecting = "an object")]
#[schemars(rename = "commitstatus_input")]
pub struct CommitStatusInput {
    /// Its key.
    pub key: Option<String>,
    /// `FAILED`, `INPROGRESS`, `STOPPED` or `SUCCESSFUL`.
    pub state: Option<String>,
    /// What people call the build.
    pub name: Option<String>,
    /// A sentence about it.
    pub description: Option<String>,
    /// Where it is; `{repository.full_name}` and `{commit.hash}` are filled in.
    pub url: Option<String>,
    /// The branch or tag that was built.
    pub refname: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stays_one_segment_of_its_address() {
        let base = Base::new("https://git.example.com");
        let commit = Commit::new(&base, "acme/one", "a".repeat(40));
        let links = CommitStatusLinks::new(&base, "acme/one", &commit, "ci/build 1");
        assert!(links.this.href.ends_with("/statuses/build/ci%2Fbuild%201"), "{}", links.this.href);
    }
}
