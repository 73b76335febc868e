//! Resident memory of the server alone, without its git processes: idle, and while a large push comes in.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::content::{self, HUGE};
use super::host::Kind;
use super::report::Finding;
use super::{Bench, usage};
use crate::{Result, process};

/// Measures both.
pub(super) fn resident(bench: &Bench) -> Result<Finding> {
    let mut finding = Finding::new(
        "under 40 MB idle, and under 40 MB more while 1 GB is pushed",
        &["host", "idle, MiB", "highest during the push, MiB", "growth, MiB"],
    );
    let hosts = bench.hosts(&[Kind::Bastide])?;
    let Some(host) = hosts.first() else { return Ok(finding) };
    let pid = host.running.first().map(process::Running::pid).ok_or("no server is running")?;
    // Once used, so that what is only set up at the first request is there.
    host.create("huge")?;
    std::thread::sleep(Duration::from_secs(2));
    let idle = usage::resident_mebibytes(pid);
    let content = content::repository(bench.path(), &HUGE)?;
    let over = AtomicBool::new(false);
    let highest = std::thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut highest = idle;
            while !over.load(Ordering::Relaxed) {
                highest = highest.max(usage::resident_mebibytes(pid));
                std::thread::sleep(Duration::from_millis(20));
            }
            highest
        });
        let pushed = process::output(&mut host.push(&content, "huge"));
        over.store(true, Ordering::Relaxed);
        let highest = sampler.join().unwrap_or(f64::NAN);
        pushed.map(|_| highest)
    })?;
    finding.measured(&format!("{idle:.1} MiB idle, {:.1} MiB more during the push", highest - idle));
    let cells = [format!("{idle:.1}"), format!("{highest:.1}"), format!("{:.1}", highest - idle)];
    finding.row(std::iter::once(host.name.to_owned()).chain(cells));
    Ok(finding)
}
