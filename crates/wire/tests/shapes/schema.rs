//! As much of JSON Schema as it takes to tell which names an object may have.

use serde_json::{Value, json};

/// Finds the schema that a document has for an object, by the object's own `type`.
pub(crate) type ByType = dyn Fn(&Value, &Value) -> Option<Value>;

/// The published contract has a schema for each `type`.
pub(crate) fn published(value: &Value, contract: &Value) -> Option<Value> {
    let name = value.get("type")?.as_str()?;
    // The contract has directories only as entries of a tree, and renders texts in place.
    let name = if name == "commit_directory" { "treeentry" } else { name };
    contract["components"]["schemas"].get(name).cloned()
}

/// A derived schema says itself where an object of a type belongs.
pub(crate) fn own(_: &Value, _: &Value) -> Option<Value> {
    None
}

/// The schemas that a schema is made of, references followed.
fn parts(schema: &Value, document: &Value) -> Vec<Value> {
    let mut found = vec![schema.clone()];
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = document.pointer(reference.trim_start_matches('#'));
        found.extend(parts(target.unwrap_or_else(|| panic!("{reference} leads nowhere")), document));
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        for part in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
            found.extend(parts(part, document));
        }
    }
    found
}

/// Whether a part may describe the value: its `type`, where it fixes one, is the value's.
fn may_describe(part: &Value, value: &Value) -> bool {
    let fixed = part.pointer("/properties/type/const");
    fixed.is_none() || fixed == value.get("type")
}

/// What is wrong with a value: names that no schema knows, each as a path that begins with the innermost object's
/// `type`, and names that are required and absent, with a `!` behind.
pub(crate) fn faults(value: &Value, schema: &Value, document: &Value, by_type: &ByType) -> Vec<String> {
    let mut found = Vec::new();
    walk(value, schema, document, by_type, "", &mut found);
    found
}

fn walk(
    value: &Value,
    schema: &Value,
    document: &Value,
    by_type: &ByType,
    at: &str,
    found: &mut Vec<String>,
) {
    match value {
        Value::Array(items) => {
            let inner: Vec<_> =
                parts(schema, document).iter().filter_map(|part| part.get("items").cloned()).collect();
            for item in items {
                walk(item, &json!({ "anyOf": inner }), document, by_type, at, found);
            }
        }
        Value::Object(map) => {
            let typed = by_type(value, document);
            let at = value.get("type").and_then(Value::as_str).unwrap_or(at);
            let mut known = parts(typed.as_ref().unwrap_or(schema), document);
            known.retain(|part| may_describe(part, value));
            let free = |part: &Value| {
                part == &json!(true) || part.get("additionalProperties").is_some_and(Value::is_object)
            };
            if known.iter().any(free) {
                return;
            }
            let required = known.iter().filter_map(|part| part.get("required")?.as_array()).flatten();
            let absent = required.filter_map(Value::as_str).filter(|name| !map.contains_key(*name));
            found.extend(absent.map(|name| format!("{at}.{name}!")));
            for (name, inner) in map {
                let path = format!("{at}.{name}");
                let schemas: Vec<_> =
                    known.iter().filter_map(|part| part.get("properties")?.get(name).cloned()).collect();
                if schemas.is_empty() {
                    found.push(path);
                } else {
                    walk(inner, &json!({ "anyOf": schemas }), document, by_type, &path, found);
                }
            }
        }
        _ => {}
    }
}
