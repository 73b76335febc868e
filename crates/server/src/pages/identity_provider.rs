//! The identity provider of a workspace: shown, set and removed. Signing in through it is `provider_sign_in`.

use axum::http::StatusCode;
use model::{Error, GroupMapping, IdentityProvider, Result, Secret};
use pages::form::Field;
use pages::identity_provider::{
    IdentityProviderPage, MappingRow, ProviderForm, ProviderShown, RemoveIdentityProviderPage,
};
use pages::measure::{Moment, count};
use pages::principal::Known;
use service::{IdentityProviderView, NewIdentityProvider, ProviderUses};
use wire::Parameters;

use super::error::sentence;
use super::resource_form::{Typed, text};
use super::settings::{self, Section};
use super::{form, now, page, see_other, step_up};
use crate::http::{Cx, Response};

/// How many empty rows the form offers.
const EMPTY_ROWS: usize = 2;
/// What says that a secret was typed, and not kept while its sender proved who they are.
const SECRET_AGAIN: &str = "secret_again";
const SECRET: &str = "client_secret";
/// What is told then, and whenever the form comes back.
const AGAIN: &str = "type the secret once more: it is never put into a page";

/// What was changed meanwhile is not overwritten unseen.
const CHANGED: &str = "Somebody changed the identity provider after you opened the page. What you typed is kept: save it \
    again to put it in place of what they set.";

fn address(slug: &str) -> String {
    settings::address(slug, "identity-provider")
}

fn guardrail(slug: &str) -> String {
    format!("{}#identity_provider", settings::address(slug, "guardrails"))
}

/// What stands for the provider as somebody saw it: a form that was opened before it changed has another.
fn state(view: &IdentityProviderView) -> String {
    form::digest(&[&format!("{:?}", view.provider)])
}

fn rows_of(provider: &IdentityProvider) -> Vec<MappingRow> {
    let row = |line: &GroupMapping| MappingRow {
        claim: line.claim.clone(),
        group: line.group.to_string(),
        error: String::new(),
    };
    provider.group_mapping.iter().map(row).collect()
}

/// The rows that were typed, with what is wrong with each.
fn rows_in(sent: &Parameters) -> Vec<MappingRow> {
    let groups = sent.all("group").map(str::trim).chain(std::iter::repeat(""));
    let pairs = sent.all("claim").map(str::trim).zip(groups);
    let filled = pairs.filter(|(claim, group)| !claim.is_empty() || !group.is_empty());
    filled
        .map(|(claim, group)| MappingRow {
            error: match (claim.is_empty(), group.is_empty()) {
                (true, _) => "name the group as the provider does, or choose no group",
                (_, true) => "choose the group here, or empty the row",
                _ => "",
            }
            .to_owned(),
            claim: claim.to_owned(),
            group: group.to_owned(),
        })
        .collect()
}

/// What the form means. What is wrong with single rows is told beside them.
fn meant(sent: &Parameters) -> Result<NewIdentityProvider> {
    let mut group_mapping = Vec::new();
    for row in rows_in(sent) {
        let group = row.group.parse();
        match (row.error.is_empty(), group) {
            (true, Ok(group)) => group_mapping.push(GroupMapping { claim: row.claim, group }),
            (true, Err(error)) => return Err(Error::invalid_field("group_mapping", error)),
            (false, _) => return Err(Error::invalid_field("group_mapping", "look at the rows below")),
        }
    }
    if text(sent, "issuer")?.is_empty() {
        return Err(Error::invalid_field("issuer", "name the provider's issuer"));
    }
    let secret = sent.get(SECRET)?.unwrap_or_default();
    if secret.is_empty() && sent.get(SECRET_AGAIN)?.is_some() {
        return Err(Error::invalid_field(SECRET, AGAIN));
    }
    let claim = text(sent, "groups_claim")?;
    Ok(NewIdentityProvider {
        issuer: text(sent, "issuer")?,
        client_id: text(sent, "client_id")?,
        client_secret: (!secret.is_empty()).then(|| Secret::new(secret.to_owned())),
        scopes: Some(text(sent, "scopes")?.split_whitespace().map(str::to_owned).collect()),
        groups_claim: (!claim.is_empty()).then_some(claim),
        group_mapping,
        makes_accounts: sent.get("makes_accounts")? == Some("yes"),
    })
}

/// What was sent, and what came of it.
struct Sent {
    form: Parameters,
    error: Option<Error>,
    empty: usize,
}

