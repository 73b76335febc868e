//! One's own second steps: added, confirmed, removed; recovery codes made anew.

use axum::http::{StatusCode, header};
use model::{DisplayName, Error, Result, SecondStep, SecondStepKind, Secret};
use pages::form::{Field, Kind};
use pages::frame::{Notice, Way, Weight};
use pages::measure::Moment;
use pages::second_step::{PasskeyPage, RecoveryCodesPage, SecondStepsPage, StepRow, TotpPage};
use service::{Enrolled, TotpEnrolment};
use wire::Parameters;

use super::account::{Section, frame};
use super::error::sentence;
use super::passkey::{self, prompt};
use super::session::{WEEK, secret, text};
use super::{form, now, page, see_other};
use crate::http::{Cx, Response, session};

const LIST: &str = "/account/second-steps";
const TOTP: &str = "/account/second-steps/totp";
const TOTP_CONFIRM: &str = "/account/second-steps/totp/confirm";
const PASSKEY: &str = "/account/second-steps/passkey";
const PASSKEY_CONFIRM: &str = "/account/second-steps/passkey/confirm";
const REMOVE: &str = "/account/second-steps/remove";
const CODES: &str = "/account/second-steps/recovery-codes";

/// What was typed, and what is wrong with it.
#[derive(Default)]
struct Typed {
    totp_name: String,
    totp_error: String,
    passkey_name: String,
    passkey_error: String,
    error: String,
}

/// `GET /account/second-steps`
///
/// # Errors
/// When nobody is signed in.
pub async fn list(cx: Cx) -> Result<Response> {
    shown(&cx, StatusCode::OK, Typed::default()).await
}

async fn shown(cx: &Cx, status: StatusCode, typed: Typed) -> Result<Response> {
    let steps = cx.service()?.second_steps(&cx.caller).await?;
    let now = now(cx);
    let last = steps.steps.len() == 1;
    let rows = steps.steps.iter().map(|step| row(step, last, now));
    let name = |name: &str, error: &str| {
        Field::line("name", "Name").hint("To tell it by: where it is kept.").value(name).error(error)
    };
    let mut around = frame(cx, "Second steps", Section::SecondSteps);
    around.notice = match cx.query.get("done")? {
        Some("added") => {
            Some("The second step is added: you will be asked for one of yours at every sign-in.")
        }
        Some("removed") => Some("The second step is removed."),
        _ => None,
    }
    .map(|text| Notice { weight: Weight::Done, text: text.to_owned() })
    .or(around.notice.take());
    let shown = SecondStepsPage {
        frame: around,
        steps: rows.collect(),
        recovery_codes: steps.recovery_codes,
        required: steps.required,
        error: typed.error,
        // Two forms with a field of the same name: each is told apart by its id.
        totp_name: name(&typed.totp_name, &typed.totp_error).id("totp-name"),
        passkey_name: passkey::possible(cx)
            .then(|| name(&typed.passkey_name, &typed.passkey_error).id("passkey-name")),
        totp_token: form::token(cx, TOTP),
        passkey_token: form::token(cx, PASSKEY),
        remove_token: form::token(cx, REMOVE),
        codes_token: form::token(cx, CODES),
    };
    page(status, &shown)
}

fn row(step: &SecondStep, last: bool, now: model::Timestamp) -> StepRow {
    let (kind, loss) = match (step.kind, last) {
        (SecondStepKind::Totp, false) => ("Authenticator app", "Its codes sign you in no more."),
        (SecondStepKind::Passkey, false) => ("Passkey", "It signs you in no more."),
        (SecondStepKind::Totp, true) => (
            "Authenticator app",
            "It is your last: its codes and your recovery codes sign you in no more, and your password alone will.",
        ),
        (SecondStepKind::Passkey, true) => (
            "Passkey",
            "It is your last: it and your recovery codes sign you in no more, and your password alone will.",
        ),
    };
    StepRow {
        id: step.id.to_string(),
        name: step.name.to_string(),
        kind,
        created: Moment::of(step.created_on, now),
        last_used: step.last_used_on.map(|time| Moment::of(time, now)),
        loss,
    }
}

/// What is wrong with one field, for beside it.
fn said(error: &Error) -> String {
    match error {
        Error::Invalid { fields, .. } => {
            fields.values().flatten().next().cloned().unwrap_or_else(|| error.to_string())
        }
        _ => error.to_string(),
    }
}

/// `POST /account/second-steps/totp`: begins.
///
/// # Errors
/// When the session has not stepped up. A bad name is told in the form.
pub async fn begin_totp(cx: Cx, form: Parameters) -> Result<Response> {
    let name = text(&form, "name")?.trim().to_owned();
    match name.parse::<DisplayName>() {
        Ok(name) => {
            let begun = cx.service()?.begin_totp_enrolment(&cx.caller, &name).await?;
            totp_page(&cx, StatusCode::OK, begun, "")
        }
        Err(error) => {
            let typed = Typed { totp_name: name, totp_error: error.to_string(), ..Typed::default() };
            shown(&cx, StatusCode::BAD_REQUEST, typed).await
        }
    }
}

fn totp_page(cx: &Cx, status: StatusCode, begun: TotpEnrolment, error: &str) -> Result<Response> {
    let hint = "The six digits that the app shows now.";
    let shown = TotpPage {
        frame: frame(cx, "Add an authenticator app", Section::SecondSteps),
        picture: pages::second_step::qr(begun.uri.expose())?,
        secret: pages::second_step::grouped(begun.secret.expose()),
        challenge: begun.challenge.secret().expose().to_owned(),
        field: Field::line("code", "Code").hint(hint).kind(Kind::Code).error(error),
        form_token: form::token(cx, TOTP_CONFIRM),
    };
    page(status, &shown)
}

