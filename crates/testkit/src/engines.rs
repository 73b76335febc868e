//! A store over a database of its own for each test, on either engine: for tests of what lies below decisions.
//!
//! SQLite lies in a temporary directory; PostgreSQL is a [`TestDatabase`].

use std::ops::Deref;
use std::sync::Arc;

use model::{Clock, Random, RequestId, Resource, Result, Timestamp};
use policy::{InternalReason, Origin, Permit, Target};
use store::{Database, Store};
use tempfile::TempDir;

use crate::TestDatabase;

/// A store over a fresh database, which goes when this is dropped.
pub struct TestStore {
    store: Store,
    /// The hand on the store's clock.
    pub clock: Clock,
    backing: Backing,
}

enum Backing {
    Directory(TempDir),
    Server(Box<TestDatabase>),
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

impl TestStore {
    /// Over a SQLite file.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn sqlite() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory is made");
        Self::over(Backing::Directory(directory)).await
    }

    /// Over a database on the server that the environment names, if it names one.
    ///
    /// # Panics
    /// When it cannot be made, or when the environment demands PostgreSQL and names no server.
    pub async fn postgres() -> Option<Self> {
        Some(Self::over(Backing::Server(Box::new(TestDatabase::create()?))).await)
    }

    async fn over(backing: Backing) -> Self {
        let clock = Clock::manual(start());
        let store =
            Store::open(backing.database(), clock.clone(), Random::system()).await.expect("the store opens");
        store.authenticate_with(Arc::new(test_mac)).expect("the store has no key yet");
        Self { store, clock, backing }
    }

    /// One more store over the same database, as another process would open it.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn again(&self) -> Store {
        let store = Store::open(self.backing.database(), self.clock.clone(), Random::system())
            .await
            .expect("the store opens");
        store.authenticate_with(Arc::new(test_mac)).expect("the store has no key yet");
        store
    }

    /// How to open the database.
    #[must_use]
    pub fn database(&self) -> Database {
        self.backing.database()
    }
}

impl Backing {
    fn database(&self) -> Database {
        match self {
            Self::Directory(directory) => Database::Sqlite { path: directory.path().join("bastide.db") },
            Self::Server(database) => {
                Database::Postgres { url: database.url(), password: database.password() }
            }
        }
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

            async fn body($store: $crate::TestStore) $body

            #[tokio::test(flavor = "multi_thread")]
            async fn on_sqlite() {
                body($crate::TestStore::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_postgres() {
                if let Some(store) = $crate::TestStore::postgres().await {
                    body(store).await;
                }
            }
        }
    )*};
}
