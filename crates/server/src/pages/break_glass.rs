//! Break-glass: asked for, given and ended by those who run the instance; seen and ended by a workspace's owners.

use axum::http::StatusCode;
use model::{Action, BreakGlass, BreakGlassId, Error, Result, StaffRole, Timestamp};
use pages::break_glass::{BreakGlassPage, BreakGlassRow, Send, Told, WorkspaceBreakGlassPage};
use pages::form::{Field, Kind};
use pages::frame::{Notice, Weight};
use pages::measure::Moment;
use pages::principal::Known;
use service::{Named, NewBreakGlass};
use wire::Parameters;

use super::error::sentence;
use super::resource_form::{Typed, text};
use super::settings::{self, InstanceSection, Section};
use super::{ROWS, form, may_each, now, numbered, page, see_other, turned};
use crate::http::{Cx, Response};

/// Where all requests are listed, and where a new one is sent.
const PAGE: &str = "/-/break-glass";

/// Whoever the audit trail names, in the middle of a sentence.
fn by(label: Option<&str>) -> String {
    let Known { kind, name } = Known::principal(label.unwrap_or_default());
    let kind = kind.replacen("The server", "the server", 1);
    [kind, name].join(" ").trim().to_owned()
}

fn hours(number: i64) -> String {
    if number == 1 { "1 hour".to_owned() } else { format!("{number} hours") }
}

/// What became of a request: its state, the badge's class, and the story, the latest first.
fn state(one: &BreakGlass, now: Timestamp) -> (&'static str, &'static str, Vec<Told>) {
    let at = |text: &str, time: Timestamp| Told {
        text: text.to_owned(),
        at: Some(Moment::of(time, now)),
        more: String::new(),
    };
    let asked = Told { more: format!(", for {}", hours(one.hours)), ..at("Asked", one.requested_on) };
    let given = |on: Timestamp| match one.approved_by.as_deref() {
        Some(label) => at(&format!("Given by {},", by(Some(label))), on),
        None => Told { at: None, ..at("Nobody else was there to give it", on) },
    };
    let ended =
        |how: &str| at(&format!("{how} by {},", by(one.ended_by.as_deref())), one.ended_on.unwrap_or(now));
    match (one.state(now), one.approved_on) {
        ("in-force", Some(on)) => ("In force", "open", vec![at("Ends", one.expires_on), given(on), asked]),
        ("requested", _) => ("Waits", "warning", vec![asked, at("Lapses", one.expires_on)]),
        ("ended", Some(on)) => ("Over", "", vec![ended("Ended"), given(on), asked]),
        ("ended", None) => ("Refused", "", vec![ended("Refused"), asked]),
        (_, Some(on)) => ("Over", "", vec![at("Ended by itself,", one.expires_on), given(on), asked]),
        (_, None) => ("Over", "", vec![at("Given by nobody, lapsed", one.expires_on), asked]),
    }
}

fn is_open(one: &BreakGlass, now: Timestamp) -> bool {
    matches!(one.state(now), "requested" | "in-force")
}

fn is_own(cx: &Cx, one: &BreakGlass) -> bool {
    cx.caller.as_user().is_some_and(|user| user.id == one.user)
}

fn row(cx: &Cx, one: &BreakGlass, now: Timestamp) -> BreakGlassRow {
    let (state, class, told) = state(one, now);
    let own = is_own(cx, one);
    let opens = own && one.state(now) == "in-force";
    BreakGlassRow {
        workspace: one.workspace_slug.to_string(),
        username: one.username.to_string(),
        own,
        reason: one.reason.clone(),
        state,
        class,
        told,
        opens: opens.then(|| pages::address::of(&[one.workspace_slug.as_str()])),
        given: one.approved_on.is_some(),
        audit: None,
        buttons: Vec::new(),
    }
}

/// What ending it is called: what was never given is refused.
fn ending(one: &BreakGlass) -> &'static str {
    if one.approved_on.is_some() { "End now" } else { "Refuse" }
}

