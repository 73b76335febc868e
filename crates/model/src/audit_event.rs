//! The audit event: what is recorded of every write, every refusal and every sensitive read.
//!
//! An event's canonical bytes are its JSON with the fields in the order below and a version in front. They are
//! written once, when the event is made, and never made again from the columns that stand beside them in the
//! store: `audit verify` compares the two.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{EventId, RequestId, Timestamp};

/// The version of the canonical bytes.
pub const VERSION: u8 = 1;

/// What became of what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was carried out.
    Done,
    /// It was refused, or failed before anything changed.
    Refused,
    /// It was let through, though a guardrail that only reports would have refused it.
    Reported,
}

impl Outcome {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Reported => "reported",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Outcome {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "done" => Ok(Self::Done),
            "refused" => Ok(Self::Refused),
            "reported" => Ok(Self::Reported),
            _ => Err(()),
        }
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditEvent {
    /// [`VERSION`].
    pub v: u8,
    /// Its id.
    pub id: EventId,
    /// When the decision was made.
    pub time: Timestamp,
    /// The request it belongs to; also in the answer, the log and git's messages.
    pub request_id: RequestId,
    /// Who acted, as written at that time: `user:ann`, `access-token:{uuid}`.
    pub actor: String,
    /// The actor's own id, where it has one.
    pub actor_id: Option<String>,
    /// The credential that was used: its kind and id, `app_password:{uuid}`.
    pub credential: Option<String>,
    /// The client's address.
    pub address: Option<String>,
    /// What was done: a name from [`Action`](crate::Action).
    pub action: String,
    /// What it was done to, as written at that time: `repository:acme/one`.
    pub resource: String,
    /// That resource's kind and id: `repository:{uuid}`.
    pub resource_id: String,
    /// The workspace it lies in, for those who read one workspace's trail.
    pub workspace_id: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// The ids of the policies that decided, or the internal reason.
    pub reasons: Vec<String>,
    /// The state before, where there was one. Never a secret.
    pub before: Value,
    /// The state after, where there is one. Never a secret.
    pub after: Value,
}

impl AuditEvent {
    /// The canonical bytes.
    pub fn to_bytes(&self) -> crate::Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(crate::Error::internal)
    }

    /// Reads canonical bytes; anything that would not be written so is refused.
    pub fn from_bytes(bytes: &[u8]) -> crate::Result<Self> {
        let event: Self = serde_json::from_slice(bytes).map_err(crate::Error::internal)?;
        if event.v != VERSION || event.to_bytes()? != bytes {
            return Err(crate::Error::internal("an audit event's bytes are not in canonical form"));
        }
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Random;

    fn event() -> AuditEvent {
        let random = Random::seeded(1);
        AuditEvent {
            v: VERSION,
            id: EventId::new(&random),
            time: Timestamp::from_micros(1_000_000),
            request_id: RequestId::new(&random),
            actor: "user:ann".to_owned(),
            actor_id: None,
            credential: None,
            address: Some("127.0.0.1".to_owned()),
            action: "repository.push".to_owned(),
            resource: "repository:acme/one".to_owned(),
            resource_id: "repository:{…}".to_owned(),
            workspace_id: None,
            outcome: Outcome::Done,
            reasons: vec!["repository-writers-write".to_owned()],
            before: Value::Null,
            after: json!({"z": 1, "a": [true, null]}),
        }
    }

    #[test]
    fn the_bytes_are_read_back_and_begin_with_the_version() {
        let bytes = event().to_bytes().unwrap();
        assert!(bytes.starts_with(b"{\"v\":1,"));
        assert_eq!(AuditEvent::from_bytes(&bytes).unwrap(), event());
    }

    #[test]
    fn bytes_in_another_form_are_refused() {
        let bytes = String::from_utf8(event().to_bytes().unwrap()).unwrap();
        assert!(AuditEvent::from_bytes(bytes.replace(":1,", ": 1,").as_bytes()).is_err());
        assert!(AuditEvent::from_bytes(bytes.replace("{\"v\":1", "{\"x\":2,\"v\":1").as_bytes()).is_err());
    }
}
