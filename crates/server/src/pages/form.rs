//! Forms that pages send: taken from pages of this site alone, and only with the token that was made for this form and
//! this session. Attack: another site's page sends a form in its visitor's name.

use axum::http::{HeaderMap, StatusCode, header};
use model::{Error, Result};
use sha2::{Digest, Sha256};
use wire::Parameters;

use super::{Around, error, step_up};
use crate::http::{Cx, Response};
use crate::route::Visibility;

/// Reads a form and runs its handler; what fails becomes a page. Where proof is asked for of who sends it, the page that
/// asks keeps what was sent.
///
/// # Errors
/// None: the signature is that of every operation.
pub async fn sent<F>(cx: Cx, handler: fn(Cx, Parameters) -> F) -> Result<Response>
where
    F: Future<Output = Result<Response>>,
{
    // Without a session there is nothing that a form could be bound to.
    let bound = cx.route.visibility != Visibility::Public;
    taken(cx, bound, handler).await
}

/// The same, of a form that changes nothing and outlives its session's secret: that a page of this site sent it is all
/// that is asked.
///
/// # Errors
/// None: the signature is that of every operation.
pub async fn sent_by_this_site<F>(cx: Cx, handler: fn(Cx, Parameters) -> F) -> Result<Response>
where
    F: Future<Output = Result<Response>>,
{
    taken(cx, false, handler).await
}

async fn taken<F>(mut cx: Cx, bound: bool, handler: fn(Cx, Parameters) -> F) -> Result<Response>
where
    F: Future<Output = Result<Response>>,
{
    let around = Around::of(&cx);
    let outcome = match read(&mut cx, bound).await {
        Ok(form) => {
            let (again, kept) = (cx.without_body(), step_up::keep(&form));
            match (handler(cx, form).await, kept) {
                (Err(error), Some(kept)) if error::wants_step_up(&error) => {
                    let here = again.here.clone();
                    step_up::shown(&again, StatusCode::OK, "", here, kept).await
                }
                (outcome, _) => outcome,
            }
        }
        Err(error) => Err(error),
    };
    Ok(outcome.unwrap_or_else(|error| error::answer(&around, &error)))
}

async fn read(cx: &mut Cx, bound: bool) -> Result<Parameters> {
    same_origin(&cx.headers, &cx.app.settings.base_url)?;
    let form = cx.form().await?;
    let path = cx.here.split('?').next().unwrap_or_default();
    let fits = form.get("form_token")?.is_some_and(|sent| !sent.is_empty() && sent == token(cx, path));
    if !fits && bound {
        return Err(Error::forbidden(
            "this form was open for too long: go back, load the page again, and send it",
        ));
    }
    Ok(form)
}

/// The token of the form that is sent to `action` in this session; empty without one.
pub(super) fn token(cx: &Cx, action: &str) -> String {
    let Some(secret) = &cx.session_secret else { return String::new() };
    digest(&["bastide form", action, secret.expose()])
}

/// What stands for some texts, in hexadecimal.
pub(super) fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn same_origin(headers: &HeaderMap, site: &str) -> Result<()> {
    let sent = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let ours = match sent("sec-fetch-site") {
        Some(from) => matches!(from, "same-origin" | "none"),
        // Browsers say nothing of it over plain HTTP, but always where a form comes from.
        None => sent("origin").is_some_and(|origin| {
            let host = sent(header::HOST.as_str());
            origin == site || origin.split_once("://").is_some_and(|(_, from)| Some(from) == host)
        }),
    };
    if ours { Ok(()) } else { Err(Error::forbidden("this form was not sent by a page of this site")) }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn is_ours(sent: &[(&'static str, &'static str)]) -> bool {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        same_origin(&sent.iter().map(pair).collect(), "https://git.example.com").is_ok()
    }

    #[test]
    fn only_this_sites_pages_send_forms() {
        assert!(is_ours(&[("sec-fetch-site", "same-origin")]));
        assert!(is_ours(&[("origin", "http://localhost:1"), ("host", "localhost:1")]));
        assert!(is_ours(&[("origin", "https://git.example.com")]));
        for bad in [
            &[][..],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://git.example.com")],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "null"), ("host", "localhost:1")],
            &[("origin", "https://evil.example"), ("host", "git.example.com")],
            &[("host", "git.example.com")],
        ] {
            assert!(!is_ours(bad), "{bad:?}");
        }
    }
}
