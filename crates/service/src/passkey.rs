//! Passkeys: WebAuthn by `webauthn-rs`, between its answers and the store.
//!
//! What was asked of a browser is kept on the server, for a few minutes, and taken once. A passkey always verifies its
//! user, so it is two factors in one and good as the only step.

use model::{Error, IssuedSecret, Result, Secret, SecretHash, SecretKind, User, UserId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use store::second_step::Kept;
use url::Url;
use webauthn_rs::prelude::{
    AuthenticationResult, CredentialID, DiscoverableAuthentication, DiscoverableKey, Passkey,
    PasskeyAuthentication, PasskeyRegistration, PublicKeyCredential, RegisterPublicKeyCredential,
    WebauthnError,
};
use webauthn_rs::{Webauthn, WebauthnBuilder};

use crate::second_step::context;
use crate::{Caller, Service};

/// For how long a browser may take to answer, in seconds.
const PATIENCE: i64 = 300;

/// What is asked of a browser.
pub struct PasskeyRequest {
    /// Stands for the question: to be sent back with the answer.
    pub challenge: IssuedSecret,
    /// For `navigator.credentials.create` or `.get`, in the JSON form of WebAuthn level 3.
    pub options: Value,
}

/// The site that passkeys are bound to: the host of the base address. An address without a name has none.
pub(crate) struct Passkeys(Option<Webauthn>);

impl Passkeys {
    pub(crate) fn new(base_url: &str) -> Self {
        let site = Url::parse(base_url).ok().and_then(|origin| {
            let host = origin.domain()?.to_owned();
            let builder = WebauthnBuilder::new(&host, &origin).ok()?;
            builder.rp_name(&host).build().ok()
        });
        Self(site)
    }

    pub(crate) fn site(&self) -> Result<&Webauthn> {
        self.0.as_ref().ok_or_else(|| {
            Error::Conflict(
                "passkeys are bound to a host name, and this server's address has none: start it with --base-url \
                 https://NAME"
                    .to_owned(),
            )
        })
    }
}

fn json(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(Error::internal)
}

fn state<T: DeserializeOwned>(value: &Value) -> Result<T> {
    T::deserialize(value).map_err(Error::internal)
}

/// What a browser sent.
fn answer<T: DeserializeOwned>(value: &Value) -> Result<T> {
    T::deserialize(value).map_err(|_| Error::invalid("this is no answer of a passkey: try again"))
}

/// The one text for an answer that proves nothing.
fn not_proved() -> Error {
    Error::invalid("the passkey was not recognised: try again, or use another way")
}

/// The text for who may hold a copied passkey, or its owner.
fn copied() -> Error {
    Error::forbidden(
        "this passkey counts its uses, and the count went backwards: it may have been copied. Use another way to sign \
         in, then remove it",
    )
}

impl Service {
    fn passkey(&self, kept: &Kept) -> Result<Passkey> {
        let id = kept.step.id.to_string();
        let opened = self.keyring.open(&context(&id), &kept.sealed).map_err(Error::internal)?;
        serde_json::from_slice(opened.expose()).map_err(Error::internal)
    }

    pub(crate) async fn passkeys_of(&self, user: UserId) -> Result<Vec<Passkey>> {
        let kept = self.store.read(move |reader| store::second_step::list(reader, user)).await?;
        let passkeys = kept.iter().filter(|kept| kept.step.kind == model::SecondStepKind::Passkey);
        passkeys.map(|kept| self.passkey(kept)).collect()
    }

    /// Keeps what the next step needs to know, and makes the secret that stands for it.
    pub(crate) async fn wait_for(
        &self,
        kind: &'static str,
        user: Option<UserId>,
        state: Value,
    ) -> Result<IssuedSecret> {
        let secret = IssuedSecret::new(SecretKind::Challenge, &self.random);
        let (hash, until) = (secret.hash(), self.clock.now().plus_seconds(PATIENCE));
        self.store
            .keep(move |books| store::challenge::keep(books, &hash, kind, user, state.clone(), until))
            .await?;
        Ok(secret)
    }

    /// Takes what was kept for a step: of several answers one gets it.
    pub(crate) async fn take_waiting(
        &self,
        kind: &'static str,
        challenge: &Secret,
    ) -> Result<store::challenge::Challenge> {
        let hash = waiting_hash(challenge)?;
        let taken = self.store.keep(move |books| store::challenge::take(books, &hash, kind)).await?;
        taken.ok_or_else(too_late)
    }

    pub(crate) async fn ask_to_enrol(
        &self,
        user: &User,
        kind: &'static str,
        name: &str,
    ) -> Result<PasskeyRequest> {
        let known = self.passkeys_of(user.id).await?;
        let known: Vec<CredentialID> = known.iter().map(|passkey| passkey.cred_id().clone()).collect();
        let (options, registration) = self
            .passkeys
            .site()?
            .start_passkey_registration(
                user.id.uuid(),
                user.username.as_str(),
                user.display_name.as_str(),
                Some(known),
            )
            .map_err(Error::internal)?;
        let mut options = json(&options)?;
        // A passkey that the device can find by itself signs in without a username; one that it cannot still serves as
        // a second step.
        if let Some(selection) =
            options.pointer_mut("/publicKey/authenticatorSelection").and_then(Value::as_object_mut)
        {
            selection.insert("residentKey".to_owned(), "preferred".into());
        }
        let state = serde_json::json!({ "name": name, "registration": json(&registration)? });
        let challenge = self.wait_for(kind, Some(user.id), state).await?;
        Ok(PasskeyRequest { challenge, options })
    }

    /// The passkey that a browser made, its id and its public form.
    pub(crate) fn enrolled(&self, registration: &Value, response: &Value) -> Result<(Vec<u8>, Vec<u8>)> {
        let registration: PasskeyRegistration = state(registration)?;
        let response: RegisterPublicKeyCredential = answer(response)?;
        let passkey = self
            .passkeys
            .site()?
            .finish_passkey_registration(&response, &registration)
            .map_err(|_| not_proved())?;
        let id: &[u8] = passkey.cred_id().as_ref();
        Ok((id.to_vec(), serde_json::to_vec(&passkey).map_err(Error::internal)?))
    }

    /// Asks for one of this user's passkeys, or for any that the device knows for this site.
    pub(crate) async fn ask_for_passkey(
        &self,
        user: Option<UserId>,
        kind: &'static str,
        first: &Value,
    ) -> Result<PasskeyRequest> {
        let site = self.passkeys.site()?;
        let (options, state) = match user {
            Some(user) => {
                let passkeys = self.passkeys_of(user).await?;
                if passkeys.is_empty() {
                    return Err(Error::Conflict("this account has no passkey: use another way".to_owned()));
                }
                let (options, state) =
                    site.start_passkey_authentication(&passkeys).map_err(Error::internal)?;
                (json(&options)?, json(&state)?)
            }
            None => {
                let (options, state) = site.start_discoverable_authentication().map_err(Error::internal)?;
                (json(&options)?, json(&state)?)
            }
        };
        let challenge =
            self.wait_for(kind, user, serde_json::json!({ "asked": state, "first": first })).await?;
        Ok(PasskeyRequest { challenge, options })
    }

    /// The user whose passkey answered, and the `first` that it was asked with. `nobody` is recorded where a passkey may have been copied.
    pub(crate) async fn prove_passkey(
        &self,
        nobody: &Caller,
        kind: &'static str,
        challenge: &Secret,
        response: &Value,
    ) -> Result<(User, Value)> {
        let waiting = self.take_waiting(kind, challenge).await?;
        let response: PublicKeyCredential = answer(response)?;
        let id = response.get_credential_id().to_vec();
        let found = self
            .store
            .read(move |reader| {
                let Some(kept) = store::second_step::find_passkey(reader, &id)? else { return Ok(None) };
                let user = store::user::find(reader, kept.step.user)?;
                Ok(user.map(|user| (kept, user)))
            })
            .await?;
        let (kept, user) = found
            .filter(|(_, user)| user.active && waiting.user.is_none_or(|asked| asked == user.id))
            .ok_or_else(not_proved)?;
        let part = |name: &str| waiting.state.get(name).cloned().unwrap_or_default();
        let proved = self.check_answer(&part("asked"), waiting.user.is_some(), &response, &kept);
        let proved = match proved {
            Ok(proved) if proved.user_verified() => proved,
            Err(WebauthnError::CredentialPossibleCompromise) => return Err(self.tell_copied(nobody, user)),
            Ok(_) | Err(_) => return Err(not_proved()),
        };
        let (id, counter) = (kept.step.id, proved.counter());
        let rose = self.store.keep(move |books| store::second_step::use_passkey(books, id, counter)).await?;
        if rose { Ok((user, part("first"))) } else { Err(self.tell_copied(nobody, user)) }
    }

    fn check_answer(
        &self,
        waiting: &Value,
        user_known: bool,
        response: &PublicKeyCredential,
        kept: &Kept,
    ) -> Result<AuthenticationResult, WebauthnError> {
        let unusable = |_: Error| WebauthnError::AuthenticationFailure;
        let site = self.passkeys.site().map_err(unusable)?;
        if user_known {
            let asked: PasskeyAuthentication = state(waiting).map_err(unusable)?;
            return site.finish_passkey_authentication(response, &asked);
        }
        let asked: DiscoverableAuthentication = state(waiting).map_err(unusable)?;
        let passkey = self.passkey(kept).map_err(unusable)?;
        site.finish_discoverable_authentication_v2(response, asked, DiscoverableKey::from(passkey))
    }

    fn tell_copied(&self, nobody: &Caller, user: User) -> Error {
        let target = crate::access::user_target(&user);
        let caller = Caller::user(user.into(), None, nobody);
        let reasons = vec!["passkey-counter-went-backwards".to_owned()];
        self.record_refusal(&caller, model::Action::SessionCreate, &target, reasons);
        copied()
    }
}

/// The hash of a challenge's secret.
pub(crate) fn waiting_hash(challenge: &Secret) -> Result<SecretHash> {
    let secret = IssuedSecret::parse(SecretKind::Challenge, challenge.expose());
    secret.map(|secret| secret.hash()).map_err(|_| too_late())
}

/// The one answer for a step that is not there, is over, or was answered already.
pub(crate) fn too_late() -> Error {
    Error::Gone("this step is over: begin again".to_owned())
}
