//! PostgreSQL: threads that each own a connection, made when it is first needed and made anew when it breaks.
//!
//! Writes are serializable and run again when they meet another; the database's administrator never has to choose
//! an isolation level. Writes that raise the generation of access queue for its table's lock before they take
//! their snapshot, since they would all meet on that one row. Bookkeeping sees the newest rows and locks what it
//! changes. A commit has no time limit on our side: to give up waiting for one is to not know what happened.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use model::{Error, Random, Result, Secret};
use postgres::error::SqlState;
use postgres::{Client, Config, NoTls, Statement};

use super::migrate::{self, Migration};
use super::sqlite::spawn;
use super::tls::{self, Tls};
use super::{Class, Columns, Connection, Dialect, Failure, Mode, Queue, Row, Value, Verdict, Work};

const READERS: usize = 8;
const WRITERS: usize = 8;
/// A closure runs at most so often before its caller is told to come back.
const ATTEMPTS: u32 = 40;
/// A closure that meets a taken key runs again so often before its own error is the answer.
const TAKEN_ATTEMPTS: u32 = 2;
/// Statements kept by each connection.
const STATEMENTS: usize = 256;

/// For every connection. A commit must be on disk before it is answered: a setting that is weaker is raised, a
/// stronger one (a remote standby) is left as it is. A process that stops in mid-transaction must not hold its
/// locks for ever.
const SESSION: &str = "SELECT set_config('synchronous_commit', 'on', false) \
        WHERE current_setting('synchronous_commit') IN ('off', 'local'); \
    SET TIME ZONE 'UTC'; SET idle_in_transaction_session_timeout = '60s'";

/// The advisory lock that migrations hold: any number, the same in every process.
const MIGRATION_LOCK: &str = "BEGIN; SELECT pg_advisory_xact_lock(4702394921427289928)";

type Tasks = Arc<Queue<Box<dyn Work>>>;

