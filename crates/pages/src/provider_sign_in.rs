//! Signing in through a workspace's identity provider.

use askama::Template;

use crate::form::Field;
use crate::frame::Frame;
use crate::session::SignInPage;

impl SignInPage {
    /// The way to a workspace's identity provider, which goes on to the same place.
    pub(crate) fn provider_way(&self) -> String {
        crate::address::with_query("/-/sign-in", "next", &self.next)
    }
}

/// The way in of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderWay {
    /// The workspace.
    pub workspace: String,
    /// The provider's host.
    pub host: String,
    /// Where the way begins.
    pub href: String,
}

/// Which workspace, then the way to its provider.
#[derive(Clone, Debug, Template)]
#[template(path = "provider_sign_in.html")]
pub struct ProviderSignInPage {
    /// What is around it.
    pub frame: Frame,
    /// The workspace's name.
    pub field: Field,
    /// Where to go after.
    pub next: String,
    /// The way, where the workspace is named.
    pub way: Option<ProviderWay>,
}

/// Whether an identity is the person's who is signed in.
#[derive(Clone, Debug, Template)]
#[template(path = "provider_connect.html")]
pub struct ProviderConnectPage {
    /// What is around it.
    pub frame: Frame,
    /// The issuer.
    pub issuer: String,
    /// What the provider calls its subject.
    pub subject: String,
    /// An address or a name that people know.
    pub known_as: String,
    /// Stands for the identity.
    pub challenge: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}
