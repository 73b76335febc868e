//! The server's own key in use. It is read again after a while, so that what another server did to it is noticed.

use std::sync::Arc;

use keyring::Keyring;
use model::{AwsKeyId, Clock, Error, Result, Secret, Timestamp};
use store::Store;
use tokio::sync::{Mutex, MutexGuard};

/// For how long it is believed that the key is as it was read, in seconds.
const FRESH: i64 = 60;

/// A key as requests are signed with it, or that there is none, and until when that is believed.
type Read = (Option<reqsign_aws_v4::Credential>, Timestamp);

/// Whatever signs with the server's own key asks here for it.
pub(crate) struct OwnKey {
    store: Store,
    keyring: Arc<Keyring>,
    clock: Clock,
    read: Mutex<Option<Read>>,
    /// Held by who changes it.
    turn: Mutex<()>,
}

/// What a secret is sealed for: no key's secret is ever taken for another's.
fn context(id: &AwsKeyId) -> [&str; 3] {
    ["aws_key", id.as_str(), "secret"]
}

impl OwnKey {
    pub(crate) fn new(store: Store, keyring: Arc<Keyring>, clock: Clock) -> Self {
        Self { store, keyring, clock, read: Mutex::default(), turn: Mutex::default() }
    }

    /// The key, where there is one.
    pub(crate) async fn credential(&self) -> Result<Option<reqsign_aws_v4::Credential>> {
        let mut read = self.read.lock().await;
        let now = self.clock.now();
        if let Some((known, _)) = read.as_ref().filter(|(_, until)| *until > now) {
            return Ok(known.clone());
        }
        let kept = self.store.read(store::aws_key::find).await?;
        let opened = match kept {
            Some(kept) => Some(reqsign_aws_v4::Credential {
                secret_access_key: self.open(&kept.id, &kept.secret)?.expose().to_owned(),
                access_key_id: kept.id.to_string(),
                session_token: None,
                expires_in: None,
            }),
            None => None,
        };
        *read = Some((opened.clone(), now.plus_seconds(FRESH)));
        Ok(opened)
    }

    /// Has it read again: it was changed, or Amazon does not know it any more.
    pub(crate) async fn forget(&self) {
        *self.read.lock().await = None;
    }

    /// Seals a key's secret for the store.
    pub(crate) fn seal(&self, id: &AwsKeyId, secret: &Secret) -> Result<Vec<u8>> {
        self.keyring.seal(&context(id), secret.expose().as_bytes()).map_err(Error::internal)
    }

    /// Opens a key's secret.
    pub(crate) fn open(&self, id: &AwsKeyId, sealed: &[u8]) -> Result<Secret> {
        let opened = self.keyring.open(&context(id), sealed).map_err(Error::internal)?;
        opened.to_secret().map_err(Error::internal)
    }

    /// Lets nobody else of this server change the key meanwhile. What other servers do is seen in the transaction of each step.
    pub(crate) fn turn(&self) -> Result<MutexGuard<'_, ()>> {
        self.turn.try_lock().map_err(|_| {
            Error::Conflict(
                "the server's own key is being replaced or changed just now: try again in a minute"
                    .to_owned(),
            )
        })
    }
}
