//! Variables of pipelines, environments, deployments, build numbers and schedules, from outside.
//!
//! Would catch above all: a secured value that some answer, event, log or file on disk tells.

#![cfg(test)]

use std::path::Path;

use serde_json::{Value, json};
use testkit::{Login, Server, TestDatabase, World, in_path};

/// What must be found nowhere.
const SECRET: &str = "hush-27182818284590452353";
/// What answers tell, and no disk.
const PLAIN: &str = "plain-31415926535897932384";

const ONE: &str = "/2.0/repositories/acme/one";

fn variables(place: &str) -> String {
    match place {
        "workspace" => "/2.0/workspaces/acme/pipelines-config/variables".to_owned(),
        "repository" => format!("{ONE}/pipelines_config/variables"),
        id => format!("{ONE}/deployments_config/environments/{id}/variables"),
    }
}

async fn environments(world: &World, login: &Login) -> Vec<Value> {
    let listed =
        world.server.send("GET", &format!("{ONE}/environments"), login, &Value::Null).await.expect(200);
    listed["values"].as_array().unwrap().clone()
}

/// An id of an answer, as a path takes it.
fn id(of: &Value) -> String {
    in_path(&of["uuid"])
}

async fn status(world: &World, method: &str, path: &str, login: &Login, body: &Value) -> u16 {
    world.server.send(method, path, login, body).await.status.as_u16()
}

/// Every way in which a variable goes through one place.
async fn goes_through(world: &World, path: &str, admin: &Login, reads_one: bool) {
    let server = &world.server;
    let made =
        server.send("POST", path, admin, &json!({ "key": "TOKEN", "value": SECRET, "secured": true })).await;
    assert!(!made.header("location").is_empty());
    assert!(!made.text.contains(SECRET), "{}", made.text);
    let made = made.expect(201);
    assert_eq!((&made["type"], &made["key"]), (&json!("pipeline_variable"), &json!("TOKEN")), "{made}");
    assert_eq!((&made["secured"], made.get("value")), (&json!(true), None), "{made}");
    let plain = json!({ "key": "_place1", "value": PLAIN });
    let plain = server.send("POST", path, admin, &plain).await.expect(201);
    assert_eq!((&plain["secured"], &plain["value"]), (&json!(false), &json!(PLAIN)), "{plain}");

    for (body, wanted) in [
        (json!({ "key": "TOKEN", "value": "x" }), 409),
        (json!({ "key": "1A", "value": "x" }), 400),
        (json!({ "key": "A-B", "value": "x" }), 400),
        (json!({ "key": "A".repeat(256), "value": "x" }), 400),
        (json!({ "value": "x" }), 400),
        (json!({ "key": "A", "value": 5 }), 400),
        (json!({ "key": "A", "value": "x\u{0}y" }), 400),
        (json!({ "key": "A", "value": "x".repeat(32 * 1024 + 1) }), 400),
        (json!({ "key": "A", "secured": true }), 400),
        (json!({ "key": "A", "value": "x", "environments": [" !"] }), 400),
    ] {
        let answer = server.send("POST", path, admin, &body).await;
        assert_eq!(answer.status, wanted, "{body}: {}", answer.text);
    }
    let listed = server.send("GET", path, admin, &Value::Null).await;
    assert!(!listed.text.contains(SECRET), "{}", listed.text);
    let listed = listed.expect(200);
    let keys: Vec<&Value> = listed["values"].as_array().unwrap().iter().map(|one| &one["key"]).collect();
    assert_eq!(keys, ["TOKEN", "_place1"], "{listed}");

    let one = format!("{path}/{}", id(&made));
    // A secured value is not told by taking the mark away, and is not lost where a client sends back what it read.
    let opened = server.send("PUT", &one, admin, &json!({ "secured": false })).await;
    assert!(opened.status == 400 && !opened.text.contains(SECRET), "{}", opened.text);
    let opened = server.send("PUT", &one, admin, &json!({ "secured": false, "value": "" })).await;
    assert!(opened.status == 400 && !opened.text.contains(SECRET), "{}", opened.text);
    let kept = json!({ "key": "TOKEN2", "value": "", "secured": true });
    let kept = server.send("PUT", &one, admin, &kept).await.expect(200);
    assert_eq!((&kept["key"], kept.get("value")), (&json!("TOKEN2"), None), "{kept}");
    let clash = server.send("PUT", &one, admin, &json!({ "key": "_place1" })).await;
    assert_eq!(clash.status, 409, "{}", clash.text);
    if reads_one {
        let read = server.send("GET", &one, admin, &Value::Null).await.expect(200);
        assert_eq!(read, kept);
    }
    let other = format!("{path}/{}", id(&plain));
    let secured = server.send("PUT", &other, admin, &json!({ "secured": true })).await.expect(200);
    assert_eq!(secured.get("value"), None, "{secured}");
    let open =
        server.send("PUT", &other, admin, &json!({ "secured": false, "value": PLAIN })).await.expect(200);
    assert_eq!(open["value"], PLAIN);

    for bad in ["%7B00000000-0000-4000-8000-000000000000%7D", "nothing"] {
        assert_eq!(status(world, "DELETE", &format!("{path}/{bad}"), admin, &Value::Null).await, 404);
    }
    let gone = server.send("POST", path, admin, &json!({ "key": "GONE" })).await.expect(201);
    let gone = format!("{path}/{}", id(&gone));
    assert_eq!(status(world, "DELETE", &gone, admin, &Value::Null).await, 204);
    assert_eq!(status(world, "DELETE", &gone, admin, &Value::Null).await, 404);
}

