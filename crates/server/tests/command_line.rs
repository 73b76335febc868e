//! The program itself: the first administrator, one program for one data directory, the server's life.

#![cfg(test)]

use std::path::Path;
use std::process::Command;

use model::Secret;
use serde_json::{Value, json};
use testkit::server::program;
use testkit::{Login, Server, Transcript, bastide};

fn init(data: &Path) -> Value {
    let data = data.to_str().unwrap();
    let who = ["--username", "ann", "--email", "ann@example.com", "--json"];
    let made = bastide(&[&["admin", "init", "--data", data][..], &who[..]].concat());
    serde_json::from_str(made.expect_success()).unwrap()
}

/// A server on what [`init`] has made.
fn serve(data: &Path, made: &Value) -> Server {
    let token = Secret::new(made["api_token"].as_str().unwrap().to_owned());
    Server::open(data, Vec::new(), Login::Basic("ann@example.com".to_owned(), token))
}

#[test]
fn the_first_administrator_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let made = init(&data);
    assert_eq!((made["username"].as_str(), made["email"].as_str()), (Some("ann"), Some("ann@example.com")));
    assert!(made["api_token"].as_str().unwrap().parse::<model::Token>().is_ok());
    let again = ["admin", "init", "--data", data.to_str().unwrap(), "--username", "ben", "--email", "b@b.c"];
    for served in [false, true] {
        let server = served.then(|| serve(&data, &made));
        let refused = bastide(&again);
        assert!(refused.expect_failure().contains("there is an administrator already"), "{refused}");
        drop(server);
    }
}

#[tokio::test]
async fn the_first_token_opens_the_interface_and_the_operators_rows_open_to_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let made = init(folder.path());
    let server = serve(folder.path(), &made);
    let ann = server.administrator.clone();
    let shown = server.send("GET", "/api/users/ann", &ann, &Value::Null).await.expect(200);
    assert_eq!(shown["staff_role"], "administrator");
    for path in ["/api/operator/health", "/api/operator/verification"] {
        let _ = server.send("GET", path, &ann, &Value::Null).await.expect(403);
        let _ = server.send("GET", path, &Login::Nobody, &Value::Null).await.expect(401);
    }
    let body = json!({ "username": "eve", "email": "eve@example.com" });
    let _ = server.send("POST", "/api/operator/init", &ann, &body).await.expect(403);
    let _ = server.send("POST", "/api/users", &ann, &body).await.expect(201);
    // Bound to what was seen, a change meets one that came between.
    let Login::Basic(user, secret) = &ann else { panic!("an API token") };
    for (tag, status) in [("\"0000\"", 412), ("*", 200)] {
        let request = server.client().put(format!("{}/api/users/eve", server.url)).header("if-match", tag);
        let request = request.basic_auth(user, Some(secret.expose())).json(&json!({ "active": false }));
        assert_eq!(request.send().await.unwrap().status(), status, "{tag}");
    }
}

#[test]
fn one_data_directory_has_one_program() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = serve(&data, &init(&data));
    let second = bastide(&["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    assert!(second.expect_failure().contains("is in use by another bastide"), "{second}");
    // Commands go through the server instead.
    let doctor = server.command(&["doctor"]);
    assert!(doctor.expect_success().contains("through the running server"), "{doctor}");
    let added = server.command(&["admin", "user", "add", "--username", "ben", "--email", "b@b.c"]);
    let _ = added.expect_success();
    let listed = server.command(&["admin", "user", "list"]);
    assert!(listed.expect_success().contains("ben"), "{listed}");
    let question = ["--principal", "user:ben", "--action", "user.list", "--resource", "instance", "--json"];
    let explained = server.command(&[&["access", "explain"][..], &question[..]].concat());
    let told: Value = serde_json::from_str(explained.expect_success()).unwrap();
    assert_eq!(told["decision"], "refuse");
}

#[test]
fn a_signal_ends_the_server_gently() {
    let mut server = Server::start();
    assert_eq!(server.stop(), Some(0));
    assert!(!server.data().join("run/operator.sock").exists());
}

#[test]
fn a_password_on_the_command_line_is_refused() {
    let refused =
        bastide(&["doctor", "--data", "/nonexistent", "--database", "postgres://ann:secret@127.0.0.1/db"]);
    let said = refused.expect_failure();
    assert!(said.contains("BASTIDE_DATABASE_PASSWORD") && !said.contains("secret"), "{said}");
}

/// The whole story with the real git, and nothing left behind.
#[test]
fn the_demonstration_tells_its_story_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let told =
        Command::new(program()).args(["demo", "--once"]).env("TMPDIR", folder.path()).output().unwrap();
    let told = Transcript::from(told);
    let text = told.expect_success();
    for line in ["main -> main", "the repository does not exist", "Authentication failed", "intact"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains('\u{1b}'), "colour is for terminals");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
