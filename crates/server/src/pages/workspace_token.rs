//! All access tokens of a workspace: found, looked at, and several revoked at once.

use axum::http::StatusCode;
use model::{CredentialId, CredentialKind, Result, Timestamp};
use pages::form::{Field, Kind};
use pages::measure::{Moment, count};
use pages::workspace_token::{
    AdviceShown, AnyTokenRow, RevokeTokensPage, RevokedRow, RevokedTokensPage, WorkspaceTokensPage,
};
use service::{Advice, Revocation, Selected, WORKSPACE_TOKEN_FIELDS, Window, WorkspaceToken};
use wire::Parameters;

use super::error::sentence;
use super::settings::{self, Section};
use super::{ROWS, form, now, numbered, page, project, turned};
use crate::api::workspace_token::{SCOPES, reason, told};
use crate::http::{Cx, Response};

/// All there are: what is asked for by advice is chosen among them here.
const ALL: Window = Window { limit: 100_000, offset: 0 };
/// The longest text that is looked for, in characters.
const LONGEST_QUERY: usize = 100;

/// What may be asked for by advice: its code in the interface, and in words.
const ADVICE: [(&str, &str); 5] = [
    ("unused", "Unused"),
    ("over-broad", "Over-broad"),
    ("no-end", "No end"),
    ("ends-soon", "Ends soon"),
    ("creator-gone", "Creator gone"),
];

fn advice(one: &Advice) -> (&'static str, AdviceShown) {
    let shape = told(one.clone());
    let (code, word) = ADVICE.into_iter().find(|(code, _)| *code == shape.code).unwrap_or(("", "Look"));
    let scopes = match shape.scopes.is_empty() {
        true => String::new(),
        false => format!(" ({})", shape.scopes.join(", ")),
    };
    (code, AdviceShown { word, text: format!("{}{scopes}", shape.text) })
}

/// The page of the tokens that are bound to the same.
fn place(resource: &str) -> String {
    let (kind, rest) = resource.split_once(':').unwrap_or((resource, ""));
    let (workspace, name) = rest.split_once('/').unwrap_or((rest, ""));
    match kind {
        "repository" => pages::address::of(&[workspace, name, "settings", "access-tokens"]),
        "project" => format!("{}/settings/access-tokens", project::address(workspace, name)),
        _ => settings::address(workspace, "access-tokens"),
    }
}

fn row(token: &WorkspaceToken, now: Timestamp) -> AnyTokenRow {
    let credential = &token.credential;
    AnyTokenRow {
        id: credential.id.to_string(),
        name: credential.name.to_string(),
        href: place(&token.resource),
        resource: token.resource.replacen(':', " ", 1),
        scopes: credential.scopes.names(),
        creator: token.creator.clone().unwrap_or_default(),
        last_used: credential.last_used_on.map(|time| Moment::of(time, now)),
        expires: credential.expires_on.map(|time| Moment::of(time, now)),
        advice: token.advice.iter().map(|one| advice(one).1).collect(),
    }
}

/// What is asked for.
struct Asked {
    text: String,
    kind: String,
    advice: String,
}

impl Asked {
    fn of(cx: &Cx) -> Result<Self> {
        let text = |name: &str| cx.query.get(name).map(|value| value.unwrap_or_default().trim().to_owned());
        let query = text("q")?.chars().take(LONGEST_QUERY).collect();
        Ok(Self { text: query, kind: text("kind")?, advice: text("advice")? })
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.kind.is_empty() && self.advice.is_empty()
    }

    fn fits(&self, token: &WorkspaceToken) -> bool {
        let kind = self.kind.is_empty() || token.credential.kind.name() == self.kind;
        kind && (self.advice.is_empty() || token.advice.iter().any(|one| advice(one).0 == self.advice))
    }

    fn selected(&self) -> Result<Selected> {
        let mut filter = None;
        if !self.text.is_empty() {
            let plain: String =
                self.text.chars().filter(|c| !matches!(c, '"' | '\\') && !c.is_control()).collect();
            let fields =
                ["name", "resource", "creator", "scopes"].map(|field| format!("{field} ~ \"{plain}\""));
            let parsed = wire::query::parse(&fields.join(" OR "))?;
            filter = Some(wire::query::check(&parsed, &WORKSPACE_TOKEN_FIELDS)?);
        }
        Ok(Selected { filter, sort: None, window: ALL })
    }

