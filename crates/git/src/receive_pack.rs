//! Taking pushes: git's receive-pack between the client's bytes and the repository, the decision while the objects
//! are in quarantine, and the acknowledgement only when what it says is on disk and recorded.
//!
//! The order is the point of this module. Git answers "ok" when it has renamed files that are on no disk yet. So
//! its report is held back until git has ended, the directories are synced and the caller has recorded the
//! outcome; if any of these fails, the client gets an error instead. A shared lock, which git's processes inherit,
//! lasts from before git starts until after the outcome is recorded.
//!
//! Who may push what is the caller's to decide: see [`Verdict`].

use std::future::Future;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use model::{Error, PushId, RefName, Result};
use rustix::fs::{Access, access};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};

use crate::advertisement::service_line;
use crate::command::{GitCommand, Running};
use crate::durability::sync_push;
use crate::hook::{HookAnswer, Hooks, PUSH_VARIABLE, PreReceive, SOCKET_VARIABLE};
use crate::lock::SharedLock;
use crate::push_commands::{self, PushCommands, PushLimits};
use crate::push_report::Demultiplexer;
use crate::ref_update::{PushOutcome, RefUpdate};
use crate::refs;
use crate::repository::Repository;
use crate::stream::{self, ByteStream, OwnedTask, read_within};
use crate::upload_pack::Session;

/// A client that sends nothing for this long while it should is gone.
const IDLE: Duration = Duration::from_secs(300);

/// How long git may take to come to its end after the client has gone.
const LAST_STEPS: Duration = Duration::from_secs(60);

/// How long the rest of a refused request is read away, so that the client gets to read the answer.
const DRAIN: Duration = Duration::from_secs(10);

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// Pieces of the answer that wait for a slow client.
const PIECES: usize = 16;

/// One push.
#[derive(Clone, Debug)]
pub struct Push {
    /// Its id; the hook speaks in its name.
    pub id: PushId,
    /// Where to.
    pub repository: Repository,
    /// Where the hook asks.
    pub hooks: Hooks,
    /// How the client talks.
    pub session: Session,
    /// What it may ask for.
    pub limits: PushLimits,
}

/// What was decided about a push whose objects are in quarantine.
#[derive(Debug)]
pub enum Verdict<T> {
    /// The refs may move. `intent` is what the caller needs to record the outcome; it has recorded the intent.
    Accept {
        /// Handed back with the outcome.
        intent: T,
        /// Lines for the person who pushes.
        messages: Vec<String>,
    },
    /// No ref moves, and no object stays.
    Refuse {
        /// Why, ref by ref.
        messages: Vec<String>,
    },
}

/// The answer to `GET …/info/refs?service=git-receive-pack`.
///
/// # Errors
/// When git cannot be started.
pub fn advertise(repository: &Repository) -> Result<ByteStream> {
    let running = GitCommand::transport(repository, "receive-pack")
        .flag("--stateless-rpc")
        .flag("--http-backend-info-refs")
        .spawn()?;
    let head = stream::once(service_line("git-receive-pack"));
    Ok(head.chain(stream::process(running, tokio::io::empty(), IDLE)).boxed())
}

