//! Sizes: a file fits a reading, a function fits a screen or two. Long tails make a codebase unpleasant.

use super::Tree;

const LONGEST_FILE: usize = 600;
const LONGEST_FUNCTION: usize = 100;

/// A file that may be longer for now. The list may only shrink.
struct Exception {
    path: &'static str,
    lines: usize,
    reason: &'static str,
}

const EXCEPTIONS: &[Exception] = &[];

/// Files and functions that are too long.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    check_with(tree, EXCEPTIONS)
}

fn check_with(tree: &Tree, exceptions: &[Exception]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in tree.matching("", ".rs") {
        let lines = text.lines().count();
        let allowed = exceptions.iter().find(|e| e.path == path).map_or(LONGEST_FILE, |e| e.lines);
        if lines > allowed {
            complaints.push(format!("{path} has {lines} lines; more than {allowed} are more than one thing"));
        }
        for (line, name, length) in functions(text) {
            if length > LONGEST_FUNCTION {
                complaints
                    .push(format!("{path}:{line} `{name}` has {length} lines, over {LONGEST_FUNCTION}"));
            }
        }
    }
    for Exception { path, lines, reason } in exceptions {
        let now = tree.text(path).map_or(0, |text| text.lines().count());
        if now < *lines {
            complaints.push(format!("{path} ({reason}) has {now} lines by now: bring its exception down"));
        }
    }
    complaints
}

/// Each function with a body of several lines: where it begins, its name, and its length. Relies on rustfmt, which
/// puts the closing brace of a function under its first letter.
fn functions(text: &str) -> Vec<(usize, &str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let level =
            |other: &&&str| other.len() - other.trim_start().len() == indent && !other.trim().is_empty();
        // The signature ends on the first line of its level with a brace or a semicolon.
        let rest = lines.get(at..).unwrap_or_default();
        let end = rest.iter().filter(level).find(|l| l.ends_with(['{', '}', ';']));
        if !end.is_some_and(|l| l.ends_with('{')) {
            continue;
        }
        let is_close = |l: &&str| l.len() == indent + 1 && l.ends_with('}');
        if let Some(length) = rest.iter().position(is_close) {
            found.push((at + 1, name, length + 1));
        }
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    loop {
        if let Some(after) = rest.strip_prefix("fn ") {
            return after.split(|c: char| !c.is_alphanumeric() && c != '_').next();
        }
        let (word, after) = rest.split_once(' ')?;
        if !(word.starts_with("pub") || matches!(word, "async" | "const" | "unsafe" | "extern" | "\"C\"")) {
            return None;
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(lines: usize) -> String {
        format!(
            "impl A {{\n    pub(crate) async fn b(\n        c: D,\n    ) -> E {{\n{}    }}\n}}\n",
            "        f();\n".repeat(lines)
        )
    }

    #[test]
    fn functions_are_measured() {
        assert_eq!(functions(&function(3)), [(2, "b", 7)]);
        assert!(functions("fn a() {}\ntrait B {\n    fn c();\n}\n// fn d() {\n").is_empty());
        assert_eq!(functions("fn a<T>() -> T\nwhere\n    T: B,\n{\n    c()\n}\n"), [(1, "a", 6)]);
    }

    #[test]
    fn a_long_function_is_noticed() {
        assert!(check(&Tree::of(&[("a.rs", &function(96))])).is_empty());
        assert_eq!(check(&Tree::of(&[("a.rs", &function(97))])).len(), 1);
    }

    #[test]
    fn a_long_file_is_noticed_unless_excepted() {
        let text = "// a\n".repeat(601);
        let tree = Tree::of(&[("a.rs", &text)]);
        assert_eq!(check(&tree).len(), 1);
        let exception = |lines| [Exception { path: "a.rs", lines, reason: "for now" }];
        assert!(check_with(&tree, &exception(601)).is_empty());
        assert_eq!(check_with(&tree, &exception(700)).len(), 1, "exceptions may only shrink");
    }
}
