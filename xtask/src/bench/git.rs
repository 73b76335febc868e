//! Git over HTTPS' own measurements (over plain HTTP here: TLS costs all alike): push, clone, advertisement, fetch, and
//! the processor time they take.

use std::path::Path;
use std::time::Instant;

use super::content::{self, LARGE, SMALL};
use super::host::{Host, Kind};
use super::report::Finding;
use super::{Bench, figures, load};
use crate::{Result, process};

const VERSION_2: &str = "Git-Protocol: version=2";

/// Push and clone of a large repository against `file://`, where git alone does the work.
pub(super) fn transfer(bench: &Bench) -> Result<Finding> {
    let hosts = bench.hosts(&[Kind::Bastide, Kind::HttpBackend, Kind::File])?;
    let content = content::repository(bench.path(), &LARGE)?;
    let mut round = 0;
    let pushes = figures::in_turns(3, &hosts, |host| {
        round += 1;
        let name = format!("push-{round}");
        host.create(&name)?;
        timed(|| process::output(&mut host.push(&content, &name)).map(|_| ()))
    })?;
    for host in &hosts {
        host.fill("large", &LARGE)?;
    }
    let clones = figures::in_turns(3, &hosts, |host| clone(bench, host, "large"))?;
    let mut finding = Finding::new(
        "at most 1.05 times the time of `file://`, where git alone does the work",
        &["host", "push, s", "clone, s", "push, to file://", "clone, to file://"],
    );
    let (file_push, file_clone) = (last(&pushes), last(&clones));
    for ((host, push), clone) in hosts.iter().zip(&pushes).zip(&clones) {
        let ratios = (figures::times(*push, file_push), figures::times(*clone, file_clone));
        if host.kind == Kind::Bastide {
            finding.measured(&format!("push {}, clone {}", ratios.0, ratios.1));
        }
        finding.row([host.name.to_owned(), format!("{push:.2}"), format!("{clone:.2}"), ratios.0, ratios.1]);
    }
    finding.note("Three rounds in turns, the median of each. The client's own work is most of both.");
    Ok(finding)
}

/// `info/refs` of protocol v2 with a token, against http-backend without any.
pub(super) fn advertisement(bench: &Bench) -> Result<Finding> {
    let hosts = filled(bench, Kind::HttpBackend)?;
    let mut finding = Finding::new(
        "at least 20 times the requests per second of http-backend, authentication and decision included",
        &["host", "connections", "requests/s", "p50", "p99", "to http-backend"],
    );
    for connections in [8usize, 32] {
        let mut latest = Vec::new();
        let measured = figures::in_turns(3, &hosts, |host| {
            let url = format!("{}/info/refs?service=git-upload-pack", host.url("small"));
            let answers = load::wrk(bench.path(), &url, &headers(host), connections, 4)?;
            latest.push((host.name, answers.half.clone(), answers.ninety_nine.clone()));
            Ok(answers.per_second)
        })?;
        for (host, per_second) in hosts.iter().zip(&measured) {
            let ratio = figures::times(*per_second, last(&measured));
            if host.kind == Kind::Bastide {
                finding.measured(&format!("{ratio} at {connections} connections"));
            }
            let (_, half, most) =
                latest.iter().rfind(|(name, ..)| *name == host.name).cloned().unwrap_or_default();
            let connections = connections.to_string();
            finding.row([host.name.to_owned(), connections, format!("{per_second:.0}"), half, most, ratio]);
        }
    }
    Ok(finding)
}

/// The processor time of the server, its git processes included.
pub(super) fn processor_time(bench: &Bench) -> Result<Finding> {
    let hosts = filled(bench, Kind::AccountedHttpBackend)?;
    let mut finding = Finding::new(
        "half of http-backend's processor time per `ls-remote`, two thirds of it per small clone",
        &["host", "ls-remote, ms", "small clone, ms", "ls-remote, to http-backend", "clone, to http-backend"],
    );
    let listings = figures::in_turns(3, &hosts, |host| {
        per_run(host, 40, || {
            let url = host.url("small");
            process::output(&mut host.git(bench.path(), &["ls-remote", &url])).map(|_| ())
        })
    })?;
    let clones =
        figures::in_turns(3, &hosts, |host| per_run(host, 15, || clone(bench, host, "small").map(|_| ())))?;
    for ((host, listing), clone) in hosts.iter().zip(&listings).zip(&clones) {
        let ratios = (figures::times(*listing, last(&listings)), figures::times(*clone, last(&clones)));
        if host.kind == Kind::Bastide {
            finding.measured(&format!("ls-remote {}, clone {}", ratios.0, ratios.1));
        }
        finding.row([
            host.name.to_owned(),
            format!("{listing:.1}"),
            format!("{clone:.1}"),
            ratios.0,
            ratios.1,
        ]);
    }
    finding.note("From /proc: the server, all its processes, and their children that have ended.");
    Ok(finding)
}

