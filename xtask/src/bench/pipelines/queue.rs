//! A thousand steps that wait, drained by runners that do nothing but speak the protocol: what the server's own part costs,
//! and whether runners get into each other's way.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::bastide::Installation;
use super::super::report::Finding;
use super::super::{Bench, figures};
use super::site::Site;
use crate::Result;
use crate::postgres::Cluster;

const RUNS: usize = 10;
const STEPS_PER_RUN: usize = 100;
const RUNNERS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(300);
/// What databases say of transactions that got into each other's way.
const CONTENTION: &[&str] = &["database is locked", "could not serialize", "deadlock", "pool timed out"];

/// What came of draining once.
struct Drained {
    seconds: f64,
    /// Answers that were none of those that the protocol has for a queue.
    errors: Vec<String>,
    steps: usize,
}

/// Measures both engines, with many runners and with one.
pub(super) fn drained(bench: &Bench) -> Result<Finding> {
    let mut finding = Finding::new(
        "no error; every step is taken once",
        &["engine", "runners", "steps", "s", "steps/s", "errors", "to one runner"],
    );
    let Some(program) = &bench.program else { return Ok(finding) };
    let cluster = Cluster::start()?;
    for engine in ["SQLite", "PostgreSQL"] {
        let mut alone = f64::NAN;
        for (runners, runs) in [(1, RUNS / 5), (RUNNERS, RUNS)] {
            let database = (engine == "PostgreSQL").then(|| cluster.database()).transpose()?;
            let installation = match &database {
                Some((url, password)) => Installation::on_postgres(bench.path(), program, url, password)?,
                None => Installation::new(bench.path(), program)?,
            };
            let drained = drain(bench.path(), &installation, runners, runs)?;
            let rate = drained.steps as f64 / drained.seconds;
            if runners == 1 {
                alone = rate;
            }
            let ratio = figures::times(rate, alone);
            if runners == RUNNERS {
                finding
                    .measured(&format!("{engine} {rate:.0} steps a second, {} errors", drained.errors.len()));
            }
            drained.errors.iter().take(5).for_each(|error| eprintln!("{engine}: {error}"));
            finding.row([
                engine.to_owned(),
                runners.to_string(),
                drained.steps.to_string(),
                format!("{:.1}", drained.seconds),
                format!("{rate:.0}"),
                drained.errors.len().to_string(),
                ratio,
            ]);
        }
    }
    finding.note(
        "Each step is claimed, says one line in its log, and is finished, each by a request of its own. PostgreSQL runs \
         without fsync; SQLite writes to the disk before it answers.",
    );
    Ok(finding)
}

/// Queues the steps of so many runs, and lets runners drain them.
fn drain(folder: &Path, installation: &Installation, runners: usize, runs: usize) -> Result<Drained> {
    let site = Site::start(folder, installation)?;
    let step = "        - step: {runs-on: linux.shell, script: ['true']}\n".repeat(STEPS_PER_RUN);
    for run in 0..runs {
        site.commit(&format!("# {run}\npipelines:\n  default:\n    - parallel:\n{step}"))?;
        site.push()?;
    }
    let begun = Instant::now();
    while usize::try_from(site.runs_in("PENDING")?)? < runs {
        if begun.elapsed() > PATIENCE {
            return Err("the runs were not queued".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut connections = Vec::new();
    for runner in 0..runners {
        let mut connection = Connection::open(&site.address)?;
        connection.register(&site.runner_code(&format!("runner-{runner}"))?)?;
        connections.push(connection);
    }
    let total = runs * STEPS_PER_RUN;
    let taken = AtomicUsize::new(0);
    let begun = Instant::now();
    let (taken, total_seen) = (&taken, total);
    let parts: Vec<(Vec<String>, Vec<String>)> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            connections.into_iter().map(|one| scope.spawn(move || one.work(taken, total_seen))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_default()).collect()
    });
    let seconds = begun.elapsed().as_secs_f64();
    let (mut steps, mut errors, mut count) = (BTreeSet::new(), Vec::new(), 0);
    for (did, failed) in parts {
        count += did.len();
        steps.extend(did);
        errors.extend(failed);
    }
    let log = std::fs::read_to_string(installation.log()).unwrap_or_default();
    errors.extend(
        log.lines().filter(|line| CONTENTION.iter().any(|text| line.contains(text))).map(str::to_owned),
    );
    let passed = usize::try_from(site.runs_in("PASSED")?)?;
    if steps.len() != total || count != total || passed != runs {
        return Err(format!(
            "{count} steps were run, {} of {total} of them different ones, {passed} of {runs} runs passed: {:?}",
            steps.len(),
            errors.first()
        )
        .into());
    }
    Ok(Drained { seconds, errors, steps: count })
}

/// A runner's connection, which it keeps.
struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
    credential: String,
}

