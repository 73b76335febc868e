//! Deployment environments.

use axum::http::StatusCode;
use model::{Glob, Result};
use pipeline::aws::{AwsRole, SESSION};
use service::{EnvironmentChange, EnvironmentView};
use wire::environment::{
    BranchRestriction, Environment, EnvironmentAws, EnvironmentAwsInput, EnvironmentCategory,
    EnvironmentChanges, EnvironmentInput, EnvironmentLock, EnvironmentType, Restrictions,
};

use super::{Shape, list_request, located, no_filter, page, repository_path, send};
use crate::http::{Cx, Response, answer};

pub(super) fn shown(one: &model::Environment, held: bool) -> Environment {
    let branch = |glob: &Glob| BranchRestriction {
        uuid: format!("{{{}}}", one.branch_id(glob)),
        pattern: glob.to_string(),
    };
    Environment {
        uuid: one.id.into(),
        name: one.name.clone(),
        slug: one.slug.clone(),
        rank: one.rank,
        hidden: one.hidden,
        environment_type: EnvironmentType { name: one.kind.as_str(), rank: one.kind.rank() },
        category: EnvironmentCategory { name: one.kind.as_str() },
        restrictions: Restrictions {
            admin_only: one.admin_only,
            branch_restrictions: one.branches.iter().map(branch).collect(),
            required_approvals: one.required_approvals,
        },
        lock: EnvironmentLock::new(held),
        environment_lock_enabled: one.lock_enabled,
        deployment_gate_enabled: false,
        aws: one.aws.as_ref().map(|role| EnvironmentAws {
            role: role.arn.to_string(),
            session_duration: role.session_duration,
            region: role.region.as_ref().map(ToString::to_string),
        }),
    }
}

fn in_full(view: &EnvironmentView) -> Environment {
    shown(&view.environment, view.held_by.is_some())
}

fn role(input: EnvironmentAwsInput) -> AwsRole {
    // What no duration can be is told as one that is out of bounds.
    let seconds = |seconds: i64| u32::try_from(seconds).unwrap_or(0);
    AwsRole {
        role: input.role,
        session_duration: input.session_duration.map_or(SESSION, seconds),
        region: input.region,
    }
}

fn change(input: EnvironmentInput) -> EnvironmentChange {
    let restrictions = input.restrictions.unwrap_or_default();
    let patterns = |all: Vec<wire::environment::BranchRestrictionInput>| {
        all.into_iter().map(|one| one.pattern).collect()
    };
    EnvironmentChange {
        name: input.name,
        kind: input.environment_type.and_then(|kind| kind.name),
        rank: input.rank,
        hidden: input.hidden,
        admin_only: restrictions.admin_only.or(input.admin_only),
        branches: restrictions.branch_restrictions.or(input.branch_restrictions).map(patterns),
        required_approvals: restrictions.required_approvals.or(input.required_approvals),
        lock_enabled: input.environment_lock_enabled,
        aws: input.aws.map(|aws| aws.map(role)),
    }
}

/// `GET …/environments`
///
/// # Errors
/// When the caller may not see the repository's pipelines.
pub async fn list(cx: Cx) -> Result<Response> {
    no_filter(&cx)?;
    let (request, window) = list_request(&cx)?;
    let (at, found) = cx.service()?.environments(&cx.caller, &repository_path(&cx)?, window).await?;
    let here = Shape::of(&cx).below(&at, &["environments"]);
    send(&cx, StatusCode::OK, &page(&cx, &request, found, &here, |one| in_full(&one)))
}

/// `POST …/environments`
///
/// # Errors
/// When the caller may not, or there is one of this name.
pub async fn create(mut cx: Cx) -> Result<Response> {
    let new = change(cx.json().await?);
    let (at, made) = cx.service()?.create_environment(&cx.caller, &repository_path(&cx)?, new).await?;
    let address = Shape::of(&cx).below(&at, &["environments", &made.environment.id.braced()]);
    located(send(&cx, StatusCode::CREATED, &in_full(&made))?, &address)
}

/// `GET …/environments/{environment_uuid}`
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn get(cx: Cx) -> Result<Response> {
    let environment = cx.param("environment_uuid");
    let found = cx.service()?.environment(&cx.caller, &repository_path(&cx)?, environment).await?;
    send(&cx, StatusCode::OK, &in_full(&found))
}

/// `POST …/environments/{environment_uuid}/changes`: what is absent stays as it is. The contract answers no body.
///
/// # Errors
/// When the caller may not, there is none, or another one has this name.
pub async fn update(mut cx: Cx) -> Result<Response> {
    let change = change(cx.json::<EnvironmentChanges>().await?.asked());
    let environment = cx.param("environment_uuid");
    cx.service()?.update_environment(&cx.caller, &repository_path(&cx)?, environment, change).await?;
    Ok(answer::empty(StatusCode::ACCEPTED))
}

/// `DELETE …/environments/{environment_uuid}`
///
/// # Errors
/// When the caller may not, there is none, or a run deploys to it.
pub async fn delete(cx: Cx) -> Result<Response> {
    let environment = cx.param("environment_uuid");
    cx.service()?.remove_environment(&cx.caller, &repository_path(&cx)?, environment).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
