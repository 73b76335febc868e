#![cfg(test)]
//! What is said of each file in `cases`, and what the good ones plan, against what was reviewed.

use std::{collections::BTreeMap, fs, path::Path};

use pipeline::{Colour, Event, check};

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Catches an error that is lost, that points elsewhere, or that says something else.
#[test]
fn each_case_is_told_what_is_wrong_with_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = files.collect();
    files.sort();
    assert!(files.len() > 10);
    for file in files {
        let name = file.trim_end_matches(".yml");
        insta::assert_snapshot!(format!("check-{name}"), check(&file, &text(&file)).render(Colour::Off));
    }
}

fn plan(file: &str, event: &Event) -> pipeline::Plan {
    check(file, &text(file)).configuration.expect("a good file").plan(event).expect("a plan")
}

fn branch(name: &str) -> Event {
    Event::Branch { branch: name.to_owned() }
}

/// Catches a fact that does not reach the plan, for people and for programs.
#[test]
fn plans() {
    let main = plan("every_key.yml", &branch("main"));
    insta::assert_snapshot!("plan-main", main.render(Colour::Off));
    insta::assert_snapshot!("plan-main-json", serde_json::to_string_pretty(&main).unwrap());
    let pull_request =
        Event::PullRequest { id: 7, source: "feature/a".to_owned(), destination: "main".to_owned() };
    let high = BTreeMap::from([("LEVEL".to_owned(), "high".to_owned())]);
    let events = [
        branch("other"),
        branch("fix/a"),
        branch("release/1"),
        branch("release/old"),
        Event::Tag { tag: "v1.0".to_owned() },
        Event::Tag { tag: "other".to_owned() },
        pull_request,
        Event::Custom { name: "nightly".to_owned(), variables: high },
        Event::Schedule { branch: "main".to_owned(), custom: Some("nightly".to_owned()) },
        Event::Schedule { branch: "other".to_owned(), custom: None },
    ];
    let all: Vec<String> = events
        .iter()
        .map(|event| {
            format!(
                "== {}\n{}",
                serde_json::to_string(event).unwrap(),
                plan("every_key.yml", event).render(Colour::Off)
            )
        })
        .collect();
    insta::assert_snapshot!("plan-others", all.join("\n"));
    let later: Vec<String> =
        ["other", "main"].iter().map(|name| plan("not_yet.yml", &branch(name)).render(Colour::Off)).collect();
    insta::assert_snapshot!("plan-not-yet", later.join("\n"));
}

#[test]
fn a_report_is_json_with_stable_names() {
    let checked = check("tab.yml", &text("tab.yml"));
    insta::assert_snapshot!("report-json", serde_json::to_string_pretty(&checked.report()).unwrap());
}

#[test]
fn custom_pipelines_are_asked_for_by_name_and_with_allowed_values() {
    let configuration = check("every_key.yml", &text("every_key.yml")).configuration.unwrap();
    let refused = |name: &str, value: &str| {
        let variables = BTreeMap::from([("LEVEL".to_owned(), value.to_owned())]);
        configuration.plan(&Event::Custom { name: name.to_owned(), variables }).unwrap_err().to_string()
    };
    assert_eq!(refused("nightli", "low"), "there is no custom pipeline `nightli`; did you mean `nightly`?");
    assert_eq!(refused("nightly", "none"), "`LEVEL` cannot be `none`; it is one of `low` and `high`");
}

/// Colours change nothing but colours, and the file's own escape sequences reach no terminal.
#[test]
fn what_is_shown_is_safe_for_a_terminal() {
    let hostile = "pipelines:\n  default:\n    - \"\\e[2J\": \u{202e}x\u{7f}\n      step:\n";
    let checked = check("a\u{1b}[31m.yml", hostile);
    let plain = checked.render(Colour::Off);
    assert!(!plain.contains(['\u{1b}', '\u{202e}', '\u{7f}']), "{plain}");
    let coloured = checked.render(Colour::On);
    let stripped = ["\x1b[1m", "\x1b[1;31m", "\x1b[1;32m", "\x1b[1;33m", "\x1b[1;34m", "\x1b[0m"];
    let stripped = stripped.iter().fold(coloured, |text, code| text.replace(code, ""));
    assert_eq!(stripped, plain);
}
