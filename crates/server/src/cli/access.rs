//! `bastide access`: who may do what, and why; and the proof that the access model keeps its promises.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use model::Result;
use serde_json::{Value, json};

use super::Verdict;
use super::admin::text;
use super::client::Client;
use super::installation::Place;
use super::output::Output;

/// The commands below `access`.
#[derive(Subcommand)]
pub(super) enum Access {
    /// Whether somebody may do something, and why
    Explain(Explain),
    /// Everybody who may do something, and how they come by it
    WhoCan(WhoCan),
    /// Prove the invariants of the access model, over every question there can be
    Prove(Prove),
}

/// The flags of `access explain`.
#[derive(Args)]
pub(super) struct Explain {
    #[command(flatten)]
    place: Place,
    /// user:ann, group:acme/devs, access-token:{uuid} or anonymous
    #[arg(long)]
    principal: String,
    /// Such as repository.write: docs/access-matrix.txt lists them
    #[arg(long)]
    action: String,
    /// repository:acme/one, project:acme/CORE, workspace:acme, user:ann or instance
    #[arg(long)]
    resource: String,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// The flags of `access who-can`.
#[derive(Args)]
pub(super) struct WhoCan {
    #[command(flatten)]
    place: Place,
    /// Such as repository.write: docs/access-matrix.txt lists them
    #[arg(long)]
    action: String,
    /// repository:acme/one, project:acme/CORE or workspace:acme
    #[arg(long)]
    resource: String,
    /// Answer as JSON, a line each
    #[arg(long)]
    json: bool,
}

/// The flags of `access prove`.
#[derive(Args)]
pub(super) struct Prove {
    /// The solver
    #[arg(long, env = "CVC5", default_value = "cvc5", value_name = "PROGRAM")]
    solver: PathBuf,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) async fn run(access: Access) -> Result<Verdict> {
    match access {
        Access::Explain(explain) => run_explain(explain).await,
        Access::WhoCan(who_can) => run_who_can(who_can).await,
        Access::Prove(prove) => run_prove(prove).await,
    }
}

pub(super) fn sentences(answer: &Value, list: &str) -> Vec<String> {
    let values = answer.get(list).and_then(Value::as_array).into_iter().flatten();
    values.filter_map(Value::as_str).map(str::to_owned).collect()
}

async fn run_explain(explain: Explain) -> Result<Verdict> {
    let query = [
        ("principal", explain.principal.as_str()),
        ("action", explain.action.as_str()),
        ("resource", explain.resource.as_str()),
    ];
    let client = Client::connect(&explain.place.find()?).await?;
    let answered = client.get("/api/access/explain", &query).await;
    client.close().await?;
    let answer = answered?.json()?;
    let output = Output::new();
    if explain.json {
        output.json(&answer)?;
        return Ok(Verdict::Good);
    }
    let allowed = text(&answer, "decision") == "allow";
    let word = if allowed { "may" } else { "may not" };
    output.line(format_args!(
        "{} {} {} on {}",
        output.strong(&explain.principal),
        output.strong(word),
        explain.action,
        output.strong(&explain.resource)
    ))?;
    for reason in answer.get("reasons").and_then(Value::as_array).into_iter().flatten() {
        let policy = output.quiet(format_args!("({})", text(reason, "policy")));
        output.line(format_args!("  because  {} {policy}", text(reason, "text")))?;
    }
    for (at, step) in sentences(&answer, "path").iter().enumerate() {
        let lead = if at == 0 { "by way of" } else { "        →" };
        output.line(format_args!("  {lead}  {step}"))?;
    }
    Ok(Verdict::Good)
}

async fn run_who_can(who_can: WhoCan) -> Result<Verdict> {
    let client = Client::connect(&who_can.place.find()?).await?;
    let query = [("action", who_can.action.as_str()), ("resource", who_can.resource.as_str())];
    let found = super::admin::every(&client, &super::client::address("/api/access/who-can", &query)).await;
    client.close().await?;
    let able = found?;
    let output = Output::new();
    if !who_can.json && able.is_empty() {
        output.line(format_args!("nobody may {} on {}", who_can.action, who_can.resource))?;
    }
    for one in &able {
        if who_can.json {
            output.json(one)?;
            continue;
        }
        let path = sentences(one, "path").join(" → ");
        output.line(format_args!("{}  {}", output.strong(text(one, "principal")), output.quiet(path)))?;
    }
    Ok(Verdict::Good)
}

async fn run_prove(prove: Prove) -> Result<Verdict> {
    let report = service::prove_access_model(&prove.solver).await?;
    let output = Output::new();
    if prove.json {
        let refuted: Vec<_> = report.refuted().map(|line| line.name).collect();
        let missed: Vec<_> = report.missed().map(|line| line.name).collect();
        output.json(&json!({
            "holds": report.holds(), "invariants": report.invariants.len(), "refuted": refuted, "missed": missed,
        }))?;
    } else {
        output.line(report.to_string().trim_end())?;
    }
    Ok(if report.holds() { Verdict::Good } else { Verdict::Bad })
}
