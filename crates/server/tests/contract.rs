//! Holds the route table against the published contract: every operation has its row, with the contract's scopes, and
//! no row of version 2.0 is invented. Runs where `BASTIDE_SHARED` names the directory that has the contract.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use server::route::ROUTES;

type Operations = BTreeMap<(String, String), (BTreeSet<String>, BTreeSet<String>)>;

/// A path without the names of its parameters, which are not seen on the wire. A segment with several parameters is
/// one to the table.
fn shape(path: &str) -> String {
    let segment = |part: &str| if part.contains('{') { "{}".to_owned() } else { part.to_owned() };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

fn words(list: Option<&Value>) -> BTreeSet<String> {
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|scope| scope.as_str().map(str::to_owned))
        .collect()
}

fn published(contract: &Value) -> Operations {
    let mut operations = Operations::new();
    for (path, methods) in contract["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if method == "parameters" {
                continue;
            }
            let schemes = operation["security"].as_array();
            let classic = schemes.and_then(|schemes| schemes.iter().find_map(|scheme| scheme.get("oauth2")));
            let flat = operation["x-atlassian-oauth2-scopes"][0].get("scopes");
            let key = (method.to_uppercase(), shape(&format!("/2.0{path}")));
            assert!(operations.insert(key, (words(classic), words(flat))).is_none(), "{method} {path}");
        }
    }
    operations
}

#[test]
fn the_table_is_the_published_contract() {
    let Ok(shared) = std::env::var("BASTIDE_SHARED") else {
        eprintln!(
            "not run: set BASTIDE_SHARED to the directory that has reference/bitbucket-cloud-openapi.json"
        );
        return;
    };
    let path = Path::new(&shared).join("reference/bitbucket-cloud-openapi.json");
    let contract: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut published = published(&contract);
    assert!(published.len() > 300);

    let set = |text: &str| text.split_ascii_whitespace().map(str::to_owned).collect::<BTreeSet<_>>();
    for route in ROUTES.iter().filter(|route| route.path.starts_with("/2.0/")) {
        let key = (route.method.as_str().to_owned(), shape(route.path));
        let (classic, flat) = published.remove(&key).unwrap_or_else(|| panic!("not published: {key:?}"));
        assert_eq!(set(route.classic), classic, "{key:?}");
        if !flat.is_empty() {
            assert_eq!(set(route.flat), flat, "{key:?}");
        }
    }
    assert!(published.is_empty(), "without a row: {:?}", published.keys());
}
