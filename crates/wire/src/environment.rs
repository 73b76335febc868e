//! Deployment environments.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::body::nullable;
use crate::format::{Braced, typed};

/// A deployment environment.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "deployment_environment")]
#[schemars(transform = typed("deployment_environment"))]
pub struct Environment {
    /// Its id.
    pub uuid: Braced,
    /// Its name.
    pub name: String,
    /// Its name in addresses.
    pub slug: String,
    /// Its place among those of its type.
    pub rank: i64,
    /// Whether people are not shown it.
    pub hidden: bool,
    /// What it is for.
    pub environment_type: EnvironmentType,
    /// The same, as some clients read it.
    pub category: EnvironmentCategory,
    /// Who deploys to it, and from where.
    pub restrictions: Restrictions,
    /// Whether a run deploys to it now.
    pub lock: EnvironmentLock,
    /// Whether one run at a time deploys to it.
    pub environment_lock_enabled: bool,
    /// Whether another system is asked before a deployment; never here.
    pub deployment_gate_enabled: bool,
    /// The role at Amazon of the steps that deploy to it and name none themselves; not part of the contract.
    pub aws: Option<EnvironmentAws>,
}

/// A role at Amazon that steps take on which deploy to an environment.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "deployment_environment_aws")]
pub struct EnvironmentAws {
    /// Its ARN.
    pub role: String,
    /// How long its credentials live, in seconds.
    pub session_duration: u32,
    /// The region that the steps' tools begin with.
    pub region: Option<String>,
}

/// What an environment is for.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "deployment_environment_type")]
#[schemars(transform = typed("deployment_environment_type"))]
pub struct EnvironmentType {
    /// `Test`, `Staging` or `Production`.
    pub name: &'static str,
    /// Its place in that order, from 0.
    pub rank: i64,
}

/// What an environment is for.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct EnvironmentCategory {
    /// `Test`, `Staging` or `Production`.
    pub name: &'static str,
}

/// Who deploys to an environment, and from where.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "deployment_restrictions_configuration")]
#[schemars(transform = typed("deployment_restrictions_configuration"))]
pub struct Restrictions {
    /// Whether only who administers the repository does.
    pub admin_only: bool,
    /// The branches from which; all where there are none.
    pub branch_restrictions: Vec<BranchRestriction>,
    /// How many people approve a deployment before it begins; not part of the contract.
    pub required_approvals: i64,
}

/// Branches from which an environment is deployed to.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "deployment_branch_restriction")]
pub struct BranchRestriction {
    /// Its id.
    pub uuid: String,
    /// The pattern of names.
    pub pattern: String,
}

/// Whether a run deploys to an environment now.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct EnvironmentLock {
    /// `deployment_environment_lock_open` or `deployment_environment_lock_locked`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `OPEN` or `LOCKED`.
    pub name: &'static str,
}

impl EnvironmentLock {
    /// Held by a run, or by none.
    #[must_use]
    pub fn new(held: bool) -> Self {
        match held {
            true => Self { kind: "deployment_environment_lock_locked", name: "LOCKED" },
            false => Self { kind: "deployment_environment_lock_open", name: "OPEN" },
        }
    }
}

/// An environment as requests send it; what is absent stays as it is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "deployment_environment_input")]
pub struct EnvironmentInput {
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub environment_type: Option<TypeInput>,
    /// Its place among those of its type.
    #[serde(default)]
    pub rank: Option<i64>,
    /// Whether people are not shown it.
    #[serde(default)]
    pub hidden: Option<bool>,
    /// Whether one run at a time deploys to it.
    #[serde(default)]
    pub environment_lock_enabled: Option<bool>,
    /// Who deploys to it, and from where.
    #[serde(default)]
    pub restrictions: Option<RestrictionsInput>,
    /// The first of these, where it stands by itself.
    #[serde(default)]
    pub admin_only: Option<bool>,
    /// The second of these, where it stands by itself.
    #[serde(default)]
    pub branch_restrictions: Option<Vec<BranchRestrictionInput>>,
    /// The third of these, where it stands by itself.
    #[serde(default)]
    pub required_approvals: Option<i64>,
    /// The role at Amazon of the steps that deploy to it; `null` takes it away. Not part of the contract.
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<EnvironmentAwsInput>")]
    pub aws: Option<Option<EnvironmentAwsInput>>,
}

/// A role at Amazon, as requests send it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(expecting = "an object with a role")]
#[schemars(rename = "deployment_environment_aws_input")]
pub struct EnvironmentAwsInput {
    /// Its ARN.
    pub role: String,
    /// How long its credentials live, in seconds, from 900 to 43200; 3600 where nothing is said.
    #[serde(default)]
    pub session_duration: Option<i64>,
    /// The region that the steps' tools begin with.
    #[serde(default)]
    pub region: Option<String>,
}

/// What an environment is for, as requests send it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "deployment_environment_type_input")]
pub struct TypeInput {
    /// `Test`, `Staging` or `Production`.
    #[serde(default)]
    pub name: Option<String>,
}

/// Who deploys to an environment, and from where, as requests send it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "deployment_restrictions_input")]
pub struct RestrictionsInput {
    /// Whether only who administers the repository does.
    #[serde(default)]
    pub admin_only: Option<bool>,
    /// The branches from which.
    #[serde(default)]
    pub branch_restrictions: Option<Vec<BranchRestrictionInput>>,
    /// How many people approve a deployment before it begins, from 0 to 5; not part of the contract.
    #[serde(default)]
    pub required_approvals: Option<i64>,
}

/// Branches from which an environment is deployed to, as requests send them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(expecting = "an object with a pattern")]
#[schemars(rename = "deployment_branch_restriction_input")]
pub struct BranchRestrictionInput {
    /// The pattern of names.
    pub pattern: String,
}

/// A change of an environment: in an object of its own, as clients send it, or plain.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "deployment_environment_changes")]
pub struct EnvironmentChanges {
    /// The change.
    #[serde(default)]
    pub change: Option<EnvironmentInput>,
    /// What stands beside it.
    #[serde(flatten)]
    pub plain: EnvironmentInput,
}

impl EnvironmentChanges {
    /// What is asked.
    #[must_use]
    pub fn asked(self) -> EnvironmentInput {
        self.change.unwrap_or(self.plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body;

    #[test]
    fn a_change_is_read_in_both_forms() {
        for text in [
            r#"{"change": {"restrictions": {"admin_only": true, "type": "deployment_restrictions_configuration"}}}"#,
            r#"{"restrictions": {"admin_only": true}, "uuid": "{u}"}"#,
        ] {
            let read: EnvironmentChanges = body::read(text.as_bytes()).unwrap();
            let asked = read.asked();
            assert_eq!((asked.restrictions.unwrap().admin_only, asked.name), (Some(true), None), "{text}");
        }
        for (text, wanted) in [
            ("{}", None),
            (r#"{"aws": null}"#, Some(None)),
            (r#"{"change": {"aws": null}}"#, Some(None)),
            (r#"{"aws": {"role": "r", "session_duration": 900}}"#, Some(Some("r"))),
        ] {
            let asked = body::read::<EnvironmentChanges>(text.as_bytes()).unwrap().asked();
            let found = asked.aws.as_ref().map(|aws| aws.as_ref().map(|aws| aws.role.as_str()));
            assert_eq!(found, wanted, "{text}");
        }
        let error = body::read::<EnvironmentChanges>(br#"{"change": {"rank": "high"}}"#).unwrap_err();
        assert!(error.to_string().starts_with("`change.rank`"), "{error}");
    }
}
