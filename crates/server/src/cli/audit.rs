//! `bastide audit`: holds the trail against its ledger, and hands it out.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use model::{Error, Result};
use serde_json::Value;

use super::Verdict;
use super::access::sentences;
use super::admin::text;
use super::client::Client;
use super::installation::Place;
use super::output::{Output, notice};

/// The commands below `audit`.
#[derive(Subcommand)]
pub(super) enum Audit {
    /// Find removed, altered, reordered and inserted events; status 1 when there are any
    Verify(Verify),
    /// Print events for other programs, or for others to verify
    Export(Export),
}

/// The flags of `audit verify`.
#[derive(Args)]
pub(super) struct Verify {
    #[command(flatten)]
    place: Place,
    /// Verify this export instead of an installation: neither database nor data directory is needed
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// The ledger's public key, for an export; without it, the export's own word is taken for it
    #[arg(long, value_name = "KEY", requires = "export")]
    key: Option<String>,
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
    /// Lines of JSON that can be verified, or for other programs
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    /// A checkpoint that was put aside before, for an export that leaves events out to be held against it
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// Only of this workspace
    #[arg(long)]
    workspace: Option<String>,
    /// Only by this actor, such as user:ann
    #[arg(long)]
    actor: Option<String>,
    /// Only by this credential, its kind and id
    #[arg(long)]
    credential: Option<String>,
    /// Only of this action, such as repository.push, or of all that begin so: repository.
    #[arg(long)]
    action: Option<String>,
    /// Only on this resource, such as repository:acme/one
    #[arg(long)]
    resource: Option<String>,
    /// Only from this address or network
    #[arg(long)]
    address: Option<String>,
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

/// The forms of an export.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// In the ledger's order, with all that is needed to verify it
    Jsonl,
    /// For spreadsheets
    Csv,
    /// Open Cybersecurity Schema Framework, a line of JSON each
    Ocsf,
}

/// Runs the command.
pub(super) async fn run(audit: Audit) -> Result<Verdict> {
    match audit {
        Audit::Verify(verify) => run_verify(verify).await,
        Audit::Export(export) => run_export(export).await,
    }
}

fn checkpoints(paths: &[PathBuf]) -> Result<Vec<String>> {
    let read = |path: &PathBuf| {
        fs::read_to_string(path).map_err(|error| {
            Error::invalid(format!("cannot read the checkpoint `{}`: {error}", path.display()))
        })
    };
    paths.iter().map(read).collect()
}

async fn run_verify(verify: Verify) -> Result<Verdict> {
    let query = checkpoints(&verify.checkpoint)?;
    if let Some(export) = &verify.export {
        let found = service::verify_export(export, verify.key.as_deref(), &query)?;
        let report = serde_json::to_value(&found).map_err(Error::internal)?;
        if verify.key.is_none() {
            notice("the key is the export's own word: name the one you trust with --key");
        }
        return judged(&report, verify.json);
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
    judged(&answered?.json()?, verify.json)
}

/// Shows a verification, and what to make of it.
fn judged(report: &Value, json: bool) -> Result<Verdict> {
    let output = Output::new();
    match json {
        true => output.json(&report)?,
        false => show(&output, report)?,
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
    for (field, told) in [
        ("expired", "entries have no event any more: it has expired, and its hash stays"),
        ("left_out", "entries were left out of the export, by their hashes"),
    ] {
        if number(field) > 0 {
            output.line(format_args!("  {} {told}", number(field)))?;
        }
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
    let given = [
        ("workspace", &export.workspace),
        ("actor", &export.actor),
        ("credential", &export.credential),
        ("action", &export.action),
        ("resource", &export.resource),
        ("address", &export.address),
        ("outcome", &export.outcome),
        ("from", &export.from),
        ("until", &export.until),
    ];
    let mut query: Vec<(&str, &str)> =
        given.iter().filter_map(|(name, value)| value.as_deref().map(|value| (*name, value))).collect();
    let format = match export.format {
        Format::Jsonl => "jsonl",
        Format::Csv => "csv",
        Format::Ocsf => "ocsf",
    };
    query.push(("format", format));
    let mut address = super::client::address("/api/audit/export", &query);
    for note in checkpoints(&export.checkpoint)? {
        // The size stands in the second line; whether the checkpoint is right is for `verify` to say.
        let size = note.lines().nth(1).unwrap_or_default();
        address =
            format!("{address}&{}", super::client::address("", &[("at", size)]).trim_start_matches('?'));
    }
    let client = Client::connect(&export.place.find()?).await?;
    let output = Output::new();
    let exported = client.copy(&address, |piece| output.bytes(piece)).await;
    client.close().await?;
    exported.map(|()| Verdict::Good)
}
