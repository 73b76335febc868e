//! The main job, from outside, on both databases: a team hands a machine a token that reaches one repository and nothing
//! else, and pushes and clones with the ordinary git.

#![cfg(test)]

use model::Secret;
use serde_json::{Value, json};
use testkit::{GitClient, Login, Server, TestDatabase, World, in_path};

fn token_of(made: &Value) -> Secret {
    Secret::new(made["token"].as_str().expect("the secret, this once").to_owned())
}

fn git(world: &World, secret: &Secret) -> GitClient {
    GitClient::new().with_credential(&world.server.url, "x-token-auth", secret)
}

fn address(world: &World, path: &str) -> String {
    format!("{}/{path}.git", world.server.url)
}

const ONE: &str = "/api/repositories/acme/one/access-tokens";

async fn mint(world: &World, person: &str, scopes: &[&str]) -> (Secret, String) {
    let body = json!({ "name": "machine", "scopes": scopes });
    let made = world.mint_with(&world.password(person), ONE, body).await;
    (token_of(&made), in_path(&made["uuid"]))
}

/// Makes the group `devs`, as the tools of a team do.
async fn make_devs(world: &World, workspace: &str, login: &Login) {
    let Login::Basic(user, secret) = login else { panic!("a password or a token") };
    let request = world.server.client().post(format!("{}/1.0/groups/{workspace}", world.server.url));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body("name=devs");
    let made = request.basic_auth(user, Some(secret.expose())).send().await.expect("an answer");
    assert!(made.status().is_success(), "{workspace}: {}", made.status());
}

/// What every team does on its first day.
async fn first_day(world: &World) {
    let (token, uuid) = mint(world, "repoadmin", &["repository:write"]).await;
    let machine = git(world, &token);
    let copy = machine.working_copy("one");
    let _ = machine.run(&copy, ["push", &address(world, "acme/one"), "main"]).expect_success();
    // Above a megabyte git asks with an empty request first, then sends the pack in chunks.
    let _ = machine.commit_noise(&copy, "noise", 3_200_000);
    let _ = machine.run(&copy, ["push", &address(world, "acme/one"), "main"]).expect_success();
    // What was pushed to says so at once, also to whoever has just looked.
    let bearer = Login::Bearer(token.clone());
    let updated = async || {
        let shown = world.server.send("GET", "/2.0/repositories/acme/one", &bearer, &Value::Null).await;
        shown.expect(200)["updated_on"].clone()
    };
    let before = updated().await;
    assert_eq!(updated().await, before);
    let _ =
        machine.run(&copy, ["push", &address(world, "acme/one"), "main:refs/heads/second"]).expect_success();
    assert_ne!(updated().await, before);
    let clone = machine.run(machine.home(), ["clone", &address(world, "acme/one"), "again"]);
    let _ = clone.expect_success();

    // The same token is nothing to the neighbour, in the same project or another workspace.
    for neighbour in ["acme/two", "other/three", "acme/none"] {
        let refused = machine.run(&copy, ["push", &address(world, neighbour), "main"]);
        let said = refused.expect_failure().to_owned();
        let again = machine.run(&copy, ["ls-remote", &address(world, neighbour)]);
        let _ = again.expect_failure();
        assert!(!said.contains("refused: "), "what is hidden is not explained: {said}");
    }
    let shown =
        world.server.send("GET", "/2.0/repositories/acme/one", &bearer, &Value::Null).await.expect(200);
    assert_eq!(shown["full_name"], "acme/one");
    let hidden = world.server.send("GET", "/2.0/repositories/acme/two", &bearer, &Value::Null).await;
    let absent = world.server.send("GET", "/2.0/repositories/acme/none", &bearer, &Value::Null).await;
    assert_eq!((hidden.status, absent.status), (404.try_into().unwrap(), 404.try_into().unwrap()));
    assert_eq!(hidden.json["error"]["message"], absent.json["error"]["message"]);

    // The owner of the neighbour looks up who tried, and why it was refused.
    let events =
        world.server.administer("GET", "/api/audit/events?outcome=refused&pagelen=100", &Value::Null).await;
    let tried = events["values"].as_array().expect("values").iter().any(|event| {
        event["resource"] == "repository:acme/two"
            && event["actor"].as_str().is_some_and(|who| who.starts_with("access-token:"))
    });
    assert!(tried, "the refusal is in the trail: {events}");

    // Who made it goes; the token stays. It is revoked; it is gone with the next request.
    let gone =
        world.server.send("DELETE", "/api/users/repoadmin", &world.server.administrator, &Value::Null).await;
    assert_eq!(gone.status, 204, "{}", gone.text);
    let _ =
        machine.run(&copy, ["push", &address(world, "acme/one"), "main:refs/heads/later"]).expect_success();
    let revoked =
        world.server.send("DELETE", &format!("{ONE}/{uuid}"), &world.password("owner"), &Value::Null).await;
    assert_eq!(revoked.status, 204, "{}", revoked.text);
    let _ = machine.run(&copy, ["ls-remote", &address(world, "acme/one")]).expect_failure();
    let after = world.server.send("GET", "/2.0/repositories/acme/one", &bearer, &Value::Null).await;
    assert_eq!(after.status, 401);

    let _ = world.server.command(&["audit", "verify"]).expect_success();
}