async fn every_place(world: &World) {
    let (owner, admin) = (world.app_password("owner"), world.app_password("repoadmin"));
    let all = environments(world, &admin).await;
    goes_through(world, &variables("workspace"), &owner, true).await;
    goes_through(world, &variables("repository"), &admin, true).await;
    goes_through(world, &variables(&id(&all[2])), &admin, false).await;

    // What is told of it afterwards.
    let mut trail = String::new();
    for action in ["pipeline-variable.set", "pipeline-variable.remove"] {
        let path = format!("/api/audit/events?action={action}&pagelen=100");
        let events = world.server.send("GET", &path, &world.server.administrator, &Value::Null).await;
        assert_eq!(events.status, 200, "{}", events.text);
        assert!(events.json["values"].as_array().unwrap().len() >= 3, "{}", events.text);
        trail.push_str(&events.text);
    }
    assert!(trail.contains("TOKEN2") && trail.contains("value_changed"), "{trail}");
    assert!(!trail.contains(SECRET) && !trail.contains(PLAIN), "{trail}");
    let log = world.server.whole_log();
    assert!(!log.contains(SECRET) && !log.contains(PLAIN));
}

/// Every byte of a folder.
fn bytes(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(bytes(&path)),
            false => all.extend(std::fs::read(&path).unwrap_or_default()),
        }
    }
    all
}

fn holds(bytes: &[u8], text: &str) -> bool {
    // Text is searched faster than windows of bytes, and what is no text does not matter.
    String::from_utf8_lossy(bytes).contains(text)
}

#[tokio::test]
async fn a_value_lies_nowhere_in_the_open_on_sqlite() {
    let world = World::new().await;
    every_place(&world).await;
    let disk = bytes(world.server.data());
    assert!(holds(&disk, "TOKEN2"), "the database was looked at");
    assert!(!holds(&disk, SECRET) && !holds(&disk, PLAIN));
}

#[tokio::test]
async fn a_value_lies_nowhere_in_the_open_on_postgresql() {
    let Some(database) = TestDatabase::create() else { return };
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    let secret = database.password().map(|secret| secret.expose().to_owned()).unwrap_or_default();
    std::fs::write(&password, &secret).unwrap();
    let (data, url) = (folder.path().join("data"), database.url());
    let arguments = ["--database", url.as_str(), "--database-password-file", password.to_str().unwrap()];
    let world = World::on(Server::start_in(&data, &arguments)).await;
    every_place(&world).await;
    let dump = std::process::Command::new("pg_dump")
        .arg(&url)
        .env("PGPASSWORD", &secret)
        .output()
        .expect("pg_dump runs");
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    // Bytes stand in a dump as hexadecimal digits.
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert!(holds(&dump.stdout, "TOKEN2"), "the database was looked at");
    for value in [SECRET, PLAIN] {
        assert!(!holds(&dump.stdout, value) && !holds(&dump.stdout, &hex(value)));
    }
    assert!(!holds(&bytes(&data), SECRET));
}

