//! `/2.0/workspaces/{workspace}/projects`.

use serde_json::json;

use crate::harness::{As, BASE, House};

const ANN: As = As::User("ann");
const BEN: As = As::User("ben");
const CLEO: As = As::User("cleo");
const PROJECTS: &str = "/2.0/workspaces/acme/projects";

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_made_changed_moved_and_deleted() {
    let house = House::open().await;
    let body = r#"{"key": "MARS", "name": "Mars", "description": "red", "links": {"avatar": {"href": "x"}}}"#;
    let made = house.send(ANN, "POST", PROJECTS, body).await;
    assert_eq!(made.header("location"), format!("{BASE}{PROJECTS}/MARS"));
    let made = made.is(201);
    assert_eq!(
        (&made["type"], &made["key"], &made["is_private"]),
        (&json!("project"), &json!("MARS"), &json!(true))
    );
    assert_eq!((&made["owner"]["type"], &made["workspace"]["slug"]), (&json!("team"), &json!("acme")));
    assert!(house.send(ANN, "POST", PROJECTS, body).await.fails(400).contains("key"));
    house.send(ANN, "POST", PROJECTS, r#"{"key": "X"}"#).await.fails(400);
    house.send(ANN, "POST", PROJECTS, r#"{"key": "x", "name": "lower case"}"#).await.fails(400);

    let moved = house.send(ANN, "PUT", &format!("{PROJECTS}/MARS"), r#"{"key": "ARES"}"#).await;
    assert_eq!(moved.header("location"), format!("{BASE}{PROJECTS}/ARES"));
    moved.is(200);
    // The former key leads on.
    assert_eq!(house.get(ANN, &format!("{PROJECTS}/MARS")).await.is(200)["key"], "ARES");
    let put = house.send(ANN, "PUT", &format!("{PROJECTS}/NEW"), r#"{"name": "New"}"#).await;
    assert_eq!((put.status, put.header("location")), (201, format!("{BASE}{PROJECTS}/NEW").as_str()));
    let listed = house.get(ANN, &format!("{PROJECTS}?sort=-key&q=name!%3D%22Mars%22")).await;
    assert_eq!(listed.names("key"), ["NEW", "CORE"]);

    house.send(ANN, "POST", "/2.0/repositories/acme/r", r#"{"project": {"key": "NEW"}}"#).await.is(200);
    house.delete(ANN, &format!("{PROJECTS}/NEW")).await.fails(403);
    house.delete(ANN, "/2.0/repositories/acme/r").await.is(204);
    house.delete(ANN, &format!("{PROJECTS}/ARES")).await.is(204);
    house.get(ANN, &format!("{PROJECTS}/ARES")).await.fails(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_hidden_from_those_without_a_grant() {
    let house = House::open().await;
    let body = r#"{"key": "HID", "name": "Hidden"}"#;
    house.send(ANN, "POST", PROJECTS, body).await.is(201);
    let core = format!("{PROJECTS}/HID");
    for who in [BEN, CLEO, As::Nobody] {
        house.get(who.clone(), &core).await.fails(404);
        let refused = house.send(who, "PUT", &core, r#"{"name": "Mine"}"#).await;
        assert!([401, 403, 404].contains(&refused.status), "{}", refused.text());
    }
    // What is public is seen by everybody, here as well.
    for who in [BEN, CLEO, As::Nobody] {
        assert_eq!(house.get(who, PROJECTS).await.names("key"), ["CORE"]);
    }
    // A repository in it is refused as one in a project that is not there.
    let (hidden, absent) = (r#"{"project": {"key": "HID"}}"#, r#"{"project": {"key": "NIL"}}"#);
    for who in [BEN, CLEO] {
        let one = house.send(who.clone(), "POST", "/2.0/repositories/acme/x", hidden).await;
        let other = house.send(who, "POST", "/2.0/repositories/acme/x", absent).await;
        assert_eq!(one.fails(one.status), other.fails(one.status));
    }
    house.send(BEN, "POST", PROJECTS, r#"{"key": "B", "name": "b"}"#).await.fails(403);
    house.send(CLEO, "POST", PROJECTS, r#"{"key": "B", "name": "b"}"#).await.fails(404);
}
