//! What people come for, done as they do it: in a real browser, by what the pages show, with the real git beside it.
//! The journeys stand in `tests/journeys`; this starts the server they are made on, and wants to hear of each that it
//! got to its end.
//!
//! Would catch: a page that leads nowhere, a script that the pages' own policy stops, a secret that does not work when
//! pasted, a passkey or a code that does not sign in or signs in twice.

#![cfg(test)]

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use testkit::world::PASSWORD;
use testkit::{Login, Server, World};

/// Every journey that must be made.
const JOURNEYS: &[&str] = &[
    "a token is made, used and revoked",
    "a runner is registered by the shown command, and a run is watched",
    "a trust policy for a cloud is copied",
    "who is refused learns why",
    "an authenticator app is added and signs in",
    "a passkey is added, signs in and is removed",
    "whoever must have a second step is led to add one",
    "a guardrail is switched on with its effect in sight",
    "an audit event is found",
    "new events are followed as they happen",
    "settings fold under their heading on a phone",
    "a link sets a new password",
    "what was typed survives proving who one is",
];

/// What drives the browser: `cargo xtask test` says where, and puts it there first.
fn driver() -> PathBuf {
    let given = std::env::var_os("BASTIDE_NODE").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/screenshots-tools"))
    });
    assert!(
        folder.join("node_modules/puppeteer-core").is_dir(),
        "there is no puppeteer-core in `{}`: `cargo xtask test` installs it",
        folder.display()
    );
    folder
}

/// A workspace that asks its members for a second step, one of them without.
async fn ask_for_a_second_step(server: &Server) {
    let strict = json!({ "slug": "strict", "name": "Strict" });
    let _ = server.administer("POST", "/api/workspaces", &strict).await;
    let member = json!({ "permission": "member" });
    let _ = server.administer("PUT", "/api/workspaces/strict/members/member", &member).await;
    let path = "/api/workspaces/strict/guardrails";
    let read = server.send("GET", path, &server.administrator, &Value::Null).await;
    let Login::Basic(user, secret) = &server.administrator else { panic!("an API token") };
    let body = json!({ "second_step": { "mode": "on" }, "confirm_lockout": true });
    let set = server.client().put(format!("{}{path}", server.url)).basic_auth(user, Some(secret.expose()));
    let set = set.header("if-match", read.header("etag")).json(&body).send().await.expect("an answer");
    assert!(set.status().is_success(), "{}", set.text().await.unwrap_or_default());
}

#[tokio::test]
async fn people_get_where_they_want() {
    let world = World::on(Server::start_named()).await;
    let owner = world.app_password("owner");
    let Login::Basic(user, secret) = &owner else { panic!("an app password") };
    let git = world.git("owner");
    let copy = git.working_copy("one");
    let _ = git.run(&copy, ["push", &world.address("one"), "main"]).expect_success();

    let link = world.server.administer("POST", "/api/users/projectadmin/reset-link", &json!({})).await;
    ask_for_a_second_step(&world.server).await;

    let driver = driver();
    let ran = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/journeys/run.mjs"))
        .args(std::env::var("BASTIDE_JOURNEY").ok())
        .env("BASTIDE_NODE", driver)
        .env("BASTIDE_CHROMIUM", std::env::var("BASTIDE_CHROMIUM").unwrap_or("/usr/bin/chromium".to_owned()))
        .env("BASTIDE_SITE", world.server.named_url())
        .env("BASTIDE_PASSWORD", PASSWORD)
        .env("BASTIDE_PROGRAM", testkit::server::program())
        .env("BASTIDE_USER", user)
        .env("BASTIDE_SECRET", secret.expose())
        .env("BASTIDE_RESET_LINK", link["address"].as_str().expect("an address"))
        .env("BASTIDE_DATABASE", world.server.data().join("bastide.db"))
        .output()
        .expect("node runs: `cargo xtask test` installs it");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let complained = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}\n{complained}");
    for journey in JOURNEYS.iter().filter(|_| std::env::var_os("BASTIDE_JOURNEY").is_none()) {
        assert!(
            said.contains(&format!("done {journey}\n")),
            "`{journey}` was not made:\n{said}\n{complained}"
        );
    }
}
