//! Prints how many durable audited writes and point reads a second the store does on SQLite, and on PostgreSQL where
//! `BASTIDE_TEST_POSTGRES` names a server. `cargo run --release -p store --example throughput`
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "an example that measures")]

use std::time::{Duration, Instant};

use model::{Result, act};
use serde_json::json;
use store::{Store, params, setting};
use testkit::{TestStore, permit};

const TIME: Duration = Duration::from_secs(3);

async fn write(store: Store, task: usize) -> Result<()> {
    let key = format!("task-{task}");
    store.write(&permit::<act::Upkeep>(&store), move |writer| setting::set(writer, &key, &json!(1))).await
}

async fn access_write(store: Store, _task: usize) -> Result<()> {
    store.write(&permit::<act::GrantSet>(&store), |_| Ok(())).await
}

async fn read(store: Store, _task: usize) -> Result<()> {
    let sql = "SELECT id, actor, action FROM audit_event WHERE id = $1";
    store.read(move |reader| reader.one(sql, params![uuid::Uuid::nil()])).await.map(drop)
}

async fn measure<F>(store: &TestStore, tasks: usize, work: fn(Store, usize) -> F) -> f64
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let began = Instant::now();
    let tasks: Vec<_> = (0..tasks)
        .map(|task| {
            let store = (*store).clone();
            tokio::spawn(async move {
                let mut done = 0_u32;
                while began.elapsed() < TIME {
                    work(store.clone(), task).await.unwrap();
                    done += 1;
                }
                done
            })
        })
        .collect();
    let mut done = 0.0;
    for task in tasks {
        done += f64::from(task.await.unwrap());
    }
    done / began.elapsed().as_secs_f64()
}

#[tokio::main]
async fn main() {
    let stores = [("SQLite", Some(TestStore::sqlite().await)), ("PostgreSQL", TestStore::postgres().await)];
    for (name, store) in stores {
        let Some(store) = store else { continue };
        write((*store).clone(), 0).await.unwrap();
        for tasks in [1, 64] {
            println!(
                "{name}: {:>8.0} audited writes/s with {tasks} tasks",
                measure(&store, tasks, write).await
            );
        }
        println!("{name}: {:>8.0} access writes/s with 64 tasks", measure(&store, 64, access_write).await);
        for tasks in [1, 16] {
            println!("{name}: {:>8.0} point reads/s with {tasks} tasks", measure(&store, tasks, read).await);
        }
    }
}
