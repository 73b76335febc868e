//! The log of a step: bytes go in, secrets are hidden, and what is left is sent to the server while the step runs.
//!
//! The first bytes go at once, later ones in pieces of at most [`LOG_CHUNK`] and at the latest 200 ms after they came. Where
//! little was said lately they wait for less, so that whoever watches sees the script begin when it does.
//! What a step prints faster than the server takes it waits in the step's own pipe, not in memory. Behind the log's
//! limit bytes are counted and dropped, so that a step which prints without end is not held up, and holds up nobody.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pipeline::Masker;
use pipeline::protocol::LOG_CHUNK;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::lease::Lease;
use crate::server::{Appended, Server};

/// How long bytes may wait for others to go with them: at first, and at most, where bytes keep coming.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const PAUSE: Duration = Duration::from_millis(200);
/// For how much longer than it lives a secret is hidden: clocks differ.
const MARGIN: Duration = Duration::from_secs(600);
/// How long an identity token lives at most.
pub(crate) const TOKEN_LIVES: Duration = Duration::from_secs(3_600);
/// How much is read from a step at once, and how many such pieces may wait.
const PIECE: usize = 64 * 1024;
const WAITING: usize = 8;

/// Where lines of a log are written to. Clones write to the same log.
#[derive(Clone)]
pub(crate) struct Log {
    pieces: mpsc::Sender<Piece>,
    /// All that is hidden in it, for what is told elsewhere.
    secrets: Arc<Mutex<Vec<Hidden>>>,
}

enum Piece {
    Bytes(Bytes),
    /// More secrets, found while the step runs.
    Secret(Hidden),
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
    /// Begins a log. `secrets` are names and values.
    ///
    /// # Errors
    /// When the secrets cannot be hidden: then nothing may be shown.
    pub(crate) fn begin(
        name: &str,
        secrets: &[(String, String)],
        limit: u64,
        server: Server,
        lease: Lease,
    ) -> Result<(Self, Sending), pipeline::mask::MaskError> {
        let to_the_end = |(name, value): &(String, String)| Hidden {
            name: name.clone(),
            value: value.clone(),
            until: None,
        };
        let secrets: Vec<Hidden> = secrets.iter().map(to_the_end).collect();
        let masker = masker(&secrets)?;
        let (sender, pieces) = mpsc::channel(WAITING);
        let sender_task = Sender {
            name: name.to_owned(),
            server,
            lease,
            secrets: secrets.clone(),
            masker,
            limit,
            taken: 0,
            left_out: 0,
            pending: Vec::new(),
            offset: 0,
        };
        let log = Self { pieces: sender, secrets: Arc::new(Mutex::new(secrets)) };
        Ok((log, Sending(tokio::spawn(sender_task.run(pieces)))))
    }

    /// Appends a line.
    pub(crate) async fn line(&self, text: &str) {
        self.bytes(Bytes::from(format!("{text}\n"))).await;
    }

    /// Appends bytes; waits while the server is slower.
    pub(crate) async fn bytes(&self, bytes: Bytes) {
        // Whoever sends has ended only where the lease is lost: nobody reads on then.
        let _ = self.pieces.send(Piece::Bytes(bytes)).await;
    }

    /// Hides another secret from here on: to the end, or for as long as it opens something.
    pub(crate) async fn hide(&self, name: &str, value: &str, lives: Option<Duration>) {
        let until = lives.and_then(|lives| Instant::now().checked_add(lives.saturating_add(MARGIN)));
        let secret = Hidden { name: name.to_owned(), value: value.to_owned(), until };
        note(&mut self.secrets.lock().unwrap_or_else(PoisonError::into_inner), secret.clone());
        let _ = self.pieces.send(Piece::Secret(secret)).await;
    }

    /// A text with all hidden that is hidden in the log.
    ///
    /// # Errors
    /// When the secrets cannot be hidden: then nothing may be shown.
    pub(crate) fn masker(&self) -> Result<Masker, pipeline::mask::MaskError> {
        masker(&self.secrets.lock().unwrap_or_else(PoisonError::into_inner))
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

/// What is hidden, and until when: nothing where it is hidden to the end.
#[derive(Clone)]
struct Hidden {
    name: String,
    value: String,
    until: Option<Instant>,
}

/// Adds a secret. Those that have ended open nothing, and would fill what can be hidden.
fn note(secrets: &mut Vec<Hidden>, secret: Hidden) {
    let now = Instant::now();
    secrets.retain(|known| known.until.is_none_or(|until| until > now));
    secrets.push(secret);
}

fn masker(secrets: &[Hidden]) -> Result<Masker, pipeline::mask::MaskError> {
    Masker::new(secrets.iter().map(|one| (one.name.as_str(), one.value.as_bytes())))
}

struct Sender {
    name: String,
    server: Server,
    lease: Lease,
    secrets: Vec<Hidden>,
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
    async fn run(mut self, mut pieces: mpsc::Receiver<Piece>) {
        let (mut next, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            tokio::select! {
                biased;
                piece = pieces.recv(), if self.pending.len() < LOG_CHUNK => match piece {
                    Some(Piece::Bytes(bytes)) => self.take(&bytes),
                    Some(Piece::Secret(secret)) => self.hide(secret),
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

    fn take(&mut self, bytes: &[u8]) {
        let room = usize::try_from(self.limit - self.taken).unwrap_or(usize::MAX);
        let (taken, left_out) = bytes.split_at(bytes.len().min(room));
        self.taken += length(taken);
        self.left_out += length(left_out);
        self.masker.push(taken, &mut self.pending);
    }

    fn hide(&mut self, secret: Hidden) {
        note(&mut self.secrets, secret);
        self.masker.finish(&mut self.pending);
        match masker(&self.secrets) {
            Ok(masker) => self.masker = masker,
            // Nothing may be shown any more; what comes is counted.
            Err(_) => self.taken = self.limit,
        }
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

    fn secret(value: &str, until: Option<Instant>) -> Hidden {
        Hidden { name: "REGISTRY_PASSWORD".to_owned(), value: value.to_owned(), until }
    }

    /// Attack: secrets of one name that push out one that still opens something, so that a step can print it.
    #[test]
    fn what_still_opens_something_stays_hidden() {
        let now = Instant::now();
        let later = now.checked_add(Duration::from_secs(100));
        let mut secrets = vec![secret("a-persons", None), secret("over", Some(now))];
        for value in ["first", "second", "third"] {
            note(&mut secrets, secret(value, later));
        }
        note(&mut secrets, secret("a-persons", later));
        let values: Vec<_> = secrets.iter().map(|one| one.value.as_str()).collect();
        assert_eq!(values, ["a-persons", "first", "second", "third", "a-persons"]);
        let told = hidden(&mut masker(&secrets).unwrap(), "a-persons first second third");
        assert!(!values.iter().any(|value| told.contains(value)), "{told}");
    }
}
