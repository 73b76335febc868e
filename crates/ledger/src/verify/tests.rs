use model::{AuditEvent, EventId, Outcome, Random, RequestId, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// A row of the store, as an audit reads it.
#[derive(Clone)]
struct Row {
    index: u64,
    entry: Vec<u8>,
    leaf: Option<Hash>,
    event: Option<Vec<u8>>,
}

fn event(random: &Random, micros: i64) -> AuditEvent {
    AuditEvent {
        v: model::audit_event::VERSION,
        id: EventId::new(random),
        time: Timestamp::from_micros(micros),
        request_id: RequestId::new(random),
        actor: "user:ann".to_owned(),
        actor_id: None,
        credential: None,
        address: None,
        action: "repository.push".to_owned(),
        resource: "repository:acme/one".to_owned(),
        resource_id: "repository:one".to_owned(),
        workspace_id: None,
        outcome: Outcome::Done,
        reasons: Vec::new(),
        before: Value::Null,
        after: Value::Null,
    }
}

fn rows(count: u64) -> Vec<Row> {
    let random = Random::seeded(count);
    (0..count)
        .map(|index| {
            let event = event(&random, 1_000_000 + i64::try_from(index).unwrap());
            let bytes = event.to_bytes().unwrap();
            let entry = Entry::of(&bytes, event.id, event.time);
            let (leaf, entry) = (Some(entry.leaf_hash()), entry.to_bytes().to_vec());
            Row { index, entry, leaf, event: Some(bytes) }
        })
        .collect()
}

/// The checkpoint that was signed over the first `size` rows while they were whole.
fn checkpoint(rows: &[Row], size: usize) -> Checkpoint {
    let tree = Frontier::over(rows[..size].iter().map(|row| Hash::leaf(&row.entry)));
    Checkpoint::new("log.test/audit", tree.size(), tree.root()).unwrap()
}

fn audit(rows: &[Row], checkpoints: Vec<Checkpoint>) -> Report {
    let mut verifier = Verifier::new(Frontier::new(), checkpoints).unwrap();
    for row in rows {
        verifier.push(&Record {
            index: row.index,
            entry: &row.entry,
            leaf: row.leaf,
            event: row.event.as_deref(),
        });
    }
    verifier.finish()
}

#[test]
fn a_whole_log_is_sound_and_its_tail_may_be_ahead_of_the_checkpoints() {
    let rows = rows(20);
    let report = audit(&rows, vec![checkpoint(&rows, 18), checkpoint(&rows, 0), checkpoint(&rows, 7)]);
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!((report.records, report.verified), (20, 18));
    assert_eq!(report.root, Some(checkpoint(&rows, 20).root()));
}

#[test]
fn an_audit_goes_on_from_a_frontier() {
    let rows = rows(20);
    let start = Frontier::over(rows[..8].iter().map(|row| Hash::leaf(&row.entry)));
    let checkpoints = vec![checkpoint(&rows, 4), checkpoint(&rows, 8), checkpoint(&rows, 20)];
    let mut verifier = Verifier::new(start, checkpoints).unwrap();
    for row in &rows[8..] {
        verifier.push(&Record { index: row.index, entry: &row.entry, leaf: None, event: None });
    }
    let report = verifier.finish();
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!(report.verified, 20);
}

/// Somebody deletes rows of the table.
#[test]
fn missing_entries_are_named() {
    let mut rows = rows(20);
    let checkpoints = vec![checkpoint(&rows, 5), checkpoint(&rows, 20)];
    rows.truncate(18);
    rows.drain(9..12);
    rows.remove(6);
    let report = audit(&rows, checkpoints);
    assert_eq!(
        report.findings,
        [
            Finding::Missing { first: 6, last: 6 },
            Finding::Missing { first: 9, last: 11 },
            Finding::Missing { first: 18, last: 19 },
            Finding::RootUnknown { size: 20, index: 6 },
        ]
    );
    assert_eq!((report.verified, report.root), (5, None));
}

/// Somebody takes an event away and closes the gap, stored leaf hashes and all.
#[test]
fn a_closed_gap_is_seen_by_the_root() {
    let mut rows = rows(20);
    let checkpoints = vec![checkpoint(&rows, 5), checkpoint(&rows, 19)];
    rows.remove(9);
    for (index, row) in rows.iter_mut().enumerate() {
        row.index = index as u64;
    }
    let report = audit(&rows, checkpoints);
    assert_eq!(report.findings.len(), 1);
    assert!(matches!(report.findings[0], Finding::RootMismatch { size: 19, since: 5, explained: false, .. }));
}

#[test]
fn reordered_and_repeated_entries_are_named() {
    let mut rows = rows(10);
    let checkpoints = vec![checkpoint(&rows, 10)];
    rows.swap(3, 5);
    rows.push(rows[7].clone());
    let report = audit(&rows, checkpoints);
    assert_eq!(
        report.findings,
        [
            Finding::Reordered { index: 3, after: 5 },
            Finding::Reordered { index: 4, after: 5 },
            Finding::Repeated { index: 7 },
            Finding::RootUnknown { size: 10, index: 3 },
        ]
    );
}

/// Somebody exchanges two entries, but not the hashes beside them.
#[test]
fn moved_entries_are_named() {
    let mut rows = rows(10);
    let checkpoints = vec![checkpoint(&rows, 2), checkpoint(&rows, 10)];
    let (three, six) = (rows[3].clone(), rows[6].clone());
    (rows[3].entry, rows[3].event) = (six.entry, six.event);
    (rows[6].entry, rows[6].event) = (three.entry, three.event);
    let report = audit(&rows, checkpoints);
    assert_eq!(
        report.findings[..2],
        [Finding::Moved { index: 3, from: 6 }, Finding::Moved { index: 6, from: 3 },]
    );
    assert!(matches!(report.findings[2], Finding::RootMismatch { size: 10, since: 2, explained: true, .. }));
    assert_eq!(report.findings.len(), 3);
}

#[test]
fn altered_events_and_entries_are_named() {
    let mut rows = rows(10);
    let checkpoints = vec![checkpoint(&rows, 10)];
    // The event's text alone: the log is whole, the event is not.
    let text = String::from_utf8(rows[2].event.clone().unwrap()).unwrap();
    rows[2].event = Some(text.replace("user:ann", "user:bob").into_bytes());
    let report = audit(&rows, checkpoints.clone());
    assert_eq!(report.findings, [Finding::Altered { index: 2, what: Alteration::Event }]);
    assert_eq!(report.verified, 10);

    // The event and, to hide it, the digest in its entry.
    let old = Entry::from_bytes(&rows[2].entry).unwrap();
    let new = Entry::of(rows[2].event.as_ref().unwrap(), old.event_id, old.time);
    rows[2].entry = new.to_bytes().to_vec();
    let report = audit(&rows, checkpoints.clone());
    assert_eq!(report.findings[0], Finding::Altered { index: 2, what: Alteration::Entry });
    assert!(matches!(report.findings[1], Finding::RootMismatch { size: 10, explained: true, .. }));

    // And the stored hash with it: only the signed root tells.
    rows[2].leaf = Some(new.leaf_hash());
    let report = audit(&rows, checkpoints);
    assert!(matches!(report.findings[..], [Finding::RootMismatch { size: 10, explained: false, .. }]));
}

#[test]
fn an_entry_that_does_not_fit_its_event_is_named() {
    let mut rows = rows(4);
    let random = Random::seeded(99);
    let bytes = rows[1].event.clone().unwrap();
    let entry = Entry::of(&bytes, EventId::new(&random), Timestamp::from_micros(7));
    (rows[1].entry, rows[1].leaf) = (entry.to_bytes().to_vec(), Some(entry.leaf_hash()));
    let entry = Entry::of(b"{}", EventId::new(&random), Timestamp::from_micros(7));
    (rows[2].entry, rows[2].event, rows[2].leaf) = (entry.to_bytes().to_vec(), Some(b"{}".to_vec()), None);
    rows[3].entry.pop();
    rows[3].leaf = None;
    let report = audit(&rows, Vec::new());
    let altered = |index, what| Finding::Altered { index, what };
    assert_eq!(
        report.findings,
        [
            altered(1, Alteration::Id),
            altered(1, Alteration::Time),
            altered(2, Alteration::EventUnreadable),
            altered(3, Alteration::Unreadable),
        ]
    );
}

#[test]
fn two_histories_are_named() {
    let rows = rows(4);
    let forged = Checkpoint::new("log.test/audit", 3, Hash::leaf(b"forged")).unwrap();
    let report = audit(&rows, vec![checkpoint(&rows, 3), forged, checkpoint(&rows, 4)]);
    assert!(matches!(report.findings[0], Finding::Forked { size: 3, .. }));
    assert!(matches!(report.findings[1], Finding::RootMismatch { size: 3, .. }));
    assert_eq!((report.findings.len(), report.verified), (2, 4));

    let other = Checkpoint::new("other.test", 0, Hash::empty()).unwrap();
    assert!(Verifier::new(Frontier::new(), vec![checkpoint(&rows, 3), other]).is_err());
}

#[test]
fn a_log_that_is_wrong_everywhere_is_not_kept_whole() {
    let mut verifier = Verifier::new(Frontier::new(), Vec::new()).unwrap();
    for index in 0..3_000 {
        verifier.push(&Record { index: 2 * index + 1, entry: &[], leaf: Some(Hash::empty()), event: None });
    }
    let report = verifier.finish();
    assert_eq!(report.findings.len(), MAX_FINDINGS);
    assert_eq!(report.suppressed, 8_000);
    let last = Record { index: u64::MAX, entry: &[], leaf: None, event: None };
    let mut verifier = Verifier::new(Frontier::new(), Vec::new()).unwrap();
    verifier.push(&last);
    verifier.push(&last);
    assert!(!verifier.finish().is_sound());
}

#[test]
fn findings_read_as_sentences() {
    let report = verify([], &checkpoint(&rows(3), 3));
    let texts: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "entries 0 to 2 are missing",
            "the root at size 3 cannot be computed, because entry 0 is not in its place",
        ]
    );
}

proptest! {
    /// Whatever is changed in a log below its checkpoint is found, from the entries alone.
    #[test]
    fn any_change_is_found(size in 1usize..40, at: usize, other: usize, byte in 0usize..57, kind in 0u8..5) {
        let whole = rows(size as u64);
        let signed = checkpoint(&whole, size);
        let entries = |rows: &[Row]| -> Vec<(u64, Vec<u8>)> {
            rows.iter().map(|row| (row.index, row.entry.clone())).collect()
        };
        let mut changed = entries(&whole);
        let (at, other) = (at % size, other % size);
        match kind {
            0 => drop(changed.remove(at)),
            1 => changed[at].1[byte] ^= 1,
            2 => changed.swap(at, other),
            3 => changed.insert(at, changed[other].clone()),
            _ => {
                let moved = changed[at].1.clone();
                changed[at].1 = std::mem::replace(&mut changed[other].1, moved);
            }
        }
        let mut verifier = Verifier::new(Frontier::new(), vec![signed]).unwrap();
        for (index, entry) in &changed {
            verifier.push(&Record { index: *index, entry, leaf: None, event: None });
        }
        let report = verifier.finish();
        prop_assert_eq!(report.is_sound(), changed == entries(&whole), "{:?}", report.findings);
    }
}
