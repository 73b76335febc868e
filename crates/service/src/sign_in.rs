//! Signing in with a browser: the password, then a second step where the account has one, then a session.
//!
//! Whatever is wrong before the password was proved is told in the same words and after the same time.

use std::sync::Arc;

use model::{Error, IssuedSecret, Result, Secret, SignInMethod};

use crate::authn::Use;
use crate::session::Proof;
use crate::{Browser, Caller, NewSession, Service, SessionLimits};

/// What the operator decides about signing in.
#[derive(Clone, Debug, Default)]
pub struct SignInSettings {
    /// For how long sessions live.
    pub sessions: SessionLimits,
}

/// Where signing in has got to.
pub enum SignIn {
    /// Done.
    Done(Box<NewSession>),
    /// The password was right; now the second step.
    SecondStep {
        /// Stands for the password that was given: to be sent back with the second step.
        challenge: IssuedSecret,
    },
}

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
        let caller = Caller::user(Arc::new(user), None, nobody);
        let proof = Proof { method: SignInMethod::Password, provider: None, second_step: false };
        Ok(SignIn::Done(Box::new(self.begin_session(&caller, browser, proof).await?)))
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
        let nobody = Caller::anonymous(caller.address, caller.request_id);
        self.prove_password(&nobody, user.username.as_str(), password, Use::SignIn).await?;
        self.raise_session(caller, false).await
    }
}
