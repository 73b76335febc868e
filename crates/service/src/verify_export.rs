//! An export of the audit trail held against its checkpoints, without the database and without Bastide's keys: what an
//! outsider does who has the export, the public key, and a checkpoint that was put aside.
//!
//! The forms of the lines are written and read here alone. They are read strictly: an event's canonical bytes are what
//! stands in its line, byte by byte.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger::{Checkpoint, Entry, Finding, Frontier, Hash, Record, Span, Verifier, VerifierKey};
use model::{AuditEvent, Error, EventId, Result, Timestamp};
use serde_json::{Value, json};

use crate::audit_export::LedgerLine;
use crate::verify::{Findings, Verification};

/// The form of the lines.
const VERSION: u64 = 1;
/// The longest line that is read.
const LONGEST: u64 = 64 << 20;
/// What stands between a line's place and the event in it.
const EVENT: &str = ",\"event\":";

impl LedgerLine {
    /// The line as it is written, without its end.
    #[must_use]
    pub fn written(&self) -> String {
        match self {
            Self::Head { origin, verifier_key, size } => json!({
                "bastide-audit-export": VERSION, "origin": origin, "verifier_key": verifier_key, "size": size,
            })
            .to_string(),
            Self::Event { index, leaf, bytes } => {
                let place = json!({ "index": index, "leaf": leaf }).to_string();
                format!("{}{EVENT}{bytes}}}", place.trim_end_matches('}'))
            }
            Self::Entry { index, leaf, entry } => {
                json!({ "index": index, "leaf": leaf, "entry": STANDARD.encode(entry) }).to_string()
            }
            Self::Gap { from, to, hashes } => json!({ "from": from, "to": to, "hashes": hashes }).to_string(),
            Self::Checkpoint(note) => json!({ "checkpoint": note }).to_string(),
        }
    }

    /// Reads a line; none for what is no line of an export.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let (fields, event) = match line.split_once(EVENT) {
            Some((place, event)) if place.starts_with("{\"index\":") => {
                (format!("{place}}}"), Some(event.strip_suffix('}')?))
            }
            _ => (line.to_owned(), None),
        };
        let fields: Value = serde_json::from_str(&fields).ok()?;
        let number = |name: &str| fields.get(name).and_then(Value::as_u64);
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        if let Some(bytes) = event {
            return Some(Self::Event {
                index: number("index")?,
                leaf: text("leaf")?,
                bytes: bytes.to_owned(),
            });
        }
        if let Some(note) = text("checkpoint") {
            return Some(Self::Checkpoint(note));
        }
        if let Some(hashes) = fields.get("hashes").and_then(Value::as_array) {
            let hashes = hashes.iter().map(|hash| hash.as_str().map(str::to_owned)).collect::<Option<_>>()?;
            return Some(Self::Gap { from: number("from")?, to: number("to")?, hashes });
        }
        if let Some(entry) = text("entry") {
            let entry = STANDARD.decode(entry).ok()?;
            return Some(Self::Entry { index: number("index")?, leaf: text("leaf")?, entry });
        }
        (number("bastide-audit-export")? == VERSION).then_some(())?;
        Some(Self::Head {
            origin: text("origin")?,
            verifier_key: text("verifier_key")?,
            size: number("size")?,
        })
    }
}

/// The lines of a file, each with its number. One that is no text or too long is an empty one, which is no line of an
/// export.
fn lines(path: &Path) -> Result<impl Iterator<Item = Result<(u64, String)>>> {
    let told = |error: std::io::Error| {
        Error::invalid(format!("the export `{}` cannot be read: {error}", path.display()))
    };
    let file = path.to_owned();
    let mut reader = BufReader::new(File::open(path).map_err(told)?);
    let mut number = 0_u64;
    Ok(std::iter::from_fn(move || {
        let mut line = Vec::new();
        number = number.saturating_add(1);
        let read = reader.by_ref().take(LONGEST).read_until(b'\n', &mut line);
        match read {
            Ok(0) => None,
            Ok(_) => {
                let text = String::from_utf8(line).unwrap_or_default();
                Some(Ok((number, text.trim_end_matches('\n').to_owned())))
            }
            Err(error) => {
                Some(Err(Error::invalid(format!("the export `{}` cannot be read: {error}", file.display()))))
            }
        }
    }))
}

