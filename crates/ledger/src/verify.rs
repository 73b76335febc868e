//! The audit of a log: its records, one after the other, held against signed checkpoints.
//!
//! The [`Verifier`] reads each record once and keeps a few kilobytes, however long the log is. What it can name
//! depends on what it is given. Entries and a checkpoint alone tell that an index is missing or out of order, and
//! between which two checkpoints the log was changed. The leaf hashes that were stored when the entries were
//! sequenced tell which entry was altered or moved, and the events' bytes, where they have not expired, tell
//! whether an event still is what the entry says.

mod finding;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use model::AuditEvent;

pub use finding::{Alteration, Finding};

use crate::{Checkpoint, Entry, Error, Frontier, Hash, Result, Span};

/// The most findings that are kept; more are counted.
pub const MAX_FINDINGS: usize = 1000;

/// One record of the log as the store holds it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its place in the log, from 0.
    pub index: u64,
    /// The entry's bytes, as they are stored.
    pub entry: &'a [u8],
    /// The leaf hash that was stored beside it when it was sequenced.
    pub leaf: Option<Hash>,
    /// The event's canonical bytes, unless they have expired.
    pub event: Option<&'a [u8]>,
}

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What is wrong, in the order of the log. Empty when nothing is.
    pub findings: Vec<Finding>,
    /// How many more findings there were than are kept.
    pub suppressed: u64,
    /// The number of records that were read.
    pub records: u64,
    /// The size of the largest checkpoint whose root matched: entries below it are as they were when it was signed.
    pub verified: u64,
    /// The place behind the last record or span.
    pub reached: u64,
    /// The root over all records, if none was missing or out of order.
    pub root: Option<Hash>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty() && self.suppressed == 0
    }
}

/// Reads a log and says what is wrong with it.
#[derive(Debug)]
pub struct Verifier {
    /// The smallest last, so that the next one is popped.
    checkpoints: Vec<Checkpoint>,
    /// The largest checkpoint's size: how far the log must reach.
    promised: u64,
    /// Over the entries as they are.
    tree: Frontier,
    /// Over the leaf hashes as they were stored, as long as every record has one.
    stored: Option<Frontier>,
    /// The index that should come next.
    next: u64,
    /// The first index that did not come when it should have. From there on the tree is unknown.
    broken: Option<u64>,
    /// Indexes passed over, first and last, that may still come late.
    gaps: Vec<(u64, u64)>,
    /// Records whose leaf hash is not the stored one: index, stored, found.
    strays: Vec<(u64, Hash, Hash)>,
    findings: Vec<Finding>,
    suppressed: u64,
    records: u64,
    verified: u64,
}

impl Verifier {
    /// Begins at a frontier, which for a whole audit is that of an empty log. The checkpoints may come in any order;
    /// those below the frontier are not looked at. They must be of one log.
    pub fn new(start: Frontier, checkpoints: Vec<Checkpoint>) -> Result<Self> {
        if checkpoints.windows(2).any(|pair| matches!(pair, [a, b] if a.origin() != b.origin())) {
            return Err(Error::Checkpoint("they are of different logs: give those of one origin"));
        }
        Ok(Self::begin(start, checkpoints))
    }

    fn begin(start: Frontier, mut checkpoints: Vec<Checkpoint>) -> Self {
        checkpoints.retain(|checkpoint| checkpoint.size() >= start.size());
        checkpoints.sort_by_key(|checkpoint| std::cmp::Reverse((checkpoint.size(), checkpoint.root())));
        checkpoints.dedup();
        let forks: Vec<_> = checkpoints
            .windows(2)
            .filter_map(|pair| match pair {
                [a, b] if a.size() == b.size() => {
                    Some(Finding::Forked { size: a.size(), one: b.root(), other: a.root() })
                }
                _ => None,
            })
            .collect();
        let mut verifier = Self {
            promised: checkpoints.first().map_or(0, Checkpoint::size),
            checkpoints,
            next: start.size(),
            verified: 0,
            stored: Some(start.clone()),
            tree: start,
            broken: None,
            gaps: Vec::new(),
            strays: Vec::new(),
            findings: Vec::new(),
            suppressed: 0,
            records: 0,
        };
        for fork in forks {
            verifier.find(fork);
        }
        verifier.settle();
        verifier
    }

    /// Reads the next record. Records are expected by rising index, without gaps.
    pub fn push(&mut self, record: &Record<'_>) {
        self.records += 1;
        let leaf = Hash::leaf(record.entry);
        self.inspect(record, leaf);
        if record.index < self.next {
            return self.late(record.index);
        }
        if record.index > self.next {
            self.pass_over(self.next, record.index - 1);
        }
        self.next = record.index.saturating_add(1);
        if self.broken.is_none() {
            self.tree.append(leaf);
            match (record.leaf, &mut self.stored) {
                (Some(stored), Some(tree)) => {
                    tree.append(stored);
                }
                _ => self.stored = None,
            }
            self.settle();
        }
    }