#[tokio::test]
async fn the_first_day_on_sqlite() {
    first_day(&World::new().await).await;
}

#[tokio::test]
async fn the_first_day_on_postgresql() {
    let Some(database) = TestDatabase::create() else { return };
    let folder = tempfile::tempdir().expect("a temporary directory");
    let password = folder.path().join("password");
    let text = database.password().map(|secret| secret.expose().to_owned()).unwrap_or_default();
    std::fs::write(&password, text).expect("the password is written");
    let data = folder.path().join("data");
    let url = database.url();
    let arguments =
        ["--database", url.as_str(), "--database-password-file", password.to_str().expect("a path")];
    let world = World::on(Server::start_in(&data, &arguments)).await;
    first_day(&world).await;
}

/// A token dies with its resource and does not return with it, nor when it leaves for another workspace.
#[tokio::test]
async fn a_token_dies_with_its_repository_and_stays_dead() {
    let world = World::new().await;
    let owner = world.app_password("owner");
    let alive = async |token: &Secret, path: &str| {
        let answer = world.server.send("GET", path, &Login::Bearer(token.clone()), &Value::Null).await;
        answer.status.as_u16()
    };
    let (token, _) = mint(&world, "owner", &["repository"]).await;
    assert_eq!(alive(&token, "/2.0/repositories/acme/one").await, 200);
    let deleted = world.server.send("DELETE", "/2.0/repositories/acme/one", &owner, &Value::Null).await;
    assert_eq!(deleted.status, 204, "{}", deleted.text);
    assert_eq!(alive(&token, "/2.0/repositories/acme/one").await, 401);
    let restored = world
        .server
        .send("POST", "/api/repositories/acme/one/restore", &world.password("owner"), &Value::Null)
        .await;
    assert_eq!(restored.status, 200, "{}", restored.text);
    assert_eq!(alive(&token, "/2.0/repositories/acme/one").await, 401);

    let (token, _) = mint(&world, "owner", &["repository"]).await;
    let body = json!({ "workspace": "other", "project": "CORE" });
    let moved = world
        .server
        .send("POST", "/api/repositories/acme/one/transfer", &world.password("owner"), &body)
        .await;
    assert_eq!(moved.status, 200, "{}", moved.text);
    assert_eq!(alive(&token, "/2.0/repositories/other/one").await, 401);
    let old = world.server.send("GET", "/2.0/repositories/acme/one", &owner, &Value::Null).await.expect(200);
    assert_eq!(old["full_name"], "other/one", "the old name leads to the new place");
}

