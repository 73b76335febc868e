//! Proving that an account's address is its owner's: by a link that is mailed there.
//!
//! A link is good once, for a day, for one account and the one address that it had. Of its secret only the hash is kept;
//! it proves the address and opens nothing.

use std::sync::Arc;

use model::{Email, Error, IssuedSecret, Result, Secret, SecretKind, Timestamp, User, act};
use serde_json::{Value, json};
use store::Writer;

use crate::mail::{Outbox, letter};
use crate::{Caller, Service};

/// For how long a link is good, in seconds.
const GOOD_FOR: i64 = 86_400;
/// So many links of one account's are good at a time, so that nobody is flooded.
const MOST_LINKS: i64 = 3;
/// The kind of challenge that a link answers.
const VERIFY: &str = "email-verification";

/// What is known of the caller's own address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailState {
    /// The address.
    pub email: Email,
    /// When it was proved; none where it never was.
    pub verified_on: Option<Timestamp>,
    /// Whether there is a mail server, so that a link can be asked for.
    pub can_be_verified: bool,
}

/// A link that is about to be mailed.
#[derive(Clone)]
pub(crate) struct Link {
    secret: IssuedSecret,
    expires_on: Timestamp,
    base: String,
}

fn over() -> Error {
    Error::Gone("this link is over, or was used already: ask for another one".to_owned())
}

impl Link {
    /// Keeps the link's hash and mails it, in the transaction of what causes it. Links to another address end.
    pub(crate) fn mail(
        &self,
        writer: &mut Writer<'_>,
        outbox: &Outbox,
        user: &User,
        new: bool,
    ) -> Result<()> {
        if !outbox.is_on() {
            return Ok(());
        }
        let mut books = writer.bookkeeping();
        if new {
            store::challenge::forget(&mut books, VERIFY, user.id)?;
        }
        let state = json!({ "email": user.email.folded() });
        store::challenge::keep(
            &mut books,
            &self.secret.hash(),
            VERIFY,
            Some(user.id),
            state,
            self.expires_on,
        )?;
        let address = format!("{}/account/verify-email#{}", self.base, self.secret.secret().expose());
        let message = letter::verify_email(user, &address, &self.base).good_until(self.expires_on);
        outbox.queue(&mut books, &message).map(drop)
    }
}

impl Service {
    /// A link for whoever's address was just entered.
    pub(crate) fn verification_link(&self) -> Link {
        Link {
            secret: IssuedSecret::new(SecretKind::EmailLink, &self.random),
            expires_on: self.clock.now().plus_seconds(GOOD_FOR),
            base: self.settings.base_url.clone(),
        }
    }

    /// The caller's own address, and whether it was proved.
    pub async fn own_email(&self, caller: &Caller) -> Result<EmailState> {
        let user = self.own_account(caller).await?;
        let id = user.id;
        let verified_on = self.store.read(move |reader| store::email::verified_on(reader, id)).await?;
        Ok(EmailState { email: user.email, verified_on, can_be_verified: self.has_mail() })
    }

    /// Mails a link to the caller's own address.
    pub async fn ask_email_verification(&self, caller: &Caller) -> Result<()> {
        let user = caller.as_user().ok_or(Error::Unauthenticated)?;
        let permit = self.permit(caller, act::AccountUpdate, &self.user_ground(User::clone(user)))?;
        if !self.has_mail() {
            return Err(Error::Conflict(
                "this installation has no mail server, so no address can be verified: ask who runs it"
                    .to_owned(),
            ));
        }
        let (id, link, outbox) = (user.id, self.verification_link(), self.outbox.clone());
        self.store
            .write(&permit, move |writer| {
                let user = store::user::find(writer, id)?.ok_or(Error::Unauthenticated)?;
                if store::email::verified_on(writer, id)?.is_some() {
                    return Err(Error::Conflict(format!("the address {} is verified already", user.email)));
                }
                if store::challenge::living(writer, VERIFY, id)? >= MOST_LINKS {
                    return Err(Error::Conflict(format!(
                        "{MOST_LINKS} links are on their way to {}: use the newest, or ask again tomorrow",
                        user.email
                    )));
                }
                link.mail(writer, &outbox, &user, false)?;
                writer.note(Value::Null, json!({ "email_verification": "asked for" }));
                Ok(())
            })
            .await
    }

    /// Proves an address by a link: `link` is the secret that stands behind `#`. Whoever has it reads the mail that goes
    /// there; more is not needed, and nothing but this is done by it.
    pub async fn verify_email(&self, nobody: &Caller, link: &Secret) -> Result<Email> {
        if let Some(retry_after) = self.throttle.wait(nobody.address, None, self.clock.now()) {
            return Err(Error::TooManyRequests { retry_after });
        }
        let wrong = || {
            self.attempt_failed(nobody, None);
            over()
        };
        let parsed = IssuedSecret::parse(SecretKind::EmailLink, link.expose());
        let hash = parsed.map_err(|_| wrong())?.hash();
        let waiting = self.store.read(move |reader| store::challenge::look(reader, &hash, VERIFY)).await?;
        let waiting = waiting.ok_or_else(wrong)?;
        let id = waiting.user.ok_or_else(over)?;
        let user = self.store.read(move |reader| store::user::find(reader, id)).await?;
        let user = user.filter(|user| user.active).ok_or_else(over)?;
        if waiting.state.get("email").and_then(Value::as_str) != Some(user.email.folded().as_str()) {
            return Err(over());
        }
        let caller = Caller::user(Arc::new(user.clone()), None, nobody);
        let permit = self.permit(&caller, act::AccountUpdate, &self.user_ground(user.clone()))?;
        let (email, now) = (user.email.clone(), self.clock.now());
        self.store
            .write(&permit, move |writer| {
                // Taken in the same transaction, as the address is compared once more.
                let taken = store::challenge::take(&mut writer.bookkeeping(), &hash, VERIFY)?.is_some();
                if !taken || !store::email::set_verified(writer, id, &email, now)? {
                    return Err(over());
                }
                store::challenge::forget(&mut writer.bookkeeping(), VERIFY, id)?;
                writer.note(Value::Null, json!({ "email_verified": email }));
                Ok(())
            })
            .await?;
        Ok(user.email)
    }
}
