//! `bastide admin`: the first administrator, and small conveniences over the same interface that everybody uses.

use std::path::PathBuf;

use axum::http::Method;
use clap::{Args, Subcommand};
use model::{Error, Result};
use serde_json::{Map, Value, json};

use super::Verdict;
use super::client::Client;
use super::installation::{Place, secret_file};
use super::output::Output;

/// The commands below `admin`.
#[derive(Subcommand)]
pub(super) enum Admin {
    /// Make the first administrator, and print their API token once
    Init(Init),
    /// Manage users
    #[command(subcommand)]
    User(User),
    /// List and revoke access tokens
    #[command(subcommand)]
    Token(Token),
    /// Make a link by which a user sets a new password; good once, for an hour
    ResetLink {
        #[command(flatten)]
        place: Place,
        /// For whom
        username: String,
    },
    /// Let an administrator read in a workspace for a few hours, for a reason that its owners are told
    #[command(subcommand)]
    BreakGlass(super::break_glass::BreakGlass),
    /// See whether mail leaves
    #[command(subcommand)]
    Mail(super::mail::Mail),
    /// See guardrails, and switch them off when they lock everybody out
    #[command(subcommand)]
    Guardrails(Guardrails),
    /// Identity tokens of pipelines
    #[command(subcommand)]
    IdentityTokens(super::identity_token::IdentityTokens),
}

