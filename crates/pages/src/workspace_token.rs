//! All access tokens of a workspace in one list, with what should be looked at; several revoked at once.

use askama::Template;

use crate::form::Field;
use crate::frame::{Frame, Pages};
use crate::measure::Moment;

/// What should be looked at.
#[derive(Clone, Debug)]
pub struct AdviceShown {
    /// In a word or two.
    pub word: &'static str,
    /// In a sentence.
    pub text: String,
}

/// A token in the list.
#[derive(Clone, Debug)]
pub struct AnyTokenRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is bound to.
    pub resource: String,
    /// The page of the tokens there.
    pub href: String,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// Who made it.
    pub creator: String,
    /// When it was last used.
    pub last_used: Option<Moment>,
    /// When it ends by itself.
    pub expires: Option<Moment>,
    /// What should be looked at.
    pub advice: Vec<AdviceShown>,
}

/// The list.
#[derive(Clone, Debug, Template)]
#[template(path = "workspace_tokens.html")]
pub struct WorkspaceTokensPage {
    /// What is around it.
    pub frame: Frame,
    /// The workspace's slug.
    pub workspace: String,
    /// What is wrong.
    pub error: String,
    /// The filters.
    pub fields: Vec<Field>,
    /// Whether anything is asked for.
    pub filtered: bool,
    /// Where a first one is made.
    pub new: String,
    /// The tokens.
    pub tokens: Vec<AnyTokenRow>,
    /// What leads on.
    pub pages: Pages,
    /// The page, and where the form goes.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}

/// Whether these shall really be revoked.
#[derive(Clone, Debug, Template)]
#[template(path = "workspace_tokens_revoke.html")]
pub struct RevokeTokensPage {
    /// What is around it.
    pub frame: Frame,
    /// Those that are chosen.
    pub tokens: Vec<AnyTokenRow>,
    /// The list, and where the form goes.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}

/// What became of one.
#[derive(Clone, Debug)]
pub struct RevokedRow {
    /// Its name.
    pub name: String,
    /// What it was bound to.
    pub resource: String,
    /// What became of it, in words.
    pub text: String,
    /// Whether it still works.
    pub failed: bool,
}

/// What became of them.
#[derive(Clone, Debug, Template)]
#[template(path = "workspace_tokens_revoked.html")]
pub struct RevokedTokensPage {
    /// What is around it.
    pub frame: Frame,
    /// In a sentence.
    pub summary: String,
    /// Whether any failed.
    pub failed: bool,
    /// Each.
    pub tokens: Vec<RevokedRow>,
    /// The list.
    pub list: String,
}
