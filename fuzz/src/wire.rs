//! Targets over `wire`: what stands in a URL or in a body.

use serde_json::json;
use wire::api::{
    CredentialCreate, MemberSet, Transfer, UserCreate, UserUpdate, WorkspaceCreate, WorkspaceUpdate,
};
use wire::{PageRequest, Parameters, Selection, body};

/// Every operator and kind of value.
pub const QUERIES: &[&str] = &[
    r#"name ~ "a\"b" AND (size > 10 OR size <= 1e3) AND is_private = true"#,
    r#"updated_on >= 2030-01-31T12:00:00+00:00 AND project.key != "A" AND language = null"#,
    r#"slug IN ("a", "b") AND NOT slug NOT IN ("c")"#,
    "((((a=1))))",
];

/// What follows `?`.
pub const PARAMETERS: &[&str] = &[
    "page=2&pagelen=100",
    "q=name%20%7E%20%22a%22&sort=-name&role=admin",
    "pagelen=0",
    "page=%zz&page=1&=&&",
];

/// A body for each shape.
pub const API_BODIES: &[&str] = &[
    r#"{"slug":"acme","name":"Acme"}"#,
    r#"{"username":"ann","email":"ann@example.com","display_name":"Ann","password":"x"}"#,
    r#"{"name":"ci","scopes":["repository:write"],"expires_on":"2030-01-31T12:00:00Z"}"#,
    r#"{"permission":"member"}"#,
    r#"{"project":"PROJ"}"#,
];

/// A query is parsed, or refused, in bounded depth.
pub fn query(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = wire::query::parse(text);
    }
}

/// Selecting fields never fails, and never adds what neither object has.
pub fn fields(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(selection) = Selection::parse(text) {
        let default = json!({"values": [{"name": "a", "links": {"self": {"href": "h"}}}], "size": 1});
        let wider = json!({"values": [{"name": "a", "owner": {"name": "o"}}], "size": 1});
        let shown = selection.apply(default, Some(&wider));
        assert!(shown.is_object());
    }
}

/// Only known fields sort.
pub fn sort(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = wire::sort::parse(text, &["name", "updated_on", "project.key"]);
    }
}

/// Parameters and pages stay within their bounds.
pub fn parameters(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(parameters) = Parameters::parse(text) {
        let _ = PageRequest::list(&parameters).map(|page| page.offset());
        let _ = PageRequest::walk(&parameters);
    }
}

/// Bodies are read, or refused with a reason, whatever they hold.
pub fn api_body(data: &[u8]) {
    let _ = body::read::<WorkspaceCreate>(data);
    let _ = body::read::<WorkspaceUpdate>(data);
    let _ = body::read::<UserCreate>(data);
    let _ = body::read::<UserUpdate>(data);
    let _ = body::read::<CredentialCreate>(data);
    let _ = body::read::<MemberSet>(data);
    let _ = body::read::<Transfer>(data);
}
