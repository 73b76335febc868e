#![cfg(test)]
//! The description for users and what is read are one language: a key that only one of them knows is a lie.

use std::fs;

/// Every key of the language.
const KEYS: &[&str] = &[
    "image",
    "name",
    "run-as-user",
    "username",
    "password",
    "oidc-role",
    "options",
    "docker",
    "max-time",
    "size",
    "runtime",
    "oidc",
    "audiences",
    "clone",
    "enabled",
    "depth",
    "lfs",
    "skip-ssl-verify",
    "strategy",
    "filter",
    "tags",
    "sparse-checkout",
    "cone-mode",
    "patterns",
    "definitions",
    "caches",
    "path",
    "key",
    "files",
    "services",
    "memory",
    "variables",
    "labels",
    "triggers",
    "repository-push",
    "pullrequest-push",
    "condition",
    "pipelines",
    "default",
    "branches",
    "pull-requests",
    "destinations",
    "custom",
    "import",
    "step",
    "parallel",
    "steps",
    "fail-fast",
    "stage",
    "deployment",
    "environment",
    "trigger",
    "description",
    "allowed-values",
    "script",
    "after-script",
    "pipe",
    "artifacts",
    "paths",
    "download",
    "upload",
    "type",
    "capture-on",
    "ignore-paths",
    "runs-on",
    "changesets",
    "includePaths",
    "excludePaths",
    "state",
    "concurrency-group",
    "output-variables",
    "input-variables",
    "cloud",
    "version",
    "arch",
    "atlassian-ip-ranges",
    "tokens",
    "aws",
    "role",
    "session-duration",
    "region",
    "bookmarks",
];

#[test]
fn every_key_is_described_and_has_a_case() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");
    let cases = fs::read_dir(folder).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let cases: Vec<String> = cases.collect();
    let document =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pipelines.md")).unwrap();
    let words = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
    for key in KEYS {
        assert!(cases.iter().any(|case| case.contains(&format!("{key}:"))), "no case has `{key}`");
        assert!(document.split(words).any(|word| word == *key), "docs/pipelines.md does not name `{key}`");
    }
}
