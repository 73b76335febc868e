//! A house of its own for each test, asked without a socket.

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use model::{Clock, CredentialKind, Random, RequestId, ScopeSet, Secret, Timestamp, WorkspacePermission};
use serde_json::Value;
use server::app::{App, Settings};
use server::http::{Peer, dispatch};
use service::{AuditQuery, Caller, Door, NewCredential, NewUser, Presented, Service, TokenPlace};

/// The base of every address.
pub(crate) const BASE: &str = "https://bastide.test";

const PASSWORD: &str = "correct horse battery staple";

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) enum As {
    /// Nobody known.
    Nobody,
    /// A user with an app password of every scope.
    User(&'static str),
    /// An access token.
    Bearer(String),
    /// A user name and a password.
    Basic(String, String),
}

/// A house with the workspace `acme` of `ann`, to which `ben` belongs, and the stranger `cleo`.
pub(crate) struct House {
    pub(crate) app: App,
    pub(crate) service: Service,
    passwords: Vec<(&'static str, String)>,
    _folder: tempfile::TempDir,
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The status must be this; the body as JSON.
    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The error's envelope must be whole, and of this status; its message.
    #[track_caller]
    pub(crate) fn fails(&self, status: u16) -> String {
        let body = self.is(status);
        assert_eq!(body["type"], "error", "{body}");
        assert_eq!(body["error"]["id"], self.header("x-request-id"));
        assert!(body["error"]["data"]["code"].is_string(), "{body}");
        body["error"]["message"].as_str().unwrap().to_owned()
    }

    /// The names of a page's values.
    #[track_caller]
    pub(crate) fn names(&self, field: &str) -> Vec<String> {
        let body = self.is(200);
        let values = body["values"].as_array().unwrap();
        let of = |value: &Value| field.split('.').fold(value.clone(), |value, part| value[part].clone());
        values.iter().map(|value| of(value).as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl House {
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let random = Random::seeded(7);
        let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
        let data = folder.path().join("data");
        let settings =
            service::Settings { restore_days: 7, ..service::Settings::new(data, BASE, "/bin/true") };
        let service = Service::open(settings, clock.clone(), random.clone()).await.unwrap();
        let settings = Settings { base_url: BASE.to_owned(), body_limit: 1 << 16, ..Settings::default() };
        let app = App::new(settings, clock, random).unwrap();
        app.open(service.clone());
        let mut house = Self { app, service, passwords: Vec::new(), _folder: folder };
        for name in ["ann", "ben", "cleo"] {
            house.user(name).await;
        }
        let ann = house.signed_in("ann").await;
        let (slug, name) = ("acme".parse().unwrap(), "Acme Inc".parse().unwrap());
        house.service.create_workspace(&ann, slug, name).await.unwrap();
        let ben = "ben".parse().unwrap();
        house.service.set_member(&ann, "acme", &ben, WorkspacePermission::Member).await.unwrap();
        let project = r#"{"key": "CORE", "name": "Core", "is_private": false}"#;
        house.send(As::User("ann"), "POST", "/2.0/workspaces/acme/projects", project).await.is(201);
        house
    }

    async fn user(&mut self, name: &'static str) {
        let operator = Caller::operator(RequestId::new(&self.app.random));
        let new = NewUser {
            username: name.parse().unwrap(),
            email: format!("{name}@example.com").parse().unwrap(),
            display_name: None,
            password: Some(Secret::new(PASSWORD.to_owned())),
        };
        self.service.create_user(&operator, new).await.unwrap();
        let caller = self.signed_in(name).await;
        let scopes: ScopeSet = CredentialKind::AppPassword.may_hold();
        let new = NewCredential { name: "tests".parse().unwrap(), scopes: scopes.names(), expires_on: None };
        let minted =
            self.service.create_own_credential(&caller, CredentialKind::AppPassword, new).await.unwrap();
        self.passwords.push((name, minted.token.secret().expose().to_owned()));
    }

    pub(crate) async fn signed_in(&self, name: &str) -> Caller {
        let password = Secret::new(PASSWORD.to_owned());
        let presented = Presented::Basic { user: name.to_owned(), password };
        let id = RequestId::new(&self.app.random);
        self.service.authenticate(presented, Door::Api, None, id).await.unwrap()
    }

    /// An app password of these scopes alone.
    pub(crate) async fn narrowed(&self, name: &'static str, scopes: &str) -> As {
        let caller = self.signed_in(name).await;
        let scopes = scopes.split(' ').map(str::to_owned).collect();
        let new = NewCredential { name: "narrow".parse().unwrap(), scopes, expires_on: None };
        let kind = CredentialKind::AppPassword;
        let minted = self.service.create_own_credential(&caller, kind, new).await.unwrap();
        As::Basic(name.to_owned(), minted.token.secret().expose().to_owned())
    }

    /// An access token.
    pub(crate) async fn token(&self, on: TokenPlace, scopes: &str) -> As {
        let ann = self.signed_in("ann").await;
        let scopes = scopes.split(' ').map(str::to_owned).collect();
        let new = NewCredential { name: "robot".parse().unwrap(), scopes, expires_on: None };
        let minted = self.service.create_access_token(&ann, &on, new).await.unwrap();
        As::Bearer(minted.token.secret().expose().to_owned())
    }

    /// A request with whatever headers and body.
    pub(crate) async fn request(
        &self,
        who: As,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        let authorization = match &who {
            As::Nobody => None,
            As::User(name) => {
                let password = &self.passwords.iter().find(|(user, _)| user == name).unwrap().1;
                Some(format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
            }
            As::Basic(name, password) => {
                Some(format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
            }
            As::Bearer(token) => Some(format!("Bearer {token}")),
        };
        if let Some(value) = authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let peer = Peer { address: "192.0.2.1".parse().unwrap(), secure: true, operator: false };
        let response = dispatch(self.app.clone(), peer, request.body(body.into()).unwrap()).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
        Answer { status: StatusCode::as_u16(&parts.status), headers: parts.headers, body }
    }

    /// A request with a body of JSON.
    pub(crate) async fn send(&self, who: As, method: &str, path: &str, json: &str) -> Answer {
        let headers = [("content-type", "application/json")];
        self.request(who, (method, path), &headers, json.to_owned()).await
    }

    /// A request with a form.
    pub(crate) async fn form(&self, who: As, method: &str, path: &str, form: &str) -> Answer {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.request(who, (method, path), &headers, form.to_owned()).await
    }

    pub(crate) async fn get(&self, who: As, path: &str) -> Answer {
        self.request(who, ("GET", path), &[], Body::empty()).await
    }

    pub(crate) async fn delete(&self, who: As, path: &str) -> Answer {
        self.request(who, ("DELETE", path), &[], Body::empty()).await
    }

    /// The private repository `acme/one` of ann's, with two commits: `README.md` and `src/main.rs`, then a change of
    /// the first. Gives their names, the younger first.
    pub(crate) async fn with_commits(&self) -> [String; 2] {
        self.send(As::User("ann"), "POST", "/2.0/repositories/acme/one", "{}").await.is(200);
        let first = "README.md=one%0A&src/main.rs=fn+main()+%7B%7D%0A&message=first";
        let second = "README.md=one%0Atwo%0A&message=second%0A%0Abody";
        let first = self.commit(first).await;
        [self.commit(second).await, first]
    }

    /// A commit on `acme/one` by ann; its name.
    pub(crate) async fn commit(&self, form: &str) -> String {
        let answer = self.form(As::User("ann"), "POST", "/2.0/repositories/acme/one/src", form).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.header("location").rsplit('/').next().unwrap().to_owned()
    }
}

impl House {
    /// The actions in the audit trail of `acme`, youngest first.
    pub(crate) async fn actions(&self) -> Vec<String> {
        let ann = self.signed_in("ann").await;
        let trail = service::Trail::Workspace("acme");
        let (events, _) =
            self.service.audit_events(&ann, trail, AuditQuery::default(), None, 100).await.unwrap();
        events.iter().map(|event| event.action.clone()).collect()
    }
}
