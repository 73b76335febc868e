//! Counts what was found and keeps the gravest of it.

use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::fmt::Write;

use model::report::{
    AnnotationResult, AnnotationType, LONGEST_DETAILS, LONGEST_SUMMARY, MOST_ANNOTATIONS, Severity,
};
use sha2::{Digest, Sha256};

use super::document::{Component, Found, Head, Kind, Level, Rule};
use super::{Finding, SarifError, ToolReport, cleaned, line_of, place, web_address};

/// The longest name of a tool, in characters.
const LONGEST_TOOL: usize = 100;

/// What is kept of a finding, and its rank: the greatest goes first when there are too many.
struct Kept {
    rank: (bool, Severity, u64),
    finding: Finding,
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Kept {}

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kept {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank.cmp(&other.rank)
    }
}

struct OfTool {
    report: ToolReport,
    kept: BinaryHeap<Kept>,
    seen: u64,
}

/// A run's place among the tools, and its rules by id: the component, 0 for the driver, and the place in it.
struct Run {
    head: Head,
    tool: usize,
    by_id: HashMap<Box<str>, (usize, usize)>,
}

impl Run {
    fn component(&self, at: usize) -> Option<&Component> {
        match at.checked_sub(1) {
            None => Some(&self.head.tool.driver),
            Some(at) => self.head.tool.extensions.kept.get(at),
        }
    }

    fn named(&self, id: &str) -> Option<&Rule> {
        let (component, at) = self.by_id.get(id)?;
        self.component(*component)?.rules.kept.get(*at)
    }

    fn rule(&self, found: &Found) -> Option<&Rule> {
        let id = id_of(found)?;
        // What stands behind a slash names a part of a rule.
        self.named(id).or_else(|| self.named(id.rsplit_once('/')?.0))
    }

    fn numbered(&self, found: &Found) -> Option<&Rule> {
        let at = usize::try_from(found.rule_index?).ok()?;
        self.head.tool.driver.rules.kept.get(at)
    }
}

/// What all runs found.
pub(super) struct Tally {
    tools: Vec<OfTool>,
    runs: Vec<Run>,
}

impl Tally {
    pub(super) fn new(heads: Vec<Head>) -> Result<Self, SarifError> {
        if heads.is_empty() {
            return Err(SarifError::NoRuns);
        }
        let (mut tools, mut places) = (Vec::<OfTool>::new(), BTreeMap::new());
        let mut runs = Vec::with_capacity(heads.len());
        for (number, head) in heads.into_iter().enumerate() {
            let driver = &head.tool.driver;
            let name = line_of(driver.name.as_deref().unwrap_or_default(), LONGEST_TOOL);
            if name.is_empty() {
                return Err(SarifError::Nameless(number));
            }
            let tool = *places.entry(name.to_lowercase()).or_insert(tools.len());
            if tool == tools.len() {
                let version = driver.semantic_version.as_deref().or(driver.version.as_deref());
                tools.push(OfTool::new(name, version, driver.information_uri.as_deref()));
            }
            let components = std::iter::once(driver).chain(&head.tool.extensions.kept);
            let mut by_id = HashMap::new();
            for (component, rules) in components.map(|one| &one.rules.kept).enumerate() {
                for (at, rule) in rules.iter().enumerate().filter(|(_, rule)| !rule.id.is_empty()) {
                    by_id.entry(rule.id.clone()).or_insert((component, at));
                }
                if let Some(tool) = tools.get_mut(tool) {
                    tool.report.security |= rules.iter().any(|rule| rule.security);
                }
            }
            runs.push(Run { head, tool, by_id });
        }
        Ok(Self { tools, runs })
    }

    /// Looks at one result of a run.
    pub(super) fn take(&mut self, run: usize, found: &Found) {
        // Between two looks at the same bytes no run appears; what a later look does not know is passed over.
        let Some(run) = self.runs.get(run) else { return };
        let Some(tool) = self.tools.get_mut(run.tool) else { return };
        if found.baseline_state.as_deref() != Some("absent") {
            tool.take(run, found);
        }
    }

    pub(super) fn reports(self) -> Vec<ToolReport> {
        self.tools.into_iter().map(OfTool::report).collect()
    }
}

impl OfTool {
    fn new(tool: String, version: Option<&str>, link: Option<&str>) -> Self {
        let report = ToolReport {
            tool,
            version: version.map(|text| line_of(text, LONGEST_TOOL)).filter(|text| !text.is_empty()),
            link: link.and_then(web_address),
            security: false,
            findings: Vec::new(),
            open: [0; 4],
            ignored: 0,
            left_out: 0,
        };
        Self { report, kept: BinaryHeap::new(), seen: 0 }
    }

    fn take(&mut self, run: &Run, found: &Found) {
        let rule = run.rule(found).or_else(|| run.numbered(found));
        let (result, severity) = (result(found), severity(found, rule));
        match result {
            AnnotationResult::Failed => {
                if let Some(count) = self.report.open.get_mut(place_of(severity)) {
                    *count = count.saturating_add(1);
                }
            }
            AnnotationResult::Ignored => self.report.ignored = self.report.ignored.saturating_add(1),
            AnnotationResult::Passed | AnnotationResult::Skipped => {}
        }
        let rank = (result != AnnotationResult::Failed, severity, self.seen);
        self.seen = self.seen.saturating_add(1);
        let full = self.kept.len() >= MOST_ANNOTATIONS;
        if full {
            self.report.left_out = self.report.left_out.saturating_add(1);
            if self.kept.peek().is_none_or(|last| last.rank < rank) {
                return;
            }
            self.kept.pop();
        }
        let finding = finding(run, found, rule, result, severity);
        self.report.security |= finding.annotation_type == AnnotationType::Vulnerability;
        self.kept.push(Kept { rank, finding });
    }

