//! Access tokens of repositories, projects and workspaces.

use axum::http::StatusCode;
use model::{
    Action, Credential, CredentialId, CredentialKind, Error, FieldErrors, Result, Scope, ScopeSet, Timestamp,
};
use pages::access_token::{
    MadeTokenPage, NewTokenPage, Preview, ScopeChoice, TokenPage, TokenRow, TokensPage, words,
};
use pages::form::{Field, Kind};
use pages::frame::Frame;
use pages::measure::Moment;
use service::{Minted, NewCredential, RepositoryPath, TokenPlace};
use wire::Parameters;

use super::error::sentence;
use super::{ROWS, form, now, numbered, page, project, see_other, settings, turned};
use crate::http::{Cx, Response};
use crate::route::Anchor;

/// For how long a token lives where nothing else is chosen, in days.
const DAYS: &str = "90";
/// A token that ends within so many seconds is marked.
const SOON: i64 = 7 * 86_400;

/// What the tokens are bound to: for the use case, for the reader, and in addresses.
struct Place {
    on: TokenPlace,
    kind: CredentialKind,
    bound_to: String,
    list: String,
    frame: Frame,
    /// A repository's clone address without its scheme, and where the interface tells of what it is bound to.
    clone: Option<String>,
    told_at: String,
}

impl Place {
    async fn of(cx: &Cx) -> Result<Self> {
        let service = cx.service()?;
        let named = cx.param("workspace");
        match cx.route.on {
            Anchor::Repository => {
                let path = RepositoryPath::parse(named, cx.param("repo_slug"))?;
                let located = service.repository(&cx.caller, &path).await?;
                let (workspace, slug) = (located.workspace.slug.as_str(), located.repository.slug.as_str());
                let list = pages::address::of(&[workspace, slug, "settings", "access-tokens"]);
                let frame =
                    settings::repository(cx, &located, "", settings::RepositorySection::AccessTokens).await;
                Ok(Self {
                    on: TokenPlace::Repository(path),
                    kind: CredentialKind::RepositoryAccessToken,
                    bound_to: format!("the repository {workspace}/{slug}"),
                    clone: Some(wire::Base::new(&cx.app.settings.base_url).clone_https(workspace, slug).href),
                    told_at: format!("/2.0/repositories/{workspace}/{slug}"),
                    list,
                    frame,
                })
            }
            Anchor::Project => {
                let (workspace, found) = service.project(&cx.caller, named, cx.param("project_key")).await?;
                let (slug, key) = (workspace.slug.as_str(), found.key.as_str());
                let home = project::address(slug, key);
                let frame =
                    settings::project(cx, slug, key, "", settings::ProjectSection::AccessTokens).await;
                Ok(Self {
                    on: TokenPlace::Project(slug.to_owned(), key.to_owned()),
                    kind: CredentialKind::ProjectAccessToken,
                    bound_to: format!("the project {slug}/{key}"),
                    list: format!("{home}/settings/access-tokens"),
                    frame,
                    clone: None,
                    told_at: format!("/2.0/workspaces/{slug}/projects/{key}"),
                })
            }
            _ => {
                let workspace = service.workspace(&cx.caller, named).await?;
                let slug = workspace.slug.as_str();
                let frame = settings::workspace(cx, slug, "", settings::Section::AccessTokens).await;
                Ok(Self {
                    on: TokenPlace::Workspace(slug.to_owned()),
                    kind: CredentialKind::WorkspaceAccessToken,
                    bound_to: format!("the workspace {slug}"),
                    list: pages::address::of(&[slug, "workspace", "settings", "access-tokens"]),
                    frame,
                    clone: None,
                    told_at: format!("/2.0/workspaces/{slug}"),
                })
            }
        }
    }

    fn new_address(&self) -> String {
        format!("{}/new", self.list)
    }
}

