//! Proving once more who one is. What was being sent when proof was asked for is kept in the page, not on the server,
//! and sent again after: nothing that was typed is lost, and nothing of it stands in an address.

use axum::http::{StatusCode, header};
use model::{Error, IssuedSecret, Result, SecondStepKind};
use pages::form::Field;
use pages::frame::Way;
use pages::second_step::Prompt;
use pages::session::{DonePage, OnwardPage, ProviderStepUpPage, StepUpPage};
use wire::Parameters;

use super::passkey::{self, prompt};
use super::session::{WEEK, beside, code_field, next, secret, text};
use super::{Around, form, now, page, see_other};
use crate::http::{Cx, Response, session};

/// The most that is kept of a form, encoded, in bytes.
const MOST_KEPT: usize = 64_000;
/// Fields that hold a secret are not kept: whoever sent them types them again.
const SECRET_FIELDS: &[&str] = &[
    "password",
    "current_password",
    "new_password",
    "code",
    "challenge",
    "response",
    "link",
    "secret",
    "client_secret",
];

/// Where this form is sent to.
const ACTION: &str = "/step-up";
/// Where what was typed is sent to once the provider has confirmed who it was.
const CONFIRMED: &str = "/step-up/confirmed";
const PASSKEY: &str = "/step-up/passkey";

/// What is kept of a form, encoded; none where it holds a secret, or is too much.
pub(super) fn keep(sent: &Parameters) -> Option<String> {
    if sent.iter().any(|(name, value)| SECRET_FIELDS.contains(&name) && !value.is_empty()) {
        return None;
    }
    let mut kept = Parameters::default();
    for (name, value) in sent.iter().filter(|(name, _)| *name != "form_token") {
        kept = kept.and(name, value);
    }
    // An empty form is a form: a button alone.
    let kept = kept.and("kept", "");
    Some(kept.encode()).filter(|encoded| encoded.len() <= MOST_KEPT)
}

/// The page that asks for proof, in place of what was being done at `next`.
pub(super) async fn shown(
    cx: &Cx,
    status: StatusCode,
    error: &str,
    next: String,
    kept: String,
) -> Result<Response> {
    let user = cx.caller.as_user().ok_or(Error::Unauthenticated)?;
    // Whom a provider let in proves it to the provider, unless they have a second step here.
    if let Some(provider) = cx.caller.session().and_then(|session| session.provider.as_deref())
        && !user.second_step
    {
        let begin = pages::address::of(&["-", "sign-in", provider]);
        if kept.is_empty() {
            return see_other(&pages::address::with_query(&begin, "next", &next));
        }
        let shown = ProviderStepUpPage {
            frame: Around::of(cx).frame().titled("Confirm that it is you"),
            begin: pages::address::with_query(&begin, "next", CONFIRMED),
            error: error.to_owned(),
            next,
            kept,
        };
        return page(status, &shown);
    }
    let field = match user.second_step {
        true => code_field(error),
        false => Field::password("password", "Password", "current-password").error(error),
    };
    let prompt = match user.second_step && passkey::possible(cx) {
        true => own_prompt(cx, &next, &kept).await?,
        false => None,
    };
    let shown = StepUpPage {
        frame: Around::of(cx).frame().titled("Confirm that it is you"),
        field,
        prompt,
        next,
        kept,
        form_token: form::token(cx, ACTION),
    };
    page(status, &shown)
}

async fn own_prompt(cx: &Cx, next: &str, kept: &str) -> Result<Option<Prompt>> {
    let service = cx.service()?;
    let steps = service.second_steps(&cx.caller).await?.steps;
    if !steps.iter().any(|step| step.kind == SecondStepKind::Passkey) {
        return Ok(None);
    }
    let asked = service.begin_passkey_step_up(&cx.caller).await?;
    Ok(Some(Prompt {
        at_once: false,
        next: next.to_owned(),
        kept: kept.to_owned(),
        form_token: form::token(cx, PASSKEY),
        ..prompt(&asked, PASSKEY)
    }))
}

/// `GET /step-up`
///
/// # Errors
/// When nobody is signed in.
pub async fn get(cx: Cx) -> Result<Response> {
    let next = next(&cx.query)?;
    shown(&cx, StatusCode::OK, "", next, String::new()).await
}

/// `GET /step-up/confirmed`: where a provider leads to that was asked in a window of its own.
///
/// # Errors
/// When nobody is signed in.
pub async fn confirmed(cx: Cx) -> Result<Response> {
    if !cx.caller.stepped_up(now(&cx)) {
        return see_other(ACTION);
    }
    let shown = DonePage {
        frame: Around::of(&cx).frame().titled("It is you"),
        text: "Close this window, and send what you typed in the other one.".to_owned(),
        onward: Way::new("Go to your account", "/account"),
    };
    page(StatusCode::OK, &shown)
}

