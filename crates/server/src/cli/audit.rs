//! `bastide audit`: holds the trail against its ledger, and hands it out.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use model::{Clock, Error, Result};
use serde_json::Value;

use super::Verdict;
use super::access::sentences;
use super::admin::text;
use super::client::Client;
use super::installation::Place;
use super::output::Output;

/// The commands below `audit`.
#[derive(Subcommand)]
pub(super) enum Audit {
    /// Find removed, altered, reordered and inserted events; status 1 when there are any
    Verify(Verify),
    /// Print events as lines of JSON, newest first
    Export(Export),
}

/// The flags of `audit verify`.
#[derive(Args)]
pub(super) struct Verify {
    #[command(flatten)]
    place: Place,
    /// A checkpoint that was put aside before; also finds a trail that was cut off or made anew
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// The flags of `audit export`.
#[derive(Args)]
pub(super) struct Export {
    #[command(flatten)]
    place: Place,
    /// Only of this workspace
    #[arg(long)]
    workspace: Option<String>,
    /// Only by this actor, such as user:ann
    #[arg(long)]
    actor: Option<String>,
    /// Only of this action, such as repository.push
    #[arg(long)]
    action: Option<String>,
    /// Only with this outcome: done or refused
    #[arg(long)]
    outcome: Option<String>,
    /// Not before, such as 2030-01-31T12:00:00Z
    #[arg(long)]
    from: Option<String>,
    /// Before; now, where nothing is given
    #[arg(long)]
    until: Option<String>,
}

/// Runs the command.
pub(super) async fn run(audit: Audit) -> Result<Verdict> {
    match audit {
        Audit::Verify(verify) => run_verify(verify).await,
        Audit::Export(export) => run_export(export).await,
    }
}

async fn run_verify(verify: Verify) -> Result<Verdict> {
    let mut query = Vec::with_capacity(verify.checkpoint.len());
    for path in &verify.checkpoint {
        query.push(fs::read_to_string(path).map_err(|error| {
            Error::invalid(format!("cannot read the checkpoint `{}`: {error}", path.display()))
        })?);
    }
    // `Parameters::with` keeps one of each name, and there may be several checkpoints.
    let encoded: Vec<String> =
        query.iter().map(|note| super::client::address("", &[("checkpoint", note)])).collect();
    let encoded: Vec<&str> = encoded.iter().map(|one| one.trim_start_matches('?')).collect();
    let path = match encoded.is_empty() {
        true => "/api/operator/verification".to_owned(),
        false => format!("/api/operator/verification?{}", encoded.join("&")),
    };
    let client = Client::connect(&verify.place.find()?).await?;
    let answered = client.get(&path, &[]).await;
    client.close().await?;
    let report = answered?.json()?;
    let output = Output::new();
    match verify.json {
        true => output.json(&report)?,
        false => show(&output, &report)?,
    }
    let intact = report.get("intact").and_then(Value::as_bool).unwrap_or(false);
    Ok(if intact { Verdict::Good } else { Verdict::Bad })
}

/// A verification for people.
pub(super) fn show(output: &Output, report: &Value) -> Result<()> {
    let number = |field: &str| report.get(field).and_then(Value::as_u64).unwrap_or(0);
    let findings = sentences(report, "findings");
    match report.get("intact").and_then(Value::as_bool).unwrap_or(false) {
        true => output.line(format_args!(
            "{}: {} events are as they were written, {} of them below a signed checkpoint",
            output.strong("intact"),
            number("events"),
            number("verified"),
        ))?,
        false => output.line(output.wrong("not intact: the audit trail was changed by other hands"))?,
    }
    for finding in &findings {
        output.line(format_args!("  - {finding}"))?;
    }
    if number("untold") > 0 {
        output.line(format_args!("  - and {} more findings", number("untold")))?;
    }
    if number("unsequenced") > 0 {
        output.line(format_args!(
            "  {} recent events wait for their place in the ledger; their codes are right",
            number("unsequenced")
        ))?;
    }
    let root = report.get("root").and_then(Value::as_str).unwrap_or("unknown");
    output.line(output.quiet(format_args!("  root {root}, key {}", text(report, "verifier_key"))))
}

async fn run_export(export: Export) -> Result<Verdict> {
    // Reading the trail is itself recorded: without an end, the export would chase its own tail.
    let until = export.until.clone().unwrap_or_else(|| Clock::system().now().to_string());
    let given = [
        ("workspace", &export.workspace),
        ("actor", &export.actor),
        ("action", &export.action),
        ("outcome", &export.outcome),
        ("from", &export.from),
        ("until", &Some(until)),
    ];
    let mut query: Vec<(&str, &str)> =
        given.iter().filter_map(|(name, value)| value.as_deref().map(|value| (*name, value))).collect();
    query.push(("pagelen", "100"));
    let client = Client::connect(&export.place.find()?).await?;
    let exported = pages(&client, &super::client::address("/api/audit/events", &query)).await;
    client.close().await?;
    exported.map(|()| Verdict::Good)
}

async fn pages(client: &Client, first: &str) -> Result<()> {
    let output = Output::new();
    let mut next = Some(first.to_owned());
    while let Some(address) = next {
        let page = client.get(&address, &[]).await?.json()?;
        for event in page.get("values").and_then(Value::as_array).into_iter().flatten() {
            output.json(event)?;
        }
        // The address that clients know it by; here only what comes after the host counts.
        next = page.get("next").and_then(Value::as_str).and_then(|next| {
            let at = next.find("/api/audit/events")?;
            next.get(at..).map(str::to_owned)
        });
    }
    Ok(())
}
