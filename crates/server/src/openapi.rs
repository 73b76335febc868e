//! The description of `/api` in OpenAPI 3.1, made from the route table and the schemas of the wire types. The
//! published interface is not described here: its contract is its own.

use std::sync::OnceLock;

use axum::http::StatusCode;
use model::Result;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::http::{Cx, Response, answer};
use crate::route::{Credentials, Method, ROUTES, Route, Visibility};

/// The version of OpenAPI that the description is written in.
const OPENAPI: &str = "3.1.1";

type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What goes in and out of an operation.
#[derive(Clone, Copy, Default)]
struct Shapes {
    request: Option<Shape>,
    answer: Option<Shape>,
}

/// The shapes of each operation's bodies; an operation that is not named has none.
fn shapes(_operation: &str) -> Shapes {
    Shapes::default()
}

/// Answers `GET /api/openapi.json`. The description does not change while the server runs.
///
/// # Errors
/// When it cannot be written: a failure of ours.
pub async fn serve(cx: Cx) -> Result<Response> {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| document(&cx.app.settings.base_url));
    answer::json(StatusCode::OK, document)
}

/// The description of an installation that is known by `base_url`.
#[must_use]
pub fn document(base_url: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let failure = generator.subschema_for::<wire::Envelope>();
    let mut paths = Map::new();
    for route in ROUTES.iter().filter(|route| route.is_api()) {
        let methods = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            let operation = operation(route, shapes(route.operation), &failure, &mut generator);
            methods.insert(route.method.as_str().to_lowercase(), operation);
        }
    }
    json!({
        "openapi": OPENAPI,
        "info": {
            "title": "Bastide",
            "description": "What Bastide adds to the interface it shares with Bitbucket Cloud.",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "servers": [{ "url": base_url }],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "A user's e-mail address and an API token, or the account's password.",
                },
            },
        },
    })
}

fn operation(route: &Route, shapes: Shapes, failure: &Schema, generator: &mut SchemaGenerator) -> Value {
    let mut operation = Map::new();
    operation.insert("operationId".to_owned(), json!(route.operation.trim_start_matches("api_")));
    operation.insert("tags".to_owned(), json!([route.tag]));
    let parameters: Vec<Value> = parameters(route.path).map(parameter).collect();
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), json!(parameters));
    }
    if let Some(shape) = shapes.request {
        let content = json!({ "application/json": { "schema": shape(generator) } });
        operation.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    }
    let (status, meaning) = success(route.method);
    let mut done = json!({ "description": meaning });
    if let (Some(shape), Some(done)) = (shapes.answer, done.as_object_mut()) {
        done.insert("content".to_owned(), json!({ "application/json": { "schema": shape(generator) } }));
    }
    let failed = json!({
        "description": "Refused or failed; `error.data.code` says why.",
        "content": { "application/json": { "schema": failure } },
    });
    let responses = Map::from_iter([(status.to_owned(), done), ("default".to_owned(), failed)]);
    operation.insert("responses".to_owned(), Value::Object(responses));
    // OpenAPI has no scopes for credentials sent by Basic, so they stand beside.
    let scopes: Vec<&str> = route.flat.split_ascii_whitespace().collect();
    let open = route.visibility == Visibility::Public || route.credentials == Credentials::NONE;
    let security = if open { json!([]) } else { json!([{ "basic": [] }]) };
    operation.insert("security".to_owned(), security);
    operation.insert("x-bastide-scopes".to_owned(), json!(scopes));
    operation.insert("x-bastide-action".to_owned(), json!(route.action.as_str()));
    Value::Object(operation)
}

/// The names in braces.
fn parameters(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn parameter(name: &str) -> Value {
    json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
}

fn success(method: Method) -> (&'static str, &'static str) {
    match method {
        Method::Get | Method::Put => ("200", "What was asked for, or what it became."),
        Method::Post => ("201", "What was made or done."),
        Method::Delete => ("204", "It is gone."),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_row_of_api_is_described_and_nothing_else() {
        let document = document("https://git.example.org");
        let described: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
            })
            .collect();
        let rows = ROUTES.iter().filter(|route| route.is_api());
        let rows: BTreeSet<_> =
            rows.map(|route| (route.method.as_str().to_owned(), route.path.to_owned())).collect();
        assert_eq!(described, rows);
        assert!(rows.len() > 30);
    }

    /// Would catch a shape that is referred to and not there.
    #[test]
    fn every_reference_leads_somewhere() {
        let document = document("https://git.example.org");
        let text = document.to_string();
        let mut references = 0;
        for part in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
            references += 1;
        }
        assert!(references > 30);
    }
}
