//! What only a server can do: break connections, and let transactions meet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use model::act;
use serde_json::json;
use store::{Reader, setting};
use testkit::{TestStore, permit};

const END_OTHERS: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()";

/// Catches a worker that keeps a connection which the server has closed.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_broke_while_idle_are_made_anew() {
    let Some(store) = TestStore::postgres().await else { return };
    for n in 0..3 {
        let write = move |writer: &mut store::Writer<'_>| setting::set(writer, "n", &json!(n));
        let permit = permit::<act::Upkeep>(&store);
        let writes: Vec<_> = (0..8).map(|_| Box::pin(store.write(&permit, write))).collect();
        for write in writes {
            write.await.unwrap();
        }
        store.read(|reader| reader.count(END_OTHERS, &[])).await.unwrap();
        let found = store.read(|reader| setting::get(reader, "n")).await.unwrap();
        assert_eq!(found, Some(json!(n)));
    }
}

/// Catches a write that is lost, or done twice, because its connection broke before the commit.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_before_the_commit_lets_the_closure_run_again() {
    let Some(store) = TestStore::postgres().await else { return };
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    store
        .write(&permit::<act::Upkeep>(&store), move |writer| {
            setting::set(writer, "n", &json!(1))?;
            if counted.fetch_add(1, Ordering::SeqCst) == 0 {
                writer.all("SELECT CAST(pg_terminate_backend(pg_backend_pid()) AS TEXT)", &[])?;
            }
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    let events = store.read(|reader| reader.count("SELECT count(*) FROM audit_event", &[])).await.unwrap();
    assert_eq!(events, 1);
}

/// Catches a check-then-insert whose loser is told of a broken constraint rather than what its own check says.
#[tokio::test(flavor = "multi_thread")]
async fn the_loser_of_a_race_for_a_key_is_told_by_its_own_check() {
    let Some(store) = TestStore::postgres().await else { return };
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let insert = |writer: &mut store::Writer<'_>| {
                    let reader: &mut Reader<'_> = writer;
                    if setting::get(reader, "name")?.is_some() {
                        return Err(model::Error::Conflict("the name is taken".to_owned()));
                    }
                    writer.execute("INSERT INTO setting (key, value) VALUES ('name', '1')", &[])
                };
                store.write(&permit::<act::Upkeep>(&store), insert).await
            })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => won += 1,
            Err(model::Error::Conflict(text)) => assert_eq!(text, "the name is taken"),
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(won, 1);
}
