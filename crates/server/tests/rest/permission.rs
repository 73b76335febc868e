//! `…/permissions-config/{users,groups}` of repositories and projects, and the lists of what everybody may do.

use serde_json::json;

use crate::harness::{As, BASE, House};

const ANN: As = As::User("ann");
const BEN: As = As::User("ben");
const ONE: &str = "/2.0/repositories/acme/one";

async fn account(house: &House, who: As) -> String {
    house.get(who, "/2.0/user").await.is(200)["account_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_grant_is_made_seen_and_taken_back() {
    let house = House::open().await;
    house.send(ANN, "POST", ONE, "{}").await.is(200);
    let ben = account(&house, BEN).await;
    let grant = format!("{ONE}/permissions-config/users/%7B{ben}%7D");
    let none = house.get(ANN, &grant).await.is(200);
    assert_eq!((&none["type"], &none["permission"]), (&json!("repository_user_permission"), &json!("none")));
    let set = house.send(ANN, "PUT", &grant, r#"{"permission": "write"}"#).await.is(200);
    assert_eq!((&set["permission"], &set["user"]["nickname"]), (&json!("write"), &json!("ben")));
    assert_eq!(set["links"]["self"]["href"], format!("{BASE}{grant}"));
    house.get(BEN, ONE).await.is(200);
    let list = house.get(ANN, &format!("{ONE}/permissions-config/users")).await;
    assert_eq!(list.names("permission"), ["write"]);
    house.get(BEN, &format!("{ONE}/permissions-config/users")).await.fails(403);
    for (body, status) in
        [(r#"{"permission": "king"}"#, 400), (r#"{"permission": "none"}"#, 400), ("{}", 400)]
    {
        house.send(ANN, "PUT", &grant, body).await.fails(status);
    }
    let cleo = account(&house, As::User("cleo")).await;
    let outside = format!("{ONE}/permissions-config/users/{cleo}");
    house.send(ANN, "PUT", &outside, r#"{"permission": "read"}"#).await.fails(400);

    let mine = house.get(BEN, "/2.0/user/workspaces/acme/permissions/repositories").await;
    assert_eq!(mine.names("permission"), ["write"]);
    assert_eq!(mine.json()["values"][0]["type"], "repository_permission");
    let admins = "/2.0/workspaces/acme/permissions/repositories?q=permission%3E%22write%22";
    assert_eq!(house.get(ANN, admins).await.names("user.nickname"), ["ann"]);
    let of_one = "/2.0/workspaces/acme/permissions/repositories/one?sort=user.nickname";
    assert_eq!(house.get(ANN, of_one).await.names("permission"), ["admin", "write"]);
    house.get(BEN, of_one).await.fails(403);
    house.get(BEN, "/2.0/workspaces/acme/permissions/repositories").await.fails(403);

    house.delete(ANN, &grant).await.is(204);
    house.get(BEN, ONE).await.fails(404);
    assert_eq!(house.get(BEN, "/2.0/user/workspaces/acme/permissions/repositories").await.is(200)["size"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_grant_on_a_project_opens_its_repositories() {
    let house = House::open().await;
    house.send(ANN, "POST", ONE, "{}").await.is(200);
    house.form(ANN, "POST", "/1.0/groups/acme", "name=The+Devs").await.is(200);
    let ben = account(&house, BEN).await;
    house.send(ANN, "PUT", &format!("/1.0/groups/acme/the-devs/members/{ben}"), "{}").await.is(200);
    let grant = "/2.0/workspaces/acme/projects/CORE/permissions-config/groups/the-devs";
    let set = house.send(ANN, "PUT", grant, r#"{"permission": "create-repo"}"#).await.is(200);
    assert_eq!(
        (&set["type"], &set["group"]["slug"]),
        (&json!("project_group_permission"), &json!("the-devs"))
    );
    assert_eq!(
        (&set["group"]["full_slug"], &set["project"]["key"]),
        (&json!("acme:the-devs"), &json!("CORE"))
    );
    house.get(BEN, ONE).await.is(200);
    house.send(BEN, "POST", "/2.0/repositories/acme/bens", "{}").await.is(200);
    let groups = "/2.0/workspaces/acme/projects/CORE/permissions-config/groups";
    assert_eq!(house.get(ANN, groups).await.names("group.name"), ["The Devs"]);
    house.delete(ANN, grant).await.is(204);
    assert_eq!(house.get(ANN, grant).await.is(200)["permission"], "none");
    house.get(BEN, ONE).await.fails(404);
}
