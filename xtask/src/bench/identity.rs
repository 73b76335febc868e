//! Identity tokens: how many are minted a second, beside what OpenSSL signs with a key of the same kind.

use super::report::Finding;
use super::{Bench, figures};
use crate::{Result, process};

const ROUNDS: usize = 3;

/// Measures one token after another, by the example of `service`, in turns with `openssl speed`.
pub(super) fn minted(_bench: &Bench) -> Result<Finding> {
    let mut finding = Finding::new(
        "RS256: four fifths of the signatures that `openssl speed rsa2048` makes, on one core",
        &["way", "tokens/s", "to openssl's signatures"],
    );
    let ways = ["RS256 minted", "RS256 signed", "ES256 minted", "ES256 signed"];
    let (mut openssl, mut ours) = (Vec::new(), vec![Vec::new(); ways.len()]);
    for _ in 0..ROUNDS {
        openssl.push(signatures()?);
        let example = ["run", "--quiet", "--release", "--package", "service", "--example", "identity_rate"];
        let said = process::output(&mut process::command("cargo", &example))?;
        for line in said.lines() {
            let found = line.split_once('\t').and_then(|(way, rate)| {
                let at = ways.iter().position(|known| *known == way)?;
                Some((at, rate))
            });
            let Some((at, rate)) = found else { continue };
            if let Some(rates) = ours.get_mut(at) {
                rates.push(rate.parse()?);
            }
        }
    }
    let openssl = figures::median(openssl);
    for (way, rates) in ways.iter().zip(ours) {
        let rate = figures::median(rates);
        let ratio = figures::times(rate, openssl);
        if *way == "RS256 minted" {
            finding.measured(&format!("{rate:.0} a second, {ratio}"));
        }
        finding.row([(*way).to_owned(), format!("{rate:.0}"), ratio]);
    }
    finding.row(["openssl speed rsa2048".to_owned(), format!("{openssl:.0}"), "1.00 times".to_owned()]);
    finding.note(
        "Minted: the settings and the workspace's keys are read from the database for each token, its claims are made and \
         signed; signed: the claims and the signature alone. That a token goes on record is measured with audit events.",
    );
    Ok(finding)
}

/// Signatures a second, by `openssl speed`: its last line ends with signatures and verifications a second.
fn signatures() -> Result<f64> {
    let said = process::output(&mut process::command("openssl", &["speed", "-seconds", "3", "rsa2048"]))?;
    let line = said.lines().rfind(|line| line.starts_with("rsa 2048 bits")).unwrap_or_default();
    let mut cells = line.split_whitespace().rev();
    cells.next();
    let signed = cells.next().ok_or("openssl speed said nothing of rsa 2048")?;
    Ok(signed.parse()?)
}
