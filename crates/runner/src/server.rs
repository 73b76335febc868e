//! The server, as a runner calls it: one function for each row of [`pipeline::protocol`].
//!
//! Every call but the first carries the runner's credential in a header; it stands in no address, no error and no log.
//! What fails by the network or with a status of 500 and above is tried again, as long as the caller's patience lasts.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use model::{Error, Secret};
use pipeline::mask::MaskError;
use pipeline::protocol::{
    Assignment, AwsAccess, AwsRequest, Beat, Claim, Finish, Heartbeat, Kept, LogPosition, MintedToken,
    Program, Registered, Registration, SarifReports, TokenRequest, VERSION,
};
use pipeline::test_report::TestReport;
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

/// How long making a connection may take, and how long a small exchange.
const CONNECT: Duration = Duration::from_secs(10);
const EXCHANGE: Duration = Duration::from_secs(20);
/// How long a heartbeat may take: another must fit into the lease.
const BEAT: Duration = Duration::from_secs(4);
/// How long moving a cache or an artifact may take.
const TRANSFER: Duration = Duration::from_secs(30 * 60);
/// How long is waited before the first repetition, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often an exchange is tried again that may fail for good: for about as long as a lease lasts, within which a server
/// may come back.
const REPETITIONS: u32 = 8;

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The lease is another's, or nobody's.
    #[error("the server has taken the step from this runner")]
    Lost,
    /// The server said no.
    #[error("the server refused ({status}): {message}")]
    Refused {
        /// The status of the answer.
        status: u16,
        /// What it said.
        message: String,
    },
    /// There was no answer.
    #[error("the server does not answer: {0}")]
    Unreached(String),
    /// What it gave, or would give, cannot be hidden: the step must not get it.
    #[error(transparent)]
    Unhidden(#[from] MaskError),
}

impl CallError {
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreached(_) => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            Self::Lost | Self::Unhidden(_) => false,
        }
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused { status, .. } if status < 500 => Self::invalid(error.to_string()),
            _ => Self::Internal(error.to_string()),
        }
    }
}

type Answer<T> = Result<T, CallError>;

/// How often a call is tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    Once,
    Some,
    /// Until it is dropped by a caller who has lost the lease.
    Endless,
}

/// Which attempt at which step is spoken of.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// The step's UUID.
    pub(crate) step: String,
    /// From 1.
    pub(crate) number: u32,
}

/// What came of appending to a log.
pub(crate) enum Appended {
    /// The server has this many bytes now.
    Length(u64),
    /// It had another length than was thought: this one.
    Elsewhere(u64),
}

/// Something that is kept at the server: its path below the step, and what the address asks beside the attempt.
pub(crate) struct Place {
    path: String,
    key: Option<String>,
}

impl Place {
    /// A cache, in one of its versions.
    pub(crate) fn cache(name: &str, key: &str) -> Self {
        Self { path: format!("caches/{}", segment(name)), key: Some(key.to_owned()) }
    }

    /// An artifact: by its name to keep it, by its id to fetch it.
    pub(crate) fn artifact(name: &str) -> Self {
        Self { path: format!("artifacts/{}", segment(name)), key: None }
    }
}

/// A server, and who asks.
#[derive(Clone)]
pub(crate) struct Server {
    client: Client,
    base: Url,
    credential: Arc<RwLock<Option<Secret>>>,
}

