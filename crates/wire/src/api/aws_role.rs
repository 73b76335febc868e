//! Roles at Amazon that steps of pipelines take on, and how such a role is made.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::DateTime;

/// A workspace's roles at Amazon.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "aws_roles")]
pub struct AwsRoles {
    /// The roles, by name.
    pub values: Vec<AwsRole>,
}

/// A role at Amazon.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "aws_role")]
pub struct AwsRole {
    /// Its id.
    pub uuid: String,
    /// The role.
    pub arn: String,
    /// `web-identity`: the step's tools exchange an identity token; `assume-role`: the server takes it on.
    pub mode: &'static str,
    /// What people call it.
    pub name: String,
    /// Where it is asked for; null for the server's default.
    pub region: Option<String>,
    /// The longest session, in seconds.
    pub longest_session: u32,
    /// Who may use it: a step for which all that one of them says holds.
    pub grants: Vec<AwsGrant>,
    /// When it was named here.
    pub created_on: DateTime,
    /// By what the role's account knows the workspace. Made by the server, once, and never changed.
    pub external_id: Option<String>,
    /// Who the server is at Amazon; null where it has no identity, and for `web-identity`.
    pub server: Option<String>,
    /// How the role is made there.
    pub setup: AwsRoleSetup,
    /// What was proved when it was saved, and what was not.
    pub proof: &'static str,
}

/// Who may use a role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "aws_role_grant")]
pub struct AwsGrant {
    /// A repository, by its slug or UUID; answers have the UUID. `*` for every repository of the workspace.
    pub repository: String,
    /// A pattern of branches (`release/*`), or of whole refs (`refs/tags/v*`). No pull request matches one.
    #[serde(default, rename = "ref")]
    pub refs: Option<String>,
    /// Protected branches and tags alone.
    #[serde(default)]
    pub protected_only: bool,
    /// The name of the environment that the step deploys to.
    #[serde(default)]
    pub environment: Option<String>,
}

/// Documents to paste, by which a role that trusts is made.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "aws_role_setup")]
pub struct AwsRoleSetup {
    /// The trust policy, JSON.
    pub trust_policy: String,
    /// Terraform.
    pub terraform: String,
    /// A template for `CloudFormation`, JSON.
    pub cloudformation: String,
    /// Commands for Amazon's own command line.
    pub cli: String,
    /// What keeps it from working, or from being as narrow as it was meant.
    pub warnings: Vec<String>,
}

/// The body that names a role, or changes one, whole. The external id is not in it: nobody chooses that.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "aws_role_set")]
pub struct AwsRoleSet {
    /// The role: `arn:aws:iam::123456789012:role/name`.
    pub arn: String,
    /// `web-identity` or `assume-role`.
    pub mode: String,
    /// What people call it; its name at Amazon without one.
    #[serde(default)]
    pub name: Option<String>,
    /// Where it is asked for: `eu-central-1`.
    #[serde(default)]
    pub region: Option<String>,
    /// The longest session, in seconds; an hour without one.
    #[serde(default)]
    pub longest_session: Option<u32>,
    /// Who may use it; nobody without one.
    #[serde(default)]
    pub grants: Vec<AwsGrant>,
}
