//! Replacing the server's own key. A user of IAM's has two keys at most, so there is one order: another key is made, and kept at
//! once; it is proved, which may take a while, since not all of Amazon knows it at the same time; it becomes the present one;
//! the one before is removed. Wherever that breaks off, the next time goes on from what is kept, and never makes a third.

use std::time::Duration;

use model::{AwsKeyId, Error, RequestId, Result, Timestamp, act};
use policy::{InternalReason, Permit};
use serde_json::{Value, json};
use store::aws_key::{AwsKey, Pending};

use super::{AwsKeyView, DAY, missing, rotates_on, shown};
use crate::aws_role::{Failed, Identity};
use crate::jobs::log_text;
use crate::{Caller, Service};

/// How long is waited between trying a new key and trying it again, in seconds: a minute in all.
const WAITS: &[u64] = &[1, 2, 4, 8, 15, 30];
/// The same for a key that an administrator gives the server: one that was made a moment ago, or was mistyped.
const WAITS_OF_GIVEN: &[u64] = &[1, 2, 4, 8];
/// For how long a new key may be unknown to Amazon before it is given up, in seconds.
const UNKNOWN: i64 = DAY;
const CHANGED: &str = "the server's own key was changed meanwhile: look at it again";
/// More steps than replacing a key ever has.
const MOST_STEPS: usize = 8;

type Allowed = Permit<act::AwsKeyUpdate>;

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// The key before is to be removed: until then there is no room for another.
    RemoveOld(AwsKeyId),
    /// The key that is to follow is there: it is to be proved.
    Prove(Pending),
    /// A key that is to follow is to be made.
    Create,
    /// Nothing.
    Rest,
}

/// What comes next for a key; `wanted` is whether it is to be replaced.
fn next(kept: &AwsKey, wanted: bool) -> Step {
    match (&kept.old, &kept.pending) {
        (Some(old), _) => Step::RemoveOld(old.clone()),
        (None, Some(pending)) => Step::Prove(pending.clone()),
        (None, None) if wanted => Step::Create,
        (None, None) => Step::Rest,
    }
}

fn is_due(kept: &AwsKey, days: u16, now: Timestamp) -> bool {
    rotates_on(kept, days).is_some_and(|on| on <= now)
}

/// What came of proving a key.
enum Proof {
    Good,
    /// The server stops.
    Stopping,
    Failed(Failed),
}

/// Somebody else changed the key between two steps.
fn changed() -> Error {
    Error::Conflict(CHANGED.to_owned())
}

impl Service {
    /// Replaces the server's own key now.
    ///
    /// # Errors
    /// When the caller may not, there is none, it is being replaced already, or Amazon does not go along.
    pub async fn rotate_aws_key(&self, caller: &Caller) -> Result<AwsKeyView> {
        let permit = self.permit(caller, act::AwsKeyUpdate, &self.instance_ground())?;
        let service = self.clone();
        // Whoever asked may go away; a key that Amazon has made must be kept all the same.
        let replaced = self.background.spawn(async move { service.replace_aws_key(&permit, true).await });
        replaced.await.map_err(Error::internal)??;
        Ok(self.aws_key_view(self.kept_aws_key().await?.ok_or_else(missing)?))
    }

    /// Replaces the server's own key where it is old enough, and goes on with what broke off before.
    pub(crate) async fn keep_aws_key(&self) {
        let (days, now) = (self.settings.aws.key_days, self.clock.now());
        // Who wants no rotation wants nothing changed at Amazon: a copy of the database somewhere else, for one.
        if days == 0 {
            return;
        }
        match self.kept_aws_key().await {
            Ok(Some(kept)) if next(&kept, is_due(&kept, days, now)) != Step::Rest => {}
            Ok(_) => return,
            Err(error) => {
                tracing::error!(error = log_text(&error), "the server's own key at Amazon cannot be read");
                return;
            }
        }
        let request = Caller::operator(RequestId::new(&self.random));
        let target = self.instance_ground().target;
        let permit = self.internal::<act::AwsKeyUpdate>(InternalReason::AwsKey, &request, target);
        if let Err(error) = self.replace_aws_key(&permit, false).await {
            tracing::debug!(error = log_text(&error), "the server's own key at Amazon was not looked after");
        }
    }