/// Would catch: variables that anybody reads who may write, and a token whose scope is not asked.
#[tokio::test]
async fn only_administrators_see_and_change_variables() {
    let world = World::new().await;
    let (owner, admin) = (world.app_password("owner"), world.app_password("repoadmin"));
    let production = id(&environments(&world, &admin).await[2]);
    for (place, who) in
        [("workspace".to_owned(), &owner), ("repository".to_owned(), &admin), (production, &admin)]
    {
        let path = variables(&place);
        let body = json!({ "key": "TOKEN", "value": SECRET, "secured": true });
        let made = world.server.send("POST", &path, who, &body).await.expect(201);
        let one = format!("{path}/{}", id(&made));
        for person in ["writer", "reader", "member", "outsider"] {
            let login = world.app_password(person);
            for (method, path) in [("GET", &path), ("POST", &path), ("PUT", &one), ("DELETE", &one)] {
                let body = if method == "GET" || method == "DELETE" { Value::Null } else { body.clone() };
                let answer = world.server.send(method, path, &login, &body).await;
                let refused = matches!(answer.status.as_u16(), 403 | 404);
                assert!(
                    refused && !answer.text.contains("TOKEN"),
                    "{person}: {method} {path}: {}",
                    answer.text
                );
            }
        }
        // A repository's administrator is none of the workspace.
        if place == "workspace" {
            assert_eq!(status(&world, "GET", &path, &admin, &Value::Null).await, 403);
        }
        let mint = async |scopes: &[&str]| {
            let made = world.mint(&world.password("owner"), "/api/user/app-passwords", scopes).await;
            Login::Basic("owner".to_owned(), made)
        };
        let (reads, writes) = (mint(&["pipeline"]).await, mint(&["pipeline:variable"]).await);
        assert_eq!(status(&world, "GET", &path, &reads, &Value::Null).await, 200);
        assert_eq!(status(&world, "PUT", &one, &reads, &json!({ "value": "x" })).await, 403);
        assert_eq!(status(&world, "DELETE", &one, &reads, &Value::Null).await, 403);
        assert_eq!(status(&world, "PUT", &one, &writes, &json!({ "value": "x" })).await, 200);
        let other = mint(&["repository:admin"]).await;
        assert_eq!(status(&world, "GET", &path, &other, &Value::Null).await, 403);
    }
    // One place's variable is not reached through another.
    let made = json!({ "key": "MINE", "value": "x" });
    let made = world.server.send("POST", &variables("repository"), &admin, &made).await.expect(201);
    let two = format!("/2.0/repositories/acme/two/pipelines_config/variables/{}", id(&made));
    for method in ["GET", "DELETE"] {
        assert_eq!(status(&world, method, &two, &owner, &Value::Null).await, 404);
    }
    let elsewhere = "/2.0/repositories/acme/two/environments";
    let elsewhere = world.server.send("GET", elsewhere, &owner, &Value::Null).await.expect(200);
    let elsewhere = variables(&id(&elsewhere["values"][2]));
    assert_eq!(status(&world, "GET", &elsewhere, &admin, &Value::Null).await, 404);
    let retired = "/2.0/teams/acme/pipelines_config/variables";
    let told = world.server.send("GET", retired, &owner, &Value::Null).await;
    assert!(told.status == 410 && told.text.contains("pipelines-config/variables"), "{}", told.text);
}

