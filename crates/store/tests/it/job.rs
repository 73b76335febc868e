//! Jobs and leases.

use std::collections::HashSet;

use model::{PushId, Result, act};
use serde_json::json;
use store::{job, lease, pipeline_run};
use testkit::{TestStore, both_engines};

async fn enqueue(store: &TestStore, key: &'static str, n: i64) {
    store.keep(move |books| job::enqueue(books, "work", key, json!({ "n": n }), 0)).await.unwrap();
}

async fn claim(store: &store::Store) -> Option<job::Job> {
    store.keep(|books| job::claim(books, "me", 60, &["work"])).await.unwrap()
}

both_engines! {
    /// Catches a claim that hands one job to two workers, or that leaves one out.
    async fn each_job_is_claimed_once_by_many_claimers(store) {
        store
            .keep(|books| {
                (0..30).try_for_each(|n| job::enqueue(books, "work", &n.to_string(), json!({ "n": n }), 0))
            })
            .await
            .unwrap();
        let claimers: Vec<_> = (0..12)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut mine = Vec::new();
                    while let Some(job) = claim(&store).await {
                        mine.push(job.id);
                    }
                    mine
                })
            })
            .collect();
        let mut all = Vec::new();
        for claimer in claimers {
            all.extend(claimer.await.unwrap());
        }
        assert_eq!(all.len(), 30);
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 30);
    }

    /// Catches a job that a killed process had, and that nobody takes on before the end of its lease.
    async fn a_job_that_is_released_is_claimed_at_once(store) {
        enqueue(&store, "a", 1).await;
        assert_eq!(claim(&store).await.unwrap().attempts, 1);
        assert_eq!(claim(&store).await, None);
        assert_eq!(store.keep(job::release).await.unwrap(), 1);
        assert_eq!(claim(&store).await.unwrap().attempts, 2);
    }

    /// Catches a push that starts twice because what it has started was forgotten while its job waits, and rows that stay
    /// for ever.
    async fn what_a_push_has_started_is_remembered_while_its_job_is_there(store) {
        let permit = testkit::permit::<act::PipelineRun>(&store);
        let (done, waits) = (PushId::new(store.random()), PushId::new(store.random()));
        let waiting = waits.to_string();
        store.keep(move |books| job::enqueue(books, "work", &waiting, json!({}), 0)).await.unwrap();
        let keys = [done, waits].map(|push| format!("{push} refs/heads/main"));
        let started = async || {
            let keys = keys.clone();
            let added = store.write(&permit, move |writer| {
                keys.iter().map(|key| pipeline_run::first_time(writer, key)).collect::<Result<Vec<bool>>>()
            });
            added.await.unwrap()
        };
        assert_eq!(started().await, [true, true]);
        assert_eq!(started().await, [false, false]);
        let now = store.clock().now();
        for (before, forgotten) in [(-60, 0), (60, 1), (60, 0)] {
            let before = now.plus_seconds(before);
            let gone = store.keep(move |books| pipeline_run::forget_started(books, before, "work")).await;
            assert_eq!(gone.unwrap(), forgotten);
        }
        assert_eq!(started().await, [true, false]);
    }

    async fn work_that_waits_is_not_queued_twice_and_work_that_runs_is_run_once_more(store) {
        enqueue(&store, "a", 1).await;
        enqueue(&store, "a", 2).await;
        let first = claim(&store).await.unwrap();
        assert_eq!(first.payload, json!({ "n": 1 }));
        assert_eq!(claim(&store).await, None);
        enqueue(&store, "a", 3).await;
        assert_eq!(claim(&store).await, None);
        store.keep(move |books| job::finish(books, first.id)).await.unwrap();
        let second = claim(&store).await.unwrap();
        assert_eq!((second.payload, second.attempts), (json!({ "n": 3 }), 1));
        store.keep(move |books| job::finish(books, second.id)).await.unwrap();
        assert_eq!(store.read(job::waiting).await.unwrap(), (0, 0));
    }

    async fn a_failed_job_and_one_whose_worker_is_gone_come_back(store) {
        enqueue(&store, "a", 1).await;
        let job = claim(&store).await.unwrap();
        store.keep(move |books| job::fail(books, job.id, "it broke")).await.unwrap();
        assert_eq!(claim(&store).await, None);
        assert_eq!(store.read(job::waiting).await.unwrap(), (1, 1));
        store.clock.advance(11);
        assert_eq!(claim(&store).await.unwrap().attempts, 2);
        assert_eq!(claim(&store).await, None);
        store.clock.advance(61);
        assert_eq!(claim(&store).await.unwrap().attempts, 3);
    }

    async fn a_job_waits_for_its_time(store) {
        store.keep(|books| job::enqueue(books, "work", "a", json!({}), 30)).await.unwrap();
        assert_eq!(claim(&store).await, None);
        store.clock.advance(31);
        assert!(claim(&store).await.is_some());
    }

    async fn a_write_that_fails_queues_nothing(store) {
        let permit = testkit::permit::<model::act::Upkeep>(&store);
        let failed = store
            .write(&permit, |writer| {
                job::enqueue(&mut writer.bookkeeping(), "work", "a", json!({}), 0)?;
                Err::<(), _>(model::Error::invalid("no"))
            })
            .await;
        assert!(failed.is_err());
        assert_eq!(claim(&store).await, None);
        store
            .write(&permit, |writer| job::enqueue(&mut writer.bookkeeping(), "work", "a", json!({}), 0))
            .await
            .unwrap();
        assert!(claim(&store).await.is_some());
    }

    async fn a_lease_has_one_holder_until_it_ends(store) {
        let take = |holder: &'static str| store.keep(move |books| lease::take(books, "sweep", holder, 60));
        assert!(take("a").await.unwrap());
        assert!(!take("b").await.unwrap());
        assert!(take("a").await.unwrap());
        store.clock.advance(61);
        assert!(take("b").await.unwrap());
        assert!(!take("a").await.unwrap());
        store.keep(|books| lease::release(books, "sweep", "b")).await.unwrap();
        assert!(take("a").await.unwrap());
    }

    /// Catches bookkeeping that reaches beyond its list of tables.
    async fn bookkeeping_keeps_to_its_table(store) {
        for sql in ["UPDATE setting SET value = '1'", "DELETE FROM lease", "DELETE FROM job; DELETE FROM setting"] {
            assert!(store.keep(move |books| books.execute(store::Table::Job, sql, &[])).await.is_err(), "{sql}");
        }
    }
}
