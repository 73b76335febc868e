//! What pages ask of a browser's passkeys, and what comes back in a form.

use model::{Error, Result};
use pages::second_step::Prompt;
use serde_json::Value;
use service::PasskeyRequest;
use wire::Parameters;

use super::session::text;
use crate::http::Cx;

/// Whether passkeys can be bound to this site: to a host's name, not to a number.
pub(super) fn possible(cx: &Cx) -> bool {
    let host = cx.app.settings.base_url.split_once("://").map_or("", |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    !host.starts_with('[') && host.parse::<std::net::Ipv4Addr>().is_err() && !host.is_empty()
}

/// A question for a passkey that is there; its answer goes to `action`.
pub(super) fn prompt(asked: &PasskeyRequest, action: &'static str) -> Prompt {
    Prompt {
        verb: "get",
        at_once: true,
        button: "Use passkey",
        action,
        challenge: asked.challenge.secret().expose().to_owned(),
        options: asked.options.to_string(),
        next: String::new(),
        kept: String::new(),
        form_token: String::new(),
    }
}

/// What a browser answered.
///
/// # Errors
/// When it answered nothing: scripts are switched off, or the form was sent by hand.
pub(super) fn response(form: &Parameters) -> Result<Value> {
    serde_json::from_str(text(form, "response")?)
        .map_err(|_| Error::invalid("no passkey answered: allow scripts for this site, or use another way"))
}
