//! `bastide admin break-glass`: asks for it in an administrator's name, shows it, ends it. It is given by another
//! administrator, over REST.

use axum::http::Method;
use clap::Subcommand;
use model::Result;
use serde_json::{Value, json};

use super::admin::{ask, every, segment, text};
use super::client::Client;
use super::installation::Place;
use super::output::Output;

/// The commands below `admin break-glass`.
#[derive(Subcommand)]
pub(super) enum BreakGlass {
    /// Ask that an administrator may read in a workspace for a few hours; its owners are told
    Request {
        #[command(flatten)]
        place: Place,
        /// The workspace
        workspace: String,
        /// The administrator whom it is for
        #[arg(long = "for", value_name = "USERNAME")]
        username: String,
        /// Why: the workspace's owners read it
        #[arg(long)]
        reason: String,
        /// For how many hours, 1 to 12
        #[arg(long, default_value_t = 1)]
        hours: u8,
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// List what was asked for, the newest first
    List {
        #[command(flatten)]
        place: Place,
        /// The workspace; all of them without one
        workspace: Option<String>,
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// End it, or refuse it before it was given
    End {
        #[command(flatten)]
        place: Place,
        /// The workspace
        workspace: String,
        /// Its id
        uuid: String,
    },
}

/// Runs the command.
pub(super) async fn run(command: BreakGlass) -> Result<()> {
    let output = Output::new();
    match command {
        BreakGlass::Request { place, workspace, username, reason, hours, json } => {
            let body = json!({ "reason": reason, "hours": hours, "username": username });
            let path = format!("/api/workspaces/{}/break-glass", segment(&workspace)?);
            show(&output, &ask(&place, Method::POST, &path, Some(&body)).await?, json)
        }
        BreakGlass::List { place, workspace, json } => {
            let path = match workspace {
                Some(workspace) => format!("/api/workspaces/{}/break-glass", segment(&workspace)?),
                None => "/api/break-glass".to_owned(),
            };
            let client = Client::connect(&place.find()?).await?;
            let found = every(&client, &path).await;
            client.close().await?;
            found?.iter().try_for_each(|one| show(&output, one, json))
        }
        BreakGlass::End { place, workspace, uuid } => {
            let path = format!("/api/workspaces/{}/break-glass/{}", segment(&workspace)?, segment(&uuid)?);
            ask(&place, Method::DELETE, &path, None).await?;
            output.line("ended: it opens nothing from the next request on")
        }
    }
}

fn show(output: &Output, one: &Value, json: bool) -> Result<()> {
    if json {
        return output.json(one);
    }
    let state = match (text(one, "state"), text(one, "approved_by")) {
        ("in-force", "") => "in force, as there was nobody else to give it".to_owned(),
        ("in-force", by) => format!("in force, given by {by}"),
        ("requested", _) => "waits for another administrator".to_owned(),
        (state, _) => state.to_owned(),
    };
    output.line(format_args!(
        "{}  {}  {}  {state}, until {}: {}",
        text(one, "uuid"),
        text(one, "workspace"),
        text(one, "username"),
        text(one, "expires_on"),
        text(one, "reason"),
    ))
}
