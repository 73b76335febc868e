//! SQLite: one writing thread that commits for many at once, and four that read.
//!
//! A durable commit costs a `fdatasync`, whoever asked for it. So the writer takes whatever waits, runs the closures in
//! one transaction, commits once, and only then answers. A closure that fails undoes what it wrote and nothing else: it
//! rarely wrote anything, and where it did, the batch is rolled back and all of its closures run again, each in a
//! savepoint of its own. Savepoints for all would cost a third of the writer's time, since SQLite keeps for each of them
//! a copy of every page that changes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use model::{Error, Result};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, OpenFlags, ffi};

use super::migrate::{self, Migration};
use super::{Class, Columns, Connection, Dialect, Failure, Mode, Queue, Row, Value, Verdict, Work};

const READERS: usize = 4;
/// A batch ends after so many closures, so that the first in it does not wait for too long.
const BATCH: usize = 256;
/// Statements kept by each connection.
const STATEMENTS: usize = 256;

/// For every connection. The memory map spares copies on reads; the pages belong to the system's cache.
const PRAGMAS: &str = "PRAGMA busy_timeout = 10000; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; \
    PRAGMA cache_size = -4096; PRAGMA mmap_size = 268435456; PRAGMA temp_store = MEMORY;";

/// For the writer. FULL: a commit that was answered survives a loss of power. A batch's pages fit into its cache, and a
/// checkpoint comes after several batches, not within each.
const WRITER_PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 4096;";

type Tasks = Arc<Queue<Box<dyn Work>>>;

/// The database file's threads.
pub(crate) struct Sqlite {
    writes: Tasks,
    reads: Tasks,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Sqlite {
    /// Opens or makes the file, brings its schema up to date and starts the threads. Blocks.
    pub(crate) fn open(path: &Path, migrations: &[Migration]) -> Result<Self> {
        make_private(path)?;
        let mut writer = SqliteConnection::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        writer.script(WRITER_PRAGMAS)?;
        writer.script("BEGIN EXCLUSIVE")?;
        migrate::run(&mut writer, migrations)?;
        writer.script("COMMIT")?;

        let (writes, reads) = (Tasks::new(Queue::new()), Tasks::new(Queue::new()));
        let mut threads = Vec::new();
        let tasks = Arc::clone(&writes);
        threads.push(spawn("store-writer", move || write_all(&mut writer, &tasks))?);
        for _ in 0..READERS {
            let mut reader = SqliteConnection::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            reader.script("PRAGMA query_only = ON")?;
            let tasks = Arc::clone(&reads);
            threads.push(spawn("store-reader", move || read_all(&mut reader, &tasks))?);
        }
        Ok(Self { writes, reads, threads: Mutex::new(threads) })
    }

    pub(crate) fn submit(&self, work: Box<dyn Work>) -> Result<(), Box<dyn Work>> {
        match work.mode() {
            Mode::Read => self.reads.push(work),
            Mode::Write { .. } | Mode::Keep => self.writes.push(work),
        }
    }

    pub(crate) fn close(&self) {
        self.writes.close();
        self.reads.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A worker catches the panics of closures; should it die of its own, there is nothing left to wait for.
            let _ = thread.join();
        }
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.writes.close();
        self.reads.close();
    }
}

/// A worker thread with a name that a profiler shows.
pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(Error::internal)
}

/// Makes the file, if it is missing, so that only its owner may read it. SQLite gives the journal the same mode.
fn make_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|error| Error::internal(format_args!("opening the database `{}`: {error}", path.display())))
}

/// The writer's loop.
fn write_all(connection: &mut SqliteConnection, tasks: &Queue<Box<dyn Work>>) {
    while let Some(first) = tasks.pop() {
        let mut done: Vec<Box<dyn Work>> = Vec::new();
        let committed = write_batch(connection, tasks, first, &mut done);
        if let Err(failure) = &committed {
            tracing::error!(%failure, closures = done.len(), "a batch of writes was not committed");
            if !connection.inner.is_autocommit() {
                let _ = connection.script("ROLLBACK");
            }
        }
        for work in done {
            work.answer(committed.as_ref().copied().map_err(Error::internal));
        }
    }
    // What the planner knows of the tables is brought up to date where that seems worth it.
    let _ = connection.script("PRAGMA optimize");
}

/// Runs `first` and whatever waits behind it in one transaction. Every closure that was begun is in `done`, also
/// when this fails.
fn write_batch(
    connection: &mut SqliteConnection,
    tasks: &Queue<Box<dyn Work>>,
    first: Box<dyn Work>,
    done: &mut Vec<Box<dyn Work>>,
) -> Result<(), Failure> {
    let mut next = Some(first);
    if let Err(failure) = connection.execute("BEGIN IMMEDIATE", &[]) {
        done.extend(next);
        return Err(failure);
    }
    while let Some(mut work) = next {
        let ran = leaves_nothing_behind(connection, &mut *work);
        done.push(work);
        if !ran? {
            return write_apart(connection, done);
        }
        next = if done.len() >= BATCH { None } else { tasks.try_pop() };
    }
    connection.execute("COMMIT", &[]).map(drop)
}

/// Runs one closure; false when it failed and had written something. An error here is one of the whole batch.
fn leaves_nothing_behind(connection: &mut SqliteConnection, work: &mut dyn Work) -> Result<bool, Failure> {
    let before = connection.inner.total_changes();
    let verdict = work.run(connection);
    undone_by_itself(connection)?;
    Ok(verdict == Verdict::Commit || connection.inner.total_changes() == before)
}