    /// Passes over entries that were left out, by the hashes that stand for them. Checkpoints that end among them
    /// cannot be held against the log, and are told.
    pub fn pass_span(&mut self, span: &Span) {
        let range = span.range();
        if range.is_empty() {
            return;
        }
        if range.start < self.next {
            return self.find(Finding::Repeated { index: range.start });
        }
        if range.start > self.next {
            self.pass_over(self.next, range.start - 1);
        }
        self.next = range.end;
        if self.broken.is_some() || self.tree.append_span(span).is_err() {
            return;
        }
        if let Some(stored) = &mut self.stored
            && stored.append_span(span).is_err()
        {
            self.stored = None;
        }
        while let Some(within) = self.checkpoints.pop_if(|checkpoint| checkpoint.size() < range.end) {
            self.find(Finding::LeftOut { size: within.size() });
        }
        self.settle();
    }

    /// Ends the audit: what the checkpoints promise and did not come is missing.
    #[must_use]
    pub fn finish(mut self) -> Report {
        if self.next < self.promised {
            self.pass_over(self.next, self.promised - 1);
        }
        if let Some(missing) = self.broken {
            for checkpoint in std::mem::take(&mut self.checkpoints).into_iter().rev() {
                self.find(Finding::RootUnknown { size: checkpoint.size(), index: missing });
            }
        }
        for (first, last) in std::mem::take(&mut self.gaps) {
            self.find(Finding::Missing { first, last });
        }
        self.place_strays();
        self.findings.sort_by_key(Finding::position);
        Report {
            root: if self.broken.is_none() { Some(self.tree.root()) } else { None },
            findings: self.findings,
            suppressed: self.suppressed,
            records: self.records,
            reached: self.next,
            verified: self.verified,
        }
    }

    fn find(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.suppressed += 1;
        }
    }

    /// Notes indexes that did not come when they should have.
    fn pass_over(&mut self, first: u64, last: u64) {
        self.broken.get_or_insert(first);
        if self.gaps.len() < MAX_FINDINGS {
            self.gaps.push((first, last));
        } else {
            self.suppressed += 1;
        }
    }

    /// A record that comes after one of a higher index, or a second time. It is not part of the tree: that is made
    /// of the records that came in order.
    fn late(&mut self, index: u64) {
        let behind = self.next - 1;
        let Some(at) = self.gaps.iter().position(|(first, last)| (first..=last).contains(&&index)) else {
            return self.find(Finding::Repeated { index });
        };
        let (first, last) = self.gaps.remove(at);
        if index < last {
            self.gaps.insert(at, (index + 1, last));
        }
        if first < index {
            self.gaps.insert(at, (first, index - 1));
        }
        self.find(Finding::Reordered { index, after: behind });
    }

    /// Holds a record against what was stored beside it.
    fn inspect(&mut self, record: &Record<'_>, leaf: Hash) {
        let index = record.index;
        if let Some(stored) = record.leaf.filter(|stored| *stored != leaf) {
            if self.strays.len() < MAX_FINDINGS {
                self.strays.push((index, stored, leaf));
            } else {
                self.suppressed += 1;
            }
        }
        let Ok(entry) = Entry::from_bytes(record.entry) else {
            return self.find(Finding::Altered { index, what: Alteration::Unreadable });
        };
        let Some(bytes) = record.event else {
            return;
        };
        if Entry::of(bytes, entry.event_id, entry.time) != entry {
            return self.find(Finding::Altered { index, what: Alteration::Event });
        }
        match AuditEvent::from_bytes(bytes) {
            Err(_) => self.find(Finding::Altered { index, what: Alteration::EventUnreadable }),
            Ok(event) => {
                if event.id != entry.event_id {
                    self.find(Finding::Altered { index, what: Alteration::Id });
                }
                if event.time != entry.time {
                    self.find(Finding::Altered { index, what: Alteration::Time });
                }
            }
        }
    }

    /// Compares the root with every checkpoint of the present size.
    fn settle(&mut self) {
        let size = self.tree.size();
        while self.checkpoints.last().is_some_and(|checkpoint| checkpoint.size() == size) {
            let Some(checkpoint) = self.checkpoints.pop() else {
                return;
            };
            let computed = self.tree.root();
            if checkpoint.root() == computed {
                self.verified = size;
            } else {
                let explained = self.stored.as_ref().is_some_and(|tree| tree.root() == checkpoint.root());
                let (signed, since) = (checkpoint.root(), self.verified);
                self.find(Finding::RootMismatch { size, signed, computed, since, explained });
            }
        }
    }

    /// Tells entries that were moved from entries that were altered.
    fn place_strays(&mut self) {
        let strays = std::mem::take(&mut self.strays);
        let homes: BTreeMap<Hash, u64> = strays.iter().map(|(index, stored, _)| (*stored, *index)).collect();
        for (index, _, found) in strays {
            self.find(match homes.get(&found) {
                Some(from) => Finding::Moved { index, from: *from },
                None => Finding::Altered { index, what: Alteration::Entry },
            });
        }
    }
}

/// Audits a log that is at hand as entries, against one checkpoint.
#[must_use]
pub fn verify(entries: impl IntoIterator<Item = (u64, Entry)>, checkpoint: &Checkpoint) -> Report {
    let mut verifier = Verifier::begin(Frontier::new(), vec![checkpoint.clone()]);
    for (index, entry) in entries {
        verifier.push(&Record { index, entry: &entry.to_bytes(), leaf: None, event: None });
    }
    verifier.finish()
}