/// What is found while the lines are read.
struct Reading {
    verifier: Verifier,
    findings: Findings,
    /// The events whose leaf is not the one that was placed, by place, for the findings to name.
    named: BTreeMap<u64, String>,
    events: u64,
    expired: u64,
    left_out: u64,
}

/// Verifies an export. `key` is the ledger's public key, as verifiers write it; without it the export's own word is
/// taken for it, and whoever made a whole export up is not found out. `kept` are checkpoints that were put aside: they
/// also show that the end was cut off, or the trail made anew.
pub fn verify_export(path: &Path, key: Option<&str>, kept: &[String]) -> Result<Verification> {
    let mut findings = Findings::default();
    let Told { key: told, size, notes } = told(path)?;
    let key: VerifierKey = match key {
        Some(key) => key.trim().parse()?,
        None => told.parse()?,
    };
    if key.to_string() != told {
        findings.add(format!("the export says that its key is {told}, which is not the one you trust"));
    }
    let mut checkpoints = Vec::new();
    for note in kept {
        checkpoints.push(Checkpoint::open(note.as_bytes(), std::slice::from_ref(&key)).map_err(|error| {
            Error::invalid(format!("the checkpoint that was kept cannot be used: {error}"))
        })?);
    }
    for (number, note) in notes {
        match Checkpoint::open(note.as_bytes(), std::slice::from_ref(&key)) {
            Ok(checkpoint) => checkpoints.push(checkpoint),
            Err(error) => {
                findings.add(format!(
                    "line {number}: the checkpoint was altered or not signed by this log: {error}"
                ));
            }
        }
    }
    let held_against = checkpoints.len();
    if size > 0 && !checkpoints.iter().any(|checkpoint| checkpoint.size() >= size) {
        findings.add(format!(
            "no signed checkpoint reaches to the export's end, entry {}",
            size.saturating_sub(1)
        ));
    }
    let verifier = Verifier::new(Frontier::new(), checkpoints)?;
    let mut reading =
        Reading { verifier, findings, named: BTreeMap::new(), events: 0, expired: 0, left_out: 0 };
    for line in lines(path)? {
        let (number, line) = line?;
        reading.take(number, &line);
    }
    Ok(reading.finish(size, &key, held_against))
}

/// What is told before anything is believed.
struct Told {
    key: String,
    size: u64,
    /// Every checkpoint, with its line's number.
    notes: Vec<(u64, String)>,
}

fn told(path: &Path) -> Result<Told> {
    let (mut head, mut notes) = (None, Vec::new());
    for line in lines(path)? {
        let (number, line) = line?;
        if number > 1 && !line.starts_with("{\"checkpoint\"") {
            continue;
        }
        match LedgerLine::read(&line) {
            Some(LedgerLine::Head { verifier_key, size, .. }) if number == 1 => {
                head = Some((verifier_key, size))
            }
            Some(LedgerLine::Checkpoint(note)) => notes.push((number, note)),
            _ => {}
        }
    }
    let (key, size) = head.ok_or_else(|| {
        Error::invalid(
            "the first line is not that of an export: make one with `bastide audit export --format jsonl`",
        )
    })?;
    Ok(Told { key, size, notes })
}