impl Connection {
    fn open(address: &str) -> Result<Self> {
        let host = address.trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&host)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream: BufReader::new(stream), host, credential: String::new() })
    }

    fn register(&mut self, code: &str) -> Result<()> {
        let body = json!({ "protocol": 1, "code": code, "program": program() }).to_string();
        let (status, said) = self.post("register", &body)?;
        let said: Value = serde_json::from_str(&said)?;
        let credential = said.get("credential").and_then(Value::as_str);
        self.credential =
            credential.ok_or_else(|| format!("registering was answered with {status}: {said}"))?.to_owned();
        Ok(())
    }

    /// Runs steps until all are taken. Gives those that it ran, and what went wrong.
    fn work(mut self, taken: &AtomicUsize, total: usize) -> (Vec<String>, Vec<String>) {
        let (mut steps, mut errors) = (Vec::new(), Vec::new());
        let begun = Instant::now();
        while taken.load(Ordering::SeqCst) < total && begun.elapsed() < PATIENCE && errors.len() < 100 {
            match self.step() {
                Ok(Some(step)) => {
                    taken.fetch_add(1, Ordering::SeqCst);
                    steps.push(step);
                }
                Ok(None) => {}
                Err(error) => errors.push(error.to_string()),
            }
        }
        (steps, errors)
    }

    /// One step from its claim to its end, where there is one.
    fn step(&mut self) -> Result<Option<String>> {
        let labels = ["self.hosted", "linux.shell"];
        let claim = json!({ "protocol": 1, "program": program(), "labels": labels, "wait": 1 });
        let (status, said) = self.post("claim", &claim.to_string())?;
        if status == 204 {
            return Ok(None);
        }
        expect("claim", status, 200, &said)?;
        let said: Value = serde_json::from_str(&said)?;
        let step = said.get("step").and_then(Value::as_str).ok_or("a claim without a step")?.to_owned();
        let (status, said) = self.post(&format!("steps/{step}/logs/step?attempt=1&offset=0"), "+ true\n")?;
        expect("log", status, 200, &said)?;
        let finish = json!({ "attempt": 1, "verdict": { "verdict": "passed" }, "outputs": {} });
        let (status, said) = self.post(&format!("steps/{step}/finish"), &finish.to_string())?;
        expect("finish", status, 204, &said)?;
        Ok(Some(step))
    }

    /// One request; the status, and the body.
    fn post(&mut self, path: &str, body: &str) -> Result<(u16, String)> {
        let authorization = match self.credential.as_str() {
            "" => String::new(),
            credential => format!("Authorization: Bearer {credential}\r\n"),
        };
        let request = format!(
            "POST /api/runner/{path} HTTP/1.1\r\nHost: {}\r\n{authorization}Content-Type: {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            if path.contains("/logs/") { "application/octet-stream" } else { "application/json" },
            body.len(),
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (mut status, mut length, mut line) = (0, 0, String::new());
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err("the server has closed the connection".into());
            }
            let text = line.trim_end();
            if let Some(rest) = text.strip_prefix("HTTP/1.1 ") {
                status = rest.split(' ').next().unwrap_or_default().parse()?;
            } else if let Some(value) = text.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            } else if text.is_empty() {
                break;
            }
        }
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok((status, String::from_utf8(bytes)?))
    }
}

fn program() -> Value {
    json!({ "version": "0.1.0", "os": "linux", "arch": "x86_64" })
}

fn expect(what: &str, status: u16, wanted: u16, said: &str) -> Result<()> {
    if status == wanted { Ok(()) } else { Err(format!("{what} was answered with {status}: {said}").into()) }
}
