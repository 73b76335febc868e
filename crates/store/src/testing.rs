//! A database of its own for each test, on either engine.
//!
//! SQLite lies in a temporary directory. PostgreSQL is used when `BASTIDE_TEST_POSTGRES` holds the address of a server
//! on which databases may be made; without it the PostgreSQL half of a test says that it did not run, or fails when
//! `CI=true` or `BASTIDE_REQUIRE_POSTGRES=1` demands it.

use std::ops::Deref;
use std::sync::Arc;

use model::{Clock, Random, RequestId, Resource, Result, Timestamp};
use policy::{InternalReason, Origin, Permit, Target};
use tempfile::TempDir;

use crate::{Database, Store};

/// A store over a fresh database, which goes when this is dropped.
pub struct TestStore {
    store: Store,
    /// The hand on the store's clock.
    pub clock: Clock,
    place: Place,
}

enum Place {
    Directory(TempDir),
    Server { url: String, name: String },
}

impl Deref for TestStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

/// When every test begins.
#[must_use]
pub fn start() -> Timestamp {
    Timestamp::from_micros(1_790_000_000_000_000)
}

#[expect(clippy::expect_used, reason = "a test without its database must fail")]
impl TestStore {
    /// Over a SQLite file.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn sqlite() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory is made");
        Self::over(Place::Directory(directory)).await
    }

    /// Over a database on the server that the environment names, if it names one.
    ///
    /// # Panics
    /// When it cannot be made, or when the environment demands PostgreSQL and names no server.
    #[expect(clippy::print_stderr, clippy::panic, reason = "a test that did not run must be seen")]
    pub async fn postgres() -> Option<Self> {
        let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
        let Ok(server) = std::env::var("BASTIDE_TEST_POSTGRES") else {
            if is("CI", "true") || is("BASTIDE_REQUIRE_POSTGRES", "1") {
                panic!("BASTIDE_TEST_POSTGRES must name a PostgreSQL server");
            }
            eprintln!("did not run on PostgreSQL: BASTIDE_TEST_POSTGRES names no server");
            return None;
        };
        let name = format!("bastide_test_{}", RequestId::new(&Random::system()).uuid().simple());
        // As on any real server the default collation may be a language's; the schema must not depend on it.
        administer(&server, format!("CREATE DATABASE {name} TEMPLATE template0"))
            .join()
            .expect("a database is made");
        Some(Self::over(Place::Server { url: server, name }).await)
    }

    async fn over(place: Place) -> Self {
        let clock = Clock::manual(start());
        let store =
            Store::open(place.database(), clock.clone(), Random::system()).await.expect("the store opens");
        store.authenticate_with(Arc::new(test_mac)).expect("the store has no key yet");
        Self { store, clock, place }
    }

    /// One more store over the same database, as another process would open it.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn again(&self) -> Store {
        let store = Store::open(self.place.database(), self.clock.clone(), Random::system())
            .await
            .expect("the store opens");
        store.authenticate_with(Arc::new(test_mac)).expect("the store has no key yet");
        store
    }

    /// How to open the database.
    #[must_use]
    pub fn database(&self) -> Database {
        self.place.database()
    }
}

impl Place {
    fn database(&self) -> Database {
        match self {
            Self::Directory(directory) => Database::Sqlite { path: directory.path().join("bastide.db") },
            Self::Server { url, name } => Database::Postgres { url: with_name(url, name), password: None },
        }
    }
}

impl Drop for TestStore {
    fn drop(&mut self) {
        if let Place::Server { url, name } = &self.place {
            // The threads of the store may still be ending. A database that stays behind goes with its server.
            let _ = administer(url, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).join();
        }
    }
}

/// Runs one statement on the server, on a thread of its own.
#[expect(clippy::expect_used, reason = "a test without its database must fail")]
fn administer(url: &str, sql: String) -> std::thread::JoinHandle<()> {
    let url = url.to_owned();
    std::thread::spawn(move || {
        let mut client = postgres::Client::connect(&url, postgres::NoTls).expect("the test server answers");
        client.batch_execute(&sql).expect("the test server obeys");
    })
}

/// The server's address with another database's name.
fn with_name(url: &str, name: &str) -> String {
    let (head, query) = url.split_once('?').map_or((url, None), |(head, query)| (head, Some(query)));
    let after_scheme = head.find("://").map_or(0, |at| at + 3);
    let server = match head.get(after_scheme..).and_then(|rest| rest.find('/')) {
        Some(at) => head.get(..after_scheme + at).unwrap_or(head),
        None => head,
    };
    match query {
        Some(query) => format!("{server}/{name}?{query}"),
        None => format!("{server}/{name}"),
    }
}

/// A code that tells two texts apart, and protects nothing.
#[expect(clippy::unnecessary_wraps, reason = "the shape of a code's maker")]
fn test_mac(bytes: &[u8]) -> Result<[u8; 32]> {
    use sha2::{Digest, Sha256};
    Ok(Sha256::digest(bytes).into())
}

/// A permit for any action on the instance, for tests of what lies below decisions.
pub fn permit<A: model::Act>(store: &Store) -> Permit<A> {
    let origin = Origin {
        request_id: RequestId::new(store.random()),
        time: store.clock().now(),
        actor: "user:ann".to_owned(),
        actor_id: None,
        credential: None,
        address: None,
    };
    let target = Target { resource: Resource::Instance, label: "instance".to_owned(), workspace: None };
    Permit::internal(InternalReason::Demo, origin, target)
}

/// Makes two tests of one: `both_engines! { async fn name(store: &TestStore) { … } }`.
#[macro_export]
macro_rules! both_engines {
    ($($(#[$attribute:meta])* async fn $name:ident($store:ident) $body:block)*) => {$(
        $(#[$attribute])*
        mod $name {
            use super::*;

            async fn body($store: $crate::testing::TestStore) $body

            #[tokio::test(flavor = "multi_thread")]
            async fn on_sqlite() {
                body($crate::testing::TestStore::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_postgres() {
                if let Some(store) = $crate::testing::TestStore::postgres().await {
                    body(store).await;
                }
            }
        }
    )*};
}