/// The database's threads.
pub(crate) struct Postgres {
    writes: Tasks,
    reads: Tasks,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Postgres {
    /// Connects, brings the schema up to date and starts the threads. Blocks; not to be called on a thread of the
    /// async runtime.
    pub(crate) fn open(
        url: &str,
        password: Option<&Secret>,
        random: &Random,
        migrations: &[Migration],
    ) -> Result<Self> {
        let server = Arc::new(Server::parse(url, password)?);
        let mut first = server.connect()?;
        first.script(MIGRATION_LOCK)?;
        migrate::run(&mut first, migrations)?;
        first.script("COMMIT")?;

        let (writes, reads) = (Tasks::new(Queue::new()), Tasks::new(Queue::new()));
        let mut threads = Vec::new();
        let mut first = Some(first);
        for (name, tasks, count) in [("store-writer", &writes, WRITERS), ("store-reader", &reads, READERS)] {
            for _ in 0..count {
                let mut worker =
                    Worker { server: Arc::clone(&server), connection: first.take(), random: random.clone() };
                let tasks = Arc::clone(tasks);
                threads.push(spawn(name, move || {
                    while let Some(work) = tasks.pop() {
                        worker.serve(work);
                    }
                })?);
            }
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

impl Drop for Postgres {
    fn drop(&mut self) {
        self.writes.close();
        self.reads.close();
    }
}

/// Where the server is and how to speak to it.
struct Server {
    config: Config,
    tls: Option<Tls>,
}

impl Server {
    fn parse(url: &str, password: Option<&Secret>) -> Result<Self> {
        let (url, root_certificate) = tls::split_root_certificate(url);
        let mut config: Config = url.parse().map_err(|error| {
            Error::internal(format_args!(
                "the database's address cannot be read: {error}: write it as postgres://user@host/name"
            ))
        })?;
        if let Some(password) = password {
            config.password(password.expose());
        }
        config.application_name("bastide").connect_timeout(Duration::from_secs(10));
        config.keepalives(true).keepalives_idle(Duration::from_secs(30));
        let tls = tls::prepare(&mut config, root_certificate.as_deref())?;
        Ok(Self { config, tls })
    }

    fn connect(&self) -> Result<PostgresConnection, Failure> {
        let connected = match &self.tls {
            Some(tls) => self.config.connect(tls.clone()),
            None => self.config.connect(NoTls),
        };
        let client = connected.map_err(|error| failure(error).during("connecting to the database"))?;
        let mut connection = PostgresConnection { client, statements: HashMap::new() };
        connection.script(SESSION)?;
        Ok(connection)
    }
}

fn begin(mode: Mode) -> &'static str {
    match mode {
        Mode::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        Mode::Write { access: false } => "BEGIN ISOLATION LEVEL SERIALIZABLE",
        // LOCK TABLE takes no snapshot, so the one taken afterwards shows what the last holder committed.
        Mode::Write { access: true } => {
            "BEGIN ISOLATION LEVEL SERIALIZABLE; LOCK TABLE access_generation IN EXCLUSIVE MODE"
        }
        Mode::Keep => "BEGIN ISOLATION LEVEL READ COMMITTED",
    }
}

/// How one run of a closure ended.
enum Ended {
    /// Answer with the closure's own result.
    Settled,
    /// Nothing was committed; run it again.
    Again,
    /// Answer with this.
    Failed(Error),
}

/// One thread's state.
struct Worker {
    server: Arc<Server>,
    connection: Option<PostgresConnection>,
    random: Random,
}

impl Worker {
    fn serve(&mut self, mut work: Box<dyn Work>) {
        let mode = work.mode();
        if mode == Mode::Read && work.is_abandoned() {
            return;
        }
        for attempt in 0..ATTEMPTS {
            match self.attempt(&mut *work, mode, attempt >= TAKEN_ATTEMPTS) {
                Ended::Settled => return work.answer(Ok(())),
                Ended::Failed(error) => return work.answer(Err(error)),
                Ended::Again => self.pause(attempt),
            }
        }
        tracing::warn!(attempts = ATTEMPTS, "a write met others too often and was given up");
        work.answer(Err(Error::Unavailable));
    }

    /// Waits for a while that grows, and is never the same for two threads.
    fn pause(&self, attempt: u32) {
        let [chance] = self.random.bytes::<1>();
        let most = 1_u64 << attempt.min(6);
        std::thread::sleep(Duration::from_micros(most * 8 * u64::from(chance)));
    }

    fn attempt(&mut self, work: &mut dyn Work, mode: Mode, last_for_taken: bool) -> Ended {
        let mut connection = match self.begun(mode) {
            Ok(connection) => connection,
            Err(failure) if failure.class == Class::Again => return Ended::Again,
            Err(failure) => {
                tracing::error!(%failure, "no transaction could be begun");
                return Ended::Failed(Error::Unavailable);
            }
        };
        // The connection returns to its place only when it is known to be sound.
        match work.run(&mut connection) {
            Verdict::Panicked => Ended::Settled,
            Verdict::Undo => {
                if connection.script("ROLLBACK").is_ok() {
                    self.connection = Some(connection);
                }
                Ended::Settled
            }
            // A read's closure can run only once; its own error says what happened.
            verdict @ (Verdict::Again | Verdict::Taken) => {
                if connection.script("ROLLBACK").is_ok() {
                    self.connection = Some(connection);
                }
                match verdict {
                    _ if mode == Mode::Read => Ended::Settled,
                    Verdict::Taken if last_for_taken => Ended::Settled,
                    _ => Ended::Again,
                }
            }
            Verdict::Commit => match connection.script("COMMIT") {
                Ok(()) => {
                    self.connection = Some(connection);
                    Ended::Settled
                }
                Err(failure) if failure.class == Class::Again => {
                    self.connection = Some(connection);
                    Ended::Again
                }
                Err(failure) => Ended::Failed(Error::internal(format_args!(
                    "whether the commit happened is unknown: {failure}"
                ))),
            },
        }
    }

    /// A connection in a fresh transaction. One that broke while it was idle is noticed here and replaced.
    fn begun(&mut self, mode: Mode) -> Result<PostgresConnection, Failure> {
        if let Some(mut connection) = self.connection.take() {
            match connection.script(begin(mode)) {
                Ok(()) => return Ok(connection),
                Err(failure) if failure.class == Class::Broken => {}
                Err(failure) => return Err(failure),
            }
        }
        let mut connection = self.server.connect()?;
        connection.script(begin(mode))?;
        Ok(connection)
    }
}

/// One connection and its prepared statements.
struct PostgresConnection {
    client: Client,
    statements: HashMap<String, (Statement, Columns)>,
}

impl PostgresConnection {
    fn prepared(&mut self, sql: &str) -> Result<(Statement, Columns), Failure> {
        if let Some((statement, columns)) = self.statements.get(sql) {
            return Ok((statement.clone(), Arc::clone(columns)));
        }
        let statement = self.client.prepare(sql).map_err(|error| failure(error).during(sql))?;
        let columns: Columns = statement.columns().iter().map(|column| column.name().to_owned()).collect();
        if self.statements.len() >= STATEMENTS {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), (statement.clone(), Arc::clone(&columns)));
        Ok((statement, columns))
    }
}

fn borrowed(params: &[Value]) -> Vec<&(dyn postgres::types::ToSql + Sync)> {
    params.iter().map(|value| value as &(dyn postgres::types::ToSql + Sync)).collect()
}

impl Connection for PostgresConnection {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn rows(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Failure> {
        let (statement, columns) = self.prepared(sql)?;
        let rows = self.client.query(&statement, &borrowed(params)).map_err(failure)?;
        rows.iter()
            .map(|row| {
                let values = (0..row.len()).map(|at| row.try_get(at).map_err(failure));
                Ok(Row::new(Arc::clone(&columns), values.collect::<Result<_, _>>()?))
            })
            .collect()
    }

    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, Failure> {
        let (statement, _) = self.prepared(sql)?;
        self.client.execute(&statement, &borrowed(params)).map_err(failure)
    }

    fn script(&mut self, sql: &str) -> Result<(), Failure> {
        self.client.batch_execute(sql).map_err(failure)
    }
}

/// The class of an error, and its text with what the server added to it.
#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
fn failure(error: postgres::Error) -> Failure {
    let Some(server) = error.as_db_error() else {
        let io = std::error::Error::source(&error).is_some_and(|source| source.is::<std::io::Error>());
        let class = if error.is_closed() || io { Class::Broken } else { Class::Other };
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        return Failure::new(class, format_args!("{error}{cause}"));
    };
    let class = match server.code() {
        code if *code == SqlState::UNIQUE_VIOLATION => Class::Unique,
        code if *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED => {
            Class::Again
        }
        // The server stops, or the schema changed under a prepared statement: another connection will do.
        code if code.code().starts_with("57P") || *code == SqlState::FEATURE_NOT_SUPPORTED => Class::Broken,
        _ => Class::Other,
    };
    Failure::new(class, format_args!("{} ({})", server.message(), server.code().code()))
}