/// Takes one push: `input` is what the client sends, the stream is what it gets.
///
/// `decide` is asked once, when all objects have arrived; `settle` is called once if `decide` accepted, whatever
/// happened since, with what became of each ref, when that is on disk. The lines it gives are shown to the client.
/// Both run to their end even when the client goes. A client that goes before the decision ends git; afterwards git
/// finishes what it was allowed to do.
///
/// # Errors
/// `Invalid` when the head of the push is malformed or exceeds the limits, `Unavailable` when the repository is
/// locked; in an [interactive](Session::Interactive) session the client is told the former in the stream.
pub async fn receive<R, T, D, DF, S, SF>(push: Push, input: R, decide: D, settle: S) -> Result<ByteStream>
where
    R: AsyncRead + Send + Unpin + 'static,
    T: Send + 'static,
    D: FnOnce(PreReceive) -> DF + Send + 'static,
    DF: Future<Output = Result<Verdict<T>>> + Send + 'static,
    S: FnOnce(T, PushOutcome) -> SF + Send + 'static,
    SF: Future<Output = Result<Vec<String>>> + Send + 'static,
{
    let (head, input) = match push.session {
        Session::Interactive => (None, input),
        Session::Stateless => {
            let (head, rest, input) = read_head(input, &push.limits).await?;
            (Some((head, rest)), input)
        }
    };
    check_hook(&push.hooks)?;
    let lock = SharedLock::take(&push.repository).await?;
    let mut running = start(&push, &lock)?;
    let (intent_sender, intent) = oneshot::channel();
    let stage = Arc::new(Stage::default());
    let (abandon, abandoned) = oneshot::channel();
    let handler_stage = Arc::clone(&stage);
    let registration = push.hooks.register(
        push.id,
        Box::new(move |question| Box::pin(answer(decide(question), intent_sender, handler_stage, abandoned))),
    );
    let (head_sender, head_receiver) = oneshot::channel();
    let stdin = running.stdin().ok_or_else(|| Error::internal("git has no standard input"))?;
    let stdout = running.stdout().ok_or_else(|| Error::internal("git has no standard output"))?;
    let feed = Feed { input, stdin, limits: push.limits, session: push.session };
    let (sender, receiver) = mpsc::channel(PIECES);
    let driver = Driver {
        demultiplexer: Demultiplexer::new(push.session == Session::Interactive),
        feed: OwnedTask(tokio::spawn(feed.run(head, head_sender))),
        head: Head::Unknown(head_receiver),
        client: sender,
        stage,
        abandon: Some(abandon),
        running,
        stdout,
        push,
    };
    tokio::spawn(async move {
        let finished = driver.run().await;
        // From here on no hook of this push is answered; one that is being answered is waited for.
        drop(registration);
        let intent = intent.await.ok();
        finished.conclude(intent, settle).await;
        drop(lock);
    });
    Ok(stream::channel(receiver))
}

async fn read_head<R: AsyncRead + Unpin>(
    input: R,
    limits: &PushLimits,
) -> Result<(PushCommands, BytesMut, R)> {
    let read = tokio::time::timeout(IDLE, push_commands::read(input, limits)).await;
    read.map_err(|_| Error::invalid("the client sent nothing for too long: push again"))?
}

/// Git runs no hook, without a word, when there is none or it cannot be executed: no push may start then.
fn check_hook(hooks: &Hooks) -> Result<()> {
    access(hooks.directory().join("pre-receive"), Access::EXEC_OK)
        .map_err(|error| Error::Internal(format!("the pre-receive hook cannot be run: {error}")))
}

fn start(push: &Push, lock: &SharedLock) -> Result<Running> {
    GitCommand::transport(&push.repository, "receive-pack")
        .flag_if(push.session == Session::Stateless, "--stateless-rpc")
        .config("core.hooksPath", push.hooks.directory())
        .config("receive.maxInputSize", push.limits.pack_bytes.to_string())
        .environment(SOCKET_VARIABLE, push.hooks.socket())
        .environment(PUSH_VARIABLE, push.id.to_string())
        .inherit(lock.descriptor()?)
        .spawn()
}

/// Whether the refs may move.
#[derive(Debug, Default)]
struct Stage(AtomicBool);

