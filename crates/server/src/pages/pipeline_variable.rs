//! Variables of pipelines: listed without the secured values, added and removed.

use model::{Result, Secret};
use pages::form::{Field, Kind};
use pages::pipeline_variable::{PipelineVariablesPage, VariableRow, Variables};
use service::{PipelineVariableChange, PipelineVariableView, VariablesOf, Window};
use wire::Parameters;

use super::pipeline_place::Place;
use super::resource_form::{Typed, text, ticked};
use super::settings::{RepositorySection, Section};
use super::{form, page, see_other};
use crate::http::{Cx, Response};

const PART: &str = "pipeline-variables";
/// More than one place can have.
const ALL: Window = Window { limit: 1_000, offset: 0 };

fn of(place: &Place) -> VariablesOf {
    match place {
        Place::Workspace(slug) => VariablesOf::Workspace(slug.clone()),
        Place::Repository(path, _) => VariablesOf::Repository(path.clone()),
    }
}

fn row(cx: &Cx, list: &str, view: PipelineVariableView) -> VariableRow {
    let one = view.variable;
    let remove = format!("{list}/{}", one.id);
    VariableRow {
        name: one.name.to_string(),
        value: view.value.filter(|_| !one.secured).map(|value| value.expose().to_owned()),
        protected_only: one.protected_only,
        environments: one.environments,
        remove_token: form::token(cx, &remove),
        remove,
    }
}

fn fields(typed: &Typed, bound: bool) -> Vec<Field> {
    let mut fields = vec![
        typed.line("key", "Name").hint("Such as DEPLOY_KEY: letters, digits and _."),
        // A value that was sent is not sent back: it may be a secret.
        Field::line("value", "Value").kind(Kind::Text).error(typed.error("value")).optional(),
        typed.check("secured", "Secured", true).hint(
            "Nobody is shown the value again, and logs have it hidden. A secured variable stays secured.",
        ),
    ];
    if bound {
        fields.push(typed.check("protected_only", "On protected branches and tags alone", false).hint(
            "Runs of other branches go without it, so that whoever may only push there cannot read it.",
        ));
        fields.push(
            typed
                .line("environments", "Environments")
                .hint("Names of deployment environments with commas between them. Only steps that deploy to one of them are given it; empty for every step.")
                .optional(),
        );
    }
    fields
}

/// The variables of a place as a part of a page.
pub(super) async fn part(cx: &Cx, of: &VariablesOf, action: String, typed: &Typed) -> Result<Variables> {
    let found = cx.service()?.pipeline_variables(&cx.caller, of, ALL).await?;
    let bound = !matches!(of, VariablesOf::Environment(..));
    let fields = fields(typed, bound);
    Ok(Variables {
        error: typed.elsewhere(&fields, &[]),
        rows: found.values.into_iter().map(|view| row(cx, &action, view)).collect(),
        bound,
        fields,
        form_token: form::token(cx, &action),
        action,
    })
}

/// Adds what a form says.
pub(super) async fn made(cx: &Cx, of: &VariablesOf, form: &Parameters) -> Result<()> {
    let names = text(form, "environments")?;
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    // Browsers send a line break as two characters; scripts and keys want one.
    let value = form.get("value")?.unwrap_or_default().replace("\r\n", "\n");
    let new = PipelineVariableChange {
        name: Some(text(form, "key")?),
        value: Some(Secret::new(value)),
        secured: Some(ticked(form, "secured")?),
        protected_only: Some(ticked(form, "protected_only")?),
        environments: Some(names),
    };
    cx.service()?.create_pipeline_variable(&cx.caller, of, new).await.map(|_| ())
}

async fn shown(cx: &Cx, place: &Place, typed: Typed) -> Result<Response> {
    let variables = part(cx, &of(place), place.address(PART), &typed).await?;
    let at = (Section::PipelineVariables, RepositorySection::PipelineVariables);
    let shown = PipelineVariablesPage {
        frame: place.frame(cx, "Pipeline variables", at).await,
        on: place.whose(),
        order: match place {
            Place::Workspace(_) => "A repository's own variable of the same name is given instead.",
            Place::Repository(..) => {
                "They come before those of the workspace; those of a deployment environment come before both."
            }
        },
        variables,
    };
    page(typed.status(), &shown)
}

/// `GET …/settings/pipeline-variables`
///
/// # Errors
/// When the caller may not see them.
pub async fn list(cx: Cx) -> Result<Response> {
    shown(&cx, &Place::of(&cx).await?, Typed::default()).await
}

/// `POST …/settings/pipeline-variables`: adds one.
///
/// # Errors
/// When the caller may not. What is wrong with the form is told in it.
pub async fn add(cx: Cx, form: Parameters) -> Result<Response> {
    let place = Place::of(&cx).await?;
    match made(&cx, &of(&place), &form).await {
        Ok(()) => see_other(&place.address(PART)),
        Err(error) => shown(&cx, &place, Typed::default().refused(form, error)?).await,
    }
}

/// `POST …/settings/pipeline-variables/{variable_uuid}`: removes one.
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn remove(cx: Cx, _: Parameters) -> Result<Response> {
    let place = Place::of(&cx).await?;
    cx.service()?.remove_pipeline_variable(&cx.caller, &of(&place), cx.param("variable_uuid")).await?;
    see_other(&place.address(PART))
}
