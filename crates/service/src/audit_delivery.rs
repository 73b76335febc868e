//! Sending the audit trail to its receivers: in the ledger's order, at least once, from where each was told last.
//!
//! How far a receiver was told is noted after it has taken a batch, so a crash in between tells the batch again and loses
//! nothing. Only one process at a time tells a receiver; a receiver that fails is tried again after a while that doubles.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use futures_util::StreamExt;
use model::{AuditEvent, AuditSinkKind, Outcome, Result};
use reqwest::Method;
use rustls::pki_types::ServerName;
use store::audit_filter::Filter;
use store::audit_sink::Kept;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use crate::Service;
use crate::audit_sink::{host_and_port, key_context};
use crate::jobs::log_text;
use crate::outbound::Unreached;

/// How many places of the ledger are looked at for one batch.
const WINDOW: u64 = 200;
/// The largest batch, in bytes; one event is always sent.
const LARGEST: usize = 1 << 20;
/// How many receivers are told at once, and how many are looked at in one round.
const AT_ONCE: usize = 8;
const ROUND: i64 = 64;
/// How long a process may take to tell one receiver before another may, in seconds: longer than all its timeouts.
const LEASE_SECONDS: i64 = 240;
/// How many batches one receiver gets before others have their turn.
const BATCHES: usize = 10;
/// The first wait after a failure, which doubles each time, and the longest, in seconds.
const BACKOFF: i64 = 2;
const LONGEST_BACKOFF: i64 = 900;
/// How long syslog's receiver may take, in seconds.
const PATIENCE: Duration = Duration::from_secs(15);
/// How much of a webhook's answer is read, in bytes.
const ANSWER: usize = 64 << 10;
/// Of syslog's facilities: the audit of the log.
const FACILITY: u8 = 13;

/// One event at its place, as it is sent.
struct Line {
    index: u64,
    bytes: Vec<u8>,
}

impl Line {
    fn json(&self) -> String {
        format!("{{\"index\":{},\"event\":{}}}", self.index, String::from_utf8_lossy(&self.bytes))
    }
}

/// What is sent at once, and the place after it.
struct Batch {
    lines: Vec<Line>,
    next: u64,
}

impl Service {
    /// Tells every receiver what it was not told yet.
    pub(crate) async fn deliver_audit(&self) -> Result<()> {
        let due = self
            .store
            .read(|reader| {
                let size = store::sequence::frontier(reader)?.size();
                store::audit_sink::due(reader, size, ROUND)
            })
            .await?;
        futures_util::stream::iter(due)
            .for_each_concurrent(AT_ONCE, |kept| async move {
                let id = kept.sink.id;
                if let Err(error) = self.tell(kept).await {
                    tracing::error!(error = log_text(&error), sink = %id, "a receiver of the audit trail was not told");
                }
            })
            .await;
        Ok(())
    }

    async fn tell(&self, mut kept: Kept) -> Result<()> {
        let name: Arc<str> = format!("audit-sink:{}", kept.sink.id).into();
        let (lease, holder) = (Arc::clone(&name), self.holder.clone());
        if !self.store.keep(move |books| store::lease::take(books, &lease, &holder, LEASE_SECONDS)).await? {
            return Ok(());
        }
        let told = self.tell_batches(&mut kept).await;
        let holder = self.holder.clone();
        self.store.keep(move |books| store::lease::release(books, &name, &holder)).await?;
        told
    }

    async fn tell_batches(&self, kept: &mut Kept) -> Result<()> {
        let (id, workspace) = (kept.sink.id, kept.sink.workspace);
        // Another process may have told it since it was looked at.
        let now = self.store.read(move |reader| store::audit_sink::list(reader, workspace)).await?;
        let Some(fresh) = now.into_iter().find(|one| one.sink.id == id) else { return Ok(()) };
        *kept = fresh;
        for _ in 0..BATCHES {
            if *self.stopping.borrow() {
                return Ok(());
            }
            let batch = self.batch(kept).await?;
            if batch.next == kept.state.next {
                return Ok(());
            }
            let (next, sent) = (batch.next, !batch.lines.is_empty());
            if sent && let Err(why) = self.send_batch(kept, batch).await {
                let doublings = kept.state.failures.clamp(0, 12);
                let wait = (BACKOFF << doublings).min(LONGEST_BACKOFF);
                let retry_on = self.clock.now().plus_seconds(wait);
                return self
                    .store
                    .keep(move |books| store::audit_sink::failed(books, id, why, retry_on))
                    .await;
            }
            kept.state.next = next;
            kept.state.failures = 0;
            self.store.keep(move |books| store::audit_sink::received(books, id, next, sent)).await?;
        }
        Ok(())
    }

    async fn batch(&self, kept: &Kept) -> Result<Batch> {
        let filter = Filter { workspace: kept.sink.workspace, ..Filter::default() };
        let from = kept.state.next;
        let (found, mut next) =
            self.store.read(move |reader| store::audit_filter::placed(reader, &filter, from, WINDOW)).await?;
        let (mut lines, mut size) = (Vec::new(), 0_usize);
        for (index, stored) in found {
            size = size.saturating_add(stored.bytes.len());
            if size > LARGEST && !lines.is_empty() {
                next = index;
                break;
            }
            lines.push(Line { index, bytes: stored.bytes });
        }
        Ok(Batch { lines, next })
    }

    async fn send_batch(&self, kept: &Kept, batch: Batch) -> Result<(), Unreached> {
        match kept.sink.kind {
            AuditSinkKind::Webhook => self.post_batch(kept, &batch).await,
            AuditSinkKind::Syslog => self.log_batch(kept, &batch).await,
        }
    }

