//! Roles at Amazon that steps of a workspace's pipelines may take on.

use axum::http::StatusCode;
use model::{AwsRoleId, Error, Result};
use service::{AwsRoleView, NewAwsGrant, NewAwsRole};
use wire::api;

use super::admitted;
use crate::http::{Cx, Response, answer};

fn shape(view: AwsRoleView) -> api::AwsRole {
    let AwsRoleView { role, external_id, server, setup, proof, .. } = view;
    let grant = |grant: model::AwsGrant| api::AwsGrant {
        repository: grant.repository.map_or_else(|| "*".to_owned(), |id| id.braced()),
        refs: grant.refs.map(|refs| refs.as_str().to_owned()),
        protected_only: grant.protected_only,
        environment: grant.environment,
    };
    api::AwsRole {
        uuid: role.id.braced(),
        arn: role.arn.to_string(),
        mode: role.mode.as_str(),
        name: role.name.to_string(),
        region: role.region.map(|region| region.to_string()),
        longest_session: role.longest_session,
        grants: role.grants.into_iter().map(grant).collect(),
        created_on: role.created_on.into(),
        external_id,
        server,
        setup: api::AwsRoleSetup {
            trust_policy: setup.trust_policy,
            terraform: setup.terraform,
            cloudformation: setup.cloudformation,
            cli: setup.cli,
            warnings: setup.warnings,
        },
        proof,
    }
}

async fn body(cx: &mut Cx) -> Result<NewAwsRole> {
    admitted(cx)?;
    let body: api::AwsRoleSet = cx.json().await?;
    let grant = |grant: api::AwsGrant| NewAwsGrant {
        repository: grant.repository,
        refs: grant.refs,
        protected_only: grant.protected_only,
        environment: grant.environment,
    };
    Ok(NewAwsRole {
        arn: body.arn,
        mode: body.mode,
        name: body.name,
        region: body.region,
        longest_session: body.longest_session,
        grants: Some(body.grants.into_iter().map(grant).collect()),
    })
}

fn id(cx: &Cx) -> Result<AwsRoleId> {
    cx.param("uuid").parse().map_err(|_| Error::not_found("the role"))
}

/// `GET /api/workspaces/{workspace}/aws-roles`
///
/// # Errors
/// When the caller does not administer the workspace.
pub async fn list(cx: Cx) -> Result<Response> {
    let found = admitted(&cx)?.aws_roles(&cx.caller, cx.param("workspace")).await?;
    answer::json(StatusCode::OK, &api::AwsRoles { values: found.roles.into_iter().map(shape).collect() })
}

/// `POST /api/workspaces/{workspace}/aws-role-plan`: how a role is made at Amazon, before it is saved here.
///
/// # Errors
/// When the caller may not, or the body is not what it must be.
pub async fn plan(mut cx: Cx) -> Result<Response> {
    let new = body(&mut cx).await?;
    let view = cx.service()?.plan_aws_role(&cx.caller, cx.param("workspace"), new).await?;
    answer::json(StatusCode::OK, &shape(view))
}

/// `POST /api/workspaces/{workspace}/aws-roles`
///
/// # Errors
/// When the caller may not, or the role does not trust as it must.
pub async fn create(mut cx: Cx) -> Result<Response> {
    let new = body(&mut cx).await?;
    let view = cx.service()?.create_aws_role(&cx.caller, cx.param("workspace"), new).await?;
    answer::json(StatusCode::CREATED, &shape(view))
}

/// `PUT /api/workspaces/{workspace}/aws-roles/{uuid}`
///
/// # Errors
/// When the caller may not, there is no such role, or it does not trust as it must.
pub async fn set(mut cx: Cx) -> Result<Response> {
    let new = body(&mut cx).await?;
    let view = cx.service()?.update_aws_role(&cx.caller, cx.param("workspace"), id(&cx)?, new).await?;
    answer::json(StatusCode::OK, &shape(view))
}

/// `DELETE /api/workspaces/{workspace}/aws-roles/{uuid}`
///
/// # Errors
/// When the caller may not, or there is no such role.
pub async fn remove(cx: Cx) -> Result<Response> {
    admitted(&cx)?.remove_aws_role(&cx.caller, cx.param("workspace"), id(&cx)?).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
