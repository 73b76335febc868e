//! What a write promises: an answer after the commit, an event with every write, nothing of a closure that failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use model::act;
use model::{Action, Error, Outcome, Resource};
use policy::Target;
use serde_json::json;
use store::audit_filter::{self, Filter, Order};
use store::{Reader, Writer, params};
use testkit::{TestStore, both_engines, permit};

fn put(writer: &mut Writer<'_>, key: &str, value: i64) -> model::Result<()> {
    writer
        .execute("INSERT INTO setting (key, value) VALUES ($1, $2)", params![key, serde_json::json!(value)])
        .map(drop)
}

fn settings(reader: &mut Reader<'_>) -> model::Result<Vec<String>> {
    let rows = reader.all("SELECT key FROM setting ORDER BY key", &[])?;
    rows.iter().map(|row| row.get("key")).collect()
}

async fn events(store: &TestStore) -> Vec<model::AuditEvent> {
    let read = |reader: &mut Reader<'_>| {
        audit_filter::list(reader, &Filter::default(), Order::NewestFirst, None, 1000)
    };
    store.read(read).await.unwrap().iter().map(|stored| stored.event().unwrap()).collect()
}

both_engines! {
    /// Catches a write path that forgets the record, or that records what was not committed.
    async fn a_write_without_a_note_still_leaves_an_event(store) {
        store.write(&permit::<act::Upkeep>(&store), |writer| put(writer, "a", 1)).await.unwrap();
        let events = events(&store).await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].action, Action::Upkeep.as_str());
        assert_eq!(events[0].outcome, Outcome::Done);
        assert_eq!(events[0].reasons, ["internal-demo"]);
    }

    async fn an_event_tells_what_the_closure_noted(store) {
        let user = model::UserId::new(store.random());
        store
            .write(&permit::<act::UserCreate>(&store), move |writer| {
                writer.note(json!(null), json!({"username": "ben"}));
                writer.about(Target { resource: user.into(), label: "user:ben".to_owned(), workspace: None });
                let other = Target { resource: Resource::Instance, label: "instance".to_owned(), workspace: None };
                writer.also(Action::Upkeep, other, json!(1), json!(2));
                Ok(())
            })
            .await
            .unwrap();
        let mut events = events(&store).await;
        events.sort_by(|a, b| a.action.cmp(&b.action));
        assert_eq!(events.len(), 2);
        assert_eq!((events[0].action.as_str(), &events[0].before, &events[0].after), ("instance.upkeep", &json!(1), &json!(2)));
        assert_eq!(events[1].resource_id, format!("user:{{{user}}}"));
        assert_eq!(events[1].after, json!({"username": "ben"}));
        assert_eq!(events[0].request_id, events[1].request_id);
    }

    /// Catches a group commit that undoes, or keeps, more than the closure that failed.
    async fn a_failing_closure_leaves_nothing_and_does_not_harm_its_neighbours(store) {
        let mut tasks = Vec::new();
        for n in 0..60_i64 {
            let store_ = store.clone();
            tasks.push(tokio::spawn(async move {
                let permit = permit::<act::Upkeep>(&store_);
                store_
                    .write(&permit, move |writer| {
                        put(writer, &format!("{n:03}"), n)?;
                        match n % 4 {
                            1 => Err(Error::invalid("no")),
                            2 => panic!("a closure that panics"),
                            3 => put(writer, &format!("{n:03}"), n),
                            _ => Ok(()),
                        }
                    })
                    .await
            }));
        }
        let mut done = 0;
        for (n, task) in tasks.into_iter().enumerate() {
            let result = task.await.unwrap();
            match n % 4 {
                0 => { result.unwrap(); done += 1; }
                1 => assert!(matches!(result, Err(Error::Invalid { .. }))),
                2 => assert!(matches!(result, Err(Error::Internal(text)) if text.contains("a closure that panics"))),
                _ => assert!(matches!(result, Err(Error::Conflict(_))), "{result:?}"),
            }
        }
        let found = store.read(settings).await.unwrap();
        assert_eq!(found, (0..60).step_by(4).map(|n| format!("{n:03}")).collect::<Vec<_>>());
        assert_eq!(events(&store).await.len(), done);
    }

    /// Catches a closure that swallows a failed statement and commits the rest.
    async fn going_on_after_a_failed_statement_commits_nothing(store) {
        let result = store
            .write(&permit::<act::Upkeep>(&store), |writer| {
                put(writer, "a", 1)?;
                let _ = put(writer, "a", 2);
                Ok(())
            })
            .await;
        assert!(matches!(result, Err(Error::Internal(_))));
        assert_eq!(store.read(settings).await.unwrap(), Vec::<String>::new());
    }

    /// Catches an answer before the commit: whoever was answered reads what was written.
    async fn three_hundred_writes_at_once_are_all_there_when_they_are_answered(store) {
        let tasks: Vec<_> = (0..300_i64)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move {
                    let key = format!("{n:03}");
                    let permit = permit::<act::Upkeep>(&store);
                    let mine = key.clone();
                    store.write(&permit, move |writer| put(writer, &mine, n)).await.unwrap();
                    let sql = "SELECT count(*) FROM setting WHERE key = $1";
                    store.read(move |reader| reader.count(sql, params![key])).await.unwrap()
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), 1);
        }
        assert_eq!(events(&store).await.len(), 300);
    }

    /// Catches a lost update between two closures that read, think and write.
    async fn racing_read_modify_writes_lose_nothing(store) {
        store.write(&permit::<act::Upkeep>(&store), |writer| put(writer, "n", 0)).await.unwrap();
        let runs = Arc::new(AtomicU32::new(0));
        let tasks: Vec<_> = (0..40)
            .map(|_| {
                let (store, runs) = (store.clone(), Arc::clone(&runs));
                tokio::spawn(async move {
                    let permit = permit::<act::Upkeep>(&store);
                    store
                        .write(&permit, move |writer| {
                            runs.fetch_add(1, Ordering::SeqCst);
                            let row = writer.one("SELECT value FROM setting WHERE key = 'n'", &[])?.unwrap();
                            let value: serde_json::Value = row.get("value")?;
                            let next = json!(value.as_i64().unwrap() + 1);
                            writer.execute("UPDATE setting SET value = $1 WHERE key = 'n'", params![next]).map(drop)
                        })
                        .await
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        let row = store.read(|reader| reader.one("SELECT value FROM setting", &[])).await.unwrap().unwrap();
        assert_eq!(row.get::<serde_json::Value>("value").unwrap(), json!(40));
        assert_eq!(events(&store).await.len(), 41);
        println!("40 closures ran {} times", runs.load(Ordering::SeqCst));
    }

    /// Catches facts cached under a generation that an access change did not raise, or that any write raises.
    async fn the_generation_moves_for_access_writes_alone(store) {
        let read = |store: &TestStore| { let store = (**store).clone(); async move {
            let read = store.read(|reader| reader.generation()).await.unwrap();
            assert!(store.generation().is_none_or(|known| known == read));
            read
        }};
        let before = read(&store).await;
        store.write(&permit::<act::Upkeep>(&store), |writer| put(writer, "a", 1)).await.unwrap();
        assert_eq!(read(&store).await, before);
        store.write(&permit::<act::GrantSet>(&store), |_| Ok(())).await.unwrap();
        assert_eq!(read(&store).await, before + 1);
        let refused = store.write(&permit::<act::GrantSet>(&store), |_| Err::<(), _>(Error::invalid("no"))).await;
        assert!(refused.is_err());
        assert_eq!(read(&store).await, before + 1);
        let tasks: Vec<_> = (0..20).map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.write(&permit::<act::GrantSet>(&store), |_| Ok(())).await })
        }).collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(read(&store).await, before + 21);
    }

    async fn a_read_cannot_write(store) {
        for sql in ["DELETE FROM setting", "WITH gone AS (SELECT 1) DELETE FROM setting RETURNING key",
            "WITH gone AS (DELETE FROM setting RETURNING key) SELECT key FROM gone"] {
            assert!(store.read(move |reader| reader.all(sql, &[])).await.is_err(), "{sql}");
        }
    }

    async fn text_that_an_engine_cannot_hold_is_the_callers_fault(store) {
        let result = store.write(&permit::<act::Upkeep>(&store), |writer| put(writer, "a\0b", 1)).await;
        assert!(matches!(result, Err(Error::Invalid { .. })));
    }

    async fn nothing_is_taken_after_the_end(store) {
        store.close().await.unwrap();
        assert!(matches!(store.read(settings).await, Err(Error::Unavailable)));
        let written = store.write(&permit::<act::Upkeep>(&store), |writer| put(writer, "a", 1)).await;
        assert!(matches!(written, Err(Error::Unavailable)));
    }
}
