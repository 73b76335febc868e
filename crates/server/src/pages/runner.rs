//! Runners of a workspace or a repository: listed, added, switched and removed.

use axum::http::StatusCode;
use model::{Error, Result, Runner, RunnerId};
use pages::form::{Field, YES};
use pages::measure::Moment;
use pages::runner::{AddedRunnerPage, OwnRunner, RunnerRow, RunnersPage};
use service::{NewRunner, RunnerChange, RunnerPlace, RunnerState, Window};
use wire::Parameters;

use super::pipeline_place::Place;
use super::resource_form::{Typed, read, words};
use super::settings::{RepositorySection, Section};
use super::{form, now, page, see_other};
use crate::http::{Cx, Response};

const PART: &str = "runners";
const AT: (Section, RepositorySection) = (Section::Runners, RepositorySection::Runners);
/// More than one place can have.
const ALL: Window = Window { limit: 1_000, offset: 0 };
/// Where the commands keep what the runner holds.
const DIRECTORY: &str = "~/bastide-runner";

fn place_of(place: &Place) -> RunnerPlace {
    match place {
        Place::Workspace(slug) => RunnerPlace::Workspace(slug.clone()),
        Place::Repository(path, _) => RunnerPlace::Repository(path.clone()),
    }
}

fn state_words(state: RunnerState) -> (&'static str, &'static str, &'static str) {
    match state {
        RunnerState::Unregistered => ("Not registered", "warning", "Its code was not used yet."),
        RunnerState::Disabled => ("Disabled", "", "It takes no new steps."),
        RunnerState::Online => ("Online", "open", "It takes steps."),
        RunnerState::Offline => ("Offline", "danger", "It was not heard of for two minutes."),
    }
}

/// The version that a runner told of itself.
fn version(runner: &Runner) -> String {
    let told = |text: &str| {
        let program: serde_json::Value = serde_json::from_str(text).ok()?;
        program.get("version")?.as_str().map(str::to_owned)
    };
    runner.program.as_deref().and_then(told).unwrap_or_default()
}

fn row(cx: &Cx, list: &str, runner: &Runner) -> Result<RunnerRow> {
    let (state, look, means) = state_words(cx.service()?.runner_state(runner));
    let switch = format!("{list}/{}", runner.id);
    let remove = format!("{switch}/remove");
    Ok(RunnerRow {
        name: runner.name.to_string(),
        labels: labels(runner),
        state,
        look,
        means,
        version: version(runner),
        seen: runner.seen_on.map(|on| Moment::of(on, now(cx))),
        enabled: runner.enabled,
        switch_token: form::token(cx, &switch),
        switch,
        remove_token: form::token(cx, &remove),
        remove,
    })
}

fn labels(runner: &Runner) -> Vec<String> {
    let told = runner.own_labels.iter().chain(&runner.labels).filter(|label| *label != "self.hosted");
    std::iter::once("self.hosted".to_owned()).chain(told.cloned()).collect()
}

fn fields(typed: &Typed) -> Vec<Field> {
    vec![
        typed.line("name", "Name").hint("Such as build-1: what people call the machine."),
        typed
            .line("labels", "Labels")
            .hint("Such as gpu, with spaces between them: what steps ask for with runs-on. A runner adds linux, or what it is, itself.")
            .optional(),
    ]
}

async fn shown(cx: &Cx, place: &Place, typed: Typed) -> Result<Response> {
    let found = cx.service()?.runners(&cx.caller, &place_of(place), ALL).await?;
    let own = cx.service()?.own_runner_of(&cx.caller, &place_of(place)).await?;
    let own = own.map(|runner| -> Result<OwnRunner> {
        let (state, look, _) = state_words(cx.service()?.runner_state(&runner));
        Ok(OwnRunner { labels: labels(&runner), state, look })
    });
    let (action, fields) = (place.address(PART), fields(&typed));
    let shown = RunnersPage {
        frame: place.frame(cx, "Runners", AT).await,
        on: place.whose(),
        error: typed.elsewhere(&fields, &[]),
        runners: found.values.iter().map(|runner| row(cx, &action, runner)).collect::<Result<_>>()?,
        own: own.transpose()?,
        fields,
        form_token: form::token(cx, &action),
        action,
    };
    page(typed.status(), &shown)
}

fn id(cx: &Cx) -> Result<RunnerId> {
    cx.param("runner_uuid").parse().map_err(|_| Error::not_found("the runner"))
}

/// `GET …/settings/runners`
///
/// # Errors
/// When the caller may not see them.
pub async fn list(cx: Cx) -> Result<Response> {
    shown(&cx, &Place::of(&cx).await?, Typed::default()).await
}

async fn made(cx: &Cx, place: &Place, form: &Parameters) -> Result<NewRunner> {
    let new =
        RunnerChange { name: Some(read(form, "name")?), labels: Some(words(form, "labels")?), enabled: None };
    cx.service()?.create_runner(&cx.caller, &place_of(place), new).await
}

/// `POST …/settings/runners`: adds one. Its page is the one answer that holds the code.
///
/// # Errors
/// When the caller may not. What is wrong with the form is told in it.
pub async fn add(cx: Cx, form: Parameters) -> Result<Response> {
    let place = Place::of(&cx).await?;
    match made(&cx, &place, &form).await {
        Ok(NewRunner { runner, code, code_expires_on }) => {
            let url = &cx.app.settings.base_url;
            let shown = AddedRunnerPage {
                frame: place.frame(&cx, "Runner added", AT).await,
                name: runner.name.to_string(),
                on: place.whose(),
                code: code.secret().expose().to_owned(),
                until: Moment::of(code_expires_on, now(&cx)),
                register: format!("bastide runner register --url {url} --directory {DIRECTORY}"),
                start: format!("bastide runner run --directory {DIRECTORY}"),
                list: place.address(PART),
            };
            page(StatusCode::CREATED, &shown)
        }
        Err(error) => shown(&cx, &place, Typed::default().refused(form, error)?).await,
    }
}

/// `POST …/settings/runners/{runner_uuid}`: switches one on or off.
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn switch(cx: Cx, form: Parameters) -> Result<Response> {
    let place = Place::of(&cx).await?;
    let change = RunnerChange { enabled: Some(form.get("enabled")? == Some(YES)), ..RunnerChange::default() };
    cx.service()?.update_runner(&cx.caller, &place_of(&place), id(&cx)?, change).await?;
    see_other(&place.address(PART))
}

/// `POST …/settings/runners/{runner_uuid}/remove`
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn remove(cx: Cx, _: Parameters) -> Result<Response> {
    let place = Place::of(&cx).await?;
    cx.service()?.remove_runner(&cx.caller, &place_of(&place), id(&cx)?).await?;
    see_other(&place.address(PART))
}