/// The commands below `admin guardrails`.
#[derive(Subcommand)]
pub(super) enum Guardrails {
    /// Show what holds in a workspace, or what the instance asks of all
    Show {
        #[command(flatten)]
        place: Place,
        /// The workspace; the instance's own without one
        workspace: Option<String>,
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Switch every guardrail and own rule of a workspace off, or of the instance; nothing that was set is lost
    Reset {
        #[command(flatten)]
        place: Place,
        /// The workspace
        #[arg(required_unless_present = "instance")]
        workspace: Option<String>,
        /// The instance's own instead
        #[arg(long, conflicts_with = "workspace")]
        instance: bool,
    },
}

/// Who a new user is.
#[derive(Args)]
pub(super) struct Person {
    /// The name for signing in; never given twice
    #[arg(long)]
    username: String,
    /// Where mail goes
    #[arg(long)]
    email: String,
    /// The name that people read; the username where none is given
    #[arg(long)]
    display_name: Option<String>,
    /// A file with the first password; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// The flags of `admin init`.
#[derive(Args)]
pub(super) struct Init {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    person: Person,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// The commands below `admin user`.
#[derive(Subcommand)]
pub(super) enum User {
    /// Make a user
    Add {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        person: Person,
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// List users
    List {
        #[command(flatten)]
        place: Place,
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Change a user
    Set {
        #[command(flatten)]
        place: Place,
        /// Whom
        username: String,
        /// Whether the account may be used
        #[arg(long)]
        active: Option<bool>,
        /// none, auditor or administrator
        #[arg(long)]
        staff_role: Option<String>,
        /// A file with a new password; `-` reads standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
}

/// The commands below `admin token`.
#[derive(Subcommand)]
pub(super) enum Token {
    /// List the access tokens of a repository, project or workspace
    List {
        #[command(flatten)]
        place: Place,
        /// repository:acme/one, project:acme/CORE or workspace:acme
        #[arg(long)]
        on: String,
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke an access token, from the next request on
    Revoke {
        #[command(flatten)]
        place: Place,
        /// repository:acme/one, project:acme/CORE or workspace:acme
        #[arg(long)]
        on: String,
        /// Its id
        uuid: String,
    },
}

/// Runs the command.
pub(super) async fn run(admin: Admin) -> Result<Verdict> {
    match admin {
        Admin::Init(init) => run_init(init).await,
        Admin::User(user) => run_user(user).await,
        Admin::Token(token) => run_token(token).await,
        Admin::ResetLink { place, username } => run_reset_link(&place, &username).await,
        Admin::BreakGlass(command) => super::break_glass::run(command).await,
        Admin::Mail(mail) => super::mail::run(mail).await,
        Admin::Guardrails(guardrails) => run_guardrails(guardrails).await,
        Admin::IdentityTokens(command) => super::identity_token::run(command).await,
    }?;
    Ok(Verdict::Good)
}

impl Person {
    fn body(&self) -> Result<Value> {
        let mut body = Map::new();
        body.insert("username".to_owned(), json!(self.username));
        body.insert("email".to_owned(), json!(self.email));
        if let Some(name) = &self.display_name {
            body.insert("display_name".to_owned(), json!(name));
        }
        if let Some(file) = &self.password_file {
            body.insert("password".to_owned(), json!(secret_file(file)?.expose()));
        }
        Ok(Value::Object(body))
    }
}

async fn run_reset_link(place: &Place, username: &str) -> Result<()> {
    let username: model::Username = username.parse().map_err(|_| {
        Error::invalid(format!("`{username}` is no username: give the name that they sign in with"))
    })?;
    let made = ask(place, Method::POST, &format!("/api/users/{username}/reset-link"), None).await?;
    Output::new().line(text(&made, "address"))
}

/// One request over a connection of its own.
pub(super) async fn ask(place: &Place, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
    let client = Client::connect(&place.find()?).await?;
    let answered = match client.send(method, path, body).await {
        Ok(answer) => answer.json(),
        Err(error) => Err(error),
    };
    client.close().await?;
    answered
}

/// Every value of a list, page after page.
pub(super) async fn every(client: &Client, path: &str) -> Result<Vec<Value>> {
    let mut values = Vec::new();
    for page in 1_u32.. {
        let page = client.get(path, &[("pagelen", "100"), ("page", &page.to_string())]).await?.json()?;
        if let Some(more) = page.get("values").and_then(Value::as_array) {
            values.extend(more.iter().cloned());
        }
        if page.get("next").is_none() {
            break;
        }
    }
    Ok(values)
}

pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

async fn run_init(init: Init) -> Result<()> {
    let body = init.person.body()?;
    let made = ask(&init.place, Method::POST, "/api/operator/init", Some(&body)).await?;
    let output = Output::new();
    if init.json {
        return output.json(&made);
    }
    let (username, email) = (text(&made, "username"), text(&made, "email"));
    output.line(format_args!("The first administrator is {} <{email}>.", output.strong(username)))?;
    output.gap()?;
    output.line("Their API token, shown this once; it holds every scope and does not expire:")?;
    output.gap()?;
    output.line(format_args!("    {}", text(&made, "api_token")))?;
    output.gap()?;
    output.line("With it, once the server runs:")?;
    output.gap()?;
    let command = format!("    curl --user \"{email}:$TOKEN\" http://127.0.0.1:7990/api/workspaces");
    output.line(output.typed("    export TOKEN=…"))?;
    output.line(output.typed(command))
}

async fn run_user(user: User) -> Result<()> {
    let output = Output::new();
    match user {
        User::Add { place, person, json } => {
            let made = ask(&place, Method::POST, "/api/users", Some(&person.body()?)).await?;
            show_user(&output, &made, json)
        }
        User::List { place, json } => {
            let client = Client::connect(&place.find()?).await?;
            let users = every(&client, "/api/users").await;
            client.close().await?;
            for user in users? {
                show_user(&output, &user, json)?;
            }
            Ok(())
        }
        User::Set { place, username, active, staff_role, password_file, json } => {
            let mut change = Map::new();
            change.extend(active.map(|active| ("active".to_owned(), json!(active))));
            change.extend(staff_role.map(|role| ("staff_role".to_owned(), json!(role))));
            if let Some(file) = password_file {
                change.insert("password".to_owned(), json!(secret_file(&file)?.expose()));
            }
            if change.is_empty() {
                return Err(Error::invalid("name what to change: --active, --staff-role or --password-file"));
            }
            let path = format!("/api/users/{}", segment(&username)?);
            let changed = ask(&place, Method::PUT, &path, Some(&Value::Object(change))).await?;
            show_user(&output, &changed, json)
        }
    }
}

fn show_user(output: &Output, user: &Value, json: bool) -> Result<()> {
    if json {
        return output.json(user);
    }
    let active = user.get("active").and_then(Value::as_bool).unwrap_or(false);
    let state = if active { "active" } else { "inactive" };
    output.line(format_args!(
        "{:<24} {:<9} {:<14} {} <{}>",
        text(user, "username"),
        state,
        text(user, "staff_role"),
        text(user, "display_name"),
        text(user, "email"),
    ))
}

async fn run_token(token: Token) -> Result<()> {
    let output = Output::new();
    match token {
        Token::List { place, on, json } => {
            let path = tokens_of(&on)?;
            let client = Client::connect(&place.find()?).await?;
            let tokens = every(&client, &path).await;
            client.close().await?;
            for token in tokens? {
                if json {
                    output.json(&token)?;
                    continue;
                }
                let scopes = token.get("scopes").and_then(Value::as_array).into_iter().flatten();
                let scopes: Vec<&str> = scopes.filter_map(Value::as_str).collect();
                let expires = token.get("expires_on").and_then(Value::as_str).unwrap_or("never");
                output.line(format_args!(
                    "{}  {}  {}  expires {expires}",
                    text(&token, "uuid"),
                    text(&token, "name"),
                    scopes.join(" "),
                ))?;
            }
            Ok(())
        }
        Token::Revoke { place, on, uuid } => {
            let path = format!("{}/{}", tokens_of(&on)?, segment(&uuid)?);
            ask(&place, Method::DELETE, &path, None).await?;
            output.line("revoked: it opens nothing from the next request on")
        }
    }
}

async fn run_guardrails(guardrails: Guardrails) -> Result<()> {
    let output = Output::new();
    match guardrails {
        Guardrails::Show { place, workspace, json } => {
            let path = match &workspace {
                Some(workspace) => format!("/api/workspaces/{}/guardrails", segment(workspace)?),
                None => "/api/guardrails".to_owned(),
            };
            let shown = ask(&place, Method::GET, &path, None).await?;
            match json {
                true => output.json(&shown),
                false => show_guardrails(&output, &shown),
            }
        }
        Guardrails::Reset { place, workspace, .. } => {
            let path = match &workspace {
                Some(workspace) => {
                    format!("/api/operator/workspaces/{}/guardrails/reset", segment(workspace)?)
                }
                None => "/api/operator/guardrails/reset".to_owned(),
            };
            ask(&place, Method::POST, &path, None).await?;
            output.line("every guardrail is off from the next request on; what was set is kept")
        }
    }
}

/// One line for each guardrail: its mode, and what goes with it.
fn show_guardrails(output: &Output, shown: &Value) -> Result<()> {
    let names = [
        "ip_allowlist",
        "second_step",
        "private_only",
        "no_forks_outside",
        "credential_lifetime",
        "credential_kinds",
        "identity_provider",
    ];
    let list =
        |value: &Value, field: &str| value.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    for name in names {
        let Some(one) = shown.get(name) else { continue };
        let floor =
            shown.get("floor").and_then(|floor| floor.get(name)).map_or("off", |floor| text(floor, "mode"));
        let floor = if floor == "off" { String::new() } else { format!("  (the instance: {floor})") };
        let with = match name {
            "ip_allowlist" => list(one, "ranges").iter().map(|line| text(line, "range").to_owned()).collect(),
            "credential_kinds" => {
                list(one, "kinds").iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            "credential_lifetime" => {
                let days = one.get("days").and_then(Value::as_i64).filter(|days| *days > 0);
                days.map(|days| format!("{days} days")).into_iter().collect()
            }
            _ => Vec::new(),
        };
        output.line(format_args!("{:<20} {:<7} {}{floor}", name, text(one, "mode"), with.join(" ")))?;
    }
    for rule in list(shown, "own_rules") {
        output.line(format_args!(
            "{:<20} {:<7} {}",
            text(&rule, "name"),
            text(&rule, "mode"),
            text(&rule, "description")
        ))?;
    }
    Ok(())
}

/// A name as one segment of a path. None of ours needs encoding but the braces of an id.
pub(super) fn segment(name: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '{' | '}' | '~');
    match !matches!(name, "" | "." | "..") && name.chars().all(plain) {
        true => Ok(name.replace('{', "%7B").replace('}', "%7D")),
        false => Err(Error::invalid(format!("`{name}` is not a name that is used here"))),
    }
}

fn tokens_of(on: &str) -> Result<String> {
    let odd = || Error::invalid("write --on as repository:acme/one, project:acme/CORE or workspace:acme");
    let (kind, name) = on.split_once(':').ok_or_else(odd)?;
    match (kind, name.split_once('/')) {
        ("repository", Some((workspace, slug))) => {
            Ok(format!("/api/repositories/{}/{}/access-tokens", segment(workspace)?, segment(slug)?))
        }
        ("project", Some((workspace, key))) => {
            Ok(format!("/api/workspaces/{}/projects/{}/access-tokens", segment(workspace)?, segment(key)?))
        }
        ("workspace", None) => Ok(format!("/api/workspaces/{}/access-tokens", segment(name)?)),
        _ => Err(odd()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_of_tokens_is_read() {
        assert_eq!(tokens_of("repository:acme/one").unwrap(), "/api/repositories/acme/one/access-tokens");
        assert_eq!(tokens_of("workspace:acme").unwrap(), "/api/workspaces/acme/access-tokens");
        for odd in ["acme", "repository:acme", "workspace:acme/one", "project:../x", "repository:a/b/c"] {
            assert!(tokens_of(odd).is_err(), "{odd}");
        }
    }
}
