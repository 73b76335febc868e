//! One's own account: sessions, identities, app passwords and API tokens.

use askama::Template;

use crate::form::Field;
use crate::frame::Frame;
use crate::measure::Moment;

/// A session in the list.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// Its id.
    pub id: String,
    /// What the browser said of itself.
    pub browser: String,
    /// Where it signed in from.
    pub address: String,
    /// When it was last used.
    pub last_seen: Moment,
    /// When it began.
    pub created: Moment,
    /// Whether it is the one that asks.
    pub this: bool,
}

/// An identity in the list.
#[derive(Clone, Debug)]
pub struct IdentityRow {
    /// Its id.
    pub id: String,
    /// The provider's issuer.
    pub issuer: String,
    /// What the provider calls its subject.
    pub subject: String,
    /// The workspace through whose provider it was connected; empty where that is not told.
    pub workspace: String,
    /// When it was connected.
    pub connected: Moment,
    /// Whether disconnecting it ends the session that asks.
    pub this: bool,
}

/// A credential in the list.
#[derive(Clone, Debug)]
pub struct CredentialRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `App password` or `API token`.
    pub kind: &'static str,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created: Moment,
    /// When it was last used.
    pub last_used: Option<Moment>,
    /// When it ends by itself.
    pub expires: Option<Moment>,
}

/// The account.
#[derive(Clone, Debug, Template)]
#[template(path = "account.html")]
pub struct AccountPage {
    /// What is around it.
    pub frame: Frame,
    /// The username.
    pub username: String,
    /// The name that people read.
    pub display_name: String,
    /// The e-mail address.
    pub email: String,
    /// When the address was proved; none where it was not.
    pub verified: Option<Moment>,
    /// Proves that the form that mails a link was made for this session; none where there is nothing to ask for.
    pub email_token: Option<String>,
    /// Whether the account has a password.
    pub has_password: bool,
    /// Whether the account has a second step.
    pub second_step: bool,
    /// The sessions, the newest first.
    pub sessions: Vec<SessionRow>,
    /// Proves that the form for ending sessions was made for this session.
    pub session_token: String,
    /// The same, for ending all others.
    pub others_token: String,
    /// The identities that sign in to it.
    pub identities: Vec<IdentityRow>,
    /// Proves that the form for disconnecting was made for this session.
    pub identity_token: String,
    /// App passwords and API tokens.
    pub credentials: Vec<CredentialRow>,
    /// Proves that the form for revoking was made for this session.
    pub credential_token: String,
}

/// Changing one's own password.
#[derive(Clone, Debug, Template)]
#[template(path = "password.html")]
pub struct PasswordPage {
    /// What is around it.
    pub frame: Frame,
    /// The password now.
    pub current: Field,
    /// The new one.
    pub new: Field,
    /// Proves that the form was made for this session.
    pub form_token: String,
}
