//! A new password by a link. Its secret stands behind `#`, which browsers send to no server: a script of the page puts it
//! into the form, and takes it out of the address.

use axum::http::StatusCode;
use model::{Error, Result};
use pages::form::{Field, Kind};
use pages::frame::Way;
use pages::session::{DonePage, ForgottenPasswordPage, ResetPasswordPage};
use wire::Parameters;

use super::error::sentence;
use super::session::{protected, secret, text};
use super::{Around, page};
use crate::http::{Cx, Response};

fn form_page(cx: &Cx, link: &str, error: String, password_error: &str) -> ResetPasswordPage {
    let hint = "What stands behind # in the link that you were given.";
    ResetPasswordPage {
        frame: Around::of(cx).frame().titled("Set a new password"),
        error,
        link: Field::line("link", "Link").hint(hint).kind(Kind::LinkSecret).value(link),
        password: Field::password("password", "New password", "new-password")
            .hint("At least 12 characters. Several words that do not belong together are good ones.")
            .error(password_error),
    }
}

fn forgotten_page(cx: &Cx, name: &str, error: String) -> ForgottenPasswordPage {
    ForgottenPasswordPage {
        frame: Around::of(cx).frame().titled("Forgotten password"),
        error,
        name: Field::line("name", "Username or e-mail address").value(name).autocomplete("username"),
    }
}

/// `GET /sign-in/forgotten-password`
///
/// # Errors
/// None of its own.
pub async fn forgotten(cx: Cx) -> Result<Response> {
    page(StatusCode::OK, &forgotten_page(&cx, "", String::new()))
}

/// `POST /sign-in/forgotten-password`: the answer tells nothing about whether there is such an account.
///
/// # Errors
/// When the house is closed. That no mail is sent here is told in the form.
pub async fn ask(cx: Cx, form: Parameters) -> Result<Response> {
    let name = text(&form, "name")?.trim();
    let (status, error) = match cx.service()?.ask_password_reset(&cx.caller, name).await {
        Ok(()) => {
            let shown = DonePage {
                frame: Around::of(&cx).frame().titled("Look into your mail"),
                text: "If there is such an account and its address is confirmed, a link is on its way. It is good for an \
                       hour."
                    .to_owned(),
                onward: Way::new("Back to sign in", "/sign-in"),
            };
            return page(StatusCode::OK, &shown);
        }
        Err(error @ Error::Conflict(_)) => (StatusCode::CONFLICT, error),
        Err(error @ Error::TooManyRequests { .. }) => (StatusCode::TOO_MANY_REQUESTS, error),
        Err(error) => return Err(error),
    };
    page(status, &forgotten_page(&cx, name, sentence(&error.to_string())))
}

/// `GET /account/reset-password`
///
/// # Errors
/// None of its own.
pub async fn get(cx: Cx) -> Result<Response> {
    page(StatusCode::OK, &form_page(&cx, "", String::new(), ""))
}

/// `POST /account/reset-password`
///
/// # Errors
/// When the house is closed. What is wrong with the link or the password is told in the form; a password that is
/// refused does not use the link up.
pub async fn set(cx: Cx, form: Parameters) -> Result<Response> {
    protected(&cx)?;
    let typed = text(&form, "link")?.trim();
    // A whole link may be pasted.
    let link = typed.rsplit('#').next().unwrap_or(typed);
    let (link_secret, password) = (model::Secret::new(link.to_owned()), secret(&form, "password")?);
    let told = match cx.service()?.reset_password(&cx.caller, &link_secret, &password).await {
        Ok(()) => {
            let shown = DonePage {
                frame: Around::of(&cx).frame().titled("The password is set"),
                text: "Every session of the account has ended. Sign in with the new password.".to_owned(),
                onward: Way::new("Sign in", "/sign-in"),
            };
            return page(StatusCode::OK, &shown);
        }
        Err(Error::Invalid { fields, message }) => {
            let beside = fields.get("password").and_then(|texts| texts.first()).cloned().unwrap_or(message);
            (StatusCode::BAD_REQUEST, form_page(&cx, link, String::new(), &beside))
        }
        Err(error @ Error::Gone(_)) => {
            (StatusCode::GONE, form_page(&cx, "", sentence(&error.to_string()), ""))
        }
        Err(error @ Error::TooManyRequests { .. }) => {
            (StatusCode::TOO_MANY_REQUESTS, form_page(&cx, link, sentence(&error.to_string()), ""))
        }
        Err(error) => return Err(error),
    };
    page(told.0, &told.1)
}