/// A user-bound credential never exceeds what its user may do at that moment.
#[tokio::test]
async fn a_user_bound_credential_follows_its_user() {
    let world = World::new().await;
    let writer = world.app_password("writer");
    let uuid = world.uuid("writer");
    let status = async |login: &Login| {
        world.server.send("GET", "/2.0/repositories/acme/one", login, &Value::Null).await.status.as_u16()
    };
    assert_eq!(status(&writer).await, 200);
    let path = format!("/2.0/repositories/acme/one/permissions-config/users/{uuid}");
    let taken = world.server.send("DELETE", &path, &world.app_password("owner"), &Value::Null).await;
    assert_eq!(taken.status, 204, "{}", taken.text);
    assert_eq!(status(&writer).await, 404);
    // A change that is bound to what its client has seen is refused when somebody was faster.
    let administrator = &world.server.administrator;
    let read = world.server.send("GET", "/api/users/reader", administrator, &Value::Null).await;
    let renamed = json!({ "display_name": "Reader" });
    let _ = world.server.send("PUT", "/api/users/reader", administrator, &renamed).await.expect(200);
    let Login::Basic(user, secret) = administrator else { panic!("an API token") };
    let late = world
        .server
        .client()
        .put(format!("{}/api/users/reader", world.server.url))
        .basic_auth(user, Some(secret.expose()))
        .header("if-match", read.header("etag"))
        .json(&json!({ "active": false }))
        .send()
        .await
        .expect("an answer");
    assert_eq!(late.status(), 412);
    assert_eq!(status(&world.app_password("reader")).await, 200);
    let body = json!({ "active": false });
    let _ = world.server.send("PUT", "/api/users/reader", administrator, &body).await.expect(200);
    assert_eq!(status(&world.app_password("reader")).await, 401);
}

/// Who is in a group holds what the group holds on the whole workspace, and no longer than they are in it.
#[tokio::test]
async fn a_group_holds_a_level_on_the_whole_workspace() {
    let world = World::new().await;
    let send = async |method: &str, path: &str, login: &Login, body: &Value| {
        world.server.send(method, path, login, body).await
    };
    let (owner, tool) = (world.password("owner"), world.app_password("owner"));
    make_devs(&world, "acme", &tool).await;
    let join = format!("/1.0/groups/acme/devs/members/{}", world.uuid("member"));
    let _ = send("PUT", &join, &tool, &json!({})).await.expect(200);
    let reaches = async || {
        send("GET", "/2.0/repositories/acme/two", &world.app_password("member"), &Value::Null).await.status
    };
    assert_eq!(reaches().await, 404);

    let groups = "/api/workspaces/acme/member-groups";
    let devs = format!("{groups}/devs");
    let level = |level: &str| json!({ "permission": level });
    let odd = send("PUT", &devs, &owner, &level("admin")).await;
    assert_eq!(odd.status, 400, "{}", odd.text);
    let absent = send("PUT", &format!("{groups}/none"), &owner, &level("owner")).await;
    assert_eq!(absent.status, 404, "{}", absent.text);
    let refused = send("PUT", &devs, &world.password("member"), &level("owner")).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    let _ = send("PUT", &devs, &owner, &level("owner")).await.expect(200);
    assert_eq!(reaches().await, 200);
    let listed = send("GET", groups, &owner, &Value::Null).await.expect(200);
    assert_eq!(listed["values"], json!([{ "slug": "devs", "name": "devs", "permission": "owner" }]));
    let why = "/api/access/explain?principal=user:member&action=repository.read&resource=repository:acme/two";
    let why = send("GET", why, &owner, &Value::Null).await.expect(200);
    assert_eq!(why["path"][1], "group devs has owner on workspace acme.", "{why}");

    let left = send("DELETE", &join, &tool, &Value::Null).await;
    assert!(left.status.is_success(), "{}", left.text);
    assert_eq!(reaches().await, 404);
    let _ = send("PUT", &join, &tool, &json!({})).await.expect(200);
    assert_eq!(reaches().await, 200);
    let taken = send("DELETE", &devs, &owner, &Value::Null).await;
    assert_eq!(taken.status, 204, "{}", taken.text);
    assert_eq!(reaches().await, 404);
    assert_eq!(send("DELETE", &devs, &owner, &Value::Null).await.status, 404);
}

