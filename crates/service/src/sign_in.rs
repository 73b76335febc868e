//! Signing in with a browser: the password, then a second step where the account has one, then a session. Or a passkey
//! alone, which is both.
//!
//! Whatever is wrong before the password was proved is told in the same words and after the same time.

use std::path::PathBuf;
use std::sync::Arc;

use model::{Error, IssuedSecret, Result, SecondStepKind, Secret, SecretKind, SignInMethod, User, act};
use serde_json::{Value, json};

use crate::authn::Use;
use crate::passkey::{PasskeyRequest, too_late, waiting_hash};
use crate::password_reset::RESET;
use crate::second_step::ATTEMPTS;
use crate::session::{Proof, stepped_up_until};
use crate::{Browser, Caller, NewSession, Service, SessionLimits};

/// What the operator decides about signing in.
#[derive(Clone, Debug, Default)]
pub struct SignInSettings {
    /// For how long sessions live.
    pub sessions: SessionLimits,
    /// A list of passwords that are refused: sorted lines of a SHA-1, a colon and a count.
    pub breached_passwords: Option<PathBuf>,
}

/// Where signing in has got to.
pub enum SignIn {
    /// Done.
    Done(Box<NewSession>),
    /// The password was right; now the second step.
    SecondStep(SecondStepWanted),
}

/// The first step is done, with a password or an identity provider, and the account has a second one.
pub struct SecondStepWanted {
    /// Stands for the first step: to be sent back with the second.
    pub challenge: IssuedSecret,
    /// Which kinds the account has. A recovery code does instead of any.
    pub kinds: Vec<SecondStepKind>,
}

/// The first step is done.
pub(crate) const FIRST_STEP: &str = "first-step";
/// A passkey was asked for, to sign in.
const PASSKEY_SIGN_IN: &str = "passkey-sign-in";
/// A passkey was asked for, to step up.
const PASSKEY_STEP_UP: &str = "passkey-step-up";

impl Service {
    /// The first step, with a username or e-mail address and the password.
    pub async fn sign_in(
        &self,
        nobody: &Caller,
        browser: &Browser,
        name: &str,
        password: &Secret,
    ) -> Result<SignIn> {
        let user = self.prove_password(nobody, name, password, Use::SignIn).await?;
        self.throttle.succeeded(nobody.address, name);
        if user.second_step {
            return Ok(SignIn::SecondStep(self.want_second_step(&user, None).await?));
        }
        let caller = Caller::user(Arc::new(user), None, nobody);
        let proof = Proof { method: SignInMethod::Password, provider: None, second_step: None, fresh: true };
        Ok(SignIn::Done(Box::new(self.begin_session(&caller, browser, proof).await?)))
    }

    /// Asks for the second step of who has done the first: with a provider, where one is named.
    pub(crate) async fn want_second_step(
        &self,
        user: &User,
        provider: Option<String>,
    ) -> Result<SecondStepWanted> {
        let id = user.id;
        let steps = self.store.read(move |reader| store::second_step::list(reader, id)).await?;
        let mut kinds: Vec<SecondStepKind> = Vec::new();
        for kept in steps {
            if !kinds.contains(&kept.step.kind) {
                kinds.push(kept.step.kind);
            }
        }
        let challenge = self.wait_for(FIRST_STEP, Some(id), json!({ "provider": provider })).await?;
        Ok(SecondStepWanted { challenge, kinds })
    }

    /// The second step with a code: six digits from an app, or a recovery code. `challenge` is what the first step gave.
    pub async fn sign_in_with_code(
        &self,
        nobody: &Caller,
        browser: &Browser,
        challenge: &Secret,
        code: &Secret,
    ) -> Result<NewSession> {
        let (user, first) = self.who_waits(challenge, true).await?;
        let caller = Caller::user(Arc::new(user), None, nobody);
        let kind = self.prove_code(&caller, code).await?;
        // The first step counts for one session.
        self.take_waiting(FIRST_STEP, challenge).await?;
        self.begin_session(&caller, browser, proved(&first, SignInMethod::Password, kind)).await
    }

    /// Asks the browser for a passkey: with the challenge of the first step for one of that account's, without for any
    /// that the device knows, so that nobody learns which accounts there are.
    pub async fn begin_passkey_sign_in(
        &self,
        _nobody: &Caller,
        challenge: Option<&Secret>,
    ) -> Result<PasskeyRequest> {
        match challenge {
            Some(challenge) => {
                let (user, first) = self.who_waits(challenge, false).await?;
                self.ask_for_passkey(Some(user.id), PASSKEY_SIGN_IN, &first).await
            }
            None => self.ask_for_passkey(None, PASSKEY_SIGN_IN, &Value::Null).await,
        }
    }

    /// Signs in with what the browser answered. A passkey verifies its user and is enough by itself.
    pub async fn finish_passkey_sign_in(
        &self,
        nobody: &Caller,
        browser: &Browser,
        challenge: &Secret,
        response: &Value,
    ) -> Result<NewSession> {
        let (user, first) = self.prove_passkey(nobody, PASSKEY_SIGN_IN, challenge, response).await?;
        let caller = Caller::user(Arc::new(user), None, nobody);
        let proof = proved(&first, SignInMethod::Passkey, SecondStepKind::Passkey.as_str());
        self.begin_session(&caller, browser, proof).await
    }

