//! Audit events: appended with every write, found again by their id, held against their bytes. Finding them by what
//! stands beside the bytes is `audit_filter`'s.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use ledger::Entry;
use model::{AuditEvent, Error, EventId, Result, Timestamp};

use crate::engine::{Dialect, Row};
use crate::params;
use crate::reader::Reader;
use crate::writer::Writer;

/// Makes the authentication code of an event's bytes, with a key that is not in the database.
pub type Mac = Arc<dyn Fn(&[u8]) -> Result<[u8; 32]> + Send + Sync>;

/// Appends an event, with its entry on the way to the ledger.
pub(crate) fn append(reader: &mut Reader<'_>, event: &AuditEvent, mac: &Mac) -> Result<()> {
    append_some(reader, std::slice::from_ref(event), mac)
}

/// Appends events, each with its entry on the way to the ledger.
pub(crate) fn append_all(reader: &mut Reader<'_>, mut events: &[AuditEvent], mac: &Mac) -> Result<()> {
    // In powers of two, so that there are few statements to prepare.
    while let Some(power) = events.len().checked_ilog2() {
        let (some, rest) = events.split_at(MOST_ROWS.min(1 << power));
        append_some(reader, some, mac)?;
        events = rest;
    }
    Ok(())
}

/// The most rows of one statement.
const MOST_ROWS: usize = 64;

const COLUMNS: &[&str] = &[
    "id",
    "time",
    "request_id",
    "actor",
    "actor_id",
    "credential",
    "address",
    "action",
    "resource",
    "resource_id",
    "workspace_id",
    "outcome",
    "bytes",
    "mac",
    "address_bits",
    "findable",
];

fn append_some(reader: &mut Reader<'_>, events: &[AuditEvent], mac: &Mac) -> Result<()> {
    // On SQLite the sequencer makes it findable, with many others at once.
    let findable = i64::from(reader.dialect() == Dialect::Postgres);
    let (mut rows, mut entries) = (Vec::new(), Vec::new());
    for event in events {
        let bytes = event.to_bytes()?;
        let entry = Entry::of(&bytes, event.id, event.time).to_bytes();
        let code = mac(&bytes)?;
        rows.extend_from_slice(params![
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
            address_bits(event.address.as_deref()),
            findable,
        ]);
        entries.extend_from_slice(params![event.time, event.id, entry]);
    }
    let (event, entry) = statements(events.len());
    reader.execute(&event, &rows)?;
    reader.execute(&entry, &entries)?;
    Ok(())
}

/// The statements that insert so many events and their entries. That for one, which every write needs, is made once.
fn statements(rows: usize) -> (Cow<'static, str>, Cow<'static, str>) {
    static ONE: LazyLock<(String, String)> = LazyLock::new(|| both(1));
    fn both(rows: usize) -> (String, String) {
        (insert("audit_event", COLUMNS, rows), insert("ledger_pending", &["time", "event_id", "entry"], rows))
    }
    if rows == 1 {
        let (event, entry) = &*ONE;
        return (event.into(), entry.into());
    }
    let (event, entry) = both(rows);
    (event.into(), entry.into())
}

/// A statement that inserts so many rows.
fn insert(table: &str, columns: &[&str], rows: usize) -> String {
    let mut sql = format!("INSERT INTO {table} ({}) VALUES ", columns.join(", "));
    for row in 0..rows {
        let first = row * columns.len();
        let places: Vec<String> = (1..=columns.len()).map(|at| format!("${}", first + at)).collect();
        sql.push_str(if row == 0 { "(" } else { ", (" });
        sql.push_str(&places.join(", "));
        sql.push(')');
    }
    sql
}

/// An address's sixteen bytes, IPv4 mapped into IPv6: in their order, a network is a range.
#[must_use]
pub fn bits(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

fn address_bits(address: Option<&str>) -> Option<Vec<u8>> {
    address.and_then(|text| text.parse().ok()).map(|address| bits(address).to_vec())
}

/// A place in a list of events, after which the next page begins.
pub type Cursor = (Timestamp, EventId);

/// One event by its id.
pub fn find(reader: &mut Reader<'_>, id: EventId) -> Result<Option<Stored>> {
    let row = reader.one("SELECT * FROM audit_event WHERE id = $1", params![id])?;
    row.as_ref().map(Stored::from_row).transpose()
}

/// Removes the oldest events from before a moment, at most `limit` of them, and tells how many. Their entries stay in
/// the ledger; an event without a place there stays too.
pub fn expire(writer: &mut Writer<'_>, before: Timestamp, limit: i64) -> Result<u64> {
    writer.execute(
        "DELETE FROM audit_event WHERE id IN (
             SELECT a.id FROM audit_event a JOIN ledger_entry l ON l.event_id = a.id
             WHERE a.time < $1 ORDER BY a.time, a.id LIMIT $2)",
        params![before, limit],
    )
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
    address_bits: Option<Vec<u8>>,
    /// 1 when the indexes hold it, 0 while it waits for its place in the ledger.
    pub findable: i64,
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
            address_bits: row.get("address_bits")?,
            findable: row.get("findable")?,
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
        if self.address_bits != address_bits(event.address.as_deref()) {
            different.push("address_bits");
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