impl Reading {
    fn take(&mut self, number: u64, line: &str) {
        match LedgerLine::read(line) {
            Some(LedgerLine::Event { index, leaf, bytes }) => self.event(number, index, &leaf, &bytes),
            Some(LedgerLine::Entry { index, leaf, entry }) => {
                self.expired = self.expired.saturating_add(1);
                let leaf = self.leaf(number, &leaf);
                self.verifier.push(&Record { index, entry: &entry, leaf, event: None });
            }
            Some(LedgerLine::Gap { from, to, hashes }) => {
                let hashes: Option<Vec<Hash>> = hashes.iter().map(|hash| hash.parse().ok()).collect();
                match hashes.and_then(|hashes| Span::from_hashes(from..to, &hashes).ok()) {
                    Some(span) => {
                        self.left_out = self.left_out.saturating_add(to.saturating_sub(from));
                        self.verifier.pass_span(&span);
                    }
                    None => self
                        .findings
                        .add(format!("line {number} was altered: its hashes do not fit its range")),
                }
            }
            Some(LedgerLine::Head { .. }) if number == 1 => {}
            Some(LedgerLine::Checkpoint(_)) => {}
            Some(LedgerLine::Head { .. }) | None => {
                self.findings.add(format!("line {number} was altered or put in: it is no line of an export"));
            }
        }
    }

    fn leaf(&mut self, number: u64, text: &str) -> Option<Hash> {
        let leaf = text.parse().ok();
        if leaf.is_none() {
            self.findings.add(format!("line {number} was altered: its leaf is no hash"));
        }
        leaf
    }

    fn event(&mut self, number: u64, index: u64, leaf: &str, bytes: &str) {
        self.events = self.events.saturating_add(1);
        let leaf = self.leaf(number, leaf);
        let read = AuditEvent::from_bytes(bytes.as_bytes()).ok();
        // What cannot be read has no id or time to make the entry of, so its leaf differs like any altered one's.
        let nothing = (EventId::from_uuid(uuid::Uuid::nil()), Timestamp::from_micros(0));
        let (id, time) = read.as_ref().map_or(nothing, |event| (event.id, event.time));
        let entry = Entry::of(bytes.as_bytes(), id, time);
        if leaf.is_some_and(|leaf| leaf != entry.leaf_hash()) {
            let name = match &read {
                Some(event) => format!("line {number}, {}", crate::verify::name_of(event)),
                None => format!("line {number}, an event that cannot be read"),
            };
            self.named.insert(index, name);
        }
        self.verifier.push(&Record { index, entry: &entry.to_bytes(), leaf, event: None });
    }

    fn finish(mut self, size: u64, key: &VerifierKey, checkpoints: usize) -> Verification {
        let report = self.verifier.finish();
        for finding in &report.findings {
            let name = match finding {
                Finding::Altered { index, .. } | Finding::Moved { index, .. } => self.named.get(index),
                _ => None,
            };
            self.findings.add(match name {
                Some(name) => format!("{finding} ({name})"),
                None => finding.to_string(),
            });
        }
        if report.reached < size {
            self.findings
                .add(format!("the export ends at entry {} of {size}: its end was removed", report.reached));
        }
        self.findings.into_verification(Verification {
            events: self.events,
            verified: report.verified,
            checkpoints: u64::try_from(checkpoints).unwrap_or(u64::MAX),
            root: report.root.map(|root| root.to_string()),
            verifier_key: key.to_string(),
            expired: self.expired,
            left_out: self.left_out,
            untold: report.suppressed,
            ..Verification::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_line_is_read_back(index: u64, entry in prop::collection::vec(any::<u8>(), 0..80), text in "\\PC{0,60}") {
            let leaf = Hash::leaf(&entry).to_string();
            let bytes = json!({ "v": 1, "actor": text, "x": {"event": text} }).to_string();
            for line in [
                LedgerLine::Event { index, leaf: leaf.clone(), bytes },
                LedgerLine::Entry { index, leaf: leaf.clone(), entry },
                LedgerLine::Gap { from: 1, to: index, hashes: vec![leaf.clone(), leaf] },
                LedgerLine::Checkpoint(text.clone()),
                LedgerLine::Head { origin: text.clone(), verifier_key: text.clone(), size: index },
            ] {
                prop_assert!(!line.written().contains('\n'));
                prop_assert_eq!(LedgerLine::read(&line.written()), Some(line));
            }
        }

        #[test]
        fn any_text_is_read_without_panic(text in "(\\{\"index\":[0-9]{0,3})?(,\"event\":)?\\PC{0,60}") {
            let _ = LedgerLine::read(&text);
        }
    }
}
