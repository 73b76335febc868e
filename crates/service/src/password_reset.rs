//! Setting a new password without the old one: by a link that an administrator, or the command line, hands out, or that is
//! mailed (`password_reset_mail`).
//!
//! The link is good once and for an hour, and a newer one ends it. Of its secret only the hash is kept. It replaces the
//! password and nothing else: a second step is still asked for at the next sign-in, so who reads somebody's mail does not
//! get past it.

use std::sync::Arc;

use model::{Error, IssuedSecret, Result, Secret, SecretKind, act};
use serde_json::{Value, json};

use crate::{Caller, Service};

/// For how long a link is good, in seconds.
pub(crate) const GOOD_FOR: i64 = 3_600;
/// The kind of challenge that a link answers.
pub(crate) const RESET: &str = "password-reset";

/// A link by which one user's password is set.
pub struct ResetLink {
    /// The secret in it.
    pub secret: IssuedSecret,
    /// The whole address. The secret stands behind `#`, so that no server and no proxy on the way writes it down.
    pub address: Secret,
    /// When it ends.
    pub expires_on: model::Timestamp,
}

impl Service {
    /// Makes a link for a user; the ones before end.
    pub async fn make_reset_link(&self, caller: &Caller, username: &str) -> Result<ResetLink> {
        let ground = self.find_user(caller, username).await?;
        let permit = self.permit(caller, act::UserResetLink, &ground)?;
        let user = ground.subject;
        if !user.active {
            return Err(Error::Conflict(
                "this account is not active: a new password would not let it in".to_owned(),
            ));
        }
        let secret = IssuedSecret::new(SecretKind::ResetLink, &self.random);
        let (hash, id) = (secret.hash(), user.id);
        let expires_on = self.clock.now().plus_seconds(GOOD_FOR);
        self.store
            .write(&permit, move |writer| {
                let mut books = writer.bookkeeping();
                store::challenge::forget(&mut books, RESET, id)?;
                store::challenge::keep(&mut books, &hash, RESET, Some(id), Value::Null, expires_on)?;
                writer.note(Value::Null, json!({ "expires_on": expires_on }));
                Ok(())
            })
            .await?;
        let address =
            format!("{}/account/reset-password#{}", self.settings.base_url, secret.secret().expose());
        Ok(ResetLink { secret, address: Secret::new(address), expires_on })
    }

    /// Sets a new password by a link, and ends every session of the user's. `link` is the secret that stands behind `#`.
    pub async fn reset_password(&self, nobody: &Caller, link: &Secret, new: &Secret) -> Result<()> {
        if let Some(retry_after) = self.throttle.wait(nobody.address, None, self.clock.now()) {
            return Err(Error::TooManyRequests { retry_after });
        }
        let over = || Error::Gone("this link is over, or was used already: ask for another one".to_owned());
        let parsed = IssuedSecret::parse(SecretKind::ResetLink, link.expose());
        let hash = match parsed {
            Ok(secret) => secret.hash(),
            Err(_) => {
                self.attempt_failed(nobody, None);
                return Err(over());
            }
        };
        let waiting = self.store.read(move |reader| store::challenge::look(reader, &hash, RESET)).await?;
        let Some((id, state)) = waiting.and_then(|waiting| Some((waiting.user?, waiting.state))) else {
            self.attempt_failed(nobody, None);
            return Err(over());
        };
        let user = self.store.read(move |reader| store::user::find(reader, id)).await?;
        let user = user.filter(|user| user.active).ok_or_else(over)?;
        // Hashed first: a password that is refused does not use the link up.
        let password = self.passwords.hash(new).await?;
        let caller = Caller::user(Arc::new(user.clone()), None, nobody);
        let mailed = state.get("mailed_to").and_then(Value::as_str) == Some(user.email.folded().as_str());
        let (email, now) = (user.email.clone(), self.clock.now());
        let permit = self.permit(&caller, act::PasswordReset, &self.user_ground(user))?;
        self.store
            .write(&permit, move |writer| {
                // Taken in the same transaction: of two at once one sets its password.
                if store::challenge::take(&mut writer.bookkeeping(), &hash, RESET)?.is_none() {
                    return Err(Error::Gone(
                        "this link is over, or was used already: ask for another one".to_owned(),
                    ));
                }
                store::user::set_password_hash(writer, id, Some(&password))?;
                // The others were asked for by the same forgetfulness.
                store::challenge::forget(&mut writer.bookkeeping(), RESET, id)?;
                if mailed {
                    store::email::set_verified(writer, id, &email, now)?;
                }
                let ended = store::session::end_all(writer, id)?;
                writer.note(Value::Null, json!({ "password": "reset by a link", "sessions_ended": ended }));
                Ok(())
            })
            .await
    }
}
