//! Branching models, where they differ from the default.

use model::{BranchingModel, Error, NamedBranch, PrefixedType, RepositoryId, Result};
use serde_json::{Value as Json, json};

use crate::{Reader, Writer, params};

fn named(branch: &NamedBranch) -> Option<&str> {
    match branch {
        NamedBranch::Main => None,
        NamedBranch::Branch(name) => Some(name),
    }
}

/// A model as it is kept, and as the audit trail tells it. A branch without a name is the main branch.
#[must_use]
pub fn to_json(model: &BranchingModel) -> Json {
    let kept = |one: &PrefixedType| json!({ "kind": one.kind.as_str(), "prefix": one.prefix, "enabled": one.enabled });
    json!({
        "development": named(&model.development),
        "production": named(&model.production),
        "production_enabled": model.production_enabled,
        "types": model.types.iter().map(kept).collect::<Vec<_>>(),
        "delete_merged": model.delete_merged,
    })
}

fn from_json(json: &Json) -> Option<BranchingModel> {
    let branch = |key: &str| match json.get(key)? {
        Json::Null => Some(NamedBranch::Main),
        name => Some(NamedBranch::Branch(name.as_str()?.to_owned())),
    };
    let prefixed = |one: &Json| {
        Some(PrefixedType {
            kind: one.get("kind")?.as_str()?.parse().ok()?,
            prefix: one.get("prefix")?.as_str()?.to_owned(),
            enabled: one.get("enabled")?.as_bool()?,
        })
    };
    Some(BranchingModel {
        development: branch("development")?,
        production: branch("production")?,
        production_enabled: json.get("production_enabled")?.as_bool()?,
        types: json.get("types")?.as_array()?.iter().map(prefixed).collect::<Option<_>>()?,
        delete_merged: json.get("delete_merged")?.as_bool()?,
    })
}

/// A repository's branching model.
pub fn of(reader: &mut Reader<'_>, repository: RepositoryId) -> Result<BranchingModel> {
    let sql = "SELECT settings FROM branching_model WHERE repository_id = $1";
    let Some(row) = reader.one(sql, params![repository])? else { return Ok(BranchingModel::default()) };
    from_json(&row.only()?).ok_or_else(|| Error::internal("a branching model that cannot be read"))
}

/// Writes a repository's branching model.
pub fn set(writer: &mut Writer<'_>, repository: RepositoryId, model: &BranchingModel) -> Result<()> {
    writer
        .execute(
            "INSERT INTO branching_model (repository_id, settings) VALUES ($1, $2)
             ON CONFLICT (repository_id) DO UPDATE SET settings = $2",
            params![repository, to_json(model)],
        )
        .map(drop)
}
