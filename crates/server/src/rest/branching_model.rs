//! Branching models.

use axum::http::StatusCode;
use model::{NamedBranch, PrefixedType, Result};
use service::{BranchingModelChange, BranchingModelView, NamedBranchChange, PrefixedTypeChange, Refs};
use wire::Link;
use wire::branching_model::{
    BranchInput, BranchingModel, BranchingModelInput, BranchingModelSettings, ModelBranch, ModelLinks,
    ModelType, SetBranch,
};

use super::{Shape, repository_path, send};
use crate::http::{Cx, Response};

fn links(shape: &Shape, view: &BranchingModelView, parts: &[&str]) -> ModelLinks {
    ModelLinks { this: Link::new(shape.below(&view.located, parts)) }
}

fn branch(
    shape: &Shape,
    view: &BranchingModelView,
    named: &NamedBranch,
    found: Option<&Refs>,
) -> ModelBranch {
    let follows = *named == NamedBranch::Main;
    let branch = found.and_then(|refs| {
        let one = refs.listing.values.first()?;
        Some(shape.git_ref(&view.located, one.clone(), &refs.people))
    });
    let name = named.name(&view.located.repository.default_branch);
    ModelBranch {
        name: (!follows || branch.is_some()).then(|| name.to_owned()),
        branch,
        use_mainbranch: follows,
    }
}

fn types(view: &BranchingModelView, settings: bool) -> Vec<ModelType> {
    let shown = |one: &PrefixedType| ModelType {
        kind: one.kind.as_str(),
        enabled: settings.then_some(one.enabled),
        prefix: one.prefix.clone(),
    };
    view.model.types.iter().filter(|one| settings || one.enabled).map(shown).collect()
}

async fn applied(cx: Cx, kind: &'static str, part: &str) -> Result<Response> {
    let view = cx.service()?.branching_model(&cx.caller, &repository_path(&cx)?).await?;
    let (shape, model) = (Shape::of(&cx), &view.model);
    let production = branch(&shape, &view, &model.production, view.production.as_ref());
    let shown = BranchingModel {
        kind,
        development: branch(&shape, &view, &model.development, view.development.as_ref()),
        production: model.production_enabled.then_some(production),
        branch_types: types(&view, false),
        links: links(&shape, &view, &[part]),
    };
    send(&cx, StatusCode::OK, &shown)
}

/// `GET …/branching-model`
///
/// # Errors
/// When the caller may not see the repository.
pub async fn get(cx: Cx) -> Result<Response> {
    applied(cx, "branching_model", "branching-model").await
}

/// `GET …/effective-branching-model`: the same, since projects have none of their own.
///
/// # Errors
/// When the caller may not see the repository.
pub async fn effective(cx: Cx) -> Result<Response> {
    applied(cx, "effective_repo_branching_model", "effective-branching-model").await
}

fn settings(shape: &Shape, view: &BranchingModelView) -> BranchingModelSettings {
    let set = |named: &NamedBranch, found: Option<&Refs>, enabled| {
        let name = match named {
            NamedBranch::Main => None,
            NamedBranch::Branch(name) => Some(name.clone()),
        };
        SetBranch {
            is_valid: name.is_none() || found.is_some(),
            use_mainbranch: name.is_none(),
            name,
            enabled,
        }
    };
    let model = &view.model;
    BranchingModelSettings {
        development: set(&model.development, view.development.as_ref(), None),
        production: set(&model.production, view.production.as_ref(), Some(model.production_enabled)),
        branch_types: types(view, true),
        default_branch_deletion: if model.delete_merged { "true" } else { "false" },
        links: links(shape, view, &["branching-model", "settings"]),
    }
}

/// `GET …/branching-model/settings`
///
/// # Errors
/// When the caller does not administer the repository.
pub async fn get_settings(cx: Cx) -> Result<Response> {
    let view = cx.service()?.branching_model_settings(&cx.caller, &repository_path(&cx)?).await?;
    send(&cx, StatusCode::OK, &settings(&Shape::of(&cx), &view))
}

/// `PUT …/branching-model/settings`
///
/// # Errors
/// When the caller may not, or the model could not be.
pub async fn put_settings(mut cx: Cx) -> Result<Response> {
    let input: BranchingModelInput = cx.json().await?;
    let branch = |one: BranchInput| NamedBranchChange {
        name: one.name,
        use_mainbranch: one.use_mainbranch,
        enabled: one.enabled,
    };
    let types = input.branch_types.unwrap_or_default().into_iter();
    let change = BranchingModelChange {
        development: input.development.map(branch),
        production: input.production.map(branch),
        types: types
            .map(|one| PrefixedTypeChange { kind: one.kind, prefix: one.prefix, enabled: one.enabled })
            .collect(),
        delete_merged: input.default_branch_deletion.and_then(|text| text.parse().ok()),
    };
    let view = cx.service()?.update_branching_model(&cx.caller, &repository_path(&cx)?, change).await?;
    send(&cx, StatusCode::OK, &settings(&Shape::of(&cx), &view))
}
