//! The code map: ARCHITECTURE.md names every crate, and no path that is not there.

use super::Tree;

const MAP: &str = "ARCHITECTURE.md";

/// Complaints about the map.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let Some(map) = tree.text(MAP) else { return vec![format!("{MAP} is missing")] };
    let mut complaints = Vec::new();
    for name in tree.crates() {
        // As `name/` in the list of folders, `crates/name` in a path, or in backticks.
        let forms = [format!(" {name}/"), format!("crates/{name}"), format!("`{name}`")];
        if !forms.iter().any(|form| map.contains(form)) {
            complaints.push(format!("{MAP} does not name the crate {name}"));
        }
    }
    for path in paths(map) {
        if !tree.has(path) {
            complaints.push(format!("{MAP} mentions `{path}`, which is not there"));
        }
    }
    complaints
}

/// Everything that looks like a path of the tree.
fn paths(map: &str) -> impl Iterator<Item = &str> {
    let part_of_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.');
    map.split(move |c: char| !part_of_path(c)).map(|word| word.trim_end_matches(['.', '/'])).filter(|word| {
        ["crates/", "docs/", "xtask/", "fuzz/", "tests/"].iter().any(|top| word.starts_with(top))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(map: &str) -> Vec<String> {
        check(&Tree::of(&[(MAP, map), ("crates/model/Cargo.toml", ""), ("crates/model/src/id.rs", "")]))
    }

    #[test]
    fn a_map_that_fits_is_accepted() {
        assert!(complaints("Ids are in `crates/model/src/id.rs`.").is_empty());
        assert!(complaints("crates/\n  model/  the vocabulary").is_empty());
    }

    #[test]
    fn a_crate_that_is_not_on_the_map_is_noticed() {
        assert_eq!(
            complaints("Nothing here but a remodel/ing."),
            ["ARCHITECTURE.md does not name the crate model"]
        );
        assert_eq!(check(&Tree::of(&[])).len(), 1);
    }

    #[test]
    fn a_path_that_is_gone_is_noticed() {
        assert_eq!(complaints("See crates/model/src/slug.rs.").len(), 1);
    }
}
