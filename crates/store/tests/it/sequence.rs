//! The sequencer: every committed event has one place, without gaps, and the checkpoints say so.

use std::sync::Arc;

use keyring::SigningKey;
use ledger::{Checkpoint, Frontier, Record, Verifier, VerifierKey};
use model::act;
use store::{Store, sequence};
use testkit::{TestStore, both_engines, permit};

pub(crate) const ORIGIN: &str = "example.com/audit";

pub(crate) fn key(store: &Store) -> (VerifierKey, sequence::Sign) {
    let signing = SigningKey::generate(store.random()).unwrap();
    let verifier = VerifierKey::new(ORIGIN, signing.public().unwrap()).unwrap();
    (verifier, Arc::new(move |text: &[u8]| signing.sign(text).map_err(model::Error::internal)))
}

async fn verify(store: &TestStore, key: &VerifierKey) -> ledger::Report {
    let notes = store.read(|reader| sequence::checkpoints(reader, 0, 10_000)).await.unwrap();
    let checkpoints =
        notes.iter().map(|note| Checkpoint::open(note.as_bytes(), std::slice::from_ref(key)).unwrap());
    let mut verifier = Verifier::new(Frontier::new(), checkpoints.collect()).unwrap();
    let mut from = 0;
    loop {
        let page = store.read(move |reader| sequence::entries(reader, from, 50)).await.unwrap();
        let Some(last) = page.last() else { break };
        from = last.index + 1;
        for placed in &page {
            verifier.push(&Record {
                index: placed.index,
                entry: &placed.entry,
                leaf: ledger::Hash::from_slice(&placed.leaf).ok(),
                event: placed.event.as_ref().map(|event| event.bytes.as_slice()),
            });
        }
    }
    verifier.finish()
}

both_engines! {
    /// Catches a sequencer that skips, repeats or loses events that are committed while it works.
    async fn concurrent_writes_and_sequencers_leave_no_gap(store) {
        let (verifier, sign) = key(&store);
        let other = store.again().await;
        let writers: Vec<_> = (0..120)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.write(&permit::<act::Upkeep>(&store), |_| Ok(())).await.unwrap() })
            })
            .collect();
        let sequencers: Vec<_> = [(*store).clone(), other.clone()]
            .into_iter()
            .map(|store| {
                let (verifier, sign) = (verifier.clone(), Arc::clone(&sign));
                tokio::spawn(async move {
                    let mut placed = 0;
                    for _ in 0..10 {
                        placed += store.sequence(ORIGIN, &verifier, Arc::clone(&sign)).await.unwrap();
                    }
                    placed
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        let mut placed = 0;
        for sequencer in sequencers {
            placed += sequencer.await.unwrap();
        }
        loop {
            match store.sequence(ORIGIN, &verifier, Arc::clone(&sign)).await.unwrap() {
                0 => break,
                more => placed += more,
            }
        }
        assert_eq!(placed, 120);
        let report = verify(&store, &verifier).await;
        assert!(report.is_sound(), "{report:?}");
        assert_eq!((report.records, report.verified), (120, 120));
        assert_eq!(store.read(sequence::backlog).await.unwrap(), (0, None));
        assert!(store.read(|reader| sequence::unplaced(reader, None, 10)).await.unwrap().is_empty());
        assert_eq!(store.read(sequence::frontier).await.unwrap().size(), 120);
        other.close().await.unwrap();
    }

    /// Catches a thinning that takes what the trail is verified by.
    async fn a_thinned_list_of_checkpoints_still_vouches_for_all(store) {
        let (verifier, sign) = key(&store);
        // Two a minute apart, on each of three days: long ago, last month and today.
        for wait in [60, 400 * 86_400, 60, 30 * 86_400, 60, 60] {
            store.write(&permit::<act::Upkeep>(&store), |_| Ok(())).await.unwrap();
            store.sequence(ORIGIN, &verifier, Arc::clone(&sign)).await.unwrap();
            store.clock.advance(wait);
        }
        let newest = store.read(sequence::checkpoint).await.unwrap();
        assert_eq!(store.thin_checkpoints().await.unwrap(), 2);
        assert_eq!(store.thin_checkpoints().await.unwrap(), 0);
        assert_eq!(store.read(|reader| sequence::checkpoints(reader, 0, 10)).await.unwrap().len(), 4);
        assert_eq!(store.read(sequence::checkpoint).await.unwrap(), newest);
        let report = verify(&store, &verifier).await;
        assert!(report.is_sound(), "{report:?}");
        assert_eq!((report.records, report.verified), (6, 6));
    }

    /// Catches an audit that would not see what somebody with the database in hand has done.
    async fn what_is_done_to_the_tables_is_found(store) {
        let (verifier, sign) = key(&store);
        for _ in 0..6 {
            store.write(&permit::<act::Upkeep>(&store), |_| Ok(())).await.unwrap();
            store.sequence(ORIGIN, &verifier, Arc::clone(&sign)).await.unwrap();
        }
        assert!(verify(&store, &verifier).await.is_sound());
        let meddle = |sql: &'static str| {
            let store = (*store).clone();
            async move { store.write(&permit::<act::Upkeep>(&store), move |w| w.execute(sql, &[])).await.unwrap() }
        };
        // An event removed: its entry stands without it.
        meddle("DELETE FROM audit_event WHERE id = (SELECT event_id FROM ledger_entry WHERE idx = 1)").await;
        let placed = store.read(|reader| sequence::entries(reader, 1, 1)).await.unwrap().remove(0);
        assert!(placed.event.is_none());
        // An entry removed: its event has no place, and the log a gap.
        meddle("DELETE FROM ledger_entry WHERE idx = 3").await;
        assert!(!verify(&store, &verifier).await.is_sound());
        let unplaced = store.read(|reader| sequence::unplaced(reader, None, 10)).await.unwrap();
        // It, and the two events of the meddling, which are still waiting.
        assert_eq!(unplaced.len(), 3);
        // An event removed before it had a place.
        meddle("DELETE FROM audit_event WHERE id = (SELECT event_id FROM ledger_pending ORDER BY time, event_id LIMIT 1)").await;
        assert_eq!(store.read(|reader| sequence::orphans(reader, 10)).await.unwrap().len(), 1);
    }
}