async fn form_of(
    cx: &Cx,
    slug: &str,
    view: &IdentityProviderView,
    (typed, sent): (&Typed, Option<&Sent>),
) -> Result<ProviderForm> {
    let (_, groups) = cx.service()?.groups(&cx.caller, slug).await?;
    let provider = view.provider.as_ref();
    let mut rows = match (sent, provider) {
        (Some(sent), _) => rows_in(&sent.form),
        (None, Some(provider)) => rows_of(provider),
        (None, None) => Vec::new(),
    };
    let empty = sent.map_or(EMPTY_ROWS, |sent| sent.empty);
    rows.extend(std::iter::repeat_n(MappingRow::default(), empty));
    let has_secret = provider.is_some_and(|provider| provider.has_secret);
    let secret_hint = match has_secret {
        true => {
            "There is one, which is never shown again. Leave this empty to keep it, as long as issuer and client id stay."
        }
        false => "As the provider gives it for this client. It is sealed here, and never shown again.",
    };
    let lost = sent.is_some_and(|sent| {
        let typed = |name: &str| sent.form.get(name).ok().flatten().is_some_and(|text| !text.is_empty());
        typed(SECRET) || typed(SECRET_AGAIN)
    });
    let secret_error = match (typed.error(SECRET), lost) {
        (told, _) if !told.is_empty() => told,
        (_, true) => AGAIN.to_owned(),
        _ => String::new(),
    };
    Ok(ProviderForm {
        provider: vec![
            typed
                .line("issuer", "Issuer")
                .hint("Letter by letter as the provider's own configuration names it: https://id.example.com/realms/staff."),
            typed.line("client_id", "Client id").hint("What the provider calls this installation."),
            Field::password(SECRET, "Client secret", "off").hint(secret_hint).error(secret_error).optional(),
            typed
                .line("scopes", "Scopes")
                .hint("What is asked for beside openid, with blanks between. Addresses need email, names profile.")
                .optional(),
        ],
        groups_claim: typed
            .line("groups_claim", "Claim that lists groups")
            .hint("Of the ID token, usually groups. Without one no group follows the provider.")
            .optional(),
        mapping_error: typed.error("group_mapping"),
        groups: groups
            .iter()
            .map(|one| (one.group.slug.to_string(), one.group.name.to_string()))
            .collect(),
        makes_accounts: match sent {
            Some(sent) => sent.form.get("makes_accounts")? == Some("yes"),
            None => provider.is_some_and(|provider| provider.makes_accounts),
        },
        mapping: rows,
        state: state(view),
        form_token: form::token(cx, &address(slug)),
    })
}

fn people(uses: &ProviderUses) -> String {
    count(u64::try_from(uses.people).unwrap_or(0), "account is", "accounts are")
}

fn sessions(uses: &ProviderUses) -> String {
    count(u64::try_from(uses.sessions).unwrap_or(0), "session", "sessions")
}

fn set_now(cx: &Cx, provider: &IdentityProvider, uses: &ProviderUses) -> ProviderShown {
    ProviderShown {
        issuer: provider.issuer.clone(),
        client_id: provider.client_id.clone(),
        has_secret: provider.has_secret,
        scopes: provider.scopes.clone(),
        groups_claim: provider.groups_claim.clone().unwrap_or_default(),
        mapping: rows_of(provider),
        makes_accounts: provider.makes_accounts,
        changed_by: Known::principal(&provider.changed_by),
        changed_on: Moment::of(provider.changed_on, now(cx)),
        uses: format!("{} connected through it, {} open", people(uses), sessions(uses)),
    }
}

async fn shown(cx: &Cx, slug: &str, view: IdentityProviderView, sent: Option<Sent>) -> Result<Response> {
    let uses = cx.service()?.identity_provider_uses(&cx.caller, slug).await?;
    let provider = view.provider.as_ref();
    let there = |text: fn(&IdentityProvider) -> String| provider.map(text).unwrap_or_default();
    let mut typed = Typed::there(vec![
        ("issuer", there(|provider| provider.issuer.clone())),
        ("client_id", there(|provider| provider.client_id.clone())),
        ("scopes", provider.map_or("profile email".to_owned(), |provider| provider.scopes.join(" "))),
        ("groups_claim", there(|provider| provider.groups_claim.clone().unwrap_or_default())),
    ]);
    let mut status = StatusCode::OK;
    let mut sent = sent;
    if let Some(sent) = &mut sent {
        let error = sent.error.take();
        status = if error.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        typed = match error {
            Some(error) => typed.refused(sent.form.clone(), error)?,
            None => typed.sent(sent.form.clone()),
        };
    }
    // A secret that is typed is not kept while its sender proves who they are: they do so before they type.
    let form = match sent.is_some() || cx.caller.stepped_up(now(cx)) {
        true => Some(form_of(cx, slug, &view, (&typed, sent.as_ref())).await?),
        false => None,
    };
    let known = form.as_ref().map(|form| form.provider.clone()).unwrap_or_default();
    let action = address(slug);
    let shown = IdentityProviderPage {
        frame: settings::workspace(cx, slug, "Identity provider", Section::IdentityProvider).await,
        workspace: slug.to_owned(),
        error: typed.elsewhere(&known, &["groups_claim", "group_mapping"]),
        set: provider.map(|provider| set_now(cx, provider, &uses)),
        form,
        prove: pages::address::with_query("/step-up", "next", &action),
        redirect_uri: view.redirect_uri.clone(),
        sign_in: pages::address::with_query("/-/sign-in", "workspace", slug),
        only_way: uses.only_way,
        guardrail: guardrail(slug),
        members: settings::address(slug, "members"),
        groups: settings::address(slug, "groups"),
        action,
    };
    page(status, &shown)
}

