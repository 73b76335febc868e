//! An address is proved by a link that is mailed there, as a password is reset: its secret stands behind `#`.

use axum::http::StatusCode;
use model::{Error, Result, Secret};
use pages::form::{Field, Kind};
use pages::frame::Way;
use pages::session::{DonePage, VerifyEmailPage};
use wire::Parameters;

use super::error::sentence;
use super::session::text;
use super::{Around, page, see_other};
use crate::http::{Cx, Response};

fn form_page(cx: &Cx, link: &str, error: String) -> VerifyEmailPage {
    let hint = "What stands behind # in the link that was mailed to you.";
    VerifyEmailPage {
        frame: Around::of(cx).frame().titled("Confirm your address"),
        error,
        link: Field::line("link", "Link").hint(hint).kind(Kind::LinkSecret).value(link),
    }
}

/// `GET /account/verify-email`
///
/// # Errors
/// None of its own.
pub async fn get(cx: Cx) -> Result<Response> {
    page(StatusCode::OK, &form_page(&cx, "", String::new()))
}

/// `POST /account/verify-email`
///
/// # Errors
/// When the house is closed. A link that is over is told in the form.
pub async fn verify(cx: Cx, form: Parameters) -> Result<Response> {
    let typed = text(&form, "link")?.trim();
    // A whole link may be pasted.
    let link = typed.rsplit('#').next().unwrap_or(typed);
    let (status, shown) = match cx.service()?.verify_email(&cx.caller, &Secret::new(link.to_owned())).await {
        Ok(email) => {
            let shown = DonePage {
                frame: Around::of(&cx).frame().titled("The address is confirmed"),
                text: format!("Mail for this account goes to {email}."),
                onward: Way::new("Go to the account", "/account"),
            };
            return page(StatusCode::OK, &shown);
        }
        Err(error @ Error::Gone(_)) => (StatusCode::GONE, form_page(&cx, "", sentence(&error.to_string()))),
        Err(error @ Error::TooManyRequests { .. }) => {
            (StatusCode::TOO_MANY_REQUESTS, form_page(&cx, link, sentence(&error.to_string())))
        }
        Err(error) => return Err(error),
    };
    page(status, &shown)
}

/// `POST /account/email`: mails a link to one's own address.
///
/// # Errors
/// When there is no mail server, or the address is proved already.
pub async fn ask(cx: Cx, _: Parameters) -> Result<Response> {
    cx.service()?.ask_email_verification(&cx.caller).await?;
    see_other("/account?done=mailed")
}