    async fn replace_aws_key(&self, permit: &Allowed, asked: bool) -> Result<()> {
        let _turn = self.own_key.turn()?;
        let replaced = self.take_steps(permit, asked).await;
        match &replaced {
            Ok(()) | Err(Error::NotFound { .. } | Error::Unavailable) => {}
            // Another server has done it: nothing is wrong.
            Err(Error::Conflict(told)) if told == CHANGED => {}
            Err(error) => self.note_failure(permit, error).await,
        }
        replaced
    }

    async fn take_steps(&self, permit: &Allowed, asked: bool) -> Result<()> {
        let (days, mut asked) = (self.settings.aws.key_days, asked);
        for _ in 0..MOST_STEPS {
            let Some(kept) = self.kept_aws_key().await? else {
                return if asked { Err(missing()) } else { Ok(()) };
            };
            match next(&kept, asked || is_due(&kept, days, self.clock.now())) {
                Step::Rest => return Ok(()),
                Step::RemoveOld(old) => self.remove_old_key(permit, &kept, old).await?,
                Step::Create => self.create_pending_key(permit, &kept).await?,
                Step::Prove(pending) => {
                    self.switch_key(permit, &kept, pending).await?;
                    asked = false;
                }
            }
        }
        Err(changed())
    }

    fn identity_of(&self, id: &AwsKeyId, sealed: &[u8]) -> Result<Identity> {
        let secret = self.own_key.open(id, sealed)?;
        Ok(Identity::of_key(id.to_string(), secret.expose().to_owned()))
    }

    async fn create_pending_key(&self, permit: &Allowed, kept: &AwsKey) -> Result<()> {
        let identity = self.identity_of(&kept.id, &kept.secret)?;
        let (id, secret) = self.sts.create_key(&identity, &kept.user).await.map_err(|failed| {
            let what = match &failed {
                Failed::Refused(refused) if refused.code == "LimitExceeded" => format!(
                    ": the user has two keys, which is the most: remove the one that is not `{}` with `aws iam \
                     delete-access-key`, then rotate again",
                    kept.id
                ),
                _ => String::new(),
            };
            Error::Conflict(format!("another key could not be made ({failed}){what}"))
        })?;
        let kept_pending = match self.own_key.seal(&id, &secret) {
            Ok(secret) => {
                let pending = Pending { id: id.clone(), secret, since: self.clock.now() };
                self.keep_pending_key(permit, kept, pending).await
            }
            Err(error) => Err(error),
        };
        if kept_pending.is_err()
            && let Err(failed) = self.sts.delete_key(&identity, &kept.user, &id).await
        {
            tracing::warn!(%failed, key = %id, "a key is left behind at Amazon that the server does not have");
        }
        kept_pending
    }

    async fn keep_pending_key(&self, permit: &Allowed, kept: &AwsKey, pending: Pending) -> Result<()> {
        let before = kept.clone();
        self.store
            .write(permit, move |writer| {
                if !store::aws_key::keep_pending(writer, &before.id, &pending)? {
                    return Err(changed());
                }
                let after = AwsKey { pending: Some(pending.clone()), ..before.clone() };
                writer.note(shown(&before), shown(&after));
                Ok(())
            })
            .await
    }