#[tokio::test]
async fn variables_are_bound_to_protected_refs_and_environments() {
    let world = World::new().await;
    let admin = world.app_password("repoadmin");
    let path = variables("repository");
    let body = json!({
        "key": "DEPLOY", "value": "x", "secured": true, "protected_only": true,
        "environments": ["Production", "PRODUCTION", "Staging"],
    });
    let made = world.server.send("POST", &path, &admin, &body).await.expect(201);
    assert_eq!(
        (&made["protected_only"], &made["environments"]),
        (&json!(true), &json!(["Production", "Staging"]))
    );
    let one = format!("{path}/{}", id(&made));
    let freed = world.server.send("PUT", &one, &admin, &json!({ "environments": [] })).await.expect(200);
    assert_eq!((&freed["protected_only"], &freed["environments"]), (&json!(true), &json!([])));
    let within = variables(&id(&environments(&world, &admin).await[0]));
    for bound in [json!({ "protected_only": true }), json!({ "environments": ["Test"] })] {
        let mut body = json!({ "key": "A", "value": "x" });
        body.as_object_mut().unwrap().extend(bound.as_object().unwrap().clone());
        assert_eq!(status(&world, "POST", &within, &admin, &body).await, 400, "{body}");
    }
    // There is room for a hundred.
    for number in 1..100 {
        let body = json!({ "key": format!("V{number}"), "value": "x" });
        assert_eq!(status(&world, "POST", &path, &admin, &body).await, 201, "{number}");
    }
    assert_eq!(status(&world, "POST", &path, &admin, &json!({ "key": "MORE" })).await, 409);
}

