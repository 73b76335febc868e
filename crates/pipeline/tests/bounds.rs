#![cfg(test)]
//! Files that are written to cost whoever reads them. Each of these would take hours, or all memory, of a reader that
//! does what it says.

use std::fmt::Write;

use pipeline::{Checked, bounds, check, diagnostic::Severity};

const STEP: &str = "pipelines:\n  default:\n    - step:\n        script: [make]\n";

fn refused(text: &str, part: &str) -> Checked {
    let checked = check("hostile.yml", text);
    assert!(checked.configuration.is_none());
    let found = checked.diagnostics.iter().any(|d| d.severity == Severity::Error && d.message.contains(part));
    assert!(found, "{:?}", checked.diagnostics.iter().take(3).collect::<Vec<_>>());
    checked
}

#[test]
fn a_file_of_ten_megabytes_is_not_read() {
    refused(&format!("{STEP}# {}\n", "x".repeat(10 * 1024 * 1024)), "at most 1048576 are read");
}

/// Nine lines that stand for a billion values.
#[test]
fn aliases_are_counted_as_what_they_stand_for() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..10 {
        let list = vec![format!("*a{}", n - 1); 10].join(", ");
        let _ = writeln!(text, "a{n}: &a{n} [{list}]");
    }
    refused(&(text + STEP), "more than 100000 values");
}

/// One large text, used a hundred thousand times.
#[test]
fn text_behind_aliases_is_counted() {
    let list = vec!["*a"; 50_000].join(", ");
    refused(&format!("a: &a {}\nb: [{list}]\n{STEP}", "x".repeat(100_000)), "bytes of text");
}

/// Maps that are merged into maps that are merged into maps.
#[test]
fn merged_maps_are_counted() {
    let mut text = "a0: &a0 {a: 1, b: 2, c: 3, d: 4}\n".to_owned();
    for n in 1..40 {
        let _ = writeln!(text, "a{n}: &a{n} {{<<: [*a{0}, *a{0}], k{n}: 1}}", n - 1);
    }
    refused(&(text + STEP), "more than 100000 values");
}

#[test]
fn an_anchor_within_itself_is_refused() {
    refused(&format!("a: &a {{b: *a}}\n{STEP}"), "within the anchor that it refers to");
    refused(&format!("a: &a\n  <<: *a\n{STEP}"), "within the anchor that it refers to");
}

/// A stack has an end: of the reader, and of whoever drops what was read.
#[test]
fn depth_is_bounded() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        refused(
            &format!("{STEP}a: {}{}", open.repeat(100_000), close.repeat(100_000)),
            "stand within each other",
        );
    }
    refused(
        &format!(
            "{STEP}a:\n{}",
            (1..2000).map(|n| format!("{}- \n", " ".repeat(n % 500))).collect::<String>()
        ),
        "",
    );
    let mut text = "a0: &a0 []\n".to_owned();
    for n in 1..5000 {
        let _ = writeln!(text, "a{n}: &a{n} [*a{}]", n - 1);
    }
    refused(&(text + STEP), "stand within each other");
}

#[test]
fn ten_thousand_steps_are_refused_once() {
    let step = "    - step: {script: [make]}\n";
    let checked = refused(&format!("pipelines:\n  default:\n{}", step.repeat(10_000)), "has 10000 steps");
    assert_eq!(checked.diagnostics.len(), 1);
    let hundred = format!("pipelines:\n  default:\n{}", step.repeat(bounds::STEPS));
    assert!(check("good.yml", &hundred).configuration.is_some());
}

/// Many errors are not many times the work, nor the output.
#[test]
fn diagnostics_are_bounded() {
    let step = "    - step: {scripts: [make], caches: [a, b, c], size: 5x}\n";
    let checked = refused(&format!("pipelines:\n  default:\n{}", step.repeat(4_000)), "script");
    let errors = checked.diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    assert_eq!(errors, pipeline::diagnostic::MOST);
    assert!(checked.render(pipeline::Colour::Off).len() < 100_000);
}

/// Patterns that a matcher that tries all ways would never finish.
#[test]
fn patterns_are_matched_in_bounded_time() {
    let mut text = "pipelines:\n  branches:\n".to_owned();
    for n in 0..bounds::PATTERNS {
        let _ = writeln!(text, "    \"{}{n}\":\n      - step: {{script: [make]}}", "*a{*,**}".repeat(25));
    }
    let configuration = check("hostile.yml", &text).configuration.expect("a good file");
    let branch = "a".repeat(250) + "b";
    assert!(configuration.plan(&pipeline::Event::Branch { branch }).unwrap().pipelines.is_empty());
    let more = format!(
        "pipelines:\n  branches:\n{}",
        (0..=bounds::PATTERNS)
            .map(|n| format!("    b{n}:\n      - step: {{script: [make]}}\n"))
            .collect::<String>()
    );
    refused(&more, "patterns stand here");
    refused(
        &format!("pipelines:\n  branches:\n    \"{}\":\n      - step: {{script: [x]}}\n", "{a,".repeat(100)),
        "not a pattern",
    );
}

/// What each step of a plan has a copy of must not be large.
#[test]
fn what_steps_share_is_bounded() {
    let variables = format!("VALUE: {}", "x".repeat(bounds::SHARED));
    let service = format!(
        "definitions:\n  services:\n    a:\n      image: a:1\n      variables:\n        {variables}\n"
    );
    refused(&(service + STEP), "what all steps share");
}

#[test]
fn long_inputs_of_one_kind_are_read_or_refused() {
    let size = bounds::FILE - 100;
    for unit in [
        "a", "- ", "? ", "a: ", "- a\n", "\n", " ", "#\n", "&a ", "*a ", "\"", "'", "|", ",", "---\n", "%",
        "!a ", "{", "}", "\t", "a:\n ", "\u{feff}", "é",
    ] {
        let text: String = unit.repeat(size / unit.len());
        let checked = check("long.yml", &text);
        assert!(checked.configuration.is_none());
        let _ = checked.render(pipeline::Colour::Off);
        let _ = check("long.yml", &format!("{STEP}x: |\n  {text}"));
        let _ = check("long.yml", &format!("{STEP}x: [{text}"));
    }
}
