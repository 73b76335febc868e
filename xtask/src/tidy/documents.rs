//! Documents: the commands that README.md and CONTRIBUTING.md tell people to run exist.

use std::path::PathBuf;

use super::Tree;
use crate::process;

const DOCUMENTS: &[&str] = &["README.md", "CONTRIBUTING.md"];

/// Complaints about commands. Those of `bastide` are asked of the program itself, where it has been built.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let program = built();
    let knows = |words: &[&str]| match &program {
        Some(program) => {
            let program = program.display().to_string();
            process::output(process::command(&program, words).arg("--help")).is_ok()
        }
        None => true,
    };
    let mut complaints = check_xtask(tree);
    complaints.extend(check_bastide(tree, knows));
    complaints
}

fn check_xtask(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, words) in commands(tree, "cargo xtask ") {
        let Some(command) = words.first() else { continue };
        let known = crate::HELP.lines().any(|line| line.trim_start().split(' ').next() == Some(command));
        if !known {
            complaints.push(format!("{path}: there is no `cargo xtask {command}`"));
        }
    }
    complaints
}

fn check_bastide(tree: &Tree, knows: impl Fn(&[&str]) -> bool) -> Vec<String> {
    let commands = commands(tree, "bastide ");
    let unknown = commands.into_iter().filter(|(_, words)| !words.is_empty() && !knows(words));
    unknown.map(|(path, words)| format!("{path}: there is no `bastide {}`", words.join(" "))).collect()
}

/// The commands in code, by their subcommands: `bastide admin init --data x` gives `admin`, `init`.
fn commands<'a>(tree: &'a Tree, program: &str) -> Vec<(&'static str, Vec<&'a str>)> {
    let mut found = Vec::new();
    for path in DOCUMENTS {
        let text = tree.text(path).unwrap_or_default();
        let mut fenced = false;
        for line in text.lines() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
                continue;
            }
            let pieces: Vec<&str> = if fenced {
                vec![line.trim().trim_start_matches("$ ").trim_start_matches("./")]
            } else {
                line.split('`').skip(1).step_by(2).collect()
            };
            for rest in pieces.iter().filter_map(|piece| piece.strip_prefix(program)) {
                let subcommand = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
                let words = rest.split_whitespace().take_while(subcommand);
                found.push((*path, words.take_while(|word| !word.starts_with('-')).collect()));
            }
        }
    }
    found
}

fn built() -> Option<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), PathBuf::from);
    Some(target.join("debug/bastide")).filter(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "Run `bastide serve --data x`, then:\n\n```sh\n$ bastide admin init --username ann\ncargo xtask tidy\n```\nA bastide was a town.\n";

    #[test]
    fn commands_are_found_in_code_alone() {
        let tree = Tree::of(&[("README.md", README)]);
        let found: Vec<_> = commands(&tree, "bastide ").into_iter().map(|(_, words)| words).collect();
        assert_eq!(found, [vec!["serve"], vec!["admin", "init"]]);
    }

    #[test]
    fn a_command_that_does_not_exist_is_noticed() {
        let tree = Tree::of(&[("README.md", README), ("CONTRIBUTING.md", "`cargo xtask deploy`")]);
        assert_eq!(check_xtask(&tree), ["CONTRIBUTING.md: there is no `cargo xtask deploy`"]);
        let complaints = check_bastide(&tree, |words| words == ["serve"]);
        assert_eq!(complaints, ["README.md: there is no `bastide admin init`"]);
    }
}