    fn report(mut self) -> ToolReport {
        let mut times: HashMap<String, u64> = HashMap::new();
        for Kept { mut finding, .. } in self.kept.into_sorted_vec() {
            // The same finding twice in a file has two names.
            let before = times.entry(finding.external_id.clone()).or_default();
            *before = before.saturating_add(1);
            if *before > 1 {
                let _ = write!(finding.external_id, "-{before}");
            }
            self.report.findings.push(finding);
        }
        self.report
    }
}

fn id_of(found: &Found) -> Option<&str> {
    found.rule_id.as_deref().or(found.rule.as_ref().and_then(|rule| rule.id.as_deref()))
}

fn place_of(severity: Severity) -> usize {
    Severity::ALL.iter().position(|one| *one == severity).unwrap_or_default()
}

fn result(found: &Found) -> AnnotationResult {
    let suppressions = &found.suppressions.kept;
    // One that nobody has accepted yet, or that somebody refused, lets nothing be.
    let accepted = |status: Option<&str>| !matches!(status, Some("underReview" | "rejected"));
    match found.kind {
        Some(Kind::Pass) => AnnotationResult::Passed,
        Some(Kind::NotApplicable) => AnnotationResult::Skipped,
        _ if suppressions.is_empty() => AnnotationResult::Failed,
        _ if suppressions.iter().all(|one| accepted(one.status.as_deref())) => AnnotationResult::Ignored,
        _ => AnnotationResult::Failed,
    }
}

/// By the score where there is one, else by the level: the result's own before its rule's.
fn severity(found: &Found, rule: Option<&Rule>) -> Severity {
    let own = found.properties.as_ref().and_then(|properties| properties.score());
    let score = own.or(rule.and_then(|rule| rule.score));
    let by_level = || match found.level.or(rule.and_then(|rule| rule.level)).unwrap_or(Level::Warning) {
        Level::Error => Severity::High,
        Level::Warning | Level::Unknown => Severity::Medium,
        Level::Note | Level::None => Severity::Low,
    };
    score.and_then(Severity::of_score).unwrap_or_else(by_level)
}

fn finding(
    run: &Run,
    found: &Found,
    rule: Option<&Rule>,
    result: AnnotationResult,
    severity: Severity,
) -> Finding {
    let id = line_of(id_of(found).or(rule.map(|rule| rule.id.as_ref())).unwrap_or_default(), 250);
    let message = found.message.as_ref().and_then(|message| message.text.as_deref()).unwrap_or_default();
    let short = rule.and_then(|rule| rule.short.as_deref());
    let said = [short.unwrap_or_default(), message].map(|text| line_of(text, LONGEST_SUMMARY));
    let said = said.into_iter().find(|text| !text.is_empty());
    let summary = match (id.is_empty(), said) {
        (true, None) => "A finding that its tool says nothing about".to_owned(),
        (true, Some(said)) => said,
        (false, None) => id.clone(),
        (false, Some(said)) if said == id => said,
        (false, Some(said)) => format!("{id}: {said}"),
    };
    let place = found.locations.kept.first().and_then(|location| location.physical_location.as_ref());
    let path = place
        .and_then(|place| place.artifact_location.as_ref())
        .and_then(|location| place::path(location, &run.head));
    let line = place.and_then(|place| place.region.as_ref()).and_then(|region| region.start_line);
    let line = line.filter(|line| path.is_some() && (1..=i64::from(i32::MAX)).contains(line)).unwrap_or(0);
    let security = rule.is_some_and(|rule| rule.security)
        || found.properties.as_ref().is_some_and(|properties| properties.is_security());
    let error = found.level.or(rule.and_then(|rule| rule.level)) == Some(Level::Error);
    Finding {
        external_id: fingerprint(&id, path.as_deref(), found, message, line),
        annotation_type: match (security, error) {
            (true, _) => AnnotationType::Vulnerability,
            (false, true) => AnnotationType::Bug,
            (false, false) => AnnotationType::CodeSmell,
        },
        severity,
        result,
        summary: cleaned(&summary, LONGEST_SUMMARY),
        details: cleaned(message, LONGEST_DETAILS),
        path,
        line,
        link: rule.and_then(|rule| rule.help.as_deref()).map(str::to_owned),
    }
}

/// By the tool's own fingerprint where it gives one, which outlives lines that move; else by what was found where.
fn fingerprint(id: &str, path: Option<&str>, found: &Found, message: &str, line: i64) -> String {
    let own = found.fingerprints.0.iter().chain(&found.partial_fingerprints.0).next();
    let line = line.to_string();
    let last = match own {
        Some((name, value)) => [name.as_str(), value.as_str()],
        None => [message, line.as_str()],
    };
    let mut hash = Sha256::new();
    for part in [id, path.unwrap_or_default()].into_iter().chain(last) {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let mut text = String::new();
    for byte in hash.finalize().iter().take(16) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
