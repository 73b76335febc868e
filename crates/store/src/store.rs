//! The store: opens a database, hands out transactions, and appends the record to those that write.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use model::{Act, AuditEvent, Clock, Error, Random, Result, Secret};
use policy::Permit;
use tokio::sync::oneshot;

use crate::audit::{self, Mac};
use crate::bookkeeping::Bookkeeping;
use crate::count::Counts;
use crate::engine::{Connection, Engine, Mode, Postgres, Ran, Sqlite, Task};
use crate::reader::{Reader, settle};
use crate::recorder::{Recorder, Waiting};
use crate::schema::MIGRATIONS;
use crate::writer::{Stamp, Writer};

/// Which database.
pub enum Database {
    /// A SQLite file; made when it is missing.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// A PostgreSQL server.
    Postgres {
        /// `postgres://user@host/name`, with `sslmode` and `sslrootcert` where they are needed.
        url: String,
        /// The password, when it does not stand in the address.
        password: Option<Secret>,
    },
}

/// What every transaction has at hand.
struct Context {
    clock: Clock,
    random: Random,
    mac: OnceLock<Mac>,
    /// On SQLite, the generation of access as it was last committed.
    generation: AtomicU64,
}

struct Inner {
    engine: Engine,
    context: Arc<Context>,
    counts: Counts,
    recorder: Recorder,
}

/// A handle on the store; clones share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

impl Store {
    /// Opens the database and brings its schema up to date, waiting for other processes that do the same.
    pub async fn open(database: Database, clock: Clock, random: Random) -> Result<Self> {
        let (answer, opened) = oneshot::channel();
        let for_engine = random.clone();
        // A thread of its own: the drivers block, and one of them may not be called from a thread of the runtime.
        std::thread::spawn(move || {
            let engine = match database {
                Database::Sqlite { path } => Sqlite::open(&path, MIGRATIONS).map(Engine::Sqlite),
                Database::Postgres { url, password } => {
                    Postgres::open(&url, password.as_ref(), &for_engine, MIGRATIONS).map(Engine::Postgres)
                }
            };
            let _ = answer.send(engine);
        });
        let engine = opened.await.map_err(|_| Error::internal("opening the database ended in a panic"))??;
        let context = Context { clock, random, mac: OnceLock::new(), generation: AtomicU64::new(0) };
        let (counts, recorder) = (Counts::default(), Recorder::default());
        let store = Self { inner: Arc::new(Inner { engine, context: Arc::new(context), counts, recorder }) };
        let generation = store.read(|reader| reader.generation()).await?;
        store.inner.context.generation.store(generation, Ordering::SeqCst);
        Ok(store)
    }

    /// Hands over the key by which events are authenticated. It lies wrapped in this store, so it cannot be there when
    /// the store is opened; until it is, nothing is written but the books.
    pub fn authenticate_with(&self, mac: Mac) -> Result<()> {
        self.inner
            .context
            .mac
            .set(mac)
            .map_err(|_| Error::internal("the store has a key for audit events already"))
    }

