//! A server with one workspace, of the first administrator's: for tests that need no people.

use model::Secret;
use serde_json::json;

use crate::{GitClient, Server};

/// A server with the workspace `acme` and its project `CORE`.
pub struct Place {
    /// The server.
    pub server: Server,
}

impl Place {
    /// Makes it on a new server.
    pub async fn new() -> Self {
        Self::on(Server::start()).await
    }

    /// Makes it on a server.
    ///
    /// # Panics
    /// When any call fails.
    pub async fn on(server: Server) -> Self {
        server.administer("POST", "/api/workspaces", &json!({ "slug": "acme", "name": "Acme" })).await;
        let body = json!({ "key": "CORE", "name": "Core", "is_private": false });
        server.administer("POST", "/2.0/workspaces/acme/projects", &body).await;
        Self { server }
    }

    /// Makes a repository in the project.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn repository(&self, slug: &str, private: bool) {
        let body = json!({ "scm": "git", "project": { "key": "CORE" }, "is_private": private });
        self.server.administer("POST", &format!("/2.0/repositories/acme/{slug}"), &body).await;
    }

    /// Makes an access token on a repository; its id in braces, and its secret.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn token(&self, slug: &str, scope: &str) -> (String, Secret) {
        let body = json!({ "name": "made by a test", "scopes": [scope] });
        let path = format!("/api/repositories/acme/{slug}/access-tokens");
        let made = self.server.administer("POST", &path, &body).await;
        let text = |field: &str| made[field].as_str().expect("text").to_owned();
        (text("uuid"), Secret::new(text("token")))
    }

    /// A git that pushes and fetches with an access token.
    #[must_use]
    pub fn git(&self, token: &Secret) -> GitClient {
        GitClient::new().with_credential(&self.server.url, "x-token-auth", token)
    }

    /// Where a repository is cloned from.
    #[must_use]
    pub fn address(&self, slug: &str) -> String {
        format!("{}/acme/{slug}.git", self.server.url)
    }
}
