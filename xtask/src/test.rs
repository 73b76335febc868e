//! `cargo xtask test`: everything that must hold before a change lands, in the order that tells soonest.

use std::process::Command;
use std::time::Instant;

use crate::postgres::Cluster;
use crate::test_count::TestCount;
use crate::{Result, packages, process, screenshots, tidy};

/// What became of the steps so far.
#[derive(Default)]
struct Report {
    count: TestCount,
    failed: Vec<String>,
}

impl Report {
    /// Runs one step under its heading; a failure is kept, so that the next steps still tell what they can.
    fn step(&mut self, name: &str, step: impl FnOnce(&mut TestCount) -> Result<()>) {
        println!("\n== {name}");
        let start = Instant::now();
        let outcome = step(&mut self.count);
        let seconds = start.elapsed().as_secs_f32();
        match outcome {
            Ok(()) => println!("-- {name}: {seconds:.1} s"),
            Err(error) => {
                println!("-- {name}: FAILED after {seconds:.1} s: {error}");
                self.failed.push(name.to_owned());
            }
        }
    }

    /// The closing line and the verdict. A failed step without a failed test (it did not compile, say) counts as
    /// one, so that the line never says less than the exit code.
    fn close(self) -> Result<()> {
        let unseen = u64::from(self.count.failed == 0 && self.failed.iter().any(|name| name == TESTS));
        let steps = self.failed.iter().filter(|name| *name != TESTS).count() as u64;
        let failed = self.count.failed + unseen + steps;
        if !self.failed.is_empty() {
            println!("\nfailed: {}", self.failed.join(", "));
        }
        println!("\n{} passed, {failed} failed", self.count.passed);
        match failed {
            0 if self.count.passed == 0 => Err("no test ran".into()),
            0 => Ok(()),
            // Told already: the closing line is the last.
            _ => Err(String::new().into()),
        }
    }
}

const TESTS: &str = "tests";

/// Runs them.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::only(arguments, &["--fast"])?;
    let fast = arguments.iter().any(|a| a == "--fast");
    let mut report = Report::default();
    report.step("what the tests need", |_| packages::for_tests());
    report.step("format", |_| process::run(&mut process::command("cargo", &["fmt", "--all", "--check"])));
    report.step("tidy", |_| tidy::run(&[]));
    report.step("one crypto provider", |_| one_crypto_provider());
    report.step("clippy", |_| process::run(&mut clippy()));
    report.step(TESTS, |count| tests(fast, count));
    report.close()
}

/// Clippy and the tests share the dev profile and the selection of packages, so that dependencies are built once.
fn clippy() -> Command {
    process::command("cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

/// `cargo test` over the workspace; the proofs and the fuzz targets are tests among the others.
fn tests(fast: bool, count: &mut TestCount) -> Result<()> {
    // Apart, because it says nothing for long where it is watched.
    process::run(&mut process::command("cargo", &["test", "--workspace", "--no-run"]))?;
    let mut command = process::command("cargo", &["test", "--workspace", "--no-fail-fast"]);
    // The journeys are made in a real browser.
    command.env("BASTIDE_NODE", screenshots::driver()?).env("BASTIDE_CHROMIUM", screenshots::browser()?);
    if fast {
        command.args(["--exclude", "prover"]);
        return process::watched(&mut command, |line| count.see(line));
    }
    let cluster = Cluster::start()?;
    command.env("BASTIDE_TEST_POSTGRES", cluster.url()).env("BASTIDE_REQUIRE_POSTGRES", "1");
    process::watched(&mut command, |line| count.see(line))
}

/// Two crypto providers in one program make rustls panic at run time, not at build time.
fn one_crypto_provider() -> Result<()> {
    let mut tree =
        process::command("cargo", &["tree", "--workspace", "--edges", "normal,build", "--prefix", "none"]);
    let tree = process::output(tree.args(["--format", "{p}"]))?;
    match second_provider(&tree) {
        None => Ok(()),
        Some(found) => {
            Err(format!("`{found}` is in the tree beside aws-lc-rs: see `cargo tree -i ring`").into())
        }
    }
}

fn second_provider(tree: &str) -> Option<&str> {
    tree.lines().find(|line| line.starts_with("ring v") || line.starts_with("openssl-sys v"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_crypto_provider_is_noticed() {
        let clean = "aws-lc-rs v1.19.0\nstring v1.0.0\nrustls v0.23.1\n";
        assert_eq!(second_provider(clean), None);
        assert_eq!(second_provider(&format!("{clean}ring v0.17.14\n")), Some("ring v0.17.14"));
    }

    #[test]
    fn a_step_that_fails_without_a_test_fails_the_whole() {
        let mut report = Report::default();
        report.count.see("test result: ok. 2 passed; 0 failed; 0 ignored");
        report.step("clippy", |_| Err("a warning".into()));
        assert!(report.close().is_err());
    }

    #[test]
    fn nothing_run_is_not_success() {
        assert!(Report::default().close().is_err());
    }

    #[test]
    fn all_well_is_success() {
        let mut report = Report::default();
        report.count.see("test result: ok. 2 passed; 0 failed; 0 ignored");
        report.step("clippy", |_| Ok(()));
        assert!(report.close().is_ok());
    }
}
