//! `/2.0/user`, `/2.0/users`, `/2.0/user/workspaces`, `/2.0/workspaces` and what is below.

use serde_json::json;
use service::TokenPlace;

use crate::harness::{As, BASE, House};

const ANN: As = As::User("ann");
const BEN: As = As::User("ben");
const CLEO: As = As::User("cleo");

#[tokio::test(flavor = "multi_thread")]
async fn one_sees_oneself_in_full_and_others_in_part() {
    let house = House::open().await;
    let me = house.get(ANN, "/2.0/user").await.is(200);
    assert_eq!(
        (&me["type"], &me["nickname"], &me["username"]),
        (&json!("user"), &json!("ann"), &json!("ann"))
    );
    assert_eq!(me["created_on"], "2023-11-14T22:13:20.000000+00:00");
    let (uuid, id) = (me["uuid"].as_str().unwrap(), me["account_id"].as_str().unwrap());
    assert_eq!(uuid, format!("{{{id}}}"));
    for name in [uuid.replace('{', "%7B").replace('}', "%7D"), id.to_owned()] {
        let seen = house.get(CLEO, &format!("/2.0/users/{name}")).await.is(200);
        assert_eq!(seen["display_name"], "ann");
        assert!(seen.get("username").is_none() && seen.get("has_2fa_enabled").is_none(), "{seen}");
    }
    house.get(As::Nobody, "/2.0/user").await.fails(401);
    house.get(As::Nobody, &format!("/2.0/users/{id}")).await.fails(401);
    house.get(ANN, "/2.0/users/00000000-0000-4000-8000-000000000000").await.fails(404);
    let emails = house.get(ANN, "/2.0/user/emails").await;
    assert_eq!(emails.names("email"), ["ann@example.com"]);
    house.get(ANN, "/2.0/user/emails/ANN@example.com").await.is(200);
    house.get(ANN, "/2.0/user/emails/ben@example.com").await.fails(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_is_missing_is_named() {
    let house = House::open().await;
    let narrow = house.narrowed("ann", "repository").await;
    let answer = house.get(narrow, "/2.0/user").await;
    answer.fails(403);
    let detail = &answer.json()["error"]["detail"];
    assert_eq!(detail, &json!({"granted": ["repository"], "required": ["account"]}));
    assert_eq!(answer.header("x-oauth-scopes"), "repository");
    assert_eq!(answer.header("x-accepted-oauth-scopes"), "account");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_is_an_app_user() {
    let house = House::open().await;
    let token = house.token(TokenPlace::Workspace("acme".to_owned()), "account repository").await;
    let me = house.get(token.clone(), "/2.0/user").await.is(200);
    assert_eq!((&me["type"], &me["kind"]), (&json!("app_user"), &json!("workspace_access_token")));
    assert!(me.get("nickname").is_none());
    // The listing of one's own workspaces is for people.
    house.get(token, "/2.0/user/workspaces").await.fails(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn workspaces_are_seen_by_those_who_belong_to_them() {
    let house = House::open().await;
    let mine = house.get(ANN, "/2.0/user/workspaces").await.is(200);
    assert_eq!((&mine["size"], &mine["page"], &mine["pagelen"]), (&json!(1), &json!(1), &json!(10)));
    let access = &mine["values"][0];
    assert_eq!((&access["type"], &access["administrator"]), (&json!("workspace_access"), &json!(true)));
    assert_eq!(access["workspace"]["type"], "workspace_base");
    assert_eq!(access["workspace"]["links"]["self"]["href"], format!("{BASE}/2.0/workspaces/acme"));
    assert_eq!(house.get(BEN, "/2.0/user/workspaces?administrator=true").await.is(200)["size"], 0);
    assert_eq!(
        house.get(BEN, "/2.0/workspaces?q=slug~%22ac%22&sort=-name").await.names("name"),
        ["Acme Inc"]
    );
    assert_eq!(house.get(BEN, "/2.0/workspaces?role=owner").await.is(200)["size"], 0);
    let acme = house.get(BEN, "/2.0/workspaces/acme").await.is(200);
    assert_eq!((&acme["type"], &acme["is_private"]), (&json!("workspace"), &json!(true)));
    let by_id = acme["uuid"].as_str().unwrap().replace('{', "%7B").replace('}', "%7D");
    assert_eq!(house.get(BEN, &format!("/2.0/workspaces/{by_id}")).await.is(200)["slug"], "acme");
    // To a stranger it looks as if there were none.
    let hidden = house.get(CLEO, "/2.0/workspaces/acme").await.fails(404);
    assert_eq!(hidden, house.get(CLEO, "/2.0/workspaces/nowhere").await.fails(404));
    let own = house.get(BEN, "/2.0/user/workspaces/acme/permission").await.is(200);
    assert_eq!((&own["type"], &own["permission"]), (&json!("workspace_membership"), &json!("member")));
    house.get(CLEO, "/2.0/user/workspaces/acme/permission").await.fails(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_listed_and_addresses_told_to_owners_who_name_them() {
    let house = House::open().await;
    let members = house.get(BEN, "/2.0/workspaces/acme/members").await;
    assert_eq!(members.names("user.nickname"), ["ann", "ben"]);
    assert!(members.json()["values"][0].get("permission").is_none());
    let levels = house.get(BEN, "/2.0/workspaces/acme/permissions?q=permission%3E%22member%22").await;
    assert_eq!(levels.names("permission"), ["owner"]);
    let ben = house.get(BEN, "/2.0/user").await.is(200)["account_id"].as_str().unwrap().to_owned();
    let one = house.get(ANN, &format!("/2.0/workspaces/acme/members/{ben}")).await.is(200);
    assert_eq!(one["user"]["nickname"], "ben");
    house.get(ANN, "/2.0/workspaces/acme/members/cleo").await.fails(404);

    let by_email = "/2.0/workspaces/acme/members?q=user.email%20IN%20(%22BEN@example.com%22,%22x@y.z%22)";
    let found = house.get(ANN, &format!("{by_email}&fields=%2Bvalues.user.email")).await;
    assert_eq!(found.names("user.email"), ["ben@example.com"]);
    assert_eq!(found.json()["values"][0]["user"]["nickname"], "ben");
    house.get(BEN, by_email).await.fails(403);
    house.get(BEN, "/2.0/workspaces/acme/members?sort=user.email").await.fails(403);
    let sorted = house.get(BEN, "/2.0/workspaces/acme/members?sort=-user.nickname").await;
    assert_eq!(sorted.names("user.nickname"), ["ben", "ann"]);
    let token = house.token(TokenPlace::Workspace("acme".to_owned()), "account").await;
    assert_eq!(house.get(token, by_email).await.is(200)["size"], 1);
    // Without naming an address nobody is told one.
    let all = house.get(ANN, "/2.0/workspaces/acme/members?fields=%2Bvalues.user.email").await;
    assert!(!all.text().contains("example.com"));
    let many: Vec<String> = (0..91).map(|n| format!("%22a{n}@b.c%22")).collect();
    let many = format!("/2.0/workspaces/acme/members?q=user.email%20IN%20({})", many.join(","));
    assert!(house.get(ANN, &many).await.fails(400).contains("90"));
}
