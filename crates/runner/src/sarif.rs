//! What scanners have left among a step's artifacts: SARIF files, told to the server, which makes reports of them as if the step
//! had uploaded them itself. A file that is none is a line in the log; no step fails by one.
//!
//! It is looked for while nothing of the step runs, among what was kept. No link is followed, and what is told has the
//! step's secrets hidden, as its log has.

use std::path::{Path, PathBuf};

use pipeline::protocol::SarifReport;
use pipeline::sarif::{LONGEST, change_texts, read, slug};

use crate::keep::Keeper;
use crate::log::{Log, hidden};
use crate::server::CallError;
use crate::workspace::{is_plain_file, read_bounded};

/// How many files of a step are told.
const MOST_FILES: usize = 10;

/// A file as it is told: with secrets hidden, and the names of the tools that it is of.
struct Told {
    bytes: Vec<u8>,
    tools: Vec<String>,
}

/// Tells the server what scanners found, by the files that were kept of the step.
pub(crate) async fn tell(keeper: &Keeper<'_>, kept: Vec<PathBuf>) {
    let mut files: Vec<PathBuf> = kept.into_iter().filter(|path| is_named_so(path)).collect();
    files.sort_unstable();
    files.dedup();
    let left_out = files.len().saturating_sub(MOST_FILES);
    files.truncate(MOST_FILES);
    let (mut known, mut names): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for path in files {
        let title = path.display().to_string();
        let line = match told(keeper, path.clone()).await {
            Ok(told) => {
                // Of several files of one tool the last would take the place of the others.
                let again = told.tools.iter().any(|tool| known.contains(tool));
                let report = again.then(|| {
                    let masker = keeper.log.secrets().masker();
                    let shown = masker.map(|mut masker| hidden(&mut masker, &title));
                    let mut name = format!("sarif-{}", slug(&shown.unwrap_or_default()));
                    while names.contains(&name) {
                        name.push_str("-2");
                    }
                    names.push(name.clone());
                    name
                });
                let answer = keeper.server.tell_sarif(keeper.attempt, report.as_deref(), told.bytes).await;
                known.extend(told.tools);
                match answer {
                    Ok(made) => {
                        let told = |one: &SarifReport| match one.annotations {
                            1 => format!("report {}, 1 finding", one.name),
                            count => format!("report {}, {count} findings", one.name),
                        };
                        made.reports.iter().map(told).collect::<Vec<_>>().join("; ")
                    }
                    Err(CallError::Refused { message, .. }) => format!("it cannot be taken: {message}"),
                    Err(error) => format!("it cannot be taken: {error}"),
                }
            }
            Err(why) => why,
        };
        keeper.log.line(&format!("SARIF {title}: {line}")).await;
    }
    if left_out > 0 {
        let told = format!("{left_out} SARIF files more are left out: of a step {MOST_FILES} are read");
        keeper.log.line(&told).await;
    }
}

/// Whether a file says by its name that it is SARIF.
fn is_named_so(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.ends_with(".sarif") || name.ends_with(".sarif.json")
}

async fn told(keeper: &Keeper<'_>, path: PathBuf) -> Result<Told, String> {
    let build = keeper.build().ok_or("the clone is gone")?;
    let log = keeper.log.clone();
    let looked = tokio::task::spawn_blocking(move || look(&build, &path, &log)).await;
    looked.map_err(|error| error.to_string())?
}

fn look(build: &Path, path: &Path, log: &Log) -> Result<Told, String> {
    if !is_plain_file(build, path) {
        return Err("it is no file".to_owned());
    }
    let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    let bytes = read_bounded(&build.join(path), limit).map_err(|error| error.to_string())?;
    let found = read(&bytes).map_err(|error| error.to_string())?;
    let tools = found.iter().map(|one| slug(&one.tool)).collect();
    let mut masker = log.secrets().masker().map_err(|error| error.to_string())?;
    let bytes = change_texts(&bytes, |text| hidden(&mut masker, text)).map_err(|error| error.to_string())?;
    Ok(Told { bytes, tools })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_names() {
        for (name, expected) in [
            ("a.sarif", true),
            ("out/semgrep.sarif.json", true),
            ("a.json", false),
            ("sarif", false),
            ("a.sarif/b.txt", false),
        ] {
            assert_eq!(is_named_so(Path::new(name)), expected, "{name}");
        }
    }
}
