//! The second step: what a person proves beside the password. TOTP devices, passkeys, and recovery codes that stand in
//! for either.
//!
//! A second step counts once it was confirmed. Every change of them wants a session that has just stepped up.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::{
    DisplayName, Error, GuardrailMode, IssuedSecret, Result, SecondStep, SecondStepId, SecondStepKind,
    Secret, SecretHash, SecretKind, User, UserId, act,
};
use serde_json::{Value, json};
use store::Reader;
use store::second_step::Kept;

use crate::passkey::{PasskeyRequest, too_late, waiting_hash};
use crate::session::stepped_up_until;
use crate::{Caller, Service, totp};

/// How many recovery codes there are.
const RECOVERY_CODES: usize = 10;
/// Their length in random bytes: fifteen are 24 letters.
const RECOVERY_BYTES: usize = 15;
/// How often a wrong code may be given for one step.
pub(crate) const ATTEMPTS: i64 = 5;
/// More second steps of one user are a mistake.
const MOST: usize = 20;

const ENROL_TOTP: &str = "enrol-totp";
const ENROL_PASSKEY: &str = "enrol-passkey";

/// The reason of a refusal that stepping up would lift.
pub const STEP_UP_REQUIRED: &str = "step-up-required";

/// A TOTP device that waits to be confirmed.
pub struct TotpEnrolment {
    /// Stands for the enrolment: to be sent back with the first code.
    pub challenge: IssuedSecret,
    /// The secret in base32, for typing.
    pub secret: Secret,
    /// The same as an `otpauth:` address, for a picture.
    pub uri: Secret,
}

/// A second step that was confirmed.
pub struct Enrolled {
    /// The step.
    pub step: SecondStep,
    /// With the first step: the recovery codes, which are nowhere else.
    pub recovery_codes: Vec<Secret>,
    /// The session's new secret: set the cookie anew.
    pub session: IssuedSecret,
}

/// A user's second steps.
pub struct SecondSteps {
    /// The steps, the oldest first.
    pub steps: Vec<SecondStep>,
    /// How many recovery codes are left.
    pub recovery_codes: i64,
    /// Whether a workspace requires one, so that the last cannot be removed.
    pub required: bool,
}

