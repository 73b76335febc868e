//! What a page's frame needs of its request: who is signed in, light or dark, the address to come back to.

use axum::http::{HeaderMap, Method as Verb, header};
use model::RequestId;
use pages::frame::{Account, Frame, Notice, Theme, Weight};

use super::{appearance, form};
use crate::http::Cx;

/// What somebody is told on every page whose account nobody has approved. Whatever else they asked for looks as if it were not
/// there.
const WAITS: &str = "Your account waits for an administrator of this instance to approve it. Until then it reaches nothing but its \
    own pages.";

/// What a page's frame needs of its request.
#[derive(Clone, Debug)]
pub struct Around {
    theme: Theme,
    here: String,
    site: String,
    account: Option<Account>,
    sign_out: String,
    pub(super) request_id: RequestId,
    /// Whether it may be asked for again by following a link.
    pub(super) is_read: bool,
    /// Whether the account waits for somebody to approve it.
    waits: bool,
    /// Whether a credential was sent along that is no session.
    pub(super) with_credential: bool,
}

impl Around {
    /// Of a request that has reached its handler.
    #[must_use]
    pub fn of(cx: &Cx) -> Self {
        let account = cx.caller.as_user().map(|user| Account {
            username: user.username.to_string(),
            display_name: user.display_name.to_string(),
        });
        Self {
            theme: appearance::theme(&cx.headers),
            here: cx.here.clone(),
            site: cx.app.settings.base_url.clone(),
            account,
            sign_out: form::token(cx, "/sign-out"),
            request_id: cx.request_id,
            waits: cx.caller.as_user().is_some_and(|user| !user.approved),
            is_read: cx.route.method == crate::route::Method::Get,
            with_credential: cx.caller.credential_kind().is_some(),
        }
    }

    /// Of a request that has not: nobody is known to be signed in.
    #[must_use]
    pub fn before(verb: &Verb, site: &str, here: String, headers: &HeaderMap, request_id: RequestId) -> Self {
        Self {
            theme: appearance::theme(headers),
            here,
            site: site.to_owned(),
            account: None,
            waits: false,
            sign_out: String::new(),
            request_id,
            is_read: verb == Verb::GET || verb == Verb::HEAD,
            with_credential: headers.contains_key(header::AUTHORIZATION),
        }
    }

    /// The frame without a title.
    #[must_use]
    pub fn frame(&self) -> Frame {
        Frame {
            account: self.account.clone(),
            theme: self.theme,
            here: self.here.clone(),
            site: self.site.clone(),
            form_token: self.sign_out.clone(),
            notice: self.waits.then(|| Notice { weight: Weight::Note, text: WAITS.to_owned() }),
            ..Frame::default()
        }
    }

    /// Whether nobody is known to be signed in.
    pub(super) fn is_anonymous(&self) -> bool {
        self.account.is_none()
    }
}