    /// Reads. The closure sees one state of the data.
    pub async fn read<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Reader<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let context = Arc::clone(&self.inner.context);
        let mut f = Some(f);
        let body = move |connection: &mut dyn Connection| {
            let failed = Cell::new(None);
            let mut reader = Reader::new(connection, &context.clock, &context.random, &failed);
            let result = match f.take() {
                Some(f) => f(&mut reader),
                None => Err(Error::internal("a reading closure was run twice")),
            };
            settle(failed.get(), result)
        };
        self.run(Mode::Read, body, || ()).await
    }

    /// Writes, and appends the audit event in the same transaction. Answers after the commit. The closure may run
    /// again, when the transaction met another one or shared a batch with one that failed: it touches nothing but the store.
    pub async fn write<A: Act, T: Send + 'static>(
        &self,
        permit: &Permit<A>,
        mut f: impl FnMut(&mut Writer<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let stamp = Stamp::of(permit);
        let mode = Mode::Write { access: stamp.changes_access() };
        let context = Arc::clone(&self.inner.context);
        let raised = Arc::new(AtomicU64::new(0));
        let (raised_to, shared) = (Arc::clone(&raised), Arc::clone(&context));
        let body = move |connection: &mut dyn Connection| {
            let failed = Cell::new(None);
            let result = context.mac.get().ok_or_else(audit::without_key).and_then(|mac| {
                let reader = Reader::new(connection, &context.clock, &context.random, &failed);
                let mut writer = Writer::new(reader, &stamp);
                let value = f(&mut writer)?;
                let generation = writer.finish(mac)?;
                raised_to.store(generation.unwrap_or(0), Ordering::SeqCst);
                Ok(value)
            });
            settle(failed.get(), result)
        };
        let committed = move || {
            shared.generation.fetch_max(raised.load(Ordering::SeqCst), Ordering::SeqCst);
        };
        self.run(mode, body, committed).await
    }

    /// Keeps the books: changes to neither access nor content, on the tables of [`Table`](crate::Table) alone. On
    /// PostgreSQL each statement sees the newest committed rows, so that leases and cursors are taken by one.
    pub async fn keep<T: Send + 'static>(
        &self,
        mut f: impl FnMut(&mut Bookkeeping<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let context = Arc::clone(&self.inner.context);
        let body = move |connection: &mut dyn Connection| {
            let failed = Cell::new(None);
            let reader = Reader::new(connection, &context.clock, &context.random, &failed);
            let result = f(&mut Bookkeeping::new(reader));
            settle(failed.get(), result)
        };
        self.run(Mode::Keep, body, || ()).await
    }

    /// Records an event that goes with no write: a refusal, or a sensitive read. Answers after the commit, which it
    /// shares with others that are recorded at the same time.
    pub async fn record(&self, event: AuditEvent) -> Result<()> {
        if matches!(self.inner.engine, Engine::Sqlite(_)) {
            // Its one writer shares commits among all who come.
            return self.append(vec![event]).await;
        }
        let (answer, recorded) = oneshot::channel();
        if self.inner.recorder.push(Waiting { event, answer }) {
            let store = self.clone();
            // On its own, since whoever waits may go away, and others wait for the same.
            tokio::spawn(async move { store.record_waiting().await });
        }
        recorded.await.map_err(|_| Error::internal("an event was lost on its way to the trail"))?
    }

    /// Appends what waits until nothing does.
    async fn record_waiting(&self) {
        loop {
            let (events, answers): (Vec<_>, Vec<_>) =
                self.inner.recorder.take().into_iter().map(|one| (one.event, one.answer)).unzip();
            if events.is_empty() {
                return;
            }
            let together = self.append(events.clone()).await;
            for (event, answer) in events.into_iter().zip(answers) {
                let recorded = match together {
                    Ok(()) => Ok(()),
                    // One that cannot be written does not take the others with it.
                    Err(_) => self.append(vec![event]).await,
                };
                // Nobody waits when the request was dropped.
                let _ = answer.send(recorded);
            }
        }
    }

    async fn append(&self, events: Vec<AuditEvent>) -> Result<()> {
        let context = Arc::clone(&self.inner.context);
        let body = move |connection: &mut dyn Connection| {
            let failed = Cell::new(None);
            let result = context.mac.get().ok_or_else(audit::without_key).and_then(|mac| {
                let mut reader = Reader::new(connection, &context.clock, &context.random, &failed);
                audit::append_all(&mut reader, &events, mac)
            });
            settle(failed.get(), result)
        };
        self.run(Mode::Keep, body, || ()).await
    }

    /// The generation of access as it was last committed, where it is known without a query: on SQLite. `None` on
    /// PostgreSQL, where other processes raise it too: read it with [`Reader::generation`]. Either way, read it
    /// before the facts that are cached under it.
    #[must_use]
    pub fn generation(&self) -> Option<u64> {
        match self.inner.engine {
            Engine::Sqlite(_) => Some(self.inner.context.generation.load(Ordering::SeqCst)),
            Engine::Postgres(_) => None,
        }
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.inner.counts
    }

    /// Where time comes from.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.inner.context.clock
    }

    /// Where new ids come from.
    #[must_use]
    pub fn random(&self) -> &Random {
        &self.inner.context.random
    }

    /// Flushes the counts, takes no more work, finishes what is queued and ends the threads.
    pub async fn close(&self) -> Result<()> {
        let flushed = self.flush().await;
        let inner = Arc::clone(&self.inner);
        let (answer, closed) = oneshot::channel();
        std::thread::spawn(move || {
            inner.engine.close();
            let _ = answer.send(());
        });
        closed.await.map_err(|_| Error::internal("closing the database ended in a panic"))?;
        flushed
    }

    async fn run<T: Send + 'static>(
        &self,
        mode: Mode,
        body: impl FnMut(&mut dyn Connection) -> Ran<T> + Send + 'static,
        committed: impl FnOnce() + Send + 'static,
    ) -> Result<T> {
        let (work, answer) = Task::boxed(mode, body, committed);
        self.inner.engine.submit(work).map_err(|_| Error::Unavailable)?;
        answer.await.map_err(|_| Error::internal("a database thread ended"))?
    }
}
