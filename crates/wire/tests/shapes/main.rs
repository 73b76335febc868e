//! Holds every shape that is sent against the two documents that describe it: the schema it derives, from which our
//! OpenAPI document is generated, and the contract that Bitbucket publishes.
//!
//! The second is not part of this repository: it runs where `BASTIDE_SHARED` names the folder that holds
//! `reference/bitbucket-cloud-openapi.json`.

#[cfg(test)]
mod samples;
#[cfg(test)]
mod schema;

use std::collections::BTreeSet;

use serde_json::Value;

/// What is sent though the published schema has no word for it, and why.
const BEYOND_THE_CONTRACT: &[(&str, &str)] = &[
    ("commit.links", "the service sends them"),
    ("commit.rendered", "the service sends it, and older clients look for it"),
    ("commit_directory.links", "the service sends them"),
    ("commit_file.links", "the service sends them"),
    ("commit_file.mimetype", "the service sends it"),
    ("commit_file.size", "the service sends it"),
    ("error.error.data.code", "the contract leaves the names in `data` open"),
    ("error.error.data.request_id", "the contract leaves the names in `data` open"),
    ("error.error.detail.granted", "the service sends an object for a missing scope"),
    ("error.error.detail.required", "the service sends an object for a missing scope"),
    ("error.error.fields", "the contract's chapter on errors has it, the schema does not"),
    ("error.error.id", "the contract's chapter on errors has it, the schema does not"),
    ("project.links.repositories", "the service sends it"),
    ("project.links.self", "the service sends it, and clients follow it"),
    ("project.workspace", "the service sends it"),
    ("rendered.type", "the service sends it"),
    ("repository.links.branches", "the service sends it"),
    ("repository.links.source", "the service sends it"),
    ("repository.links.tags", "the service sends it"),
    ("repository.slug", "the service sends it, and clients build addresses from it"),
    ("repository.workspace", "the service sends it, and clients build addresses from it"),
    ("team.username", "the service sends it"),
    ("user.username", "the service sends it to the account itself; git credential helpers ask for it"),
    ("workspace_membership.added_on", "the contract's text has it, the schema does not"),
    ("workspace_membership.permission", "the contract's examples have it, the schema does not"),
];

#[test]
fn every_shape_fits_the_schema_it_derives() {
    for sample in samples::all() {
        let found = schema::faults(&sample.value, &sample.schema, &sample.schema, &schema::own);
        assert!(found.is_empty(), "{}: the derived schema has otherwise: {found:#?}", sample.name);
    }
}

/// The checker itself: without this, a walk that sees nothing would pass.
#[test]
fn a_name_too_many_and_one_too_few_are_found() {
    for sample in samples::all() {
        let mut value = sample.value.clone();
        let map = value.as_object_mut().unwrap();
        map.insert("surplus".to_owned(), Value::Null);
        let gone = [
            "uuid",
            "name",
            "hash",
            "values",
            "error",
            "decision",
            "administrator",
            "status",
            "links",
            "permission",
        ];
        let gone = gone.into_iter().find(|name| map.remove(*name).is_some());
        let found = schema::faults(&value, &sample.schema, &sample.schema, &schema::own);
        assert!(found.iter().any(|fault| fault.ends_with(".surplus")), "{}: {found:?}", sample.name);
        let gone = gone.unwrap_or_else(|| panic!("{}: nothing to remove", sample.name));
        assert!(
            found.iter().any(|fault| fault.ends_with(&format!(".{gone}!"))),
            "{}: {found:?}",
            sample.name
        );
    }
}

#[test]
fn every_body_derives_a_schema() {
    for (name, schema) in samples::bodies() {
        let properties = schema.get("properties").and_then(Value::as_object);
        assert!(properties.is_some_and(|map| !map.is_empty()), "{name}: {schema}");
        // What `/api` reads, it reads strictly.
        let strict = schema.get("additionalProperties") == Some(&Value::Bool(false));
        assert_eq!(strict, name.starts_with("api "), "{name}");
    }
}

#[test]
fn every_shape_fits_the_published_contract() {
    let Ok(shared) = std::env::var("BASTIDE_SHARED") else {
        println!("did not run: BASTIDE_SHARED does not name the folder with the published contract");
        return;
    };
    let path = format!("{shared}/reference/bitbucket-cloud-openapi.json");
    let contract: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut found = BTreeSet::new();
    for sample in samples::all().into_iter().filter(|sample| sample.published) {
        let by_type = schema::published(&sample.value, &contract);
        assert!(by_type.is_some(), "{}: the contract has no such type", sample.name);
        found.extend(schema::faults(&sample.value, &by_type.unwrap(), &contract, &schema::published));
    }
    let listed: BTreeSet<String> = BEYOND_THE_CONTRACT.iter().map(|(path, _)| (*path).to_owned()).collect();
    let more: Vec<_> = found.difference(&listed).collect();
    assert!(more.is_empty(), "sent, but neither published nor listed here: {more:#?}");
    let stale: Vec<_> = listed.difference(&found).collect();
    assert!(stale.is_empty(), "listed here, but not needed: {stale:#?}");
}