    /// Proves the key that is to follow, and makes it the present one.
    async fn switch_key(&self, permit: &Allowed, kept: &AwsKey, pending: Pending) -> Result<()> {
        let identity = self.identity_of(&pending.id, &pending.secret)?;
        match self.prove(&identity, kept.user.as_str()).await {
            Proof::Good => {}
            Proof::Stopping => return Err(Error::Unavailable),
            Proof::Failed(failed) => {
                let unknown = matches!(&failed, Failed::Refused(refused) if refused.is_unknown_key());
                if unknown && pending.since.plus_seconds(UNKNOWN) <= self.clock.now() {
                    self.forget_pending(permit, kept, &pending.id).await?;
                    return Err(Error::Conflict(format!(
                        "the new key `{}` never came to work ({failed}) and was given up: the next rotation makes another",
                        pending.id
                    )));
                }
                return Err(Error::Conflict(format!(
                    "the new key `{}` does not work yet ({failed}): the next rotation goes on with it",
                    pending.id
                )));
            }
        }
        let before = kept.clone();
        self.store
            .write(permit, move |writer| {
                if !store::aws_key::switch(writer, &pending.id)? {
                    return Err(changed());
                }
                let after = AwsKey {
                    id: pending.id.clone(),
                    pending: None,
                    old: Some(before.id.clone()),
                    ..before.clone()
                };
                writer.note(shown(&before), shown(&after));
                Ok(())
            })
            .await?;
        self.own_key.forget().await;
        Ok(())
    }

    /// Whose a key is that may be so new that Amazon does not know it yet.
    pub(super) async fn known_caller(&self, identity: &Identity) -> Result<String, Failed> {
        let mut waits = WAITS_OF_GIVEN.iter();
        loop {
            match self.sts.caller(identity).await {
                Err(Failed::Refused(refused)) if refused.is_unknown_key() => {
                    let Some(wait) = waits.next() else { return Err(Failed::Refused(refused)) };
                    tokio::time::sleep(Duration::from_secs(*wait)).await;
                }
                known => return known,
            }
        }
    }

