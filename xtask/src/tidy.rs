//! `cargo xtask tidy`: what holds by agreement rather than by the compiler, compared with the tree.
//!
//! Each check is a function from the tree to a list of complaints, and has a test that breaks its rule on purpose.

mod code_map;
mod documents;
mod layers;
mod migrations;
mod sizes;
mod words;

use std::collections::BTreeMap;

use crate::{Result, process};

/// A check: its name, and what it says of a tree.
type Check = (&'static str, fn(&Tree) -> Vec<String>);

const CHECKS: &[Check] = &[
    ("layers", layers::check),
    ("code map", code_map::check),
    ("migrations", migrations::check),
    ("sizes", sizes::check),
    ("words", words::check),
    ("documents", documents::check),
];

/// The text files of the source tree that git knows or would take, by path.
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads it. New files count before they are committed; ignored ones never.
    fn read() -> Result<Self> {
        let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let list = process::output(&mut process::command("git", &list))?;
        let mut files = BTreeMap::new();
        for path in list.split('\0').filter(|path| !path.is_empty()) {
            // A file that was removed but not yet from the index has no text, and neither has an image.
            if let Ok(text) = std::fs::read_to_string(crate::root().join(path)) {
                files.insert(path.to_owned(), text);
            }
        }
        Ok(Self { files })
    }

    #[cfg(test)]
    fn of(files: &[(&str, &str)]) -> Self {
        let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Self { files: files.iter().map(owned).collect() }
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// The files whose paths begin and end so.
    fn matching<'a>(&'a self, start: &'a str, end: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let files = self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        files.filter(move |(path, _)| path.starts_with(start) && path.ends_with(end))
    }

    /// Whether a file or folder of this path is in the tree.
    fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let below = format!("{path}/");
        self.files.contains_key(path) || self.files.keys().any(|file| file.starts_with(&below))
    }

    /// The folders right below `crates`.
    fn crates(&self) -> Vec<&str> {
        let manifests = self.matching("crates/", "/Cargo.toml");
        manifests.filter_map(|(path, _)| path.split('/').nth(1)).collect()
    }
}

/// Runs all checks and prints their complaints.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::only(arguments, &[])?;
    let tree = Tree::read()?;
    let mut complaints = 0usize;
    for (name, check) in CHECKS {
        let found = check(&tree);
        for complaint in &found {
            println!("{name}: {complaint}");
        }
        complaints += found.len();
    }
    if complaints > 0 {
        return Err(format!("{complaints} things are untidy").into());
    }
    println!("{} checks over {} files: nothing to complain about", CHECKS.len(), tree.files.len());
    Ok(())
}