/// `GET …/settings/access-tokens`
///
/// # Errors
/// When the caller does not administer the resource.
pub async fn list(cx: Cx) -> Result<Response> {
    let (number, window) = numbered(&cx, ROWS)?;
    let place = Place::of(&cx).await?;
    let found = cx.service()?.access_tokens(&cx.caller, &place.on, window).await?;
    let tokens = rows(&cx, &place, &found.values).await?;
    let shown = TokensPage {
        tokens,
        pages: turned(&cx, &place.list, number, ROWS, found.values.len(), found.size),
        new: place.new_address(),
        frame: place.frame.titled(format!("Access tokens of {}", place.bound_to)),
        bound_to: place.bound_to,
    };
    page(StatusCode::OK, &shown)
}

/// Tokens as they stand in a list, with who made them.
async fn rows(cx: &Cx, place: &Place, tokens: &[Credential]) -> Result<Vec<TokenRow>> {
    let makers = cx.service()?.makers(&cx.caller, &place.on, tokens).await?;
    let now = now(cx);
    let row = |token: &Credential| TokenRow {
        name: token.name.to_string(),
        scopes: token.scopes.names(),
        creator: match token.created_by.map(|id| makers.get(&id)) {
            Some(Some(maker)) => format!("{} ({})", maker.display_name, maker.username),
            Some(None) => "an account that is gone".to_owned(),
            None => String::new(),
        },
        created: Moment::of(token.created_on, now),
        last_used: token.last_used_on.map(|time| Moment::of(time, now)),
        expires: token.expires_on.map(|time| Moment::of(time, now)),
        ends_soon: token.expires_on.is_some_and(|end| end < now.plus_seconds(SOON)),
        href: format!("{}/{}", place.list, token.id.uuid()),
    };
    Ok(tokens.iter().map(row).collect())
}

/// What was typed into the form of a new token.
pub(super) struct Typed {
    pub(super) name: String,
    pub(super) scopes: Vec<String>,
    days: String,
}

impl Typed {
    /// Nothing yet.
    pub(super) fn nothing() -> Self {
        Self { name: String::new(), scopes: Vec::new(), days: DAYS.to_owned() }
    }

    pub(super) fn of(form: &Parameters) -> Result<Self> {
        Ok(Self {
            name: form.get("name")?.unwrap_or_default().trim().to_owned(),
            scopes: form.all("scope").map(str::to_owned).collect(),
            days: form.get("expires_on")?.unwrap_or(DAYS).to_owned(),
        })
    }

    pub(super) fn expires_on(&self, now: Timestamp) -> Option<Timestamp> {
        self.days.parse::<i64>().ok().map(|days| now.plus_seconds(days.clamp(1, 3_650) * 86_400))
    }
}

/// The field for the name.
pub(super) fn name_field(typed: &Typed, error: String) -> Field {
    let hint = "To tell it by in lists and in the audit trail: what uses it, and where.";
    Field::line("name", "Name").hint(hint).value(&typed.name).error(error)
}

/// The field for the end.
pub(super) fn expiry_field(typed: &Typed, error: String) -> Field {
    let choices = [
        ("7", "7 days"),
        ("30", "30 days"),
        ("90", "90 days"),
        ("365", "A year"),
        ("", "Only when it is revoked"),
    ];
    Field::line("expires_on", "Ends after")
        .kind(Kind::Choice(choices.map(|(value, text)| (value.to_owned(), text.to_owned())).to_vec()))
        .value(&typed.days)
        .error(error)
        .optional()
}

/// A scope to choose.
pub(super) fn choice(scope: Scope, typed: &Typed) -> ScopeChoice {
    let alone: ScopeSet = [scope].into_iter().collect();
    ScopeChoice {
        name: scope.as_str().to_owned(),
        sentence: scope.sentence().to_owned(),
        implies: alone
            .closed()
            .iter()
            .filter(|other| *other != scope)
            .map(|other: Scope| other.as_str().to_owned())
            .collect(),
        chosen: typed.scopes.iter().any(|chosen| chosen == scope.as_str()),
    }
}

/// What is wrong with single fields, and what with the form as a whole.
pub(super) fn wrong_parts(wrong: Option<&Error>) -> (FieldErrors, String) {
    match wrong {
        Some(Error::Invalid { fields, .. }) if !fields.is_empty() => (fields.clone(), String::new()),
        Some(other) => (FieldErrors::new(), sentence(&other.to_string())),
        None => (FieldErrors::new(), String::new()),
    }
}