/// What whoever runs the instance may do with a request.
async fn buttons(cx: &Cx, one: &BreakGlass) -> Vec<Send> {
    let (slug, id) = (one.workspace_slug.as_str(), one.id.braced());
    let may = may_each(cx, &[Action::BreakGlassApprove, Action::BreakGlassEnd], Named::Workspace(slug)).await;
    let [may_give, may_end] = may.as_slice() else { return Vec::new() };
    let of = format!("the request of {} for {slug}", one.username);
    let send = |name: &'static str, part: &str| {
        let action = format!("{PAGE}{}", pages::address::of(&[slug, &id, part]));
        Send {
            name,
            label: format!("{name}: {of}"),
            form_token: form::token(cx, &action),
            action,
            uuid: String::new(),
        }
    };
    // Nobody gives their own.
    let gives = *may_give && one.approved_on.is_none() && !is_own(cx, one);
    let end = if is_own(cx, one) && one.approved_on.is_none() { "Withdraw" } else { ending(one) };
    [gives.then(|| send("Give", "approval")), may_end.then(|| send(end, "end"))]
        .into_iter()
        .flatten()
        .collect()
}

fn fields(typed: &Typed) -> Vec<Field> {
    let choices = (1..=service::MOST_BREAK_GLASS_HOURS).map(|number| (number.to_string(), hours(number)));
    vec![
        typed.line("workspace", "Workspace").hint("Its short name in addresses."),
        typed
            .line("reason", "Reason")
            .hint("The workspace's owners read it, and whoever gives it.")
            .kind(Kind::Prose),
        typed.choice("hours", "For how long", choices.collect()).hint("From when it is given."),
    ]
}

/// The list; with what was sent to it and the error that it met, where there was one.
async fn listed(cx: &Cx, refused: Option<(Parameters, Error)>) -> Result<Response> {
    let status = if refused.is_none() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let typed = match refused {
        Some((sent, error)) => Typed::default().refused(sent, error)?,
        None => Typed::default(),
    };
    let (number, window) = numbered(cx, ROWS)?;
    let found = cx.service()?.break_glass(&cx.caller, window).await?;
    let now = now(cx);
    let mut rows = Vec::with_capacity(found.values.len());
    for one in &found.values {
        let buttons = if is_open(one, now) { buttons(cx, one).await } else { Vec::new() };
        rows.push(BreakGlassRow { buttons, ..row(cx, one, now) });
    }
    // Which workspace is asked about is typed, so there is none yet to ask the access model about.
    let asks = cx.caller.as_user().is_some_and(|user| user.staff_role == StaffRole::Administrator);
    let fields = if asks { fields(&typed) } else { Vec::new() };
    let shown = BreakGlassPage {
        frame: settings::instance(cx, "Break-glass", InstanceSection::BreakGlass).await,
        error: typed.elsewhere(&fields, &[]),
        pages: turned(cx, PAGE, number, ROWS, rows.len(), found.size),
        rows,
        fields,
        action: PAGE.to_owned(),
        form_token: form::token(cx, PAGE),
    };
    page(status, &shown)
}

/// `GET /-/break-glass`
///
/// # Errors
/// When the caller has no part in running the instance.
pub async fn list(cx: Cx) -> Result<Response> {
    listed(&cx, None).await
}

/// Leads back to the list, or tells in it what is wrong.
async fn back(cx: &Cx, form: Parameters, done: Result<()>) -> Result<Response> {
    match done {
        Ok(()) => see_other(PAGE),
        Err(error) => listed(cx, Some((form, error))).await,
    }
}

/// `POST /-/break-glass`: asks for it.
///
/// # Errors
/// When the caller is no administrator of the instance. What is wrong with the form is told in it.
pub async fn request(cx: Cx, form: Parameters) -> Result<Response> {
    let workspace = text(&form, "workspace")?;
    // What is no number is no number of hours: the use case says which are.
    let hours = text(&form, "hours")?.parse().unwrap_or_default();
    let new = NewBreakGlass { reason: text(&form, "reason")?.replace("\r\n", "\n"), hours, username: None };
    let asked = cx.service()?.request_break_glass(&cx.caller, &workspace, new).await;
    let asked = match asked {
        Err(Error::NotFound { .. }) => {
            Err(Error::invalid_field("workspace", "no workspace has this short name"))
        }
        other => other.map(drop),
    };
    back(&cx, form, asked).await
}

fn id(text: &str) -> Result<BreakGlassId> {
    // What cannot be an id names none.
    text.parse().map_err(|_| Error::not_found("the break-glass request"))
}

