//! The web pages. One file per noun; each handler reads its request, calls one use case and fills a view model of the
//! crate `pages`. Who may do what is the business of `service`: a page, a REST call and a command for the same thing go
//! through the same use case.
//!
//! Every answer forbids the browser to run, load or frame anything that is not this site's; errors are pages.

pub mod access_token;
pub mod account;
pub mod alert;
pub mod appearance;
pub mod asset;
pub mod audit_event;
pub mod audit_refusal;
pub mod audit_sink;
pub mod aws_role;
pub mod branch_restriction;
pub mod break_glass;
pub mod commit;
pub mod design;
pub mod dynamic_pipeline;
pub mod email_verification;
pub mod environment;
pub mod error;
pub mod form;
pub mod git_ref;
pub mod group;
pub mod guardrail;
pub mod guardrail_effect;
pub mod home;
pub mod identity_provider;
pub mod identity_token;
pub mod member;
pub mod own_access;
pub mod own_rule;
pub mod password;
pub mod password_reset;
pub mod permission;
pub mod pipeline_cache;
pub mod pipeline_config;
pub mod pipeline_log;
pub mod pipeline_run;
pub mod pipeline_schedule;
pub mod pipeline_ssh;
pub mod pipeline_variable;
pub mod project;
pub mod project_settings;
pub mod provider_sign_in;
mod report;
pub mod repository;
pub mod repository_settings;
pub mod runner;
pub mod second_step;
pub mod session;
pub mod source;
mod step_approval;
pub mod step_artifact;
pub mod step_up;
mod test_report;
pub mod user;
pub mod user_credential;
pub mod workspace;
pub mod workspace_settings;
pub mod workspace_token;

mod around;
mod audit_trail;
mod passkey;
mod pipeline_place;
mod resource_form;
mod settings;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use model::{Action, Error, RequestId, Result, Timestamp};
use pages::Template;
use pages::frame::{Frame, Way};
use service::{Located, Named, RepositoryName, RepositoryPath, Window};

use crate::http::{Cx, Response, answer};
use crate::route::{Route, Visibility};

pub use around::Around;

/// What a page may do: load this site's style, script, images and event streams, and send forms to it. Nothing inline.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// How many rows a list has on a page.
const ROWS: i64 = 50;

/// Runs a page's handler; what fails becomes a page as well, in the same frame.
///
/// # Errors
/// None: the signature is that of every operation.
pub async fn shown<F>(cx: Cx, handler: fn(Cx) -> F) -> Result<Response>
where
    F: Future<Output = Result<Response>>,
{
    let (around, kept) = (Around::of(&cx), session::Kept::of(&cx));
    let mut response = handler(cx).await.unwrap_or_else(|error| error::answer(&around, &error));
    if let Err(error) = session::renew(&kept, &mut response).await {
        tracing::warn!(%error, "a session keeps its old secret");
    }
    Ok(response)
}

/// What a browser gets that asked for a page and reached no handler.
#[must_use]
pub fn failed(around: &Around, error: &Error) -> Response {
    error::answer(around, error)
}

/// Whether a page opens to who must add a second step first: what adds it, and the way out.
#[must_use]
pub fn open_before_second_step(row: &Route) -> bool {
    let own = ["/account/second-steps", "/step-up", "/sign-out"];
    row.visibility == Visibility::Public || own.iter().any(|head| row.path.starts_with(head))
}

/// Leads to where a second step is added.
///
/// # Errors
/// None: the signature is that of every answer.
pub fn to_second_steps() -> Result<Response> {
    see_other("/account/second-steps")
}

