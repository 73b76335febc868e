//! Changing one's own password.

use axum::http::{StatusCode, header};
use model::{Error, Result};
use pages::account::PasswordPage;
use pages::form::Field;
use wire::Parameters;

use super::account::{Section, frame};
use super::session::{WEEK, beside, secret};
use super::{form, page, see_other};
use crate::http::{Cx, Response, session};

/// Where the form goes.
const ACTION: &str = "/account/password";

fn form_page(cx: &Cx, current: &str, new: &str) -> PasswordPage {
    PasswordPage {
        frame: frame(cx, "Change password", Section::Account),
        current: Field::password("current_password", "Password now", "current-password").error(current),
        new: Field::password("password", "New password", "new-password")
            .hint("At least 12 characters. Several words that do not belong together are good ones.")
            .error(new),
        form_token: form::token(cx, ACTION),
    }
}

/// `GET /account/password`: whoever has not just proved who they are does so first, since passwords that were typed are
/// not kept.
///
/// # Errors
/// When nobody is signed in.
pub async fn get(cx: Cx) -> Result<Response> {
    cx.caller.as_user().ok_or(Error::Unauthenticated)?;
    if !cx.caller.stepped_up(super::now(&cx)) {
        return see_other(&pages::address::with_query("/step-up", "next", ACTION));
    }
    page(StatusCode::OK, &form_page(&cx, "", ""))
}

/// `POST /account/password`
///
/// # Errors
/// When the session has not stepped up. What is wrong with either password is told beside it.
pub async fn change(cx: Cx, form: Parameters) -> Result<Response> {
    let (current, new) = (secret(&form, "current_password")?, secret(&form, "password")?);
    match cx.service()?.change_password(&cx.caller, &current, &new).await {
        Ok(renewed) => {
            let mut response = see_other("/account?done=password")?;
            let cookie = session::cookie(Some(renewed.secret()), cx.secure, WEEK)?;
            response.headers_mut().insert(header::SET_COOKIE, cookie);
            Ok(response)
        }
        Err(error @ Error::Invalid { .. }) => {
            let of_current =
                matches!(&error, Error::Invalid { fields, .. } if fields.contains_key("current_password"));
            let told = match of_current {
                true => form_page(&cx, &beside(&error, "current_password"), ""),
                false => form_page(&cx, "", &beside(&error, "password")),
            };
            page(StatusCode::BAD_REQUEST, &told)
        }
        Err(error @ Error::TooManyRequests { .. }) => {
            page(StatusCode::TOO_MANY_REQUESTS, &form_page(&cx, &error.to_string(), ""))
        }
        Err(error) => Err(error),
    }
}
