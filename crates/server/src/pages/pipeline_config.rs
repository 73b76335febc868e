//! A repository's pipelines: switched on and off, and the number of the next run.

use model::{Error, Result};
use pages::form::YES;
use pages::pipeline_config::PipelineConfigPage;
use wire::Parameters;

use super::resource_form::{Typed, text};
use super::settings::{self, RepositorySection};
use super::{form, page, pipeline_cache, pipeline_ssh, repository_path, see_other};
use crate::http::{Cx, Response};

const PART: &str = "pipelines";

async fn shown(cx: &Cx, typed: Typed) -> Result<Response> {
    let path = repository_path(cx)?;
    let (located, config) = cx.service()?.pipeline_config(&cx.caller, &path).await?;
    let (workspace, slug) = (located.workspace.slug.as_str(), located.repository.slug.as_str());
    let action = settings::repository_address(&located, PART);
    let raise = format!("{action}/build-number");
    let value = typed.value_or("next", &config.last_build_number.saturating_add(1).to_string());
    let next = typed.line("next", "Number").value(value);
    let next = next.hint("It only goes up: a number that a run has had is given to no other.");
    let known: Vec<_> = std::iter::once(next.clone()).chain(pipeline_ssh::fields(&typed)).collect();
    let shown = PipelineConfigPage {
        frame: settings::repository(cx, &located, "Pipelines", RepositorySection::Pipelines).await,
        on: format!("{workspace}/{slug}"),
        error: typed.elsewhere(&known, &[]),
        enabled: config.enabled,
        form_token: form::token(cx, &action),
        runs: pages::address::of(&[workspace, slug, "pipelines"]),
        next,
        raise_token: form::token(cx, &raise),
        ssh: pipeline_ssh::part(cx, &path, &action, &typed).await?,
        caches: pipeline_cache::part(cx, &path, &action).await?,
        action,
        raise,
    };
    page(typed.status(), &shown)
}

/// Back to a part of the page.
pub(super) async fn back(cx: &Cx, part: &str) -> Result<Response> {
    let located = cx.service()?.repository(&cx.caller, &repository_path(cx)?).await?;
    see_other(&format!("{}{part}", settings::repository_address(&located, PART)))
}

/// The page with what was sent, and what is wrong with it.
pub(super) async fn again(cx: &Cx, form: Parameters, error: Error) -> Result<Response> {
    shown(cx, Typed::default().refused(form, error)?).await
}

/// `GET …/settings/pipelines`
///
/// # Errors
/// When the caller does not administer the repository.
pub async fn get(cx: Cx) -> Result<Response> {
    shown(&cx, Typed::default()).await
}

/// `POST …/settings/pipelines`: switches them on or off.
///
/// # Errors
/// When the caller may not.
pub async fn set(cx: Cx, form: Parameters) -> Result<Response> {
    let enabled = form.get("enabled")?.map(|sent| sent == YES);
    let path = repository_path(&cx)?;
    let (located, _) = cx.service()?.enable_pipelines(&cx.caller, &path, enabled).await?;
    see_other(&settings::repository_address(&located, PART))
}

/// `POST …/settings/pipelines/build-number`
///
/// # Errors
/// When the caller may not. What is wrong with the number is told beside it.
pub async fn raise_build_number(cx: Cx, form: Parameters) -> Result<Response> {
    let path = repository_path(&cx)?;
    let number = text(&form, "next")?.parse().map_err(|_| Error::invalid_field("next", "use a whole number"));
    let raised = match number {
        Ok(next) => cx.service()?.raise_build_number(&cx.caller, &path, Some(next)).await,
        Err(error) => Err(error),
    };
    match raised {
        Ok(_) => back(&cx, "").await,
        Err(error) => again(&cx, form, error).await,
    }
}
