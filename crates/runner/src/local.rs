//! What a step can ask its agent while it runs, over HTTP: identity tokens, by a secret of the step's own; and, in an
//! image, the step's own repository, as Bitbucket's agent offers it at port 29418.
//!
//! What is passed on to the server carries the step's token, so it is narrowed here by path before anything is sent:
//! the one repository below `/2.0/repositories`, and the one repository's git. The server decides once more, by that
//! token, which opens no more.

use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use model::{Random, Secret};
use pipeline::protocol::{Assignment, MintedToken};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::aws::{self, Aws};
use crate::lease::Lease;
use crate::log::Log;
use crate::server::{CallError, Server};

/// Where tokens are asked for.
pub(crate) const TOKENS: &str = "/bastide/oidc/token";
/// The port that steps in images know.
#[cfg(target_os = "linux")]
pub(crate) const PORT: u16 = 29418;
/// The longest body that is passed on, in bytes.
const LONGEST: usize = 256 * 1024 * 1024;

/// What answers a step.
pub(crate) struct Local {
    server: Server,
    lease: Lease,
    log: Log,
    secret: Secret,
    /// Whether the repository is passed on.
    proxy: bool,
    repository: String,
    git: String,
    token: Secret,
    aws: Option<Arc<Aws>>,
}

/// Answers until it is dropped.
pub(crate) struct Answering(#[expect(dead_code, reason = "it is dropped, which ends it")] JoinSet<()>);

/// A secret by which a step asks.
pub(crate) fn secret(random: &Random) -> String {
    hex::encode(random.bytes::<24>())
}

impl Local {
    pub(crate) fn new(
        assignment: &Assignment,
        server: Server,
        lease: Lease,
        log: Log,
        secret: &str,
        proxy: bool,
        aws: Option<Arc<Aws>>,
    ) -> Arc<Self> {
        let run = &assignment.run;
        let git = reqwest::Url::parse(&assignment.source.url);
        let git = git.map(|url| url.path().trim_end_matches('/').trim_end_matches(".git").to_owned());
        Arc::new(Self {
            server,
            lease,
            log,
            secret: Secret::new(secret.to_owned()),
            proxy,
            repository: format!("/2.0/repositories/{}/{}", run.workspace, run.repository),
            git: git.unwrap_or_default(),
            token: Secret::new(assignment.source.token.clone()),
            aws,
        })
    }

    /// Answers on a port of this machine.
    pub(crate) fn on_port(self: Arc<Self>, listener: TcpListener) -> Answering {
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(self.clone().answer(stream));
                while connections.try_join_next().is_some() {}
            }
        });
        Answering(tasks)
    }

    /// Answers on a socket.
    #[cfg(target_os = "linux")]
    pub(crate) fn on_socket(self: Arc<Self>, listener: tokio::net::UnixListener) -> Answering {
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(self.clone().answer(stream));
                while connections.try_join_next().is_some() {}
            }
        });
        Answering(tasks)
    }

    async fn answer(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let answer = service_fn(|request| {
            let local = self.clone();
            async move { Ok::<_, Infallible>(local.respond(request).await) }
        });
        // A connection that breaks is the step's affair.
        let _ =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.uri().path() == TOKENS {
            return self.mint(&request).await;
        }
        if let Some(aws) = self.aws.as_ref().filter(|_| request.uri().path() == aws::CREDENTIALS) {
            return self.credentials(aws, &request).await;
        }
        if !self.proxy {
            return told(StatusCode::NOT_FOUND, "there is nothing here but tokens");
        }
        self.pass_on(request).await
    }

    async fn mint(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let shown = request.headers().get(hyper::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        // Hashes are compared, so that the time that it takes tells nothing.
        if Secret::new(shown.to_owned()).hash() != self.secret.hash() {
            return told(StatusCode::UNAUTHORIZED, "show BASTIDE_OIDC_REQUEST_TOKEN as a bearer token");
        }
        let query = reqwest::Url::parse(&format!("http://x/?{}", request.uri().query().unwrap_or_default()));
        let audiences: Vec<_> = query
            .iter()
            .flat_map(reqwest::Url::query_pairs)
            .filter(|(name, _)| name == "audience")
            .map(|(_, audience)| audience.into_owned())
            .collect();
        match self.token(audiences).await {
            Ok(minted) => {
                let body = serde_json::json!({ "value": minted.token, "expires": minted.expires });
                answered(StatusCode::OK, body.to_string())
            }
            Err(error) => refused(&error),
        }
    }

    /// An identity token that is hidden in the logs of the step.
    async fn token(&self, audiences: Vec<String>) -> Result<MintedToken, CallError> {
        let secrets = self.log.secrets();
        // Before one is minted, and recorded, that nobody gets.
        secrets.fit_token()?;
        let minted = self.server.token(self.lease.attempt(), audiences).await?;
        // It is hidden before the step can print it.
        secrets.hide_token("BASTIDE_OIDC_TOKEN", &minted.token)?;
        Ok(minted)
    }

    /// What Amazon's tools ask a container's provider.
    async fn credentials(&self, aws: &Arc<Aws>, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let shown = request.headers().get(hyper::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if Secret::new(shown.unwrap_or_default().to_owned()).hash() != aws.secret().hash() {
            let message = "show AWS_CONTAINER_AUTHORIZATION_TOKEN in the header Authorization";
            return told(StatusCode::UNAUTHORIZED, message);
        }
        match aws.session_kept(&self.log).await {
            Ok(session) => answered(StatusCode::OK, session.shape().to_string()),
            Err(error) => refused(&error),
        }
    }

    async fn pass_on(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        let rest = below(&path, &self.repository);
        let git = [self.git.clone(), format!("{}.git", self.git)];
        let git = git.iter().any(|root| below(&path, root)) && !self.git.is_empty();
        if request.method() == Method::CONNECT || !(rest || git) {
            return told(StatusCode::FORBIDDEN, "a step reaches its own repository here, and nothing else");
        }
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        let root = self.server.base().as_str().trim_end_matches('/').to_owned();
        // The path of git's address holds what lies before the server's own already.
        let origin = self.server.base().origin().ascii_serialization();
        let url = format!("{}{path}{query}", if git { origin } else { root });
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, LONGEST).collect().await else {
            return told(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large");
        };
        let mut passed = self.server.client().request(parts.method, url).body(body.to_bytes());
        for name in ["content-type", "content-encoding", "accept", "git-protocol", "if-match"] {
            if let Some(value) = parts.headers.get(name) {
                passed = passed.header(name, value);
            }
        }
        passed = if git {
            let given = STANDARD.encode(format!("x-token-auth:{}", self.token.expose()));
            passed.header("authorization", format!("Basic {given}"))
        } else {
            passed.bearer_auth(self.token.expose())
        };
        let Ok(answer) = passed.send().await else {
            return told(StatusCode::BAD_GATEWAY, "the server does not answer");
        };
        let mut response = Response::builder().status(answer.status());
        for name in ["content-type", "etag", "location", "cache-control"] {
            if let Some(value) = answer.headers().get(name) {
                response = response.header(name, value);
            }
        }
        let body = answer.bytes().await.unwrap_or_default();
        response.body(Full::new(body)).unwrap_or_default()
    }
}

/// Whether a path is this one or lies below it. One that could be read in two ways lies nowhere.
fn below(path: &str, root: &str) -> bool {
    let plain = |path: &str| {
        !path.contains(['%', '\\', ';'])
            && path.split('/').skip(1).all(|part| !matches!(part, "" | "." | ".."))
    };
    let rest = path.strip_prefix(root);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        && plain(path.strip_suffix('/').unwrap_or(path))
}

/// Why a step is not given what it asks for.
fn refused(error: &CallError) -> Response<Full<Bytes>> {
    match error {
        CallError::Refused { status, message } => {
            told(StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY), message)
        }
        // There is room again when others have ended.
        CallError::Unhidden(why) => told(StatusCode::TOO_MANY_REQUESTS, &why.to_string()),
        CallError::Lost | CallError::Unreached(_) => told(StatusCode::BAD_GATEWAY, &error.to_string()),
    }
}

