//! Layers: which crate may name which, compared with the manifests.

use toml::{Table, Value};

use super::Tree;

/// From the ground up. A crate may name only crates that stand before it.
const ORDER: &[&str] = &[
    "model",
    "wire",
    "pages",
    "keyring",
    "ledger",
    "scan",
    "governance",
    "pipeline",
    "policy",
    "prover",
    "git",
    "store",
    "service",
    "runner",
    "server",
    "testkit",
];

/// Crates that may name less than stands before them.
const ONLY: &[(&str, &[&str])] = &[
    ("wire", &["model"]),
    ("pages", &["model"]),
    ("keyring", &["model"]),
    ("ledger", &["model"]),
    ("git", &["model"]),
    ("runner", &["model", "wire", "pipeline"]),
];

/// What handlers must not be able to reach around the use cases for.
const NEVER: &[(&str, &[&str])] = &[("server", &["store", "git"])];

/// No input, no output: rules and shapes that can be tested, and proved, without a world around them.
const PURE: &[&str] = &["model", "wire", "pages", "policy", "pipeline", "governance", "scan", "ledger"];

/// Crates whose presence means input and output.
const WORLD: &[&str] = &["tokio", "axum", "hyper", "hyper-util", "reqwest"];

/// Database drivers, and who may have them.
const DRIVERS: &[&str] =
    &["rusqlite", "libsqlite3-sys", "postgres", "tokio-postgres", "tokio-postgres-rustls", "sqlx", "diesel"];
const DRIVEN: &[&str] = &["store", "testkit"];

/// One complaint for each dependency that should not exist.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for name in tree.crates() {
        let path = format!("crates/{name}/Cargo.toml");
        let text = tree.text(&path).unwrap_or_default();
        match text.parse::<Table>() {
            Ok(manifest) => check_crate(name, &manifest, &mut complaints),
            Err(error) => complaints.push(format!("{path}: {error}")),
        }
    }
    complaints
}

fn check_crate(name: &str, manifest: &Table, complaints: &mut Vec<String>) {
    let Some(place) = ORDER.iter().position(|known| *known == name) else {
        complaints.push(format!("crates/{name} has no place in the order of layers: give it one"));
        return;
    };
    for dependency in &dependencies(manifest) {
        let dependency = dependency.as_str();
        let at = ORDER.iter().position(|known| *known == dependency);
        let listed = |list: &[(&str, &[&str])], otherwise: bool| {
            let row = list.iter().find(|(of, _)| *of == name);
            row.map_or(otherwise, |(_, names)| names.contains(&dependency))
        };
        if at.is_some_and(|at| at > place) {
            complaints.push(format!("{name} names {dependency}, which is not below it"));
        } else if at.is_some() && (!listed(ONLY, true) || listed(NEVER, false)) {
            complaints.push(format!("{name} names {dependency}, which it must not know"));
        }
        if DRIVERS.contains(&dependency) && !DRIVEN.contains(&name) {
            complaints.push(format!("{name} names the driver {dependency}: SQL belongs to store"));
        }
        if WORLD.contains(&dependency) && PURE.contains(&name) {
            complaints.push(format!("{name} names {dependency}, but has no input and no output"));
        }
    }
}

/// What the tests of any crate may use.
const TESTS: &str = "testkit";

/// The names under `dependencies`, `dev-dependencies` and `build-dependencies`, those of `target.…` included, but for what
/// tests are written with.
fn dependencies(manifest: &Table) -> Vec<String> {
    const SECTIONS: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];
    let targets = manifest.get("target").and_then(Value::as_table);
    let targets = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
    let mut names = Vec::new();
    for table in std::iter::once(manifest).chain(targets) {
        for section in SECTIONS {
            for (key, value) in table.get(*section).and_then(Value::as_table).into_iter().flatten() {
                // A renamed dependency is known by the name of its package.
                let name = value.get("package").and_then(Value::as_str).unwrap_or(key);
                if (*section, name) != ("dev-dependencies", TESTS) {
                    names.push(name.to_owned());
                }
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(name: &str, dependencies: &str) -> Vec<String> {
        let path = format!("crates/{name}/Cargo.toml");
        check(&Tree::of(&[(&path, dependencies)]))
    }

    #[test]
    fn the_order_as_it_is_meant_is_accepted() {
        assert!(complaints("store", "[dependencies]\nmodel = {}\npolicy = {}\nrusqlite = {}").is_empty());
        assert!(complaints("server", "[dependencies]\nservice = {}\naxum = {}").is_empty());
        assert!(complaints("testkit", "[dependencies]\nstore = {}\npostgres = {}").is_empty());
        assert!(complaints("store", "[dev-dependencies]\ntestkit = {}").is_empty());
    }

    #[test]
    fn each_break_is_noticed() {
        for (name, manifest) in [
            ("policy", "[dependencies]\nstore = {}"),
            ("store", "[dev-dependencies]\nservice = {}"),
            ("store", "[dependencies]\ntestkit = {}"),
            ("server", "[dependencies]\nstore = {}"),
            ("server", "[dependencies]\ngit = {}"),
            ("server", "[dependencies]\nsql = { package = \"rusqlite\" }"),
            ("git", "[dependencies]\npolicy = {}"),
            ("model", "[target.'cfg(unix)'.dependencies]\ntokio = {}"),
            ("service", "[dependencies]\npostgres = {}"),
            ("common", "[dependencies]"),
            ("wire", "[build-dependencies]\nhyper = {}"),
            ("model", "not toml"),
        ] {
            assert_eq!(complaints(name, manifest).len(), 1, "{name}: {manifest}");
        }
    }
}