/// Rolls the batch back and runs its closures again, each so that its failure touches no other's work.
fn write_apart(connection: &mut SqliteConnection, batch: &mut [Box<dyn Work>]) -> Result<(), Failure> {
    connection.execute("ROLLBACK", &[])?;
    connection.execute("BEGIN IMMEDIATE", &[])?;
    for work in batch {
        in_savepoint(connection, &mut **work)?;
    }
    connection.execute("COMMIT", &[]).map(drop)
}

/// A full disk, for one, makes SQLite undo the whole transaction.
fn undone_by_itself(connection: &SqliteConnection) -> Result<(), Failure> {
    if connection.inner.is_autocommit() {
        return Err(Failure::other("the database undid the transaction"));
    }
    Ok(())
}

/// Runs one closure so that its failure leaves nothing behind. An error here is one of the whole batch.
fn in_savepoint(connection: &mut SqliteConnection, work: &mut dyn Work) -> Result<(), Failure> {
    connection.execute("SAVEPOINT closure", &[])?;
    let verdict = work.run(connection);
    undone_by_itself(connection)?;
    if verdict != Verdict::Commit {
        connection.execute("ROLLBACK TO closure", &[])?;
    }
    connection.execute("RELEASE closure", &[]).map(drop)
}

/// A reader's loop.
fn read_all(connection: &mut SqliteConnection, tasks: &Queue<Box<dyn Work>>) {
    while let Some(mut work) = tasks.pop() {
        if work.is_abandoned() {
            continue;
        }
        // BEGIN holds one state of the data for all statements of the closure.
        if let Err(failure) = connection.execute("BEGIN", &[]) {
            work.answer(Err(failure.into()));
            continue;
        }
        work.run(connection);
        let ended = connection.execute("ROLLBACK", &[]);
        work.answer(ended.map(drop).map_err(Error::from));
    }
}

/// One connection and the names of the columns of the statements it has seen.
pub(crate) struct SqliteConnection {
    inner: rusqlite::Connection,
    columns: HashMap<String, Columns>,
}

impl SqliteConnection {
    fn open(path: &Path, flags: OpenFlags) -> Result<Self, Failure> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let inner = rusqlite::Connection::open_with_flags(path, flags).map_err(failure)?;
        inner.set_prepared_statement_cache_capacity(STATEMENTS);
        inner.execute_batch(PRAGMAS).map_err(failure)?;
        Ok(Self { inner, columns: HashMap::new() })
    }
}

/// Binds `$n` to the n-th value, whatever the order in which SQLite numbered the names it met.
fn bind(statement: &mut rusqlite::Statement<'_>, params: &[Value]) -> Result<(), Failure> {
    let mut highest = 0;
    for index in 1..=statement.parameter_count() {
        let number = statement
            .parameter_name(index)
            .and_then(|name| name.strip_prefix('$')?.parse::<usize>().ok())
            .ok_or_else(|| Failure::other("a parameter is not of the form `$1`"))?;
        let value = number.checked_sub(1).and_then(|at| params.get(at));
        let value = value.ok_or_else(|| Failure::other(format_args!("parameter ${number} has no value")))?;
        statement.raw_bind_parameter(index, value).map_err(failure)?;
        highest = highest.max(number);
    }
    if highest == params.len() {
        return Ok(());
    }
    Err(Failure::other(format_args!("{} values for {highest} parameters", params.len())))
}

impl Connection for SqliteConnection {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn rows(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Failure> {
        let mut statement = self.inner.prepare_cached(sql).map_err(failure)?;
        bind(&mut statement, params)?;
        let width = statement.column_count();
        let columns = match self.columns.get(sql).filter(|columns| columns.len() == width) {
            Some(columns) => Arc::clone(columns),
            None => {
                if self.columns.len() >= STATEMENTS {
                    self.columns.clear();
                }
                let columns: Columns = statement.column_names().map(str::to_owned).collect();
                self.columns.insert(sql.to_owned(), Arc::clone(&columns));
                columns
            }
        };
        let mut answer = Vec::new();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(failure)? {
            let values = (0..width).map(|at| row.get_ref(at).map_err(failure).and_then(value));
            answer.push(Row::new(Arc::clone(&columns), values.collect::<Result<_, _>>()?));
        }
        Ok(answer)
    }

    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, Failure> {
        let mut statement = self.inner.prepare_cached(sql).map_err(failure)?;
        bind(&mut statement, params)?;
        let changed = statement.raw_execute().map_err(failure)?;
        u64::try_from(changed).map_err(Failure::other)
    }

    fn script(&mut self, sql: &str) -> Result<(), Failure> {
        self.inner.execute_batch(sql).map_err(failure)
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        use rusqlite::types::Value as Owned;
        Ok(match self {
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Bool(value) => ToSqlOutput::Borrowed(ValueRef::Integer(i64::from(*value))),
            Self::Int(value) => ToSqlOutput::Borrowed(ValueRef::Integer(*value)),
            Self::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            Self::Bytes(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
            Self::Uuid(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value.as_bytes())),
            Self::Time(value) => ToSqlOutput::Borrowed(ValueRef::Integer(value.micros())),
            Self::Json(value) => ToSqlOutput::Owned(Owned::Text(value.to_string())),
        })
    }
}

fn value(value: ValueRef<'_>) -> Result<Value, Failure> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Int(value),
        ValueRef::Text(bytes) => Value::Text(std::str::from_utf8(bytes).map_err(Failure::other)?.to_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
        ValueRef::Real(_) => return Err(Failure::other("a column holds a floating point number")),
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
fn failure(error: rusqlite::Error) -> Failure {
    let class = match &error {
        rusqlite::Error::SqliteFailure(code, _) if code.code == ErrorCode::ConstraintViolation => {
            match code.extended_code {
                ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => Class::Unique,
                _ => Class::Other,
            }
        }
        _ => Class::Other,
    };
    Failure::new(class, &error)
}
