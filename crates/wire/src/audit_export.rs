//! Audit events in the forms that other programs import: CSV and OCSF. `docs/audit.md` has the table of classes.

use model::{AuditEvent, Outcome};
use serde_json::{Map, Value, json};

/// The columns of a CSV export.
pub const CSV_HEADER: &str = "time,id,request_id,actor,actor_id,credential,address,action,resource,resource_id,\
workspace_id,outcome,reasons,before,after\r\n";

/// The version of the schema that [`ocsf`] writes.
pub const OCSF_VERSION: &str = "1.3.0";

/// An event as a row of CSV (RFC 4180), with its line's end. Spreadsheets run what looks like a formula, and names are
/// chosen by people: such a cell begins with an apostrophe.
#[must_use]
pub fn csv(event: &AuditEvent) -> String {
    let json = |value: &Value| if value.is_null() { String::new() } else { value.to_string() };
    let cells = [
        event.time.to_string(),
        event.id.to_string(),
        event.request_id.to_string(),
        event.actor.clone(),
        event.actor_id.clone().unwrap_or_default(),
        event.credential.clone().unwrap_or_default(),
        event.address.clone().unwrap_or_default(),
        event.action.clone(),
        event.resource.clone(),
        event.resource_id.clone(),
        event.workspace_id.clone().unwrap_or_default(),
        event.outcome.as_str().to_owned(),
        event.reasons.join(" "),
        json(&event.before),
        json(&event.after),
    ];
    let mut row = cells.iter().map(|text| cell(text)).collect::<Vec<_>>().join(",");
    row.push_str("\r\n");
    row
}

fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '|', '%']);
    let text = text.replace('"', "\"\"");
    format!("\"{}{text}\"", if formula { "'" } else { "" })
}

