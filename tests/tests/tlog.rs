//! The ledger as a stranger checks it: with the libraries by which Go checks its module database (`tests/tlog`), which
//! share no code with ours. Would catch a tile, a path, a note or a proof that only our own code finds right, and a
//! ledger that strangers may read without having been let.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails where it cannot go on, and says so"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use testkit::{Login, Server};

/// Builds the client; none where there is no Go, or nothing to fetch its one library from. When `CI=true`, that fails.
fn client(folder: &Path) -> Option<PathBuf> {
    let program = folder.join("tlogclient");
    let built = Command::new("go")
        .args(["build", "-buildvcs=false", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tlog"))
        .output();
    let why = match built {
        Ok(output) if output.status.success() => return Some(program),
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    assert!(
        std::env::var("CI").is_ok_and(|ci| ci != "true"),
        "the client of the ledger cannot be built: {why}"
    );
    eprintln!("did not run with a foreign client: it cannot be built: {why}");
    None
}

fn run(program: &Path, server: &Server, key: &str, authorization: &str, older: Option<&Path>) -> Output {
    let mut command = Command::new(program);
    command.arg(format!("{}/tlog", server.url)).args([key, authorization]);
    command.args(older);
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn text(server: &Server, path: &str) -> String {
    let answer = server.send("GET", path, &server.administrator, &Value::Null).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.text
}

/// Makes events: each page of the trail that is read is one.
async fn grow(server: &Server, events: usize) {
    for _ in 0..events {
        server.administer("GET", "/api/audit/events?pagelen=1&actor=user:nobody", &Value::Null).await;
    }
}

/// The ledger's size, once it has grown beyond `beyond`: within a second of the events.
async fn grown(server: &Server, beyond: u64) -> String {
    for _ in 0..200 {
        let answer = server.send("GET", "/tlog/checkpoint", &server.administrator, &Value::Null).await;
        let size = answer.text.lines().nth(1).and_then(|size| size.parse::<u64>().ok());
        if answer.status == 200 && size.is_some_and(|size| size >= beyond) {
            return answer.text;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the ledger does not grow beyond {beyond}");
}

#[tokio::test]
async fn a_foreign_client_accepts_checkpoints_inclusion_and_consistency() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = client(folder.path()) else { return };
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in(data.path(), &["--public-ledger"]);
    grow(&server, 5).await;
    let kept = folder.path().join("kept");
    std::fs::write(&kept, grown(&server, 5).await).unwrap();
    let key = text(&server, "/tlog/key").await;
    let key = key.trim();
    let output = run(&program, &server, key, "", None);
    assert!(output.status.success(), "{}", said(&output));

    // Beyond a full tile, so that one of the level above is read.
    grow(&server, 600).await;
    grown(&server, 600).await;
    let output = run(&program, &server, key, "", Some(&kept));
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("consistent with"), "{}", said(&output));

    // Another log's key believes nothing of it.
    let other = Server::start();
    grow(&other, 1).await;
    grown(&other, 1).await;
    let foreign = text(&other, "/tlog/key").await;
    assert!(!run(&program, &server, foreign.trim(), "", None).status.success());

    // A tile behind the signed tree is none, however it is spelled.
    for path in ["tile/0/900", "tile/0/0", "tile/entries/000.p/999", "tile/9/000", "tile/0/../../etc"] {
        let answer = server.send("GET", &format!("/tlog/{path}"), &Login::Nobody, &Value::Null).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let full = server.send("GET", "/tlog/tile/0/000", &Login::Nobody, &Value::Null).await;
    assert_eq!(
        (full.status.as_u16(), full.header("cache-control")),
        (200, "public, max-age=31536000, immutable")
    );
}

#[tokio::test]
async fn the_ledger_is_for_those_who_may_read_the_trail_until_the_operator_opens_it() {
    let server = Server::start();
    grow(&server, 2).await;
    grown(&server, 2).await;
    let body = json!({ "username": "ann", "email": "ann@example.com", "password": testkit::world::PASSWORD });
    server.administer("POST", "/api/users", &body).await;
    let ann = Login::Basic("ann".to_owned(), model::Secret::new(testkit::world::PASSWORD.to_owned()));
    for path in ["/tlog/checkpoint", "/tlog/key", "/tlog/tile/0/000.p/1", "/tlog/tile/entries/000.p/1"] {
        for login in [&Login::Nobody, &ann] {
            let answer = server.send("GET", path, login, &Value::Null).await;
            assert!(matches!(answer.status.as_u16(), 401 | 403), "{path}: {}", answer.status);
        }
        let answer = server.send("GET", path, &server.administrator, &Value::Null).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("cache-control").starts_with("private"), "{path}");
    }
}

/// Turns a bit of a leaf of the ledger's around, in the database behind the server's back.
const TURN: &str = r#"
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=30)
(leaf,) = database.execute("SELECT leaf FROM ledger_entry WHERE idx = 1").fetchone()
leaf = bytes([leaf[0] ^ 1]) + leaf[1:]
assert database.execute("UPDATE ledger_entry SET leaf = ? WHERE idx = 1", (leaf,)).rowcount == 1
database.commit()
"#;

/// Attack: who has the database alters the past. The signed checkpoint stays as it was, so strangers must notice.
#[tokio::test]
async fn a_foreign_client_notices_an_altered_tile() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = client(folder.path()) else { return };
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in(data.path(), &["--public-ledger"]);
    grow(&server, 5).await;
    grown(&server, 5).await;
    let key = text(&server, "/tlog/key").await;
    let honest = run(&program, &server, key.trim(), "", None);
    assert!(honest.status.success(), "{}", said(&honest));
    let turn = || {
        let mut python = Command::new("python3");
        let turned = python.args(["-c", TURN]).arg(data.path().join("bastide.db")).status().unwrap();
        assert!(turned.success());
    };
    turn();
    let altered = run(&program, &server, key.trim(), "", None);
    assert!(!altered.status.success(), "{}", said(&altered));
    assert!(!said(&altered).contains("404"), "refused for what the tile says: {}", said(&altered));
    // Nothing but the bit was wrong.
    turn();
    let honest = run(&program, &server, key.trim(), "", None);
    assert!(honest.status.success(), "{}", said(&honest));
}
