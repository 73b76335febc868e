//! The keys that sign identity tokens, and their rotation.
//!
//! A key is published before it signs, so that whoever keeps the published keys for a while knows it when it does; and it
//! stays published until the last token that it signed has ended, with a margin for clocks and caches. What a key does at
//! a time follows from its times alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use keyring::{TokenAlgorithm, TokenKey};
use model::{Error, RequestId, Resource, Result, Timestamp, WorkspaceId, act};
use pipeline::identity::LONGEST_LIFE;
use policy::{InternalReason, Permit, Target};
use serde_json::{Value, json};
use store::Writer;
use store::identity_token::IdentityTokenKey;

use crate::{Caller, Service};

const DAY: i64 = 86_400;
/// For how long a key is published before it signs, unless something else is asked for.
const PUBLISHED_BEFORE: i64 = DAY;
/// The longest that may be asked for.
const LONGEST_BEFORE: i64 = 30 * DAY;
/// For how long a key stays published after its last token has ended.
const MARGIN: i64 = 3_600;
/// After how long a key that signs gets a successor by itself.
const AGE: i64 = 90 * DAY;
/// For how long keys that were revoked or have retired are shown.
const SHOWN: i64 = 30 * DAY;
/// The most keys that are kept ready to sign.
const MOST_READY: usize = 1_000;

/// A key, and what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityTokenKeyView {
    /// Its id.
    pub kid: String,
    /// How it signs.
    pub algorithm: String,
    /// `waiting`, `signing`, `retiring`, `retired` or `revoked`.
    pub state: &'static str,
    /// When it was made and published.
    pub created_on: Timestamp,
    /// From when it signs.
    pub activates_on: Timestamp,
    /// When it is published no more, where a younger one follows it.
    pub retires_on: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_on: Option<Timestamp>,
}

/// What is asked of a rotation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyRotation {
    /// After how many seconds the new key signs; after a day where nothing is said.
    pub activates_after: Option<i64>,
}

/// Keys that were opened, ready to sign: opening one takes longer than signing. What signs is asked of the store each time.
#[derive(Default)]
pub(crate) struct Signers {
    ready: Mutex<HashMap<(WorkspaceId, String), Arc<TokenKey>>>,
    /// Making a key takes a good part of a second: whoever comes meanwhile waits for it and makes none.
    making: tokio::sync::Mutex<()>,
}

/// Whether verifiers find it.
pub(super) fn is_published(key: &IdentityTokenKey, now: Timestamp) -> bool {
    key.revoked_on.is_none() && key.retires_on.is_none_or(|retires| now < retires)
}

/// The key that signs: of those that are published, the one that became active last.
pub(super) fn signing(keys: &[IdentityTokenKey], now: Timestamp) -> Option<&IdentityTokenKey> {
    let active = keys.iter().filter(|key| is_published(key, now) && key.activates_on <= now);
    active.max_by_key(|key| (key.activates_on, key.created_on))
}

/// The key that is published and does not sign yet.
fn waiting(keys: &[IdentityTokenKey], now: Timestamp) -> Option<&IdentityTokenKey> {
    keys.iter().find(|key| is_published(key, now) && key.activates_on > now)
}

/// The keys and what they do, the oldest first.
pub(super) fn views(keys: &[IdentityTokenKey], now: Timestamp) -> Vec<IdentityTokenKeyView> {
    let signing = signing(keys, now).map(|key| key.kid.clone());
    let view = |key: &IdentityTokenKey| IdentityTokenKeyView {
        kid: key.kid.clone(),
        algorithm: key.algorithm.to_string(),
        state: match key {
            key if key.revoked_on.is_some() => "revoked",
            key if !is_published(key, now) => "retired",
            key if key.activates_on > now => "waiting",
            key if signing.as_ref() == Some(&key.kid) => "signing",
            _ => "retiring",
        },
        created_on: key.created_on,
        activates_on: key.activates_on,
        retires_on: key.retires_on,
        revoked_on: key.revoked_on,
    };
    keys.iter().map(view).collect()
}

/// The time from which no token of a key is left that signs until `until`.
fn retirement(until: Timestamp) -> Timestamp {
    until.plus_seconds(LONGEST_LIFE + MARGIN)
}

/// A key for the store, which signs from `activates_on`.
fn row(made: &Made, now: Timestamp, activates_on: Timestamp) -> IdentityTokenKey {
    IdentityTokenKey {
        kid: made.key.kid().to_owned(),
        algorithm: made.key.algorithm(),
        public: made.key.public_jwk().clone(),
        sealed: Some(made.sealed.clone()),
        created_on: now,
        activates_on,
        retires_on: None,
        revoked_on: None,
    }
}