/// What is wrong with a field; empty where nothing is.
pub(super) fn error_of(fields: &FieldErrors, name: &str) -> String {
    fields.get(name).and_then(|texts| texts.first()).cloned().unwrap_or_default()
}

fn form_page(
    cx: &Cx,
    place: Place,
    typed: &Typed,
    wrong: Option<&Error>,
    preview: Option<Preview>,
) -> NewTokenPage {
    let (fields, error) = wrong_parts(wrong);
    NewTokenPage {
        scopes: place.kind.may_hold().iter().map(|scope| choice(scope, typed)).collect(),
        name: name_field(typed, error_of(&fields, "name")),
        scopes_error: error_of(&fields, "scopes"),
        expiry: expiry_field(typed, error_of(&fields, "expires_on")),
        error,
        preview,
        action: place.new_address(),
        form_token: form::token(cx, &place.new_address()),
        frame: place.frame.titled("Create an access token"),
        bound_to: place.bound_to,
        list: place.list,
    }
}

/// `GET …/settings/access-tokens/new`
///
/// # Errors
/// When the caller does not administer the resource.
pub async fn new(cx: Cx) -> Result<Response> {
    let place = Place::of(&cx).await?;
    cx.service()?.token_abilities(&cx.caller, &place.on, &[]).await?;
    page(StatusCode::OK, &form_page(&cx, place, &Typed::nothing(), None, None))
}

/// What can be said in a few words of what the access model allows and refuses.
fn told(abilities: &[(Action, bool)]) -> Preview {
    let said = |wanted: bool| {
        let mut texts: Vec<String> = Vec::new();
        for (action, _) in abilities.iter().filter(|(_, may)| *may == wanted) {
            if let Some(text) = words(*action).filter(|text| !texts.iter().any(|known| known == text)) {
                texts.push(text.to_owned());
            }
        }
        texts
    };
    Preview { able: said(true), unable: said(false) }
}

/// `POST …/settings/access-tokens/new`: shows what the token would be able to do, or makes it. Its page is the one answer
/// that holds the secret.
///
/// # Errors
/// When the caller does not administer the resource. What is wrong with the form is told in it.
pub async fn create(cx: Cx, form: Parameters) -> Result<Response> {
    let (place, typed) = (Place::of(&cx).await?, Typed::of(&form)?);
    let service = cx.service()?;
    let abilities = service.token_abilities(&cx.caller, &place.on, &typed.scopes).await?;
    if form.get("do")? == Some("preview") {
        return page(StatusCode::OK, &form_page(&cx, place, &typed, None, Some(told(&abilities))));
    }
    let made = match typed.name.parse() {
        Err(error) => Err(Error::invalid_field("name", error)),
        Ok(name) => {
            let expires_on = typed.expires_on(now(&cx));
            let new = NewCredential { name, scopes: typed.scopes.clone(), expires_on };
            service.create_access_token(&cx.caller, &place.on, new).await
        }
    };
    match made {
        Ok(minted) => page(StatusCode::CREATED, &made_page(&cx, place, &minted, told(&abilities).able)),
        Err(error @ (Error::Invalid { .. } | Error::Conflict(_))) => {
            page(StatusCode::BAD_REQUEST, &form_page(&cx, place, &typed, Some(&error), None))
        }
        Err(error) => Err(error),
    }
}

fn made_page(cx: &Cx, place: Place, minted: &Minted, able: Vec<String>) -> MadeTokenPage {
    let base = &cx.app.settings.base_url;
    let reads = minted.credential.scopes.closed().names().iter().any(|name| name == "repository");
    let clone = place
        .clone
        .filter(|_| reads)
        .map(|address| format!("git clone {}", address.replacen("://", "://x-token-auth@", 1)));
    let name = minted.credential.name.to_string();
    MadeTokenPage {
        frame: place.frame.titled(name.clone()),
        name,
        bound_to: place.bound_to,
        replaced: String::new(),
        secret: minted.token.secret().expose().to_owned(),
        expires: minted.credential.expires_on.map(|time| Moment::of(time, now(cx))),
        able,
        clone,
        ask: "the token",
        curl_note: "The token is read from the terminal, so that it stays out of the shell's history.",
        curl: Some(format!(
            "read -rsp 'Token: ' TOKEN; curl -H @- {base}{} <<< \"Authorization: Bearer $TOKEN\"",
            place.told_at
        )),
        list: place.list,
    }
}

