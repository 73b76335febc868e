//! The server's side of the protocol, in memory, and a git server beside it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use pipeline::protocol::{
    Assignment, AwsAccess, AwsRequest, Beat, Claim, Finish, Kept, LogPosition, MintedToken, Registered,
    Registration, TokenRequest,
};
use tokio::io::AsyncWriteExt;

/// What the server knows, and how it behaves.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) waiting: VecDeque<Assignment>,
    pub(crate) claims: Vec<Claim>,
    pub(crate) logs: BTreeMap<String, Vec<u8>>,
    pub(crate) finished: Vec<Finish>,
    pub(crate) caches: HashMap<String, Vec<u8>>,
    pub(crate) artifacts: HashMap<String, Vec<u8>>,
    pub(crate) beats: u32,
    pub(crate) asked: Vec<Vec<String>>,
    pub(crate) aws: u32,
    /// Roles are taken on with tokens.
    pub(crate) by_token: bool,
    pub(crate) credentials: Vec<String>,
    pub(crate) rotations: u32,
    /// The step is to be stopped.
    pub(crate) stop: bool,
    /// The lease is another's.
    pub(crate) lost: bool,
    /// No heartbeat is answered.
    pub(crate) silent: bool,
    /// How many appends are written and not answered.
    pub(crate) forgotten: u32,
    /// Requests to git without the step's token.
    pub(crate) strangers: u32,
    pub(crate) proxied: Vec<(String, String)>,
}

/// A server that runs as long as this.
#[derive(Clone)]
pub(crate) struct Server {
    known: Arc<Mutex<Known>>,
    pub(crate) url: String,
    repositories: PathBuf,
}

/// The token that git has to show.
pub(crate) const TOKEN: &str = "bst_stp_step-token-of-the-test";

impl Server {
    pub(crate) async fn start(repositories: PathBuf) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { known: Arc::default(), url, repositories };
        let routes = Router::new()
            .route("/api/runner/register", post(register))
            .route("/api/runner/rotate", post(rotate))
            .route("/api/runner/claim", post(claim))
            .route("/api/runner/steps/{step}/heartbeat", post(heartbeat))
            .route("/api/runner/steps/{step}/logs/{log}", post(log))
            .route("/api/runner/steps/{step}/finish", post(finish))
            .route("/api/runner/steps/{step}/tokens", post(tokens))
            .route("/api/runner/steps/{step}/aws", post(aws))
            .route("/api/runner/steps/{step}/caches/{cache}", get(cache).put(keep_cache))
            .route("/api/runner/steps/{step}/artifacts/{artifact}", get(artifact).put(keep_artifact))
            .fallback(other)
            .layer(DefaultBodyLimit::disable())
            .with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        server
    }

    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }

    pub(crate) fn log(&self, name: &str) -> String {
        String::from_utf8_lossy(self.known().logs.get(name).map_or(&[][..], Vec::as_slice)).into_owned()
    }

    /// Waits until something holds. The limit is for a test that fails, not for one that passes.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Known) -> bool) {
        for _ in 0..3000 {
            if holds(&self.known()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{what} did not come; the log so far:\n{}", self.log("step"));
    }
}

type Answer<T> = Result<Json<T>, StatusCode>;

async fn register(State(server): State<Server>, Json(asked): Json<Registration>) -> Answer<Registered> {
    if asked.code != "bst_rcd_once" {
        return Err(StatusCode::FORBIDDEN);
    }
    Ok(Json(registered(&server, 0)))
}

fn registered(server: &Server, rotation: u32) -> Registered {
    let credential = format!("bst_run_credential-{rotation}");
    server.known().credentials.push(credential.clone());
    Registered {
        runner: "5f0e1f7a-0000-4000-8000-000000000001".to_owned(),
        name: "one".to_owned(),
        credential,
        rotate_after: if rotation == 0 { 1 } else { 3600 },
    }
}

async fn rotate(State(server): State<Server>, headers: HeaderMap) -> Answer<Registered> {
    admitted(&server, &headers)?;
    let rotation = {
        let mut known = server.known();
        known.rotations += 1;
        known.rotations
    };
    Ok(Json(registered(&server, rotation)))
}

/// The newest credential's first use ends the others.
fn admitted(server: &Server, headers: &HeaderMap) -> Result<(), StatusCode> {
    let shown = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let shown = shown.ok_or(StatusCode::UNAUTHORIZED)?;
    let mut known = server.known();
    let at = known.credentials.iter().position(|one| one == shown).ok_or(StatusCode::UNAUTHORIZED)?;
    if at + 1 == known.credentials.len() {
        known.credentials.drain(..at);
    }
    Ok(())
}

