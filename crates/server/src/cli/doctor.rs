//! `bastide doctor`: looks whether everything is as it should be, and says of what is not what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clap::Args;
use model::{Clock, Result, Timestamp};
use serde_json::{Value, json};

use super::Verdict;
use super::client::Client;
use super::installation::{Installation, Place};
use super::output::Output;

/// The oldest git that does what is needed.
const OLDEST_GIT: (u32, u32) = (2, 39);
/// A ledger that is this many seconds behind is not merely busy.
const LEDGER_LAG: i64 = 60;

/// The flags of `doctor`.
#[derive(Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    place: Place,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// What was looked at.
struct Check {
    name: &'static str,
    good: bool,
    told: String,
}

impl Check {
    fn new(name: &'static str, found: Result<String, String>) -> Self {
        let good = found.is_ok();
        Self { name, good, told: found.unwrap_or_else(|problem| problem) }
    }
}

/// Runs the command.
pub(super) async fn run(doctor: Doctor) -> Result<Verdict> {
    let installation = doctor.place.find()?;
    let mut checks = vec![
        Check::new("git", git()),
        Check::new("data directory", private(&installation.data, 0o700)),
        Check::new("master key", master_key(&installation)),
    ];
    match Client::connect(&installation).await {
        Ok(client) => {
            let through = if client.is_server() { "through the running server" } else { "no server runs" };
            let health = match client.get("/api/operator/health", &[]).await {
                Ok(answer) => answer.json(),
                Err(error) => Err(error),
            };
            client.close().await?;
            let database = health.as_ref().map(|_| through.to_owned()).map_err(ToString::to_string);
            checks.push(Check::new("database", database));
            if let Ok(health) = health {
                checks.extend(inside(&health));
            }
        }
        Err(error) => {
            let problem = match error {
                model::Error::Internal(cause) => cause,
                other => other.to_string(),
            };
            checks.push(Check::new("database", Err(problem)));
        }
    }
    tell(&Output::new(), &checks, doctor.json)
}

fn tell(output: &Output, checks: &[Check], json: bool) -> Result<Verdict> {
    for check in checks {
        if json {
            output.json(&json!({ "check": check.name, "good": check.good, "told": check.told }))?;
            continue;
        }
        let word = if check.good { output.strong("good ") } else { output.wrong("wrong") };
        output.line(format_args!("{word}  {:<15} {}", check.name, check.told))?;
    }
    Ok(if checks.iter().all(|check| check.good) { Verdict::Good } else { Verdict::Bad })
}

fn git() -> Result<String, String> {
    let output = std::process::Command::new("git").arg("--version").output();
    let output = output.map_err(|error| format!("git does not start: {error}: install git 2.39 or newer"))?;
    let told = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let numbers = told.split_ascii_whitespace().nth(2).unwrap_or_default();
    let mut parts = numbers.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    match version >= OLDEST_GIT {
        true => Ok(told),
        false => Err(format!("{told}: install git 2.39 or newer")),
    }
}

/// Whether a file or directory is its owner's alone.
fn private(path: &Path, mode: u32) -> Result<String, String> {
    let shown = path.display();
    let found = fs::metadata(path).map_err(|error| format!("`{shown}`: {error}"))?;
    let others = found.permissions().mode() & 0o077;
    match others == 0 {
        true => Ok(format!("{shown}")),
        false => Err(format!("`{shown}` is open to others: chmod {mode:o} {shown}")),
    }
}

fn master_key(installation: &Installation) -> Result<String, String> {
    if installation.has_master_key() {
        return Ok("from the environment".to_owned());
    }
    let path = installation.data.join("master.key");
    let good = private(&path, 0o600)?;
    fs::File::open(&path).map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?;
    Ok(format!("{good}; keep a copy of it apart from backups"))
}

/// What the installation tells of itself.
fn inside(health: &Value) -> Vec<Check> {
    let number = |field: &str| health.get(field).and_then(Value::as_i64).unwrap_or(0);
    let oldest = health.get("oldest_unsequenced").and_then(Value::as_str);
    let oldest: Option<Timestamp> = oldest.and_then(|time| time.parse().ok());
    let lag = oldest.map_or(0, |oldest| Clock::system().now().seconds().saturating_sub(oldest.seconds()));
    let waiting = number("unsequenced");
    let ledger = match lag <= LEDGER_LAG {
        true => Ok(format!("{waiting} events wait for their place, the oldest for {lag} s")),
        false => Err(format!(
            "{waiting} events wait for their place, the oldest for {lag} s: look into the server's log, or start it"
        )),
    };
    let administrators = match number("administrators") {
        0 => Err("there is none: run `bastide admin init`".to_owned()),
        some => Ok(format!("{some} active")),
    };
    let jobs = match number("failing_jobs") {
        0 => Ok(format!("{} wait", number("jobs"))),
        failing => Err(format!("{failing} have failed and will be tried again: look into the server's log")),
    };
    let mail = match health.get("mail_server").and_then(Value::as_bool) {
        Some(true) => "sent: `bastide admin mail test ADDRESS` tries it",
        _ => "not sent: no --smtp-url is given",
    };
    let mail = Check::new("mail", Ok(mail.to_owned()));
    let mut checks = vec![
        mail,
        Check::new("ledger", ledger),
        Check::new("administrators", administrators),
        Check::new("jobs", jobs),
    ];
    let text = |field: &str| health.get(field).and_then(Value::as_str);
    if let Some(key) = text("aws_key") {
        let told = match text("aws_key_error") {
            None => Ok(format!("{key}: `bastide aws key show` tells more")),
            Some(why) => Err(format!("{key} could not be replaced: {why}")),
        };
        checks.push(Check::new("key at Amazon", told));
    }
    checks
}
