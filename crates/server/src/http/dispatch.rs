//! One request from its head to its answer: an id, a row, a caller, a guard against panics.

use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method as Verb, Request, StatusCode, header};
use model::{Action, CredentialId, Error, RequestId, Result, ScopeSet};
use service::{Caller, Door, Identity, Named, Presented, RepositoryPath};
use wire::Parameters;

use super::rate_limit::Standing;
use super::{Cx, Peer, Response, Unread, answer, credential, panic, session};
use crate::app::App;
use crate::pages::{self, Around};
use crate::route::{Anchor, Handler, Method, Params, Reached, Route, Unmatched, Visibility};

/// Where load balancers ask whether to send requests here.
const HEALTH: &str = "/healthz";

/// Answers one request.
pub async fn answer(app: App, peer: Peer, request: Request<Body>) -> Response {
    let started = Instant::now();
    let id = RequestId::at(app.clock.now(), &app.random);
    let (parts, body) = request.into_parts();
    let peer = peer.client(&parts.headers, &app.settings.proxies);
    let (head, published) = (parts.method == Verb::HEAD, parts.uri.path().starts_with("/2.0/"));
    let in_flight = app.metrics.begin();

    let (mut response, operation) = if parts.uri.path() == HEALTH {
        (health(&app), "healthz")
    } else {
        route(&app, peer, parts, body, id).await
    };

    answer::complete(response.headers_mut(), id, peer.secure);
    if published {
        answer::share(response.headers_mut());
    }
    if head {
        response = without_body(response);
    }
    let status = response.status();
    app.metrics.finish(in_flight, operation, status.as_u16(), started.elapsed());
    tracing::debug!(request_id = %id, operation, status = status.as_u16(), address = %peer.address, "answered");
    response
}

