//! Who has the last word about what pipelines do: the provider and the rules of a workspace or a repository.

use axum::http::StatusCode;
use model::dynamic_pipeline::USUAL_TIME_LIMIT;
use model::{DynamicPipeline, Error, Result};
use pages::dynamic_pipeline::{DynamicPipelinePage, DynamicPipelineSetPage};
use pages::form::{Field, Kind};
use service::{DynamicOf, NewDynamicPipeline};
use wire::Parameters;

use super::pipeline_place::Place;
use super::resource_form::{Typed, text, ticked};
use super::settings::{RepositorySection, Section};
use super::{form, page, see_other};
use crate::http::{Cx, Response};

const PART: &str = "dynamic-pipelines";
const AT: (Section, RepositorySection) = (Section::DynamicPipelines, RepositorySection::DynamicPipelines);

fn of(place: &Place) -> DynamicOf {
    match place {
        Place::Workspace(slug) => DynamicOf::Workspace(slug.clone()),
        Place::Repository(path, _) => DynamicOf::Repository(path.clone()),
    }
}

fn fields(typed: &Typed, there: Option<&DynamicPipeline>) -> Vec<Field> {
    let address = there.and_then(|one| one.address.as_deref());
    let time_limit = there.map_or(USUAL_TIME_LIMIT, |one| one.time_limit).to_string();
    let rules = there.map_or("", |one| one.rules.as_str());
    let mut fields = vec![
        typed
            .line("address", "Address of the provider")
            .value(typed.value_or("address", address.unwrap_or_default()))
            .hint("It is sent each configuration and answers with the one that runs. Begins with https://; empty for rules alone.")
            .optional(),
        typed
            .line("time_limit", "Seconds that each try may take")
            .value(typed.value_or("time_limit", &time_limit))
            .hint("From 1 to 30. It is tried three times; if it does not answer then, nothing runs."),
        typed
            .line("rules", "Rules")
            .kind(Kind::Text)
            .value(typed.value_or("rules", rules))
            .hint("YAML, as below. Empty for none.")
            .optional(),
        typed.check("enabled", "Provider and rules hold", there.is_none_or(|one| one.enabled)),
    ];
    if address.is_some() {
        fields.push(typed.check("new_secret", "Make a new key; the one before ends at once", false));
    }
    fields
}

async fn shown(cx: &Cx, place: &Place, typed: Typed) -> Result<Response> {
    let there = cx.service()?.dynamic_pipeline(&cx.caller, &of(place)).await?;
    let fields = fields(&typed, there.as_ref());
    let action = place.address(PART);
    let shown = DynamicPipelinePage {
        frame: place.frame(cx, "Dynamic pipelines", AT).await,
        on: place.whose(),
        order: match place {
            Place::Workspace(_) => "The workspace has the last word, after its repositories.",
            Place::Repository(..) => "The workspace comes after the repository, and has the last word.",
        },
        error: typed.elsewhere(&fields, &[]),
        set_by: there.map(|one| one.set_by.trim_start_matches("user:").to_owned()).unwrap_or_default(),
        fields,
        form_token: form::token(cx, &action),
        action,
    };
    page(typed.status(), &shown)
}

/// `GET …/settings/dynamic-pipelines`
///
/// # Errors
/// When the caller may not see them.
pub async fn get(cx: Cx) -> Result<Response> {
    shown(&cx, &Place::of(&cx).await?, Typed::default()).await
}

fn sent(form: &Parameters) -> Result<NewDynamicPipeline> {
    let seconds = text(form, "time_limit")?;
    let odd = |_| Error::invalid_field("time_limit", "use a whole number of seconds");
    Ok(NewDynamicPipeline {
        address: Some(text(form, "address")?),
        time_limit: Some(seconds.parse().map_err(odd)?),
        enabled: Some(ticked(form, "enabled")?),
        // Browsers send a line break as two characters.
        rules: form.get("rules")?.unwrap_or_default().replace("\r\n", "\n"),
        new_secret: ticked(form, "new_secret")?,
    })
}

/// `POST` to the same. Where there is a new key, its page is the one answer that holds it.
///
/// # Errors
/// When the caller may not. What is wrong with the form is told in it.
pub async fn set(cx: Cx, form: Parameters) -> Result<Response> {
    let place = Place::of(&cx).await?;
    let set = match sent(&form) {
        Ok(new) => cx.service()?.set_dynamic_pipeline(&cx.caller, &of(&place), new).await,
        Err(error) => Err(error),
    };
    match set {
        Ok(set) => match set.secret {
            None => see_other(&place.address(PART)),
            Some(secret) => {
                let shown = DynamicPipelineSetPage {
                    frame: place.frame(&cx, "Provider set", AT).await,
                    address: set.settings.address.unwrap_or_default(),
                    secret: secret.secret().expose().to_owned(),
                    back: place.address(PART),
                };
                page(StatusCode::CREATED, &shown)
            }
        },
        Err(error) => shown(&cx, &place, Typed::default().refused(form, error)?).await,
    }
}
