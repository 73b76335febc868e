//! What surrounds every handler, asked without a socket; the sockets are in `listener`'s tests.

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use model::{Clock, Error, Random, Result, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::app::{App, Settings};
use crate::route::{Anchor, Handler, Method, Operation, ROUTES, Route, Visibility};

/// A table of one row of each kind that matters here, and an app that has it.
pub(super) fn app(rows: &[(Method, &'static str, Operation)]) -> App {
    let like = ROUTES.iter().find(|route| route.operation == "get_repository").unwrap();
    let mut table: Vec<Route> = rows
        .iter()
        .map(|(method, path, operation)| Route {
            method: *method,
            path,
            operation: path,
            on: Anchor::Caller,
            handler: Handler::Built(*operation),
            // Nobody is asked who may: there is no house to ask.
            visibility: Visibility::Public,
            ..*like
        })
        .collect();
    // The rows as they were before anything was built: what is asked here is what surrounds a handler.
    table.extend(ROUTES.iter().filter(|route| !route.is_git()).map(|route| match route.handler {
        Handler::Built(_) => Route { handler: Handler::NotBuilt, ..*route },
        _ => *route,
    }));
    let settings = Settings { body_limit: 16, ..Settings::default() };
    let clock = Clock::manual(Timestamp::from_micros(0));
    App::with_table(table.leak(), settings, clock, Random::seeded(1)).unwrap()
}

/// Opens an empty house behind the app; it is gone with the directory.
async fn open_house(app: &App) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let base_url = app.settings.base_url.clone();
    let settings =
        service::Settings { restore_days: 7, ..service::Settings::new(data, base_url, "/bin/true") };
    let house = service::Service::open(settings, app.clock.clone(), app.random.clone()).await.unwrap();
    app.open(house);
    directory
}

fn peer() -> Peer {
    Peer { address: "192.0.2.1".parse().unwrap(), secure: false, operator: false }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: impl axum::http::header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn error(&self) -> Value {
        serde_json::from_str::<Value>(&self.body).unwrap()["error"].clone()
    }

    fn code(&self) -> String {
        self.error()["data"]["code"].as_str().unwrap().to_owned()
    }
}

async fn send(app: &App, peer: Peer, request: Request<Body>) -> Answer {
    let (parts, body) = dispatch(app.clone(), peer, request).await.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Answer { status: parts.status, headers: parts.headers, body }
}

fn request(method: &str, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

async fn ask(app: &App, method: &str, path: &str) -> Answer {
    send(app, peer(), request(method, path)).await
}

async fn echo(mut cx: Cx) -> Result<Response> {
    let sent: Value = cx.json().await?;
    answer::json(StatusCode::OK, &json!({ "sent": sent, "operator": !cx.caller.is_anonymous() }))
}

async fn form(mut cx: Cx) -> Result<Response> {
    let fields = cx.form().await?;
    Ok(answer::text(StatusCode::OK, fields.get("name")?.unwrap_or("none").to_owned()))
}

async fn fall(cx: Cx) -> Result<Response> {
    let empty: Vec<u8> = Vec::new();
    let unlucky = empty[cx.params.iter().count()];
    Ok(answer::text(StatusCode::OK, vec![unlucky]))
}

async fn hide(cx: Cx) -> Result<Response> {
    Err(Error::not_found(cx.param("repo_slug")))
}

#[tokio::test]
async fn an_unknown_path_is_told_in_the_envelope_under_the_requests_id() {
    let answer = ask(&app(&[]), "GET", "/2.0/nowhere").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_FOUND, "not-found"));
    assert_eq!(answer.header("x-request-id"), answer.error()["id"]);
    assert!(answer.header(header::CONTENT_TYPE).starts_with("application/json"));
    let bad = ask(&app(&[]), "GET", "/2.0/repositories/acme/%ff").await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn another_method_is_told_which_there_are() {
    let app = app(&[]);
    for method in ["DELETE", "PATCH", "TRACE"] {
        let answer = ask(&app, method, "/2.0/user").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.header(header::ALLOW), "GET, HEAD, OPTIONS");
    }
}

/// An app with the whole table, and no house.
fn with_pages() -> App {
    App::new(Settings::default(), Clock::manual(Timestamp::from_micros(0)), Random::seeded(1)).unwrap()
}

/// Would catch a page that may run, load or be framed by anything else, and one that a proxy may keep.
#[tokio::test]
async fn every_page_forbids_the_browser_what_it_does_not_need() {
    let app = with_pages();
    for path in ["/-/design", "/acme/one", "/nowhere"] {
        let page = ask(&app, "GET", path).await;
        assert!(page.header(header::CONTENT_TYPE).starts_with("text/html"), "{path}");
        let policy = page.header(header::CONTENT_SECURITY_POLICY);
        for part in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"]
        {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{path}: {policy}");
        assert_eq!(page.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{path}");
        assert_eq!(page.header(header::CACHE_CONTROL), "no-store", "{path}");
        assert!(
            !page.body.contains("<style")
                && !page.body.contains(" style=")
                && !page.body.contains(" onclick"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn assets_are_kept_for_ever_and_by_their_whole_names_alone() {
    let app = with_pages();
    let page = ask(&app, "GET", "/-/design").await;
    let from = page.body.find("/assets/").unwrap();
    let path: String = page.body.get(from..).unwrap().chars().take_while(|c| *c != '"').collect();
    let asset = ask(&app, "GET", &path).await;
    assert_eq!(asset.status, StatusCode::OK);
    assert!(asset.header(header::CACHE_CONTROL).contains("immutable"));
    assert_eq!(ask(&app, "GET", "/assets/bastide.css").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn pages_of_any_origin_may_read_the_published_interface_and_no_other() {
    let app = app(&[]);
    let preflight = ask(&app, "OPTIONS", "/2.0/repositories/acme/one").await;
    assert_eq!(preflight.status, StatusCode::NO_CONTENT);
    assert_eq!(preflight.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "*");
    assert_eq!(preflight.header(header::ACCESS_CONTROL_MAX_AGE), "86400");
    assert!(preflight.header(header::ACCESS_CONTROL_ALLOW_METHODS).contains("PUT"));
    assert_eq!(ask(&app, "OPTIONS", "/2.0/nowhere").await.status, StatusCode::NOT_FOUND);
    for path in ["/api/users", "/1.0/groups"] {
        let other = ask(&app, "OPTIONS", path).await;
        assert_eq!(
            (other.status, other.header(header::ACCESS_CONTROL_ALLOW_ORIGIN)),
            (StatusCode::NO_CONTENT, "")
        );
    }
}

/// Would catch an internal text in an answer, or a panic that takes the connection with it.
#[tokio::test]
async fn a_panic_is_an_answer_without_its_text() {
    let app = app(&[(Method::Get, "/2.0/fall", |cx| Box::pin(fall(cx)))]);
    take_over_panics();
    let answer = ask(&app, "GET", "/2.0/fall").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::INTERNAL_SERVER_ERROR, "internal"));
    assert!(!answer.body.contains("index"), "{}", answer.body);
    assert_eq!(answer.header("x-request-id"), answer.error()["id"]);
}

#[tokio::test]
async fn every_answer_carries_the_safe_headers() {
    let app = app(&[]);
    for path in ["/2.0/user", "/no/where/at/all", "/healthz", "/acme/one/info/refs", "/api/openapi.json"] {
        let plain = ask(&app, "GET", path).await;
        assert_eq!(plain.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{path}");
        assert_eq!(plain.header(header::CACHE_CONTROL), "no-store", "{path}");
        assert_eq!(plain.header(header::REFERRER_POLICY), "no-referrer", "{path}");
        assert!(plain.header(header::CONTENT_SECURITY_POLICY).contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(plain.header("x-request-id").len(), 36, "{path}");
        assert_eq!(plain.header(header::STRICT_TRANSPORT_SECURITY), "", "{path}");
        let secure = send(&app, Peer { secure: true, ..peer() }, request("GET", path)).await;
        assert!(secure.header(header::STRICT_TRANSPORT_SECURITY).starts_with("max-age=63072000"), "{path}");
    }
}

#[tokio::test]
async fn the_scopes_that_a_call_wants_are_told_in_the_classic_vocabulary() {
    let app = app(&[]);
    let _house = open_house(&app).await;
    let path = "/2.0/user/workspaces/acme/permissions/repositories";
    let answer = ask(&app, "GET", path).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.header("x-accepted-oauth-scopes"), "repository, account");
    assert_eq!(answer.header("x-oauth-scopes"), "");
    assert!(answer.header(header::WWW_AUTHENTICATE).starts_with("Bearer"));
}

#[tokio::test]
async fn what_is_not_built_says_so_after_what_would_stop_it_anyway() {
    let app = app(&[]);
    let _house = open_house(&app).await;
    for (method, path, status) in [
        ("GET", "/2.0/repositories/acme/one/forks", StatusCode::NOT_FOUND),
        ("GET", "/2.0/hook_events", StatusCode::NOT_IMPLEMENTED),
        ("GET", "/2.0/user/workspaces", StatusCode::UNAUTHORIZED),
        ("GET", "/2.0/repositories", StatusCode::GONE),
    ] {
        assert_eq!(ask(&app, method, path).await.status, status, "{method} {path}");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let app = app(&[]);
    let (get, head) = (ask(&app, "GET", "/nowhere").await, ask(&app, "HEAD", "/nowhere").await);
    assert_eq!((head.status, head.body.as_str()), (get.status, ""));
    assert_eq!(head.header(header::CONTENT_LENGTH), get.body.len().to_string());
}

#[tokio::test]
async fn bodies_have_a_type_and_a_limit() {
    let app = app(&[
        (Method::Post, "/2.0/echo", |cx| Box::pin(echo(cx))),
        (Method::Post, "/2.0/form", |cx| Box::pin(form(cx))),
    ]);
    let post = |path: &'static str, media: &'static str, body: Body| {
        let request = Request::post(path).header(header::CONTENT_TYPE, media).body(body).unwrap();
        send(&app, peer(), request)
    };
    let json = "application/json; charset=utf-8";
    assert_eq!(
        post("/2.0/echo", json, r#"{"a":1}"#.into()).await.body,
        r#"{"sent":{"a":1},"operator":false}"#
    );
    assert_eq!(post("/2.0/echo", json, "{".into()).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(post("/2.0/echo", "text/xml", "{}".into()).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let fields = "application/x-www-form-urlencoded";
    assert_eq!(post("/2.0/form", fields, "name=a+b".into()).await.body, "a b");
    assert_eq!(post("/2.0/form", json, "name=a".into()).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);

    // Neither an announced length nor a stream without one gets past the limit.
    let long = format!("{{{}}}", " ".repeat(20));
    let announced =
        Request::post("/2.0/echo").header(header::CONTENT_LENGTH, 17).body(Body::empty()).unwrap();
    assert_eq!(send(&app, peer(), announced).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let parts = long.into_bytes().into_iter().map(|byte| Ok::<_, std::io::Error>(vec![byte]));
    let streamed = Body::from_stream(futures_util::stream::iter(parts));
    assert_eq!(post("/2.0/echo", json, streamed).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

/// Would catch an outage of the house that looks like a wrong password.
#[tokio::test]
async fn before_the_house_is_open_credentials_are_not_judged() {
    let app = app(&[]);
    let request = || {
        Request::get("/2.0/user").header(header::AUTHORIZATION, "Bearer bst_x").body(Body::empty()).unwrap()
    };
    let answer = send(&app, peer(), request()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!answer.header(header::RETRY_AFTER).is_empty());
    assert_eq!(ask(&app, "GET", "/healthz").await.body, "starting\n");
    app.stop();
    assert_eq!(ask(&app, "GET", "/healthz").await.body, "stopping\n");
    assert_eq!(ask(&app, "GET", "/2.0/hook_events").await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_credential_that_cannot_be_read_is_not_nobody() {
    let app = app(&[]);
    let send_with = |path: &'static str| {
        let request = Request::get(path).header(header::AUTHORIZATION, "JWT x").body(Body::empty()).unwrap();
        send(&app, peer(), request)
    };
    assert_eq!(send_with("/2.0/repositories/acme/one").await.status, StatusCode::UNAUTHORIZED);
    // Public rows ask nobody for a credential, so a wrong one does no harm.
    assert_eq!(send_with("/2.0/hook_events").await.status, StatusCode::NOT_IMPLEMENTED);
}

/// Git gives up at 404 and shows text alone: what is hidden has to ask for a credential first.
#[tokio::test]
async fn git_is_asked_for_a_credential_and_answered_in_text() {
    let mut table = ROUTES.iter().find(|route| route.operation == "git_info_refs").copied().unwrap();
    table.handler = Handler::Built(|cx| Box::pin(hide(cx)));
    assert_eq!(table.visibility, Visibility::Hidden);
    let app = App::with_table(
        vec![table].leak(),
        Settings::default(),
        Clock::manual(Timestamp::from_micros(0)),
        Random::seeded(1),
    )
    .unwrap();
    let path = "/acme/one.git/info/refs?service=git-upload-pack";
    let stranger = ask(&app, "GET", path).await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    assert!(stranger.header(header::WWW_AUTHENTICATE).starts_with("Basic"));
    assert!(stranger.header(header::CONTENT_TYPE).starts_with("text/plain"));
    assert!(stranger.body.contains(stranger.header("x-request-id")));
    let known = send(&app, Peer { operator: true, ..peer() }, request("GET", path)).await;
    assert_eq!(known.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_description_of_api_is_served() {
    let clock = Clock::manual(Timestamp::from_micros(0));
    let app = App::new(Settings::default(), clock, Random::seeded(1)).unwrap();
    let answer = ask(&app, "GET", "/api/openapi.json").await;
    assert_eq!(answer.status, StatusCode::OK);
    let document: Value = serde_json::from_str(&answer.body).unwrap();
    assert!(document["paths"]["/api/users"]["post"].is_object());
}