/// `POST /account/second-steps/totp/confirm`
///
/// # Errors
/// When the session has not stepped up. A wrong code is told in the form, which keeps the app's secret.
pub async fn finish_totp(cx: Cx, form: Parameters) -> Result<Response> {
    let (challenge, code) = (secret(&form, "challenge")?, secret(&form, "code")?);
    let service = cx.service()?;
    match service.finish_totp_enrolment(&cx.caller, &challenge, &code).await {
        Ok(enrolled) => added(cx, enrolled),
        Err(error @ Error::Invalid { .. }) => {
            let begun = service.totp_enrolment(&cx.caller, &challenge).await?;
            totp_page(&cx, StatusCode::BAD_REQUEST, begun, &said(&error))
        }
        Err(Error::Gone(_)) => over(&cx).await,
        Err(error) => Err(error),
    }
}

async fn over(cx: &Cx) -> Result<Response> {
    let error = "This took too long, or was answered already: begin again.".to_owned();
    shown(cx, StatusCode::GONE, Typed { error, ..Typed::default() }).await
}

/// `POST /account/second-steps/passkey`: begins.
///
/// # Errors
/// When the session has not stepped up. A bad name is told in the form.
pub async fn begin_passkey(cx: Cx, form: Parameters) -> Result<Response> {
    let typed = text(&form, "name")?.trim().to_owned();
    let name = match typed.parse::<DisplayName>() {
        Ok(name) => name,
        Err(error) => {
            let typed = Typed { passkey_name: typed, passkey_error: error.to_string(), ..Typed::default() };
            return shown(&cx, StatusCode::BAD_REQUEST, typed).await;
        }
    };
    let asked = cx.service()?.begin_passkey_enrolment(&cx.caller, &name).await?;
    let shown = PasskeyPage {
        frame: frame(&cx, "Add a passkey", Section::SecondSteps),
        lead: "Your browser asks where to keep the passkey, and to unlock that place.",
        prompt: pages::second_step::Prompt {
            verb: "create",
            button: "Make passkey",
            form_token: form::token(&cx, PASSKEY_CONFIRM),
            ..prompt(&asked, PASSKEY_CONFIRM)
        },
        instead: Way::new("Back to the second steps", LIST),
    };
    page(StatusCode::OK, &shown)
}

/// `POST /account/second-steps/passkey/confirm`
///
/// # Errors
/// When the session has not stepped up. An answer that proves nothing is told in the page.
pub async fn finish_passkey(cx: Cx, form: Parameters) -> Result<Response> {
    let (challenge, response) = (secret(&form, "challenge")?, passkey::response(&form));
    let finished = match response {
        Ok(response) => cx.service()?.finish_passkey_enrolment(&cx.caller, &challenge, &response).await,
        Err(error) => Err(error),
    };
    match finished {
        Ok(enrolled) => added(cx, enrolled),
        Err(Error::Gone(_)) => over(&cx).await,
        Err(error @ (Error::Invalid { .. } | Error::Conflict(_))) => {
            let typed = Typed { error: sentence(&said(&error)), ..Typed::default() };
            shown(&cx, StatusCode::BAD_REQUEST, typed).await
        }
        Err(error) => Err(error),
    }
}

/// With the first step come the recovery codes. The session has another secret from here, which the page's forms are
/// bound to.
fn added(mut cx: Cx, enrolled: Enrolled) -> Result<Response> {
    let cookie = session::cookie(Some(enrolled.session.secret()), cx.secure, WEEK)?;
    cx.session_secret = Some(enrolled.session.secret().clone());
    let mut response = match enrolled.recovery_codes.as_slice() {
        [] => see_other(&format!("{LIST}?done=added"))?,
        codes => {
            let done = format!("{} is added. Your other sessions have ended.", enrolled.step.name);
            codes_page(&cx, StatusCode::CREATED, codes, done)?
        }
    };
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

fn codes_page(cx: &Cx, status: StatusCode, codes: &[Secret], done: String) -> Result<Response> {
    let shown = RecoveryCodesPage {
        frame: frame(cx, "Recovery codes", Section::SecondSteps),
        done,
        codes: codes.iter().map(|code| code.expose().to_owned()).collect(),
        onward: LIST.to_owned(),
    };
    page(status, &shown)
}

/// `POST /account/second-steps/remove`
///
/// # Errors
/// When the session has not stepped up, or there is no such step. That the last must stay is told in the page.
pub async fn remove(cx: Cx, form: Parameters) -> Result<Response> {
    let missing = || Error::not_found("the second step");
    let id = text(&form, "second_step")?.parse().map_err(|_| missing())?;
    match cx.service()?.remove_second_step(&cx.caller, id).await {
        Ok(()) => see_other(&format!("{LIST}?done=removed")),
        Err(Error::Conflict(told)) => {
            let typed = Typed { error: sentence(&told), ..Typed::default() };
            shown(&cx, StatusCode::CONFLICT, typed).await
        }
        Err(error) => Err(error),
    }
}

/// `POST /account/second-steps/recovery-codes`: the one answer that holds them.
///
/// # Errors
/// When the session has not stepped up, or the account has no second step.
pub async fn renew_codes(cx: Cx, _: Parameters) -> Result<Response> {
    let codes = cx.service()?.renew_recovery_codes(&cx.caller).await?;
    let done = "These replace the codes before, which work no more.".to_owned();
    codes_page(&cx, StatusCode::CREATED, &codes, done)
}
