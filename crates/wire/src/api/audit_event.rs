//! Audit events, for those who read the trail. The canonical bytes that the ledger holds are another form.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::DateTime;

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "audit_event")]
pub struct AuditEvent {
    /// Its id.
    pub id: String,
    /// When the decision was made.
    pub time: DateTime,
    /// The request it belongs to.
    pub request_id: String,
    /// Who acted: `user:ann`.
    pub actor: String,
    /// The credential that was used: its kind and id.
    pub credential: Option<String>,
    /// The client's address.
    pub address: Option<String>,
    /// What was done: `repository.push`.
    pub action: String,
    /// What it was done to: `repository:acme/one`.
    pub resource: String,
    /// `done` or `refused`.
    pub outcome: &'static str,
    /// The ids of the policies that decided.
    pub reasons: Vec<String>,
    /// The state before.
    pub before: Value,
    /// The state after.
    pub after: Value,
}

impl From<model::AuditEvent> for AuditEvent {
    fn from(event: model::AuditEvent) -> Self {
        Self {
            id: event.id.to_string(),
            time: event.time.into(),
            request_id: event.request_id.to_string(),
            actor: event.actor,
            credential: event.credential,
            address: event.address,
            action: event.action,
            resource: event.resource,
            outcome: event.outcome.as_str(),
            reasons: event.reasons,
            before: event.before,
            after: event.after,
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{EventId, Outcome, Random, RequestId, Timestamp};
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_has_the_published_fields() {
        let random = Random::seeded(1);
        let (id, request_id) = (EventId::new(&random), RequestId::new(&random));
        let event = model::AuditEvent {
            v: model::audit_event::VERSION,
            id,
            time: Timestamp::from_micros(0),
            request_id,
            actor: "user:ann".to_owned(),
            actor_id: Some("{1}".to_owned()),
            credential: None,
            address: Some("127.0.0.1".to_owned()),
            action: "repository.push".to_owned(),
            resource: "repository:acme/one".to_owned(),
            resource_id: "repository:{2}".to_owned(),
            workspace_id: None,
            outcome: Outcome::Done,
            reasons: vec!["writers-write".to_owned()],
            before: Value::Null,
            after: json!({ "refs": 1 }),
        };
        assert_eq!(
            json!(AuditEvent::from(event)),
            json!({
                "id": id.to_string(),
                "time": "1970-01-01T00:00:00.000000+00:00",
                "request_id": request_id.to_string(),
                "actor": "user:ann",
                "credential": null,
                "address": "127.0.0.1",
                "action": "repository.push",
                "resource": "repository:acme/one",
                "outcome": "done",
                "reasons": ["writers-write"],
                "before": null,
                "after": { "refs": 1 },
            })
        );
    }
}
