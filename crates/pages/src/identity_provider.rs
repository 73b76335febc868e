//! The identity provider of a workspace: what it is, what signing in by it does, and setting and removing it.

use askama::Template;

use crate::form::Field;
use crate::frame::Frame;
use crate::measure::Moment;
use crate::principal::Known;

/// One of the provider's groups, and the workspace's group whose members it decides.
#[derive(Clone, Debug, Default)]
pub struct MappingRow {
    /// As the groups claim names it.
    pub claim: String,
    /// The slug of the workspace's group.
    pub group: String,
    /// What is wrong with the row.
    pub error: String,
}

/// A provider that is set.
#[derive(Clone, Debug)]
pub struct ProviderShown {
    /// The issuer.
    pub issuer: String,
    /// How the provider knows this installation.
    pub client_id: String,
    /// Whether there is a client secret.
    pub has_secret: bool,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The claim that lists groups; empty where none does.
    pub groups_claim: String,
    /// Which of the provider's groups is which of the workspace's.
    pub mapping: Vec<MappingRow>,
    /// Whether it makes accounts.
    pub makes_accounts: bool,
    /// Who changed it last.
    pub changed_by: Known,
    /// When.
    pub changed_on: Moment,
    /// How many people it identifies, and how many are signed in by it, in words.
    pub uses: String,
}

/// The form that sets a provider.
#[derive(Clone, Debug)]
pub struct ProviderForm {
    /// The provider itself.
    pub provider: Vec<Field>,
    /// The claim that lists groups.
    pub groups_claim: Field,
    /// Which of the provider's groups is which of the workspace's.
    pub mapping: Vec<MappingRow>,
    /// What is wrong with the mapping as a whole.
    pub mapping_error: String,
    /// The workspace's groups: slug and name.
    pub groups: Vec<(String, String)>,
    /// Whether it makes accounts.
    pub makes_accounts: bool,
    /// What stands for the provider as it was when the form was opened.
    pub state: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}

/// The page.
#[derive(Clone, Debug, Template)]
#[template(path = "identity_provider.html")]
pub struct IdentityProviderPage {
    /// What is around it.
    pub frame: Frame,
    /// The workspace's slug.
    pub workspace: String,
    /// What is wrong with what was sent, apart from the fields.
    pub error: String,
    /// What is set.
    pub set: Option<ProviderShown>,
    /// The form; none for who has to prove first who they are.
    pub form: Option<ProviderForm>,
    /// Where they prove it.
    pub prove: String,
    /// Where the provider has to send people back to.
    pub redirect_uri: String,
    /// Where people begin to sign in.
    pub sign_in: String,
    /// Whether a guardrail lets nobody in by other means.
    pub only_way: bool,
    /// The page of that guardrail.
    pub guardrail: String,
    /// The page of the members.
    pub members: String,
    /// The page of the groups.
    pub groups: String,
    /// The page, and where the form goes.
    pub action: String,
}

/// Whether the provider shall really be removed.
#[derive(Clone, Debug, Template)]
#[template(path = "identity_provider_remove.html")]
pub struct RemoveIdentityProviderPage {
    /// What is around it.
    pub frame: Frame,
    /// The workspace's slug.
    pub workspace: String,
    /// The issuer.
    pub issuer: String,
    /// How many people it identifies, in words.
    pub people: String,
    /// How many sessions end, in words.
    pub sessions: String,
    /// Whether its groups follow it.
    pub groups: bool,
    /// What is wrong.
    pub error: String,
    /// Whether a guardrail lets nobody in by other means, so that it stays.
    pub only_way: bool,
    /// The page of that guardrail.
    pub guardrail: String,
    /// The settings.
    pub settings: String,
    /// Where the form goes.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}