/// Publishes a new key. The one that signs retires after it; where none signs, the new one does at once.
fn publish(
    writer: &mut Writer<'_>,
    workspace: WorkspaceId,
    made: &Made,
    activates_after: i64,
) -> Result<IdentityTokenKey> {
    let now = writer.origin().time;
    let keys = store::identity_token::keys(writer, workspace)?;
    if let Some(waiting) = waiting(&keys, now) {
        return Err(Error::Conflict(format!(
            "the key `{}` is published already and signs soon: revoke it to have another",
            waiting.kid
        )));
    }
    let signs = signing(&keys, now);
    let activates_on = if signs.is_some() { now.plus_seconds(activates_after) } else { now };
    if let Some(signs) = signs {
        let times = (signs.activates_on, Some(retirement(activates_on)));
        store::identity_token::schedule_key(writer, workspace, &signs.kid, times)?;
    }
    let new = row(made, now, activates_on);
    store::identity_token::insert_key(writer, workspace, &new)?;
    let told = |key: &IdentityTokenKey, state: &str| {
        json!({
            "kid": key.kid, "algorithm": key.algorithm.as_str(), "state": state, "activates_on": key.activates_on,
        })
    };
    let after = told(&new, if activates_on > now { "waiting" } else { "signing" });
    writer.note(signs.map_or(Value::Null, |key| told(key, "signing")), after);
    Ok(new)
}

/// A key that was just made, sealed.
struct Made {
    key: TokenKey,
    sealed: Vec<u8>,
}

impl Service {
    fn identity_token_permit(
        &self,
        workspace: WorkspaceId,
        label: &str,
    ) -> Permit<act::IdentityTokenConfigure> {
        let target = Target {
            resource: Resource::Workspace(workspace),
            label: format!("workspace:{label}"),
            workspace: Some(workspace),
        };
        let request = Caller::operator(RequestId::new(&self.random));
        self.internal(InternalReason::IdentityTokenKey, &request, target)
    }

    async fn make_key(&self, workspace: WorkspaceId) -> Result<Made> {
        let settings =
            self.store.read(move |reader| store::identity_token::of_workspace(reader, workspace)).await?;
        self.make_key_of(workspace, settings.algorithm).await
    }

    async fn make_key_of(&self, workspace: WorkspaceId, algorithm: TokenAlgorithm) -> Result<Made> {
        let keyring = Arc::clone(&self.keyring);
        let make = move || {
            let key = TokenKey::generate(algorithm).map_err(Error::internal)?;
            let sealed = key.seal(&keyring, &workspace.to_string()).map_err(Error::internal)?;
            Ok(Made { key, sealed })
        };
        tokio::task::spawn_blocking(make).await.map_err(Error::internal)?
    }

    /// Makes the key that signs a workspace's tokens from now on, where there is none yet; ready. `label` is the workspace's
    /// slug, for the record.
    pub(super) async fn first_signer(&self, workspace: WorkspaceId, label: &str) -> Result<Arc<TokenKey>> {
        let _making = self.signers.making.lock().await;
        if let Some(found) = self.known_signer(workspace).await? {
            return Ok(found);
        }
        let made = self.make_key(workspace).await?;
        let permit = self.identity_token_permit(workspace, label);
        self.store
            .write(&permit, move |writer| {
                store::identity_token::lock(writer, workspace)?;
                let keys = store::identity_token::keys(writer, workspace)?;
                // Another process may have been first.
                match signing(&keys, writer.origin().time) {
                    Some(_) => Ok(()),
                    None => publish(writer, workspace, &made, 0).map(drop),
                }
            })
            .await?;
        let found = self.known_signer(workspace).await?;
        found.ok_or_else(|| Error::internal("a key that was made signs nothing"))
    }

    async fn known_signer(&self, workspace: WorkspaceId) -> Result<Option<Arc<TokenKey>>> {
        let keys = self.store.read(move |reader| store::identity_token::keys(reader, workspace)).await?;
        self.ready_signer(workspace, &keys)
    }

    /// The one of a workspace's keys that signs its tokens now, ready; none where none does.
    pub(super) fn ready_signer(
        &self,
        workspace: WorkspaceId,
        keys: &[IdentityTokenKey],
    ) -> Result<Option<Arc<TokenKey>>> {
        let Some(signs) = signing(keys, self.clock.now()) else { return Ok(None) };
        let id = (workspace, signs.kid.clone());
        let ready = || self.signers.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = ready().get(&id) {
            return Ok(Some(Arc::clone(found)));
        }
        let sealed =
            signs.sealed.as_deref().ok_or_else(|| Error::internal("a key that signs is not kept"))?;
        let named = (&*workspace.to_string(), &*signs.kid);
        let opened = TokenKey::unseal(&self.keyring, named, signs.algorithm, sealed);
        let opened = Arc::new(opened.map_err(Error::internal)?);
        let mut ready = ready();
        if ready.len() >= MOST_READY {
            ready.clear();
        }
        ready.insert(id, Arc::clone(&opened));
        Ok(Some(opened))
    }

