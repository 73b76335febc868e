//! The cold start: from starting the process to the first answer that needed a credential and the database.

use std::time::Instant;

use super::bastide::Installation;
use super::report::Finding;
use super::{Bench, figures, load};
use crate::Result;

/// Measures it on a data directory that has been used before.
pub(super) fn cold(bench: &Bench) -> Result<Finding> {
    let mut finding = Finding::new("under 100 ms", &["host", "median of 5, ms"]);
    let Some(program) = &bench.program else { return Ok(finding) };
    let installation = Installation::new(bench.path(), program)?;
    let milliseconds = figures::in_turns(5, &[()], |()| {
        let start = Instant::now();
        let (mut running, port) = installation.serve()?;
        running
            .wait_until(|| load::status(port, "/2.0/user", Some(&installation.authorization)) == Some(200))?;
        Ok(start.elapsed().as_secs_f64() * 1000.0)
    })?;
    let milliseconds = figures::median(milliseconds);
    finding.measured(&format!("{milliseconds:.0} ms"));
    finding.row(["Bastide".to_owned(), format!("{milliseconds:.0}")]);
    Ok(finding)
}
