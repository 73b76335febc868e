//! Mail: what is said by it, the queue that it waits in, and how it leaves.
//!
//! A message is queued in the transaction of what causes it, so that it is sent exactly when that was done; nobody's
//! request waits for a mail server. In the queue a message is sealed: it may hold a one-time link, of which the
//! database otherwise knows the hash alone. Without a mail server nothing is queued.
//!
//! Not here: who is told what. That stands with the use cases, and the words with [`letter`].

mod delivery;
pub(crate) mod letter;
mod settings;

mod break_glass_tests;
mod findings_tests;
mod link_tests;
mod tests;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use keyring::Keyring;
use model::{Email, Error, JobId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::Bookkeeping;

pub use settings::{MailEncryption, MailSettings};

/// The kind of the job that sends a message.
pub(crate) const MAIL: &str = "mail";

/// For how long a message that cannot be sent is tried again, in seconds.
const TRIED_FOR: i64 = 3 * 86_400;
/// More messages than this do not wait: a mail server that is away must not fill the disk.
const MOST_WAITING: i64 = 10_000;
/// The longest subject, in characters.
const LONGEST_SUBJECT: usize = 150;
/// The longest text of somebody's inside a sentence, in characters.
const LONGEST_INLINE: usize = 250;
/// The longest body, in bytes.
const LONGEST_BODY: usize = 64 * 1024;

/// What is sealed with, so that nothing else that is sealed can be taken for a message, nor one message for another.
fn context(id: &str) -> [&str; 2] {
    [MAIL, id]
}

/// Text of somebody's for the middle of a sentence: one line, without anything that controls, and not for ever long.
#[must_use]
pub(crate) fn inline(text: &str) -> String {
    let plain = |c: char| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c };
    text.chars().take(LONGEST_INLINE).map(plain).collect()
}

/// A message to one address, in plain text. It cannot hold a header beside its subject, nor a subject of two lines.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Message {
    to: Email,
    subject: String,
    body: String,
    #[serde(skip)]
    good_until: Option<Timestamp>,
}

impl Message {
    /// To an address. Line ends in the subject become spaces; in the body they stay.
    pub(crate) fn new(to: &Email, subject: &str, body: &str) -> Self {
        let subject: String = inline(subject).trim().chars().take(LONGEST_SUBJECT).collect();
        let mut body: String = body.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        if body.len() > LONGEST_BODY {
            let cut = body.floor_char_boundary(LONGEST_BODY);
            body.truncate(cut);
            body.push_str("\n[…]\n");
        }
        Self { to: to.clone(), subject, body, good_until: None }
    }

    /// It is of no use later: a link in it is over.
    pub(crate) fn good_until(self, end: Timestamp) -> Self {
        Self { good_until: Some(end), ..self }
    }
}

/// Where messages are put to be sent. Clones share the keys.
#[derive(Clone)]
pub(crate) struct Outbox {
    keyring: Arc<Keyring>,
    on: bool,
}

impl Outbox {
    pub(crate) fn new(keyring: Arc<Keyring>, on: bool) -> Self {
        Self { keyring, on }
    }

    /// Whether there is a mail server. Without one, nothing is queued.
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// Queues a message in the transaction of what causes it: `outbox.queue(&mut writer.bookkeeping(), &message)`. Tells
    /// whether it waits now. A queue that is full takes no more, which is logged and stops nobody's work.
    pub(crate) fn queue(&self, books: &mut Bookkeeping<'_>, message: &Message) -> Result<bool> {
        if !self.on {
            return Ok(false);
        }
        if store::job::waiting_of(books, MAIL)? >= MOST_WAITING {
            tracing::error!("the queue for mail is full, and a message was dropped: look at the mail server");
            return Ok(false);
        }
        let id = JobId::new(books.random()).to_string();
        let plain = serde_json::to_vec(message).map_err(Error::internal)?;
        let sealed = self.keyring.seal(&context(&id), &plain).map_err(Error::internal)?;
        let until = message.good_until.unwrap_or_else(|| books.now().plus_seconds(TRIED_FOR));
        let payload = json!({ "id": id, "until": until, "sealed": BASE64.encode(sealed) });
        store::job::enqueue(books, MAIL, &id, payload, 0)?;
        Ok(true)
    }

    /// The message of a job, or none when it is of no use any more.
    fn open(&self, payload: &Value, now: Timestamp) -> Result<Option<(String, Message)>> {
        #[derive(Deserialize)]
        struct Waiting {
            id: String,
            until: Timestamp,
            sealed: String,
        }
        let waiting = Waiting::deserialize(payload).map_err(Error::internal)?;
        if waiting.until <= now {
            return Ok(None);
        }
        let sealed = BASE64.decode(&waiting.sealed).map_err(Error::internal)?;
        let plain = self.keyring.open(&context(&waiting.id), &sealed).map_err(Error::internal)?;
        let message = serde_json::from_slice(plain.expose()).map_err(Error::internal)?;
        Ok(Some((waiting.id, message)))
    }
}
