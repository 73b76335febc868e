//! A small world, made through the public API: one workspace with two repositories, a neighbour, and somebody in every
//! role.

use std::collections::BTreeMap;

use model::Secret;
use serde_json::{Value, json};

use crate::GitClient;
use crate::server::{Login, Server, in_path};

/// Everybody's password. Nobody has a second step.
pub const PASSWORD: &str = "correct horse battery staple";

/// Who is in the world, with one thing each that they may do.
pub const PEOPLE: &[&str] =
    &["owner", "projectadmin", "repoadmin", "creator", "writer", "reader", "member", "outsider"];

/// Every classic scope that an app password can hold and this world's calls ask for.
const CLASSIC: &[&str] = &[
    "repository",
    "repository:write",
    "repository:admin",
    "repository:delete",
    "pullrequest",
    "pullrequest:write",
    "webhook",
    "pipeline",
    "pipeline:write",
    "pipeline:variable",
    "runner",
    "runner:write",
    "project",
    "project:admin",
    "account",
    "account:write",
    "email",
    "issue",
    "issue:write",
    "wiki",
    "snippet",
    "snippet:write",
];

/// The world: workspace `acme` with project `CORE` holding private `one` and `two`; workspace `other` with `three`.
pub struct World {
    /// The server it lives on.
    pub server: Server,
    passwords: BTreeMap<String, Login>,
    app_passwords: BTreeMap<String, Login>,
    uuids: BTreeMap<String, Value>,
}

impl World {
    /// Makes the world on a new server.
    pub async fn new() -> Self {
        Self::on(Server::start()).await
    }

    /// Makes the world on a server.
    ///
    /// # Panics
    /// When any call fails.
    pub async fn on(server: Server) -> Self {
        let mut world = Self {
            server,
            passwords: BTreeMap::new(),
            app_passwords: BTreeMap::new(),
            uuids: BTreeMap::new(),
        };
        for person in PEOPLE {
            world.add_person(person).await;
        }
        world.build().await;
        for person in PEOPLE {
            let made = world.mint(&world.password(person), "/api/user/app-passwords", CLASSIC).await;
            world.app_passwords.insert((*person).to_owned(), Login::Basic((*person).to_owned(), made));
        }
        world
    }

    async fn add_person(&mut self, name: &str) {
        let body = json!({ "username": name, "email": format!("{name}@example.com"), "password": PASSWORD });
        let made = self.server.administer("POST", "/api/users", &body).await;
        self.uuids.insert(name.to_owned(), made["uuid"].clone());
        let login = Login::Basic(name.to_owned(), Secret::new(PASSWORD.to_owned()));
        self.passwords.insert(name.to_owned(), login);
    }

    async fn build(&self) {
        let owner = self.password("owner");
        for workspace in ["acme", "other"] {
            let body = json!({ "slug": workspace, "name": workspace });
            let _ = self.server.send("POST", "/api/workspaces", &owner, &body).await.expect(201);
        }
        for (person, level) in [
            ("projectadmin", "member"),
            ("repoadmin", "member"),
            ("creator", "create-project"),
            ("writer", "member"),
            ("reader", "member"),
            ("member", "member"),
        ] {
            let path = format!("/api/workspaces/acme/members/{person}");
            let _ = self.server.send("PUT", &path, &owner, &json!({ "permission": level })).await.expect(200);
        }
        let owner = self.mint(&owner, "/api/user/app-passwords", CLASSIC).await;
        let owner = Login::Basic("owner".to_owned(), owner);
        for (workspace, slugs) in [("acme", &["one", "two"][..]), ("other", &["three"][..])] {
            let path = format!("/2.0/workspaces/{workspace}/projects");
            let body = json!({ "key": "CORE", "name": "Core", "is_private": true });
            let _ = self.server.send("POST", &path, &owner, &body).await.expect(201);
            for slug in slugs {
                let path = format!("/2.0/repositories/{workspace}/{slug}");
                let body = json!({ "scm": "git", "project": { "key": "CORE" }, "is_private": true });
                let answer = self.server.send("POST", &path, &owner, &body).await;
                assert!(answer.status.is_success(), "{}", answer.text);
            }
        }
        for (person, level) in [("repoadmin", "admin"), ("writer", "write"), ("reader", "read")] {
            let uuid = self.uuid(person);
            let path = format!("/2.0/repositories/acme/one/permissions-config/users/{uuid}");
            let _ = self.server.send("PUT", &path, &owner, &json!({ "permission": level })).await.expect(200);
        }
        let path = format!(
            "/2.0/workspaces/acme/projects/CORE/permissions-config/users/{}",
            self.uuid("projectadmin")
        );
        let _ = self.server.send("PUT", &path, &owner, &json!({ "permission": "admin" })).await.expect(200);
    }

    /// Makes a credential at `path` and gives its secret.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn mint(&self, login: &Login, path: &str, scopes: &[&str]) -> Secret {
        let made = self.mint_with(login, path, json!({ "name": "made by a test", "scopes": scopes })).await;
        Secret::new(made["token"].as_str().expect("the secret, this once").to_owned())
    }

    /// Makes a credential from a whole body and gives the answer.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn mint_with(&self, login: &Login, path: &str, body: Value) -> Value {
        self.server.send("POST", path, login, &body).await.expect(201)
    }

    /// Somebody's own password, which opens `/api` alone.
    #[must_use]
    pub fn password(&self, person: &str) -> Login {
        self.passwords.get(person).cloned().expect("somebody of this world")
    }

    /// Somebody's app password with every scope.
    #[must_use]
    pub fn app_password(&self, person: &str) -> Login {
        self.app_passwords.get(person).cloned().expect("somebody of this world")
    }

    /// Somebody's id in braces, encoded for a path.
    #[must_use]
    pub fn uuid(&self, person: &str) -> String {
        in_path(self.uuids.get(person).expect("somebody of this world"))
    }

    /// Somebody's git, with their app password.
    #[must_use]
    pub fn git(&self, person: &str) -> GitClient {
        GitClient::new().with_login(&self.server.url, &self.app_password(person))
    }

    /// Where a repository of `acme` is cloned from.
    #[must_use]
    pub fn address(&self, slug: &str) -> String {
        format!("{}/acme/{slug}.git", self.server.url)
    }
}
