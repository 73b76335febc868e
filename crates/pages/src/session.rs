//! Signing in, and proving once more who one is.

use askama::Template;

use crate::form::Field;
use crate::frame::{Frame, Way};
use crate::second_step::Prompt;

/// Signing in with a name and a password, or with a passkey.
#[derive(Clone, Debug, Template)]
#[template(path = "sign_in.html")]
pub struct SignInPage {
    /// What is around it.
    pub frame: Frame,
    /// What is wrong with the form as a whole.
    pub error: String,
    /// The fields.
    pub fields: Vec<Field>,
    /// Whether passkeys can be bound to this site.
    pub passkeys: bool,
    /// Where to go after.
    pub next: String,
}

/// Proving once more who one is, before something dangerous.
#[derive(Clone, Debug, Template)]
#[template(path = "step_up.html")]
pub struct StepUpPage {
    /// What is around it.
    pub frame: Frame,
    /// The field.
    pub field: Field,
    /// What is asked of the browser, where the account has a passkey.
    pub prompt: Option<Prompt>,
    /// Where to go after.
    pub next: String,
    /// What was being sent there, encoded; empty where nothing was.
    pub kept: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}

/// The same, of whom an identity provider let in: the provider is asked in a window of its own, so that this one keeps what
/// was typed.
#[derive(Clone, Debug, Template)]
#[template(path = "provider_step_up.html")]
pub struct ProviderStepUpPage {
    /// What is around it.
    pub frame: Frame,
    /// Where the provider is asked.
    pub begin: String,
    /// What did not go.
    pub error: String,
    /// Where to go after.
    pub next: String,
    /// What was being sent there, encoded.
    pub kept: String,
}

/// What was being sent when proof was asked for: sent again, now that it was given.
#[derive(Clone, Debug, Template)]
#[template(path = "onward.html")]
pub struct OnwardPage {
    /// What is around it.
    pub frame: Frame,
    /// Where it goes.
    pub action: String,
    /// Its fields: name and value.
    pub fields: Vec<(String, String)>,
    /// Proves that the form was made for this session.
    pub form_token: String,
}

/// The second step of signing in.
#[derive(Clone, Debug, Template)]
#[template(path = "second_step.html")]
pub struct SecondStepPage {
    /// What is around it.
    pub frame: Frame,
    /// The code.
    pub field: Field,
    /// What is asked of the browser, where the account has a passkey.
    pub prompt: Option<Prompt>,
    /// Stands for the password that was given.
    pub challenge: String,
    /// Where to go after.
    pub next: String,
}

/// A new password, by a link.
#[derive(Clone, Debug, Template)]
#[template(path = "reset_password.html")]
pub struct ResetPasswordPage {
    /// What is around it.
    pub frame: Frame,
    /// What is wrong with the form as a whole.
    pub error: String,
    /// What stands behind `#` in the link.
    pub link: Field,
    /// The new password.
    pub password: Field,
}

/// A forgotten password.
#[derive(Clone, Debug, Template)]
#[template(path = "forgotten_password.html")]
pub struct ForgottenPasswordPage {
    /// What is around it.
    pub frame: Frame,
    /// What is wrong with the form as a whole.
    pub error: String,
    /// The username or e-mail address.
    pub name: Field,
}

/// An address that is proved by a link.
#[derive(Clone, Debug, Template)]
#[template(path = "verify_email.html")]
pub struct VerifyEmailPage {
    /// What is around it.
    pub frame: Frame,
    /// What is wrong with the form as a whole.
    pub error: String,
    /// What stands behind `#` in the link.
    pub link: Field,
}

/// Something is done, and where to go on.
#[derive(Clone, Debug, Template)]
#[template(path = "done.html")]
pub struct DonePage {
    /// What is around it.
    pub frame: Frame,
    /// What is done, in a sentence.
    pub text: String,
    /// Where to go on.
    pub onward: Way,
}