fn id(cx: &Cx) -> Result<CredentialId> {
    cx.param("uuid").parse().map_err(|_| Error::not_found("the access token"))
}

/// `GET …/settings/access-tokens/{uuid}`: one token, and what stops working with it.
///
/// # Errors
/// When the caller does not administer the resource, or it has no such token.
pub async fn get(cx: Cx) -> Result<Response> {
    let place = Place::of(&cx).await?;
    token_page(&cx, place, "", StatusCode::OK).await
}

async fn token_page(cx: &Cx, place: Place, error: &str, status: StatusCode) -> Result<Response> {
    let service = cx.service()?;
    let token = service.access_token(&cx.caller, &place.on, id(cx)?).await?;
    let abilities = service.token_abilities(&cx.caller, &place.on, &token.scopes.names()).await?;
    let Some(row) = rows(cx, &place, &[token]).await?.pop() else {
        return Err(Error::not_found("the access token"));
    };
    let choices = [
        ("0", "Ends at once"),
        ("3600", "An hour more"),
        ("86400", "A day more"),
        ("604800", "A week more"),
        ("2592000", "30 days more"),
    ];
    let rotate = format!("{}/rotate", row.href);
    let shown = TokenPage {
        able: told(&abilities).able,
        overlap: Field::line("overlap_seconds", "The old token")
            .kind(Kind::Choice(choices.map(|(value, text)| (value.to_owned(), text.to_owned())).to_vec()))
            .value("86400"),
        error: error.to_owned(),
        rotate_token: form::token(cx, &rotate),
        revoke_token: form::token(cx, &row.href),
        rotate,
        frame: place.frame.titled(row.name.clone()),
        bound_to: place.bound_to,
        list: place.list,
        token: row,
    };
    page(status, &shown)
}

/// `POST …/settings/access-tokens/{uuid}/rotate`: makes a successor. Its page is the one answer that holds the secret.
///
/// # Errors
/// When the caller does not administer the resource, or it has no such token.
pub async fn rotate(cx: Cx, form: Parameters) -> Result<Response> {
    let place = Place::of(&cx).await?;
    let service = cx.service()?;
    let overlap = form.get("overlap_seconds")?.unwrap_or_default();
    let overlap: u32 =
        overlap.parse().map_err(|_| Error::invalid_field("overlap_seconds", "use a number of seconds"))?;
    match service.rotate_access_token(&cx.caller, &place.on, id(&cx)?, overlap, None).await {
        Ok(minted) => {
            let names = minted.credential.scopes.names();
            let abilities = service.token_abilities(&cx.caller, &place.on, &names).await?;
            let end = Moment::of(now(&cx).plus_seconds(overlap.into()), now(&cx));
            let replaced = match overlap {
                0 => "The old token has ended.".to_owned(),
                _ => format!("The old token ends {} ({}).", end.text, end.exact),
            };
            let made = MadeTokenPage { replaced, ..made_page(&cx, place, &minted, told(&abilities).able) };
            page(StatusCode::CREATED, &made)
        }
        Err(error @ (Error::Invalid { .. } | Error::Conflict(_))) => {
            token_page(&cx, place, &sentence(&error.to_string()), StatusCode::BAD_REQUEST).await
        }
        Err(error) => Err(error),
    }
}

/// `POST …/settings/access-tokens/{uuid}`: revokes it.
///
/// # Errors
/// When the caller does not administer the resource, or it has no such token.
pub async fn revoke(cx: Cx, _: Parameters) -> Result<Response> {
    let (id, place) = (id(&cx)?, Place::of(&cx).await?);
    cx.service()?.revoke_access_token(&cx.caller, &place.on, id).await?;
    see_other(&place.list)
}
