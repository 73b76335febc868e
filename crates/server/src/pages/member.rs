//! The members of a workspace: listed, added, changed, removed.

use axum::http::StatusCode;
use model::{Action, Error, Member, Result, Timestamp, Username, WorkspacePermission};
use pages::form::{Field, Kind};
use pages::measure::Moment;
use pages::member::{LEVELS, MemberRow, MembersPage, RemoveMemberPage};
use service::Named;
use wire::Parameters;

use super::error::sentence;
use super::home::role;
use super::settings::{self, Section};
use super::{ROWS, form, may, now, numbered, page, see_other, turned};
use crate::http::{Cx, Response};

/// Seconds in a day.
const DAY: i64 = 86_400;

/// What was typed to add somebody, and what is wrong.
#[derive(Default)]
struct Typed {
    username: String,
    level: String,
    wrong: String,
    /// Of a change of somebody who is there.
    error: String,
}

fn remove_address(slug: &str, username: &str) -> String {
    let name = pages::address::of(&[username]);
    format!("{}{name}/remove", settings::address(slug, "members"))
}

fn row(cx: &Cx, slug: &str, member: &Member, told: Option<Option<i64>>, now: Timestamp) -> MemberRow {
    let username = member.user.username.to_string();
    let day =
        told.flatten().map(|day| Timestamp::from_micros(day.saturating_mul(DAY).saturating_mul(1_000_000)));
    MemberRow {
        remove: remove_address(slug, &username),
        display_name: member.user.display_name.to_string(),
        level: member.permission.as_str().to_owned(),
        role: role(member.permission),
        inactive: !member.user.active,
        second_step: told.map(|_| member.user.second_step),
        last_active: day.map(|day| on_day(day, now)),
        this: cx.caller.as_user().is_some_and(|user| user.id == member.user.id),
        username,
    }
}

/// A day, which is known without its hour.
fn on_day(day: Timestamp, now: Timestamp) -> Moment {
    let whole = Moment::of(day, now);
    let text = match day.day() == now.day() {
        true => "today".to_owned(),
        false => whole.text,
    };
    Moment { text, exact: whole.exact.get(..10).unwrap_or_default().to_owned(), machine: whole.machine }
}

async fn shown(cx: &Cx, typed: Typed) -> Result<Response> {
    let service = cx.service()?;
    let (number, window) = numbered(cx, ROWS)?;
    let (workspace, found) = service.members(&cx.caller, cx.param("workspace"), window).await?;
    let (slug, now) = (workspace.slug.as_str(), now(cx));
    let may_change = may(cx, Action::MemberSet, Named::Workspace(slug)).await;
    let active = match may_change {
        true => Some(service.last_active_days(&cx.caller, slug).await?),
        false => None,
    };
    let action = settings::address(slug, "members");
    let rows = found.values.iter().map(|member| {
        let label = format!("user:{}", member.user.username);
        row(cx, slug, member, active.as_ref().map(|days| days.get(&label).copied()), now)
    });
    let level = if typed.level.is_empty() { LEVELS[0].0.to_owned() } else { typed.level };
    let clean = typed.error.is_empty() && typed.wrong.is_empty();
    let page_shown = MembersPage {
        frame: settings::workspace(cx, slug, "Members", Section::Members).await,
        workspace: slug.to_owned(),
        error: typed.error,
        members: rows.collect(),
        pages: turned(cx, &action, number, ROWS, found.values.len(), found.size),
        may_change,
        fields: vec![
            Field::line("username", "Username").value(typed.username).error(typed.wrong),
            Field::line("permission", "Level").kind(Kind::choice(&LEVELS)).value(level),
        ],
        form_token: form::token(cx, &action),
        action,
    };
    page(if clean { StatusCode::OK } else { StatusCode::BAD_REQUEST }, &page_shown)
}

/// `GET /{workspace}/workspace/settings/members`
///
/// # Errors
/// When the caller may not see them.
pub async fn list(cx: Cx) -> Result<Response> {
    shown(&cx, Typed::default()).await
}

/// `POST /{workspace}/workspace/settings/members`: adds somebody, or changes their level.
///
/// # Errors
/// When the caller may not. What is wrong with the form is told in it.
pub async fn set(cx: Cx, form: Parameters) -> Result<Response> {
    let username = form.get("username")?.unwrap_or_default().trim().to_owned();
    let level = form.get("permission")?.unwrap_or_default().to_owned();
    let adds = form.get("do")? == Some("add");
    let saved = match (username.parse::<Username>(), level.parse::<WorkspacePermission>()) {
        (Ok(name), Ok(level)) => {
            cx.service()?.set_member(&cx.caller, cx.param("workspace"), &name, level).await.map(drop)
        }
        (Err(error), _) => Err(Error::invalid_field("username", error)),
        (_, Err(error)) => Err(Error::invalid_field("permission", error)),
    };
    let text = match saved {
        Ok(()) => {
            let slug = settings::slug(&cx).await;
            // Who has just given away their own level may not see the list any more.
            return see_other(
                &slug.map_or_else(|_| "/".to_owned(), |slug| settings::address(&slug, "members")),
            );
        }
        Err(Error::NotFound { .. }) => {
            "nobody has this username: an administrator of the instance makes accounts".to_owned()
        }
        Err(error @ (Error::Invalid { .. } | Error::Conflict(_))) => error.to_string(),
        Err(error) => return Err(error),
    };
    let typed = match adds {
        true => Typed { username, level, wrong: text, error: String::new() },
        false => Typed { error: sentence(&text), ..Typed::default() },
    };
    shown(&cx, typed).await
}

async fn asked(cx: &Cx, error: String) -> Result<Response> {
    let (workspace, member) =
        cx.service()?.member(&cx.caller, cx.param("workspace"), cx.param("username")).await?;
    let slug = workspace.slug.as_str();
    let username = member.user.username.to_string();
    let action = remove_address(slug, &username);
    let status = if error.is_empty() { StatusCode::OK } else { StatusCode::CONFLICT };
    let shown = RemoveMemberPage {
        frame: settings::workspace(cx, slug, "Remove a member", Section::Members).await,
        workspace: slug.to_owned(),
        display_name: member.user.display_name.to_string(),
        error,
        list: settings::address(slug, "members"),
        form_token: form::token(cx, &action),
        action,
        username,
    };
    page(status, &shown)
}

/// `GET /{workspace}/workspace/settings/members/{username}/remove`: asks once more.
///
/// # Errors
/// When the caller may not see members, or there is none of this name.
pub async fn ask(cx: Cx) -> Result<Response> {
    asked(&cx, String::new()).await
}

/// `POST /{workspace}/workspace/settings/members/{username}/remove`
///
/// # Errors
/// When the caller may not. That nobody would own the workspace any more is told in the page.
pub async fn remove(cx: Cx, _: Parameters) -> Result<Response> {
    let missing = || Error::not_found("the member");
    let username: Username = cx.param("username").parse().map_err(|_| missing())?;
    let list = settings::address(&settings::slug(&cx).await?, "members");
    let own = cx.caller.as_user().is_some_and(|user| user.username == username);
    match cx.service()?.remove_member(&cx.caller, cx.param("workspace"), &username).await {
        Ok(()) => see_other(if own { "/" } else { &list }),
        Err(error @ Error::Conflict(_)) => asked(&cx, sentence(&error.to_string())).await,
        Err(error) => Err(error),
    }
}
