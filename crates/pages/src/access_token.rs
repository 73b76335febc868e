//! Access tokens: the list, the form with what the token will be able to do, and the page that shows the secret once.

use askama::Template;
use model::Action;

use crate::form::Field;
use crate::frame::Frame;
use crate::measure::Moment;

/// A token in the list.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// Its name.
    pub name: String,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// Who made it.
    pub creator: String,
    /// When.
    pub created: Moment,
    /// When it was last used.
    pub last_used: Option<Moment>,
    /// When it ends by itself.
    pub expires: Option<Moment>,
    /// Whether that is soon.
    pub ends_soon: bool,
    /// Its page, where it is rotated and revoked.
    pub href: String,
}

/// One token: what it does, and how it ends.
#[derive(Clone, Debug, Template)]
#[template(path = "access_token.html")]
pub struct TokenPage {
    /// What is around it.
    pub frame: Frame,
    /// The token.
    pub token: TokenRow,
    /// What it is bound to, in words.
    pub bound_to: String,
    /// What it is able to do, and stops doing with it.
    pub able: Vec<String>,
    /// For how long both work, when it is replaced.
    pub overlap: Field,
    /// What is wrong with what was sent.
    pub error: String,
    /// Where it is replaced.
    pub rotate: String,
    /// Proves that the form for replacing was made for this session.
    pub rotate_token: String,
    /// The same, for revoking.
    pub revoke_token: String,
    /// The list.
    pub list: String,
}

/// The tokens of a repository, project or workspace.
#[derive(Clone, Debug, Template)]
#[template(path = "access_tokens.html")]
pub struct TokensPage {
    /// What is around it.
    pub frame: Frame,
    /// What they are bound to, in words: `the repository acme/one`.
    pub bound_to: String,
    /// Where a new one is made.
    pub new: String,
    /// The living ones, the newest first.
    pub tokens: Vec<TokenRow>,
    /// What leads on.
    pub pages: crate::frame::Pages,
}

/// A scope to choose.
#[derive(Clone, Debug)]
pub struct ScopeChoice {
    /// Its name.
    pub name: String,
    /// What it lets the holder do.
    pub sentence: String,
    /// What it implies, in names.
    pub implies: Vec<String>,
    /// Whether it is chosen.
    pub chosen: bool,
}

/// What a token will be able to do.
#[derive(Clone, Debug)]
pub struct Preview {
    /// What it will be able to do, in words.
    pub able: Vec<String>,
    /// What it will not.
    pub unable: Vec<String>,
}

/// The form of a new token.
#[derive(Clone, Debug, Template)]
#[template(path = "access_token_new.html")]
pub struct NewTokenPage {
    /// What is around it.
    pub frame: Frame,
    /// What it is bound to, in words.
    pub bound_to: String,
    /// What is wrong with the form as a whole.
    pub error: String,
    /// The name.
    pub name: Field,
    /// The scopes that it may have.
    pub scopes: Vec<ScopeChoice>,
    /// What is wrong with the choice.
    pub scopes_error: String,
    /// When it ends.
    pub expiry: Field,
    /// What it will be able to do, where that was asked.
    pub preview: Option<Preview>,
    /// Where the form goes.
    pub action: String,
    /// The list.
    pub list: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}

/// The secret, this once.
#[derive(Clone, Debug, Template)]
#[template(path = "access_token_made.html")]
pub struct MadeTokenPage {
    /// What is around it.
    pub frame: Frame,
    /// Its name.
    pub name: String,
    /// What it is bound to, in words.
    pub bound_to: String,
    /// What became of the one that it replaces; empty where it replaces none.
    pub replaced: String,
    /// The secret.
    pub secret: String,
    /// When it ends by itself.
    pub expires: Option<Moment>,
    /// What it is able to do.
    pub able: Vec<String>,
    /// A command that clones with it; none where it may not, or is bound to more than one repository.
    pub clone: Option<String>,
    /// What to give git where it asks for a password.
    pub ask: &'static str,
    /// A command that asks the interface with it; none where there is nothing that its scopes would let it ask.
    pub curl: Option<String>,
    /// What happens to the secret in that command.
    pub curl_note: &'static str,
    /// The list.
    pub list: String,
}

/// What an action lets its doer do, in words; none for what nobody asks of a token.
#[must_use]
pub fn words(action: Action) -> Option<&'static str> {
    Some(match action {
        Action::RepositoryRead => "Browse files, commits, branches and tags",
        Action::RepositoryClone => "Clone and fetch",
        Action::RepositoryPush => "Push commits, branches and tags",
        Action::RefCreate | Action::RefDelete => "Create and delete branches and tags without pushing",
        Action::RepositoryUpdate => "Change a repository's settings",
        Action::RepositoryDelete => "Delete a repository",
        Action::RepositoryCreate => "Create repositories",
        Action::GrantList => "See who may do what",
        Action::GrantSet | Action::GrantRemove => "Grant permissions and take them back",
        Action::ProjectRead => "See projects",
        Action::ProjectCreate => "Create projects",
        Action::ProjectUpdate => "Change projects",
        Action::ProjectDelete => "Delete projects",
        Action::WorkspaceRead => "See the workspace",
        Action::MemberList => "See the members",
        Action::MemberSet | Action::MemberRemove => "Add and remove members",
        Action::AccessTokenCreate | Action::AccessTokenRevoke => "Create and revoke access tokens",
        Action::AuditRead => "Read the audit trail",
        _ => return None,
    })
}
