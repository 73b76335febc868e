//! The log of a step: bytes go in, secrets are hidden, and what is left is sent to the server while the step runs.
//!
//! The first bytes go at once, later ones in pieces of at most [`LOG_CHUNK`] and at the latest 200 ms after they came. Where
//! little was said lately they wait for less, so that whoever watches sees the script begin when it does.
//! What a step prints faster than the server takes it waits in the step's own pipe, not in memory. Behind the log's
//! limit bytes are counted and dropped, so that a step which prints without end is not held up, and holds up nobody.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use pipeline::Masker;
use pipeline::mask::MaskError;
use pipeline::protocol::LOG_CHUNK;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use crate::lease::Lease;
use crate::secrets::Secrets;
use crate::server::{Appended, Server};

/// How long bytes may wait for others to go with them: at first, and at most, where bytes keep coming.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const PAUSE: Duration = Duration::from_millis(200);
/// How much is read from a step at once, and how many such pieces may wait.
const PIECE: usize = 64 * 1024;
const WAITING: usize = 8;

/// Where lines of a log are written to. Clones write to the same log.
#[derive(Clone)]
pub(crate) struct Log {
    pieces: mpsc::Sender<Bytes>,
    secrets: Secrets,
}

/// Sends a log; ends when every [`Log`] of it is dropped and all is sent.
pub(crate) struct Sending(JoinHandle<()>);

impl Sending {
    /// Waits until all is sent, or the lease is lost.
    pub(crate) async fn end(self) {
        // A task that failed has told why; the step's verdict does not depend on its log.
        let _ = self.0.await;
    }
}

impl Log {
    /// Begins the log of a step, in which these secrets are hidden, and what is added to them.
    ///
    /// # Errors
    /// When the secrets cannot be hidden: then nothing may be shown.
    pub(crate) fn begin(
        name: &str,
        secrets: Secrets,
        limit: u64,
        server: Server,
        lease: Lease,
    ) -> Result<(Self, Sending), MaskError> {
        let (version, masker) = (secrets.version(), secrets.masker()?);
        let (sender, pieces) = mpsc::channel(WAITING);
        let sender_task = Sender {
            name: name.to_owned(),
            server,
            lease,
            secrets: secrets.clone(),
            version,
            masker,
            limit,
            taken: 0,
            left_out: 0,
            pending: Vec::new(),
            offset: 0,
        };
        let log = Self { pieces: sender, secrets };
        Ok((log, Sending(tokio::spawn(sender_task.run(pieces)))))
    }

    /// What is hidden in it.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Appends a line.
    pub(crate) async fn line(&self, text: &str) {
        self.bytes(Bytes::from(format!("{text}\n"))).await;
    }

    /// Appends bytes; waits while the server is slower.
    pub(crate) async fn bytes(&self, bytes: Bytes) {
        // Whoever sends has ended only where the lease is lost: nobody reads on then.
        let _ = self.pieces.send(bytes).await;
    }

    /// Appends all that comes, until it ends.
    pub(crate) async fn copy(&self, mut from: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; PIECE];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            self.bytes(Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default())).await;
        }
    }
}

/// A whole text, with all hidden that the masker hides.
pub(crate) fn hidden(masker: &mut Masker, text: &str) -> String {
    let mut shown = Vec::with_capacity(text.len());
    masker.push(text.as_bytes(), &mut shown);
    masker.finish(&mut shown);
    String::from_utf8_lossy(&shown).into_owned()
}

struct Sender {
    name: String,
    server: Server,
    lease: Lease,
    secrets: Secrets,
    /// Which of them the masker hides.
    version: u64,
    masker: Masker,
    /// How much is sent, and how much of it has been taken.
    limit: u64,
    taken: u64,
    /// How many bytes came after that.
    left_out: u64,
    /// Masked, not sent.
    pending: Vec<u8>,
    /// How many bytes the server has.
    offset: u64,
}

impl Sender {
    async fn run(mut self, mut pieces: mpsc::Receiver<Bytes>) {
        let (mut next, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            tokio::select! {
                biased;
                piece = pieces.recv(), if self.pending.len() < LOG_CHUNK => match piece {
                    Some(bytes) => self.take(&bytes).await,
                    None => break,
                },
                // What waits is sent below.
                () = sleep_until(next), if !self.pending.is_empty() && self.pending.len() < LOG_CHUNK => {}
                // A full piece does not wait.
                () = std::future::ready(()), if self.pending.len() >= LOG_CHUNK => {
                    next = Instant::now() + PAUSE;
                    if !self.send().await {
                        return;
                    }
                }
            }
            // Before more is taken, what waits for its time is sent: bytes that keep coming must not put it off.
            let now = Instant::now();
            if !self.pending.is_empty() && now >= next {
                pause = if now >= next + PAUSE { FIRST_PAUSE } else { (pause * 2).min(PAUSE) };
                next = now + pause;
                if !self.send().await {
                    return;
                }
            }
        }
        self.masker.finish(&mut self.pending);
        if self.left_out > 0 {
            let told = format!("\n[{} bytes more are left out: a log holds {}]\n", self.left_out, self.limit);
            self.pending.extend_from_slice(told.as_bytes());
        }
        while !self.pending.is_empty() {
            if !self.send().await {
                return;
            }
        }
    }