/// `POST /-/break-glass/{workspace}/{uuid}/approval`: gives it.
///
/// # Errors
/// When the caller is no administrator of the instance. What stands against it is told in the list.
pub async fn approve(cx: Cx, form: Parameters) -> Result<Response> {
    let id = id(cx.param("uuid"))?;
    let given = cx.service()?.approve_break_glass(&cx.caller, cx.param("workspace"), id).await.map(drop);
    back(&cx, form, given).await
}

/// `POST /-/break-glass/{workspace}/{uuid}/end`: ends it, or refuses it.
///
/// # Errors
/// When the caller is no administrator of the instance. What stands against it is told in the list.
pub async fn end(cx: Cx, form: Parameters) -> Result<Response> {
    let id = id(cx.param("uuid"))?;
    let ended = cx.service()?.end_break_glass(&cx.caller, cx.param("workspace"), id).await;
    back(&cx, form, ended).await
}

/// Where the audit log tells what was done under a request that was given.
fn audit(slug: &str, one: &BreakGlass) -> Option<String> {
    let from = one.approved_on?;
    // Its last second belongs to it.
    let until = one.ended_on.unwrap_or(one.expires_on).plus_seconds(1);
    let second = |time: Timestamp| time.to_string().get(..19).unwrap_or_default().to_owned();
    let mut address = settings::address(slug, "audit");
    let username = one.username.to_string();
    for (name, value) in [("actor", username), ("from", second(from)), ("until", second(until))] {
        address = pages::address::with_query(&address, name, &value);
    }
    Some(address)
}

async fn shown(cx: &Cx, error: String) -> Result<Response> {
    let (number, window) = numbered(cx, ROWS)?;
    let service = cx.service()?;
    let (workspace, found) = service.workspace_break_glass(&cx.caller, cx.param("workspace"), window).await?;
    let (slug, now) = (workspace.slug.as_str(), now(cx));
    let may = may_each(cx, &[Action::BreakGlassEnd, Action::AuditRead], Named::Workspace(slug)).await;
    let [may_end, may_look] = may.as_slice() else { return Err(Error::not_found("the workspace")) };
    let action = settings::address(slug, "break-glass");
    let form_token = form::token(cx, &action);
    let rows = found.values.iter().map(|one| {
        let name = ending(one);
        let end = Send {
            name,
            label: format!("{name}: the request of {}", one.username),
            action: action.clone(),
            form_token: form_token.clone(),
            uuid: one.id.braced(),
        };
        BreakGlassRow {
            audit: audit(slug, one).filter(|_| *may_look),
            buttons: (*may_end && is_open(one, now)).then_some(end).into_iter().collect(),
            ..row(cx, one, now)
        }
    });
    let shown = WorkspaceBreakGlassPage {
        frame: settings::workspace(cx, slug, "Break-glass", Section::BreakGlass).await,
        workspace: slug.to_owned(),
        rows: rows.collect(),
        pages: turned(cx, &action, number, ROWS, found.values.len(), found.size),
        error,
    };
    page(if shown.error.is_empty() { StatusCode::OK } else { StatusCode::CONFLICT }, &shown)
}

/// `GET /{workspace}/workspace/settings/break-glass`
///
/// # Errors
/// When the caller neither owns the workspace nor has a part in running the instance.
pub async fn of_workspace(cx: Cx) -> Result<Response> {
    shown(&cx, String::new()).await
}

/// `POST /{workspace}/workspace/settings/break-glass`: an owner ends it, or refuses it before it is given.
///
/// # Errors
/// When the caller may not. That it is over already is told in the page.
pub async fn end_in_workspace(cx: Cx, form: Parameters) -> Result<Response> {
    let workspace = cx.param("workspace");
    match cx.service()?.end_break_glass(&cx.caller, workspace, id(&text(&form, "uuid")?)?).await {
        Ok(()) => see_other(&settings::address(workspace, "break-glass")),
        Err(error @ Error::Conflict(_)) => shown(&cx, sentence(&error.to_string())).await,
        Err(error) => Err(error),
    }
}

/// What stands above a page that break-glass alone opens to whoever looks.
pub(super) async fn notice(cx: &Cx, on: Named<'_>) -> Option<Notice> {
    let until = cx.service().ok()?.break_glass_until(&cx.caller, on).await?;
    let until = Moment::of(until, now(cx));
    let text = format!(
        "You read here by break-glass, until {} ({}). The workspace's owners are told, and each access is recorded.",
        until.exact, until.text
    );
    Some(Notice { weight: Weight::Note, text })
}
