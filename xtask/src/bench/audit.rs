//! The audit trail: events a second that are durable before their callers are answered.

use super::report::Finding;
use super::{Bench, figures};
use crate::postgres::Cluster;
use crate::{Result, process};

/// Measures both engines, by the example of `store`.
pub(super) fn events(_bench: &Bench) -> Result<Finding> {
    let mut finding = Finding::new(
        "over 20,000 a second on SQLite; on PostgreSQL twice what one transaction an event gives",
        &["engine", "way", "events/s", "to one transaction an event"],
    );
    let cluster = Cluster::start()?;
    let example = ["run", "--quiet", "--release", "--package", "store", "--example", "audit_rate"];
    let mut example = process::command("cargo", &example);
    example.env("BASTIDE_TEST_POSTGRES", cluster.url()).env("BASTIDE_REQUIRE_POSTGRES", "1");
    let said = process::output(&mut example)?;
    let mut rates: Vec<(&str, &str, f64)> = Vec::new();
    for line in said.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        if let [engine, way, rate] = cells[..] {
            rates.push((engine, way, rate.parse()?));
        }
    }
    for (engine, way, rate) in &rates {
        let alone =
            rates.iter().find(|(other, way, _)| other == engine && *way == "one transaction an event");
        let ratio = figures::times(*rate, alone.map_or(f64::NAN, |(.., rate)| *rate));
        if *way == "recorded" {
            finding.measured(&format!("{engine} {rate:.0} a second, {ratio}"));
        }
        finding.row([(*engine).to_owned(), (*way).to_owned(), format!("{rate:.0}"), ratio]);
    }
    finding.note(
        "512 requests at once, each for a repository of its own; placed: until the last event stands in the ledger \
         and in every index, what can be kept up for hours; one transaction an event: 16 processes that each wait \
         for their own.",
    );
    Ok(finding)
}
