//! Audit events: appended with every write, found by what stands beside them, held against their bytes.

use std::sync::Arc;

use ledger::Entry;
use model::{Action, AuditEvent, Error, EventId, Outcome, Resource, Result, Timestamp, WorkspaceId};

use crate::engine::{Query, Row};
use crate::params;
use crate::reader::Reader;

/// Makes the authentication code of an event's bytes, with a key that is not in the database.
pub type Mac = Arc<dyn Fn(&[u8]) -> Result<[u8; 32]> + Send + Sync>;

/// Appends an event, with its entry on the way to the ledger.
pub(crate) fn append(reader: &mut Reader<'_>, event: &AuditEvent, mac: &Mac) -> Result<()> {
    let bytes = event.to_bytes()?;
    let entry = Entry::of(&bytes, event.id, event.time).to_bytes();
    let code = mac(&bytes)?;
    reader.execute(
        "INSERT INTO audit_event (id, time, request_id, actor, actor_id, credential, address, action, resource,
             resource_id, workspace_id, outcome, bytes, mac)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        params![
            event.id,
            event.time,
            event.request_id,
            event.actor.as_str(),
            event.actor_id.as_deref(),
            event.credential.as_deref(),
            event.address.as_deref(),
            event.action.as_str(),
            event.resource.as_str(),
            event.resource_id.as_str(),
            event.workspace_id.as_deref(),
            event.outcome.as_str(),
            bytes,
            code,
        ],
    )?;
    reader.execute(
        "INSERT INTO ledger_pending (time, event_id, entry) VALUES ($1, $2, $3)",
        params![event.time, event.id, entry],
    )?;
    Ok(())
}

/// Which events to list. Empty: all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// By this actor, as written: `user:ann`.
    pub actor: Option<String>,
    /// Of this action.
    pub action: Option<Action>,
    /// On this resource.
    pub resource: Option<Resource>,
    /// In this workspace.
    pub workspace: Option<WorkspaceId>,
    /// Which ended so.
    pub outcome: Option<Outcome>,
    /// At this time or later.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

/// A place in the list, after which the next page begins.
pub type Cursor = (Timestamp, EventId);

/// Events, newest first, at most `limit` of them, from after `cursor`.
pub fn list(
    reader: &mut Reader<'_>,
    filter: &Filter,
    after: Option<Cursor>,
    limit: i64,
) -> Result<Vec<Stored>> {
    let mut query = Query::new("SELECT * FROM audit_event WHERE TRUE");
    if let Some(actor) = &filter.actor {
        query.sql(" AND actor = ").bind(actor);
    }
    if let Some(action) = filter.action {
        query.sql(" AND action = ").bind(action.as_str());
    }
    if let Some(resource) = filter.resource {
        query.sql(" AND resource_id = ").bind(resource.to_string());
    }
    if let Some(workspace) = filter.workspace {
        query.sql(" AND workspace_id = ").bind(workspace.to_string());
    }
    if let Some(outcome) = filter.outcome {
        query.sql(" AND outcome = ").bind(outcome.as_str());
    }
    if let Some(from) = filter.from {
        query.sql(" AND time >= ").bind(from);
    }
    if let Some(until) = filter.until {
        query.sql(" AND time < ").bind(until);
    }
    if let Some((time, id)) = after {
        query.sql(" AND (time, id) < (").bind(time).sql(", ").bind(id).sql(")");
    }
    query.sql(" ORDER BY time DESC, id DESC LIMIT ").bind(limit);
    reader.query(&query)?.iter().map(Stored::from_row).collect()
}

/// One event by its id.
pub fn find(reader: &mut Reader<'_>, id: EventId) -> Result<Option<Stored>> {
    let row = reader.one("SELECT * FROM audit_event WHERE id = $1", params![id])?;
    row.as_ref().map(Stored::from_row).transpose()
}

/// An event as it lies in the store: its bytes, its code, and the columns beside them.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The event's id, by its column.
    pub id: EventId,
    /// The event's time, by its column.
    pub time: Timestamp,
    /// The canonical bytes.
    pub bytes: Vec<u8>,
    /// Their authentication code.
    pub mac: [u8; 32],
    columns: Vec<(&'static str, Option<String>)>,
}

/// The columns beside the bytes that hold text.
const TEXTS: &[&str] = &[
    "actor",
    "actor_id",
    "credential",
    "address",
    "action",
    "resource",
    "resource_id",
    "workspace_id",
    "outcome",
];

impl Stored {
    pub(crate) fn from_row(row: &Row) -> Result<Self> {
        let request: model::RequestId = row.get("request_id")?;
        let mut columns = vec![("request_id", Some(request.to_string()))];
        for name in TEXTS {
            columns.push((name, row.get(name)?));
        }
        Ok(Self {
            id: row.get("id")?,
            time: row.get("time")?,
            bytes: row.get("bytes")?,
            mac: row.get("mac")?,
            columns,
        })
    }

    /// The event that the bytes tell of.
    pub fn event(&self) -> Result<AuditEvent> {
        AuditEvent::from_bytes(&self.bytes)
    }

    /// The place in the list after this event.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        (self.time, self.id)
    }

    /// The columns that do not say what the bytes say; `bytes` alone when these cannot be read.
    #[must_use]
    pub fn differences(&self) -> Vec<&'static str> {
        let Ok(event) = self.event() else { return vec!["bytes"] };
        let mut different = Vec::new();
        if self.id != event.id {
            different.push("id");
        }
        if self.time != event.time {
            different.push("time");
        }
        for (name, column) in &self.columns {
            let told = match *name {
                "request_id" => Some(event.request_id.to_string()),
                "actor" => Some(event.actor.clone()),
                "actor_id" => event.actor_id.clone(),
                "credential" => event.credential.clone(),
                "address" => event.address.clone(),
                "action" => Some(event.action.clone()),
                "resource" => Some(event.resource.clone()),
                "resource_id" => Some(event.resource_id.clone()),
                "workspace_id" => event.workspace_id.clone(),
                _ => Some(event.outcome.as_str().to_owned()),
            };
            if told != *column {
                different.push(*name);
            }
        }
        different
    }
}

/// The error of a store that was not yet given its key.
pub(crate) fn without_key() -> Error {
    Error::internal("the store has no key for audit events yet: nothing may be written before it has one")
}