impl Stage {
    fn accept(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn is_accepted(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Decides, unless the client goes first: then the hook is told no at once, so that git cleans up, while the
/// decision runs on to its end, because it may record something.
async fn answer<T: Send + 'static>(
    decision: impl Future<Output = Result<Verdict<T>>> + Send + 'static,
    intent_sender: oneshot::Sender<T>,
    stage: Arc<Stage>,
    abandoned: oneshot::Receiver<()>,
) -> HookAnswer {
    let decided = tokio::spawn(async move {
        match decision.await {
            Ok(Verdict::Accept { intent, messages }) => {
                stage.accept();
                // Whoever waits for the intent waits until it comes or cannot come any more.
                let _ = intent_sender.send(intent);
                HookAnswer { accept: true, messages }
            }
            Ok(Verdict::Refuse { messages }) => HookAnswer { accept: false, messages },
            Err(error) => {
                if let Error::Internal(cause) = &error {
                    tracing::error!(cause, "a push could not be decided");
                }
                HookAnswer::refuse(error.to_string())
            }
        }
    });
    tokio::select! {
        answer = decided => answer.unwrap_or_else(|_| HookAnswer::refuse("the server could not decide")),
        _ = abandoned => HookAnswer::refuse("the client has gone"),
    }
}

/// How the copying of the client's bytes ended.
#[derive(Debug)]
enum Fed {
    /// All was sent, or git wanted no more.
    Done,
    /// The client went, or sent what cannot be taken: git must end.
    Broken(Error),
}

/// The client's bytes on their way to git.
struct Feed<R> {
    input: R,
    stdin: ChildStdin,
    limits: PushLimits,
    session: Session,
}

impl<R: AsyncRead + Send + Unpin> Feed<R> {
    async fn run(self, head: Option<(PushCommands, BytesMut)>, tell: oneshot::Sender<PushCommands>) -> Fed {
        match self.copy(head, tell).await {
            Ok(()) => Fed::Done,
            Err(error) => Fed::Broken(error),
        }
    }

    async fn copy(
        self,
        head: Option<(PushCommands, BytesMut)>,
        tell: oneshot::Sender<PushCommands>,
    ) -> Result<()> {
        let Self { input, mut stdin, limits, session } = self;
        let (head, rest, mut input) = match head {
            Some((head, rest)) => (head, rest, input),
            None => read_head(input, &limits).await?,
        };
        let bytes = head.bytes.clone();
        // Told before git sees the first byte, so that it is known before git's answer to it arrives.
        let _ = tell.send(head);
        let mut copied = 0_u64;
        let mut buffer = rest;
        let mut open = stdin.write_all(&bytes).await.is_ok();
        loop {
            copied = copied.saturating_add(u64::try_from(buffer.len()).unwrap_or(u64::MAX));
            if copied > limits.pack_bytes {
                return Err(Error::TooLarge { limit: limits.pack_bytes });
            }
            open = open && stdin.write_all(&buffer).await.is_ok();
            if !open && session == Session::Interactive {
                return Ok(());
            }
            buffer.clear();
            buffer.reserve(CHUNK);
            if read_within(&mut input, &mut buffer, IDLE).await.map_err(push_commands::unreadable)? == 0 {
                return Ok(());
            }
        }
    }
}

/// What is known of the push's head.
enum Head {
    Unknown(oneshot::Receiver<PushCommands>),
    Known(Vec<RefUpdate>),
}

/// A push while git runs.
struct Driver {
    push: Push,
    running: Running,
    stdout: ChildStdout,
    demultiplexer: Demultiplexer,
    feed: OwnedTask<Fed>,
    head: Head,
    client: mpsc::Sender<io::Result<Bytes>>,
    stage: Arc<Stage>,
    /// Dropped or used, it makes the hook's question a no.
    abandon: Option<oneshot::Sender<()>>,
}

impl Driver {
    async fn run(mut self) -> Finished {
        let cut_off = self.pump().await.err();
        let fate = match &cut_off {
            None => self.running.wait().await,
            Some(error) => {
                tracing::info!(push = %self.push.id, %error, "a push is cut off");
                self.wind_down().await
            }
        };
        self.learn_head();
        let complaint = match (cut_off, fate) {
            (Some(error), _) if !self.stage.is_accepted() => Some(error.to_string()),
            (_, Ok((status, _))) if status.success() => None,
            (_, Ok((status, stderr))) => {
                tracing::warn!(push = %self.push.id, %status, stderr, "receive-pack ended with an error");
                Some("git could not carry the push out".to_owned())
            }
            (_, Err(error)) => Some(error.to_string()),
        };
        if self.push.session == Session::Stateless && !self.client.is_closed() && !self.feed.0.is_finished() {
            let _ = tokio::time::timeout(DRAIN, &mut self.feed.0).await;
        }
        let updates = match self.head {
            Head::Known(updates) => updates,
            Head::Unknown(_) => Vec::new(),
        };
        Finished {
            push: self.push,
            updates,
            demultiplexer: self.demultiplexer,
            client: self.client,
            complaint,
        }
    }

    /// Passes git's output on until its end. An error means that there is no use in going on.
    async fn pump(&mut self) -> Result<()> {
        let mut buffer = BytesMut::new();
        let mut feeding = true;
        loop {
            buffer.clear();
            buffer.reserve(CHUNK);
            tokio::select! {
                read = self.stdout.read_buf(&mut buffer) => {
                    if read.map_err(Error::internal)? == 0 {
                        return Ok(());
                    }
                    self.learn_head();
                    let now = self.demultiplexer.take(&buffer).map_err(Error::internal)?;
                    if !now.is_empty() {
                        self.client.send(Ok(now.into())).await.map_err(|_| gone())?;
                    }
                }
                fed = &mut self.feed.0, if feeding => {
                    feeding = false;
                    if let Ok(Fed::Broken(error)) = fed {
                        return Err(error);
                    }
                }
                () = self.client.closed() => return Err(gone()),
            }
        }
    }

    /// Lets git come to its end without its client: its input ends, or its hook is refused, or it has been allowed
    /// to move the refs and does so. A signal is the last resort, because git then leaves its quarantine behind.
    async fn wind_down(&mut self) -> Result<(ExitStatus, String)> {
        self.feed.0.abort();
        if let Some(abandon) = self.abandon.take().filter(|_| !self.stage.is_accepted()) {
            let _ = abandon.send(());
        }
        if let Ok(fate) = tokio::time::timeout(LAST_STEPS, self.hear_out()).await {
            return fate;
        }
        self.running.stop().await;
        Err(Error::internal("git had to be ended by force"))
    }

    /// Takes git's output to its end, for the report in it.
    async fn hear_out(&mut self) -> Result<(ExitStatus, String)> {
        let mut buffer = BytesMut::with_capacity(CHUNK);
        while self.stdout.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
            self.learn_head();
            let _ = self.demultiplexer.take(&buffer);
            buffer.clear();
            buffer.reserve(CHUNK);
        }
        self.running.wait().await
    }

    fn learn_head(&mut self) {
        if let Head::Unknown(receiver) = &mut self.head
            && let Ok(head) = receiver.try_recv()
        {
            self.demultiplexer.set_side_band(head.side_band);
            self.head = Head::Known(head.updates);
        }
    }
}

fn gone() -> Error {
    Error::invalid("the client has gone")
}

/// A push after git has ended, before the client knows.
struct Finished {
    push: Push,
    updates: Vec<RefUpdate>,
    demultiplexer: Demultiplexer,
    client: mpsc::Sender<io::Result<Bytes>>,
    complaint: Option<String>,
}

impl Finished {
    async fn conclude<T, S, SF>(self, intent: Option<T>, settle: S)
    where
        S: FnOnce(T, PushOutcome) -> SF,
        SF: Future<Output = Result<Vec<String>>>,
    {
        let settled = match intent {
            Some(intent) => self.settle(intent, settle).await,
            None => self.without_decision().await,
        };
        let mut bytes = Vec::new();
        match (settled, &self.complaint) {
            (Ok(messages), None) => {
                for line in &messages {
                    bytes.extend(self.demultiplexer.message(line));
                }
                bytes.extend(self.demultiplexer.release());
            }
            (Ok(_), Some(complaint)) => bytes = self.demultiplexer.withhold(complaint),
            (Err(error), _) => {
                tracing::error!(push = %self.push.id, cause = ?error, "a push is not acknowledged");
                bytes = self.demultiplexer.withhold(
                    "the server cannot confirm this push; it may have been carried out. Fetch, look, and push again \
                     if it was not.",
                );
            }
        }
        if !bytes.is_empty() {
            // A client that has gone is not told; the record is what counts.
            let _ = self.client.send(Ok(bytes.into())).await;
        }
    }

