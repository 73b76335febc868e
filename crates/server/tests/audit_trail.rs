//! Attacks on the audit trail by somebody who can write the database: each is found, and an untouched trail is not
//! accused.

#![cfg(test)]

use std::path::Path;
use std::process::Command;

use testkit::{Transcript, bastide};

/// A data directory with some events and no server.
fn events(folder: &Path) {
    let data = folder.to_str().unwrap();
    let made = bastide(&["admin", "init", "--data", data, "--username", "ann", "--email", "ann@example.com"]);
    let _ = made.expect_success();
    for name in ["ben", "cat", "dan"] {
        let email = format!("{name}@example.com");
        let added = bastide(&["admin", "user", "add", "--data", data, "--username", name, "--email", &email]);
        let _ = added.expect_success();
    }
}

fn sql(folder: &Path, statement: &str) -> String {
    let output = Command::new("sqlite3").arg(folder.join("bastide.db")).arg(statement).output().unwrap();
    Transcript::from(output).expect_success().to_owned()
}

fn verify(folder: &Path, more: &[&str]) -> Transcript {
    let mut arguments = vec!["audit", "verify", "--data", folder.to_str().unwrap()];
    arguments.extend(more);
    bastide(&arguments)
}

/// The id of the event that made a user, as people write it.
fn event_of(folder: &Path, name: &str) -> String {
    let statement = format!("SELECT lower(hex(id)) FROM audit_event WHERE resource = 'user:{name}'");
    let hex = sql(folder, &statement);
    let part = |from: usize, to: usize| hex.get(from..to).unwrap().to_owned();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[track_caller]
fn found(folder: &Path, statement: &str, expected: &[&str]) {
    sql(folder, statement);
    let output = verify(folder, &[]);
    assert_eq!(output.code, Some(1), "{statement}: {output}");
    for sentence in expected {
        assert!(output.stdout.contains(sentence), "{statement}: `{sentence}` is not in: {output}");
    }
}

#[test]
fn an_untouched_trail_is_intact() {
    let folder = tempfile::tempdir().unwrap();
    events(folder.path());
    let output = verify(folder.path(), &[]);
    assert!(output.expect_success().contains("intact: 4 events"), "{output}");
}

#[test]
fn a_removed_event_is_found() {
    let folder = tempfile::tempdir().unwrap();
    events(folder.path());
    let id = event_of(folder.path(), "cat");
    let statement = "DELETE FROM audit_event WHERE resource = 'user:cat'";
    found(folder.path(), statement, &[&format!("event {id} of entry 2 was removed")]);
}

#[test]
fn an_event_that_was_removed_with_its_entry_is_found() {
    let folder = tempfile::tempdir().unwrap();
    events(folder.path());
    let statement =
        "DELETE FROM ledger_entry WHERE event_id = (SELECT id FROM audit_event WHERE resource = 'user:cat');
        DELETE FROM audit_event WHERE resource = 'user:cat'";
    found(folder.path(), statement, &["entry 2 is missing"]);
}

#[test]
fn an_event_whose_entry_alone_was_removed_is_found() {
    let folder = tempfile::tempdir().unwrap();
    events(folder.path());
    let id = event_of(folder.path(), "dan");
    let statement =
        "DELETE FROM ledger_entry WHERE event_id = (SELECT id FROM audit_event WHERE resource = 'user:dan')";
    found(folder.path(), statement, &["entry 3 is missing", &id]);
}

#[test]
fn altered_bytes_and_an_altered_column_are_found() {
    let folder = tempfile::tempdir().unwrap();
    events(folder.path());
    let id = event_of(folder.path(), "cat");
    let statement =
        "UPDATE audit_event SET bytes = CAST(replace(CAST(bytes AS TEXT), 'cat@', 'eve@') AS BLOB)
        WHERE resource = 'user:cat'";
    found(folder.path(), statement, &[&id, "its code is not this instance's", "entry 2 was altered"]);

    let folder = tempfile::tempdir().unwrap();
    events(folder.path());
    let id = event_of(folder.path(), "cat");
    let statement = "UPDATE audit_event SET actor = 'user:mallory' WHERE resource = 'user:cat'";
    found(folder.path(), statement, &[&id, "`actor` is not what its bytes say"]);
}

#[test]
fn reordered_entries_are_found() {
    let folder = tempfile::tempdir().unwrap();
    events(folder.path());
    let statement = "UPDATE ledger_entry SET idx = 99 WHERE idx = 1;
        UPDATE ledger_entry SET idx = 1 WHERE idx = 2; UPDATE ledger_entry SET idx = 2 WHERE idx = 99";
    found(folder.path(), statement, &["the root at size 2", "are not all as they were"]);
}

#[test]
fn an_inserted_event_is_found() {
    let copy = "INSERT INTO audit_event SELECT x'0102030405060708090a0b0c0d0e0f10', time, request_id, actor, actor_id,
        credential, address, action, resource, resource_id, workspace_id, outcome, bytes, zeroblob(32)
        FROM audit_event WHERE resource = 'user:cat'";
    let id = "01020304-0506-0708-090a-0b0c0d0e0f10";
    let folder = tempfile::tempdir().unwrap();
    events(folder.path());
    found(folder.path(), copy, &["waits for none", "its code is not this instance's"]);

    // With a waiting entry of its own, so that the sequencer takes it in.
    let folder = tempfile::tempdir().unwrap();
    events(folder.path());
    let waiting = format!(
        "{copy}; INSERT INTO ledger_pending SELECT time, x'0102030405060708090a0b0c0d0e0f10', entry
        FROM audit_event JOIN ledger_entry ON event_id = id WHERE resource = 'user:cat' LIMIT 1"
    );
    found(folder.path(), &waiting, &["its code is not this instance's"]);
    assert!(verify(folder.path(), &[]).stdout.contains("is not its event"), "{id}");
}

/// Whoever has the database alone can cut off its end, checkpoints and all. A checkpoint that was put aside tells.
#[test]
fn a_trail_that_was_cut_off_is_found_with_a_kept_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    events(folder.path());
    let kept = folder.path().join("kept");
    let note = sql(folder.path(), "SELECT note FROM ledger_checkpoint ORDER BY size DESC LIMIT 1");
    std::fs::write(&kept, format!("{note}\n")).unwrap();
    let kept = kept.to_str().unwrap();
    let output = verify(folder.path(), &["--checkpoint", kept]);
    let _ = output.expect_success();
    sql(
        folder.path(),
        "DELETE FROM audit_event WHERE resource = 'user:dan'; DELETE FROM ledger_entry WHERE idx = 3;
        DELETE FROM ledger_checkpoint WHERE size > 3",
    );
    let output = verify(folder.path(), &["--checkpoint", kept]);
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stdout.contains("entry 3 is missing"), "{output}");
}

#[test]
fn the_export_has_a_line_for_each_event() {
    let folder = tempfile::tempdir().unwrap();
    events(folder.path());
    let output = bastide(&["audit", "export", "--data", folder.path().to_str().unwrap()]);
    let resources: Vec<String> = output
        .expect_success()
        .lines()
        .map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            event.get("resource").and_then(serde_json::Value::as_str).unwrap().to_owned()
        })
        .collect();
    assert_eq!(resources, ["user:dan", "user:cat", "user:ben", "user:ann"]);
}
