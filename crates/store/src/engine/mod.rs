//! The two engines behind one face: threads of their own that own the connections and run closures in transactions.
//!
//! A closure is synchronous and touches nothing but its connection. Whoever waits for it awaits a channel, so no
//! thread of the async runtime ever blocks on the disk or on a lock. What is not here: any table but the
//! migrations' own.

mod failure;
pub(crate) mod migrate;
mod postgres;
mod postgres_value;
mod query;
mod queue;
mod row;
mod sqlite;
mod task;
mod tls;
mod value;

pub use failure::OrConflict;
pub use query::Query;
pub use row::Row;
pub use value::{FromValue, Value};

pub(crate) use failure::{Class, Failure};
pub(crate) use postgres::Postgres;
pub(crate) use queue::Queue;
pub(crate) use row::Columns;
pub(crate) use sqlite::Sqlite;
pub(crate) use task::{Mode, Ran, Task, Verdict, Work};

/// Which engine a connection speaks to, for the few words of SQL that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite, in this process.
    Sqlite,
    /// PostgreSQL, or a database that speaks its protocol.
    Postgres,
}

impl Dialect {
    /// Locks the rows of a subquery and passes over those that are locked already. SQLite has one writer at a time
    /// and needs no words for it.
    #[must_use]
    pub fn skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE SKIP LOCKED",
        }
    }
}

/// One connection inside a transaction. The statement's parameters are `$1`, `$2`, … in any order, also reused.
pub(crate) trait Connection {
    /// Which engine this is.
    fn dialect(&self) -> Dialect;
    /// Runs a statement that answers rows.
    fn rows(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Failure>;
    /// Runs a statement and tells how many rows it changed.
    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, Failure>;
    /// Runs several statements without parameters.
    fn script(&mut self, sql: &str) -> Result<(), Failure>;
}

/// An engine with its threads.
pub(crate) enum Engine {
    /// SQLite.
    Sqlite(Sqlite),
    /// PostgreSQL.
    Postgres(Postgres),
}

impl Engine {
    /// Hands a task to the threads that run its kind; gives it back when they take no more.
    pub(crate) fn submit(&self, work: Box<dyn Work>) -> Result<(), Box<dyn Work>> {
        match self {
            Self::Sqlite(engine) => engine.submit(work),
            Self::Postgres(engine) => engine.submit(work),
        }
    }

    /// Takes no more tasks, finishes those it has, and waits for the threads to end. Blocks.
    pub(crate) fn close(&self) {
        match self {
            Self::Sqlite(engine) => engine.close(),
            Self::Postgres(engine) => engine.close(),
        }
    }
}
