//! Exports of the audit trail: event by event for other programs, or in the ledger's order with all that is needed to
//! verify it without the database. Either is read piece by piece, so memory stays flat, and is recorded as what it is:
//! a sensitive read.

use std::collections::VecDeque;

use ledger::{Checkpoint, Hash, Span};
use model::{AuditEvent, Error, Result};
use serde_json::json;
use store::audit::Cursor;
use store::audit_filter::{Filter, Order};

use crate::audit::{AuditQuery, Readable, Trail};
use crate::{Caller, Service};

/// How many rows are read at once.
const PIECE: i64 = 500;
/// Checkpoints stand at least so many entries apart in an export, but for those that were asked for.
const APART: u64 = 256;
/// The most checkpoints that may be asked for.
const ASKED: usize = 64;

/// Events, oldest first, piece by piece.
pub struct AuditWalk {
    service: Service,
    filter: Filter,
    after: Option<Cursor>,
    over: bool,
}

/// A line of an export that can be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerLine {
    /// What the export is of: the first line.
    Head {
        /// The log's name.
        origin: String,
        /// The key that signs checkpoints, as verifiers write it.
        verifier_key: String,
        /// How many entries the export reaches over.
        size: u64,
    },
    /// An event at its place.
    Event {
        /// The place.
        index: u64,
        /// The leaf's hash, as it was when the entry was placed.
        leaf: String,
        /// The canonical bytes, which are JSON.
        bytes: String,
    },
    /// An entry whose event is not there any more.
    Entry {
        /// The place.
        index: u64,
        /// The leaf's hash, as it was when the entry was placed.
        leaf: String,
        /// The entry's bytes.
        entry: Vec<u8>,
    },
    /// Entries that were not asked for: the hashes of the subtrees that they are.
    Gap {
        /// The first place.
        from: u64,
        /// Behind the last.
        to: u64,
        /// From left to right.
        hashes: Vec<String>,
    },
    /// A signed checkpoint of the size reached.
    Checkpoint(String),
}

/// An export in the ledger's order, piece by piece.
pub struct LedgerWalk {
    service: Service,
    /// Which events are told whole; none for all of them.
    filter: Option<Filter>,
    head: Option<LedgerLine>,
    /// The place that comes next, and where the export ends.
    next: u64,
    size: u64,
    /// Signed checkpoints to come, by size.
    notes: VecDeque<(u64, String)>,
    /// What was left out since the last line.
    gap: Span,
}

impl Service {
    /// Begins an export of events.
    pub async fn audit_export(
        &self,
        caller: &Caller,
        trail: Trail<'_>,
        mut query: AuditQuery,
        format: &str,
    ) -> Result<AuditWalk> {
        // Without an end, an export would chase the events of those who read meanwhile.
        let now = self.clock.now();
        query.until = Some(query.until.map_or(now, |until| until.min(now)));
        let Readable { target, filter } = self.readable(caller, trail, &query).await?;
        self.record_reading(caller, &target, &query, json!({ "export": format })).await?;
        Ok(AuditWalk { service: self.clone(), filter, after: None, over: false })
    }

    /// Begins an export that can be verified. It reaches to the newest checkpoint and holds those of the sizes in
    /// `sizes`, so that checkpoints kept elsewhere can be held against it whatever was left out.
    pub async fn ledger_export(
        &self,
        caller: &Caller,
        trail: Trail<'_>,
        query: AuditQuery,
        sizes: Vec<u64>,
    ) -> Result<LedgerWalk> {
        if sizes.len() > ASKED {
            return Err(Error::invalid_field("at", format!("name at most {ASKED} checkpoints")));
        }
        let Readable { target, filter } = self.readable(caller, trail, &query).await?;
        self.record_reading(caller, &target, &query, json!({ "export": "jsonl" })).await?;
        self.sequence_ledger().await?;
        let (origin, key) = (self.ledger_origin()?, self.ledger_verifier()?);
        let (size, notes) = self.notes_for_export(&key, &sizes).await?;
        let head = LedgerLine::Head { origin, verifier_key: key.to_string(), size };
        Ok(LedgerWalk {
            service: self.clone(),
            filter: (filter != Filter::default()).then_some(filter),
            head: Some(head),
            next: 0,
            size,
            notes,
            gap: Span::new(0),
        })
    }

