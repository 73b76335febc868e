//! Signing in through a workspace's identity provider. What an attempt needs to know travels in a cookie of the browser
//! that began it.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use model::{Error, Result, Secret};
use pages::form::Field;
use pages::provider_sign_in::{ProviderConnectPage, ProviderSignInPage, ProviderWay};
use service::{Arrived, ProviderAnswer};
use wire::Parameters;

use super::session::{WEEK, ask_second_step, begun_at, browser, next, protected, secret};
use super::{Around, form, page, see_other};
use crate::http::{Cx, Response, session as session_cookie};

const SECURE: &str = "__Host-sign-in";
const PLAIN: &str = "sign-in";
/// Where a yes is sent to.
const CONNECT: &str = "/-/sign-in/connect";

fn cookie_name(secure: bool) -> &'static str {
    if secure { SECURE } else { PLAIN }
}

fn cookie(value: &str, secure: bool, seconds: i64) -> Result<HeaderValue> {
    let only = if secure { "; Secure" } else { "" };
    let name = cookie_name(secure);
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{only}");
    let mut value = HeaderValue::from_str(&text).map_err(|_| Error::internal("a text that is no cookie"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn attempt(headers: &HeaderMap, secure: bool) -> Option<Secret> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let found = pairs.find(|(name, _)| *name == cookie_name(secure));
    found.map(|(_, value)| Secret::new(value.to_owned()))
}

/// `GET /-/sign-in`: which workspace's provider.
///
/// # Errors
/// When the address cannot be read. That a workspace has no provider is told in the form.
pub async fn get(cx: Cx) -> Result<Response> {
    let (next, named) = (next(&cx.query)?, cx.query.get("workspace")?.unwrap_or_default().trim().to_owned());
    let mut field = Field::line("workspace", "Workspace").value(&named);
    field.hint = "As it stands in the address of its repositories.".to_owned();
    let (mut way, mut status) = (None, StatusCode::OK);
    if !named.is_empty() {
        match cx.service()?.provider_door(&cx.caller, &named).await {
            Ok(door) => {
                let begin = pages::address::of(&["-", "sign-in", &door.workspace.to_string()]);
                let href = pages::address::with_query(&begin, "next", &next);
                way = Some(ProviderWay { workspace: door.slug, host: door.host, href });
            }
            Err(Error::NotFound { .. }) => {
                status = StatusCode::NOT_FOUND;
                field = field.error("there is no workspace of this name that has an identity provider");
            }
            Err(other) => return Err(other),
        }
    }
    let frame = Around::of(&cx).frame().titled("Sign in");
    page(status, &ProviderSignInPage { frame, field, next, way })
}

/// `GET /-/sign-in/{workspace}`: leaves for the provider.
///
/// # Errors
/// When there is none, it cannot be reached, or the connection is not protected.
pub async fn leave(cx: Cx) -> Result<Response> {
    protected(&cx)?;
    let (service, next) = (cx.service()?, next(&cx.query)?);
    let departure = service.leave_for_provider(&cx.caller, cx.param("workspace"), &next).await?;
    let mut response = see_other(&departure.address)?;
    let cookie = cookie(departure.cookie.expose(), cx.secure, departure.seconds)?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

fn told(query: &Parameters, name: &str) -> Result<Option<String>> {
    Ok(query.get(name)?.map(str::to_owned))
}

/// `GET /-/sign-in/{workspace}/callback`: the provider's answer.
///
/// # Errors
/// When this browser did not ask, or the answer is not believed.
pub async fn arrive(cx: Cx) -> Result<Response> {
    protected(&cx)?;
    let answer = ProviderAnswer {
        code: told(&cx.query, "code")?.map(Secret::new),
        state: told(&cx.query, "state")?.unwrap_or_default(),
        issuer: told(&cx.query, "iss")?,
        error: told(&cx.query, "error")?,
    };
    let kept = attempt(&cx.headers, cx.secure);
    let (service, browser) = (cx.service()?, browser(&cx));
    let arrived = service
        .arrive_from_provider(&cx.caller, &browser, cx.param("workspace"), answer, kept.as_ref())
        .await?;
    let mut response = match arrived {
        Arrived::SignedIn { session, next } => begun_at(&cx, &session, &next)?,
        Arrived::SecondStep { wanted, next } => {
            let next = pages::address::safe_next(&next).to_owned();
            ask_second_step(&cx, &wanted, next).await?
        }
        Arrived::SteppedUp { secret, next } => {
            let mut response = see_other(&next)?;
            let cookie = session_cookie::cookie(Some(secret.secret()), cx.secure, WEEK)?;
            response.headers_mut().insert(header::SET_COOKIE, cookie);
            response
        }
        Arrived::MayConnect { challenge, issuer, subject, known_as, .. } => {
            let connect = ProviderConnectPage {
                frame: Around::of(&cx).frame().titled("Connect an identity"),
                issuer,
                subject,
                known_as,
                challenge: challenge.secret().expose().to_owned(),
                form_token: form::token(&cx, CONNECT),
            };
            page(StatusCode::OK, &connect)?
        }
    };
    response.headers_mut().append(header::SET_COOKIE, cookie("", cx.secure, 0)?);
    Ok(response)
}

/// `POST /-/sign-in/connect`: the identity is the caller's.
///
/// # Errors
/// When nobody is signed in, or the identity is another account's.
pub async fn connect(cx: Cx, form: Parameters) -> Result<Response> {
    let challenge = secret(&form, "challenge")?;
    let next = cx.service()?.connect_identity(&cx.caller, &challenge).await?;
    see_other(pages::address::safe_next(&next))
}