/// `POST /step-up/confirmed`: goes on with what was typed. The session has another secret since, so the form carries
/// nothing that was made with it; what it leads to is a form that does.
///
/// # Errors
/// When nobody is signed in, or what was kept cannot be read.
pub async fn go_on(cx: Cx, form: Parameters) -> Result<Response> {
    cx.caller.as_user().ok_or(Error::Unauthenticated)?;
    let (next, kept) = (next(&form)?, text(&form, "kept")?);
    if !cx.caller.stepped_up(now(&cx)) {
        let error = "your provider has not confirmed it yet";
        return shown(&cx, StatusCode::CONFLICT, error, next, kept.to_owned()).await;
    }
    resent(&cx, &next, kept)
}

/// `POST /step-up`
///
/// # Errors
/// When nobody is signed in. A wrong answer is told in the form.
pub async fn raise(cx: Cx, form: Parameters) -> Result<Response> {
    let user = cx.caller.as_user().ok_or(Error::Unauthenticated)?;
    let service = cx.service()?;
    let raised = match user.second_step {
        true => service.step_up_with_code(&cx.caller, &secret(&form, "code")?).await,
        false => service.step_up(&cx.caller, &secret(&form, "password")?).await,
    };
    let field = if user.second_step { "code" } else { "current_password" };
    answered(cx, &form, raised, field).await
}

/// `POST /step-up/passkey`
///
/// # Errors
/// When nobody is signed in. A passkey that proves nothing is told in the form.
pub async fn raise_with_passkey(cx: Cx, form: Parameters) -> Result<Response> {
    let challenge = secret(&form, "challenge")?;
    let raised = match passkey::response(&form) {
        Ok(response) => cx.service()?.finish_passkey_step_up(&cx.caller, &challenge, &response).await,
        Err(error) => Err(error),
    };
    answered(cx, &form, raised, "response").await
}

async fn answered(cx: Cx, form: &Parameters, raised: Result<IssuedSecret>, field: &str) -> Result<Response> {
    let (next, kept) = (next(form)?, text(form, "kept")?);
    match raised {
        Ok(renewed) => onward(cx, &renewed, &next, kept),
        Err(error @ (Error::Unauthenticated | Error::Invalid { .. } | Error::Gone(_))) => {
            shown(&cx, StatusCode::UNAUTHORIZED, &beside(&error, field), next, kept.to_owned()).await
        }
        Err(error @ Error::TooManyRequests { .. }) => {
            shown(&cx, StatusCode::TOO_MANY_REQUESTS, &error.to_string(), next, kept.to_owned()).await
        }
        Err(error) => Err(error),
    }
}

/// Goes on to `next`: by a link, or with the form that was being sent there.
fn onward(mut cx: Cx, renewed: &IssuedSecret, next: &str, kept: &str) -> Result<Response> {
    let cookie = session::cookie(Some(renewed.secret()), cx.secure, WEEK)?;
    cx.session_secret = Some(renewed.secret().clone());
    let mut response = resent(&cx, next, kept)?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Leads to `next`: with what was being sent there, in a form of this session, where there is any.
fn resent(cx: &Cx, next: &str, kept: &str) -> Result<Response> {
    if kept.is_empty() {
        return see_other(next);
    }
    let fields = Parameters::form(kept.as_bytes())?;
    let fields = fields.iter().filter(|(name, _)| !matches!(*name, "kept" | "form_token"));
    let shown = OnwardPage {
        frame: Around::of(cx).frame().titled("It is you"),
        action: next.to_owned(),
        fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        form_token: form::token(cx, next.split('?').next().unwrap_or_default()),
    };
    page(StatusCode::OK, &shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(sent: &str) -> Option<String> {
        keep(&Parameters::form(sent.as_bytes()).unwrap())
    }

    /// Attack: a page that holds what was typed shows a password, or grows without end.
    #[test]
    fn no_secret_is_kept_and_never_too_much() {
        assert_eq!(kept("form_token=x&name=a+b&scope=x&scope=y").unwrap(), "name=a+b&scope=x&scope=y&kept=");
        assert_eq!(kept("form_token=x").unwrap(), "kept=");
        assert_eq!(kept("name=a&password=p"), None);
        assert_eq!(kept("challenge=c"), None);
        assert_eq!(kept("password=&name=a").unwrap(), "password=&name=a&kept=");
        let long = format!("name={}", "x".repeat(63_980));
        assert!(kept(&long).is_some());
        assert_eq!(kept(&format!("{long}{long}")), None);
    }
}
