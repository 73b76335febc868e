//! Many tokens in the hands of one administrator: every token of a workspace in one list, what should be looked at,
//! several revoked at once, and successors that overlap.

#![cfg(test)]

use model::Secret;
use serde_json::{Value, json};
use testkit::{Login, World, in_path};

const TOKENS: &str = "/api/workspaces/acme/tokens";

fn bearer(made: &Value) -> Login {
    Login::Bearer(Secret::new(made["token"].as_str().expect("the secret, this once").to_owned()))
}

async fn status(world: &World, login: &Login) -> u16 {
    world.server.send("GET", "/2.0/repositories/acme/one", login, &Value::Null).await.status.as_u16()
}

#[tokio::test]
async fn every_token_of_the_workspace_is_in_one_list() {
    let world = World::new().await;
    let owner = world.password("owner");
    let mint = async |login: &Login, place: &str, name: &str, scopes: &[&str]| {
        let path = format!("/api/{place}/access-tokens");
        world.mint_with(login, &path, json!({ "name": name, "scopes": scopes })).await
    };
    let one = mint(&world.password("repoadmin"), "repositories/acme/one", "deploy", &["repository"]).await;
    let two = mint(&owner, "workspaces/acme/projects/CORE", "nightly", &["repository", "project"]).await;
    let _ = mint(&owner, "workspaces/acme", "inventory", &["repository", "account"]).await;
    let _ = mint(&owner, "repositories/other/three", "elsewhere", &["repository"]).await;
    let list = async |query: &str| {
        let answer =
            world.server.send("GET", &format!("{TOKENS}{query}"), &owner, &Value::Null).await.expect(200);
        let named = |token: &Value| {
            (token["name"].as_str().unwrap().to_owned(), token["resource"].as_str().unwrap().to_owned())
        };
        let names: Vec<(String, String)> = answer["values"].as_array().unwrap().iter().map(named).collect();
        (names, answer)
    };
    let pair = |name: &str, resource: &str| (name.to_owned(), resource.to_owned());
    let (nightly, deploy) = (pair("nightly", "project:acme/CORE"), pair("deploy", "repository:acme/one"));
    let inventory = pair("inventory", "workspace:acme");
    assert_eq!(list("").await.0, [inventory.clone(), nightly.clone(), deploy.clone()]);
    assert_eq!(list("?sort=name").await.0, [deploy.clone(), inventory, nightly.clone()]);
    assert_eq!(list("?q=resource%20~%20%22repository:%22").await.0, std::slice::from_ref(&deploy));
    let (_, answer) = list("?q=name=%22deploy%22").await;
    let shown = &answer["values"][0];
    assert_eq!(
        (&shown["creator"], &shown["creator_is_here"]),
        (&json!("repoadmin"), &json!(true)),
        "{answer}"
    );
    assert_eq!(shown["advice"][0]["code"], "no-end", "{answer}");
    assert!(!answer.to_string().contains("bst_"), "no secret is in a list");

    // Whoever does not administer the workspace sees no such list.
    for (login, expected) in [(world.password("repoadmin"), 403), (bearer(&one), 403), (Login::Nobody, 401)] {
        let refused = world.server.send("GET", TOKENS, &login, &Value::Null).await;
        assert!([expected, 404].contains(&refused.status.as_u16()), "{}", refused.text);
    }

    // Who made one leaves: the token works on, and is pointed out.
    let gone =
        world.server.send("DELETE", "/api/workspaces/acme/members/repoadmin", &owner, &Value::Null).await;
    assert_eq!(gone.status, 204, "{}", gone.text);
    let (names, answer) = list("?q=creator_is_here=false").await;
    assert_eq!(names, [deploy]);
    assert_eq!(answer["values"][0]["advice"][1]["code"], "creator-gone", "{answer}");
    assert_eq!(status(&world, &bearer(&one)).await, 200);

    // Several go at once, each with a record of its own; a stranger's token is not among them.
    let body = json!({ "uuids": [one["uuid"], two["uuid"], "{00000000-0000-4000-8000-000000000000}"] });
    let path = format!("{TOKENS}/revoke");
    let refused = world.server.send("POST", &path, &world.password("writer"), &body).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    assert_eq!(status(&world, &bearer(&one)).await, 200);
    let revoked = world.server.send("POST", &path, &owner, &body).await.expect(200);
    assert_eq!(revoked["revoked"].as_array().unwrap().len(), 2, "{revoked}");
    assert_eq!((status(&world, &bearer(&one)).await, status(&world, &bearer(&two)).await), (401, 401));
    assert_eq!(list("").await.0.len(), 1);
    let events =
        world.server.administer("GET", "/api/audit/events?action=access-token.revoke", &Value::Null).await;
    let resources: Vec<&Value> =
        events["values"].as_array().unwrap().iter().map(|event| &event["resource"]).collect();
    assert!(resources.contains(&&json!("repository:acme/one")), "{events}");
    assert!(resources.contains(&&json!("project:acme/CORE")), "{events}");
    let none = world.server.send("POST", &path, &owner, &json!({ "uuids": [] })).await;
    assert_eq!(none.status, 400, "{}", none.text);
}

