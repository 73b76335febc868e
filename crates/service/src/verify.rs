//! The audit trail held against its ledger: was an event removed, altered, moved or put in by hand?
//!
//! Three things vouch for the trail, and none of them lies in the database: the key of the events' codes, the key
//! that signs checkpoints, and checkpoints that somebody else has kept. The whole trail is read once, in pieces.

use ledger::{Checkpoint, Finding, Frontier, Hash, Record, Verifier};
use model::{Error, EventId, Result, Timestamp, act};
use serde::Serialize;
use store::audit::{Cursor, Stored};
use store::sequence::Placed;

use crate::jobs::log_text;
use crate::{Caller, Service};

/// How many rows are read at once.
const PIECE: i64 = 500;
/// The most findings that are told; more are counted.
const TOLD: usize = 1_000;

/// What a verification found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verification {
    /// Whether nothing is wrong.
    pub intact: bool,
    /// Events that have a place in the ledger.
    pub events: u64,
    /// Of them, how many lie below a signed checkpoint whose root matched.
    pub verified: u64,
    /// Signed checkpoints that were held against the ledger.
    pub checkpoints: u64,
    /// Events so recent that they have no place yet; their codes were checked.
    pub unsequenced: u64,
    /// Entries whose events are not there any more, because they have expired.
    pub expired: u64,
    /// Entries of which an export tells hashes alone, because they were not asked for.
    pub left_out: u64,
    /// The root over all entries.
    pub root: Option<String>,
    /// The key that signs checkpoints, as verifiers write it.
    pub verifier_key: String,
    /// What is wrong, one sentence each.
    pub findings: Vec<String>,
    /// How many more findings there were.
    pub untold: u64,
}

/// Sentences, of which not all may be told.
#[derive(Default)]
pub(crate) struct Findings {
    told: Vec<String>,
    untold: u64,
}

impl Findings {
    pub(crate) fn add(&mut self, sentence: String) {
        match self.told.len() < TOLD {
            true => self.told.push(sentence),
            false => self.untold = self.untold.saturating_add(1),
        }
    }

    /// The verification that ends with these findings, beside those that `verification` counts already.
    pub(crate) fn into_verification(self, verification: Verification) -> Verification {
        let untold = self.untold.saturating_add(verification.untold);
        let intact = self.told.is_empty() && untold == 0;
        Verification { intact, findings: self.told, untold, ..verification }
    }
}

/// The roots of full tiles, made anew from the entries.
#[derive(Default)]
struct Tiles {
    /// The hashes of the tile at each level that is not full yet, and how many of the level were full before.
    open: Vec<(Vec<Hash>, u64)>,
    /// Level, index and root of those that have become full.
    full: Vec<(u8, u64, Hash)>,
    /// How many have.
    count: i64,
}

impl Tiles {
    fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for level in 0..8_u8 {
            let at = usize::from(level);
            if self.open.len() <= at {
                self.open.push((Vec::new(), 0));
            }
            let Some((hashes, index)) = self.open.get_mut(at) else { return };
            hashes.push(hash);
            if hashes.len() < usize::from(ledger::tile::FULL_WIDTH) {
                return;
            }
            hash = ledger::root(hashes);
            self.full.push((level, *index, hash));
            self.count = self.count.saturating_add(1);
            hashes.clear();
            *index = index.saturating_add(1);
        }
    }
}

/// How a sentence names an event: by its id, and by what can still be read of it.
fn named(stored: &Stored) -> String {
    match stored.event() {
        Ok(event) => name_of(&event),
        Err(_) => format!("event {}", stored.id),
    }
}

pub(crate) fn name_of(event: &model::AuditEvent) -> String {
    format!("event {} (`{}` by `{}`, {})", event.id, event.action, event.actor, event.time)
}

impl Service {
    /// Reads the whole trail and says what is wrong with it. `kept` are checkpoints that were put aside before: they
    /// also show that the trail was cut off, or made anew, by somebody who has the keys.
    pub async fn verify_audit(&self, caller: &Caller, kept: Vec<String>) -> Result<Verification> {
        self.check(caller, act::AuditRead, &self.instance_ground())?;
        let mut findings = Findings::default();
        let mut checkpoints = self.stored_checkpoints(&mut findings).await?;
        for note in kept {
            match self.opened(&note) {
                Ok(checkpoint) => checkpoints.push(checkpoint),
                Err(error) => {
                    return Err(Error::invalid(format!(
                        "the checkpoint that was kept cannot be used: {error}"
                    )));
                }
            }
        }
        let held_against = checkpoints.len();
        let mut verifier = Verifier::new(Frontier::new(), checkpoints)?;
        let (mut next, mut tiles, mut expired) = (0, Tiles::default(), 0_u64);
        let horizon = self.expired_before().await?;
        loop {
            let from = next;
            let piece = self.store.read(move |reader| store::sequence::entries(reader, from, PIECE)).await?;
            for placed in &piece {
                if self.hold_against_event(placed, horizon, &mut findings) {
                    expired = expired.saturating_add(1);
                }
                verifier.push(&Record {
                    index: placed.index,
                    entry: &placed.entry,
                    leaf: Hash::from_slice(&placed.leaf).ok(),
                    event: placed.event.as_ref().map(|event| event.bytes.as_slice()),
                });
                next = placed.index.saturating_add(1);
                tiles.push(Hash::leaf(&placed.entry));
            }
            self.hold_tiles(&mut tiles, &mut findings).await?;
            if i64::try_from(piece.len()).unwrap_or(PIECE) < PIECE {
                break;
            }
        }
        let report = verifier.finish();
        for finding in &report.findings {
            findings.add(sentence(finding));
        }
        if self.store.read(store::ledger_tile::count).await? > tiles.count {
            findings.add("the ledger: a tile was put in that no entries lead to".to_owned());
        }
        let unsequenced = self.hold_tail(&mut findings).await?;
        Ok(findings.into_verification(Verification {
            events: report.records,
            verified: report.verified,
            checkpoints: u64::try_from(held_against).unwrap_or(u64::MAX),
            unsequenced,
            root: report.root.map(|root| root.to_string()),
            verifier_key: self.ledger_verifier()?.to_string(),
            expired,
            untold: report.suppressed,
            ..Verification::default()
        }))
    }

