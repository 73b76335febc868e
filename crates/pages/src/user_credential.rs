//! App passwords and API tokens: the form. The page that shows the secret once is that of access tokens.

use askama::Template;

use crate::access_token::ScopeChoice;
use crate::form::Field;
use crate::frame::Frame;

/// The form of a new app password or API token.
#[derive(Clone, Debug, Template)]
#[template(path = "user_credential_new.html")]
pub struct NewUserCredentialPage {
    /// What is around it; its title says what is created.
    pub frame: Frame,
    /// What it is for.
    pub lead: &'static str,
    /// What is wrong with the form as a whole.
    pub error: String,
    /// The name.
    pub name: Field,
    /// The scopes that it may have, by what they are about, and whether one of them is chosen.
    pub groups: Vec<(String, bool, Vec<ScopeChoice>)>,
    /// What is wrong with the choice.
    pub scopes_error: String,
    /// When it ends.
    pub expiry: Field,
    /// Where the form goes.
    pub action: &'static str,
    /// Proves that the form was made for this session.
    pub form_token: String,
}
