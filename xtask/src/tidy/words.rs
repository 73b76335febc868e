//! Words that do not belong in the tree: unfinished code, tests that do not run, modules without a noun, and the
//! folders of whoever built it.

use super::Tree;

/// Module and crate names that say nothing.
const NO_NOUNS: &[&str] = &["common", "utils", "util", "helpers", "helper", "misc", "manager"];

/// What must not stand in Rust code. Written in two parts, so that this file may be searched too.
const IN_CODE: &[(&str, &str)] = &[
    (concat!("to", "do!("), "finish it, or leave it out"),
    (concat!("unim", "plemented!("), "finish it, or leave it out"),
    (concat!("#[ig", "nore"), "a test that does not run proves nothing"),
];

/// Complaints about words.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let here = crate::root().display().to_string();
    // A checkout right below the root of the file system would be found in too many innocent texts.
    let here = if here.matches('/').count() > 1 { Some(format!("{here}/")) } else { None };
    let machine = [here.as_deref(), Some(concat!("/.car", "go/registry")), Some(concat!("/ro", "ot/"))];
    let mut complaints = Vec::new();
    for (path, text) in tree.matching("", "") {
        let nouns = path.split('/').map(|part| part.strip_suffix(".rs").unwrap_or(part));
        for noun in nouns.filter(|noun| NO_NOUNS.contains(noun)) {
            complaints.push(format!("{path}: `{noun}` is not the name of anything"));
        }
        for (number, line) in text.lines().enumerate() {
            let at = number + 1;
            for word in machine.iter().flatten().filter(|word| line.contains(**word)) {
                complaints.push(format!("{path}:{at}: `{word}` is a path of the machine that built it"));
            }
            if path.ends_with(".rs") {
                for (word, advice) in IN_CODE.iter().filter(|(word, _)| line.contains(word)) {
                    complaints.push(format!("{path}:{at}: `{word}`: {advice}"));
                }
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_noticed() {
        for (path, text) in [
            ("a.rs", concat!("    to", "do!()")),
            ("a.rs", concat!("#[ig", "nore]")),
            ("a.rs", concat!("#[ig", "nore = \"slow\"]")),
            ("crates/store/src/utils.rs", ""),
            ("crates/common/src/lib.rs", ""),
            ("docs/a.md", concat!("see /ro", "ot/notes")),
            ("docs/a.md", concat!("/x/.car", "go/registry/src")),
        ] {
            assert_eq!(check(&Tree::of(&[(path, text)])).len(), 1, "{path}: {text}");
        }
        let here = format!("{}/src", crate::root().display());
        assert!(!check(&Tree::of(&[("docs/a.md", &here)])).is_empty());
    }

    #[test]
    fn innocent_texts_are_left_alone() {
        let tree =
            Tree::of(&[("crates/git/src/common_dir.rs", "// what is left to do\n"), ("README.md", "todo")]);
        assert!(check(&tree).is_empty());
    }
}
