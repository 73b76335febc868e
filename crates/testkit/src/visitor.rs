//! Somebody at a browser without scripts: keeps the session's cookie, sends forms as pages do, follows nothing by itself.

use model::Secret;
use reqwest::header;

use crate::server::{Answer, Login, Server, read};

/// Somebody at a browser.
pub struct Visitor {
    client: reqwest::Client,
    site: String,
    /// The session's secret, where there is one.
    pub session: Option<Secret>,
}

impl Visitor {
    /// Nobody known.
    ///
    /// # Panics
    /// When no client can be made.
    #[must_use]
    pub fn new(server: &Server) -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        Self { client: client.build().expect("a client"), site: server.url.clone(), session: None }
    }

    /// Somebody who has signed in with a password.
    ///
    /// # Panics
    /// When they cannot.
    pub async fn signed_in(server: &Server, name: &str, password: &str) -> Self {
        let mut visitor = Self::new(server);
        let answer = visitor.send("/sign-in", &[("name", name), ("password", password)]).await;
        assert_eq!(answer.status, 303, "{name}: {}", answer.text);
        assert!(visitor.session.is_some(), "{name} has a session");
        visitor
    }

    /// The same as a login for one request.
    ///
    /// # Panics
    /// When nobody is signed in.
    #[must_use]
    pub fn login(&self) -> Login {
        Login::Session(self.session.clone().expect("somebody who is signed in"))
    }

    /// A page.
    pub async fn get(&mut self, path: &str) -> Answer {
        let request = self.client.get(format!("{}{path}", self.site));
        self.carry_out(request).await
    }

    /// A form, sent from a page of this site.
    pub async fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let site = self.site.clone();
        self.send_from(&[(header::ORIGIN.as_str(), &site)], path, fields).await
    }

    /// A form, with headers that say where it is sent from.
    pub async fn send_from(
        &mut self,
        headers: &[(&str, &str)],
        path: &str,
        fields: &[(&str, &str)],
    ) -> Answer {
        let pairs: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let mut request = self.client.post(format!("{}{path}", self.site)).body(pairs.join("&"));
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.carry_out(request).await
    }

    async fn carry_out(&mut self, mut request: reqwest::RequestBuilder) -> Answer {
        if let Some(secret) = &self.session {
            request = request.header(header::COOKIE, format!("session={}", secret.expose()));
        }
        let answer = read(request.send().await.expect("an answer")).await;
        if let Some(value) = answer.header("set-cookie").strip_prefix("session=") {
            let value = value.split(';').next().unwrap_or_default();
            self.session = Some(value).filter(|value| !value.is_empty()).map(|s| Secret::new(s.to_owned()));
        }
        answer
    }
}

/// The token of the form that a page sends to `action`.
#[must_use]
pub fn form_token(page: &str, action: &str) -> Option<String> {
    let form = page.split("<form").find(|form| form.contains(&format!("action=\"{action}\"")))?;
    let after = form.split("name=\"form_token\" value=\"").nth(1)?;
    after.split('"').next().map(str::to_owned)
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