    async fn take(&mut self, bytes: &[u8]) {
        if self.taken < self.limit {
            self.hide_added().await;
        }
        let room = usize::try_from(self.limit - self.taken).unwrap_or(usize::MAX);
        let (taken, left_out) = bytes.split_at(bytes.len().min(room));
        self.taken += length(taken);
        self.left_out += length(left_out);
        self.masker.push(taken, &mut self.pending);
    }

    /// Hides what was added lately. A step gets a secret after it was added, so that it is hidden before the step can print it.
    async fn hide_added(&mut self) {
        let version = self.secrets.version();
        if version == self.version {
            return;
        }
        self.version = version;
        let secrets = self.secrets.clone();
        let why = match spawn_blocking(move || secrets.masker()).await {
            Ok(Ok(masker)) => return self.masker.change(masker),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        // Nothing may be shown any more; what comes is counted.
        tracing::warn!(%why, log = %self.name, "a log ends early");
        self.taken = self.limit;
    }

    /// Sends a piece of what is pending. False when the lease is lost.
    async fn send(&mut self) -> bool {
        let rest = self.pending.split_off(self.pending.len().min(LOG_CHUNK));
        let bytes = Bytes::from(std::mem::replace(&mut self.pending, rest));
        let mut waiting = VecDeque::from([bytes]);
        let mut lost = self.lease.clone();
        while let Some(bytes) = waiting.pop_front() {
            let appended = tokio::select! {
                appended = self.server.append(self.lease.attempt(), &self.name, self.offset, &bytes) => appended,
                () = lost.lost() => return false,
            };
            match appended {
                Ok(Appended::Length(length)) => self.offset = length,
                Ok(Appended::Elsewhere(place)) => {
                    // An answer that did not arrive: the server has some or all of this already.
                    let known = usize::try_from(place.saturating_sub(self.offset)).unwrap_or(usize::MAX);
                    self.offset = place;
                    let left = bytes.slice(known.min(bytes.len())..);
                    if !left.is_empty() {
                        waiting.push_back(left);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, log = %self.name, "a log ends early");
                    return false;
                }
            }
        }
        true
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Attempt;

    /// What takes a log, of a server that is never asked.
    fn sender(secrets: &Secrets, limit: u64) -> Sender {
        let server = Server::new("http://127.0.0.1:1", None).unwrap();
        let attempt = Attempt { step: "a-step".to_owned(), number: 1 };
        let (lease, _) = Lease::begin(attempt, Instant::now(), 30, Duration::from_secs(5), server.clone());
        Sender {
            name: "step".to_owned(),
            server,
            lease,
            version: secrets.version(),
            masker: secrets.masker().unwrap(),
            secrets: secrets.clone(),
            limit,
            taken: 0,
            left_out: 0,
            pending: Vec::new(),
            offset: 0,
        }
    }

    fn shown(sender: &mut Sender) -> String {
        sender.masker.finish(&mut sender.pending);
        String::from_utf8(std::mem::take(&mut sender.pending)).unwrap()
    }

    /// Would catch: a secret that is shown because another came to be hidden while it was printed, and a log of services that
    /// shows what was given to the step later.
    #[tokio::test]
    async fn what_is_added_is_hidden_from_then_on_in_each_log() {
        let secrets = Secrets::new(&[("A".to_owned(), "first-secret".to_owned())]);
        let (mut step, mut service) = (sender(&secrets, 1000), sender(&secrets, 1000));
        step.take(b"it is first-").await;
        secrets.hide(&[("B", "second-secret")], None).unwrap();
        step.take(b"secret and second-secret\n").await;
        service.take(b"a second-secret came").await;
        assert_eq!(shown(&mut step), "it is $A and $B\n");
        assert_eq!(shown(&mut service), "a $B came");
    }

    /// Attack: a step that asks for tokens until no more can be hidden, and prints on. Its log goes on, and shows none of them.
    #[tokio::test]
    async fn a_log_goes_on_when_no_more_can_be_hidden() {
        let secrets = Secrets::new(&[("A".to_owned(), "first-secret".to_owned())]);
        let mut step = sender(&secrets, 1000);
        let large = "x".repeat(pipeline::bounds::SECRETS);
        assert!(secrets.hide(&[("B", &large)], None).is_err());
        step.take(b"first-secret is hidden, and this is shown").await;
        assert_eq!((step.taken, step.left_out), (41, 0));
        assert_eq!(shown(&mut step), "$A is hidden, and this is shown");
    }
}