/// Whether a request that reached no row came from somebody who reads pages.
#[must_use]
pub fn wanted(path: &str, headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let interface = ["/2.0", "/1.0", "/api"]
        .iter()
        .any(|head| path.strip_prefix(head).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    accepts.contains("text/html") && !interface
}

/// A page as an answer.
///
/// # Errors
/// When its template cannot be written out.
fn page(status: StatusCode, page: &impl Template) -> Result<Response> {
    let mut response = Response::new(Body::from(pages::html(page)?));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    protect(headers);
    Ok(response)
}

/// The headers that every page has. `same-origin`: with no referrer at all browsers would hide where a form came from.
fn protect(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers
        .insert("permissions-policy", HeaderValue::from_static("camera=(), geolocation=(), microphone=()"));
}

/// Leads to another page of this site.
///
/// # Errors
/// When the address cannot stand in a header.
fn see_other(address: &str) -> Result<Response> {
    let mut response = answer::empty(StatusCode::SEE_OTHER);
    let address = HeaderValue::from_str(address).map_err(Error::internal)?;
    response.headers_mut().insert(header::LOCATION, address);
    protect(response.headers_mut());
    Ok(response)
}

/// The repository that the path names.
fn repository_path(cx: &Cx) -> Result<RepositoryPath> {
    RepositoryPath::parse(cx.param("workspace"), cx.param("repo_slug"))
}

fn now(cx: &Cx) -> Timestamp {
    cx.app.clock.now()
}

/// The number of the page that is asked for, and the part of the list that it is.
fn numbered(cx: &Cx, rows: i64) -> Result<(u64, Window)> {
    let odd = || Error::invalid_field("page", "use a whole number from 1");
    let number = match cx.query.get("page")? {
        None | Some("") => 1,
        Some(digits) => digits.parse::<u32>().ok().filter(|number| *number >= 1).ok_or_else(odd)?,
    };
    let offset = i64::from(number - 1).saturating_mul(rows);
    Ok((u64::from(number), Window { limit: rows, offset }))
}

/// What leads on from this part of a list.
fn turned(
    cx: &Cx,
    here: &str,
    number: u64,
    rows: i64,
    shown: usize,
    total: Option<i64>,
) -> pages::frame::Pages {
    let mut here = here.to_owned();
    for (name, value) in cx.query.iter().filter(|(name, _)| *name != "page") {
        here = pages::address::with_query(&here, name, value);
    }
    let rows = u64::try_from(rows).unwrap_or(1);
    let total = total.and_then(|total| u64::try_from(total).ok());
    pages::frame::Pages::numbered(&here, number, rows, shown, total)
}

/// What a workspace has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WorkspaceTab {
    Overview,
    Settings,
}

async fn workspace_frame(cx: &Cx, workspace: &str, title: &str, tab: WorkspaceTab) -> Frame {
    let home = pages::address::of(&[workspace]);
    let mut frame = Around::of(cx).frame().titled(title);
    frame.notice = break_glass::notice(cx, Named::Workspace(workspace)).await;
    frame.crumbs = vec![Way::new(workspace, &home).here(tab == WorkspaceTab::Overview)];
    frame.tabs = vec![Way::new("Overview", &home).here(tab == WorkspaceTab::Overview)];
    if let Some(entrance) = settings::entrance(cx, workspace).await {
        frame.tabs.push(Way::new("Settings", entrance).here(tab == WorkspaceTab::Settings));
    }
    frame
}

/// What a repository has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RepositoryTab {
    Source,
    Commits,
    Branches,
    Tags,
    Pipelines,
    Settings,
}

async fn repository_frame(cx: &Cx, located: &Located, title: &str, tab: RepositoryTab) -> Frame {
    let (workspace, slug) = (located.workspace.slug.as_str(), located.repository.slug.as_str());
    let key = located.project.key.as_str();
    let at = |part: &str| pages::address::of(&[workspace, slug, part]);
    let home = pages::address::of(&[workspace, slug]);
    let mut frame = Around::of(cx).frame().titled(title);
    frame.notice = break_glass::notice(cx, Named::Repository(by_id(located))).await;
    frame.crumbs = vec![
        Way::new(workspace, pages::address::of(&[workspace])),
        Way::new(key, project::address(workspace, key)),
        Way::new(slug, &home).here(true),
    ];
    frame.tabs = [
        ("Source", home, RepositoryTab::Source),
        ("Commits", at("commits"), RepositoryTab::Commits),
        ("Branches", at("branches"), RepositoryTab::Branches),
        ("Tags", at("tags"), RepositoryTab::Tags),
        ("Pipelines", at("pipelines"), RepositoryTab::Pipelines),
    ]
    .into_iter()
    .map(|(name, href, of)| Way::new(name, href).here(of == tab))
    .collect();
    if let Some(entrance) = settings::repository_entrance(cx, located).await {
        frame.tabs.push(Way::new("Settings", entrance).here(tab == RepositoryTab::Settings));
    }
    frame
}

/// The repository by its id, which no rename can turn into another.
fn by_id(located: &Located) -> RepositoryPath {
    RepositoryPath { workspace: None, repository: RepositoryName::Id(located.repository.id) }
}

/// Whether the caller may do what a way leads to: what cannot be followed is not shown.
async fn may(cx: &Cx, action: Action, on: Named<'_>) -> bool {
    match (cx.caller.as_user(), cx.service()) {
        (Some(_), Ok(service)) => service.may(&cx.caller, action, on).await,
        _ => false,
    }
}

/// The same for several actions on one resource, in their order.
async fn may_each(cx: &Cx, actions: &[Action], on: Named<'_>) -> Vec<bool> {
    match (cx.caller.as_user(), cx.service()) {
        (Some(_), Ok(service)) => service.may_each(&cx.caller, actions, on).await,
        _ => vec![false; actions.len()],
    }
}

fn head(located: &Located) -> pages::repository::Head {
    pages::repository::Head {
        name: located.repository.name.to_string(),
        description: located.repository.description.clone(),
        private: located.repository.private,
    }
}

/// The id of a request that never became one: what failed before has it from here.
fn id_text(id: RequestId) -> String {
    id.to_string()
}
