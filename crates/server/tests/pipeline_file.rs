//! `bastide pipeline`: files as somebody writes them, looked at from a terminal, a hook or an editor.
//!
//! Would catch: an exit status that says good of a file that is not, a place that is not where the slip is, an answer for
//! programs that is none, a file that is read without end.

#![cfg(test)]

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;
use testkit::bastide;

const GOOD: &str = "\
image: alpine:3.20
pipelines:
  branches:
    main:
      - step:
          name: Build
          script:
            - make
  custom:
    release:
      - variables:
          - name: LEVEL
            allowed-values: [minor, major]
      - step:
          script:
            - ./release $LEVEL
";

fn written(text: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bitbucket-pipelines.yml");
    fs::write(&file, text).unwrap();
    (folder, file)
}

#[test]
fn a_good_file_is_checked_and_planned() {
    let (_folder, file) = written(GOOD.as_bytes());
    let file = file.to_str().unwrap();
    let checked = bastide(&["pipeline", "check", file]);
    assert!(checked.expect_success().contains("nothing to complain about"), "{checked}");

    let planned = bastide(&["pipeline", "plan", file, "--branch", "main"]);
    assert!(planned.expect_success().contains("1. Build (line 5)"), "{planned}");
    let json = bastide(&["pipeline", "plan", file, "--branch", "main", "--json"]);
    let json: Value = serde_json::from_str(json.expect_success()).unwrap();
    assert_eq!(json["pipelines"][0]["steps"][0]["name"], "Build");
    let nothing = bastide(&["pipeline", "plan", file, "--tag", "v1"]);
    assert!(nothing.expect_success().contains("nothing starts"), "{nothing}");

    let custom = ["pipeline", "plan", file, "--custom", "release", "--variable", "LEVEL=minor"];
    assert!(bastide(&custom).expect_success().contains("LEVEL = minor"));
    for (asked, told) in [
        (&["--custom", "release", "--variable", "LEVEL=patch"][..], "LEVEL"),
        (&["--custom", "relaese"], "release"),
        (&["--custom", "release", "--variable", "LEVEL=minor", "--variable", "LEVEL=major"], "twice"),
        (&["--branch", "main", "--variable", "LEVEL=minor"], "--custom"),
        (&["--branch", "main", "--into", "main"], "--pull-request"),
        (&["--branch", "main", "--tag", "v1"], "cannot be used with"),
        (&[], "--branch"),
    ] {
        let refused = bastide(&[&["pipeline", "plan", file][..], asked].concat());
        assert_eq!(refused.code, Some(2), "{refused}");
        assert!(refused.stderr.contains(told), "{asked:?}: {refused}");
    }
}

#[test]
fn a_bad_file_is_told_with_its_places_and_is_planned_for_nothing() {
    let bad =
        GOOD.replace("          script:\n            - make\n", "          scripts:\n            - make\n");
    let (_folder, file) = written(bad.as_bytes());
    let name = file.to_str().unwrap();
    let checked = bastide(&["pipeline", "check", name]);
    assert_eq!(checked.code, Some(1), "{checked}");
    for told in ["did you mean `script`", &format!("{name}:7:11"), "1 error"] {
        assert!(checked.stdout.contains(told), "`{told}` is not in: {checked}");
    }
    assert!(!checked.stdout.contains('\u{1b}'), "colour where nobody looks on: {checked}");
    let report = bastide(&["pipeline", "check", name, "--json"]);
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!((report["valid"].as_bool(), report["errors"].as_u64()), (Some(false), Some(1)));
    let planned = bastide(&["pipeline", "plan", name, "--branch", "main"]);
    assert_eq!(planned.code, Some(1), "{planned}");
    assert!(planned.stdout.is_empty() && planned.stderr.contains("did you mean `script`"), "{planned}");
}

#[test]
fn what_is_no_file_of_this_kind_is_not_read() {
    let (folder, file) = written(&vec![b'#'; 40 << 20]);
    let large = bastide(&["pipeline", "check", file.to_str().unwrap()]);
    assert_eq!(large.code, Some(2), "{large}");
    assert!(large.stderr.contains("no more is read"), "{large}");
    fs::write(&file, b"image: \xff\xfe").unwrap();
    let binary = bastide(&["pipeline", "check", file.to_str().unwrap()]);
    assert!(binary.expect_failure().contains("byte 7"), "{binary}");
    let missing = bastide(&["pipeline", "check", folder.path().join("none").to_str().unwrap()]);
    assert!(missing.expect_failure().contains("cannot be read"), "{missing}");
    let directory = bastide(&["pipeline", "check", folder.path().to_str().unwrap()]);
    assert_eq!(directory.code, Some(2), "{directory}");
}
