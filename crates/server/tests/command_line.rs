//! The program itself: the first administrator, one program for one data directory, the server's life.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test says so when it fails")]

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use support::{BASTIDE, bastide, stderr, stdout};

fn init(data: &Path) -> Value {
    let data = data.to_str().unwrap();
    let made = bastide(&[
        "admin",
        "init",
        "--data",
        data,
        "--username",
        "ann",
        "--email",
        "ann@example.com",
        "--json",
    ]);
    assert!(made.status.success(), "{}", stderr(&made));
    serde_json::from_slice(&made.stdout).unwrap()
}

/// A server, killed when the test ends.
struct Serving {
    child: Child,
    url: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(data: &Path) -> Serving {
    let mut child = Command::new(BASTIDE)
        .args(["serve", "--listen", "127.0.0.1:0", "--json", "--data"])
        .arg(data)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    Serving { child, url: told["listening"].as_str().unwrap().to_owned() }
}

fn curl(arguments: &[&str]) -> (u16, String) {
    let mut all = vec!["-sS", "--max-time", "30", "-w", "\n%{http_code}"];
    all.extend(arguments);
    let told = stdout(&Command::new("curl").args(all).output().unwrap());
    let (body, status) = told.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
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
        let server = served.then(|| serve(&data));
        let refused = bastide(&again);
        assert!(!refused.status.success());
        assert!(stderr(&refused).contains("there is an administrator already"), "{}", stderr(&refused));
        drop(server);
    }
}

#[test]
fn the_first_token_opens_the_interface_and_the_operators_rows_open_to_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let made = init(folder.path());
    let server = serve(folder.path());
    let user = format!("ann@example.com:{}", made["api_token"].as_str().unwrap());
    let at = |path: &str| format!("{}{path}", server.url);
    let (status, body) = curl(&["-u", &user, &at("/api/users/ann")]);
    assert_eq!(status, 200, "{body}");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["staff_role"], "administrator");
    for path in ["/api/operator/health", "/api/operator/verification"] {
        assert_eq!(curl(&["-u", &user, &at(path)]).0, 403, "{path}");
        assert_eq!(curl(&[&at(path)]).0, 401, "{path}");
    }
    let body = r#"{"username": "eve", "email": "eve@example.com"}"#;
    let json = "Content-Type: application/json";
    assert_eq!(curl(&["-u", &user, "-H", json, "-d", body, &at("/api/operator/init")]).0, 403);
    let (status, _) = curl(&["-u", &user, "-H", json, "-d", body, &at("/api/users")]);
    assert_eq!(status, 201);
    // Bound to what was seen, a change meets one that came between.
    let change = |tag: &str, body: &str| {
        let tag = format!("If-Match: {tag}");
        curl(&["-u", &user, "-X", "PUT", "-H", json, "-H", &tag, "-d", body, &at("/api/users/eve")]).0
    };
    assert_eq!(change("\"0000\"", r#"{"active": false}"#), 412);
    assert_eq!(change("*", r#"{"active": false}"#), 200);
}

#[test]
fn one_data_directory_has_one_program() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data);
    let server = serve(&data);
    let data = data.to_str().unwrap();
    let second = bastide(&["serve", "--listen", "127.0.0.1:0", "--data", data]);
    assert!(!second.status.success());
    assert!(stderr(&second).contains("is in use by another bastide"), "{}", stderr(&second));
    // Commands go through the server instead.
    let doctor = bastide(&["doctor", "--data", data]);
    assert!(doctor.status.success(), "{}", stdout(&doctor));
    assert!(stdout(&doctor).contains("through the running server"), "{}", stdout(&doctor));
    let added = bastide(&["admin", "user", "add", "--data", data, "--username", "ben", "--email", "b@b.c"]);
    assert!(added.status.success(), "{}", stderr(&added));
    let listed = bastide(&["admin", "user", "list", "--data", data]);
    assert!(stdout(&listed).contains("ben"), "{}", stdout(&listed));
    let explained = bastide(&[
        "access",
        "explain",
        "--data",
        data,
        "--principal",
        "user:ben",
        "--action",
        "user.list",
        "--resource",
        "instance",
        "--json",
    ]);
    let told: Value = serde_json::from_slice(&explained.stdout).unwrap();
    assert_eq!(told["decision"], "refuse");
    drop(server);
}

#[test]
fn a_signal_ends_the_server_gently() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path());
    let mut server = serve(folder.path());
    let id = server.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!(!folder.path().join("run/operator.sock").exists());
}

#[test]
fn a_password_on_the_command_line_is_refused() {
    let refused =
        bastide(&["doctor", "--data", "/nonexistent", "--database", "postgres://ann:secret@127.0.0.1/db"]);
    assert!(!refused.status.success());
    assert!(stderr(&refused).contains("BASTIDE_DATABASE_PASSWORD"), "{}", stderr(&refused));
    assert!(!stderr(&refused).contains("secret"), "{}", stderr(&refused));
}

/// The whole story with the real git, and nothing left behind.
#[test]
fn the_demonstration_tells_its_story_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let told = Command::new(BASTIDE).args(["demo", "--once"]).env("TMPDIR", folder.path()).output().unwrap();
    assert!(told.status.success(), "{}{}", stdout(&told), stderr(&told));
    let text = stdout(&told);
    for line in ["main -> main", "the repository does not exist", "Authentication failed", "intact"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains('\u{1b}'), "colour is for terminals");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
