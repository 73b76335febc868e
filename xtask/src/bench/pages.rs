//! Pages: how long somebody who is signed in waits for the server, on a repository with many files.

use serde_json::json;

use super::load::{Request, Visitor};
use super::report::Finding;
use super::{Bench, bastide, content, figures};
use crate::Result;

/// The pages that the goal is about.
const PAGES: &[(&str, &str)] = &[
    ("overview", "/bench/many"),
    ("tree", "/bench/many/src/main/src"),
    ("tree of 100 files", "/bench/many/src/main/src/d3/p4"),
    ("file", "/bench/many/src/main/src/d3/p4/file_7900.txt"),
    ("branches", "/bench/many/branches"),
    ("settings", "/bench/many/settings/general"),
    ("access tokens", "/bench/many/settings/access-tokens"),
    ("guardrails", "/bench/workspace/settings/guardrails"),
];
/// How often each is opened.
const TIMES: usize = 51;
const PASSWORD: &str = "four unrelated words here";

/// Opens each.
pub(super) fn opened(bench: &Bench) -> Result<Finding> {
    let mut finding = Finding::new(
        "under 20 ms at the median, and under 100 KB a page",
        &["page", "median, ms", "slowest of 51, ms", "KB"],
    );
    let Some(program) = &bench.program else { return Ok(finding) };
    let installation = bastide::Installation::new(bench.path(), program)?;
    let (host, site) = bastide::started(bench.path(), &installation)?;
    let send = |request: Request| request.send().map(|_| ());
    let user = json!({"username": "ben", "email": "ben@example.com", "password": PASSWORD});
    send(Request::post(&format!("{site}/api/users"), &installation.authorization, &user))?;
    let owner = json!({"permission": "owner"});
    let member = format!("{site}/api/workspaces/bench/members/ben");
    send(Request::post(&member, &installation.authorization, &owner).by("PUT"))?;
    host.fill("many", &content::MANY)?;
    let visitor = Visitor::sign_in(bench.path(), &site, "ben", PASSWORD)?;
    let (mut slowest, mut largest) = (0.0_f64, 0.0_f64);
    for (name, path) in PAGES {
        let (milliseconds, bytes) = visitor.open(path, TIMES)?;
        let most = milliseconds.iter().copied().fold(0.0, f64::max);
        let median = figures::median(milliseconds);
        slowest = slowest.max(median);
        largest = largest.max(bytes / 1000.0);
        let cells = [format!("{median:.1}"), format!("{most:.1}"), format!("{:.0}", bytes / 1000.0)];
        finding.row([(*name).to_owned()].into_iter().chain(cells));
    }
    finding.measured(&format!("at most {slowest:.1} ms at the median, {largest:.0} KB"));
    finding.note("Until the first byte of the answer, one page after the other over one connection.");
    Ok(finding)
}