    /// Publishes a new key, which signs after a day, or when it is asked for. Where none signs, it does at once.
    pub async fn rotate_identity_token_key(
        &self,
        caller: &Caller,
        workspace: &str,
        rotation: KeyRotation,
    ) -> Result<IdentityTokenKeyView> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::IdentityTokenConfigure, &ground)?;
        let after = rotation.activates_after.unwrap_or(PUBLISHED_BEFORE);
        if !(0..=LONGEST_BEFORE).contains(&after) {
            let message = format!("a key signs after 0 to {LONGEST_BEFORE} seconds");
            return Err(Error::invalid_field("activates_after", message));
        }
        let id = ground.subject.id;
        let made = self.make_key(id).await?;
        let kid = made.key.kid().to_owned();
        self.store
            .write(&permit, move |writer| {
                store::identity_token::lock(writer, id)?;
                publish(writer, id, &made, after).map(drop)
            })
            .await?;
        self.key_view(id, &kid).await
    }

    async fn key_view(&self, workspace: WorkspaceId, kid: &str) -> Result<IdentityTokenKeyView> {
        let keys = self.store.read(move |reader| store::identity_token::keys(reader, workspace)).await?;
        let found = views(&keys, self.clock.now()).into_iter().find(|key| key.kid == kid);
        found.ok_or_else(|| Error::not_found("the key"))
    }

    /// Revokes a key: no verifier that asks from now on finds it. Where it signed, the one that waits signs at once, or a
    /// new one.
    pub async fn revoke_identity_token_key(&self, caller: &Caller, workspace: &str, kid: &str) -> Result<()> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::IdentityTokenConfigure, &ground)?;
        let (id, kid) = (ground.subject.id, kid.to_owned());
        self.key_view(id, &kid).await?;
        // Made before it is known to be needed, since the transaction must not wait for it.
        let made = self.make_key(id).await?;
        let gone = kid.clone();
        self.store.write(&permit, move |writer| revoke(writer, id, &kid, &made)).await?;
        let mut ready = self.signers.ready.lock().unwrap_or_else(PoisonError::into_inner);
        drop(ready.remove(&(id, gone)));
        Ok(())
    }

    /// Gives keys that have signed for long a successor, and removes what is left of those that sign no more.
    pub(crate) async fn rotate_identity_token_keys(&self) -> Result<()> {
        let now = self.clock.now();
        let (old, shown) = (now.plus_seconds(-AGE), now.plus_seconds(-SHOWN));
        let (old, past) = self
            .store
            .read(move |reader| {
                let old = store::identity_token::workspaces_with_old_keys(reader, old)?;
                Ok((old, store::identity_token::workspaces_with_past_keys(reader, (now, shown))?))
            })
            .await?;
        for workspace in old {
            let made = self.make_key(workspace).await?;
            let permit = self.identity_token_permit(workspace, &workspace.braced());
            self.store
                .write(&permit, move |writer| {
                    store::identity_token::lock(writer, workspace)?;
                    let keys = store::identity_token::keys(writer, workspace)?;
                    // Another process may have been first.
                    let due = waiting(&keys, now).is_none()
                        && signing(&keys, now).is_some_and(|key| key.activates_on < now.plus_seconds(-AGE));
                    match due {
                        true => publish(writer, workspace, &made, PUBLISHED_BEFORE).map(drop),
                        false => Ok(()),
                    }
                })
                .await?;
        }
        for workspace in past {
            let permit = self.identity_token_permit(workspace, &workspace.braced());
            self.store
                .write(&permit, move |writer| {
                    store::identity_token::forget_keys(writer, workspace, shown)?;
                    writer
                        .note(Value::Null, json!({ "removed": "private halves of keys that sign no more" }));
                    Ok(())
                })
                .await?;
        }
        Ok(())
    }
}

fn revoke(writer: &mut Writer<'_>, workspace: WorkspaceId, kid: &str, made: &Made) -> Result<()> {
    let now = writer.origin().time;
    store::identity_token::lock(writer, workspace)?;
    let keys = store::identity_token::keys(writer, workspace)?;
    let found = keys.iter().find(|key| key.kid == kid && is_published(key, now));
    let found = found.ok_or_else(|| Error::not_found("the key"))?;
    store::identity_token::revoke_key(writer, workspace, kid)?;
    let signs = signing(&keys, now).filter(|signs| signs.kid != kid);
    let waits = waiting(&keys, now).filter(|waits| waits.kid != kid);
    let mut successor = Value::Null;
    match (signs, waits) {
        // One that waited is revoked: the one that signs goes on.
        (Some(signs), None) if found.activates_on > now => {
            store::identity_token::schedule_key(writer, workspace, &signs.kid, (signs.activates_on, None))?;
        }
        // One that signs no more is revoked.
        (Some(_), _) => {}
        (None, Some(waits)) => {
            store::identity_token::schedule_key(writer, workspace, &waits.kid, (now, None))?;
            successor = json!(waits.kid);
        }
        (None, None) => {
            store::identity_token::insert_key(writer, workspace, &row(made, now, now))?;
            successor = json!(made.key.kid());
        }
    }
    let state = if found.activates_on > now { "waiting" } else { "published" };
    writer.note(
        json!({ "kid": kid, "state": state }),
        json!({ "kid": kid, "state": "revoked", "signs_instead": successor }),
    );
    Ok(())
}
