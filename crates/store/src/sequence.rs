//! The ledger in the store: one sequencer gives committed events their places, and what `verify` reads.
//!
//! Events wait in a table that each write fills, because an event may be committed after one that was decided later:
//! no time can tell which events have a place already. The sequencer holds the row of the tree's right edge until it
//! commits, so that two of them, on whichever nodes, follow each other and leave no gap.

use std::sync::Arc;

use ledger::{Checkpoint, Frontier, Hash, VerifierKey};
use model::{Error, EventId, Result, Timestamp};

use crate::audit::{Cursor, Stored};
use crate::bookkeeping::{Bookkeeping, Table};
use crate::engine::{Dialect, Query, Row};
use crate::params;
use crate::reader::Reader;
use crate::store::Store;

/// Events that one transaction places, so that no write waits long behind it.
const BATCH: i64 = 2000;
/// Lets the indexes take in the events that are about to be placed.
pub(crate) const MAKE_FINDABLE: &str = "UPDATE audit_event SET findable = 1 WHERE findable = 0 AND id IN
    (SELECT event_id FROM ledger_pending ORDER BY time, event_id LIMIT $1)";
/// Rows in one statement.
const ROWS: usize = 64;

/// Signs a checkpoint's text.
pub type Sign = Arc<dyn Fn(&[u8]) -> Result<[u8; 64]> + Send + Sync>;

impl Store {
    /// Gives up to two thousand committed events their places in the ledger and keeps a signed checkpoint. Tells how
    /// many it placed: none is a read, and costs no write. To be called again until it is none.
    pub async fn sequence(&self, origin: &str, key: &VerifierKey, sign: Sign) -> Result<u64> {
        let waiting =
            self.read(|reader| reader.one("SELECT event_id FROM ledger_pending LIMIT 1", &[])).await?;
        if waiting.is_none() {
            return Ok(0);
        }
        let (origin, key) = (origin.to_owned(), key.clone());
        self.keep(move |books| place(books, &origin, &key, &sign)).await
    }
}

fn place(books: &mut Bookkeeping<'_>, origin: &str, key: &VerifierKey, sign: &Sign) -> Result<u64> {
    let mut frontier = lock_frontier(books)?;
    let rows = books
        .all("SELECT event_id, entry FROM ledger_pending ORDER BY time, event_id LIMIT $1", params![BATCH])?;
    if rows.is_empty() {
        return Ok(0);
    }
    if books.dialect() == Dialect::Sqlite {
        books.execute(Table::EventFindable, MAKE_FINDABLE, params![BATCH])?;
    }
    let mut placed = Vec::with_capacity(rows.len());
    for row in &rows {
        let entry: Vec<u8> = row.get("entry")?;
        let leaf = Hash::leaf(&entry);
        let index = i64::try_from(frontier.append(leaf)).map_err(Error::internal)?;
        placed.push((index, row.get::<EventId>("event_id")?, entry, leaf));
    }
    for rows in placed.chunks(ROWS) {
        insert_entries(books, rows)?;
        let mut query = Query::new("DELETE FROM ledger_pending WHERE event_id IN ");
        // Padded with the last, so that there is one text for all chunks.
        let ids = rows.iter().map(|(_, id, ..)| *id);
        let last = rows.last().map(|(_, id, ..)| *id);
        query.bind_list(ids.chain(std::iter::repeat_n(last, ROWS - rows.len()).flatten()));
        books.execute_query(Table::LedgerPending, &query)?;
    }
    let size = i64::try_from(frontier.size()).map_err(Error::internal)?;
    books.execute(
        Table::LedgerFrontier,
        "UPDATE ledger_frontier SET size = $1, frontier = $2 WHERE one = 1",
        params![size, frontier.to_bytes()],
    )?;
    let checkpoint = Checkpoint::new(origin, frontier.size(), frontier.root())?;
    let note = checkpoint.sign(key, &|text: &[u8]| sign(text))?;
    let now = books.now();
    books.execute(
        Table::LedgerCheckpoint,
        "INSERT INTO ledger_checkpoint (size, note, time) VALUES ($1, $2, $3)",
        params![size, note.to_string(), now],
    )?;
    u64::try_from(placed.len()).map_err(Error::internal)
}

/// The tree's right edge, locked until the end of the transaction.
fn lock_frontier(books: &mut Bookkeeping<'_>) -> Result<Frontier> {
    books.execute(
        Table::LedgerFrontier,
        "INSERT INTO ledger_frontier (one, size, frontier) VALUES (1, 0, $1) ON CONFLICT (one) DO NOTHING",
        params![Frontier::new().to_bytes()],
    )?;
    let rows = books.returning(
        Table::LedgerFrontier,
        "UPDATE ledger_frontier SET size = size WHERE one = 1 RETURNING frontier",
        &[],
    )?;
    let row = rows.first().ok_or_else(|| Error::internal("the ledger's right edge is missing"))?;
    Ok(Frontier::from_bytes(&row.get::<Vec<u8>>("frontier")?)?)
}

