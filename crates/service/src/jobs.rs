//! Work in the background: what is done again and again, and what is queued.
//!
//! Everything here is leased in the database, so that nothing is done twice at once: the ledger's sequencer, flushing
//! counts, mail, settling pushes left open, maintenance of repositories, sweeping what was deleted, rotating keys, and
//! removing what is not kept for ever. A process that starts takes queued work from the one before, which is gone: the data
//! directory has one at a time.

use std::time::Duration;

use model::{Error, RepositoryId, RequestId, Result, act};
use policy::{InternalReason, Target};
use serde_json::{Value, json};

use crate::log_archive::PACK;
use crate::password_reset_mail::RESET_ASKED;
use crate::pipeline_start::PUSHED;
use crate::{Caller, Service};

/// How often the ledger takes in what was committed.
const SEQUENCE: Duration = Duration::from_millis(500);
/// How often counts and last uses are written.
const FLUSH: Duration = Duration::from_secs(5);
/// How often queued jobs are looked for.
const JOBS: Duration = Duration::from_millis(1_000);
/// How often mail that waits is looked for.
const MAIL: Duration = Duration::from_millis(1_000);
/// How often pushes left open are looked for, and how old they must be: their own request settles the younger ones.
const SETTLE: Duration = Duration::from_secs(30);
const SETTLE_AGE_SECONDS: i64 = 60;
/// How often it is looked for schedules that are due.
const SCHEDULES: Duration = Duration::from_secs(1);
/// How often it is looked for runners that were lost.
const LEASES: Duration = Duration::from_secs(2);
/// How often what was deleted is swept.
const SWEEP: Duration = Duration::from_secs(3_600);
/// How often receivers of the audit trail are looked at.
const DELIVER: Duration = Duration::from_secs(1);
/// How often it is looked for what stands out.
const WATCH: Duration = Duration::from_secs(10);
/// How often what is not kept for ever is removed.
const HOUSEKEEPING: Duration = Duration::from_secs(86_400);

/// How long a job may run before another process may take it.
const LEASE_SECONDS: i64 = 3_600;

/// The kind of the job that brings a repository's packs, bitmaps and commit graph into order.
const MAINTENANCE: &str = "repository-maintenance";

impl Service {
    /// Settles what an earlier process left open, then starts what runs until [`Service::close`].
    pub async fn start_background(&self) -> Result<()> {
        self.settle_open_pushes(&self.clock, 0).await?;
        // The data directory is this process's alone, so whoever had a job is gone; nobody waits for the end of its lease.
        self.store.keep(store::job::release).await.map(drop)?;
        self.repeat(SEQUENCE, "the ledger could not be brought up to date", |service| async move {
            service.sequence_ledger().await
        });
        self.repeat(
            FLUSH,
            "counts could not be written",
            |service| async move { service.store.flush().await },
        );
        self.repeat(JOBS, "a job failed", |service| async move { service.run_due_jobs().await });
        // A provider or a bucket that does not answer holds up nothing else.
        self.repeat(JOBS, "what a push starts could not be started", |service| async move {
            service.run_due_jobs_of(&[PUSHED]).await
        });
        self.repeat(JOBS, "logs could not be compressed", |service| async move {
            service.run_due_jobs_of(&[PACK]).await
        });
        if self.has_mail() {
            self.repeat(
                MAIL,
                "mail could not be sent",
                |service| async move { service.deliver_mail().await },
            );
        }
        self.repeat(DELIVER, "receivers of the audit trail could not be told", |service| async move {
            service.deliver_audit().await
        });
        self.repeat(WATCH, "the trail could not be looked through for alerts", |service| async move {
            service.watch().await
        });
        self.repeat(SETTLE, "open pushes could not be settled", |service| async move {
            service.settle_open_pushes(&service.clock, SETTLE_AGE_SECONDS).await.map(drop)
        });
        self.repeat(LEASES, "lost runners could not be looked for", |service| async move {
            service.give_up_lost_steps().await
        });
        self.repeat(SCHEDULES, "schedules of pipelines could not be looked at", |service| async move {
            service.run_due_schedules().await
        });
        self.repeat(SWEEP, "the sweep failed", |service| async move { service.sweep().await });
        self.repeat(SWEEP, "old artifacts and caches could not be removed", |service| async move {
            service.sweep_step_files().await
        });
        self.repeat(HOUSEKEEPING, "what is not kept for ever could not be removed", |service| async move {
            service.keep_house().await
        });
        self.repeat(SWEEP, "logs of runs that are gone could not be removed", |service| async move {
            service.sweep_logs().await
        });
        self.repeat(SWEEP, "people could not be told of credentials that end", |service| async move {
            service.warn_of_ends().await
        });
        self.repeat(SWEEP, "keys of identity tokens could not be rotated", |service| async move {
            service.rotate_identity_token_keys().await
        });
        self.repeat(SWEEP, "old audit events could not be removed", |service| async move {
            service.expire_audit_events().await
        });
        Ok(())
    }

