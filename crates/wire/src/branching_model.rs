//! Branching models.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Link;
use crate::git_ref::Ref;

/// A branching model as it applies; the type says whether it is the repository's own or the effective one.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "branching_model")]
pub struct BranchingModel {
    /// `branching_model` or `effective_repo_branching_model`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The branch that is developed on.
    pub development: ModelBranch,
    /// The branch that runs in production, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub production: Option<ModelBranch>,
    /// The types of branch that there are.
    pub branch_types: Vec<ModelType>,
    /// Where it is found.
    pub links: ModelLinks,
}

/// One branch of a model.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "branching_model_branch")]
pub struct ModelBranch {
    /// Its name; null for the main branch of an empty repository.
    pub name: Option<String>,
    /// The branch, where it exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<Ref>,
    /// Whether it is the main branch, whichever that is.
    pub use_mainbranch: bool,
}

/// One type of branch.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "branching_model_type")]
pub struct ModelType {
    /// Which type.
    pub kind: &'static str,
    /// Whether there are such branches; in settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What the names of such branches begin with.
    pub prefix: String,
}

/// Where a branching model is found.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "branching_model_links")]
pub struct ModelLinks {
    /// The model itself.
    #[serde(rename = "self")]
    pub this: Link,
}

/// The settings of a branching model.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "branching_model_settings")]
#[schemars(transform = crate::format::typed("branching_model_settings"))]
pub struct BranchingModelSettings {
    /// The branch that is developed on.
    pub development: SetBranch,
    /// The branch that runs in production.
    pub production: SetBranch,
    /// Every type of branch.
    pub branch_types: Vec<ModelType>,
    /// `true` where merging deletes the branch that was merged, else `false`: a text.
    pub default_branch_deletion: &'static str,
    /// Where they are found.
    pub links: ModelLinks,
}

/// One branch in the settings.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "branching_model_settings_branch")]
pub struct SetBranch {
    /// Whether it exists, or follows the main branch.
    pub is_valid: bool,
    /// Its name; null where it follows the main branch.
    pub name: Option<String>,
    /// Whether it is the main branch, whichever that is.
    pub use_mainbranch: bool,
    /// Whether there is one; of production alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Settings as requests send them; what is absent stays as it is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "branching_model_settings_input")]
pub struct BranchingModelInput {
    /// The branch that is developed on.
    #[serde(default)]
    pub development: Option<BranchInput>,
    /// The branch that runs in production.
    #[serde(default)]
    pub production: Option<BranchInput>,
    /// Types of branch to change.
    #[serde(default)]
    pub branch_types: Option<Vec<TypeInput>>,
    /// `true` or `false`, as a text; anything else is passed over.
    #[serde(default)]
    pub default_branch_deletion: Option<String>,
}

/// A branch as requests send it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "branching_model_branch_input")]
pub struct BranchInput {
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether it is the main branch, whichever that is.
    #[serde(default)]
    pub use_mainbranch: Option<bool>,
    /// Whether there is one; of production alone.
    #[serde(default)]
    pub enabled: Option<bool>,
}

/// A type of branch as requests send it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "branching_model_type_input")]
pub struct TypeInput {
    /// Which type.
    pub kind: String,
    /// What the names of such branches begin with.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Whether there are such branches.
    #[serde(default)]
    pub enabled: Option<bool>,
}