fn told(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    answered(status, serde_json::json!({ "type": "error", "error": { "message": message } }).to_string())
}

fn answered(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Full::new(Bytes::from(body))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use pipeline::mask::MaskError;

    use super::*;

    /// Would catch: a token too many that is refused as if the server had failed, so that the step asks again at once, or without
    /// a word of what to do.
    #[tokio::test]
    async fn a_token_that_cannot_be_hidden_is_refused_with_the_reason() {
        let answer = refused(&CallError::from(MaskError::TooManyTokens));
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let message = body["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("1000 identity tokens") && message.contains("use one until it ends"),
            "{message}"
        );
        let gone = CallError::Refused { status: 403, message: "no".to_owned() };
        assert_eq!(refused(&gone).status(), StatusCode::FORBIDDEN);
        assert_eq!(refused(&CallError::Unreached("x".to_owned())).status(), StatusCode::BAD_GATEWAY);
    }

    /// The step's token is sent for one repository, however its name is written around.
    #[test]
    fn only_the_own_repository_is_passed_on() {
        let root = "/2.0/repositories/acme/one";
        for path in [root, "/2.0/repositories/acme/one/", "/2.0/repositories/acme/one/commit/1/reports/x"] {
            assert!(below(path, root), "{path}");
        }
        for path in [
            "/2.0/repositories/acme/one-more",
            "/2.0/repositories/acme/one/../two",
            "/2.0/repositories/acme/one/%2e%2e/two",
            "/2.0/repositories/acme/one//../two",
            "/2.0/repositories/acme/one/..;/two",
            "/2.0/user",
        ] {
            assert!(!below(path, root), "{path}");
        }
    }
}
