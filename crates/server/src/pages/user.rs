//! Accounts, for those who manage them: found, looked at, approved, switched off and on, let in again by a link.

use axum::http::StatusCode;
use model::{Error, ManagedUser, Result, Timestamp, UserState};
use pages::address;
use pages::form::{Field, Kind};
use pages::frame::Way;
use pages::measure::Moment;
use pages::principal::Known;
use pages::user::{Button, Decided, ResetLinkPage, State, UserPage, UserRow, UsersPage, role_words};
use service::{UserChange, UserQuery};
use wire::Parameters;

use super::error::sentence;
use super::settings::{self, InstanceSection};
use super::{ROWS, form, now, numbered, page, see_other, turned};
use crate::http::{Cx, Response};

const LIST: &str = "/-/users";
/// The longest text that is looked for, in characters.
const LONGEST_QUERY: usize = 100;

/// What may be chosen, in words.
fn choice(state: UserState) -> &'static str {
    match state {
        UserState::Active => "Active",
        UserState::Waiting => "Wait for approval",
        UserState::Inactive => "Switched off",
        UserState::Staff => "Run the instance",
    }
}

fn of(username: &str, part: &str) -> String {
    let mut parts = vec!["-", "users", username];
    parts.extend((!part.is_empty()).then_some(part));
    address::of(&parts)
}

fn button(cx: &Cx, action: String) -> Button {
    Button { form_token: form::token(cx, &action), action }
}

fn row(cx: &Cx, found: &ManagedUser, now: Timestamp) -> UserRow {
    let (user, username) = (&found.user, found.user.username.as_str());
    let this = cx.caller.as_user().is_some_and(|own| own.id == user.id);
    let state = match (user.active, user.approved) {
        (false, _) => State::Inactive,
        (true, false) => State::Waiting,
        (true, true) => State::Active,
    };
    let waits = state == State::Waiting && !this;
    UserRow {
        href: of(username, ""),
        approve: waits.then(|| button(cx, of(username, "approval"))),
        username: username.to_owned(),
        display_name: user.display_name.to_string(),
        email: user.email.to_string(),
        state,
        role: role_words(user.staff_role.as_str()),
        second_step: user.second_step,
        signed_in: found.signed_in_on.map(|time| Moment::of(time, now)),
        created: Moment::of(user.created_on, now),
        this,
    }
}

/// `GET /-/users`
///
/// # Errors
/// When the caller does not manage users.
pub async fn list(cx: Cx) -> Result<Response> {
    let told = |name: &str| cx.query.get(name).map(|text| text.unwrap_or_default().trim());
    let text: String = told("q")?.chars().take(LONGEST_QUERY).collect();
    let state =
        UserState::ALL.into_iter().find(|state| told("state").is_ok_and(|word| word == state.as_str()));
    let (number, window) = numbered(&cx, ROWS)?;
    let query = UserQuery { state, text: text.clone() };
    let found = cx.service()?.users(&cx.caller, query, window).await?;
    let now = now(&cx);
    let at = |word: &str| {
        let base = if word.is_empty() { LIST.to_owned() } else { address::with_query(LIST, "state", word) };
        if text.is_empty() { base } else { address::with_query(&base, "q", &text) }
    };
    let mut choices = vec![Way::new("All", at("")).here(state.is_none())];
    choices.extend(
        UserState::ALL
            .into_iter()
            .map(|one| Way::new(choice(one), at(one.as_str())).here(state == Some(one))),
    );
    let shown = UsersPage {
        frame: settings::instance(&cx, "Accounts", InstanceSection::Accounts).await,
        choices,
        state: state.map_or("", UserState::as_str).to_owned(),
        field: Field {
            required: false,
            unmarked: true,
            ..Field::line("q", "Username, name or address").kind(Kind::Line("search")).value(&text)
        },
        filtered: !text.is_empty(),
        users: found.values.iter().map(|one| row(&cx, one, now)).collect(),
        pages: turned(&cx, LIST, number, ROWS, found.values.len(), found.size),
    };
    page(StatusCode::OK, &shown)
}

async fn shown(cx: &Cx, error: String) -> Result<Response> {
    let found = cx.service()?.inspect_user(&cx.caller, cx.param("username")).await?;
    let (username, now) = (found.user.username.as_str(), now(cx));
    let decided =
        |(by, on): &(String, Timestamp)| Decided { by: Known::principal(by), on: Moment::of(*on, now) };
    let status = if error.is_empty() { StatusCode::OK } else { StatusCode::CONFLICT };
    let shown = UserPage {
        frame: settings::instance(cx, found.user.display_name.as_str(), InstanceSection::Accounts).await,
        error,
        row: row(cx, &found, now),
        approved: found.user.approved,
        approval: found.approval.as_ref().map(decided),
        approve: button(cx, of(username, "approval")),
        update: button(cx, of(username, "")),
        reset: button(cx, of(username, "reset-link")),
    };
    page(status, &shown)
}

/// `GET /-/users/{username}`
///
/// # Errors
/// When the caller does not manage users, or there is none of this name.
pub async fn get(cx: Cx) -> Result<Response> {
    shown(&cx, String::new()).await
}

/// What became of a change: the page of the account, or the list where the form stood there. What does not go as things
/// are is told on the page.
async fn answered<T>(cx: &Cx, form: &Parameters, done: Result<T>) -> Result<Response> {
    match done {
        Ok(_) if form.get("from")? == Some("list") => {
            see_other(&address::with_query(LIST, "state", UserState::Waiting.as_str()))
        }
        Ok(_) => see_other(&of(cx.param("username"), "")),
        Err(error @ Error::Conflict(_)) => shown(cx, sentence(&error.to_string())).await,
        Err(error) => Err(error),
    }
}

/// `POST /-/users/{username}/approval`: approves an account, or takes the approval back.
///
/// # Errors
/// When the caller may not, or has not just proved who they are.
pub async fn approve(cx: Cx, form: Parameters) -> Result<Response> {
    let approved = form.get("do")? != Some("withdraw");
    let done = cx.service()?.approve_user(&cx.caller, cx.param("username"), approved).await;
    answered(&cx, &form, done).await
}

/// `POST /-/users/{username}`: switches an account off or on.
///
/// # Errors
/// When the caller may not, or has not just proved who they are.
pub async fn update(cx: Cx, form: Parameters) -> Result<Response> {
    let active = match form.get("do")? {
        Some("switch-on") => true,
        Some("switch-off") => false,
        _ => return Err(Error::invalid("the form does not say what to do: load the page again")),
    };
    let change = UserChange { active: Some(active), ..UserChange::default() };
    let done = cx.service()?.update_user(&cx.caller, cx.param("username"), change).await;
    answered(&cx, &form, done).await
}

/// `POST /-/users/{username}/reset-link`: the one answer that holds the link.
///
/// # Errors
/// When the caller may not, or has not just proved who they are.
pub async fn make_reset_link(cx: Cx, form: Parameters) -> Result<Response> {
    let username = cx.param("username");
    let link = match cx.service()?.make_reset_link(&cx.caller, username).await {
        Ok(link) => link,
        Err(error) => return answered::<()>(&cx, &form, Err(error)).await,
    };
    let user = cx.service()?.inspect_user(&cx.caller, username).await?.user;
    let made = ResetLinkPage {
        frame: settings::instance(&cx, "A reset link", InstanceSection::Accounts).await,
        display_name: user.display_name.to_string(),
        address: link.address.expose().to_owned(),
        expires: Moment::of(link.expires_on, now(&cx)),
        user: of(user.username.as_str(), ""),
    };
    page(StatusCode::CREATED, &made)
}
