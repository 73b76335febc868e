//! Signing in, and proving once more who one is.

use askama::Template;

use crate::form::Field;
use crate::frame::Frame;

/// Signing in with a name and a password.
#[derive(Clone, Debug, Template)]
#[template(path = "sign_in.html")]
pub struct SignInPage {
    /// What is around it.
    pub frame: Frame,
    /// What is wrong with the form as a whole.
    pub error: String,
    /// The fields.
    pub fields: Vec<Field>,
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
    /// Where to go after.
    pub next: String,
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
    /// Stands for the password that was given.
    pub challenge: String,
    /// Where to go after.
    pub next: String,
}
