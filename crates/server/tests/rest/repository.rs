//! `/2.0/repositories/{workspace}` and `/2.0/repositories/{workspace}/{repo_slug}`.

use serde_json::json;
use service::{RepositoryPath, TokenPlace};

use crate::harness::{As, BASE, House};

const ANN: As = As::User("ann");
const BEN: As = As::User("ben");
const CLEO: As = As::User("cleo");
const ONE: &str = "/2.0/repositories/acme/one";

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_made_in_the_oldest_project() {
    let house = House::open().await;
    let made = house.request(ANN, ("POST", ONE), &[], "").await;
    assert_eq!(made.header("location"), format!("{BASE}{ONE}"));
    let made = made.is(200);
    assert_eq!((&made["type"], &made["full_name"]), (&json!("repository"), &json!("acme/one")));
    assert_eq!((&made["project"]["key"], &made["scm"]), (&json!("CORE"), &json!("git")));
    assert_eq!((&made["is_private"], &made["fork_policy"]), (&json!(true), &json!("no_public_forks")));
    assert_eq!(made["links"]["clone"][0], json!({"href": format!("{BASE}/acme/one.git"), "name": "https"}));
    assert_eq!(made["mainbranch"], json!({"type": "branch", "name": "main"}));
    assert_eq!(made["owner"]["username"], "acme");
    let uuid = made["uuid"].as_str().unwrap().replace('{', "%7B").replace('}', "%7D");
    for path in
        [ONE.to_owned(), format!("/2.0/repositories/%7B%7D/{uuid}"), format!("/2.0/repositories/acme/{uuid}")]
    {
        assert_eq!(house.get(ANN, &path).await.is(200)["slug"], "one");
    }
    let taken = house.send(ANN, "POST", ONE, "{}").await;
    taken.fails(400);
    assert!(taken.json()["error"]["fields"]["slug"].is_array(), "{}", taken.text());
    house.send(ANN, "POST", "/2.0/repositories/acme/hg", r#"{"scm": "hg"}"#).await.fails(400);
    house.send(ANN, "POST", "/2.0/repositories/acme/x", r#"{"project": {"key": "NONE"}}"#).await.fails(400);
    house.send(ANN, "POST", "/2.0/repositories/acme/x", r#"{"is_private": "yes"}"#).await.fails(400);
}

/// Would catch: a refusal that tells a stranger what exists.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_known_does_not_exist() {
    let house = House::open().await;
    house.send(ANN, "POST", ONE, "{}").await.is(200);
    let nowhere = "/2.0/repositories/acme/nowhere";
    for who in [BEN, CLEO, As::Nobody] {
        let (there, not) = (house.get(who.clone(), ONE).await, house.get(who.clone(), nowhere).await);
        assert_eq!(there.fails(404), not.fails(404));
        for path in ["/refs", "/commits", "/src/main/", "/permissions-config/users"] {
            house.get(who.clone(), &format!("{ONE}{path}")).await.fails(404);
        }
        house.delete(who.clone(), ONE).await.fails(404);
        house.get(who, "/2.0/repositories/nobodys").await.fails(404);
    }
    house.get(CLEO, "/2.0/repositories/acme").await.fails(404);
    house.send(CLEO, "POST", "/2.0/repositories/nowhere/mine", "{}").await.fails(404);
    // A member without the permission may know the workspace, and is told; by 400, as the contract has it.
    let ben = house.send(BEN, "POST", "/2.0/repositories/acme/mine", "{}").await;
    assert!(ben.fails(400).contains("create-repo"));
    house.send(ANN, "PUT", ONE, r#"{"is_private": false}"#).await.is(200);
    assert_eq!(house.get(As::Nobody, ONE).await.is(200)["is_private"], false);
    house.delete(CLEO, ONE).await.fails(403);
    house.delete(As::Nobody, ONE).await.fails(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn put_makes_changes_and_renames() {
    let house = House::open().await;
    let put = house.send(ANN, "PUT", ONE, r#"{"description": "first"}"#).await;
    assert_eq!((put.status, put.header("location")), (201, format!("{BASE}{ONE}").as_str()));
    let put = house.send(ANN, "PUT", ONE, r#"{"description": "second", "language": "rust"}"#).await;
    assert_eq!((put.is(200)["description"].as_str(), put.header("location")), (Some("second"), ""));
    let renamed = house.send(ANN, "PUT", ONE, r#"{"name": "Number Two"}"#).await;
    assert_eq!(renamed.header("location"), format!("{BASE}/2.0/repositories/acme/number-two"));
    assert_eq!(renamed.is(200)["slug"], "number-two");
    // The same name again moves nothing, and the former address leads on.
    let again =
        house.send(ANN, "PUT", "/2.0/repositories/acme/number-two", r#"{"name": "Number Two"}"#).await;
    assert_eq!((again.status, again.header("location")), (200, ""));
    assert_eq!(house.get(ANN, ONE).await.is(200)["slug"], "number-two");
    house.send(ANN, "PUT", ONE, r#"{"project": {"key": "NONE"}}"#).await.fails(404);
    house.send(ANN, "PUT", ONE, r#"{"mainbranch": {"name": "a..b"}}"#).await.fails(400);
    house.delete(ANN, "/2.0/repositories/acme/number-two").await.is(204);
    house.get(ANN, ONE).await.fails(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_sorted_paged_and_cut() {
    let house = House::open().await;
    for slug in ["a", "b", "c"] {
        let body = format!(r#"{{"description": "the {slug}", "is_private": {}}}"#, slug != "c");
        house.send(ANN, "POST", &format!("/2.0/repositories/acme/{slug}"), &body).await.is(200);
    }
    let list = "/2.0/repositories/acme";
    let first = house.get(ANN, &format!("{list}?pagelen=2&sort=-slug&q=name!%3D%22x%22")).await;
    assert_eq!(first.names("slug"), ["c", "b"]);
    let first = first.json();
    assert_eq!((&first["size"], &first["page"], &first["pagelen"]), (&json!(3), &json!(1), &json!(2)));
    assert!(first.get("previous").is_none());
    let next = first["next"].as_str().unwrap().strip_prefix(BASE).unwrap().to_owned();
    let second = house.get(ANN, &next).await;
    assert_eq!(second.names("slug"), ["a"]);
    assert!(second.json().get("next").is_none() && second.json()["previous"].is_string());
    let cut = house.get(ANN, &format!("{list}?fields=values.slug,size&pagelen=1")).await.is(200);
    assert_eq!(cut, json!({"values": [{"slug": "a"}], "size": 3}));
    let without = house.get(ANN, &format!("{list}?fields=-values.links")).await.is(200);
    assert!(without["values"][0].get("links").is_none() && without["values"][0]["slug"] == "a");
    assert_eq!(house.get(ANN, &format!("{list}?q=is_private%3Dfalse")).await.names("slug"), ["c"]);
    // A stranger sees what is public, and only that.
    assert_eq!(house.get(As::Nobody, list).await.names("slug"), ["c"]);
    assert_eq!(house.get(BEN, &format!("{list}?role=member")).await.is(200)["size"], 0);
    assert_eq!(house.get(ANN, &format!("{list}?role=admin")).await.is(200)["size"], 3);
    house.get(ANN, &format!("{list}?role=king")).await.fails(400);
    house.get(ANN, &format!("{list}?pagelen=101")).await.fails(400);
    house.get(ANN, "/2.0/repositories").await.fails(410);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repositorys_token_reaches_its_repository_alone() {
    let house = House::open().await;
    for slug in ["one", "two"] {
        let body = r#"{"is_private": false}"#;
        house.send(ANN, "POST", &format!("/2.0/repositories/acme/{slug}"), body).await.is(200);
    }
    let one = TokenPlace::Repository(RepositoryPath::parse("acme", "one").unwrap());
    let token = house.token(one, "repository repository:admin").await;
    house.get(token.clone(), ONE).await.is(200);
    house.get(token.clone(), "/2.0/repositories/acme/two").await.fails(404);
    assert_eq!(house.get(token.clone(), "/2.0/repositories/acme").await.names("slug"), ["one"]);
    house.send(token.clone(), "PUT", ONE, r#"{"description": "by a robot"}"#).await.is(200);
    house.get(token.clone(), &format!("{ONE}/permissions-config/users")).await.fails(403);
    house.delete(token, ONE).await.fails(403);
}
