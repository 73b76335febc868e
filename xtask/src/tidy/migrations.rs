//! Migrations: `NNNN_name.sql`, numbered from one without a gap, each name once.

use std::collections::BTreeSet;

use super::Tree;

const FOLDER: &str = "crates/store/migrations/";

/// Complaints about the folder.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut names = BTreeSet::new();
    let mut next = 1u32;
    for (path, text) in tree.matching(FOLDER, "") {
        let file = path.strip_prefix(FOLDER).unwrap_or(path);
        let parts = file.strip_suffix(".sql").and_then(|stem| stem.split_once('_'));
        let Some((number, name)) = parts.filter(|(number, _)| number.len() == 4) else {
            complaints.push(format!("{path} is not of the form NNNN_name.sql"));
            continue;
        };
        if number.parse() != Ok(next) {
            complaints.push(format!("{path} stands where number {next:04} belongs"));
        }
        if !names.insert(name) {
            complaints.push(format!("{path} has the name of another migration"));
        }
        if text.trim().is_empty() {
            complaints.push(format!("{path} is empty"));
        }
        next += 1;
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(files: &[&str]) -> Vec<String> {
        let paths: Vec<String> = files.iter().map(|file| format!("{FOLDER}{file}")).collect();
        let files: Vec<(&str, &str)> =
            paths.iter().map(|path| (path.as_str(), "CREATE TABLE t (a TEXT);")).collect();
        check(&Tree::of(&files))
    }

    #[test]
    fn consecutive_numbers_are_accepted() {
        assert!(complaints(&["0001_foundation.sql", "0002_access.sql"]).is_empty());
    }

    #[test]
    fn each_break_is_noticed() {
        assert_eq!(complaints(&["0001_a.sql", "0003_b.sql"]).len(), 1);
        assert_eq!(complaints(&["0001_a.sql", "0001_b.sql"]).len(), 1);
        assert_eq!(complaints(&["0001_a.sql", "0002_a.sql"]).len(), 1);
        assert_eq!(complaints(&["1_a.sql"]).len(), 1);
        assert_eq!(complaints(&["README.md"]).len(), 1);
        assert_eq!(check(&Tree::of(&[("crates/store/migrations/0001_a.sql", " \n")])).len(), 1);
    }
}
