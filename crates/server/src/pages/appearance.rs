//! Light, dark, or as the system is set: a cookie, set by a form, so that it works without scripts.

use axum::http::{HeaderMap, HeaderValue, header};
use model::{Error, Result};
use pages::frame::Theme;
use wire::Parameters;

use super::see_other;
use crate::http::{Cx, Response};

/// The cookie's name.
const COOKIE: &str = "theme";

/// What the cookie says.
pub(super) fn theme(headers: &HeaderMap) -> Theme {
    Theme::of(cookie(headers, COOKIE).unwrap_or_default())
}

/// A cookie's value.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let sent = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = sent.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// `POST /-/theme`: changes nothing but how pages look in this browser.
///
/// # Errors
/// When the form cannot be read.
pub async fn set(_: Cx, form: Parameters) -> Result<Response> {
    let theme = Theme::of(form.get("theme")?.unwrap_or_default());
    let next = pages::address::safe_next(form.get("next")?.unwrap_or_default()).to_owned();
    let mut response = see_other(&next)?;
    let cookie = format!("{COOKIE}={}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly", theme.word());
    let cookie = HeaderValue::from_str(&cookie).map_err(Error::internal)?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}