impl Server {
    /// The server at an address, trusting what the system trusts and the certificates of a file.
    pub(crate) fn new(url: &str, trusted: Option<&Path>) -> Result<Self, Error> {
        let base = address(url)?;
        let mut roots = RootCertStore::empty();
        for certificate in rustls_native_certs::load_native_certs().certs {
            // One certificate that cannot be read is no reason to trust none of them.
            let _ = roots.add(certificate);
        }
        if let Some(path) = trusted {
            let unreadable = |error: &dyn std::fmt::Display| {
                Error::invalid(format!("the certificates in `{}` cannot be read: {error}", path.display()))
            };
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))? {
                roots
                    .add(certificate.map_err(|error| unreadable(&error))?)
                    .map_err(|error| unreadable(&error))?;
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Error::internal)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .user_agent(concat!("bastide-runner/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Error::internal)?;
        Ok(Self { client, base, credential: Arc::default() })
    }

    /// Speaks with this credential from now on.
    pub(crate) fn speak_as(&self, credential: Secret) {
        *self.credential.write().unwrap_or_else(PoisonError::into_inner) = Some(credential);
    }

    /// Its address.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// What speaks HTTP, for what a step asks through its agent.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Exchanges a one-time code.
    pub(crate) async fn register(&self, code: &Secret, program: Program) -> Answer<Registered> {
        let body = Registration { protocol: VERSION, code: code.expose().to_owned(), program };
        json(self.send(self.request(Method::POST, "register").timeout(EXCHANGE).json(&body)).await?).await
    }

    /// A new credential.
    pub(crate) async fn rotate(&self) -> Answer<Registered> {
        self.json(Patience::Once, || self.request(Method::POST, "rotate").timeout(EXCHANGE)).await
    }

    /// Asks for a step; nothing when the wait was over.
    pub(crate) async fn claim(&self, claim: &Claim) -> Answer<Option<Assignment>> {
        let wait = Duration::from_secs(u64::from(claim.wait)) + EXCHANGE;
        let answer = self.send(self.request(Method::POST, "claim").timeout(wait).json(claim)).await?;
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        json(answer).await.map(Some)
    }

    /// Renews a lease.
    pub(crate) async fn heartbeat(&self, attempt: &Attempt) -> Answer<Beat> {
        let body = Heartbeat { attempt: attempt.number };
        self.json(Patience::Once, || self.of(Method::POST, attempt, "heartbeat").timeout(BEAT).json(&body))
            .await
    }

    /// Waits until the server answers, for a caller who gives up when the lease is lost. Tells whether it had to wait.
    pub(crate) async fn was_away(&self, attempt: &Attempt) -> bool {
        let (mut pause, mut away) = (FIRST_PAUSE, false);
        while self.heartbeat(attempt).await.is_err_and(|error| error.may_pass()) {
            away = true;
            rest(&mut pause).await;
        }
        away
    }

    /// Appends to a log, until it is done or the lease is lost.
    pub(crate) async fn append(
        &self,
        attempt: &Attempt,
        log: &str,
        offset: u64,
        bytes: &Bytes,
    ) -> Answer<Appended> {
        let path = format!("logs/{}", segment(log));
        let mut pause = FIRST_PAUSE;
        loop {
            let request = self.of(Method::POST, attempt, &path).timeout(EXCHANGE);
            let request = request.query(&[("attempt", u64::from(attempt.number)), ("offset", offset)]);
            let answer = match request.body(bytes.clone()).send().await {
                Ok(answer) => answer,
                Err(error) => {
                    tracing::debug!(error = %unreached(error), "a log waits");
                    rest(&mut pause).await;
                    continue;
                }
            };
            match answer.status() {
                status if status.is_success() => {
                    return json::<LogPosition>(answer)
                        .await
                        .map(|position| Appended::Length(position.length));
                }
                // A wrong place and a lost lease answer with the same status; the first tells the right place.
                StatusCode::CONFLICT => {
                    let position = json::<LogPosition>(answer).await.map_err(|_| CallError::Lost)?;
                    return Ok(Appended::Elsewhere(position.length));
                }
                _ => {
                    let error = refused(answer).await;
                    if !error.may_pass() {
                        return Err(error);
                    }
                    rest(&mut pause).await;
                }
            }
        }
    }

    /// Tells how a step ended, until it is heard or the lease is lost.
    pub(crate) async fn finish(&self, attempt: &Attempt, finish: &Finish) -> Answer<()> {
        let request = || self.of(Method::POST, attempt, "finish").timeout(EXCHANGE).json(finish);
        self.patiently(Patience::Endless, request).await.map(drop)
    }

    /// Tells what test tools have reported.
    pub(crate) async fn tell_tests(&self, attempt: &Attempt, report: &TestReport) -> Answer<()> {
        let request = || {
            let request = self.of(Method::PUT, attempt, "test-report").timeout(EXCHANGE);
            request.query(&[("attempt", attempt.number)]).json(report)
        };
        self.patiently(Patience::Some, request).await.map(drop)
    }

    /// Tells what a scanner found: a SARIF file, and what its report is called, where that does not go by its tool.
    pub(crate) async fn tell_sarif(
        &self,
        attempt: &Attempt,
        report: Option<&str>,
        file: Vec<u8>,
    ) -> Answer<SarifReports> {
        let file = Bytes::from(file);
        let request = || {
            let request = self.of(Method::PUT, attempt, "sarif").timeout(TRANSFER);
            let request = request.query(&[("attempt", attempt.number)]).query(&[("report", report)]);
            request.header("content-type", "application/sarif+json").body(file.clone())
        };
        self.json(Patience::Some, request).await
    }

    /// An identity token.
    pub(crate) async fn token(&self, attempt: &Attempt, audiences: Vec<String>) -> Answer<MintedToken> {
        let body = TokenRequest { attempt: attempt.number, audiences };
        self.json(Patience::Some, || self.of(Method::POST, attempt, "tokens").timeout(EXCHANGE).json(&body))
            .await
    }

    /// The way to Amazon anew.
    pub(crate) async fn aws(&self, attempt: &Attempt) -> Answer<AwsAccess> {
        let body = AwsRequest { attempt: attempt.number };
        self.json(Patience::Some, || self.of(Method::POST, attempt, "aws").timeout(EXCHANGE).json(&body))
            .await
    }

    /// How an image is fetched from Amazon's registry.
    #[cfg(target_os = "linux")]
    pub(crate) async fn registry(
        &self,
        attempt: &Attempt,
        registry: String,
        access: pipeline::image::RegistryAccess,
    ) -> Answer<pipeline::protocol::RegistryLogin> {
        let body = pipeline::protocol::RegistryRequest { attempt: attempt.number, registry, access };
        let request = || self.of(Method::POST, attempt, "registry").timeout(EXCHANGE).json(&body);
        self.json(Patience::Some, request).await
    }

    /// Fetches what is kept into a file; nothing where there is none. Gives the length.
    pub(crate) async fn fetch(
        &self,
        attempt: &Attempt,
        place: &Place,
        into: &Path,
        limit: u64,
    ) -> Answer<Option<u64>> {
        let request = || self.kept(Method::GET, attempt, place);
        let mut answer = match self.patiently(Patience::Some, request).await {
            Ok(answer) => answer,
            Err(CallError::Refused { status: 404, .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let local = |error: std::io::Error| CallError::Unreached(error.to_string());
        let mut file = tokio::fs::File::create(into).await.map_err(local)?;
        let mut length = 0;
        while let Some(chunk) = answer.chunk().await.map_err(unreached)? {
            length += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            if length > limit {
                let message = format!("it is larger than {limit} bytes");
                return Err(CallError::Refused { status: 413, message });
            }
            file.write_all(&chunk).await.map_err(local)?;
        }
        file.flush().await.map_err(local)?;
        Ok(Some(length))
    }

    /// Keeps a file at the server.
    pub(crate) async fn keep(&self, attempt: &Attempt, place: &Place, file: PathBuf) -> Answer<Kept> {
        let mut pause = FIRST_PAUSE;
        let mut left = REPETITIONS;
        loop {
            let opened = tokio::fs::File::open(&file).await;
            let opened = opened.map_err(|error| CallError::Unreached(error.to_string()))?;
            let body = reqwest::Body::wrap_stream(ReaderStream::with_capacity(opened, 64 * 1024));
            match self.send(self.kept(Method::PUT, attempt, place).body(body)).await {
                Ok(answer) => return json(answer).await,
                Err(error) if left == 0 || !error.may_pass() => return Err(error),
                Err(_) => rest(&mut pause).await,
            }
            left -= 1;
        }
    }

    fn kept(&self, method: Method, attempt: &Attempt, place: &Place) -> RequestBuilder {
        let request = self.of(method, attempt, &place.path).timeout(TRANSFER);
        let request = request.query(&[("attempt", attempt.number)]);
        match &place.key {
            Some(key) => request.query(&[("key", key)]),
            None => request,
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let base = self.base.as_str().trim_end_matches('/');
        let request = self.client.request(method, format!("{base}/api/runner/{path}"));
        match &*self.credential.read().unwrap_or_else(PoisonError::into_inner) {
            Some(credential) => request.bearer_auth(credential.expose()),
            None => request,
        }
    }

    fn of(&self, method: Method, attempt: &Attempt, path: &str) -> RequestBuilder {
        self.request(method, &format!("steps/{}/{path}", segment(&attempt.step)))
    }

    /// Sends once; anything but a success is an error.
    async fn send(&self, request: RequestBuilder) -> Answer<reqwest::Response> {
        let answer = request.send().await.map_err(unreached)?;
        if answer.status().is_success() { Ok(answer) } else { Err(refused(answer).await) }
    }

    async fn patiently(
        &self,
        patience: Patience,
        request: impl Fn() -> RequestBuilder,
    ) -> Answer<reqwest::Response> {
        let mut pause = FIRST_PAUSE;
        let mut left = if patience == Patience::Some { REPETITIONS } else { 0 };
        loop {
            match self.send(request()).await {
                Err(error) if error.may_pass() && (left > 0 || patience == Patience::Endless) => {
                    left -= u32::from(patience == Patience::Some);
                    tracing::debug!(%error, "tried again");
                    rest(&mut pause).await;
                }
                ended => return ended,
            }
        }
    }

    async fn json<T: DeserializeOwned>(
        &self,
        patience: Patience,
        request: impl Fn() -> RequestBuilder,
    ) -> Answer<T> {
        json(self.patiently(patience, request).await?).await
    }
}

/// Reads the address of a server. A credential is not sent where everybody on the way can read it.
fn address(text: &str) -> Result<Url, Error> {
    let url = Url::parse(text).map_err(|_| {
        Error::invalid(format!("`{text}` is no address; give one such as https://git.example.com"))
    })?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let loopback =
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        _ => Err(Error::invalid(format!(
            "`{text}` is not encrypted; give an address that begins with https://"
        ))),
    }
}

/// A text as one part of a path.
fn segment(text: &str) -> String {
    text.bytes().fold(String::new(), |mut path, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
        path
    })
}

async fn json<T: DeserializeOwned>(answer: reqwest::Response) -> Answer<T> {
    answer.json().await.map_err(unreached)
}

async fn refused(answer: reqwest::Response) -> CallError {
    let status = answer.status();
    if status == StatusCode::CONFLICT {
        return CallError::Lost;
    }
    let body = answer.text().await.unwrap_or_default();
    let told = serde_json::from_str::<serde_json::Value>(&body).ok();
    let message = told.as_ref().and_then(|body| body.pointer("/error/message")?.as_str()).unwrap_or(&body);
    CallError::Refused { status: status.as_u16(), message: message.chars().take(500).collect() }
}

/// What went wrong below HTTP. The address is left out: it tells nothing that the configuration does not.
fn unreached(error: reqwest::Error) -> CallError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&error);
    while let Some(below) = cause {
        text.push_str(&format!(": {below}"));
        cause = below.source();
    }
    CallError::Unreached(text)
}

/// Waits, and longer the next time.
async fn rest(pause: &mut Duration) {
    tokio::time::sleep(*pause).await;
    *pause = (*pause * 2).min(LONGEST_PAUSE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_goes_over_no_open_wire() {
        assert!(address("http://git.example.com").is_err());
        assert!(address("http://127.0.0.1:7990").is_ok());
        assert!(address("http://[::1]:7990").is_ok());
        assert!(address("https://git.example.com/bastide").is_ok());
    }

    #[test]
    fn a_name_stays_one_part_of_a_path() {
        assert_eq!(segment("../a b"), "%2E%2E%2Fa%20b");
    }
}
