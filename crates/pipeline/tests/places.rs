#![cfg(test)]
//! Places are those that an editor shows: lines and characters from 1, whatever ends the lines, whatever stands before.

use pipeline::{Checked, Colour, check};

fn first(checked: &Checked) -> (usize, usize, String) {
    let diagnostic = checked.diagnostics.first().expect("something to say");
    (diagnostic.span.start.line, diagnostic.span.start.column, diagnostic.message.clone())
}

const FILE: &str = "pipelines:\n  default:\n    - step:\n        script: [make]\n        size: 3x\n";

#[test]
fn of_every_kind_of_line_break() {
    for ending in ["\n", "\r\n", "\r"] {
        let checked = check("a.yml", &FILE.replace('\n', ending));
        let (line, column, _) = first(&checked);
        assert_eq!((line, column), (5, 15), "{ending:?}");
        let shown = checked.render(Colour::Off);
        assert!(shown.contains("5 |         size: 3x\n  |               ^^\n"), "{shown}");
    }
}

#[test]
fn behind_other_letters_than_those_of_ascii() {
    let file = FILE.replace("[make]", "[\"größe 😀\"]").replace("size: 3x", "name: \"ü\\n😀\"; x");
    let (line, ..) = first(&check("a.yml", &file));
    assert_eq!(line, 5);
    let checked = check(
        "a.yml",
        "pipelines:\n  default:\n    - step: {name: \"größe 😀\", script: [make], size: 3x}\n",
    );
    let (line, column, _) = first(&checked);
    assert_eq!((line, column), (3, 53));
    let shown = checked.render(Colour::Off);
    let marked: Vec<&str> = shown.lines().skip(3).take(2).collect();
    let at = marked[1].chars().position(|c| c == '^').unwrap();
    assert_eq!(marked[0].chars().skip(at).take(2).collect::<String>(), "3x");
}

#[test]
fn behind_a_byte_order_mark() {
    let (line, column, _) = first(&check("a.yml", &format!("\u{feff}{FILE}")));
    assert_eq!((line, column), (5, 15));
}

#[test]
fn within_an_expression() {
    let file = |condition: &str| {
        format!(
            "pipelines:\n  default:\n    - step:\n        script: [make]\n        condition:\n          state: {condition}\n"
        )
    };
    for (condition, column) in [("a == (b", 23), ("\"a == (b\"", 24), ("'ö == (b'", 19), ("a = b", 20)] {
        let checked = check("a.yml", &file(condition));
        assert_eq!(
            (first(&checked).0, first(&checked).1),
            (6, column),
            "{condition}: {}",
            checked.render(Colour::Off)
        );
    }
    // Over several lines, the whole is named.
    let checked = check("a.yml", &file(">-\n            a &&\n            (b"));
    assert!(first(&checked).2.contains("not closed"));
}

/// The line around the place, not the whole of a very long one.
#[test]
fn in_a_very_long_line() {
    let file =
        format!("pipelines:\n  default:\n    - step: {{script: [\"{}\"], size: 3x}}\n", "x".repeat(10_000));
    let shown = check("a.yml", &file).render(Colour::Off);
    assert!(shown.len() < 1000, "{shown}");
    assert!(shown.contains("size: 3x"), "{shown}");
}

#[test]
fn of_files_without_content() {
    for file in ["", "\n\n", "# only a comment\n", "---\n", "null\n", "~"] {
        let checked = check("a.yml", file);
        assert!(checked.configuration.is_none());
        assert!(first(&checked).2.contains("configuration"), "{file:?}: {:?}", first(&checked));
    }
    for file in ["text", "[]", "- a", "5", "pipelines:", "pipelines: []", "pipelines: {}", "image: a:1\n"] {
        let checked = check("a.yml", file);
        assert!(checked.configuration.is_none(), "{file}");
    }
}