    /// The active user who has done the first step for this challenge, and how; with `attempt`, one more wrong code is
    /// counted.
    async fn who_waits(&self, challenge: &Secret, attempt: bool) -> Result<(User, Value)> {
        let hash = waiting_hash(challenge)?;
        let waiting = self
            .store
            .keep(move |books| match attempt {
                true => store::challenge::attempt(books, &hash, FIRST_STEP, ATTEMPTS),
                false => store::challenge::look(books, &hash, FIRST_STEP),
            })
            .await?;
        let waiting = waiting.ok_or_else(too_late)?;
        let id = waiting.user.ok_or_else(too_late)?;
        let user = self.store.read(move |reader| store::user::find(reader, id)).await?;
        let user = user.filter(|user| user.active).ok_or_else(too_late)?;
        Ok((user, waiting.state))
    }

    /// Proves once more who holds the caller's session, with the password, and gives the session another secret: set the
    /// cookie anew. An account with a second step gives that instead.
    pub async fn step_up(&self, caller: &Caller, password: &Secret) -> Result<IssuedSecret> {
        let user = caller.as_user().ok_or(Error::Unauthenticated)?;
        if user.second_step {
            return Err(Error::forbidden(
                "this account has a second step: give that rather than the password",
            ));
        }
        self.prove_own_password(caller, password).await?;
        self.raise_session(caller, None).await
    }

    /// The same with a code.
    pub async fn step_up_with_code(&self, caller: &Caller, code: &Secret) -> Result<IssuedSecret> {
        caller.session().ok_or(Error::Unauthenticated)?;
        let kind = self.prove_code(caller, code).await?;
        self.raise_session(caller, Some(kind)).await
    }

    /// Asks the browser for one of the caller's own passkeys, to step up.
    pub async fn begin_passkey_step_up(&self, caller: &Caller) -> Result<PasskeyRequest> {
        caller.session().ok_or(Error::Unauthenticated)?;
        let user = caller.as_user().ok_or(Error::Unauthenticated)?.id;
        self.ask_for_passkey(Some(user), PASSKEY_STEP_UP, &Value::Null).await
    }

    /// The same with what the browser answered.
    pub async fn finish_passkey_step_up(
        &self,
        caller: &Caller,
        challenge: &Secret,
        response: &Value,
    ) -> Result<IssuedSecret> {
        let nobody = Caller::anonymous(caller.address, caller.request_id);
        let (proved, _) = self.prove_passkey(&nobody, PASSKEY_STEP_UP, challenge, response).await?;
        if caller.as_user().is_none_or(|user| user.id != proved.id) {
            return Err(too_late());
        }
        self.raise_session(caller, Some(SecondStepKind::Passkey.as_str())).await
    }

    /// Changes the caller's own password, and ends every other session of theirs. Gives the session another secret: set
    /// the cookie anew.
    pub async fn change_password(
        &self,
        caller: &Caller,
        current: &Secret,
        new: &Secret,
    ) -> Result<IssuedSecret> {
        let (user, session) = self.stepped_up(caller)?;
        let permit = self.permit(caller, act::PasswordChange, &self.user_ground(user.clone()))?;
        self.prove_own_password(caller, current).await?;
        let hash = self.passwords.hash(new).await?;
        let secret = IssuedSecret::new(SecretKind::Session, &self.random);
        let (owner, this, cookie) = (user.id, session.id, secret.hash());
        let until = stepped_up_until(self.clock.now());
        self.store
            .write(&permit, move |writer| {
                store::user::set_password_hash(writer, owner, Some(&hash))?;
                store::challenge::forget(&mut writer.bookkeeping(), RESET, owner)?;
                let ended = store::session::end_others(writer, owner, this)?;
                if !store::session::step_up(writer, this, &cookie, None, until)? {
                    return Err(Error::Unauthenticated);
                }
                writer.note(Value::Null, json!({ "password": "changed", "sessions_ended": ended }));
                Ok(())
            })
            .await?;
        Ok(secret)
    }

    /// The caller's own password, from a session: guesses are counted like those of strangers.
    pub(crate) async fn prove_own_password(&self, caller: &Caller, password: &Secret) -> Result<()> {
        let user = caller.as_user().ok_or(Error::Unauthenticated)?;
        let nobody = Caller::anonymous(caller.address, caller.request_id);
        let proved = self.prove_password(&nobody, user.username.as_str(), password, Use::SignIn).await;
        match proved {
            Ok(proved) if proved.id == user.id => Ok(()),
            Ok(_) | Err(Error::Unauthenticated) => {
                Err(Error::invalid_field("current_password", "this is not the account's password"))
            }
            Err(other) => Err(other),
        }
    }
}

/// What both steps prove: by the provider of the first one, where it was that; else by `method`.
fn proved(first: &Value, method: SignInMethod, second_step: &'static str) -> Proof {
    let provider = first.get("provider").and_then(Value::as_str).map(str::to_owned);
    let method = if provider.is_some() { SignInMethod::OpenIdConnect } else { method };
    Proof { method, provider, second_step: Some(second_step), fresh: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Would catch: a session that forgets, or makes up, which provider let its owner in.
    #[test]
    fn a_session_tells_how_its_first_step_was_done() {
        let by = |first: &Value, method| {
            let proof = proved(first, method, "totp");
            (proof.method, proof.provider, proof.second_step)
        };
        let provider = json!({ "provider": "w" });
        for method in [SignInMethod::Password, SignInMethod::Passkey] {
            let expected = (SignInMethod::OpenIdConnect, Some("w".to_owned()), Some("totp"));
            assert_eq!(by(&provider, method), expected);
            for none in [Value::Null, json!({ "provider": null })] {
                assert_eq!(by(&none, method), (method, None, Some("totp")));
            }
        }
    }
}
