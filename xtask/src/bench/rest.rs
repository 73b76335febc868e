//! REST: one repository with a token, against a plain axum server that answers the same bytes; and what a decision
//! of the access model costs by itself.

use std::process::Command;

use super::host::{Create, Kind};
use super::load::{self, Request};
use super::report::Finding;
use super::{Bench, figures};
use crate::Result;
use crate::process::{self, Running};

/// The repository by REST.
pub(super) fn repository(bench: &Bench) -> Result<Finding> {
    let mut finding = Finding::new(
        "over 10,000 a second on two cores, and at least a third of what a server does that only answers the same bytes",
        &["host", "requests/s", "p50", "p99", "to plain axum"],
    );
    let hosts = bench.hosts(&[Kind::Bastide])?;
    // Without Bastide there are no bytes to answer: a text of the same size tries the baseline out.
    let mut body = "x".repeat(2000);
    let mut subjects = Vec::new();
    for host in &hosts {
        host.create("one")?;
        let Create::Post(base) = &host.create else { continue };
        let authorization = host.authorization.clone().unwrap_or_default();
        let url = format!("{base}one");
        body = Request::get(&url, &authorization).send()?;
        subjects.push((host.name, url, authorization));
    }
    let (_plain, url) = plain_axum(bench, &body)?;
    subjects.push(("plain axum", url, String::new()));
    let mut latest = Vec::new();
    let measured = figures::in_turns(3, &subjects, |(name, url, authorization)| {
        let answers = load::wrk(bench.path(), url, &[authorization], 32, 4)?;
        latest.push((*name, answers.half.clone(), answers.ninety_nine.clone()));
        Ok(answers.per_second)
    })?;
    let baseline = measured.last().copied().unwrap_or(f64::NAN);
    for ((name, ..), per_second) in subjects.iter().zip(&measured) {
        let ratio = figures::times(*per_second, baseline);
        if *name != "plain axum" {
            finding.measured(&ratio);
        }
        let (_, half, most) = latest.iter().rfind(|(known, ..)| known == name).cloned().unwrap_or_default();
        finding.row([(*name).to_owned(), format!("{per_second:.0}"), half, most, ratio]);
    }
    finding.note("32 connections, one thread of wrk, three rounds in turns.");
    Ok(finding)
}

fn plain_axum(bench: &Bench, body: &str) -> Result<(Running, String)> {
    let build = ["build", "--release", "--package", "xtask", "--example", "plain_axum"];
    process::run(&mut process::command("cargo", &build))?;
    let file = bench.path().join("answer.json");
    std::fs::write(&file, body)?;
    let port = process::free_port()?;
    let mut plain = Command::new(super::release_folder().join("examples/plain_axum"));
    let mut plain = Running::start(plain.arg(port.to_string()).arg(&file))?;
    plain.wait_until(|| load::answers(port))?;
    Ok((plain, format!("http://127.0.0.1:{port}/")))
}

/// The cost of a decision, by the example of `policy`.
pub(super) fn decision(_bench: &Bench) -> Result<Finding> {
    let mut finding = Finding::new(
        "under 20 µs with the entities at hand, under 50 µs with the slice built from facts in memory; every guardrail \
         together adds under 30 µs",
        &["question", "entities at hand, µs", "from facts, µs", "decided before, µs"],
    );
    let example = ["run", "--quiet", "--release", "--package", "policy", "--example", "decide_cost"];
    let said = process::output(&mut process::command("cargo", &example))?;
    let mut most = [0.0_f64; 3];
    let (mut free, mut guarded) = (f64::NAN, f64::NAN);
    for line in said.lines() {
        let mut cells = line.split('\t');
        let name = cells.next().unwrap_or_default().to_owned();
        let micros = cells.map(|cell| Ok(cell.parse::<f64>()? / 1000.0)).collect::<Result<Vec<f64>>>()?;
        let Ok(micros) = <[f64; 3]>::try_from(micros) else { continue };
        match name.as_str() {
            "user pushes, own grant" => free = micros[1],
            "user pushes, every guardrail" => guarded = micros[1],
            _ => {}
        }
        most.iter_mut().zip(micros).for_each(|(most, cost)| *most = most.max(cost));
        finding.row([name].into_iter().chain(micros.map(|cost| format!("{cost:.1}"))));
    }
    let [at_hand, from_facts, before] = most;
    finding.measured(&format!(
        "at most {at_hand:.1} µs with the entities at hand, {from_facts:.1} µs from facts, {before:.1} µs when decided before; \
         every guardrail together adds {:.1} µs",
        guarded - free
    ));
    finding.note("Facts that change make another question, so what was decided before is never out of date.");
    Ok(finding)
}
