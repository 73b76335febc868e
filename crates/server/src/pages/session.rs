//! Signing in and out, and proving once more who one is.

use axum::http::{StatusCode, header};
use model::{Error, IssuedSecret, Result, Secret};
use pages::form::{Field, Kind};
use pages::session::{SecondStepPage, SignInPage, StepUpPage};
use service::{Browser, NewSession, SignIn};
use wire::Parameters;

use super::error::sentence;
use super::{Around, form, now, page, see_other};
use crate::http::{Cx, Response, session};

/// For how long a browser keeps the cookie after its secret was changed, in seconds; the session may end before.
const WEEK: i64 = 7 * 86_400;

fn next(parameters: &Parameters) -> Result<String> {
    Ok(pages::address::safe_next(parameters.get("next")?.unwrap_or_default()).to_owned())
}

fn text<'a>(form: &'a Parameters, name: &str) -> Result<&'a str> {
    Ok(form.get(name)?.unwrap_or_default())
}

fn secret(form: &Parameters, name: &str) -> Result<Secret> {
    text(form, name).map(|text| Secret::new(text.to_owned()))
}

fn browser(cx: &Cx) -> Browser {
    let sent = cx.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    Browser { user_agent: sent.unwrap_or_default().to_owned() }
}

/// A cookie that would travel in the clear is given to this machine alone.
fn protected(cx: &Cx) -> Result<()> {
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
        Ok(SignIn::SecondStep { challenge, .. }) => {
            page(StatusCode::OK, &second_step_page(&cx, challenge.secret(), "", next))
        }
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

fn code_field(error: &str) -> Field {
    let hint = "Six digits from your authenticator, or a recovery code.";
    Field::line("code", "Code").hint(hint).kind(Kind::Code).error(error)
}

fn second_step_page(cx: &Cx, challenge: &Secret, error: &str, next: String) -> SecondStepPage {
    SecondStepPage {
        frame: Around::of(cx).frame().titled("Second step"),
        field: code_field(error),
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
        Err(error @ (Error::Unauthenticated | Error::Invalid { .. })) => {
            let told = match error {
                Error::Unauthenticated => "the code is wrong, or it came too late".to_owned(),
                other => other.to_string(),
            };
            page(StatusCode::UNAUTHORIZED, &second_step_page(&cx, &challenge, &told, next))
        }
        Err(error) => Err(error),
    }
}

fn begun_at(cx: &Cx, begun: &NewSession, next: &str) -> Result<Response> {
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

fn step_up_page(cx: &Cx, error: &str, next: String) -> Result<StepUpPage> {
    let user = cx.caller.as_user().ok_or(Error::Unauthenticated)?;
    let field = match user.second_step {
        true => code_field(error),
        false => Field::password("password", "Password", "current-password").error(error),
    };
    Ok(StepUpPage {
        frame: Around::of(cx).frame().titled("Confirm that it is you"),
        field,
        next,
        form_token: form::token(cx, "/step-up"),
    })
}

/// `GET /step-up`
///
/// # Errors
/// When nobody is signed in.
pub async fn step_up(cx: Cx) -> Result<Response> {
    let next = next(&cx.query)?;
    page(StatusCode::OK, &step_up_page(&cx, "", next)?)
}

/// `POST /step-up`
///
/// # Errors
/// When nobody is signed in. A wrong answer is told in the form.
pub async fn raise(cx: Cx, form: Parameters) -> Result<Response> {
    let user = cx.caller.as_user().ok_or(Error::Unauthenticated)?;
    let (service, next) = (cx.service()?, next(&form)?);
    let raised = match user.second_step {
        true => service.step_up_with_code(&cx.caller, &secret(&form, "code")?).await,
        false => service.step_up(&cx.caller, &secret(&form, "password")?).await,
    };
    match raised {
        Ok(renewed) => renewed_at(&cx, &renewed, &next),
        Err(Error::Unauthenticated | Error::Invalid { .. }) => {
            page(StatusCode::UNAUTHORIZED, &step_up_page(&cx, "that is not right: try again", next)?)
        }
        Err(error) => Err(error),
    }
}

fn renewed_at(cx: &Cx, renewed: &IssuedSecret, next: &str) -> Result<Response> {
    let mut response = see_other(next)?;
    let cookie = session::cookie(Some(renewed.secret()), cx.secure, WEEK)?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
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