#[tokio::test]
async fn environments_are_made_restricted_and_removed() {
    let world = World::new().await;
    let (admin, writer, reader) =
        (world.app_password("repoadmin"), world.app_password("writer"), world.app_password("reader"));
    let path = format!("{ONE}/environments");
    let first = environments(&world, &reader).await;
    let names: Vec<&Value> = first.iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["Test", "Staging", "Production"]);
    let shape = &first[2];
    assert_eq!(
        shape["environment_type"],
        json!({ "type": "deployment_environment_type", "name": "Production", "rank": 2 })
    );
    assert_eq!((&shape["slug"], &shape["lock"]["name"]), (&json!("production"), &json!("OPEN")), "{shape}");
    let new = json!({ "type": "deployment_environment", "name": "EU West", "environment_type": { "name": "Staging", "rank": 1 } });
    assert_eq!(status(&world, "POST", &path, &writer, &new).await, 403);
    let made = world.server.send("POST", &path, &admin, &new).await.expect(201);
    assert_eq!((&made["slug"], &made["category"]["name"]), (&json!("eu-west"), &json!("Staging")), "{made}");
    for (body, wanted) in [
        (json!({ "name": "eu west" }), 409),
        (json!({ "name": "EU-west" }), 409),
        (json!({ "name": "PRODUCTION" }), 409),
        (json!({ "name": "!" }), 400),
        (json!({}), 400),
        (json!({ "name": "x", "environment_type": { "name": "Prod" } }), 400),
        (json!({ "name": "x", "rank": -1 }), 400),
        (json!({ "name": "x", "restrictions": { "branch_restrictions": [{ "pattern": "a..b" }] } }), 400),
    ] {
        assert_eq!(status(&world, "POST", &path, &admin, &body).await, wanted, "{body}");
    }
    // The ids of the first three are what they were before anything was kept.
    let after = environments(&world, &reader).await;
    for (one, at) in first.iter().zip([0, 1, 3]) {
        assert_eq!(one["uuid"], after[at]["uuid"]);
    }

    let one = format!("{path}/{}", id(&made));
    let change = json!({ "change": {
        "restrictions": {
            "admin_only": true, "type": "deployment_restrictions_configuration",
            "branch_restrictions": [{ "pattern": "release/*" }, { "pattern": "main" }],
        },
        "environment_lock_enabled": false,
    } });
    let changes = format!("{one}/changes");
    assert_eq!(status(&world, "POST", &changes, &writer, &change).await, 403);
    assert_eq!(status(&world, "POST", &changes, &admin, &change).await, 202);
    let read = world.server.send("GET", &one, &reader, &Value::Null).await.expect(200);
    let restrictions = &read["restrictions"];
    let patterns: Vec<&Value> =
        restrictions["branch_restrictions"].as_array().unwrap().iter().map(|one| &one["pattern"]).collect();
    assert_eq!(
        (&restrictions["admin_only"], patterns),
        (&json!(true), vec![&json!("main"), &json!("release/*")]),
        "{read}"
    );
    assert_eq!(read["environment_lock_enabled"], false);
    assert_eq!(status(&world, "POST", &changes, &admin, &json!({ "name": "Production" })).await, 409);
    assert_eq!(
        status(&world, "POST", &changes, &admin, &json!({ "environment_type": { "name": "Test" } })).await,
        400
    );
    assert_eq!(status(&world, "POST", &changes, &admin, &json!({ "name": "EU", "hidden": true })).await, 202);
    let read = world.server.send("GET", &one, &reader, &Value::Null).await.expect(200);
    assert_eq!(
        (&read["name"], &read["hidden"], &read["restrictions"]["admin_only"]),
        (&json!("EU"), &json!(true), &json!(true))
    );
    let events = "/api/audit/events?action=environment.set&outcome=done&pagelen=100";
    let events = world.server.administer("GET", events, &Value::Null).await;
    assert_eq!(events["values"].as_array().unwrap().len(), 3, "{events}");

    // With it go its variables.
    let within = variables(&id(&made));
    let body = json!({ "key": "A", "value": "x" });
    assert_eq!(status(&world, "POST", &within, &admin, &body).await, 201);
    assert_eq!(status(&world, "DELETE", &one, &writer, &Value::Null).await, 403);
    assert_eq!(status(&world, "DELETE", &one, &admin, &Value::Null).await, 204);
    assert_eq!(status(&world, "GET", &one, &admin, &Value::Null).await, 404);
    assert_eq!(status(&world, "GET", &within, &admin, &Value::Null).await, 404);
    assert_eq!(status(&world, "POST", &within, &admin, &body).await, 404);
    // One of the first three does not come back.
    assert_eq!(
        status(&world, "DELETE", &format!("{path}/{}", id(&first[0])), &admin, &Value::Null).await,
        204
    );
    assert_eq!(environments(&world, &reader).await.len(), 2);

    let deployments = format!("{ONE}/deployments");
    let listed = world.server.send("GET", &deployments, &reader, &Value::Null).await.expect(200);
    assert_eq!((&listed["size"], &listed["values"]), (&json!(0), &json!([])), "{listed}");
    let filtered = format!("{deployments}?environment={}&sort=-state.started_on", id(&first[2]));
    assert_eq!(status(&world, "GET", &filtered, &reader, &Value::Null).await, 200);
    assert_eq!(status(&world, "GET", &format!("{deployments}?sort=name"), &reader, &Value::Null).await, 400);
}

#[tokio::test]
async fn pipelines_are_switched_and_build_numbers_raised() {
    let world = World::new().await;
    let (admin, writer) = (world.app_password("repoadmin"), world.app_password("writer"));
    let path = format!("{ONE}/pipelines_config");
    let read = world.server.send("GET", &path, &admin, &Value::Null).await.expect(200);
    assert_eq!(
        (&read["enabled"], &read["repository"]["full_name"]),
        (&json!(true), &json!("acme/one")),
        "{read}"
    );
    assert_eq!(status(&world, "GET", &path, &writer, &Value::Null).await, 403);
    assert_eq!(status(&world, "PUT", &path, &writer, &json!({ "enabled": false })).await, 403);
    assert_eq!(status(&world, "PUT", &path, &admin, &json!({})).await, 400);
    let off = world.server.send("PUT", &path, &admin, &json!({ "enabled": false })).await.expect(200);
    assert_eq!(off["enabled"], false);
    let number = format!("{path}/build_number");
    for (next, wanted) in
        [(json!(1000), 200), (json!(999), 400), (json!(1000), 200), (json!(0), 400), (json!("x"), 400)]
    {
        let answer = world.server.send("PUT", &number, &admin, &json!({ "next": next })).await;
        assert_eq!(answer.status, wanted, "{next}: {}", answer.text);
    }
    assert_eq!(status(&world, "PUT", &number, &writer, &json!({ "next": 2000 })).await, 403);
    let read = world.server.send("GET", &path, &admin, &Value::Null).await.expect(200);
    assert_eq!(read["enabled"], false);
}