    /// A checkpoint of this instance.
    fn opened(&self, note: &str) -> Result<Checkpoint> {
        Ok(Checkpoint::open(note.as_bytes(), &[self.ledger_verifier()?])?)
    }

    async fn stored_checkpoints(&self, findings: &mut Findings) -> Result<Vec<Checkpoint>> {
        let (mut checkpoints, mut after) = (Vec::new(), 0_u64);
        loop {
            let from = after;
            let notes = self.store.read(move |reader| store::sequence::signed(reader, from, PIECE)).await?;
            for (size, note) in &notes {
                after = *size;
                match self.opened(note) {
                    Ok(checkpoint) => {
                        if checkpoint.size() != *size {
                            findings.add(format!(
                                "a checkpoint was altered: {size} stands beside the one of size {}",
                                checkpoint.size()
                            ));
                        }
                        checkpoints.push(checkpoint);
                    }
                    Err(error) => {
                        let why = log_text(&error);
                        findings
                            .add(format!("a checkpoint was altered or not signed by this instance: {why}"));
                    }
                }
            }
            if i64::try_from(notes.len()).unwrap_or(PIECE) < PIECE {
                return Ok(checkpoints);
            }
        }
    }

    /// Holds the roots of full tiles against the entries. One that is not kept yet is made anew when it is asked for.
    async fn hold_tiles(&self, tiles: &mut Tiles, findings: &mut Findings) -> Result<()> {
        for (level, index, root) in std::mem::take(&mut tiles.full) {
            let kept =
                self.store.read(move |reader| store::ledger_tile::sealed(reader, level, index)).await?;
            if kept.is_some_and(|kept| kept != root.as_bytes()) {
                findings.add(format!("the ledger: tile {index} of level {level} was altered"));
            }
        }
        Ok(())
    }

    /// Holds what lies beside an entry against it. Tells whether its event has expired.
    fn hold_against_event(
        &self,
        placed: &Placed,
        horizon: Option<Timestamp>,
        findings: &mut Findings,
    ) -> bool {
        let index = placed.index;
        let entry = ledger::Entry::from_bytes(&placed.entry).ok();
        if entry.as_ref().is_some_and(|entry| entry.event_id != placed.event_id) {
            findings.add(format!(
                "entry {index} was put beside event {}, which is not its event",
                placed.event_id
            ));
        }
        match &placed.event {
            Some(stored) => {
                self.hold_against_columns(stored, findings);
                if stored.findable != 1 {
                    findings.add(format!(
                        "{} was hidden from searches: `findable` is not what its place says",
                        named(stored)
                    ));
                }
            }
            // That the entry's own time is right, its leaf and the checkpoints say.
            None if entry.is_some_and(|entry| horizon.is_some_and(|horizon| entry.time < horizon)) => {
                return true;
            }
            None => findings.add(format!("event {} of entry {index} was removed", placed.event_id)),
        }
        false
    }

    fn hold_against_columns(&self, stored: &Stored, findings: &mut Findings) {
        if !self.authenticator.verify(&stored.bytes, &stored.mac) {
            findings.add(format!("{} was altered or put in: its code is not this instance's", named(stored)));
        }
        for column in stored.differences() {
            findings.add(match column {
                "bytes" => format!("{} was altered: its bytes cannot be read", named(stored)),
                column => format!("{} was altered: `{column}` is not what its bytes say", named(stored)),
            });
        }
    }

    /// The events without a place. A write puts them there and beside a waiting entry in one transaction, so an event
    /// without one was put in, or taken out of the ledger.
    async fn hold_tail(&self, findings: &mut Findings) -> Result<u64> {
        let (mut after, mut unsequenced): (Option<Cursor>, u64) = (None, 0);
        loop {
            let from = after;
            let piece = self
                .store
                .read(move |reader| {
                    let stored = store::sequence::unplaced(reader, from, PIECE)?;
                    let mut piece = Vec::with_capacity(stored.len());
                    for event in stored {
                        let waits = store::sequence::is_waiting(reader, event.id)?;
                        piece.push((event, waits));
                    }
                    Ok(piece)
                })
                .await?;
            for (stored, waits) in &piece {
                after = Some(stored.cursor());
                match waits {
                    true => unsequenced = unsequenced.saturating_add(1),
                    false => findings.add(format!(
                        "{} has no place in the ledger and waits for none: it was put in by hand, or its entry removed",
                        named(stored)
                    )),
                }
                self.hold_against_columns(stored, findings);
            }
            if i64::try_from(piece.len()).unwrap_or(PIECE) < PIECE {
                break;
            }
        }
        let orphans: Vec<EventId> = self.store.read(|reader| store::sequence::orphans(reader, PIECE)).await?;
        for orphan in orphans {
            findings.add(format!("event {orphan} was removed before it had a place in the ledger"));
        }
        Ok(unsequenced)
    }
}

fn sentence(finding: &Finding) -> String {
    format!("the ledger: {finding}")
}