async fn claim(
    State(server): State<Server>,
    headers: HeaderMap,
    Json(claim): Json<Claim>,
) -> Result<Response, StatusCode> {
    admitted(&server, &headers)?;
    server.known().claims.push(claim);
    for _ in 0..50 {
        if let Some(assignment) = server.known().waiting.pop_front() {
            return Ok(Json(assignment).into_response());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn heartbeat(State(server): State<Server>, headers: HeaderMap) -> Answer<Beat> {
    admitted(&server, &headers)?;
    if server.known().silent {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let mut known = server.known();
    known.beats += 1;
    if known.lost { Err(StatusCode::CONFLICT) } else { Ok(Json(Beat { lease: 5, stop: known.stop })) }
}

#[derive(serde::Deserialize)]
struct Asked {
    attempt: u32,
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    key: String,
}

async fn log(
    State(server): State<Server>,
    Path((_, log)): Path<(String, String)>,
    Query(asked): Query<Asked>,
    bytes: Bytes,
) -> Result<Response, StatusCode> {
    assert_eq!(asked.attempt, 1);
    assert!(bytes.len() <= pipeline::protocol::LOG_CHUNK);
    let mut known = server.known();
    if known.lost {
        return Err(StatusCode::CONFLICT);
    }
    let forgotten = known.forgotten > 0;
    known.forgotten = known.forgotten.saturating_sub(1);
    let text = known.logs.entry(log).or_default();
    let position = |text: &Vec<u8>| Json(LogPosition { length: text.len() as u64 });
    if asked.offset != text.len() as u64 {
        return Ok((StatusCode::CONFLICT, position(text)).into_response());
    }
    text.extend_from_slice(&bytes);
    if forgotten {
        return Err(StatusCode::BAD_GATEWAY);
    }
    Ok(position(text).into_response())
}

async fn finish(
    State(server): State<Server>,
    headers: HeaderMap,
    Json(finish): Json<Finish>,
) -> Result<(), StatusCode> {
    admitted(&server, &headers)?;
    if server.known().lost {
        return Err(StatusCode::CONFLICT);
    }
    server.known().finished.push(finish);
    Ok(())
}

async fn tokens(State(server): State<Server>, Json(asked): Json<TokenRequest>) -> Answer<MintedToken> {
    server.known().asked.push(asked.audiences.clone());
    Ok(Json(MintedToken {
        token: format!("minted-for-{}.claims.{}", asked.audiences.join("+"), "s".repeat(342)),
        expires: 4_000_000_000,
    }))
}

/// A token for whoever began with one, and credentials for the others.
async fn aws(State(server): State<Server>, Json(_): Json<AwsRequest>) -> Answer<AwsAccess> {
    let mut known = server.known();
    known.aws += 1;
    let number = known.aws;
    Ok(Json(match known.by_token {
        true => AwsAccess::WebIdentity {
            role: "arn:aws:iam::123456789012:role/x".to_owned(),
            session_name: "s".to_owned(),
            token: format!("fresh.token-{number}.{}", "f".repeat(342)),
            lives: 3600,
            duration: 900,
            region: None,
        },
        false => AwsAccess::Session {
            access_key: format!("AKIA{number}"),
            secret_key: format!("fresh-secret-{number}"),
            session_token: format!("fresh-session-{number}"),
            expires: 4_000_000_000,
            region: None,
        },
    }))
}

async fn cache(
    State(server): State<Server>,
    Path((_, cache)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Result<Vec<u8>, StatusCode> {
    server.known().caches.get(&format!("{cache} {}", asked.key)).cloned().ok_or(StatusCode::NOT_FOUND)
}

async fn keep_cache(
    State(server): State<Server>,
    Path((_, cache)): Path<(String, String)>,
    Query(asked): Query<Asked>,
    bytes: Bytes,
) -> Json<Kept> {
    let size = bytes.len() as u64;
    server.known().caches.insert(format!("{cache} {}", asked.key), bytes.to_vec());
    Json(Kept { id: cache, size })
}

async fn artifact(
    State(server): State<Server>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Vec<u8>, StatusCode> {
    server.known().artifacts.get(&id).cloned().ok_or(StatusCode::NOT_FOUND)
}

async fn keep_artifact(
    State(server): State<Server>,
    Path((_, name)): Path<(String, String)>,
    bytes: Bytes,
) -> Json<Kept> {
    let size = bytes.len() as u64;
    server.known().artifacts.insert(name.clone(), bytes.to_vec());
    Json(Kept { id: name, size })
}

/// Git, by its own program; and what the agent passes on for a step.
async fn other(State(server): State<Server>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let header =
        |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    if parts.uri.path().starts_with("/2.0/") {
        server.known().proxied.push((parts.uri.path().to_owned(), header("authorization")));
        return "{\"it\": \"is the repository\"}".into_response();
    }
    if header("authorization") != format!("Basic {}", base64(&format!("x-token-auth:{TOKEN}"))) {
        server.known().strangers += 1;
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut child = tokio::process::Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &server.repositories)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or(""))
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    tokio::spawn(async move { input.write_all(&body).await });
    let told = child.wait_with_output().await.unwrap().stdout;
    let end = told.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let mut response = Response::builder();
    for line in std::str::from_utf8(&told[..end]).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(value[..3].parse::<u16>().unwrap()),
            _ => response.header(name, value),
        };
    }
    response.body(Body::from(told[end + 4..].to_vec())).unwrap()
}

pub(crate) fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