#[tokio::test]
async fn schedules_are_made_changed_and_removed() {
    let world = World::new().await;
    let (writer, reader) = (world.app_password("writer"), world.app_password("reader"));
    let path = format!("{ONE}/pipelines_config/schedules");
    let new = |cron: &str| {
        json!({
            "type": "pipeline_schedule", "enabled": true, "cron_pattern": cron,
            "target": {
                "type": "pipeline_ref_target", "ref_type": "branch", "ref_name": "main",
                "selector": { "type": "custom", "pattern": "nightly" },
            },
        })
    };
    let noon = new("0 0 12 * * ? *");
    assert_eq!(status(&world, "POST", &path, &reader, &noon).await, 403);
    let made = world.server.send("POST", &path, &writer, &noon).await.expect(201);
    assert_eq!(made["target"]["selector"], json!({ "type": "custom", "pattern": "nightly" }), "{made}");
    assert_eq!(
        (&made["target"]["ref_name"], &made["cron_pattern"]),
        (&json!("main"), &json!("0 0 12 * * ? *"))
    );
    assert!(made["next_on"].as_str().unwrap().contains("T12:00:00"), "{made}");
    for bad in ["* * * * *", "0 0 12 * * ?", "0 0 12 * * ? 2020", "* 0 12 * * ? *", "0 0 99 * * ? *", ""] {
        let answer = world.server.send("POST", &path, &writer, &new(bad)).await;
        assert!(answer.status == 400 && answer.text.contains("cron_pattern"), "{bad}: {}", answer.text);
    }
    for (target, wanted) in [
        (json!({ "ref_type": "tag", "ref_name": "v1", "selector": { "type": "default" } }), 400),
        (json!({ "ref_type": "branch", "ref_name": "a..b", "selector": { "type": "default" } }), 400),
        (json!({ "ref_type": "branch", "ref_name": "main", "selector": { "type": "custom" } }), 400),
        (json!({ "ref_type": "branch", "ref_name": "main", "selector": { "type": "tags" } }), 400),
    ] {
        let body = json!({ "cron_pattern": "0 0 12 * * ? *", "target": target });
        assert_eq!(status(&world, "POST", &path, &writer, &body).await, wanted, "{body}");
    }
    let one = format!("{path}/{}", id(&made));
    assert_eq!(status(&world, "PUT", &one, &reader, &json!({ "enabled": false })).await, 403);
    let off = world.server.send("PUT", &one, &writer, &json!({ "enabled": false })).await.expect(200);
    assert_eq!((&off["enabled"], off.get("next_on")), (&json!(false), None), "{off}");
    let read = world.server.send("GET", &one, &reader, &Value::Null).await.expect(200);
    assert_eq!(read, off);
    let executions = format!("{one}/executions");
    let listed = world.server.send("GET", &executions, &reader, &Value::Null).await.expect(200);
    assert_eq!(listed["values"], json!([]));
    for _ in 1..10 {
        assert_eq!(status(&world, "POST", &path, &writer, &noon).await, 201);
    }
    // 401 would tell a client to sign in again.
    assert_eq!(status(&world, "POST", &path, &writer, &noon).await, 409);
    assert_eq!(status(&world, "DELETE", &one, &reader, &Value::Null).await, 403);
    assert_eq!(status(&world, "DELETE", &one, &writer, &Value::Null).await, 204);
    assert_eq!(status(&world, "GET", &executions, &reader, &Value::Null).await, 404);
    let listed = world.server.send("GET", &path, &reader, &Value::Null).await.expect(200);
    assert_eq!(listed["size"], 9);
}