    /// Lines of JSON, and a signature over the time and the body that the receiver can check.
    async fn post_batch(&self, kept: &Kept, batch: &Batch) -> Result<(), Unreached> {
        let unsealed = "its key cannot be opened: remove it and add it again";
        let context = key_context(kept.sink.id);
        let context = context.each_ref().map(String::as_str);
        let sealed = kept.secret.as_ref().ok_or(unsealed)?;
        let key = self.keyring.open(&context, sealed).map_err(|_| unsealed)?;
        let address = self.outbound.address(&kept.sink.address)?;
        let body: String = batch.lines.iter().map(|line| line.json() + "\n").collect();
        let time = self.clock.now().seconds();
        let signature = signature(key.expose(), time, body.as_bytes());
        let request = self
            .outbound
            .request(Method::POST, address)
            .header("content-type", "application/jsonl")
            .header("x-bastide-sink", kept.sink.id.to_string())
            .header("x-bastide-timestamp", time.to_string())
            .header("x-bastide-signature", format!("sha256={signature}"))
            .body(body);
        match self.outbound.fetch(request, ANSWER).await?.status {
            200..=299 => Ok(()),
            300..=399 => Err("it leads elsewhere: name the address that it leads to"),
            400..=499 => Err("it refused what was sent (4xx)"),
            _ => Err("it failed (5xx)"),
        }
    }

    /// Syslog (RFC 5424) over TLS (RFC 5425). Its receivers acknowledge nothing, so each batch has a connection of its own,
    /// which the receiver closes when it has read to the end.
    async fn log_batch(&self, kept: &Kept, batch: &Batch) -> Result<(), Unreached> {
        let (host, port) = host_and_port(&kept.sink.address).ok_or("its address is not one")?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| "its host is not a name")?;
        let mut frames = Vec::new();
        for line in &batch.lines {
            let event = AuditEvent::from_bytes(&line.bytes).map_err(|_| "an event cannot be read")?;
            let message = syslog(self.settings.host(), line, &event);
            frames.extend_from_slice(format!("{} ", message.len()).as_bytes());
            frames.extend_from_slice(message.as_bytes());
        }
        let work = async {
            let stream = self.outbound.connect(host, port).await?;
            let connector = TlsConnector::from(self.outbound.tls());
            let mut stream = connector
                .connect(name, stream)
                .await
                .map_err(|_| "it does not speak TLS, or its certificate is not trusted")?;
            let broken = "it broke the connection off";
            stream.write_all(&frames).await.map_err(|_| broken)?;
            stream.shutdown().await.map_err(|_| broken)?;
            let mut rest = [0; 512];
            loop {
                match stream.read(&mut rest).await {
                    Ok(0) => return Ok(()),
                    Ok(_) => {}
                    // Many close without a word of goodbye, which TLS takes ill.
                    Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
                    Err(_) => return Err(broken),
                }
            }
        };
        tokio::time::timeout(PATIENCE, work).await.map_err(|_| "it did not close the connection in time")?
    }
}

/// What a receiver can make anew: HMAC-SHA256 over the time, a dot and the body.
pub(crate) fn signature(key: &[u8], time: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    context.update(format!("{time}.").as_bytes());
    context.update(body);
    context.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One message: the canonical event is what it says.
fn syslog(host: &str, line: &Line, event: &AuditEvent) -> String {
    let severity = match event.outcome {
        Outcome::Refused => 4,
        _ => 5,
    };
    let word = |text: &str, most: usize| {
        let word: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
        if word.is_empty() { "-".to_owned() } else { word }
    };
    let (host, action) = (word(host, 255), word(&event.action, 32));
    let priority = u16::from(FACILITY) * 8 + severity;
    format!("<{priority}>1 {} {host} bastide - {action} - {}", event.time, line.json())
}

#[cfg(test)]
mod tests {
    use model::{EventId, Random, RequestId, Timestamp};
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn event(actor: &str) -> AuditEvent {
        let random = Random::seeded(1);
        AuditEvent {
            v: model::audit_event::VERSION,
            id: EventId::new(&random),
            time: Timestamp::from_micros(1_700_000_000_000_000),
            request_id: RequestId::new(&random),
            actor: actor.to_owned(),
            actor_id: None,
            credential: None,
            address: None,
            action: "repository.push".to_owned(),
            resource: "repository:acme/one".to_owned(),
            resource_id: "repository:1".to_owned(),
            workspace_id: None,
            outcome: Outcome::Refused,
            reasons: Vec::new(),
            before: Value::Null,
            after: Value::Null,
        }
    }

    #[test]
    fn the_signature_is_what_others_compute() {
        // Of `printf '1700000000.{}\n' | openssl dgst -sha256 -hmac key`.
        let made = signature(b"key", 1_700_000_000, b"{}\n");
        assert_eq!(made, "e7b2db2a9191d08b7d95e17269f78ba083729e7bd3bf9be2b82d2f8cd93c86ef");
    }

    proptest! {
        /// Attack: a name that ends its message and begins another one.
        #[test]
        fn a_message_is_one_line_whatever_names_hold(actor in "\\PC{0,30}[\r\n\"\\\\]{0,4}\\PC{0,10}") {
            let event = event(&actor);
            let bytes = event.to_bytes().unwrap();
            let line = Line { index: 7, bytes };
            let message = syslog("git.example.com", &line, &event);
            prop_assert!(!message.contains(['\r', '\n']));
            prop_assert!(message.starts_with("<108>1 2023-11-14T22:13:20"), "{message}");
            let json = message.splitn(8, ' ').nth(7).unwrap();
            let read: Value = serde_json::from_str(json).unwrap();
            prop_assert_eq!(read["event"]["actor"].as_str(), Some(actor.as_str()));
        }
    }
}
