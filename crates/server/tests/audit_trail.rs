//! Attacks on the audit trail by somebody who can write the database: each is found, and an untouched trail is not
//! accused.

#![cfg(test)]

use std::path::Path;
use std::process::Command;

use testkit::{Login, Server, Transcript, bastide};

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
        credential, address, action, resource, resource_id, workspace_id, outcome, bytes, zeroblob(32), address_bits, findable
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

/// Every column of every table that the trail rests on, altered by itself: each is found. Would catch a column that
/// nothing vouches for. What is left out has its reason beside it.
#[test]
fn an_alteration_of_any_one_column_is_found() {
    let original = tempfile::tempdir().unwrap();
    events(original.path());
    // Enough for a full tile, without paying for 256 commands: one transaction each would take minutes.
    let tables = ["audit_event", "ledger_entry", "ledger_checkpoint", "ledger_tile"];
    let place = |table: &str| match table {
        "audit_event" => "resource = 'user:cat'",
        "ledger_entry" => "idx = 2",
        "ledger_checkpoint" => "size = 3",
        _ => "level = 0",
    };
    sql(original.path(), "INSERT INTO ledger_tile VALUES (0, 0, zeroblob(32))");
    let untouched = verify(original.path(), &[]);
    assert!(untouched.stdout.contains("a tile was put in"), "{untouched}");
    sql(original.path(), "DELETE FROM ledger_tile");
    let mut tried = 0;
    for table in tables.into_iter().filter(|table| *table != "ledger_tile") {
        let columns =
            sql(original.path(), &format!("SELECT name || ' ' || type FROM pragma_table_info('{table}')"));
        for column in columns.lines() {
            let (name, kind) = column.split_once(' ').unwrap();
            // When a checkpoint was kept is not what it vouches for: the note says nothing of it.
            if (table, name) == ("ledger_checkpoint", "time") {
                continue;
            }
            let other = match kind {
                "INTEGER" => format!("coalesce({name}, 0) + 7"),
                "TEXT" => format!("coalesce({name}, '') || 'x'"),
                _ => format!("CAST(coalesce({name}, x'') || x'00' AS BLOB)"),
            };
            // Ids keep their length, so that what reads them does not stumble before the check.
            let other = match name {
                "id" | "request_id" | "event_id" => "x'00112233445566778899aabbccddeeff'".to_owned(),
                "mac" | "leaf" => "zeroblob(32)".to_owned(),
                _ => other,
            };
            let folder = tempfile::tempdir().unwrap();
            for file in ["bastide.db", "master.key"] {
                std::fs::copy(original.path().join(file), folder.path().join(file)).unwrap();
            }
            sql(folder.path(), &format!("UPDATE {table} SET {name} = {other} WHERE {}", place(table)));
            let output = verify(folder.path(), &[]);
            assert_eq!(output.code, Some(1), "{table}.{name}: {output}");
            tried += 1;
        }
    }
    assert!(tried > 20, "only {tried} columns were tried");
}

fn export(folder: &Path, more: &[&str]) -> String {
    let mut arguments = vec!["audit", "export", "--data", folder.to_str().unwrap()];
    arguments.extend(more);
    bastide(&arguments).expect_success().to_owned()
}

/// Verifies an export alone, in a folder where no installation is.
fn verify_alone(text: &str, more: &[&str]) -> Transcript {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("export.jsonl");
    std::fs::write(&file, text).unwrap();
    let mut arguments = vec!["audit", "verify", "--export", file.to_str().unwrap()];
    arguments.extend(more);
    bastide(&arguments)
}

fn key_of(export: &str) -> String {
    let head: serde_json::Value = serde_json::from_str(export.lines().next().unwrap()).unwrap();
    head.get("verifier_key").and_then(serde_json::Value::as_str).unwrap().to_owned()
}

