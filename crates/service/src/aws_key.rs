//! The server's own key at Amazon: of a user of IAM's, given to it once by an administrator of the instance, and replaced by
//! itself from then on (`rotation`). Where there is one, it is the server's identity there (`own`).

mod own;
mod rotation;

use model::{AwsKeyId, Error, Result, Secret, Timestamp, UserArn, act};
use serde_json::{Value, json};
use store::aws_key::AwsKey;

use crate::aws_role::Identity;
use crate::{Caller, Service};

pub(crate) use own::OwnKey;

/// The longest secret of a key that is taken, in bytes. Amazon's have forty.
const LONGEST_SECRET: usize = 256;
const DAY: i64 = 86_400;

/// A key that is given to the server. Without `Debug`: it holds a secret.
pub struct NewAwsKey {
    /// Its id: `AKIA…`.
    pub id: String,
    /// Its secret.
    pub secret: Secret,
}

/// The server's own key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsKeyView {
    /// Whose it is.
    pub user: UserArn,
    /// Its id.
    pub id: AwsKeyId,
    /// Since when the server has it.
    pub since: Timestamp,
    /// When it is replaced; never, where the operator says so.
    pub rotates_on: Option<Timestamp>,
    /// The id of the one that is to follow, and is not proved yet.
    pub pending: Option<AwsKeyId>,
    /// The id of the one before, which is still to be removed at Amazon.
    pub old: Option<AwsKeyId>,
    /// When replacing it failed, where that was the last that was tried.
    pub failed_on: Option<Timestamp>,
    /// Why.
    pub last_error: Option<String>,
}

impl AwsKeyView {
    pub(crate) fn of(kept: AwsKey, days: u16) -> Self {
        Self {
            rotates_on: rotates_on(&kept, days),
            user: kept.user,
            id: kept.id,
            since: kept.since,
            pending: kept.pending.map(|pending| pending.id),
            old: kept.old,
            failed_on: kept.failed_on,
            last_error: kept.last_error,
        }
    }
}

/// When a key is replaced that is replaced after so many days; never after none.
fn rotates_on(kept: &AwsKey, days: u16) -> Option<Timestamp> {
    (days > 0).then(|| kept.since.plus_seconds(i64::from(days).saturating_mul(DAY)))
}

/// A key in the audit trail.
fn shown(kept: &AwsKey) -> Value {
    json!({
        "user": kept.user.as_str(), "key": kept.id.as_str(),
        "pending": kept.pending.as_ref().map(|pending| pending.id.as_str()),
        "old": kept.old.as_ref().map(AwsKeyId::as_str),
    })
}

fn missing() -> Error {
    Error::not_found("a key of the server's own at Amazon")
}

impl Service {
    async fn kept_aws_key(&self) -> Result<Option<AwsKey>> {
        self.store.read(store::aws_key::find).await
    }

    fn aws_key_view(&self, kept: AwsKey) -> AwsKeyView {
        AwsKeyView::of(kept, self.settings.aws.key_days)
    }

    /// The server's own key.
    ///
    /// # Errors
    /// When the caller may not see it, or there is none.
    pub async fn aws_key(&self, caller: &Caller) -> Result<AwsKeyView> {
        self.check(caller, act::AwsKeyRead, &self.instance_ground())?;
        Ok(self.aws_key_view(self.kept_aws_key().await?.ok_or_else(missing)?))
    }

    /// Gives the server a key, which is proved first. The one that it had is forgotten, and stays at Amazon.
    ///
    /// # Errors
    /// When the caller may not, Amazon refuses the key, or it is not that of a user of IAM's.
    pub async fn set_aws_key(&self, caller: &Caller, new: NewAwsKey) -> Result<AwsKeyView> {
        let permit = self.permit(caller, act::AwsKeyUpdate, &self.instance_ground())?;
        let id: AwsKeyId = new.id.parse().map_err(|why| Error::invalid_field("access_key_id", why))?;
        let secret = new.secret.expose();
        let fits =
            (1..=LONGEST_SECRET).contains(&secret.len()) && secret.bytes().all(|b| b.is_ascii_graphic());
        if !fits {
            let message = "use the secret of the access key, as Amazon showed it when the key was made";
            return Err(Error::invalid_field("secret_access_key", message));
        }
        let _turn = self.own_key.turn()?;
        let identity = Identity::of_key(id.to_string(), secret.to_owned());
        let proved = self.known_caller(&identity).await;
        let arn = proved.map_err(|failed| Error::invalid(format!("the key was not taken: {failed}")))?;
        let user: UserArn = arn.parse().map_err(|_| {
            Error::invalid(format!(
                "the key was not taken: it is that of `{}`, which is no user of IAM's",
                arn.escape_debug()
            ))
        })?;
        let key = AwsKey {
            secret: self.own_key.seal(&id, &new.secret)?,
            user,
            id,
            since: self.clock.now(),
            pending: None,
            old: None,
            failed_on: None,
            last_error: None,
        };
        let kept = self
            .store
            .write(&permit, move |writer| {
                let before = store::aws_key::find(writer)?;
                let mut key = key.clone();
                // The same key once more: what replacing it has begun goes on.
                if let Some(before) = before.as_ref().filter(|before| before.id == key.id) {
                    key.since = before.since;
                    key.pending.clone_from(&before.pending);
                    key.old.clone_from(&before.old);
                }
                store::aws_key::set(writer, &key)?;
                writer.note(before.as_ref().map_or(Value::Null, shown), shown(&key));
                Ok(key)
            })
            .await?;
        self.own_key.forget().await;
        Ok(self.aws_key_view(kept))
    }

    /// Has the server forget its key, which stays at Amazon.
    ///
    /// # Errors
    /// When the caller may not, or there is none.
    pub async fn remove_aws_key(&self, caller: &Caller) -> Result<()> {
        let permit = self.permit(caller, act::AwsKeyUpdate, &self.instance_ground())?;
        let _turn = self.own_key.turn()?;
        self.store
            .write(&permit, |writer| {
                let before = store::aws_key::find(writer)?.ok_or_else(missing)?;
                store::aws_key::remove(writer)?;
                writer.note(shown(&before), Value::Null);
                Ok(())
            })
            .await?;
        self.own_key.forget().await;
        Ok(())
    }
}