    fn fields(&self) -> Vec<Field> {
        let mut kinds = vec![(String::new(), "Any".to_owned())];
        let access = CredentialKind::ALL.iter().filter(|kind| kind.is_access_token());
        kinds.extend(access.map(|kind| (kind.name().to_owned(), kind.title().to_owned())));
        let mut advices = vec![(String::new(), "Anything or nothing".to_owned())];
        advices.extend(ADVICE.map(|(code, word)| (code.to_owned(), word.to_owned())));
        let fields = [
            Field::line("q", "Name, scope, creator or place").value(&self.text),
            Field::line("kind", "Kind").kind(Kind::Choice(kinds)).value(&self.kind),
            Field::line("advice", "Look at").kind(Kind::Choice(advices)).value(&self.advice),
        ];
        fields.into_iter().map(|field| Field { required: false, unmarked: true, ..field }).collect()
    }
}

async fn found(cx: &Cx, slug: &str, asked: &Asked) -> Result<Vec<WorkspaceToken>> {
    let all = cx.service()?.workspace_tokens(&cx.caller, slug, &SCOPES, asked.selected()?).await?;
    Ok(all.values.into_iter().filter(|token| asked.fits(token)).collect())
}

async fn shown(cx: &Cx, error: String) -> Result<Response> {
    let slug = settings::slug(cx).await?;
    let (asked, (number, window)) = (Asked::of(cx)?, numbered(cx, ROWS)?);
    let (all, now) = (found(cx, &slug, &asked).await?, now(cx));
    let skip = usize::try_from(window.offset).unwrap_or(usize::MAX);
    let rows: Vec<_> =
        all.iter().skip(skip).take(usize::try_from(ROWS).unwrap_or(0)).map(|token| row(token, now)).collect();
    let action = settings::address(&slug, "tokens");
    let status = if error.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let shown = WorkspaceTokensPage {
        frame: settings::workspace(cx, &slug, "All tokens", Section::Tokens).await,
        error,
        fields: asked.fields(),
        filtered: !asked.is_empty(),
        new: settings::address(&slug, "access-tokens/new"),
        pages: turned(cx, &action, number, ROWS, rows.len(), i64::try_from(all.len()).ok()),
        tokens: rows,
        form_token: form::token(cx, &action),
        action,
        workspace: slug,
    };
    page(status, &shown)
}

/// `GET /{workspace}/workspace/settings/tokens`
///
/// # Errors
/// When the caller does not administer the workspace.
pub async fn list(cx: Cx) -> Result<Response> {
    shown(&cx, String::new()).await
}

/// `POST /{workspace}/workspace/settings/tokens`: asks once more about the chosen ones, or revokes them and tells what
/// became of each.
///
/// # Errors
/// When the caller does not administer the workspace.
pub async fn revoke(cx: Cx, form: Parameters) -> Result<Response> {
    let slug = settings::slug(&cx).await?;
    let ids: Vec<CredentialId> = form.all("token").filter_map(|text| text.parse().ok()).collect();
    if ids.is_empty() {
        return shown(&cx, "choose at least one token first.".to_owned()).await;
    }
    let (now, action) = (now(&cx), settings::address(&slug, "tokens"));
    let everything = Asked { text: String::new(), kind: String::new(), advice: String::new() };
    let all = found(&cx, &slug, &everything).await?;
    let frame = settings::workspace(&cx, &slug, "Revoke tokens", Section::Tokens).await;
    if form.get("do")? != Some("revoke") {
        let chosen = all.iter().filter(|token| ids.contains(&token.credential.id));
        let tokens: Vec<_> = chosen.map(|token| row(token, now)).collect();
        if tokens.is_empty() {
            return shown(&cx, "those tokens are not there any more.".to_owned()).await;
        }
        let form_token = form::token(&cx, &action);
        return page(StatusCode::OK, &RevokeTokensPage { frame, tokens, action, form_token });
    }
    let done = cx.service()?.revoke_workspace_tokens(&cx.caller, &slug, &ids).await?;
    let rows: Vec<RevokedRow> = done
        .iter()
        .map(|(id, revocation)| {
            let known = all.iter().find(|token| token.credential.id == *id);
            let (text, failed) = match revocation {
                Revocation::Done => ("Revoked".to_owned(), false),
                Revocation::Gone => ("It was not there any more".to_owned(), false),
                Revocation::Failed(error) => (sentence(&reason(&cx, error)), true),
            };
            RevokedRow {
                name: known.map_or_else(|| id.to_string(), |token| token.credential.name.to_string()),
                resource: known.map(|token| token.resource.replacen(':', " ", 1)).unwrap_or_default(),
                text,
                failed,
            }
        })
        .collect();
    let number =
        |wanted: bool| u64::try_from(rows.iter().filter(|row| row.failed == wanted).count()).unwrap_or(0);
    let (failed, ended) = (number(true), number(false));
    let mut summary = format!("{} no longer.", count(ended, "token works", "tokens work"));
    if failed > 0 {
        summary = format!("{summary} {} still.", count(failed, "token works", "tokens work"));
    }
    let tokens = rows;
    page(StatusCode::OK, &RevokedTokensPage { frame, summary, failed: failed > 0, tokens, list: action })
}
