//! `cargo xtask bench`: measurements, always side by side with a known baseline on the same machine, in alternating
//! rounds. What counts is the ratio: absolute figures belong to the machine that is named above them.
//!
//! `--baseline` measures the baselines alone, to try the benchmarks out without the program.

mod audit;
mod baseline;
mod bastide;
mod content;
mod figures;
mod git;
mod host;
mod identity;
mod load;
mod machine;
mod memory;
mod pages;
mod pipelines;
mod report;
mod rest;
mod start;
mod usage;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{Result, packages, process};
use host::{Host, Kind};
use report::Finding;

/// A benchmark: its name, what it is about, and how it is measured.
struct Benchmark {
    name: &'static str,
    about: &'static str,
    run: fn(&Bench) -> Result<Finding>,
}

const fn benchmark(name: &'static str, about: &'static str, run: fn(&Bench) -> Result<Finding>) -> Benchmark {
    Benchmark { name, about, run }
}

const BENCHMARKS: &[Benchmark] = &[
    benchmark("transfer", "push and clone of a large repository", git::transfer),
    benchmark("advertisement", "capability advertisements of protocol v2", git::advertisement),
    benchmark(
        "cpu",
        "the server's processor time for git ls-remote and for a small clone",
        git::processor_time,
    ),
    benchmark("fetch", "a large pack fetched 16 times, 8 at once, by a client that discards it", git::fetch),
    benchmark("rest", "one repository over REST with a token", rest::repository),
    benchmark("decision", "one access decision", rest::decision),
    benchmark("audit", "audit events that are on disk before their callers are answered", audit::events),
    benchmark("identity", "identity tokens minted a second", identity::minted),
    benchmark(
        "pipelines",
        "from the acknowledged push to the script's first line in the log",
        pipelines::first_output,
    ),
    benchmark("queue", "1,000 steps that wait, drained by 8 runners", pipelines::drained),
    benchmark("pages", "pages of a repository with 50,000 files", pages::opened),
    benchmark("memory", "resident memory, idle and while 1 GB is pushed", memory::resident),
    benchmark("start", "from the start to the first authenticated answer", start::cold),
];

/// What the benchmarks share: a folder, and the programs to measure.
struct Bench {
    folder: TempDir,
    /// The program, unless only baselines are asked for.
    program: Option<PathBuf>,
}

impl Bench {
    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the hosts to compare. Bastide is left out when only baselines are asked for.
    fn hosts(&self, kinds: &[Kind]) -> Result<Vec<Host>> {
        let mut hosts = Vec::new();
        for kind in kinds {
            match (kind, &self.program) {
                (Kind::Bastide, Some(program)) => hosts.push(bastide::start(self.path(), program)?),
                (Kind::Bastide, None) => {}
                (Kind::HttpBackend, _) => hosts.push(baseline::http_backend(self.path(), false)?),
                (Kind::AccountedHttpBackend, _) => hosts.push(baseline::http_backend(self.path(), true)?),
                (Kind::File, _) => hosts.push(baseline::file(self.path())?),
            }
        }
        Ok(hosts)
    }
}

/// Runs the benchmarks named, or all.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let names: Vec<&String> = arguments.iter().filter(|a| !a.starts_with("--")).collect();
    let flags: Vec<String> = arguments.iter().filter(|a| a.starts_with("--")).cloned().collect();
    crate::only(&flags, &["--list", "--baseline"])?;
    if flags.iter().any(|flag| flag == "--list") {
        BENCHMARKS.iter().for_each(|b| println!("{:14} {}", b.name, b.about));
        return Ok(());
    }
    if let Some(unknown) = names.iter().find(|name| !BENCHMARKS.iter().any(|b| b.name == **name)) {
        return Err(format!("no benchmark `{unknown}`: see `cargo xtask bench --list`").into());
    }
    packages::for_benchmarks()?;
    let baseline_only = flags.iter().any(|flag| flag == "--baseline");
    let program = if baseline_only { None } else { Some(release()?) };
    let bench = Bench { folder: tempfile::Builder::new().prefix("bastide-bench-").tempdir()?, program };
    let mut findings = Vec::new();
    for benchmark in
        BENCHMARKS.iter().filter(|b| names.is_empty() || names.iter().any(|name| *name == b.name))
    {
        println!("\n== {}: {}", benchmark.name, benchmark.about);
        // One that fails, because a part is not built yet, does not take the others with it.
        let finding = (benchmark.run)(&bench).unwrap_or_else(|error| Finding::failed(&error.to_string()));
        println!("{}", finding.text());
        findings.push((benchmark.name, benchmark.about, finding));
    }
    if baseline_only {
        println!("only baselines were measured: docs/benchmarks.md stays as it is");
        return Ok(());
    }
    let file = crate::root().join("docs/benchmarks.md");
    let before = std::fs::read_to_string(&file).unwrap_or_default();
    std::fs::write(&file, report::document(&machine::describe(), &before, &findings))?;
    println!("written to docs/benchmarks.md");
    Ok(())
}

/// Builds the program as it is released.
fn release() -> Result<PathBuf> {
    process::run(&mut process::command(
        "cargo",
        &["build", "--release", "--package", "server", "--bin", "bastide"],
    ))?;
    Ok(release_folder().join("bastide"))
}

/// Where cargo puts what it builds for release.
fn release_folder() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), PathBuf::from);
    target.join("release")
}