/// A large pack for many runners at once; the client discards it, so that its own work does not hide the server's.
pub(super) fn fetch(bench: &Bench) -> Result<Finding> {
    let hosts = bench.hosts(&[Kind::Bastide, Kind::AccountedHttpBackend])?;
    let content = content::repository(bench.path(), &LARGE)?;
    let body = bench.path().join("fetch-request");
    std::fs::write(&body, fetch_request(&content)?)?;
    for host in &hosts {
        host.fill("large", &LARGE)?;
    }
    let mut spent: Vec<(&str, f64)> = Vec::new();
    let rates = figures::in_turns(3, &hosts, |host| {
        let url = format!("{}/git-upload-pack", host.url("large"));
        let mut headers = headers(host);
        headers.push("Content-Type: application/x-git-upload-pack-request");
        let before = host.processor_seconds();
        let (bytes, elapsed) = load::drain(&url, &headers, &body, 16, 8)?;
        spent.push((host.name, host.processor_seconds() - before));
        Ok(bytes / 1e6 / elapsed.as_secs_f64())
    })?;
    let mut finding = Finding::new(
        "1.3 times the throughput of http-backend",
        &["host", "MB/s", "processor, s", "to http-backend"],
    );
    for (host, rate) in hosts.iter().zip(&rates) {
        let ratio = figures::times(*rate, last(&rates));
        if host.kind == Kind::Bastide {
            finding.measured(&ratio);
        }
        let seconds =
            spent.iter().filter(|(name, _)| *name == host.name).map(|(_, seconds)| *seconds).collect();
        finding.row([
            host.name.to_owned(),
            format!("{rate:.0}"),
            format!("{:.1}", figures::median(seconds)),
            ratio,
        ]);
    }
    Ok(finding)
}

/// Bastide and http-backend with the small repository; the baseline is the last.
fn filled(bench: &Bench, baseline: Kind) -> Result<Vec<Host>> {
    let hosts = bench.hosts(&[Kind::Bastide, baseline])?;
    for host in &hosts {
        host.fill("small", &SMALL)?;
    }
    Ok(hosts)
}

fn headers(host: &Host) -> Vec<&str> {
    std::iter::once(VERSION_2).chain(host.authorization.as_deref()).collect()
}

/// The baseline's figure.
fn last(values: &[f64]) -> f64 {
    values.last().copied().unwrap_or(f64::NAN)
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

/// The seconds that a bare clone takes.
fn clone(bench: &Bench, host: &Host, repository: &str) -> Result<f64> {
    let target = tempfile::tempdir_in(bench.path())?;
    let path = target.path().join("clone.git").display().to_string();
    let mut clone = host.git(bench.path(), &["clone", "--quiet", "--bare", &host.url(repository), &path]);
    timed(|| process::output(&mut clone).map(|_| ()))
}

/// The host's processor time for each of several runs, in milliseconds.
fn per_run(host: &Host, runs: u32, mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    let before = host.processor_seconds();
    for _ in 0..runs {
        run()?;
    }
    Ok((host.processor_seconds() - before) * 1000.0 / f64::from(runs))
}

/// What `git clone` sends to ask for everything (gitprotocol-v2).
fn fetch_request(repository: &Path) -> Result<Vec<u8>> {
    let listing = content::git(repository, &["for-each-ref", "--format=%(objectname)"])?;
    let mut wanted: Vec<&str> = listing.lines().collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut request =
        packet("command=fetch\n") + &packet("agent=git/bench\n") + &packet("object-format=sha1\n");
    request.push_str("0001");
    for option in ["thin-pack", "no-progress", "ofs-delta"] {
        request.push_str(&packet(&format!("{option}\n")));
    }
    for name in wanted {
        request.push_str(&packet(&format!("want {name}\n")));
    }
    request.push_str(&packet("done\n"));
    request.push_str("0000");
    Ok(request.into_bytes())
}

fn packet(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_carry_their_length() {
        assert_eq!(packet("done\n"), "0009done\n");
    }
}
