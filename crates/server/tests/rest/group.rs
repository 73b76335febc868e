//! `/1.0/groups` and `/1.0/group-privileges`: bare arrays, forms, no `type`.

use serde_json::json;

use crate::harness::{As, House};

const ANN: As = As::User("ann");
const BEN: As = As::User("ben");

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_made_by_a_form_and_lists_are_bare() {
    let house = House::open().await;
    house.send(ANN, "POST", "/1.0/groups/acme", r#"{"name": "x"}"#).await.fails(415);
    house.form(ANN, "POST", "/1.0/groups/acme", "nome=x").await.fails(400);
    let made = house.form(ANN, "POST", "/1.0/groups/acme", "name=Developers").await.is(200);
    assert_eq!((&made["slug"], &made["permission"]), (&json!("developers"), &json!(null)));
    assert!(made.get("type").is_none() && made["owner"]["is_team"] == true, "{made}");
    house.form(BEN, "POST", "/1.0/groups/acme", "name=Mine").await.fails(403);
    let body = r#"{"permission": "write", "auto_add": true}"#;
    let changed = house.send(ANN, "PUT", "/1.0/groups/acme/developers/", body).await.is(200);
    assert_eq!((&changed["permission"], &changed["auto_add"]), (&json!("write"), &json!(true)));
    let members = "/1.0/groups/acme/developers/members";
    let added = house.send(ANN, "PUT", &format!("{members}/ben@example.com"), "{}").await.is(200);
    assert_eq!(added["nickname"], "ben");
    house.request(ANN, ("PUT", &format!("{members}/ben@example.com")), &[], "").await.is(200);
    assert_eq!(house.get(ANN, members).await.is(200).as_array().unwrap().len(), 1);
    for path in ["/1.0/groups/acme", "/1.0/groups/acme/", "/1.0/groups?group=acme/developers&group=acme/none"]
    {
        let groups = house.get(BEN, path).await.is(200);
        assert_eq!(groups.as_array().unwrap().len(), 1, "{path}: {groups}");
        assert_eq!(groups[0]["members"][0]["nickname"], "ben");
    }
    assert_eq!(house.get(As::User("cleo"), "/1.0/groups?group=acme/developers").await.is(200), json!([]));
    house.get(As::User("cleo"), "/1.0/groups/acme").await.fails(404);

    // A new repository grants the group what it is set to.
    house.send(ANN, "POST", "/2.0/repositories/acme/one", "{}").await.is(200);
    house.get(BEN, "/2.0/repositories/acme/one").await.is(200);
    let privileges = house.get(ANN, "/1.0/group-privileges/acme/one").await.is(200);
    assert_eq!((&privileges[0]["privilege"], &privileges[0]["repo"]), (&json!("write"), &json!("acme/one")));
    let one = "/1.0/group-privileges/acme/one/acme/developers";
    let set = house.request(ANN, ("PUT", one), &[("content-type", "text/plain")], "read").await.is(200);
    assert_eq!(set[0]["privilege"], "read");
    house.delete(ANN, one).await.is(204);
    assert_eq!(house.get(ANN, one).await.is(200), json!([]));
    house.get(BEN, "/2.0/repositories/acme/one").await.fails(404);

    house.delete(ANN, &format!("{members}/ben@example.com")).await.is(204);
    house.delete(ANN, "/1.0/groups/acme/developers").await.is(204);
    house.get(ANN, "/1.0/groups/acme/developers").await.fails(404);
}