    async fn settle<T, S, SF>(&self, intent: T, settle: S) -> Result<Vec<String>>
    where
        S: FnOnce(T, PushOutcome) -> SF,
        SF: Future<Output = Result<Vec<String>>>,
    {
        let outcome = self.outcome().await?;
        let names: Vec<RefName> = self.updates.iter().map(|update| update.name.clone()).collect();
        sync_push(&self.push.repository, &names).await?;
        settle(intent, outcome).await
    }

    /// Nobody accepted this push, so no ref may have moved. Whether git agrees is its report's first lines.
    async fn without_decision(&self) -> Result<Vec<String>> {
        let report = self.demultiplexer.report();
        if report.refs.values().any(Option::is_none) {
            return Err(Error::internal("git moved refs without asking its pre-receive hook"));
        }
        Ok(Vec::new())
    }

    async fn outcome(&self) -> Result<PushOutcome> {
        let report = self.demultiplexer.report();
        let mut outcome = refs::judge(&self.push.repository, &self.updates).await?;
        for one in &mut outcome.refs {
            if let Some(refusal) = report.refs.get(one.update.name.as_str()) {
                // Another push may have moved the ref on since: git's word stands.
                one.applied = refusal.is_none();
                one.refusal.clone_from(refusal);
            }
        }
        outcome.finished = self.complaint.is_none();
        Ok(outcome)
    }
}
