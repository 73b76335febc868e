//! Fuzz targets: each parser of bytes from outside as a plain function over bytes, with inputs to begin from.
//!
//! Two drivers run them: `tests/brief.rs` on stable Rust with every test run (`cargo xtask fuzz` for longer), and
//! cargo-fuzz where it is installed: `cargo +nightly fuzz run --fuzz-dir fuzz/libfuzzer TARGET`.
//! What is not here: a parser. A target asserts what must hold of any input; that it does not panic goes without saying.
//!
//! A new target is a function in the file of its crate and one line in [`TARGETS`].
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a target's way of saying that something does not hold"
)]

pub mod git;
pub mod keyring;
pub mod ledger;
pub mod model;
pub mod mutation;
pub mod pages;
pub mod pipeline;
pub mod policy;
pub mod service;
pub mod wire;

/// A target.
pub struct Target {
    /// Its name, also that of its wrapper for cargo-fuzz.
    pub name: &'static str,
    /// Panics when something does not hold of the input.
    pub run: fn(&[u8]),
    /// Inputs to begin from: well-formed ones, so that mutations get past the first check.
    pub seeds: &'static [&'static str],
}

const fn target(name: &'static str, run: fn(&[u8]), seeds: &'static [&'static str]) -> Target {
    Target { name, run, seeds }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    target("token", model::token, model::TOKENS),
    target("ref_name", model::ref_name, &["refs/heads/main", "refs/tags/v1.0", "refs/heads/feature/größe"]),
    target("object_id", model::object_id, &["0123456789abcdef0123456789abcdef01234567"]),
    target("name", model::name, &["acme", "Ann Example", "ann@example.com", "PROJ_1", "a.b-c_d"]),
    target("scope_set", model::scope_set, &["repository:write pullrequest", "read:repository:bitbucket"]),
    target("timestamp", model::timestamp, &["2030-01-31T12:00:00.123456+00:00", "2030-01-31T12:00:00Z"]),
    target(
        "address_range",
        model::address_range,
        &["203.0.113.7", "10.1.2.3/8", "2001:DB8::/32", "::ffff:10.0.0.0/104"],
    ),
    target("branch_glob", model::branch_glob, &["release/*\nrelease/1/2", "a*b*a\naba", "main\nmain"]),
    target(
        "cron",
        model::cron,
        &["0 0 12 * * ? *", "0 0/15 8-17 ? * MON-FRI 2030", "0 0 0 L * ? *", "0 0 0 ? * 6#3 *"],
    ),
    target("audit_event", model::audit_event, model::AUDIT_EVENTS),
    target("ssh_key", keyring::ssh_key, keyring::SSH_KEYS),
    target("ledger_note", ledger::note, ledger::NOTES),
    target("ledger_checkpoint", ledger::checkpoint, ledger::CHECKPOINTS),
    target("ledger_entry", ledger::entry, ledger::ENTRIES),
    target(
        "pkt_line",
        git::pkt_line,
        &["0006a\n0000", "0001", "000bcommand", "0032want 0123456789abcdef\n00090000"],
    ),
    target(
        "ls_refs",
        git::ls_refs,
        &[
            "0014command=ls-refs\n0015agent=git/2.39.5\n00010009peel\n0016ref-prefix refs/x\n0000",
            "0012command=fetch\n",
        ],
    ),
    target("patch", pages::patch, pages::PATCHES),
    target("pipeline_file", pipeline::file, pipeline::FILES),
    target("pipeline_form", pipeline::form, pipeline::FILES),
    target("pipeline_rules", pipeline::rules, pipeline::RULES),
    target("pipeline_mask", pipeline::mask, pipeline::OUTPUTS),
    target("sarif", pipeline::sarif, pipeline::SARIF),
    target("test_report", pipeline::test_report, pipeline::TEST_REPORTS),
    target("own_rule", policy::own_rule, policy::RULES),
    target("export_line", service::export_line, service::EXPORT_LINES),
    target("query", wire::query, wire::QUERIES),
    target("fields", wire::fields, &["-values.links,+values.owner.*", "size,next,values.name", "*"]),
    target("sort", wire::sort, &["-updated_on", "name", "project.key"]),
    target("parameters", wire::parameters, wire::PARAMETERS),
    target("api_body", wire::api_body, wire::API_BODIES),
];

/// The target of this name.
///
/// # Panics
/// When there is none: a wrapper is left over.
#[must_use]
pub fn named(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).expect("a target of this name")
}
