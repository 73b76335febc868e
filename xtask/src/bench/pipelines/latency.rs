//! From the acknowledged push to the script's first line in the log, with a runner that waits for work; in turns with what
//! a person at the machine would do: clone the commit from the same server, and run the same script.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::super::bastide::Installation;
use super::super::report::Finding;
use super::super::{Bench, figures};
use super::site::Site;
use crate::process::{self, Running};
use crate::{Result, bench::content};

const PUSHES: usize = 50;
const GOAL: f64 = 150.0;
/// How long the log is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Measures it.
pub(super) fn first_output(bench: &Bench) -> Result<Finding> {
    let mut finding = Finding::new(
        &format!("median under {GOAL:.0} ms"),
        &["way", "median of 50, ms", "p95, ms", "to the clone by hand"],
    );
    let Some(program) = &bench.program else { return Ok(finding) };
    let installation = Installation::new(bench.path(), program)?;
    let site = Site::start(bench.path(), &installation)?;
    let _runner = runner(bench.path(), program, &site)?;
    let logs = installation.data().join("pipelines/logs");
    let mut spoken = BTreeSet::new();
    let (mut pipelines, mut by_hand) = (Vec::new(), Vec::new());
    for push in 0..=PUSHES {
        site.commit(&format!(
            "# {push}\npipelines:\n  default:\n    - step:\n        runs-on: linux.shell\n        script:\n          - echo \"said-$((40 + 2))\"\n"
        ))?;
        site.push()?;
        let acknowledged = Instant::now();
        wait_for(&logs, &mut spoken, push + 1)?;
        let took = acknowledged.elapsed();
        let cloned = clone_by_hand(bench.path(), &site)?;
        // The first warms up the machine.
        if push > 0 {
            pipelines.push(took.as_secs_f64() * 1000.0);
            by_hand.push(cloned.as_secs_f64() * 1000.0);
        }
        idle(&site, push + 1)?;
    }
    let clone = figures::median(by_hand.clone());
    for (way, times) in [("Bastide", pipelines), ("clone and shell by hand", by_hand)] {
        let median = figures::median(times.clone());
        let ratio = figures::times(median, clone);
        if way == "Bastide" {
            finding.measured(&format!("{median:.0} ms, {ratio} the clone by hand"));
        }
        finding.row([
            way.to_owned(),
            format!("{median:.0}"),
            format!("{:.0}", figures::ninety_five(times)),
            ratio,
        ]);
    }
    finding.note(
        "One runner that waits, on the server's machine; a step without an image behind all its walls. The push counts as \
         acknowledged when git has ended; the line counts when it stands in the log's file at the server. By hand: git \
         clone of the branch with a depth of 1, and a shell without walls.",
    );
    Ok(finding)
}

/// Registers a runner and starts it.
fn runner(folder: &Path, program: &Path, site: &Site) -> Result<Running> {
    let directory = folder.join("runner");
    let code = folder.join("code");
    process::write_private(&code, &site.runner_code("waits")?)?;
    let mut register = Command::new(program);
    register.args(["runner", "register", "--url", &site.address, "--directory"]).arg(&directory);
    process::output(register.arg("--code-file").arg(&code))?;
    let mut run = Command::new(program);
    run.args(["runner", "run", "--no-containers", "--log", "error", "--directory"]).arg(&directory);
    let running = Running::start(run.stdin(Stdio::null()))?;
    // Its claim must be waiting before the first push is.
    std::thread::sleep(Duration::from_secs(1));
    Ok(running)
}

/// Waits until so many steps have said their line in their logs.
fn wait_for(logs: &Path, spoken: &mut BTreeSet<PathBuf>, steps: usize) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let folders: Vec<_> = std::fs::read_dir(logs).into_iter().flatten().flatten().collect();
        // Ids tell nothing of the order: each log that has not spoken yet is read.
        for folder in folders.iter().map(std::fs::DirEntry::path) {
            let spoke =
                |path: &Path| std::fs::read_to_string(path).is_ok_and(|log| log.contains("said-42\n"));
            if !spoken.contains(&folder) && spoke(&folder.join("1/step.log")) {
                spoken.insert(folder);
            }
        }
        if spoken.len() == steps {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(format!("step {steps} said nothing within {PATIENCE:?}").into())
}

/// Waits until so many runs are over and the runner asks for more, so that the next push finds it idle.
fn idle(site: &Site, runs: usize) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if usize::try_from(site.runs_in("PASSED")?)? == runs {
            std::thread::sleep(Duration::from_millis(100));
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(format!("run {runs} was not over within {PATIENCE:?}").into())
}

fn clone_by_hand(folder: &Path, site: &Site) -> Result<Duration> {
    let into = tempfile::Builder::new().prefix("by-hand-").tempdir_in(folder)?;
    let path = into.path().join("clone").display().to_string();
    let url = site.url();
    let begun = Instant::now();
    process::output(&mut site.git(&["clone", "--quiet", "--depth=1", "--branch=main", &url, &path]))?;
    let said =
        process::output(Command::new("sh").args(["-c", "echo \"said-$((40 + 2))\""]).current_dir(&path))?;
    let took = begun.elapsed();
    if said.trim() != "said-42" || content::git(Path::new(&path), &["rev-parse", "HEAD"]).is_err() {
        return Err("the clone by hand did not succeed".into());
    }
    Ok(took)
}
