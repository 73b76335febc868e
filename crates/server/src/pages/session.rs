//! Signing in and out.

use axum::http::{StatusCode, header};
use model::{Error, Result, SecondStepKind, Secret};
use pages::form::{Field, Kind};
use pages::frame::Way;
use pages::second_step::{PasskeyPage, Prompt};
use pages::session::{SecondStepPage, SignInPage};
use service::{Browser, NewSession, SecondStepWanted, SignIn};
use wire::Parameters;

use super::error::sentence;
use super::passkey::{self, prompt};
use super::{Around, now, page, see_other};
use crate::http::{Cx, Response, session};

/// For how long a browser keeps the cookie after its secret was changed, in seconds; the session may end before.
pub(super) const WEEK: i64 = 7 * 86_400;

pub(super) fn next(parameters: &Parameters) -> Result<String> {
    Ok(pages::address::safe_next(parameters.get("next")?.unwrap_or_default()).to_owned())
}

pub(super) fn text<'a>(form: &'a Parameters, name: &str) -> Result<&'a str> {
    Ok(form.get(name)?.unwrap_or_default())
}

pub(super) fn secret(form: &Parameters, name: &str) -> Result<Secret> {
    text(form, name).map(|text| Secret::new(text.to_owned()))
}

pub(super) fn browser(cx: &Cx) -> Browser {
    let sent = cx.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    Browser { user_agent: sent.unwrap_or_default().to_owned() }
}

/// A cookie that would travel in the clear is given to this machine alone.
pub(super) fn protected(cx: &Cx) -> Result<()> {
    if cx.secure || cx.address.is_loopback() {
        return Ok(());
    }
    Err(Error::forbidden(
        "signing in needs HTTPS: ask the administrator for the address that begins with https",
    ))
}

fn sign_in_page(cx: &Cx, name: &str, error: &str, next: String) -> SignInPage {
    SignInPage {
        frame: Around::of(cx).frame().titled("Sign in"),
        error: error.to_owned(),
        fields: vec![
            Field::line("name", "Username or e-mail address").value(name).autocomplete("username"),
            Field::password("password", "Password", "current-password"),
        ],
        passkeys: passkey::possible(cx),
        next,
    }
}

/// `GET /sign-in`
///
/// # Errors
/// When the address cannot be read.
pub async fn get(cx: Cx) -> Result<Response> {
    let next = next(&cx.query)?;
    page(StatusCode::OK, &sign_in_page(&cx, "", "", next))
}

/// `POST /sign-in`: the first step.
///
/// # Errors
/// When the connection is not protected, or the house is closed. A wrong password is told in the form.
pub async fn create(cx: Cx, form: Parameters) -> Result<Response> {
    protected(&cx)?;
    let (name, next) = (text(&form, "name")?.trim(), next(&form)?);
    let password = secret(&form, "password")?;
    match cx.service()?.sign_in(&cx.caller, &browser(&cx), name, &password).await {
        Ok(SignIn::Done(begun)) => begun_at(&cx, &begun, &next),
        Ok(SignIn::SecondStep(wanted)) => ask_second_step(&cx, &wanted, next).await,
        Err(Error::Unauthenticated) => {
            let wrong = "The name or the password is wrong.";
            page(StatusCode::UNAUTHORIZED, &sign_in_page(&cx, name, wrong, next))
        }
        Err(error @ Error::TooManyRequests { .. }) => {
            page(StatusCode::TOO_MANY_REQUESTS, &sign_in_page(&cx, name, &sentence(&error.to_string()), next))
        }
        Err(error) => Err(error),
    }
}

pub(super) fn code_field(error: &str) -> Field {
    let hint = "Six digits from your authenticator, or a recovery code.";
    Field::line("code", "Code").hint(hint).kind(Kind::Code).error(error)
}

/// Where a passkey's answer goes, to sign in.
const ANSWER: &str = "/sign-in/passkey/answer";

/// Asks for the second step of who has done the first.
pub(super) async fn ask_second_step(cx: &Cx, wanted: &SecondStepWanted, next: String) -> Result<Response> {
    let challenge = wanted.challenge.secret();
    let prompt = match wanted.kinds.contains(&SecondStepKind::Passkey) && passkey::possible(cx) {
        true => Some(second_step_prompt(cx, challenge, &next).await?),
        false => None,
    };
    page(StatusCode::OK, &second_step_page(cx, challenge, prompt, "", next))
}

/// One of the passkeys of who has done the first step.
async fn second_step_prompt(cx: &Cx, challenge: &Secret, next: &str) -> Result<Prompt> {
    let asked = cx.service()?.begin_passkey_sign_in(&cx.caller, Some(challenge)).await?;
    Ok(Prompt { at_once: false, next: next.to_owned(), ..prompt(&asked, ANSWER) })
}

fn second_step_page(
    cx: &Cx,
    challenge: &Secret,
    prompt: Option<Prompt>,
    error: &str,
    next: String,
) -> SecondStepPage {
    SecondStepPage {
        frame: Around::of(cx).frame().titled("Second step"),
        field: code_field(error),
        prompt,
        challenge: challenge.expose().to_owned(),
        next,
    }
}

