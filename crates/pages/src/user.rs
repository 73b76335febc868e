//! Accounts, for those who manage them: found, looked at, approved, switched off.

use askama::Template;

use crate::form::Field;
use crate::frame::{Frame, Pages, Way};
use crate::measure::Moment;
use crate::principal::Known;

/// What an account is in a word or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// In use.
    Active,
    /// Waits for somebody to approve it.
    Waiting,
    /// Switched off.
    Inactive,
}

/// What part a word stands for in running the instance; empty for none.
#[must_use]
pub fn role_words(word: &str) -> &'static str {
    match word {
        "administrator" => "Administrator",
        "auditor" => "Auditor",
        _ => "",
    }
}

/// A form of one button: where it goes, and the proof that it was made for this session.
#[derive(Clone, Debug)]
pub struct Button {
    /// Where it goes.
    pub action: String,
    /// The proof.
    pub form_token: String,
}

/// An account in the list.
#[derive(Clone, Debug)]
pub struct UserRow {
    /// Its page.
    pub href: String,
    /// The username.
    pub username: String,
    /// The name that people read.
    pub display_name: String,
    /// The e-mail address.
    pub email: String,
    /// What it is.
    pub state: State,
    /// Its part in running the instance; empty for none.
    pub role: &'static str,
    /// Whether it has a second step.
    pub second_step: bool,
    /// When somebody last signed in to it.
    pub signed_in: Option<Moment>,
    /// When it was made.
    pub created: Moment,
    /// What approves it, where it waits and the viewer may.
    pub approve: Option<Button>,
    /// Whether it is the viewer's.
    pub this: bool,
}

/// The accounts.
#[derive(Clone, Debug, Template)]
#[template(path = "users.html")]
pub struct UsersPage {
    /// What is around it.
    pub frame: Frame,
    /// All, and those of each state.
    pub choices: Vec<Way>,
    /// The state that is shown, as it stands in the address; empty for all.
    pub state: String,
    /// What is looked for.
    pub field: Field,
    /// Whether anything is looked for.
    pub filtered: bool,
    /// The accounts.
    pub users: Vec<UserRow>,
    /// What leads on.
    pub pages: Pages,
}

/// Whose word it was, and when.
#[derive(Clone, Debug)]
pub struct Decided {
    /// Whose.
    pub by: Known,
    /// When.
    pub on: Moment,
}

/// One account.
#[derive(Clone, Debug, Template)]
#[template(path = "user.html")]
pub struct UserPage {
    /// What is around it.
    pub frame: Frame,
    /// What is wrong.
    pub error: String,
    /// The account.
    pub row: UserRow,
    /// Whether it is approved: also one that is switched off may be.
    pub approved: bool,
    /// Who approved it last, or took the approval back.
    pub approval: Option<Decided>,
    /// What approves it, and takes the approval back.
    pub approve: Button,
    /// What switches it off and on.
    pub update: Button,
    /// What makes a link that sets a new password.
    pub reset: Button,
}

/// A link by which somebody sets a new password: shown once.
#[derive(Clone, Debug, Template)]
#[template(path = "user_reset_link.html")]
pub struct ResetLinkPage {
    /// What is around it.
    pub frame: Frame,
    /// The name that people read.
    pub display_name: String,
    /// The link.
    pub address: String,
    /// When it ends.
    pub expires: Moment,
    /// The account's page.
    pub user: String,
}
