//! A new password for who has forgotten the old one, by a link that is mailed to the account's address.
//!
//! Whoever asks gets the same answer after the same work, whether or not there is such an account: the request puts down
//! what was asked for, and the looking up is done later, where nobody waits.

use model::{Email, Error, IssuedSecret, RequestId, Result, Secret, SecretKind, User, Username, act};
use policy::InternalReason;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::access::user_target;
use crate::mail::letter;
use crate::password_reset::{GOOD_FOR, RESET};
use crate::{Caller, Service};

/// The kind of the job that looks up what was asked for.
pub(crate) const RESET_ASKED: &str = "password-reset-asked";
/// More names than this do not wait to be looked up.
const MOST_WAITING: i64 = 1_000;
/// So many links of one account's are good at a time, so that nobody is flooded, and nobody's link is ended by others.
const MOST_LINKS: i64 = 3;
/// Nobody's name is longer; what is asked for beyond it is somebody's mistake.
const LONGEST_NAME: usize = 254;

/// What was asked for. Sealed while it waits: it may be a mistyped password.
#[derive(Serialize, Deserialize)]
struct Asked {
    name: String,
    address: Option<String>,
    request_id: RequestId,
}

impl Service {
    /// Asks for a link to be mailed to the account of this username or e-mail address. The answer tells nothing about
    /// whether there is one.
    pub async fn ask_password_reset(&self, nobody: &Caller, name: &str) -> Result<()> {
        if !self.has_mail() {
            return Err(Error::Conflict(
                "this installation sends no mail: ask one of its administrators for a link".to_owned(),
            ));
        }
        let now = self.clock.now();
        if let Some(retry_after) = self.throttle.wait(nobody.address, None, now) {
            return Err(Error::TooManyRequests { retry_after });
        }
        self.throttle.failed(nobody.address, None, now);
        let name: String = name.trim().chars().take(LONGEST_NAME).collect();
        // The same name asked for twice before it was looked up is one job, known by a hash alone.
        let key = hex(Secret::new(format!("{RESET_ASKED} {}", name.to_lowercase())).hash().as_bytes());
        let asked = Asked {
            name,
            address: nobody.address.map(|address| address.to_string()),
            request_id: nobody.request_id,
        };
        let plain = serde_json::to_vec(&asked).map_err(Error::internal)?;
        let sealed = self.keyring.seal(&[RESET_ASKED], &plain).map_err(Error::internal)?;
        let sealed = BASE64.encode(sealed);
        self.store
            .keep(move |books| {
                if store::job::waiting_of(books, RESET_ASKED)? >= MOST_WAITING {
                    tracing::error!("too many passwords are asked for at once, and one was passed over");
                    return Ok(());
                }
                store::job::enqueue(books, RESET_ASKED, &key, json!({ "sealed": sealed }), 0)
            })
            .await
    }

    /// Looks up what was asked for, and mails the link where there is an account that it lets in.
    pub(crate) async fn mail_reset_link(&self, payload: &Value) -> Result<()> {
        let sealed = payload.get("sealed").and_then(Value::as_str).unwrap_or_default();
        let sealed = BASE64.decode(sealed).map_err(Error::internal)?;
        let plain = self.keyring.open(&[RESET_ASKED], &sealed).map_err(Error::internal)?;
        let asked: Asked = serde_json::from_slice(plain.expose()).map_err(Error::internal)?;
        let Some(user) = self.by_name_or_email(asked.name).await?.filter(|user| user.active) else {
            return Ok(());
        };
        let secret = IssuedSecret::new(SecretKind::ResetLink, &self.random);
        let (hash, id) = (secret.hash(), user.id);
        let expires_on = self.clock.now().plus_seconds(GOOD_FOR);
        let base = &self.settings.base_url;
        let link = format!("{base}/account/reset-password#{}", secret.secret().expose());
        let from = asked.address.as_deref();
        let message = letter::reset_password(&user, &link, from, base).good_until(expires_on);
        let request = Caller::anonymous(None, asked.request_id);
        let reason = InternalReason::ResetAsked;
        let permit = self.internal::<act::UserResetLink>(reason, &request, user_target(&user));
        let (outbox, state) = (self.outbox.clone(), json!({ "mailed_to": user.email.folded() }));
        let noted = json!({ "expires_on": expires_on, "mailed": true, "asked_from": asked.address });
        if self.store.read(move |reader| store::challenge::living(reader, RESET, id)).await? >= MOST_LINKS {
            return Ok(());
        }
        self.store
            .write(&permit, move |writer| {
                let mut books = writer.bookkeeping();
                store::challenge::keep(&mut books, &hash, RESET, Some(id), state.clone(), expires_on)?;
                outbox.queue(&mut books, &message)?;
                writer.note(Value::Null, noted.clone());
                Ok(())
            })
            .await
    }

    async fn by_name_or_email(&self, name: String) -> Result<Option<User>> {
        let (username, email) = (name.parse::<Username>().ok(), name.parse::<Email>().ok());
        self.store
            .read(move |reader| match (username, email) {
                (Some(username), _) => store::user::find_by_username(reader, &username),
                (None, Some(email)) => store::user::find_by_email(reader, &email),
                (None, None) => Ok(None),
            })
            .await
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
