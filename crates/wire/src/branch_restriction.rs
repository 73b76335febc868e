//! Branch restrictions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::account::User;
use crate::format::typed;
use crate::group::Group;
use crate::{Base, Link};

/// A branch restriction.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "branchrestriction")]
#[schemars(transform = typed("branchrestriction"))]
pub struct BranchRestriction {
    /// Its number.
    pub id: i64,
    /// `push`, `force` or `delete`.
    pub kind: &'static str,
    /// `glob` or `branching_model`.
    pub branch_match_kind: &'static str,
    /// The type of branch, where the branching model matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch_type: Option<&'static str>,
    /// The pattern of names; empty where the branching model matches.
    pub pattern: String,
    /// A number that goes with some kinds; with none of these.
    pub value: Option<i64>,
    /// Users who are exempt.
    pub users: Vec<User>,
    /// Groups whose members are exempt.
    pub groups: Vec<Group>,
    /// Where it is found.
    pub links: BranchRestrictionLinks,
}

/// Where a branch restriction is found.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "branchrestriction_links")]
pub struct BranchRestrictionLinks {
    /// The restriction itself.
    #[serde(rename = "self")]
    pub this: Link,
}

impl BranchRestrictionLinks {
    /// From the repository's full name and the number.
    #[must_use]
    pub fn new(base: &Base, full_name: &str, id: i64) -> Self {
        Self { this: base.api(&["repositories", full_name, "branch-restrictions", &id.to_string()]) }
    }
}

/// A branch restriction as requests send it; what is absent stays as it is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "branchrestriction_input")]
pub struct BranchRestrictionInput {
    /// `push`, `force` or `delete`.
    #[serde(default)]
    pub kind: Option<String>,
    /// `glob` or `branching_model`.
    #[serde(default)]
    pub branch_match_kind: Option<String>,
    /// The type of branch.
    #[serde(default)]
    pub branch_type: Option<String>,
    /// The pattern of names.
    #[serde(default)]
    pub pattern: Option<String>,
    /// Users who are exempt.
    #[serde(default)]
    pub users: Option<Vec<AccountName>>,
    /// Groups whose members are exempt.
    #[serde(default)]
    pub groups: Option<Vec<GroupName>>,
}

/// An account as requests name it: by one of these, the first that is there.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "account_name")]
pub struct AccountName {
    /// Its id.
    #[serde(default)]
    pub uuid: Option<String>,
    /// Its id without braces.
    #[serde(default)]
    pub account_id: Option<String>,
    /// Its username.
    #[serde(default)]
    pub username: Option<String>,
    /// Its username, as objects show it.
    #[serde(default)]
    pub nickname: Option<String>,
}

impl AccountName {
    /// The name that counts; empty where there is none.
    #[must_use]
    pub fn name(self) -> String {
        self.uuid.or(self.account_id).or(self.username).or(self.nickname).unwrap_or_default()
    }
}

/// A group as requests name it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "group_name")]
pub struct GroupName {
    /// Its slug.
    pub slug: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body;

    #[test]
    fn a_restriction_is_read_as_clients_send_it() {
        let body =
            br#"{"type": "branchrestriction", "kind": "push", "branch_match_kind": "glob", "pattern": "main",
            "value": null, "users": [{"uuid": "{u}", "nickname": "ann"}, {"username": "ben"}],
            "groups": [{"slug": "core", "owner": {"username": "acme"}}], "links": {}}"#;
        let read: BranchRestrictionInput = body::read(body).unwrap();
        let users: Vec<String> = read.users.unwrap().into_iter().map(AccountName::name).collect();
        assert_eq!(users, ["{u}", "ben"]);
        assert_eq!(read.groups.unwrap()[0].slug, "core");
        let error = body::read::<BranchRestrictionInput>(br#"{"groups": [{}]}"#).unwrap_err();
        assert_eq!(error.to_string(), "`groups[0].slug`: this field is required");
        let nothing: BranchRestrictionInput = body::read(b"{}").unwrap();
        assert!(nothing.users.is_none() && nothing.kind.is_none());
    }
}
