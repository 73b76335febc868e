//! Alerts, from outside: each pattern is told once, to those whom it concerns, and none floods.
//!
//! Would catch: something that stands out and is not told; the same thing told twice in a day; another workspace's alert;
//! who may not acknowledge one; an alert without its event.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails where it cannot go on, and says so"
)]

use std::time::Duration;

use model::Secret;
use serde_json::{Value, json};
use testkit::{Login, MailServer, Server, World};

const ALERTS: &str = "/api/workspaces/acme/alerts";

async fn alerts(world: &World, login: &Login, path: &str) -> Vec<Value> {
    let page = format!("{path}?pagelen=100");
    let found = world.server.send("GET", &page, login, &Value::Null).await.expect(200);
    found["values"].as_array().unwrap().clone()
}

fn of<'a>(found: &'a [Value], pattern: &str) -> Vec<&'a Value> {
    found.iter().filter(|alert| alert["pattern"] == pattern).collect()
}

/// Waits for as many alerts of a pattern; generous, since nothing is asserted on time.
async fn until(world: &World, login: &Login, path: &str, pattern: &str, count: usize) -> Vec<Value> {
    for _ in 0..300 {
        let found = alerts(world, login, path).await;
        if of(&found, pattern).len() >= count {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    panic!("never: {count} of {pattern}: {:?}", alerts(world, login, path).await);
}

async fn world(flags: &[&str]) -> World {
    World::on(Server::start_with(flags)).await
}

/// A token for the repository `one`, so that its label is known.
async fn token(world: &World) -> (Login, String) {
    let body = json!({ "name": "made by a test", "scopes": ["repository"] });
    let path = "/api/repositories/acme/one/access-tokens";
    let made = world.mint_with(&world.password("owner"), path, body).await;
    let secret = Secret::new(made["token"].as_str().unwrap().to_owned());
    (Login::Bearer(secret), made["uuid"].as_str().unwrap().to_owned())
}

async fn refused(world: &World, login: &Login, times: usize) {
    for _ in 0..times {
        let answer = world.server.send("DELETE", "/2.0/repositories/acme/one", login, &Value::Null).await;
        assert_eq!(answer.status, 403, "{}", answer.text);
    }
}

/// Attack: a stolen credential is tried on everything; its owner must hear of it, once.
#[tokio::test]
async fn many_refusals_of_a_credential_are_told_once_and_mailed() {
    let mail = MailServer::start();
    let url = mail.url();
    let world = world(&["--smtp-url", &url, "--smtp-from", "bastide@example.com"]).await;
    let owner = world.password("owner");
    let (first, uuid) = token(&world).await;
    let (few, spared) = token(&world).await;
    refused(&world, &few, 20).await;
    refused(&world, &first, 60).await;
    let found = until(&world, &owner, ALERTS, "many-refusals", 1).await;
    let alert = of(&found, "many-refusals")[0].clone();
    assert!(alert["subject"].as_str().unwrap().ends_with(&uuid), "{alert}");
    assert!(!format!("{found:?}").contains(&spared), "20 are not many");

    // More of the same, and what comes later, to see that a round has passed.
    refused(&world, &first, 60).await;
    let (later, _) = token(&world).await;
    refused(&world, &later, 60).await;
    let found = until(&world, &owner, ALERTS, "many-refusals", 2).await;
    assert_eq!(found.len(), 2, "{found:?}");
    let events = "/api/workspaces/acme/audit/events?resource=alert:many-refusals";
    let events = world.server.administer("GET", events, &Value::Null).await;
    assert_eq!(events["values"].as_array().unwrap().len(), 2, "{events}");
    let told = |messages: &[String]| {
        let about = |message: &&String| message.contains("many requests were refused");
        messages.iter().filter(about).cloned().collect::<Vec<_>>()
    };
    let mut waited = 0;
    while told(&mail.messages()).len() < 2 && waited < 200 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        waited += 1;
    }
    let messages = told(&mail.messages());
    assert_eq!(messages.len(), 2, "{messages:#?}");
    assert!(messages.iter().all(|one| one.contains("owner@example.com")), "{messages:#?}");

    // Who looks at it, and who may not.
    let one = format!("{ALERTS}/{}/acknowledgement", alert["uuid"].as_str().unwrap());
    for stranger in ["member", "outsider"] {
        let stranger = world.password(stranger);
        for (method, path) in [("GET", ALERTS), ("PUT", one.as_str())] {
            let answer = world.server.send(method, path, &stranger, &Value::Null).await;
            assert!([403, 404].contains(&answer.status.as_u16()), "{}", answer.text);
        }
    }
    let elsewhere = one.replace("/acme/", "/other/");
    assert_eq!(world.server.send("PUT", &elsewhere, &owner, &Value::Null).await.status, 404);
    for _ in 0..2 {
        let seen = world.server.send("PUT", &one, &owner, &Value::Null).await.expect(200);
        assert_eq!(seen["acknowledged_by"], "user:owner");
    }
    assert!(alerts(&world, &owner, "/api/workspaces/other/alerts").await.is_empty());
}

/// Attack: a stolen token is used from somewhere else, or to take everything along.
#[tokio::test]
async fn an_unseen_network_and_a_mass_read_are_told_once() {
    let world = world(&["--proxy", "127.0.0.1/32"]).await;
    let owner = world.password("owner");
    let (token, uuid) = token(&world).await;
    let from = |address: &'static str| {
        let Login::Bearer(secret) = &token else { panic!("a bearer") };
        let url = format!("{}/2.0/repositories/acme/one", world.server.url);
        let request = world.server.client().get(url).bearer_auth(secret.expose());
        async move { request.header("x-forwarded-for", address).send().await.unwrap().status() }
    };
    for address in ["203.0.113.7", "203.0.113.9"] {
        assert_eq!(from(address).await, 200);
    }
    let app = world.app_password("owner");
    for number in 0..55 {
        let path = format!("/2.0/repositories/acme/r{number}");
        let body = json!({ "scm": "git", "project": { "key": "CORE" }, "is_private": true });
        let made = world.server.send("POST", &path, &app, &body).await;
        assert!(made.status.is_success(), "{}", made.text);
    }
    let reader = world.app_password("projectadmin");
    for number in 0..55 {
        let path = format!("/2.0/repositories/acme/r{number}");
        let _ = world.server.send("GET", &path, &reader, &Value::Null).await.expect(200);
    }
    let found = until(&world, &owner, ALERTS, "mass-read", 1).await;
    assert_eq!(of(&found, "mass-read")[0]["subject"], "user:projectadmin");
    assert!(of(&found, "unseen-network").is_empty(), "one network is none too many: {found:?}");
    for address in ["198.51.100.1", "198.51.100.2", "192.0.2.1"] {
        assert_eq!(from(address).await, 200);
    }
    let found = until(&world, &owner, ALERTS, "unseen-network", 1).await;
    let alert = of(&found, "unseen-network")[0];
    assert!(alert["subject"].as_str().unwrap().ends_with(&uuid), "{alert}");
    assert!(alert["message"].as_str().unwrap().contains("198.51.100.0/24"), "{alert}");

    // Another network on the same day, and what comes later, to see that a round has passed.
    assert_eq!(from("100.64.0.1").await, 200);
    let body = json!({ "permission": "owner" });
    let path = "/api/workspaces/acme/members/creator";
    tokio::time::sleep(Duration::from_secs(12)).await;
    let _ = world.server.send("PUT", path, &owner, &body).await.expect(200);
    let _ = until(&world, &owner, ALERTS, "administrator-made", 1).await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    let found = alerts(&world, &owner, ALERTS).await;
    assert_eq!(found.len(), 3, "{found:?}");
}

