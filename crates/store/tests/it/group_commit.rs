//! SQLite's group commit: one commit for many, and no answer before it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::Poll;

use model::{Error, Result, act};
use serde_json::json;
use store::setting;
use testkit::{TestStore, permit};

/// Polls once: puts a write into the queue, or looks whether it was answered.
async fn answered(write: &mut Pin<Box<impl Future<Output = Result<()>>>>) -> bool {
    poll_fn(|context| Poll::Ready(write.as_mut().poll(context).is_ready())).await
}

/// Three closures are made to share a batch: the first holds the writer until the others wait behind it, and the
/// third is held when the first two have run, which must not be answered then.
#[tokio::test(flavor = "multi_thread")]
async fn a_closure_is_answered_after_the_commit_of_its_batch() {
    let store = TestStore::sqlite().await;
    let permit = permit::<act::Upkeep>(&store);
    let (running, runs) = mpsc::channel();
    let queue = |name: &'static str| {
        let (release, wait) = mpsc::channel::<()>();
        let running = running.clone();
        let write = move |writer: &mut store::Writer<'_>| {
            setting::set(writer, name, &json!(1))?;
            running.send(name).map_err(Error::internal)?;
            wait.recv().map_err(Error::internal)
        };
        (release, Box::pin(store.write(&permit, write)))
    };
    let (mut releases, mut writes) = (Vec::new(), Vec::new());
    for name in ["first", "second", "third"] {
        let (release, mut write) = queue(name);
        assert!(!answered(&mut write).await);
        releases.push(release);
        writes.push(write);
    }
    for (name, release) in ["first", "second", "third"].into_iter().zip(&releases) {
        assert_eq!(runs.recv().unwrap(), name);
        for write in &mut writes {
            assert!(!answered(write).await, "answered before the commit");
        }
        let committed = store.read(|reader| setting::get(reader, "first")).await.unwrap();
        assert_eq!(committed, None, "the batch is not committed yet");
        release.send(()).unwrap();
    }
    for write in writes {
        write.await.unwrap();
    }
    assert!(store.read(|reader| setting::get(reader, "first")).await.unwrap().is_some());
}

/// Catches a failed closure whose writes are committed with its neighbours', and a batch that is rolled back without need.
#[tokio::test(flavor = "multi_thread")]
async fn a_closure_that_wrote_and_failed_makes_its_batch_run_again_without_it() {
    let store = TestStore::sqlite().await;
    let permit = permit::<act::Upkeep>(&store);
    let (told, runs) = mpsc::channel();
    let queue = |name: &'static str, writes: bool, fails: bool| {
        let told = told.clone();
        let write = move |writer: &mut store::Writer<'_>| {
            told.send(name).map_err(Error::internal)?;
            if writes {
                setting::set(writer, name, &json!(1))?;
            }
            if fails { Err(Error::invalid("as was asked for")) } else { Ok(()) }
        };
        Box::pin(store.write(&permit, write))
    };
    for (failing_writes, expected) in [
        (false, &["first", "failing", "last"][..]),
        (true, &["first", "failing", "first", "failing", "last"]),
    ] {
        // Holds the writer until the others wait behind it; when it runs once more, nobody is there to be waited for.
        let (release, wait) = mpsc::channel::<()>();
        let mut held = Box::pin(store.keep(move |_| wait.recv().map_err(Error::internal)));
        assert!(!answered(&mut held).await);
        let (mut first, mut failing) = (queue("first", true, false), queue("failing", failing_writes, true));
        assert!(!answered(&mut first).await && !answered(&mut failing).await);
        let mut last = queue("last", true, false);
        assert!(!answered(&mut last).await);
        release.send(()).unwrap();
        drop(release);
        let _ = held.await;
        first.await.unwrap();
        assert!(matches!(failing.await, Err(Error::Invalid { .. })));
        last.await.unwrap();
        assert_eq!(runs.try_iter().collect::<Vec<_>>(), expected);
        let kept = store
            .read(|reader| Ok((setting::get(reader, "failing")?, setting::get(reader, "last")?)))
            .await
            .unwrap();
        assert!(kept.0.is_none() && kept.1.is_some());
    }
}

/// Catches an answer of success for a batch that could not be committed, and a writer that does not recover.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_is_told_to_all_of_its_batch_and_leaves_nothing() {
    let store = TestStore::sqlite().await;
    let permit = permit::<act::Upkeep>(&store);
    let (release, wait) = mpsc::channel::<()>();
    let held = move |writer: &mut store::Writer<'_>| {
        setting::set(writer, "held", &json!(1))?;
        wait.recv().map_err(Error::internal)
    };
    let mut held = Box::pin(store.write(&permit, held));
    assert!(!answered(&mut held).await);
    // A reference to nothing, looked at by the commit alone.
    let broken = |writer: &mut store::Writer<'_>| {
        writer.execute("PRAGMA defer_foreign_keys = ON", &[])?;
        let sql = "INSERT INTO group_member (group_id, user_id) VALUES (zeroblob(16), zeroblob(16))";
        writer.execute(sql, &[]).map(drop)
    };
    let mut broken = Box::pin(store.write(&permit, broken));
    assert!(!answered(&mut broken).await);
    release.send(()).unwrap();
    assert!(matches!(held.await, Err(Error::Internal(_))));
    assert!(matches!(broken.await, Err(Error::Internal(_))));
    assert_eq!(store.read(|reader| setting::get(reader, "held")).await.unwrap(), None);
    store.write(&permit, |writer| setting::set(writer, "next", &json!(1))).await.unwrap();
    assert!(store.read(|reader| setting::get(reader, "next")).await.unwrap().is_some());
    let events = store.read(|reader| reader.count("SELECT count(*) FROM audit_event", &[])).await.unwrap();
    assert_eq!(events, 1);
}