#[test]
fn an_export_is_verified_without_the_database_and_every_alteration_is_named() {
    let folder = tempfile::tempdir().unwrap();
    events(folder.path());
    let whole = export(folder.path(), &[]);
    let key = key_of(&whole);
    let output = verify_alone(&whole, &["--key", &key]);
    assert!(output.success(), "{output}");
    // The export is an event itself.
    assert!(output.stdout.contains("intact: 5 events"), "{output}");

    let lines: Vec<&str> = whole.lines().collect();
    let at = lines.iter().position(|line| line.contains("user:cat")).unwrap();
    let without = |skipped: usize| -> String {
        lines.iter().enumerate().filter(|(n, _)| *n != skipped).map(|(_, line)| format!("{line}\n")).collect()
    };
    let mut swapped = lines.clone();
    swapped.swap(at, at - 1);
    let doubled =
        lines.iter().enumerate().flat_map(|(n, line)| std::iter::repeat_n(*line, 1 + usize::from(n == at)));
    let last = lines.len() - 1;
    let cut: String = lines.iter().take(at).map(|line| format!("{line}\n")).collect();
    let id = event_of(folder.path(), "cat");
    for (what, text, told) in [
        ("removed", without(at), "entry 2 is missing".to_owned()),
        ("altered", whole.replace("cat@example", "eve@example"), format!("event {id}")),
        ("reordered", swapped.join("\n"), "entry 1 comes after entry 2".to_owned()),
        ("repeated", doubled.collect::<Vec<_>>().join("\n"), "entry 2 comes more than once".to_owned()),
        ("cut off", cut, "its end was removed".to_owned()),
        ("without its last checkpoint", without(last), "no signed checkpoint reaches".to_owned()),
        ("put in", whole.replacen('\n', "\n{\"index\":0}\n", 1), "line 2 was altered or put in".to_owned()),
        ("reformatted", whole.replace("\"v\":1,", "\"v\": 1,"), "cannot be read".to_owned()),
    ] {
        let output = verify_alone(&text, &["--key", &key]);
        let found = &output.stdout;
        assert_eq!(output.code, Some(1), "{what}: {output}");
        assert!(found.contains(&told), "{what}: `{told}` is not in: {found}");
    }
    // Another installation's key.
    let other = tempfile::tempdir().unwrap();
    events(other.path());
    let output = verify_alone(&whole, &["--key", &key_of(&export(other.path(), &[]))]);
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stdout.contains("not the one you trust"), "{output}");
}

/// Whoever has all keys can make the whole trail anew, and an export of it that is sound in itself. A checkpoint that was
/// put aside tells; also where the export leaves out what was not asked for.
#[test]
fn an_export_that_leaves_events_out_is_held_against_a_kept_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    events(folder.path());
    let kept = folder.path().join("kept");
    let note = sql(folder.path(), "SELECT note FROM ledger_checkpoint WHERE size = 3");
    std::fs::write(&kept, format!("{note}\n")).unwrap();
    let kept = kept.to_str().unwrap();
    let part = export(folder.path(), &["--resource", "user:dan", "--checkpoint", kept]);
    assert_eq!(part.matches("\"event\":").count(), 1, "{part}");
    assert!(!part.contains("user:cat"), "{part}");
    let key = key_of(&part);
    let output = verify_alone(&part, &["--key", &key, "--checkpoint", kept]);
    assert!(output.success(), "{output}");
    assert!(output.stdout.contains("were left out"), "{output}");

    // Without having been named, the checkpoint ends among what was left out: that is said, not passed over.
    let part = export(folder.path(), &["--resource", "user:nobody"]);
    let output = verify_alone(&part, &["--key", &key, "--checkpoint", kept]);
    let hidden = &output.stdout;
    assert!(output.success() || hidden.contains("export again and name it"), "{hidden}");

    let forged = part.replacen("\"hashes\":[\"", "\"hashes\":[\"AAAA", 1);
    assert_eq!(verify_alone(&forged, &["--key", &key]).code, Some(1));
}

#[test]
fn the_other_formats_have_a_line_for_each_event() {
    let folder = tempfile::tempdir().unwrap();
    events(folder.path());
    let csv = export(folder.path(), &["--format", "csv", "--action", "user."]);
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows.len(), 5, "{csv}");
    assert!(rows.first().unwrap().starts_with("time,id,"), "{csv}");
    let ocsf = export(folder.path(), &["--format", "ocsf", "--action", "user."]);
    for line in ocsf.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(object.get("class_uid").and_then(serde_json::Value::as_u64), Some(3001), "{line}");
    }
    assert_eq!(ocsf.lines().count(), 4);
}

/// Events expire, their hashes stay: verification says so and is content. An event that was removed by hand is still
/// found, also when it is old enough to expire.
#[test]
fn an_expired_event_is_not_taken_for_a_removed_one() {
    let folder = tempfile::tempdir().unwrap();
    events(folder.path());
    let arguments = vec!["--audit-days".to_owned(), "0".to_owned()];
    let mut server = Server::open(folder.path(), arguments, Login::Nobody);
    let left = || sql(folder.path(), "SELECT count(*) FROM audit_event WHERE resource LIKE 'user:%'");
    for _ in 0..200 {
        if left() == "0" {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(server.stop(), Some(0));
    assert_eq!(left(), "0");
    let output = verify(folder.path(), &[]);
    assert!(output.success(), "{output}");
    assert!(output.stdout.contains("it has expired, and its hash stays"), "{output}");
    let whole = export(folder.path(), &[]);
    let output = verify_alone(&whole, &["--key", &key_of(&whole)]);
    assert!(output.success(), "{output}");

    // The removals themselves are younger than what they removed: without them, nothing has expired.
    found(folder.path(), "DELETE FROM audit_event WHERE resource = 'audit-trail'", &["was removed"]);
}
