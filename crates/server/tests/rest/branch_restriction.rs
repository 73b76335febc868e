//! `…/branch-restrictions`.

use serde_json::json;

use crate::harness::{As, BASE, House};

const ANN: As = As::User("ann");
const BEN: As = As::User("ben");
const ONE: &str = "/2.0/repositories/acme/one";
const LIST: &str = "/2.0/repositories/acme/one/branch-restrictions";

#[tokio::test(flavor = "multi_thread")]
async fn a_restriction_is_made_seen_changed_and_removed() {
    let house = House::open().await;
    house.send(ANN, "POST", ONE, "{}").await.is(200);
    house.form(ANN, "POST", "/1.0/groups/acme", "name=The+Devs").await.is(200);
    let ben = house.get(BEN, "/2.0/user").await.is(200)["uuid"].clone();
    let body = json!({
        "type": "branchrestriction", "kind": "push", "branch_match_kind": "glob", "pattern": "release/*", "value": null,
        "users": [{ "uuid": ben }, { "username": "ben" }], "groups": [{ "slug": "the-devs" }],
    });
    let made = house.send(ANN, "POST", LIST, &body.to_string()).await.is(201);
    let one = format!("{LIST}/{}", made["id"]);
    assert!(made["id"].is_u64(), "{made}");
    assert_eq!(made["links"], json!({ "self": { "href": format!("{BASE}{one}") } }));
    let facts = ["type", "kind", "branch_match_kind", "pattern", "value"].map(|name| &made[name]);
    let expected = ["branchrestriction", "push", "glob", "release/*"].map(|text| json!(text));
    assert_eq!(facts[..4], expected.each_ref());
    assert!(facts[4].is_null() && made.get("branch_type").is_none(), "{made}");
    let users = made["users"].as_array().unwrap();
    assert_eq!((users.len(), &users[0]["type"], &users[0]["nickname"]), (1, &json!("user"), &json!("ben")));
    assert_eq!(
        (&made["groups"][0]["type"], &made["groups"][0]["full_slug"]),
        (&json!("group"), &json!("acme:the-devs"))
    );
    assert_eq!(house.get(ANN, &one).await.is(200), made);

    // What is absent stays; what is sent as it was read changes nothing.
    let changed = house.send(ANN, "PUT", &one, r#"{"groups": []}"#).await.is(200);
    assert_eq!((changed["groups"].clone(), &changed["users"]), (json!([]), &made["users"]));
    assert_eq!(house.send(ANN, "PUT", &one, &changed.to_string()).await.is(200), changed);
    let body = r#"{"branch_match_kind": "branching_model", "branch_type": "release", "pattern": ""}"#;
    let by_type = house.send(ANN, "PUT", &one, body).await.is(200);
    assert_eq!((&by_type["pattern"], &by_type["branch_type"]), (&json!(""), &json!("release")));
    house.delete(ANN, &one).await.is(204);
    house.get(ANN, &one).await.fails(404);
    house.delete(ANN, &one).await.fails(404);
    house.get(ANN, &format!("{LIST}/x")).await.fails(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_paged_and_filtered() {
    let house = House::open().await;
    house.send(ANN, "POST", ONE, "{}").await.is(200);
    for (kind, pattern) in [("force", "main"), ("delete", "main"), ("delete", "release/*")] {
        let body = json!({ "kind": kind, "pattern": pattern });
        house.send(ANN, "POST", LIST, &body.to_string()).await.is(201);
    }
    let names = async |query: &str| house.get(ANN, &format!("{LIST}{query}")).await.names("pattern");
    assert_eq!(names("").await, ["main", "main", "release/*"]);
    assert_eq!(names("?kind=delete").await, ["main", "release/*"]);
    assert_eq!(names("?kind=delete&pattern=main").await, ["main"]);
    assert_eq!(names("?pattern=release/*").await, ["release/*"]);
    assert!(names("?kind=require_approvals_to_merge").await.is_empty());
    house.get(ANN, &format!("{LIST}?kind=nonsense")).await.fails(400);
    let page = house.get(ANN, &format!("{LIST}?pagelen=2")).await;
    let page = page.is(200);
    assert_eq!((&page["size"], &page["page"], &page["pagelen"]), (&json!(3), &json!(1), &json!(2)));
    assert_eq!(page["next"], format!("{BASE}{LIST}?pagelen=2&page=2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_meant_is_refused_by_the_name_of_its_field() {
    let house = House::open().await;
    house.send(ANN, "POST", ONE, "{}").await.is(200);
    for (body, field) in [
        (json!({ "pattern": "main" }), "kind"),
        (json!({ "kind": "nonsense", "pattern": "main" }), "kind"),
        (json!({ "kind": "require_approvals_to_merge", "pattern": "main", "value": 1 }), "kind"),
        (json!({ "kind": "force" }), "pattern"),
        (json!({ "kind": "force", "pattern": "a b" }), "pattern"),
        (json!({ "kind": "force", "pattern": "refs/heads/ma?n" }), "pattern"),
        (json!({ "kind": "force", "branch_match_kind": "regex", "pattern": "main" }), "branch_match_kind"),
        (
            json!({ "kind": "force", "branch_match_kind": "branching_model", "branch_type": "trunk" }),
            "branch_type",
        ),
        (json!({ "kind": "force", "branch_match_kind": "branching_model" }), "branch_type"),
        (json!({ "kind": "force", "pattern": "main", "branch_type": "release" }), "branch_type"),
        (json!({ "kind": "force", "pattern": "main", "users": [{ "username": "ben" }] }), "users"),
        (json!({ "kind": "push", "pattern": "main", "users": [{ "username": "nobody" }] }), "users"),
        (json!({ "kind": "push", "pattern": "main", "users": [{}] }), "users"),
        (json!({ "kind": "push", "pattern": "main", "groups": [{ "slug": "none" }] }), "groups"),
    ] {
        let answer = house.send(ANN, "POST", LIST, &body.to_string()).await;
        answer.fails(400);
        let error = answer.json();
        assert!(error["error"]["fields"].get(field).is_some(), "{body}: {error}");
    }
    let body = r#"{"kind": "force", "pattern": "main"}"#;
    house.send(ANN, "POST", LIST, body).await.is(201);
    house.send(ANN, "POST", LIST, body).await.fails(409);
    assert_eq!(house.get(ANN, LIST).await.is(200)["size"], 1);
    // Who cannot administer the repository learns nothing of it.
    house.get(BEN, LIST).await.fails(404);
    house.send(BEN, "POST", LIST, body).await.fails(404);
}