    /// Tries a key until it is that of the user.
    async fn prove(&self, identity: &Identity, user: &str) -> Proof {
        let mut stopping = self.stopping.subscribe();
        let mut waits = WAITS.iter();
        loop {
            let failed = match self.sts.caller(identity).await {
                Ok(arn) if arn == user => return Proof::Good,
                Ok(_) => return Proof::Failed(Failed::Unreached("it is the key of somebody else")),
                Err(failed) => failed,
            };
            let Some(wait) = waits.next() else { return Proof::Failed(failed) };
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(*wait)) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return Proof::Stopping,
            }
        }
    }

    /// Gives up a key that was made and never came to work.
    async fn forget_pending(&self, permit: &Allowed, kept: &AwsKey, pending: &AwsKeyId) -> Result<()> {
        let identity = self.identity_of(&kept.id, &kept.secret)?;
        self.sts.delete_key(&identity, &kept.user, pending).await.map_err(|failed| {
            Error::Conflict(format!(
                "the new key `{pending}`, which does not work, was not removed: {failed}"
            ))
        })?;
        let (before, gone) = (kept.clone(), pending.clone());
        self.store
            .write(permit, move |writer| {
                store::aws_key::forget_pending(writer, &gone)?;
                let after = AwsKey { pending: None, ..before.clone() };
                writer.note(shown(&before), shown(&after));
                Ok(())
            })
            .await
    }

    async fn remove_old_key(&self, permit: &Allowed, kept: &AwsKey, old: AwsKeyId) -> Result<()> {
        let identity = self.identity_of(&kept.id, &kept.secret)?;
        let mut waits = WAITS.iter();
        let removed = loop {
            match (self.sts.delete_key(&identity, &kept.user, &old).await, waits.next()) {
                // Not all of Amazon knows the present key at the same time.
                (Err(Failed::Refused(refused)), Some(wait)) if refused.is_unknown_key() => {
                    tokio::time::sleep(Duration::from_secs(*wait)).await;
                }
                (removed, _) => break removed,
            }
        };
        removed.map_err(|failed| {
            Error::Conflict(format!(
                "the key `{old}`, which `{}` follows, was not removed ({failed}): it is tried again",
                kept.id
            ))
        })?;
        let before = kept.clone();
        self.store
            .write(permit, move |writer| {
                store::aws_key::forget_old(writer, &old)?;
                let after = AwsKey { old: None, ..before.clone() };
                writer.note(shown(&before), shown(&after));
                Ok(())
            })
            .await
    }

    /// Keeps why it failed, for who looks at the key, and records it.
    async fn note_failure(&self, permit: &Allowed, error: &Error) {
        tracing::warn!(error = log_text(error), "the server's own key at Amazon could not be replaced");
        // The cause of a failure of ours is for the log alone.
        let told = error.to_string();
        let noted = self.store.write(permit, move |writer| {
            store::aws_key::failed(writer, &told)?;
            writer.note(Value::Null, json!({ "failed": told }));
            Ok(())
        });
        if let Err(error) = noted.await {
            tracing::error!(error = log_text(&error), "why the key could not be replaced was not kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> AwsKeyId {
        format!("AKIA{number:016}").parse().unwrap()
    }

    fn kept(since: Timestamp) -> AwsKey {
        AwsKey {
            user: "arn:aws:iam::123456789012:user/bastide".parse().unwrap(),
            id: id(1),
            secret: vec![1],
            since,
            pending: None,
            old: None,
            failed_on: None,
            last_error: None,
        }
    }

    /// What a step that succeeds leaves behind.
    fn taken(mut kept: AwsKey, step: Step, made: u8) -> AwsKey {
        match step {
            Step::Rest => {}
            Step::RemoveOld(_) => kept.old = None,
            Step::Create => {
                kept.pending = Some(Pending { id: id(made), secret: vec![made], since: kept.since })
            }
            Step::Prove(pending) => {
                kept.old = Some(std::mem::replace(&mut kept.id, pending.id));
                kept.pending = None;
            }
        }
        kept
    }

    /// Would catch: a third key, a key that is removed before the next one is proved, a rotation that has no end.
    #[test]
    fn from_wherever_it_broke_off_one_key_is_left() {
        let fresh = kept(Timestamp::from_micros(0));
        let pending = taken(fresh.clone(), Step::Create, 2);
        let Step::Prove(made) = next(&pending, false) else { panic!("a key that was made is gone on with") };
        let switched = taken(pending.clone(), Step::Prove(made), 2);
        assert_eq!((&switched.id, &switched.old), (&id(2), &Some(id(1))));
        for (begin, steps) in [(fresh, 3), (pending, 2), (switched, 4)] {
            let (mut now, mut wanted, mut made, mut count) = (begin, true, 9, 0);
            loop {
                let step = next(&now, wanted);
                if step == Step::Rest {
                    break;
                }
                wanted = wanted && !matches!(step, Step::Prove(_));
                made += 1;
                now = taken(now, step, made);
                let keys = 1 + usize::from(now.pending.is_some()) + usize::from(now.old.is_some());
                assert!(keys <= 2, "{now:?}");
                count += 1;
            }
            assert_eq!((count, now.pending, now.old), (steps, None, None));
            assert!(count < MOST_STEPS);
        }
    }

    #[test]
    fn a_key_is_replaced_by_its_age_and_never_where_there_are_no_days() {
        let begun = Timestamp::from_micros(1_790_000_000_000_000);
        let key = kept(begun);
        assert!(!is_due(&key, 30, begun.plus_seconds(30 * DAY - 1)));
        assert!(is_due(&key, 30, begun.plus_seconds(30 * DAY)));
        assert!(!is_due(&key, 0, begun.plus_seconds(9_999 * DAY)));
        assert_eq!(next(&key, false), Step::Rest);
    }

    #[test]
    fn a_new_key_is_tried_for_about_a_minute() {
        assert_eq!(WAITS.iter().sum::<u64>(), 60);
    }
}