/// `POST /sign-in/second-step`
///
/// # Errors
/// When the house is closed. A wrong code is told in the form.
pub async fn second_step(cx: Cx, form: Parameters) -> Result<Response> {
    protected(&cx)?;
    let (challenge, code, next) = (secret(&form, "challenge")?, secret(&form, "code")?, next(&form)?);
    match cx.service()?.sign_in_with_code(&cx.caller, &browser(&cx), &challenge, &code).await {
        Ok(begun) => begun_at(&cx, &begun, &next),
        // Five wrong codes, or five minutes: the password counts no more.
        Err(Error::Gone(_)) => {
            let told = "The second step took too long, or failed too often.";
            page(StatusCode::UNAUTHORIZED, &sign_in_page(&cx, "", told, next))
        }
        Err(error @ (Error::Unauthenticated | Error::Invalid { .. } | Error::TooManyRequests { .. })) => {
            let status = match error {
                Error::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
                _ => StatusCode::UNAUTHORIZED,
            };
            let told = beside(&error, "code");
            // The passkey is still another way, where there is one.
            let prompt = match passkey::possible(&cx) {
                true => second_step_prompt(&cx, &challenge, &next).await.ok(),
                false => None,
            };
            page(status, &second_step_page(&cx, &challenge, prompt, &told, next))
        }
        Err(error) => Err(error),
    }
}

/// What an error says of one field; else all that it says.
pub(super) fn beside(error: &Error, field: &str) -> String {
    let of_field = match error {
        Error::Invalid { fields, .. } => fields.get(field).and_then(|texts| texts.first()).cloned(),
        Error::Unauthenticated => Some("the code is wrong, or it came too late".to_owned()),
        _ => None,
    };
    of_field.unwrap_or_else(|| error.to_string())
}

/// `POST /sign-in/passkey`: asks for any passkey of this site's that the device knows.
///
/// # Errors
/// When the connection is not protected, or this site's address has no name.
pub async fn ask_for_passkey(cx: Cx, form: Parameters) -> Result<Response> {
    protected(&cx)?;
    let next = next(&form)?;
    let asked = cx.service()?.begin_passkey_sign_in(&cx.caller, None).await?;
    let shown = PasskeyPage {
        frame: Around::of(&cx).frame().titled("Sign in with a passkey"),
        lead: "Your browser asks which passkey to use, and to unlock it.",
        instead: Way::new("Sign in with a password", pages::address::with_query("/sign-in", "next", &next)),
        prompt: Prompt { next, ..prompt(&asked, ANSWER) },
    };
    page(StatusCode::OK, &shown)
}

/// `POST /sign-in/passkey/answer`: signs in by a passkey, alone or after a password.
///
/// # Errors
/// When the connection is not protected. A passkey that proves nothing is told in the form.
pub async fn take_passkey(cx: Cx, form: Parameters) -> Result<Response> {
    protected(&cx)?;
    let (challenge, next) = (secret(&form, "challenge")?, next(&form)?);
    let begun = match passkey::response(&form) {
        Ok(response) => {
            cx.service()?.finish_passkey_sign_in(&cx.caller, &browser(&cx), &challenge, &response).await
        }
        Err(error) => Err(error),
    };
    match begun {
        Ok(begun) => begun_at(&cx, &begun, &next),
        Err(
            error @ (Error::Invalid { .. }
            | Error::Gone(_)
            | Error::Forbidden { .. }
            | Error::Unauthenticated),
        ) => {
            let told = sentence(&error.to_string());
            page(StatusCode::UNAUTHORIZED, &sign_in_page(&cx, "", &told, next))
        }
        Err(error) => Err(error),
    }
}

pub(super) fn begun_at(cx: &Cx, begun: &NewSession, next: &str) -> Result<Response> {
    let seconds = begun.session.expires_on.seconds() - now(cx).seconds();
    let mut response = see_other(next)?;
    let cookie = session::cookie(Some(begun.secret.secret()), cx.secure, seconds)?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// `POST /sign-out`
///
/// # Errors
/// When there is no session.
pub async fn end(cx: Cx, _: Parameters) -> Result<Response> {
    cx.service()?.sign_out(&cx.caller).await?;
    let mut response = see_other("/")?;
    response.headers_mut().insert(header::SET_COOKIE, session::cookie(None, cx.secure, 0)?);
    Ok(response)
}

/// Changes the cookie's secret when it is old; a page that is read is what does so.
pub(super) async fn renew(cx: &Kept, response: &mut Response) -> Result<()> {
    let Kept { app, caller, secret: Some(secret), secure } = cx else { return Ok(()) };
    if let Some(renewed) = app.service()?.renew_session(caller, secret).await? {
        let cookie = session::cookie(Some(renewed.secret()), *secure, WEEK)?;
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(())
}

/// What is kept of a request while its handler owns it, to renew its session after.
pub(super) struct Kept {
    app: crate::app::App,
    caller: service::Caller,
    secret: Option<Secret>,
    secure: bool,
}

impl Kept {
    /// Of a page that is read, in a session.
    pub(super) fn of(cx: &Cx) -> Self {
        let secret = cx.session_secret.clone();
        Self { app: cx.app.clone(), caller: cx.caller.clone(), secret, secure: cx.secure }
    }
}
