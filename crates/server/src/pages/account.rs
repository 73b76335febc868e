//! One's own account: sessions, identities, app passwords and API tokens.

use axum::http::StatusCode;
use model::{Credential, CredentialId, CredentialKind, Error, Result, SessionId};
use pages::account::{AccountPage, CredentialRow, IdentityRow, SessionRow};
use pages::frame::{Frame, Notice, Way, Weight};
use pages::measure::Moment;
use service::{OwnIdentity, Window};
use wire::Parameters;

use super::error::sentence;
use super::{Around, form, now, page, see_other};
use crate::http::{Cx, Response};

/// What an account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Account,
    SecondSteps,
    OwnAccess,
}

/// The frame of a page of one's own account.
pub(super) fn frame(cx: &Cx, title: &str, section: Section) -> Frame {
    let mut frame = Around::of(cx).frame().titled(title);
    frame.crumbs = vec![Way::new("Account", "/account").here(true)];
    frame.sections = [
        ("Account", "/account", Section::Account),
        ("Second steps", "/account/second-steps", Section::SecondSteps),
        ("What I can access", "/account/access", Section::OwnAccess),
    ]
    .into_iter()
    .map(|(name, href, of)| Way::new(name, href).here(of == section))
    .collect();
    frame
}

/// The most credentials of a kind that are shown.
const MOST: Window = Window { limit: 500, offset: 0 };

/// `GET /account`
///
/// # Errors
/// When nobody is signed in.
pub async fn get(cx: Cx) -> Result<Response> {
    shown(&cx, None).await
}

/// The identities that sign in to the account.
async fn identities(cx: &Cx, now: model::Timestamp) -> Result<Vec<IdentityRow>> {
    let through = cx.caller.session().and_then(|session| session.provider.as_deref());
    let own = cx.service()?.own_identities(&cx.caller, MOST).await?;
    let row = |own: OwnIdentity| IdentityRow {
        id: own.identity.id(),
        this: through == Some(own.identity.workspace.to_string().as_str()),
        issuer: own.identity.issuer,
        subject: own.identity.subject,
        workspace: own.workspace.map(|slug| slug.to_string()).unwrap_or_default(),
        connected: Moment::of(own.identity.connected_on, now),
    };
    Ok(own.values.into_iter().map(row).collect())
}

/// The page; with what did not go as things are, where something did not.
async fn shown(cx: &Cx, failed: Option<&Error>) -> Result<Response> {
    let service = cx.service()?;
    let user = service.own_account(&cx.caller).await?;
    let now = now(cx);
    let this = cx.caller.session().map(|session| session.id);
    let sessions = service.sessions(&cx.caller).await?.into_iter().map(|session| SessionRow {
        id: session.id.braced(),
        browser: session.user_agent,
        address: session.address.unwrap_or_default(),
        last_seen: Moment::of(session.last_seen_on, now),
        created: Moment::of(session.created_on, now),
        this: Some(session.id) == this,
    });
    let mut credentials = Vec::new();
    for (kind, word) in
        [(CredentialKind::AppPassword, "App password"), (CredentialKind::ApiToken, "API token")]
    {
        let found = service.own_credentials(&cx.caller, kind, MOST).await?;
        credentials.extend(found.values.iter().map(|one| credential(one, word, now)));
    }
    let address = service.own_email(&cx.caller).await?;
    let mut around = frame(cx, "Account", Section::Account);
    let told = match cx.query.get("done")? {
        Some("mailed") => Some(format!("A link is on its way to {}. It is good for a day.", address.email)),
        Some("password") => Some("The password is changed. Your other sessions have ended.".to_owned()),
        Some("identity") => Some("The identity is disconnected.".to_owned()),
        _ => None,
    };
    around.notice = match failed {
        Some(error) => Some(Notice { weight: Weight::Failed, text: sentence(&error.to_string()) }),
        None => told.map(|text| Notice { weight: Weight::Done, text }).or(around.notice),
    };
    let asks = address.can_be_verified && address.verified_on.is_none();
    let shown = AccountPage {
        frame: around,
        verified: address.verified_on.map(|time| Moment::of(time, now)),
        email_token: asks.then(|| form::token(cx, "/account/email")),
        username: user.username.to_string(),
        display_name: user.display_name.to_string(),
        email: user.email.to_string(),
        has_password: service.has_password(&cx.caller).await?,
        second_step: user.second_step,
        sessions: sessions.collect(),
        session_token: form::token(cx, "/account/sessions"),
        others_token: form::token(cx, "/account/sessions/others"),
        identities: identities(cx, now).await?,
        identity_token: form::token(cx, "/account/identities"),
        credentials,
        credential_token: form::token(cx, "/account/credentials"),
    };
    page(if failed.is_none() { StatusCode::OK } else { StatusCode::CONFLICT }, &shown)
}

fn credential(one: &Credential, kind: &'static str, now: model::Timestamp) -> CredentialRow {
    CredentialRow {
        id: format!("{}/{}", one.kind.name(), one.id.braced()),
        name: one.name.to_string(),
        kind,
        scopes: one.scopes.names(),
        created: Moment::of(one.created_on, now),
        last_used: one.last_used_on.map(|time| Moment::of(time, now)),
        expires: one.expires_on.map(|time| Moment::of(time, now)),
    }
}

/// `POST /account/sessions`: ends one of one's own sessions.
///
/// # Errors
/// When there is none of this id.
pub async fn end_session(cx: Cx, form: Parameters) -> Result<Response> {
    let missing = || Error::not_found("the session");
    let id: SessionId = form.get("session")?.unwrap_or_default().parse().map_err(|_| missing())?;
    cx.service()?.revoke_session(&cx.caller, id).await?;
    see_other("/account#sessions")
}

/// `POST /account/sessions/others`: ends all of one's own sessions but this.
///
/// # Errors
/// When there is no session.
pub async fn end_other_sessions(cx: Cx, _: Parameters) -> Result<Response> {
    cx.service()?.revoke_other_sessions(&cx.caller).await?;
    see_other("/account#sessions")
}

/// `POST /account/credentials`: revokes one of one's own credentials.
///
/// # Errors
/// When there is none of this id.
pub async fn revoke_credential(cx: Cx, form: Parameters) -> Result<Response> {
    let missing = || Error::not_found("the credential");
    let (kind, id) = form.get("credential")?.and_then(|text| text.split_once('/')).ok_or_else(missing)?;
    let kinds = [CredentialKind::AppPassword, CredentialKind::ApiToken];
    let kind = kinds.into_iter().find(|known| known.name() == kind).ok_or_else(missing)?;
    let id: CredentialId = id.parse().map_err(|_| missing())?;
    cx.service()?.revoke_own_credential(&cx.caller, kind, id).await?;
    see_other("/account#credentials")
}

/// `POST /account/identities`: disconnects one of one's own identities.
///
/// # Errors
/// When there is none of this id, or the session has not stepped up. That nothing else signs in to the account is told on
/// its page.
pub async fn disconnect_identity(cx: Cx, form: Parameters) -> Result<Response> {
    let identity = form.get("identity")?.unwrap_or_default();
    match cx.service()?.disconnect_identity(&cx.caller, identity).await {
        Ok(()) => see_other("/account?done=identity#identities"),
        Err(error @ Error::Conflict(_)) => shown(&cx, Some(&error)).await,
        Err(error) => Err(error),
    }
}