/// Attack: somebody makes themselves an accomplice, or switches off what is in their way.
#[tokio::test]
async fn an_administrator_made_and_a_guardrail_loosened_are_told_once() {
    let world = world(&[]).await;
    let owner = world.password("owner");
    let path = "/api/workspaces/acme/guardrails";
    let set = |mode: &'static str| {
        let (world, owner) = (&world, &owner);
        async move {
            let seen = world.server.send("GET", path, owner, &Value::Null).await;
            let Login::Basic(user, secret) = owner else { panic!("a password") };
            let url = format!("{}{path}", world.server.url);
            let request = world.server.client().put(url).basic_auth(user, Some(secret.expose()));
            let body = json!({ "private_only": { "mode": mode } });
            let request = request.header("if-match", seen.header("etag")).json(&body);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        }
    };
    for mode in ["on", "report", "on", "off"] {
        set(mode).await;
    }
    for level in ["owner", "member", "owner"] {
        let body = json!({ "permission": level });
        let member = "/api/workspaces/acme/members/member";
        let _ = world.server.send("PUT", member, &owner, &body).await.expect(200);
    }
    let found = until(&world, &owner, ALERTS, "administrator-made", 1).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(of(&found, "administrator-made")[0]["subject"], "user:member");
    assert_eq!(of(&found, "guardrail-loosened")[0]["subject"], "private-only");

    let administrator = world.server.administrator.clone();
    let body = json!({ "username": "eve", "email": "eve@example.com" });
    let _ = world.server.administer("POST", "/api/users", &body).await;
    let seen = world.server.send("GET", "/api/users/eve", &administrator, &Value::Null).await;
    let Login::Basic(user, secret) = &administrator else { panic!("an API token") };
    let url = format!("{}/api/users/eve", world.server.url);
    let request = world.server.client().put(url).basic_auth(user, Some(secret.expose()));
    let request = request.header("if-match", seen.header("etag"));
    let answer = request.json(&json!({ "staff_role": "administrator" })).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    let found = until(&world, &administrator, "/api/alerts", "administrator-made", 1).await;
    assert_eq!(found.len(), 1, "the first administrator is none: {found:?}");
    assert_eq!(found[0]["subject"], "user:eve");
    assert_eq!(alerts(&world, &owner, ALERTS).await.len(), 2, "the instance's is not the workspace's");
}
