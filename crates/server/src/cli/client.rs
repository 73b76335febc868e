//! The one way in which commands reach an installation: HTTP as the operator. Through the socket of the server where
//! one runs; else the same dispatch, in this process, over the data directory and under its lock.

use std::net::{IpAddr, Ipv4Addr};

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use model::{Clock, Error, Random, Result};
use serde_json::Value;
use service::Service;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use wire::Parameters;

use super::installation::{Installation, Lock};
use crate::app::{App, Settings};
use crate::http::{Peer, dispatch};

/// How commands reach an installation.
pub enum Client {
    /// A server runs.
    Server(Box<Installation>),
    /// None does.
    Here(Box<Here>),
}

/// An installation that is open in this process.
pub struct Here {
    app: App,
    service: Service,
    _lock: Lock,
}

/// An answer whose body has not been read.
struct Opened {
    status: StatusCode,
    body: Body,
    /// What moves the bytes; ends with the answer.
    _connection: Option<JoinSet<()>>,
}

/// An answer.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The body of a success; else the error that it tells of.
    ///
    /// # Errors
    /// What the installation answered.
    pub fn text(&self) -> Result<&str> {
        let text = std::str::from_utf8(&self.body).map_err(Error::internal)?;
        if self.status.is_success() {
            return Ok(text);
        }
        let envelope: Value = serde_json::from_str(text).unwrap_or_default();
        let told = |pointer: &str| envelope.pointer(pointer).and_then(Value::as_str);
        let message = told("/error/message").unwrap_or(text.trim());
        Err(match self.status {
            StatusCode::CONFLICT => Error::Conflict(message.to_owned()),
            StatusCode::NOT_FOUND => Error::Gone(message.to_owned()),
            status if status.is_client_error() => Error::invalid(message),
            _ => {
                let id = told("/error/id").unwrap_or("none");
                Error::Internal(format!("{message} (request {id})"))
            }
        })
    }

    /// The same, read as JSON.
    ///
    /// # Errors
    /// What the installation answered.
    pub fn json(&self) -> Result<Value> {
        let text = self.text()?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(text).map_err(Error::internal)
    }
}

impl Client {
    /// Through the server where one runs, else in this process.
    ///
    /// # Errors
    /// When the installation cannot be opened.
    pub async fn connect(installation: &Installation) -> Result<Self> {
        if UnixStream::connect(installation.socket()).await.is_ok() {
            return Ok(Self::Server(Box::new(installation.clone())));
        }
        let lock = Lock::take(&installation.data)?;
        let settings = Settings::default();
        let base_url = installation.config.base_url.clone().unwrap_or_else(|| settings.base_url.clone());
        let (clock, random) = (Clock::system(), Random::system());
        let settings = Settings { base_url: base_url.clone(), ..settings };
        let app = App::new(settings, clock.clone(), random.clone()).map_err(Error::internal)?;
        let service = Service::open(installation.settings(base_url)?, clock, random).await?;
        app.open(service.clone());
        Ok(Self::Here(Box::new(Here { app, service, _lock: lock })))
    }

    /// Whether a server runs.
    #[must_use]
    pub fn is_server(&self) -> bool {
        matches!(self, Self::Server(_))
    }

    /// Asks with GET; `query` is encoded here.
    ///
    /// # Errors
    /// When the installation cannot be reached.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer> {
        self.send(Method::GET, &address(path, query), None).await
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When the installation cannot be reached.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let bytes = match body {
            Some(body) => Bytes::from(serde_json::to_vec(body).map_err(Error::internal)?),
            None => Bytes::new(),
        };
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(bytes)).map_err(Error::internal)?;
        let opened = self.open(request).await?;
        let body = opened.body.collect().await.map_err(Error::internal)?.to_bytes();
        Ok(Answer { status: opened.status, body })
    }

    /// Asks with GET and hands the body of a success on piece by piece, so that it may be of any length.
    ///
    /// # Errors
    /// When the installation cannot be reached, refuses, or breaks off.
    pub async fn copy(&self, path: &str, mut piece: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let request = Request::builder().method(Method::GET).uri(path).header(header::HOST, "localhost");
        let request = request.body(Full::new(Bytes::new())).map_err(Error::internal)?;
        let mut opened = self.open(request).await?;
        if !opened.status.is_success() {
            let body = opened.body.collect().await.map_err(Error::internal)?.to_bytes();
            return Answer { status: opened.status, body }.text().map(drop);
        }
        while let Some(frame) = opened.body.frame().await {
            let frame = frame.map_err(|error| Error::Internal(format!("the answer broke off: {error}")))?;
            if let Some(bytes) = frame.data_ref() {
                piece(bytes)?;
            }
        }
        Ok(())
    }

    async fn open(&self, request: Request<Full<Bytes>>) -> Result<Opened> {
        match self {
            Self::Server(installation) => through(installation, request).await,
            Self::Here(here) => {
                let peer = Peer { address: IpAddr::V4(Ipv4Addr::LOCALHOST), secure: false, operator: true };
                let response = dispatch(here.app.clone(), peer, request.map(Body::new)).await;
                let (parts, body) = response.into_parts();
                Ok(Opened { status: parts.status, body, _connection: None })
            }
        }
    }

    /// Ends the connection, or closes what was opened here.
    ///
    /// # Errors
    /// When what was written cannot be brought to its end.
    pub async fn close(self) -> Result<()> {
        match self {
            Self::Server(_) => Ok(()),
            Self::Here(here) => here.service.close().await,
        }
    }
}

/// A path with its query.
pub(super) fn address(path: &str, query: &[(&str, &str)]) -> String {
    if query.is_empty() {
        return path.to_owned();
    }
    let parameters =
        query.iter().fold(Parameters::default(), |parameters, (name, value)| parameters.with(name, value));
    let and = if path.contains('?') { '&' } else { '?' };
    format!("{path}{and}{}", parameters.encode())
}

async fn through(installation: &Installation, request: Request<Full<Bytes>>) -> Result<Opened> {
    let gone = |error: &dyn std::fmt::Display| {
        Error::Internal(format!("the server on `{}` does not answer: {error}", installation.data.display()))
    };
    let stream = UnixStream::connect(installation.socket()).await.map_err(|error| gone(&error))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| gone(&error))?;
    let mut moving = JoinSet::new();
    moving.spawn(async move {
        // How it ends shows in the answer.
        let _ = connection.await;
    });
    let response = sender.send_request(request).await.map_err(|error| gone(&error))?;
    let (parts, body) = response.into_parts();
    Ok(Opened { status: parts.status, body: Body::new(body), _connection: Some(moving) })
}
