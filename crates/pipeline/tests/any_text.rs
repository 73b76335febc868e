#![cfg(test)]
//! Whatever is written, it is read or refused, and what is said of it can be shown.

use pipeline::{Colour, Event, check};
use proptest::prelude::*;

/// Pieces that make up files which are almost right.
const PIECES: &[&str] = &[
    "pipelines:",
    "default:",
    "branches:",
    "custom:",
    "tags:",
    "pull-requests:",
    "destinations:",
    "- step:",
    "- parallel:",
    "- stage:",
    "steps:",
    "script:",
    "- make",
    "- pipe: a/b:1",
    "variables:",
    "- name: A",
    "default: x",
    "image: a",
    "size: 2x",
    "oidc: true",
    "audiences: [a]",
    "definitions:",
    "caches:",
    "services:",
    "- docker",
    "trigger: manual",
    "deployment: test",
    "condition:",
    "changesets:",
    "includePaths: [a]",
    "state: a == b",
    "import: a:b:c",
    "\"*\":",
    "main:",
    "&a",
    "*a",
    "<<: *a",
    "!t",
    "|",
    "\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    ",",
    "#",
    "---",
    "\t",
    "é",
    "\r",
];

fn files() -> impl Strategy<Value = String> {
    let line = (0usize..8, proptest::collection::vec(proptest::sample::select(PIECES), 0..3));
    proptest::collection::vec(line, 0..24).prop_map(|lines| {
        lines
            .iter()
            .map(|(indent, pieces)| format!("{}{}\n", "  ".repeat(*indent), pieces.join(" ")))
            .collect()
    })
}

fn holds(text: &str) {
    let checked = check("any.yml", text);
    let lines = text.split(['\n', '\r']).count() + 1;
    for diagnostic in &checked.diagnostics {
        let span = diagnostic.span;
        assert!(span.start.line >= 1 && span.start.line <= lines && span.start <= span.end, "{diagnostic:?}");
        assert!(
            span.start.offset <= text.len() && text.is_char_boundary(span.start.offset),
            "{diagnostic:?}"
        );
    }
    assert_eq!(
        checked.render(Colour::Off).matches("error: ").count(),
        checked.render(Colour::On).matches("error\u{1b}[0m: ").count()
    );
    let Some(configuration) = checked.configuration else {
        assert!(!checked.diagnostics.is_empty(), "refused without a reason");
        return;
    };
    for event in [
        Event::Branch { branch: "main".to_owned() },
        Event::Tag { tag: "v1".to_owned() },
        Event::PullRequest { id: 1, source: "main".to_owned(), destination: "main".to_owned() },
    ] {
        let plan = configuration.plan(&event).expect("a plan");
        assert_eq!(plan.pipelines.is_empty(), plan.nothing.is_some());
        let _ = plan.render(Colour::On);
    }
}

proptest! {
    #[test]
    fn of_any_kind(text in "\\PC{0,80}") {
        holds(&text);
    }

    #[test]
    fn that_is_almost_right(text in files()) {
        holds(&text);
    }
}
