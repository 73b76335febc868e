//! How many audit events a second are on disk before their callers are answered: on SQLite, and on PostgreSQL where
//! `BASTIDE_TEST_POSTGRES` names a server. One line for each way, with tabs between: the engine, the way, events per
//! second. Run with `--release`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "an example that measures")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keyring::SigningKey;
use ledger::VerifierKey;
use model::{
    Action, AuditEvent, Clock, EventId, Outcome, Random, RepositoryId, RequestId, Resource, Result,
    WorkspaceId, act,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::sequence::Sign;
use store::{Store, setting};
use testkit::{TestStore, permit};

const ORIGIN: &str = "example.com/audit";
const TIME: Duration = Duration::from_secs(2);
/// Three rounds of each way in turns; the middle one counts.
const ROUNDS: usize = 3;
/// Requests at once.
const TASKS: usize = 512;
/// Processes that know nothing of each other, for the baseline.
const ALONE: usize = 16;

/// A store as a server has it, with the clock of the machine: a trail grows at its end.
async fn open(database: &TestStore) -> Store {
    let store = Store::open(database.database(), Clock::system(), Random::system()).await.unwrap();
    store.authenticate_with(Arc::new(|bytes: &[u8]| Ok(Sha256::digest(bytes).into()))).unwrap();
    store
}

fn event(store: &Store, task: usize) -> AuditEvent {
    // A repository for each of them, in an order that is not theirs: none of the finding is easier than it may be.
    let repository = RepositoryId::from_uuid(uuid::Uuid::from_u64_pair((task * 7919 % TASKS) as u64, 0));
    let workspace = WorkspaceId::from_uuid(uuid::Uuid::from_u64_pair(0, (task % 8) as u64));
    let time = store.clock().now();
    AuditEvent {
        v: model::audit_event::VERSION,
        id: EventId::at(time, store.random()),
        time,
        request_id: RequestId::at(time, store.random()),
        actor: format!("user:{}", task % 50),
        actor_id: None,
        credential: Some("app_password:{00000000-0000-4000-8000-000000000000}".to_owned()),
        address: Some("192.0.2.1".to_owned()),
        action: Action::RepositoryClone.as_str().to_owned(),
        resource: format!("repository:acme/{task}"),
        resource_id: Resource::from(repository).to_string(),
        workspace_id: Some(workspace.to_string()),
        outcome: Outcome::Refused,
        reasons: vec!["no-permit".to_owned()],
        before: Value::Null,
        after: Value::Null,
    }
}

async fn record(store: Store, task: usize) -> Result<()> {
    let event = event(&store, task);
    store.record(event).await
}

async fn write(store: Store, task: usize) -> Result<()> {
    let key = format!("task-{task}");
    store.write(&permit::<act::Upkeep>(&store), move |writer| setting::set(writer, &key, &json!(1))).await
}

async fn measure<F>(stores: &[Store], tasks: usize, work: fn(Store, usize) -> F) -> f64
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let began = Instant::now();
    let tasks: Vec<_> = (0..tasks)
        .map(|task| {
            let store = stores.get(task % stores.len()).unwrap().clone();
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

/// Gives every event its place in the ledger, as a server's sequencer does beside its requests.
async fn sequence(store: &Store) {
    let signing = SigningKey::generate(store.random()).unwrap();
    let key = VerifierKey::new(ORIGIN, signing.public().unwrap()).unwrap();
    let sign: Sign = Arc::new(move |text: &[u8]| signing.sign(text).map_err(model::Error::internal));
    while store.sequence(ORIGIN, &key, Arc::clone(&sign)).await.unwrap() > 0 {}
}

/// The same events, until the last of them has its place: what a server can keep up for hours.
async fn measure_placed(store: &Store) -> f64 {
    sequence(store).await;
    let began = Instant::now();
    let busy = Arc::new(AtomicBool::new(true));
    let beside = {
        let (store, busy) = (store.clone(), Arc::clone(&busy));
        tokio::spawn(async move {
            while busy.load(Ordering::Relaxed) {
                sequence(&store).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
    };
    let rate = measure(std::slice::from_ref(store), TASKS, record).await;
    let recorded = rate * began.elapsed().as_secs_f64();
    busy.store(false, Ordering::Relaxed);
    beside.await.unwrap();
    sequence(store).await;
    recorded / began.elapsed().as_secs_f64()
}

#[tokio::main]
async fn main() {
    let stores = [("SQLite", Some(TestStore::sqlite().await)), ("PostgreSQL", TestStore::postgres().await)];
    for (engine, store) in stores {
        let Some(store) = store else { continue };
        let one = [open(&store).await];
        let mut many = Vec::new();
        for _ in 0..ALONE {
            many.push(open(&store).await);
        }
        let mut found = [const { Vec::new() }; 4];
        for _ in 0..ROUNDS {
            let rates = [
                measure(&one, TASKS, record).await,
                measure(&one, TASKS, write).await,
                measure_placed(&one[0]).await,
                // Each waits for its own: no transaction has two events.
                measure(&many, ALONE, record).await,
            ];
            found.iter_mut().zip(rates).for_each(|(found, rate)| found.push(rate));
        }
        let ways =
            ["recorded", "with a write", "recorded and placed in the ledger", "one transaction an event"];
        for (way, mut rates) in ways.iter().zip(found) {
            rates.sort_by(f64::total_cmp);
            println!("{engine}\t{way}\t{:.0}", rates.get(ROUNDS / 2).unwrap());
        }
    }
}