#[tokio::test]
async fn a_successor_overlaps_for_as_long_as_was_chosen() {
    let world = World::new().await;
    let (owner, place) = (world.password("owner"), "/api/repositories/acme/one/access-tokens");
    let first = world.mint_with(&owner, place, json!({ "name": "deploy", "scopes": ["repository"] })).await;
    let rotate = async |token: &Value, login: &Login, body: Value| {
        let path = format!("{place}/{}/rotate", in_path(&token["uuid"]));
        world.server.send("POST", &path, login, &body).await
    };
    let refused = rotate(&first, &world.password("writer"), json!({})).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    let long = rotate(&first, &owner, json!({ "overlap_seconds": 2_592_001 })).await;
    assert_eq!(long.status, 400, "{}", long.text);
    let second = rotate(&first, &owner, json!({ "overlap_seconds": 3600 })).await.expect(201);
    assert_eq!((&second["name"], &second["scopes"]), (&first["name"], &first["scopes"]));
    assert_ne!(second["email"], first["email"]);
    assert_eq!((status(&world, &bearer(&first)).await, status(&world, &bearer(&second)).await), (200, 200));
    // A client notices by a header that it was handed another.
    let told = async |token: &Value| {
        let answer =
            world.server.send("GET", "/2.0/repositories/acme/one", &bearer(token), &Value::Null).await;
        format!("{{{}}}", answer.header("x-token-id"))
    };
    assert_eq!(
        (json!(told(&first).await), json!(told(&second).await)),
        (first["uuid"].clone(), second["uuid"].clone())
    );
    let listed = world.server.send("GET", place, &owner, &Value::Null).await.expect(200);
    let old =
        listed["values"].as_array().unwrap().iter().find(|token| token["uuid"] == first["uuid"]).unwrap();
    assert!(old["expires_on"].is_string(), "the old one ends: {listed}");

    // Without an overlap the old one is gone at once, and cannot have a second successor.
    let third = rotate(&second, &owner, json!({})).await.expect(201);
    assert_eq!((status(&world, &bearer(&second)).await, status(&world, &bearer(&third)).await), (401, 200));
    assert_eq!(rotate(&second, &owner, json!({})).await.status, 404);
    // Each change is found as what it was: a making, and an end.
    for (action, number) in [("create", 3), ("revoke", 2)] {
        let path = format!("/api/audit/events?outcome=done&action=access-token.{action}");
        let events = world.server.administer("GET", &path, &Value::Null).await;
        assert_eq!(events["values"].as_array().unwrap().len(), number, "{action}: {events}");
    }
    let _ = world.server.command(&["audit", "verify"]).expect_success();
}