/// A class of OCSF and what was done in its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Class {
    category: (u32, &'static str),
    class: (u32, &'static str),
    activity: (u32, &'static str),
}

const IAM: (u32, &str) = (3, "Identity & Access Management");
const APPLICATION: (u32, &str) = (6, "Application Activity");
const ACCOUNT_CHANGE: (u32, &str) = (3001, "Account Change");
const USER_ACCESS: (u32, &str) = (3005, "User Access Management");
const GROUP: (u32, &str) = (3006, "Group Management");
const API_ACTIVITY: (u32, &str) = (6003, "API Activity");

/// The class of an action. What is not about accounts, permissions or groups is API activity.
fn class_of(action: &str) -> Class {
    let iam = |class, id, name| Class { category: IAM, class, activity: (id, name) };
    let (noun, verb) = action.split_once('.').unwrap_or((action, ""));
    match (noun, verb) {
        ("user", "create") => iam(ACCOUNT_CHANGE, 1, "Create"),
        ("user", "delete") => iam(ACCOUNT_CHANGE, 6, "Delete"),
        ("user" | "account", "update") => iam(ACCOUNT_CHANGE, 99, "Update"),
        ("credential", "create") => iam(ACCOUNT_CHANGE, 99, "Credential created"),
        ("credential", "revoke") => iam(ACCOUNT_CHANGE, 99, "Credential revoked"),
        ("grant" | "member", "set") | ("access-token", "create") => iam(USER_ACCESS, 1, "Assign Privileges"),
        ("grant" | "member", "remove") | ("access-token", "revoke") => {
            iam(USER_ACCESS, 2, "Revoke Privileges")
        }
        ("group", "member-add") => iam(GROUP, 3, "Add User"),
        ("group", "member-remove") => iam(GROUP, 4, "Remove User"),
        ("group", "delete") => iam(GROUP, 5, "Delete"),
        ("group", "create") => iam(GROUP, 6, "Create"),
        ("group", "update") => iam(GROUP, 99, "Update"),
        _ => Class { category: APPLICATION, class: API_ACTIVITY, activity: api_activity(verb) },
    }
}

fn api_activity(verb: &str) -> (u32, &'static str) {
    match verb {
        "create" | "restore" => (1, "Create"),
        "read" | "list" | "clone" | "inspect" | "export" => (2, "Read"),
        "delete" | "revoke" | "remove" => (4, "Delete"),
        _ => (3, "Update"),
    }
}

/// An event as an object of OCSF.
#[must_use]
pub fn ocsf(event: &AuditEvent) -> Value {
    let Class { category, class, activity } = class_of(&event.action);
    let refused = event.outcome == Outcome::Refused;
    let mut user = Map::from_iter([("name".to_owned(), json!(event.actor))]);
    if let Some(id) = &event.actor_id {
        user.insert("uid".to_owned(), json!(id));
    }
    if let Some(credential) = &event.credential {
        user.insert("credential_uid".to_owned(), json!(credential));
    }
    let on = json!({ "name": event.resource, "uid": event.resource_id, "type": event.resource_id.split(':').next() });
    let mut object = json!({
        "category_uid": category.0,
        "category_name": category.1,
        "class_uid": class.0,
        "class_name": class.1,
        "activity_id": activity.0,
        "activity_name": activity.1,
        "type_uid": class.0.saturating_mul(100).saturating_add(activity.0),
        "severity_id": if refused { 2 } else { 1 },
        "severity": if refused { "Low" } else { "Informational" },
        "time": event.time.micros().div_euclid(1_000),
        "status_id": if refused { 2 } else { 1 },
        "status": if refused { "Failure" } else { "Success" },
        "status_detail": event.reasons.join(" "),
        "metadata": {
            "version": OCSF_VERSION,
            "uid": event.id,
            "correlation_uid": event.request_id,
            "product": { "name": "Bastide", "vendor_name": "Bastide", "version": env!("CARGO_PKG_VERSION") },
        },
        "actor": { "user": user },
        "src_endpoint": event.address.as_ref().map_or_else(|| json!({ "name": "local" }), |ip| json!({ "ip": ip })),
        "unmapped": { "workspace_id": event.workspace_id, "before": event.before, "after": event.after },
    });
    let more = match class {
        ACCOUNT_CHANGE => vec![("user", json!({ "name": event.resource, "uid": event.resource_id }))],
        USER_ACCESS => {
            vec![("user", subject(event)), ("privileges", json!(privileges(event))), ("resource", on)]
        }
        GROUP => vec![("group", group(event)), ("resource", on)],
        _ => vec![
            ("api", json!({ "operation": event.action, "request": { "uid": event.request_id } })),
            ("resources", json!([on])),
        ],
    };
    if let Some(fields) = object.as_object_mut() {
        fields.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    object
}

/// A field of the state after, or else before: what a grant or a group's event tells of its subject.
fn told<'a>(event: &'a AuditEvent, names: &[&str]) -> Option<&'a Value> {
    [&event.after, &event.before]
        .into_iter()
        .find_map(|state| names.iter().find_map(|name| state.get(name).filter(|value| !value.is_null())))
}

fn subject(event: &AuditEvent) -> Value {
    let name = told(event, &["to", "subject", "user", "member", "username", "name"]);
    json!({ "name": name.cloned().unwrap_or_else(|| json!(event.resource)) })
}

fn privileges(event: &AuditEvent) -> Vec<Value> {
    match told(event, &["permission", "scopes"]) {
        Some(Value::Array(several)) => several.clone(),
        Some(one) => vec![one.clone()],
        None => vec![json!(event.action)],
    }
}

fn group(event: &AuditEvent) -> Value {
    let name = told(event, &["group", "slug", "name"]);
    json!({ "name": name.cloned().unwrap_or_else(|| json!(event.resource)) })
}

#[cfg(test)]
mod tests {
    use model::{Action, EventId, Random, RequestId, Timestamp};
    use proptest::prelude::*;

    use super::*;

    fn event(actor: &str, action: &str) -> AuditEvent {
        let random = Random::seeded(1);
        AuditEvent {
            v: model::audit_event::VERSION,
            id: EventId::new(&random),
            time: Timestamp::from_micros(1_700_000_000_000_000),
            request_id: RequestId::new(&random),
            actor: actor.to_owned(),
            actor_id: None,
            credential: None,
            address: Some("192.0.2.1".to_owned()),
            action: action.to_owned(),
            resource: "repository:acme/one".to_owned(),
            resource_id: "repository:{1}".to_owned(),
            workspace_id: Some("2".to_owned()),
            outcome: Outcome::Refused,
            reasons: vec!["no-permit".to_owned()],
            before: Value::Null,
            after: json!({ "permission": "write", "user": "ben" }),
        }
    }

    /// Reads RFC 4180, to hold what is written against it.
    fn cells(row: &str) -> Vec<String> {
        let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
        let mut rest = row.trim_end_matches("\r\n").chars().peekable();
        while let Some(c) = rest.next() {
            match (c, quoted) {
                ('"', true) if rest.peek() == Some(&'"') => cell.push(rest.next().unwrap()),
                ('"', _) => quoted = !quoted,
                (',', false) => cells.push(std::mem::take(&mut cell)),
                _ => cell.push(c),
            }
        }
        cells.push(cell);
        cells
    }

    proptest! {
        /// Attack: a name that a spreadsheet runs, or that ends its cell.
        #[test]
        fn no_cell_begins_a_formula_or_ends_early(text in "[=+@|%\"',\r\n\t-]{0,6}\\PC{0,20}") {
            let row = csv(&event(&text, "repository.push"));
            let read = cells(&row);
            prop_assert_eq!(read.len(), CSV_HEADER.trim_end().split(',').count());
            prop_assert_eq!(read[3].trim_start_matches('\''), text.trim_start_matches('\''));
            for cell in read {
                prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
            }
        }
    }

    #[test]
    fn every_action_has_a_class_with_what_the_class_requires() {
        for action in Action::ALL {
            let object = ocsf(&event("user:ann", action.as_str()));
            let class = object["class_uid"].as_u64().unwrap();
            let required: &[&str] = match class {
                3001 => &["user"],
                3005 => &["user", "privileges"],
                3006 => &["group"],
                6003 => &["actor", "api", "src_endpoint"],
                other => panic!("{action}: {other}"),
            };
            for field in
                required.iter().chain(&["metadata", "time", "severity_id", "type_uid", "activity_id"])
            {
                assert!(!object[*field].is_null(), "{action} lacks {field}");
            }
            assert_eq!(object["type_uid"], class * 100 + object["activity_id"].as_u64().unwrap());
        }
        let class = |action: &str| ocsf(&event("user:ann", action))["type_uid"].as_u64().unwrap();
        assert_eq!(
            (class("user.create"), class("grant.set"), class("group.member-add")),
            (300_101, 300_501, 300_603)
        );
        assert_eq!((class("repository.push"), class("repository.delete")), (600_303, 600_304));
        assert_eq!(ocsf(&event("user:ann", "grant.set"))["privileges"], json!(["write"]));
    }
}