/// `GET /{workspace}/workspace/settings/identity-provider`
///
/// # Errors
/// When the caller does not administer the workspace.
pub async fn get(cx: Cx) -> Result<Response> {
    let slug = settings::slug(&cx).await?;
    let view = cx.service()?.identity_provider(&cx.caller, &slug).await?;
    shown(&cx, &slug, view, None).await
}

/// `POST /{workspace}/workspace/settings/identity-provider`: sets it, or offers more rows.
///
/// # Errors
/// When the caller may not. What is wrong with the form, or with the provider, is told in it.
pub async fn set(cx: Cx, form: Parameters) -> Result<Response> {
    let slug = settings::slug(&cx).await?;
    let view = cx.service()?.identity_provider(&cx.caller, &slug).await?;
    if form.get("do")? == Some("rows") {
        return shown(&cx, &slug, view, Some(Sent { form, error: None, empty: 4 * EMPTY_ROWS })).await;
    }
    if !text(&form, SECRET)?.is_empty() && !cx.caller.stepped_up(now(&cx)) {
        let mut kept = Parameters::default().and(SECRET_AGAIN, "yes");
        for (name, value) in form.iter().filter(|(name, _)| !matches!(*name, SECRET | SECRET_AGAIN)) {
            kept = kept.and(name, value);
        }
        let here = address(&slug);
        return step_up::shown(&cx, StatusCode::OK, "", here, step_up::keep(&kept).unwrap_or_default()).await;
    }
    let saved = match meant(&form) {
        Ok(_) if form.get("state")? != Some(state(&view).as_str()) => {
            Err(Error::Conflict(CHANGED.to_owned()))
        }
        Ok(new) => cx.service()?.set_identity_provider(&cx.caller, &slug, new, view.clone()).await,
        Err(error) => Err(error),
    };
    match saved {
        Ok(_) => see_other(&address(&slug)),
        Err(error) => {
            let error = match error {
                Error::PreconditionFailed(_) => Error::Conflict(CHANGED.to_owned()),
                other => other,
            };
            shown(&cx, &slug, view, Some(Sent { form, error: Some(error), empty: EMPTY_ROWS })).await
        }
    }
}

async fn asked(cx: &Cx, slug: &str, error: String) -> Result<Response> {
    let service = cx.service()?;
    let view = service.identity_provider(&cx.caller, slug).await?;
    let uses = service.identity_provider_uses(&cx.caller, slug).await?;
    let provider = view.provider.ok_or_else(|| Error::not_found("an identity provider of this workspace"))?;
    let settings_page = address(slug);
    let action = format!("{settings_page}/remove");
    let shown = RemoveIdentityProviderPage {
        frame: settings::workspace(cx, slug, "Remove the identity provider", Section::IdentityProvider).await,
        workspace: slug.to_owned(),
        people: count(u64::try_from(uses.people).unwrap_or(0), "account", "accounts"),
        sessions: count(u64::try_from(uses.sessions).unwrap_or(0), "session ends", "sessions end"),
        groups: !provider.group_mapping.is_empty(),
        issuer: provider.issuer,
        only_way: uses.only_way,
        guardrail: guardrail(slug),
        settings: settings_page,
        form_token: form::token(cx, &action),
        action,
        error,
    };
    page(if shown.error.is_empty() { StatusCode::OK } else { StatusCode::CONFLICT }, &shown)
}

/// `GET /{workspace}/workspace/settings/identity-provider/remove`: asks once more.
///
/// # Errors
/// When the caller does not administer the workspace, or it has none.
pub async fn ask(cx: Cx) -> Result<Response> {
    let slug = settings::slug(&cx).await?;
    asked(&cx, &slug, String::new()).await
}

/// `POST /{workspace}/workspace/settings/identity-provider/remove`
///
/// # Errors
/// When the caller may not. That a guardrail keeps it is told in the page.
pub async fn remove(cx: Cx, _: Parameters) -> Result<Response> {
    let slug = settings::slug(&cx).await?;
    match cx.service()?.remove_identity_provider(&cx.caller, &slug).await {
        Ok(()) => see_other(&address(&slug)),
        Err(error @ Error::Conflict(_)) => asked(&cx, &slug, sentence(&error.to_string())).await,
        Err(error) => Err(error),
    }
}
