//! The audit trail held against its ledger: was an event removed, altered, moved or put in by hand?
//!
//! Three things vouch for the trail, and none of them lies in the database: the key of the events' codes, the key
//! that signs checkpoints, and checkpoints that somebody else has kept. The whole trail is read once, in pieces.

use ledger::{Checkpoint, Finding, Frontier, Hash, Record, Verifier};
use model::{Error, EventId, Result, act};
use serde::Serialize;
use store::audit::{Cursor, Stored};
use store::sequence::Placed;

use crate::{Caller, Service};

/// How many rows are read at once.
const PIECE: i64 = 500;
/// The most findings that are told; more are counted.
const TOLD: usize = 1_000;

/// What a verification found.
#[derive(Clone, Debug, Serialize)]
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
struct Findings {
    told: Vec<String>,
    untold: u64,
}

impl Findings {
    fn add(&mut self, sentence: String) {
        match self.told.len() < TOLD {
            true => self.told.push(sentence),
            false => self.untold = self.untold.saturating_add(1),
        }
    }
}

/// How a sentence names an event: by its id, and by what can still be read of it.
fn named(stored: &Stored) -> String {
    match stored.event() {
        Ok(event) => format!("event {} (`{}` by `{}`, {})", event.id, event.action, event.actor, event.time),
        Err(_) => format!("event {}", stored.id),
    }
}

/// The size that a note claims, without believing it: to read on behind a checkpoint that cannot be opened.
fn claimed_size(note: &str) -> Option<u64> {
    note.lines().nth(1).and_then(|line| line.parse().ok())
}

impl Service {
    /// The newest signed checkpoint, as a note that an outsider can keep and verify.
    pub async fn audit_checkpoint(&self, caller: &Caller) -> Result<String> {
        self.check(caller, act::AuditRead, &self.instance_ground())?;
        let note = self.store.read(store::sequence::checkpoint).await?;
        note.ok_or_else(|| {
            Error::not_found("a checkpoint: the first is signed within a second of the first event,")
        })
    }

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
        let mut next = 0;
        loop {
            let from = next;
            let piece = self.store.read(move |reader| store::sequence::entries(reader, from, PIECE)).await?;
            for placed in &piece {
                self.hold_against_event(placed, &mut findings);
                verifier.push(&Record {
                    index: placed.index,
                    entry: &placed.entry,
                    leaf: Hash::from_slice(&placed.leaf).ok(),
                    event: placed.event.as_ref().map(|event| event.bytes.as_slice()),
                });
                next = placed.index.saturating_add(1);
            }
            if i64::try_from(piece.len()).unwrap_or(PIECE) < PIECE {
                break;
            }
        }
        let report = verifier.finish();
        for finding in &report.findings {
            findings.add(sentence(finding));
        }
        let unsequenced = self.hold_tail(&mut findings).await?;
        let untold = findings.untold.saturating_add(report.suppressed);
        Ok(Verification {
            intact: findings.told.is_empty() && untold == 0,
            events: report.records,
            verified: report.verified,
            checkpoints: u64::try_from(held_against).unwrap_or(u64::MAX),
            unsequenced,
            root: report.root.map(|root| root.to_string()),
            verifier_key: self.ledger_verifier()?.to_string(),
            findings: findings.told,
            untold,
        })
    }

    /// A checkpoint of this instance.
    fn opened(&self, note: &str) -> Result<Checkpoint> {
        Ok(Checkpoint::open(note.as_bytes(), &[self.ledger_verifier()?])?)
    }

    async fn stored_checkpoints(&self, findings: &mut Findings) -> Result<Vec<Checkpoint>> {
        let (mut checkpoints, mut after) = (Vec::new(), 0_u64);
        loop {
            let from = after;
            let notes =
                self.store.read(move |reader| store::sequence::checkpoints(reader, from, PIECE)).await?;
            for note in &notes {
                match self.opened(note) {
                    Ok(checkpoint) => {
                        after = after.max(checkpoint.size());
                        checkpoints.push(checkpoint);
                    }
                    Err(error) => {
                        after = claimed_size(note).unwrap_or(0).max(after.saturating_add(1));
                        findings
                            .add(format!("a checkpoint was altered or not signed by this instance: {error}"));
                    }
                }
            }
            if i64::try_from(notes.len()).unwrap_or(PIECE) < PIECE {
                return Ok(checkpoints);
            }
        }
    }

    /// Holds what lies beside an entry against it.
    fn hold_against_event(&self, placed: &Placed, findings: &mut Findings) {
        let index = placed.index;
        let Some(stored) = &placed.event else {
            return findings.add(format!("event {} of entry {index} was removed", placed.event_id));
        };
        let entry = ledger::Entry::from_bytes(&placed.entry);
        if entry.is_ok_and(|entry| entry.event_id != placed.event_id) {
            findings.add(format!("entry {index} was put beside {}, which is not its event", named(stored)));
        }
        self.hold_against_columns(stored, findings);
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
