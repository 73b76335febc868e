//! Errors as pages. Who is not signed in is sent to sign in where that is what is missing; what is hidden looks as what
//! is not there.

use axum::http::{HeaderValue, StatusCode, header};
use model::Error;
use pages::error::ErrorPage;
use service::STEP_UP_REQUIRED;

use super::{Around, id_text, page, see_other};
use crate::http::{Response, answer};

/// The answer for an error. Failures of ours are logged here, once.
pub(super) fn answer(around: &Around, error: &Error) -> Response {
    if let Error::Internal(cause) = error {
        tracing::error!(request_id = %around.request_id, "{cause}");
    }
    let signs_in =
        matches!(error, Error::Unauthenticated) && around.is_anonymous() && !around.with_credential;
    if signs_in && let Ok(response) = sign_in(around) {
        return response;
    }
    let steps_up = wants_step_up(error);
    let back = if around.is_read { around.frame().here } else { "/account".to_owned() };
    if steps_up && let Ok(response) = see_other(&pages::address::with_query("/step-up", "next", &back)) {
        return response;
    }
    let (status, _) = wire::from_error(error, around.request_id);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let shown = described(around, error);
    let mut response = page(status, &shown)
        .unwrap_or_else(|_| answer::text(status, format!("{error}\nrequest id: {}\n", around.request_id)));
    if let Error::TooManyRequests { retry_after } = error {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*retry_after));
    }
    response
}

/// Whether proving once more who one is would lift this refusal.
pub(super) fn wants_step_up(error: &Error) -> bool {
    matches!(error, Error::Forbidden { reasons, .. } if reasons.iter().any(|id| id == STEP_UP_REQUIRED))
}

fn sign_in(around: &Around) -> model::Result<Response> {
    // What was being sent is not sent again by coming back.
    match around.is_read {
        true => see_other(&around.frame().sign_in()),
        false => see_other("/sign-in"),
    }
}

fn described(around: &Around, error: &Error) -> ErrorPage {
    let heading = match error {
        Error::NotFound { .. } => "Not found",
        Error::Forbidden { .. } | Error::ScopeMissing { .. } => "Refused",
        Error::Unauthenticated => "Sign in first",
        Error::TooManyRequests { .. } => "Too many attempts",
        Error::Gone(_) => "Gone",
        Error::NotBuilt(_) => "Not built yet",
        Error::Unavailable => "Not available right now",
        Error::Internal(_) => "Something failed here",
        Error::Conflict(_) | Error::PreconditionFailed(_) => "Not done",
        _ => "This cannot be answered",
    };
    let (reasons, advice) = match error {
        Error::Forbidden { reasons, .. } if !reasons.is_empty() => (
            reasons.clone(),
            "Whoever administers it can grant what is missing, and look this refusal up by the request id.",
        ),
        Error::NotFound { .. } if around.is_anonymous() => {
            (Vec::new(), "If it is private, sign in with an account that may see it.")
        }
        Error::Internal(_) => {
            (Vec::new(), "Tell the administrator the request id: it stands in the server's log.")
        }
        _ => (Vec::new(), ""),
    };
    ErrorPage {
        frame: around.frame().titled(heading),
        heading: heading.to_owned(),
        text: sentence(&error.to_string()),
        reasons,
        advice: advice.to_owned(),
        offers_sign_in: around.is_anonymous()
            && matches!(error, Error::NotFound { .. } | Error::Unauthenticated),
        why: (matches!(error, Error::Forbidden { .. } | Error::ScopeMissing { .. })
            && !around.is_anonymous())
        .then(|| format!("/-/refusals/{}", id_text(around.request_id))),
        request_id: id_text(around.request_id),
    }
}

/// An error's text, which begins small and has no end, as a sentence.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.trim_end_matches('.').chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).chain(['.']).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_a_sentence() {
        assert_eq!(sentence("the repository does not exist"), "The repository does not exist.");
        assert_eq!(sentence(""), "");
    }
}