/// Whether this account must have a second step: whether the instance, or a workspace where it is granted anything,
/// requires one. The one place that knows; what asks for a second step asks here.
pub(crate) fn is_required(reader: &mut Reader<'_>, user: &User) -> Result<bool> {
    let requires = |settings: &[store::guardrail::Setting]| -> Result<bool> {
        Ok(store::guardrail::read(settings)?.second_step == GuardrailMode::On)
    };
    if requires(&store::guardrail::of(reader, None)?.instance)? {
        return Ok(true);
    }
    for workspace in store::guardrail::set_where_granted(reader, user.id)? {
        if requires(&store::guardrail::of(reader, Some(workspace))?.workspace)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What a second step's secret is sealed for.
pub(crate) fn context(id: &str) -> [&str; 2] {
    ["second-step", id]
}

fn shown(step: &SecondStep) -> Value {
    json!({ "second_step": step.id, "kind": step.kind.as_str(), "name": step.name })
}

/// A code as it was meant: without the blanks and hyphens that make it readable.
fn plain(code: &Secret) -> Secret {
    let plain = code.expose().chars().filter(|c| !c.is_whitespace() && *c != '-').take(64);
    Secret::new(plain.flat_map(char::to_uppercase).collect())
}

/// Bound to its user, so that the same code of two users is not the same hash.
fn recovery_hash(user: UserId, plain: &Secret) -> SecretHash {
    Secret::new(format!("recovery-code:{user}:{}", plain.expose())).hash()
}

impl Service {
    /// The session that asks, which must have stepped up. Programs have no session and come with scopes instead.
    pub(crate) fn stepped_up<'a>(&self, caller: &'a Caller) -> Result<(&'a User, &'a model::Session)> {
        let user = caller.as_user().ok_or(Error::Unauthenticated)?;
        let session = caller.session().ok_or_else(|| {
            Error::forbidden("this is done in a browser, by whoever signed in there: no credential does it")
        })?;
        self.must_have_stepped_up(caller)?;
        Ok((user, session))
    }

    /// Refuses a session that has not stepped up a short while ago; whoever came by other means passes, since a
    /// credential was made for what its scopes say.
    pub(crate) fn must_have_stepped_up(&self, caller: &Caller) -> Result<()> {
        if caller.session().is_none() || caller.stepped_up(self.clock.now()) {
            return Ok(());
        }
        Err(Error::Forbidden {
            message: "prove once more that it is you: this is asked for again after ten minutes".to_owned(),
            reasons: vec![STEP_UP_REQUIRED.to_owned()],
        })
    }

    /// The caller's own second steps.
    pub async fn second_steps(&self, caller: &Caller) -> Result<SecondSteps> {
        let user = User::clone(caller.as_user().ok_or(Error::Unauthenticated)?);
        self.check(caller, act::SecondStepList, &self.user_ground(user.clone()))?;
        self.store
            .read(move |reader| {
                let steps = store::second_step::list(reader, user.id)?;
                Ok(SecondSteps {
                    steps: steps.into_iter().map(|kept| kept.step).collect(),
                    recovery_codes: store::second_step::recovery_codes(reader, user.id)?,
                    required: is_required(reader, &user)?,
                })
            })
            .await
    }

    /// Begins to enrol a TOTP device. It counts once [`Service::finish_totp_enrolment`] has had a code of it.
    pub async fn begin_totp_enrolment(&self, caller: &Caller, name: &DisplayName) -> Result<TotpEnrolment> {
        let (user, _) = self.stepped_up(caller)?;
        let id = SecondStepId::new(&self.random);
        let secret = totp::secret(&self.random);
        let sealed = self.keyring.seal(&context(&id.to_string()), &secret).map_err(Error::internal)?;
        let state = json!({ "id": id, "name": name, "sealed": STANDARD.encode(sealed) });
        let challenge = self.wait_for(ENROL_TOTP, Some(user.id), state).await?;
        Ok(TotpEnrolment {
            challenge,
            uri: Secret::new(totp::uri(&secret, self.settings.host(), user.username.as_str())),
            secret: Secret::new(totp::base32(&secret)),
        })
    }

    /// A TOTP device that still waits, once more: for whoever mistyped its first code.
    pub async fn totp_enrolment(&self, caller: &Caller, challenge: &Secret) -> Result<TotpEnrolment> {
        let (user, _) = self.stepped_up(caller)?;
        let (hash, owner) = (waiting_hash(challenge)?, user.id);
        let found = self.store.read(move |reader| store::challenge::look(reader, &hash, ENROL_TOTP)).await?;
        let state = found.filter(|waiting| waiting.user == Some(owner)).ok_or_else(too_late)?.state;
        let (_, secret, _) = self.waiting_totp(&state)?;
        Ok(TotpEnrolment {
            challenge: IssuedSecret::parse(SecretKind::Challenge, challenge.expose())
                .map_err(|_| too_late())?,
            uri: Secret::new(totp::uri(secret.expose(), self.settings.host(), user.username.as_str())),
            secret: Secret::new(totp::base32(secret.expose())),
        })
    }

    /// Confirms a TOTP device with a code that it shows.
    pub async fn finish_totp_enrolment(
        &self,
        caller: &Caller,
        challenge: &Secret,
        code: &Secret,
    ) -> Result<Enrolled> {
        let (user, _) = self.stepped_up(caller)?;
        let hash = waiting_hash(challenge)?;
        let tried = move |books: &mut store::Bookkeeping<'_>| {
            store::challenge::attempt(books, &hash, ENROL_TOTP, ATTEMPTS)
        };
        let owner = user.id;
        let waiting = self.store.keep(tried).await?.filter(|waiting| waiting.user == Some(owner));
        let state = waiting.ok_or_else(too_late)?.state;
        let (id, secret, sealed) = self.waiting_totp(&state)?;
        let step = totp::matching_step(secret.expose(), plain(code).expose(), self.clock.now());
        let counter = step.ok_or_else(wrong_code)?;
        self.take_waiting(ENROL_TOTP, challenge).await?;
        let name = state.get("name").and_then(Value::as_str).unwrap_or_default();
        let name = name.parse().map_err(Error::internal)?;
        let step = self.new_step(id, owner, SecondStepKind::Totp, name);
        self.enrol(caller, Kept { step, sealed }, counter, None).await
    }

    /// What was kept of a TOTP device: its id, its secret, and that secret sealed.
    fn waiting_totp(&self, state: &Value) -> Result<(SecondStepId, keyring::SecretBytes, Vec<u8>)> {
        let text = |key: &str| state.get(key).and_then(Value::as_str).unwrap_or_default();
        let id: SecondStepId = text("id").parse().map_err(Error::internal)?;
        let sealed = STANDARD.decode(text("sealed")).map_err(Error::internal)?;
        let secret = self.keyring.open(&context(&id.to_string()), &sealed).map_err(Error::internal)?;
        Ok((id, secret, sealed))
    }

    /// Begins to enrol a passkey.
    pub async fn begin_passkey_enrolment(
        &self,
        caller: &Caller,
        name: &DisplayName,
    ) -> Result<PasskeyRequest> {
        let (user, _) = self.stepped_up(caller)?;
        self.ask_to_enrol(user, ENROL_PASSKEY, name.as_str()).await
    }

    /// Confirms a passkey with what the browser answered.
    pub async fn finish_passkey_enrolment(
        &self,
        caller: &Caller,
        challenge: &Secret,
        response: &Value,
    ) -> Result<Enrolled> {
        let (user, _) = self.stepped_up(caller)?;
        let waiting = self.take_waiting(ENROL_PASSKEY, challenge).await?;
        if waiting.user != Some(user.id) {
            return Err(too_late());
        }
        let registration = waiting.state.get("registration").unwrap_or(&Value::Null);
        let (credential_id, public) = self.enrolled(registration, response)?;
        let name = waiting.state.get("name").and_then(Value::as_str).unwrap_or_default();
        let id = SecondStepId::new(&self.random);
        let name = name.parse().map_err(Error::internal)?;
        let sealed = self.keyring.seal(&context(&id.to_string()), &public).map_err(Error::internal)?;
        let step = self.new_step(id, user.id, SecondStepKind::Passkey, name);
        self.enrol(caller, Kept { step, sealed }, 0, Some(credential_id)).await
    }

    fn new_step(
        &self,
        id: SecondStepId,
        user: UserId,
        kind: SecondStepKind,
        name: DisplayName,
    ) -> SecondStep {
        SecondStep { id, user, kind, name, created_on: self.clock.now(), last_used_on: None }
    }

    /// Adds a confirmed step. The first one brings recovery codes, and ends every other session: whoever holds one has
    /// shown no second step.
    async fn enrol(
        &self,
        caller: &Caller,
        kept: Kept,
        counter: i64,
        credential_id: Option<Vec<u8>>,
    ) -> Result<Enrolled> {
        let (user, session) = self.stepped_up(caller)?;
        let permit = self.permit(caller, act::SecondStepEnrol, &self.user_ground(user.clone()))?;
        let (codes, hashes) = self.new_recovery_codes(user.id);
        let secret = IssuedSecret::new(SecretKind::Session, &self.random);
        let (owner, this, cookie, now) = (user.id, session.id, secret.hash(), self.clock.now());
        let step = kept.step.clone();
        let first = self
            .store
            .write(&permit, move |writer| {
                let before = store::second_step::list(writer, owner)?.len();
                if before >= MOST {
                    return Err(Error::Conflict(format!("you have {MOST} of these: remove some first")));
                }
                store::second_step::insert(writer, &kept, counter, credential_id.as_deref())?;
                if before == 0 {
                    store::second_step::replace_recovery_codes(writer, owner, &hashes)?;
                    store::session::end_others(writer, owner, this)?;
                }
                let until = stepped_up_until(now);
                if !store::session::step_up(writer, this, &cookie, Some(now), until)? {
                    return Err(Error::Unauthenticated);
                }
                writer.note(Value::Null, shown(&kept.step));
                Ok(before == 0)
            })
            .await?;
        let recovery_codes = if first { codes } else { Vec::new() };
        Ok(Enrolled { step, recovery_codes, session: secret })
    }

    /// Removes a second step. The last one stays while a workspace requires one.
    pub async fn remove_second_step(&self, caller: &Caller, id: SecondStepId) -> Result<()> {
        let (user, _) = self.stepped_up(caller)?;
        let permit = self.permit(caller, act::SecondStepRemove, &self.user_ground(user.clone()))?;
        let user = user.clone();
        self.store
            .write(&permit, move |writer| {
                let steps = store::second_step::list(writer, user.id)?;
                let step = steps.iter().map(|kept| &kept.step).find(|step| step.id == id);
                let step = step.ok_or_else(|| Error::not_found("the second step"))?;
                if steps.len() == 1 && is_required(writer, &user)? {
                    return Err(Error::Conflict(
                        "a workspace that you belong to requires a second step, and this is your last: enrol another \
                         one first, or leave the workspace"
                            .to_owned(),
                    ));
                }
                store::second_step::remove(writer, user.id, id)?;
                if steps.len() == 1 {
                    // Codes that stand in for nothing would be a password that nobody knows of.
                    store::second_step::replace_recovery_codes(writer, user.id, &[])?;
                }
                writer.note(shown(step), Value::Null);
                Ok(())
            })
            .await
    }

    /// New recovery codes; those before end.
    pub async fn renew_recovery_codes(&self, caller: &Caller) -> Result<Vec<Secret>> {
        let (user, _) = self.stepped_up(caller)?;
        if !user.second_step {
            return Err(Error::Conflict(
                "recovery codes stand in for a second step: enrol one first".to_owned(),
            ));
        }
        let permit = self.permit(caller, act::RecoveryCodesCreate, &self.user_ground(user.clone()))?;
        let (codes, hashes) = self.new_recovery_codes(user.id);
        let owner = user.id;
        self.store
            .write(&permit, move |writer| {
                store::second_step::replace_recovery_codes(writer, owner, &hashes)?;
                writer.note(Value::Null, json!({ "recovery_codes": RECOVERY_CODES }));
                Ok(())
            })
            .await?;
        Ok(codes)
    }

    fn new_recovery_codes(&self, user: UserId) -> (Vec<Secret>, Vec<SecretHash>) {
        let code = |_| {
            let plain = Secret::new(totp::base32(&self.random.bytes::<RECOVERY_BYTES>()));
            let hash = recovery_hash(user, &plain);
            let letters: Vec<char> = plain.expose().chars().collect();
            let groups: Vec<String> = letters.chunks(6).map(|group| group.iter().collect()).collect();
            (Secret::new(groups.join("-")), hash)
        };
        (0..RECOVERY_CODES).map(code).unzip()
    }

    /// Whether this is a code of the caller's: one that an app shows, or a recovery code. Tells which it was. Either is
    /// good once. Guessing is slowed for the account as a whole, since only who knows the password gets here; passkeys
    /// and recovery codes cannot be guessed and let its owner in meanwhile.
    pub(crate) async fn prove_code(&self, caller: &Caller, code: &Secret) -> Result<&'static str> {
        let user = caller.as_user().ok_or(Error::Unauthenticated)?.id;
        let code = plain(code);
        if code.expose().len() != 6 {
            let hash = recovery_hash(user, &code);
            let used = self
                .store
                .keep(move |books| store::second_step::use_recovery_code(books, user, &hash))
                .await?;
            return if used { Ok("recovery-code") } else { Err(self.code_failed(caller)) };
        }
        let now = self.clock.now();
        let account = user.to_string();
        if let Some(retry_after) = self.throttle.guess_wait(&account, now) {
            return Err(Error::TooManyRequests { retry_after });
        }
        let kept = self.store.read(move |reader| store::second_step::list(reader, user)).await?;
        for kept in kept.iter().filter(|kept| kept.step.kind == SecondStepKind::Totp) {
            let id = kept.step.id;
            let secret = self.keyring.open(&context(&id.to_string()), &kept.sealed);
            let secret = secret.map_err(Error::internal)?;
            let Some(step) = totp::matching_step(secret.expose(), code.expose(), now) else { continue };
            if self.store.keep(move |books| store::second_step::use_code(books, id, step)).await? {
                return Ok("totp");
            }
        }
        self.throttle.guess_failed(&account, now);
        Err(self.code_failed(caller))
    }

    /// Somebody knows the password and not the code: worth a record.
    fn code_failed(&self, caller: &Caller) -> Error {
        if let Some(user) = caller.as_user() {
            let target = crate::access::user_target(user);
            self.record_refusal(
                caller,
                model::Action::SessionCreate,
                &target,
                vec!["second-step-wrong".to_owned()],
            );
        }
        wrong_code()
    }
}

fn wrong_code() -> Error {
    Error::invalid_field("code", "this code is wrong, or was used already: wait for the next one")
}
