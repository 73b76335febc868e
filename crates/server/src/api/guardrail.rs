//! Guardrails of a workspace, and those that the instance asks of every workspace.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use model::Result;
use service::{GuardrailView, NewGuardrails};
use wire::api::{Effect, EffectEntry, EffectWorkspace, Guardrails, GuardrailsUpdate, RuleFinding};

use super::{admitted, document, must_be_bound_to};
use crate::http::{Cx, Response, answer};

fn shape(view: &GuardrailView) -> Guardrails {
    let changed: BTreeMap<_, _> =
        view.changed.iter().map(|(name, change)| (name.clone(), (change.by.clone(), change.on))).collect();
    let floor = view.floor.as_ref().map(|floor| Box::new(Guardrails::of(floor, &BTreeMap::new())));
    Guardrails { floor, ..Guardrails::of(&view.guardrails, &changed) }
}

/// The workspace that the path names; none of the instance's own rows.
fn workspace(cx: &Cx) -> Option<&str> {
    Some(cx.param("workspace")).filter(|name| !name.is_empty())
}

fn new(body: &GuardrailsUpdate) -> Result<NewGuardrails> {
    Ok(NewGuardrails {
        guardrails: body.guardrails()?,
        confirm_lockout: body.confirm_lockout,
        confirm_wide_ranges: body.confirm_wide_ranges,
    })
}

/// `GET /api/workspaces/{workspace}/guardrails` and `GET /api/guardrails`
///
/// # Errors
/// When the caller administers neither the workspace nor, of the instance's own, the instance.
pub async fn get(cx: Cx) -> Result<Response> {
    let view = admitted(&cx)?.guardrails(&cx.caller, workspace(&cx)).await?;
    document(StatusCode::OK, &shape(&view))
}

/// `PUT /api/workspaces/{workspace}/guardrails` and `PUT /api/guardrails`
///
/// # Errors
/// When the caller may not, the body is not what it must be, the document has changed, or the caller would be locked
/// out by it.
pub async fn set(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: GuardrailsUpdate = cx.json().await?;
    let service = cx.service()?;
    let seen = service.guardrails(&cx.caller, workspace(&cx)).await?;
    must_be_bound_to(&cx, &shape(&seen))?;
    let view = service.set_guardrails(&cx.caller, workspace(&cx), new(&body)?, seen).await?;
    document(StatusCode::OK, &shape(&view))
}

/// `POST /api/operator/guardrails/reset` and `POST /api/operator/workspaces/{workspace}/guardrails/reset`: all off.
///
/// # Errors
/// When anybody but the command line asks, or there is no such workspace.
pub async fn reset(cx: Cx) -> Result<Response> {
    let view = admitted(&cx)?.reset_guardrails(&cx.caller, workspace(&cx)).await?;
    document(StatusCode::OK, &shape(&view))
}

/// `POST /api/workspaces/{workspace}/guardrails/effect` and `POST /api/guardrails/effect`: what the body would do.
///
/// # Errors
/// When the caller may not see guardrails, or the body is not what it must be.
pub async fn effect(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: GuardrailsUpdate = cx.json().await?;
    let found = cx.service()?.guardrail_effect(&cx.caller, workspace(&cx), new(&body)?).await?;
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let refused = found.refused.into_iter().map(|one| EffectEntry {
        workspace: one.workspace,
        principal: one.principal,
        credential: one.credential,
        address: one.address,
        uses: one.uses,
        refused_by: one.refused_by,
    });
    let workspaces = found.workspaces.into_iter().map(|one| EffectWorkspace {
        workspace: one.workspace,
        people: count(one.people),
        credentials: count(one.credentials),
        uses: one.uses,
    });
    let rules = found.rules.into_iter().map(|rule| RuleFinding {
        name: rule.name,
        can_fire: rule.can_fire,
        refuses_everything: rule.refuses_everything,
        example: rule.example,
    });
    let shape = Effect {
        refused: refused.collect(),
        refused_total: count(found.total),
        people: count(found.people),
        credentials: count(found.credentials),
        uses: found.uses,
        workspaces: workspaces.collect(),
        workspaces_total: count(found.workspaces_total),
        looked_at: count(found.looked_at),
        incomplete: found.incomplete,
        locks_you_out: found.locks_out,
        rules: rules.collect(),
    };
    answer::json(StatusCode::OK, &shape)
}