    /// The size of the newest checkpoint, and the checkpoints to put into an export, in order.
    async fn notes_for_export(
        &self,
        key: &ledger::VerifierKey,
        sizes: &[u64],
    ) -> Result<(u64, VecDeque<(u64, String)>)> {
        let (mut kept, mut after): (VecDeque<(u64, String)>, u64) = (VecDeque::new(), 0);
        let mut newest = None;
        loop {
            let from = after;
            let notes = self.store.read(move |reader| store::sequence::signed(reader, from, PIECE)).await?;
            let count = notes.len();
            for (column, note) in notes {
                after = column;
                // What is not signed by this instance is `verify`'s to tell, over the database.
                let Ok(checkpoint) = Checkpoint::open(note.as_bytes(), std::slice::from_ref(key)) else {
                    continue;
                };
                let size = checkpoint.size();
                let far = size.saturating_sub(kept.back().map_or(0, |(size, _)| *size)) >= APART;
                if far || sizes.contains(&size) {
                    kept.push_back((size, note.clone()));
                }
                newest = Some((size, note));
            }
            if i64::try_from(count).unwrap_or(PIECE) < PIECE {
                break;
            }
        }
        let size = newest.as_ref().map_or(0, |(size, _)| *size);
        if let Some(newest) = newest.filter(|(size, _)| kept.back().is_none_or(|(last, _)| last != size)) {
            kept.push_back(newest);
        }
        // A checkpoint that was thinned out here may still be kept elsewhere: the export breaks at its size, too.
        for wanted in sizes.iter().filter(|wanted| **wanted < size && **wanted > 0) {
            if !kept.iter().any(|(size, _)| size == wanted) {
                kept.push_back((*wanted, String::new()));
            }
        }
        kept.make_contiguous().sort();
        Ok((size, kept))
    }
}

impl AuditWalk {
    /// The next events; none at the end.
    pub async fn piece(&mut self) -> Result<Vec<AuditEvent>> {
        if self.over {
            return Ok(Vec::new());
        }
        let (filter, after) = (self.filter.clone(), self.after);
        let stored = self
            .service
            .store
            .read(move |reader| store::audit_filter::list(reader, &filter, Order::OldestFirst, after, PIECE))
            .await?;
        self.over = i64::try_from(stored.len()).unwrap_or(PIECE) < PIECE;
        self.after = stored.last().map(|last| last.cursor()).or(self.after);
        stored.iter().map(|stored| stored.event()).collect()
    }
}

impl LedgerWalk {
    /// The next lines; none at the end.
    pub async fn piece(&mut self) -> Result<Vec<LedgerLine>> {
        let mut lines: Vec<LedgerLine> = self.head.take().into_iter().collect();
        while lines.is_empty() && self.next < self.size {
            let (from, filter) = (self.next, self.filter.clone());
            let (entries, whole) = self
                .service
                .store
                .read(move |reader| {
                    let entries = store::sequence::entries(reader, from, PIECE)?;
                    let whole = match &filter {
                        Some(filter) => {
                            let window = u64::try_from(PIECE).unwrap_or(0);
                            let (found, _) = store::audit_filter::placed(reader, filter, from, window)?;
                            Some(found.into_iter().map(|(index, _)| index).collect::<Vec<_>>())
                        }
                        None => None,
                    };
                    Ok((entries, whole))
                })
                .await?;
            if entries.is_empty() {
                break;
            }
            for placed in entries {
                if placed.index >= self.size {
                    break;
                }
                self.next = placed.index.saturating_add(1);
                let leaf = Hash::from_slice(&placed.leaf)?;
                // A place that is missing stays missing in the export, for the verifier to tell.
                if self.gap.range().end != placed.index {
                    self.close_gap(&mut lines, placed.index);
                }
                match whole.as_ref().is_none_or(|whole| whole.contains(&placed.index)) {
                    false => self.gap.push(leaf),
                    true => {
                        self.close_gap(&mut lines, self.next);
                        lines.push(line(placed, leaf));
                    }
                }
                while self.notes.front().is_some_and(|(size, _)| *size <= self.next) {
                    let Some((_, note)) = self.notes.pop_front() else { break };
                    self.close_gap(&mut lines, self.next);
                    if !note.is_empty() {
                        lines.push(LedgerLine::Checkpoint(note));
                    }
                }
            }
        }
        Ok(lines)
    }

    /// Tells what was left out, and begins anew at `next`.
    fn close_gap(&mut self, lines: &mut Vec<LedgerLine>, next: u64) {
        let gap = std::mem::replace(&mut self.gap, Span::new(next));
        if !gap.is_empty() {
            let hashes = gap.hashes().map(|hash| hash.to_string()).collect();
            lines.push(LedgerLine::Gap { from: gap.range().start, to: gap.range().end, hashes });
        }
    }
}

fn line(placed: store::sequence::Placed, leaf: Hash) -> LedgerLine {
    let (index, leaf) = (placed.index, leaf.to_string());
    // Bytes that are no text are not what was written: without them, the entry shows that they are missing.
    match placed.event.and_then(|event| String::from_utf8(event.bytes).ok()) {
        Some(bytes) => LedgerLine::Event { index, leaf, bytes },
        None => LedgerLine::Entry { index, leaf, entry: placed.entry },
    }
}
