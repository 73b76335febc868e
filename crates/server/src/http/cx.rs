//! What a handler is given, and how it reads its body.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use model::{Error, RequestId, Result, Secret};
use serde::de::DeserializeOwned;
use service::{Caller, Service};
use wire::{FieldKind, Parameters, Sort, Typed};

use crate::app::App;
use crate::route::{Params, Route};

/// The fields by which a list is filtered and sorted.
pub type Fields = &'static [(&'static str, FieldKind)];

/// One request, as its handler sees it.
pub struct Cx {
    /// What every request needs.
    pub app: App,
    /// The row that it reached.
    pub route: &'static Route,
    /// The parameters of its path, decoded.
    pub params: Params,
    /// Where it was sent, without the host: the path and what follows.
    pub here: String,
    /// The parameters behind the `?`.
    pub query: Parameters,
    /// Its headers, without the credential.
    pub headers: HeaderMap,
    /// Its body, not read yet. A client that waits for `100 Continue` gets it with the first read.
    pub body: Unread,
    /// The client's address.
    pub address: IpAddr,
    /// Whether it came over TLS, or through a proxy that did.
    pub secure: bool,
    /// Its id.
    pub request_id: RequestId,
    /// The secret of the session that it came by, where it came by one: what its forms are bound to.
    pub session_secret: Option<Secret>,
    /// Who asks.
    pub caller: Caller,
}

/// A body that nobody has read yet. Whoever owns the request takes it; others may look at the rest of the request
/// meanwhile, from any thread, which a bare stream would forbid.
pub struct Unread(Mutex<Body>);

impl Unread {
    /// A body as it came.
    #[must_use]
    pub fn new(body: Body) -> Self {
        Self(Mutex::new(body))
    }

    /// The body; an empty one afterwards.
    pub fn take(&mut self) -> Body {
        std::mem::take(self.0.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&mut self) -> bool {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }
}

impl Cx {
    /// The same request without its body, for what is done about it after its handler has taken it.
    #[must_use]
    pub fn without_body(&self) -> Self {
        Self {
            app: self.app.clone(),
            route: self.route,
            params: self.params.clone(),
            here: self.here.clone(),
            query: self.query.clone(),
            headers: self.headers.clone(),
            body: Unread::new(Body::empty()),
            address: self.address,
            secure: self.secure,
            request_id: self.request_id,
            session_secret: self.session_secret.clone(),
            caller: self.caller.clone(),
        }
    }

    /// A parameter of the path; empty when the row has none of this name.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name)
    }

    /// The house below.
    ///
    /// # Errors
    /// [`Error::Unavailable`] before it is open.
    pub fn service(&self) -> Result<&Service> {
        self.app.service()
    }

    /// `q=`, held against what the list declares.
    ///
    /// # Errors
    /// When it is no filter, or names a field that the list does not have.
    pub fn filter(&self, fields: Fields) -> Result<Option<Typed>> {
        match self.query.get("q")? {
            None | Some("") => Ok(None),
            Some(text) => wire::query::check(&wire::query::parse(text)?, fields).map(Some),
        }
    }

    /// `sort=`, likewise.
    ///
    /// # Errors
    /// When it names a field that the list does not have.
    pub fn sort(&self, fields: Fields) -> Result<Option<Sort>> {
        let names: Vec<&'static str> = fields.iter().map(|(name, _)| *name).collect();
        match self.query.get("sort")? {
            None | Some("") => Ok(None),
            Some(text) => wire::sort::parse(text, &names).map(Some),
        }
    }

    /// Reads a body of JSON. A body without a type is taken for JSON, as the published interface does.
    ///
    /// # Errors
    /// When it is of another type, too large, too slow, or not what `T` reads.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        self.must_be_json()?;
        wire::body::read(&self.bytes().await?)
    }

    /// Reads a body of JSON that is an array, of at most so many items.
    ///
    /// # Errors
    /// When it is of another type, too large, too long, too slow, or its items are not what `T` reads.
    pub async fn json_list<T: DeserializeOwned>(&mut self, most: usize) -> Result<Vec<T>> {
        self.must_be_json()?;
        wire::body::read_list(&self.bytes().await?, most)
    }

    /// Refuses a body of another type than JSON. One without a type is taken for JSON.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn must_be_json(&self) -> Result<()> {
        let expected = "application/json";
        if self.media_type().is_some_and(|sent| sent != expected && !sent.ends_with("+json")) {
            return Err(Error::UnsupportedMediaType { expected });
        }
        Ok(())
    }

    /// Reads a body of form fields.
    ///
    /// # Errors
    /// When it is of another type, too large, too slow, or not text.
    pub async fn form(&mut self) -> Result<Parameters> {
        let expected = "application/x-www-form-urlencoded";
        if self.media_type().is_none_or(|sent| sent != expected) {
            return Err(Error::UnsupportedMediaType { expected });
        }
        let bytes = self.bytes().await?;
        Parameters::form(&bytes)
    }

    /// Reads the whole body, within the limits on size and time. What may be larger is streamed from
    /// [`Cx::body`] instead.
    ///
    /// # Errors
    /// When it is too large or too slow, or the connection breaks.
    pub async fn bytes(&mut self) -> Result<Bytes> {
        self.bytes_up_to(self.app.settings.body_limit).await
    }

    /// The same with a limit of its own: for what a caller who may send it has been let in for.
    ///
    /// # Errors
    /// When it is too large or too slow, or the connection breaks.
    pub async fn bytes_up_to(&mut self, limit: usize) -> Result<Bytes> {
        let too_large = || Error::TooLarge { limit: u64::try_from(limit).unwrap_or(u64::MAX) };
        let announced = self.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        if announced.and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let body = Limited::new(self.body.take(), limit).collect();
        let patience = Duration::from_secs(self.app.settings.body_seconds);
        match tokio::time::timeout(patience, body).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => Err(too_large()),
            Ok(Err(_)) => Err(Error::invalid("the body ended early")),
            Err(_) => Err(Error::invalid("the body took too long to arrive")),
        }
    }

    /// The body's type without its parameters, in lower case.
    fn media_type(&self) -> Option<String> {
        let value = self.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        Some(value.split(';').next()?.trim().to_ascii_lowercase())
    }
}