/// Exact answers to "why?", over REST and on the command line.
#[tokio::test]
async fn questions_of_access_have_exact_answers() {
    let world = World::new().await;
    let flat = ["access:read"];
    let secret = world.mint(&world.password("owner"), "/api/user/api-tokens", &flat).await;
    let owner = Login::Basic("owner@example.com".to_owned(), secret);
    let explain = async |principal: &str, action: &str| {
        let path =
            format!("/api/access/explain?principal={principal}&action={action}&resource=repository:acme/one");
        world.server.send("GET", &path, &owner, &Value::Null).await.expect(200)
    };
    let answer = explain("user:writer", "repository.write").await;
    assert_eq!(answer["decision"], "allow");
    assert_eq!(answer["reasons"][0]["policy"], "repository-writers-write");
    assert!(!answer["path"].as_array().expect("a path").is_empty());
    for (principal, action) in [
        ("user:reader", "repository.write"),
        ("user:outsider", "repository.read"),
        ("user:root", "repository.read"),
        ("anonymous", "repository.read"),
    ] {
        let answer = explain(principal, action).await;
        assert_eq!(answer["decision"], "refuse", "{principal} {action}");
        assert!(!answer["reasons"][0]["text"].as_str().expect("a sentence").is_empty());
    }
    let path = "/api/access/who-can?action=repository.write&resource=repository:acme/one&pagelen=100";
    let able = world.server.send("GET", path, &owner, &Value::Null).await.expect(200);
    let able: Vec<&str> = able["values"]
        .as_array()
        .expect("values")
        .iter()
        .filter_map(|one| one["principal"].as_str())
        .collect();
    assert_eq!(able, ["user:owner", "user:projectadmin", "user:repoadmin", "user:writer"]);
    let told = world.server.command(&[
        "access",
        "explain",
        "--principal",
        "user:writer",
        "--action",
        "repository.write",
        "--resource",
        "repository:acme/one",
    ]);
    assert!(told.expect_success().contains("repository-writers-write"), "{told}");
    // Whoever does not administer the repository asks in vain.
    let secret = world.mint(&world.password("reader"), "/api/user/api-tokens", &flat).await;
    let reader = Login::Basic("reader@example.com".to_owned(), secret);
    let refused = world.server.send("GET", path, &reader, &Value::Null).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
}

/// Attack: the administrator of one workspace asks about groups of another, to learn which there are and who is in them.
#[tokio::test]
async fn a_question_opens_no_other_workspaces_groups() {
    let world = World::new().await;
    let body = json!({ "slug": "foreign", "name": "Foreign" });
    world.server.administer("POST", "/api/workspaces", &body).await;
    let makers = [("acme", world.app_password("owner")), ("foreign", world.server.administrator.clone())];
    for (workspace, login) in makers {
        make_devs(&world, workspace, &login).await;
    }
    let secret = world.mint(&world.password("owner"), "/api/user/api-tokens", &["access:read"]).await;
    let owner = Login::Basic("owner@example.com".to_owned(), secret);
    let resource = "repository:acme/one";
    let ask = async |group: &str| {
        let query = format!("principal=group:{group}&action=repository.read&resource={resource}");
        world.server.send("GET", &format!("/api/access/explain?{query}"), &owner, &Value::Null).await
    };
    let _ = ask("acme/devs").await.expect(200);
    let told = |answer: testkit::Answer| {
        let message = answer.json["error"]["message"].as_str().unwrap_or_default().to_owned();
        (answer.status.as_u16(), message)
    };
    let foreign = told(ask("foreign/devs").await);
    assert_eq!(foreign.0, 404);
    for absent in ["foreign/none", "nowhere/devs", "acme/none"] {
        assert_eq!(told(ask(absent).await), foreign, "{absent}");
    }
    // The command line asks about a resource too, and so opens no more.
    let ask = |group: &str| {
        let principal = format!("group:{group}");
        let question = ["--principal", &principal, "--action", "repository.read", "--resource", resource];
        world.server.command(&[&["access", "explain"][..], &question[..]].concat())
    };
    let _ = ask("acme/devs").expect_success();
    let foreign = ask("foreign/devs");
    assert!(!foreign.expect_failure().contains("devs"), "{foreign}");
    assert_eq!(ask("foreign/none"), foreign);
    assert_eq!(ask("nowhere/devs"), foreign);
}