    /// Does something again and again until the service closes; a failure is logged and tried again.
    fn repeat<F, W>(&self, every: Duration, failed: &'static str, work: F)
    where
        F: Fn(Self) -> W + Send + 'static,
        W: Future<Output = Result<()>> + Send + 'static,
    {
        let service = self.clone();
        let mut stopping = self.stopping.subscribe();
        self.background.spawn(async move {
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = ticks.tick() => {}
                    _ = stopping.wait_for(|stopping| *stopping) => return,
                }
                if let Err(error) = work(service.clone()).await {
                    tracing::error!(error = log_text(&error), "{failed}");
                }
            }
        });
    }

    /// Gives every committed event its place in the ledger, and signs a checkpoint.
    pub(crate) async fn sequence_ledger(&self) -> Result<()> {
        let (origin, key) = (self.ledger_origin()?, self.ledger_verifier()?);
        let service = self.clone();
        loop {
            let sign = service.clone();
            let key = key.clone();
            let origin = origin.clone();
            let sequenced = self
                .store
                .sequence(
                    &origin,
                    &key,
                    std::sync::Arc::new(move |text: &[u8]| {
                        sign.ledger_key.sign(text).map_err(Error::internal)
                    }),
                )
                .await?;
            if sequenced == 0 {
                break;
            }
        }
        while self.store.seal_tiles().await? > 0 {}
        Ok(())
    }

    /// The name under which checkpoints are signed. It follows from the key and from nothing that may change later, such
    /// as the instance's address: to whoever keeps checkpoints, a log with another name is another log.
    pub(crate) fn ledger_origin(&self) -> Result<String> {
        let public = self.ledger_key.public().map_err(Error::internal)?;
        let digits: String = public.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("bastide-audit/{digits}"))
    }

    pub(crate) fn ledger_verifier(&self) -> Result<ledger::VerifierKey> {
        let public = self.ledger_key.public().map_err(Error::internal)?;
        Ok(ledger::VerifierKey::new(&self.ledger_origin()?, public)?)
    }

    /// Asks for maintenance of a repository, once however often it is asked before it runs.
    pub(crate) async fn enqueue_maintenance(&self, repository: RepositoryId) {
        let queued = self
            .store
            .keep(move |books| {
                let payload = json!({ "repository": repository });
                store::job::enqueue(books, MAINTENANCE, &repository.to_string(), payload, 2)
            })
            .await;
        if let Err(error) = queued {
            tracing::warn!(error = log_text(&error), %repository, "maintenance could not be queued");
        }
    }

    /// Looks at once for what a push has to start, rather than with the next tick. What fails is tried again with a tick.
    pub(crate) fn run_jobs_now(&self) {
        let service = self.clone();
        self.background.spawn(async move {
            if let Err(error) = service.run_due_jobs_of(&[PUSHED]).await {
                tracing::error!(error = log_text(&error), "a job failed");
            }
        });
    }

    pub(crate) async fn run_due_jobs(&self) -> Result<()> {
        self.run_due_jobs_of(&[MAINTENANCE, RESET_ASKED]).await
    }

    async fn run_due_jobs_of(&self, kinds: &'static [&'static str]) -> Result<()> {
        loop {
            if *self.stopping.borrow() {
                return Ok(());
            }
            let holder = self.holder.clone();
            let claimed =
                self.store.keep(move |books| store::job::claim(books, &holder, LEASE_SECONDS, kinds)).await?;
            let Some(job) = claimed else { return Ok(()) };
            let done = self.run_job(&job.kind, &job.payload).await;
            let id = job.id;
            match done {
                Ok(()) => self.store.keep(move |books| store::job::finish(books, id)).await?,
                Err(error) => {
                    let text = log_text(&error);
                    tracing::warn!(error = text, kind = job.kind, "a job failed and will be tried again");
                    self.store.keep(move |books| store::job::fail(books, id, &text)).await?;
                }
            }
        }
    }

    async fn run_job(&self, kind: &str, payload: &Value) -> Result<()> {
        match kind {
            MAINTENANCE => {
                let id = payload.get("repository").and_then(Value::as_str).and_then(|id| id.parse().ok());
                let id: RepositoryId = id.ok_or_else(|| Error::internal("a job without its repository"))?;
                if !self.git.exists(id) {
                    return Ok(());
                }
                let done = git::maintenance::maintain(&self.git.open(id)?, &self.clock).await?;
                let bytes = i64::try_from(done.size_bytes).unwrap_or(i64::MAX);
                match done.ran {
                    true => {
                        self.store.keep(move |books| store::repository::note_size(books, id, bytes)).await?;
                        self.touch();
                        Ok(())
                    }
                    false => Ok(()),
                }
            }
            PUSHED => self.start_pushed(payload).await,
            PACK => self.pack_logs(payload).await,
            RESET_ASKED => self.mail_reset_link(payload).await,
            other => Err(Error::internal(format!("no work of the kind `{other}`"))),
        }
    }

    /// Removes for good what was deleted long enough ago.
    pub(crate) async fn sweep(&self) -> Result<()> {
        let before = self.clock.now().plus_seconds(-self.settings.restore_days.saturating_mul(86_400));
        let gone =
            self.store.read(move |reader| store::repository::deleted_before(reader, before, 100)).await?;
        for repository in gone {
            let id = repository.id;
            self.git.remove(id).await?;
            let request = Caller::operator(RequestId::new(&self.random));
            let target = Target {
                resource: id.into(),
                label: format!("repository:{}", id.braced()),
                workspace: Some(repository.workspace),
            };
            let permit = self.internal::<act::Upkeep>(InternalReason::Sweep, &request, target);
            self.store
                .write(&permit, move |writer| {
                    store::repository::forget(writer, id)?;
                    writer.note(
                        json!({ "slug": repository.slug, "deleted_on": repository.deleted_on }),
                        Value::Null,
                    );
                    Ok(())
                })
                .await?;
        }
        self.sweep_sessions().await?;
        self.git.sweep().await
    }
}

/// What the log says of a failure: the cause, where the caller is told none.
pub(crate) fn log_text(error: &Error) -> String {
    match error {
        Error::Internal(cause) => cause.clone(),
        other => other.to_string(),
    }
}