fn health(app: &App) -> Response {
    if app.is_stopping() {
        return answer::text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    match app.service() {
        Ok(_) => answer::text(StatusCode::OK, "ok\n"),
        Err(_) => answer::text(StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
    }
}

/// Finds the row and answers through it; also tells the operation's name.
async fn route(app: &App, peer: Peer, parts: Parts, body: Body, id: RequestId) -> (Response, &'static str) {
    let path = parts.uri.path();
    let reached = match app.router.reach(Method::of(&parts.method), path) {
        Ok(reached) => reached,
        Err(Unmatched::Method(methods)) => return (other_method(&parts, &methods, id), "none"),
        Err(unmatched) => return (nowhere(app, &parts, &unmatched.into_error(), id), "none"),
    };
    let row = reached.route;
    let around = row.is_page().then(|| around(app, &parts, id));
    let mut known = Known::default();
    let mut outcome = panic::guarded(id, carry_out(app, peer, reached, parts, body, id, &mut known)).await;
    if row.is_git() && known.held.is_none() && matches!(outcome, Err(Error::NotFound { .. })) {
        // Git asks its user for a credential when told 401, and gives up when told 404.
        outcome = Err(Error::Unauthenticated);
    }
    let mut response = outcome.unwrap_or_else(|error| match &around {
        Some(around) => pages::failed(around, &error),
        None => answer::error(&error, id, Some(row)),
    });
    if !row.is_git() && !row.is_page() {
        tell_credential(&mut response, row, &known);
    }
    if let Some(standing) = known.standing.filter(|_| !row.is_page()) {
        tell_standing(&mut response, standing);
    }
    (response, row.operation)
}

/// What a page's frame needs of a request that may never reach its handler.
fn around(app: &App, parts: &Parts, id: RequestId) -> Around {
    Around::before(&parts.method, &app.settings.base_url, here(parts), &parts.headers, id)
}

/// Where the request was sent, without the host.
fn here(parts: &Parts) -> String {
    parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string)
}

/// No row has this address: a page for whoever reads pages.
fn nowhere(app: &App, parts: &Parts, error: &Error, id: RequestId) -> Response {
    match pages::wanted(parts.uri.path(), &parts.headers) {
        true => pages::failed(&around(app, parts, id), error),
        false => answer::error(error, id, None),
    }
}

fn other_method(parts: &Parts, methods: &[Method], id: RequestId) -> Response {
    let mut response = match parts.method == Verb::OPTIONS {
        true if parts.uri.path().starts_with("/2.0/") => answer::preflight(),
        true => answer::empty(StatusCode::NO_CONTENT),
        false => answer::error(&Error::MethodNotAllowed, id, None),
    };
    response.headers_mut().insert(header::ALLOW, answer::allow(methods));
    response
}

/// What the answer's headers tell, also where the request then fails.
#[derive(Default)]
struct Known {
    /// The scopes of the caller's credential; none where nobody known asks.
    held: Option<ScopeSet>,
    /// The credential that was used; none where there is none.
    credential: Option<CredentialId>,
    /// How the caller's budget stands; none where it has no limit.
    standing: Option<Standing>,
}

/// Everything that may fail.
async fn carry_out(
    app: &App,
    peer: Peer,
    reached: Reached,
    mut parts: Parts,
    body: Body,
    id: RequestId,
    known: &mut Known,
) -> Result<Response> {
    if app.is_stopping() {
        return Err(Error::Unavailable);
    }
    let row = reached.route;
    if let Handler::Retired(instead) = row.handler {
        return Err(Error::Gone(format!("this call is retired: {instead}")));
    }
    if !peer.operator {
        app.rate_limits.from_address(peer.address, app.clock.now())?;
    }
    let presented = credential::take(&mut parts.headers);
    let secure = peer.secure || app.settings.base_url.starts_with("https://");
    let session = if row.is_page() { session::take(&mut parts.headers, secure) } else { None };
    let presented = presented.map(|presented| match (presented, session.clone()) {
        (Presented::Nothing, Some(secret)) => Presented::Session(secret),
        (presented, _) => presented,
    });
    let caller = match (row.visibility, peer.operator) {
        (Visibility::Public, _) => Caller::anonymous(Some(peer.address), id),
        (Visibility::Hidden, operator) => match (presented?, operator) {
            (Presented::Nothing, true) => Caller::operator(id),
            (Presented::Nothing, false) => Caller::anonymous(Some(peer.address), id),
            (presented, _) => who(app, row, presented, peer, id).await?,
        },
    };
    let caller = caller.requiring(reached.required);
    if !caller.is_anonymous() {
        known.credential = caller.credential().map(|credential| credential.id);
        known.held =
            Some(caller.credential().map_or_else(ScopeSet::everything, |credential| credential.scopes));
    }
    known.standing = app.rate_limits.of_caller(&caller, row.rate, app.clock.now())?;
    // What git's one advertisement requires depends on what it is asked for: its door says so itself.
    if row.visibility == Visibility::Hidden && !row.is_git() {
        app.service()?.admit(&caller, takes(row, &caller), row.action, parts.uri.path())?;
    }
    if row.is_page() && caller.must_enrol() && !pages::open_before_second_step(row) {
        return pages::to_second_steps();
    }
    if row.method != Method::Get && matches!(row.handler, Handler::Built(_)) && !row.is_git() {
        ask_first(app, row, &caller, &reached.params).await?;
    }
    let query = Parameters::parse(parts.uri.query().unwrap_or_default())?;
    let cx = Cx {
        app: app.clone(),
        route: row,
        params: reached.params,
        here: here(&parts),
        query,
        headers: parts.headers,
        body: Unread::new(body),
        address: peer.address,
        secure,
        request_id: id,
        session_secret: session.filter(|_| caller.session().is_some()),
        caller,
    };
    match row.handler {
        Handler::Built(operation) => operation(cx).await,
        Handler::NotBuilt | Handler::Retired(_) => not_built(cx).await,
    }
}

/// Who presents this. A session that has ended is nobody's: its browser sends it until told otherwise, and what is open
/// to everybody is open to whoever was signed in once.
async fn who(app: &App, row: &Route, presented: Presented, peer: Peer, id: RequestId) -> Result<Caller> {
    let session = matches!(presented, Presented::Session(_));
    let door = if session { Door::Page } else { door(row) };
    match app.service()?.authenticate(presented, door, Some(peer.address), id).await {
        Err(Error::Unauthenticated) if session => Ok(Caller::anonymous(Some(peer.address), id)),
        other => other,
    }
}

fn door(row: &Route) -> Door {
    match row {
        row if row.is_git() => Door::Git,
        row if row.credentials.admits_runner() => Door::Runner,
        row if row.is_api() => Door::Api,
        _ => Door::Rest,
    }
}

/// Whether the row takes this kind of credential at all.
fn takes(row: &Route, caller: &Caller) -> bool {
    match (caller.credential_kind(), caller.identity()) {
        (Some(kind), _) => row.credentials.admits(kind),
        (None, Identity::User(_)) => row.credentials.admits_password() || row.credentials.admits_session(),
        (None, Identity::Runner(_)) => row.credentials.admits_runner(),
        (None, _) => true,
    }
}

/// Whether the caller may do at all what the row declares, before anything of the body is looked at: what the answer says
/// of a body is for those who may send one. The use case asks again, with all it knows by then.
async fn ask_first(app: &App, row: &Route, caller: &Caller, params: &Params) -> Result<()> {
    match ask(app, row, caller, params).await {
        // A PUT may make what is not there yet, and what was deleted is found by nothing but its restoration.
        Err(Error::NotFound { .. }) if makes_or_restores(row) => Ok(()),
        asked => asked,
    }
}

fn makes_or_restores(row: &Route) -> bool {
    match row.action {
        Action::RepositoryRestore => true,
        Action::RepositoryUpdate | Action::ProjectUpdate => row.method == Method::Put,
        _ => false,
    }
}

async fn ask(app: &App, row: &Route, caller: &Caller, params: &Params) -> Result<()> {
    if row.visibility == Visibility::Public {
        return Ok(());
    }
    let workspace = params.get("workspace");
    let named = match row.on {
        // What the body or the query names is found by the use case.
        Anchor::ProjectInBody | Anchor::InQuery if matches!(row.handler, Handler::Built(_)) => return Ok(()),
        Anchor::Instance | Anchor::InQuery => Named::Instance,
        Anchor::Caller => Named::Caller,
        Anchor::User(parameter) => Named::User(params.get(parameter)),
        Anchor::Workspace | Anchor::ProjectInBody => Named::Workspace(workspace),
        Anchor::Project => Named::Project(workspace, params.get("project_key")),
        Anchor::Repository => Named::Repository(RepositoryPath::parse(workspace, params.get("repo_slug"))?),
    };
    app.service()?.ask(caller, row.action, named).await
}

/// What a caller is told of a call that is not built: first whatever will stop it when it is.
async fn not_built(cx: Cx) -> Result<Response> {
    let Cx { app, route, params, caller, .. } = cx;
    ask(&app, route, &caller, &params).await?;
    Err(Error::NotBuilt(route.operation))
}

/// Which credential it was, what it holds and what the row wants, the latter always in the classic vocabulary. A
/// successor has another id, by which clients notice that they were handed one.
fn tell_credential(response: &mut Response, row: &Route, known: &Known) {
    let accepted = row.classic.parse().map(wire::scope_header::write).ok();
    for (name, text) in [
        ("x-oauth-scopes", known.held.map(wire::scope_header::write)),
        ("x-accepted-oauth-scopes", accepted),
        ("x-token-id", known.credential.map(|id| id.to_string())),
    ] {
        if let Some(Ok(value)) = text.map(|text| HeaderValue::from_str(&text)) {
            response.headers_mut().insert(name, value);
        }
    }
}

/// How much may still be asked: the headers that clients of the published interface look for.
fn tell_standing(response: &mut Response, standing: Standing) {
    let headers = response.headers_mut();
    headers.insert("x-ratelimit-limit", HeaderValue::from(standing.limit));
    headers.insert("x-ratelimit-resource", HeaderValue::from_static(standing.budget.name()));
    headers.insert(
        "x-ratelimit-nearlimit",
        HeaderValue::from_static(if standing.near { "true" } else { "false" }),
    );
}

/// An answer to HEAD: the headers that GET would have, its length among them.
fn without_body(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(length));
    }
    Response::from_parts(parts, Body::empty())
}