fn insert_entries(books: &mut Bookkeeping<'_>, rows: &[(i64, EventId, Vec<u8>, Hash)]) -> Result<()> {
    // A full chunk in one statement, the rest one by one: two texts in all.
    let width = if rows.len() == ROWS { ROWS } else { 1 };
    for rows in rows.chunks(width) {
        let mut query = Query::new("INSERT INTO ledger_entry (idx, event_id, entry, leaf) VALUES ");
        for (at, (index, id, entry, leaf)) in rows.iter().enumerate() {
            query.sql(if at == 0 { "(" } else { ", (" }).bind(*index).sql(", ").bind(*id);
            query.sql(", ").bind(entry.as_slice()).sql(", ").bind(leaf.as_bytes()).sql(")");
        }
        books.execute_query(Table::LedgerEntry, &query)?;
    }
    Ok(())
}

/// An entry at its place, with the event that it stands for.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its place in the ledger, from 0.
    pub index: u64,
    /// The event, by the column beside the entry.
    pub event_id: EventId,
    /// The entry's bytes.
    pub entry: Vec<u8>,
    /// The leaf's hash, as it was when the entry was placed.
    pub leaf: Vec<u8>,
    /// The event, if it is there.
    pub event: Option<Stored>,
}

fn placed(row: &Row) -> Result<Placed> {
    let event = row.get::<Option<EventId>>("id")?.map(|_| Stored::from_row(row)).transpose()?;
    Ok(Placed {
        index: row.get("idx")?,
        event_id: row.get("event_id")?,
        entry: row.get("entry")?,
        leaf: row.get("leaf")?,
        event,
    })
}

/// Entries from a place on, in order, each with its event.
pub fn entries(reader: &mut Reader<'_>, from: u64, limit: i64) -> Result<Vec<Placed>> {
    let from = i64::try_from(from).map_err(Error::internal)?;
    let rows = reader.all(
        "SELECT l.idx, l.event_id, l.entry, l.leaf, a.* FROM ledger_entry l LEFT JOIN audit_event a ON a.id = l.event_id
         WHERE l.idx >= $1 ORDER BY l.idx LIMIT $2",
        params![from, limit],
    )?;
    rows.iter().map(placed).collect()
}

/// Events without a place, the oldest first. What is older than a few seconds was not put there by a write.
pub fn unplaced(reader: &mut Reader<'_>, after: Option<Cursor>, limit: i64) -> Result<Vec<Stored>> {
    let mut query = Query::new(
        "SELECT * FROM audit_event a WHERE NOT EXISTS (SELECT 1 FROM ledger_entry l WHERE l.event_id = a.id)",
    );
    if let Some((time, id)) = after {
        query.sql(" AND (a.time, a.id) > (").bind(time).sql(", ").bind(id).sql(")");
    }
    query.sql(" ORDER BY a.time, a.id LIMIT ").bind(limit);
    reader.query(&query)?.iter().map(Stored::from_row).collect()
}

/// Whether an event waits for a place.
pub fn is_waiting(reader: &mut Reader<'_>, event: EventId) -> Result<bool> {
    let row = reader.one("SELECT 1 AS one FROM ledger_pending WHERE event_id = $1", params![event])?;
    Ok(row.is_some())
}

/// Waiting entries whose event is missing: an event that was removed before it was placed.
pub fn orphans(reader: &mut Reader<'_>, limit: i64) -> Result<Vec<EventId>> {
    let rows = reader.all(
        "SELECT event_id FROM ledger_pending p WHERE NOT EXISTS (SELECT 1 FROM audit_event a WHERE a.id = p.event_id)
         ORDER BY time, event_id LIMIT $1",
        params![limit],
    )?;
    rows.iter().map(|row| row.get("event_id")).collect()
}

/// How many events wait for a place, and since when the oldest does.
pub fn backlog(reader: &mut Reader<'_>) -> Result<(i64, Option<Timestamp>)> {
    let row = reader.one("SELECT count(*) AS waiting, min(time) AS oldest FROM ledger_pending", &[])?;
    let row = row.ok_or_else(|| Error::internal("a count without an answer"))?;
    Ok((row.get("waiting")?, row.get("oldest")?))
}

/// The tree's right edge as it was last saved.
pub fn frontier(reader: &mut Reader<'_>) -> Result<Frontier> {
    match reader.one("SELECT frontier FROM ledger_frontier WHERE one = 1", &[])? {
        Some(row) => Ok(Frontier::from_bytes(&row.get::<Vec<u8>>("frontier")?)?),
        None => Ok(Frontier::new()),
    }
}

/// The newest signed checkpoint's text.
pub fn checkpoint(reader: &mut Reader<'_>) -> Result<Option<String>> {
    let row = reader.one("SELECT note FROM ledger_checkpoint ORDER BY size DESC LIMIT 1", &[])?;
    row.map(|row| row.get("note")).transpose()
}

/// Signed checkpoints of trees larger than `size`, the smallest first.
pub fn checkpoints(reader: &mut Reader<'_>, size: u64, limit: i64) -> Result<Vec<String>> {
    Ok(signed(reader, size, limit)?.into_iter().map(|(_, note)| note).collect())
}

/// The same, each with the size that stands beside it.
pub fn signed(reader: &mut Reader<'_>, after: u64, limit: i64) -> Result<Vec<(u64, String)>> {
    let size = i64::try_from(after).unwrap_or(i64::MAX);
    let rows = reader.all(
        "SELECT size, note FROM ledger_checkpoint WHERE size > $1 ORDER BY size LIMIT $2",
        params![size, limit],
    )?;
    rows.iter().map(|row| Ok((row.get("size")?, row.get("note")?))).collect()
}
