//! What scanners found: SARIF 2.1.0 (OASIS), as a step uploads it, to reports and annotations.
//!
//! The file is a scanner's, about code that anybody may have written, so all of it is hostile: it is read twice, without
//! ever being held as a tree. The first time what tools say of themselves is kept, the second time results are looked at
//! one by one, of which the gravest stay. What is not known is passed over, however deep it is nested.
//!
//! Not here: who may upload, and what becomes of a report that is there already.

mod document;
mod place;
mod tally;
mod texts;

use model::report::{AnnotationResult, AnnotationType, Severity};

use document::{Heads, Results};
pub use texts::change_texts;

/// The largest file, in bytes.
pub const LONGEST: usize = 10 << 20;
/// The most runs of tools in one file.
pub const MOST_RUNS: usize = 20;

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SarifError {
    /// It is too large.
    #[error("the file has more than {LONGEST} bytes: let the scanner leave out what nobody reads")]
    TooLarge,
    /// It is no JSON, or not the JSON of SARIF.
    #[error("the file is not SARIF: {0}")]
    Malformed(String),
    /// It is of another version.
    #[error("the file is not SARIF 2.1.0: its `version` must say so")]
    Version,
    /// There is no run in it.
    #[error("the file has no runs: it must have what at least one tool found, if only nothing")]
    NoRuns,
    /// There are too many runs in it.
    #[error("the file has more than {MOST_RUNS} runs: upload it in parts")]
    TooManyRuns,
    /// A run does not say of which tool.
    #[error("`runs[{0}].tool.driver.name`: a run must name its tool")]
    Nameless(usize),
}

/// What one tool found, from however many runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolReport {
    /// The tool's name.
    pub tool: String,
    /// Its version.
    pub version: Option<String>,
    /// Where it is from.
    pub link: Option<String>,
    /// Whether it looks for weaknesses.
    pub security: bool,
    /// What was found, open findings first and the gravest of them.
    pub findings: Vec<Finding>,
    /// How many are open of each severity, the gravest first, with those that were left out.
    pub open: [u64; 4],
    /// How many somebody has decided to let be.
    pub ignored: u64,
    /// How many findings stand nowhere, because there were too many.
    pub left_out: u64,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The same for the same finding in another commit.
    pub external_id: String,
    /// What it is about.
    pub annotation_type: AnnotationType,
    /// How grave it is.
    pub severity: Severity,
    /// Whether it is open.
    pub result: AnnotationResult,
    /// What was found.
    pub summary: String,
    /// More about it.
    pub details: String,
    /// The file, from the root of the repository.
    pub path: Option<String>,
    /// The line, from 1; 0 where none is told.
    pub line: i64,
    /// Where the rule is explained.
    pub link: Option<String>,
}

/// Reads a file: a report for each tool, in the order in which they first appear.
pub fn read(bytes: &[u8]) -> Result<Vec<ToolReport>, SarifError> {
    if bytes.len() > LONGEST {
        return Err(SarifError::TooLarge);
    }
    let heads: Heads = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    if heads.version.as_deref() != Some("2.1.0") {
        return Err(SarifError::Version);
    }
    if heads.runs.left_out > 0 {
        return Err(SarifError::TooManyRuns);
    }
    let mut tally = tally::Tally::new(heads.runs.kept)?;
    let mut json = serde_json::Deserializer::from_slice(bytes);
    serde::de::DeserializeSeed::deserialize(Results(&mut tally), &mut json)
        .map_err(|error| malformed(&error))?;
    Ok(tally.reports())
}

/// A tool's name, or a file's, for the middle of a report's.
#[must_use]
pub fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars().take(100) {
        match c {
            c if c.is_alphanumeric() => slug.extend(c.to_lowercase()),
            _ if slug.ends_with('-') || slug.is_empty() => {}
            _ => slug.push('-'),
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "tool".to_owned() } else { slug.to_owned() }
}

/// The error may repeat what stands in the file.
fn malformed(error: &serde_json::Error) -> SarifError {
    SarifError::Malformed(cleaned(&error.to_string(), 250))
}

/// A text for a page: without what controls, and not for ever long.
fn cleaned(text: &str, most: usize) -> String {
    let kept = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    let mut characters = text.trim().chars().filter(kept);
    let mut text: String = characters.by_ref().take(most).collect();
    if characters.next().is_some() {
        text.pop();
        text.push('…');
    }
    text
}

/// The same, in one line.
fn line_of(text: &str, most: usize) -> String {
    cleaned(text.trim().lines().next().unwrap_or_default(), most)
}

/// An address that a page may link to.
fn web_address(text: &str) -> Option<String> {
    let safe = text.starts_with("https://") || text.starts_with("http://");
    let odd = |c: char| c.is_whitespace() || c.is_control();
    (safe && text.len() <= model::report::LONGEST_ADDRESS && !text.contains(odd)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
