//! What is said of a commit, for its page: builds, and reports with their annotations.

use model::report::{AnnotationResult, AnnotationType, DataType, ReportData, ReportResult, Severity};
use model::{Annotation, BuildState, CommitStatus, ObjectId, Result, Timestamp, commit_status};
use pages::measure::{Moment, count};
use pages::report::{AnnotationRow, BuildRow, Figure, Mark, ReportPanel};
use service::{CommitStatusQuery, Located, ReportView, RepositoryPath, Window};

use super::now;
use crate::http::Cx;

/// How many builds, and how many reports, are shown.
const BUILDS: i64 = 50;
const REPORTS: i64 = 20;
const ALL_REPORTS: i64 = 200;
/// How many annotations of each report; of one that is asked for, all.
const ANNOTATIONS: i64 = 15;
const ALL_ANNOTATIONS: i64 = 1_000;

/// What a commit's page says of builds and reports.
pub(super) struct Told {
    pub(super) builds: Vec<BuildRow>,
    pub(super) more_builds: String,
    pub(super) reports: Vec<ReportPanel>,
    pub(super) more_reports: String,
}

/// How many there are beside those that are shown.
fn beside(size: Option<i64>, shown: usize, one: &'static str, many: &'static str) -> String {
    let shown = i64::try_from(shown).unwrap_or(i64::MAX);
    match u64::try_from(size.unwrap_or(0).saturating_sub(shown)) {
        Ok(more) if more > 0 => format!("And {}.", count(more, one, many)),
        _ => String::new(),
    }
}

impl Told {
    /// `?report=` names the one report that is asked for, with all of its annotations.
    pub(super) async fn of(cx: &Cx, path: &RepositoryPath, at: &Located, commit: &ObjectId) -> Result<Self> {
        let (service, now) = (cx.service()?, now(cx));
        let id = commit.as_str();
        let window = Window { limit: BUILDS, offset: 0 };
        let query = CommitStatusQuery::default();
        let (_, builds) = service.commit_statuses(&cx.caller, path, id, query, window).await?;
        let only = cx.query.get("report")?.filter(|text| !text.is_empty());
        let window = Window { limit: if only.is_some() { ALL_REPORTS } else { REPORTS }, offset: 0 };
        let most = if only.is_some() { 0 } else { ANNOTATIONS };
        let mut reports = service.commit_reports_in_full(&cx.caller, path, id, window, most).await?;
        if let Some(only) = only {
            reports.values.retain(|view| view.report.external_id == only);
            reports.size = i64::try_from(reports.values.len()).ok();
            for view in &mut reports.values {
                let name = service::ReportName { revision: id, report: only };
                let window = Window { limit: ALL_ANNOTATIONS, offset: 0 };
                view.annotations = service.annotations(&cx.caller, path, name, window).await?.1;
            }
        }
        Ok(Self {
            more_builds: beside(builds.size, builds.values.len(), "older build", "older builds"),
            builds: builds.values.iter().map(|one| build(at, one, now)).collect(),
            more_reports: beside(reports.size, reports.values.len(), "newer report", "newer reports"),
            reports: reports.values.iter().map(|view| panel(at, commit, view, now)).collect(),
        })
    }
}

fn build(at: &Located, one: &CommitStatus, now: Timestamp) -> BuildRow {
    let full_name = format!("{}/{}", at.workspace.slug, at.repository.slug);
    BuildRow {
        state: match one.state {
            BuildState::Failed => Mark::new("Failed", "danger"),
            BuildState::InProgress => Mark::new("Running", "warning"),
            BuildState::Stopped => Mark::new("Stopped", ""),
            BuildState::Successful => Mark::new("Succeeded", "open"),
        },
        name: one.name.clone().unwrap_or_else(|| one.key.clone()),
        href: one.url.as_deref().map(|url| commit_status::address(url, &full_name, &one.commit)),
        description: one.description.clone().unwrap_or_default(),
        refname: one.refname.clone().unwrap_or_default(),
        time: Moment::of(one.updated_on, now),
    }
}

fn panel(at: &Located, commit: &ObjectId, view: &ReportView, now: Timestamp) -> ReportPanel {
    let (report, annotations) = (&view.report, &view.annotations);
    let (workspace, slug) = (at.workspace.slug.as_str(), at.repository.slug.as_str());
    let page = pages::address::of(&[workspace, slug, "commits", commit.as_str()]);
    let more = beside(annotations.size, annotations.values.len(), "more annotation", "more annotations");
    ReportPanel {
        title: report.title.clone(),
        result: report.result.map(|result| match result {
            ReportResult::Passed => Mark::new("Passed", "open"),
            ReportResult::Failed => Mark::new("Failed", "danger"),
            ReportResult::Pending => Mark::new("Pending", "warning"),
        }),
        reporter: report.reporter.clone().unwrap_or_default(),
        details: report.details.clone().unwrap_or_default(),
        link: report.link.clone(),
        time: Moment::of(report.updated_on, now),
        figures: report.data.iter().map(figure).collect(),
        annotations: annotations.values.iter().map(|one| row(at, commit, one)).collect(),
        all: (!more.is_empty()).then(|| pages::address::with_query(&page, "report", &report.external_id)),
        more,
    }
}

fn figure(one: &ReportData) -> Figure {
    let part = |name: &str| one.value.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    let millis = one.value.as_i64().unwrap_or_default();
    let text = match (one.kind, one.value.as_str()) {
        (DataType::Boolean, _) => if one.value.as_bool() == Some(true) { "Yes" } else { "No" }.to_owned(),
        (DataType::Date, _) => Timestamp::from_micros(millis.saturating_mul(1_000)).to_string(),
        (DataType::Duration, _) if millis < 1_000 => format!("{millis} ms"),
        (DataType::Duration, _) if millis < 60_000 => format!("{} s", millis / 1_000),
        (DataType::Duration, _) => format!("{} min {} s", millis / 60_000, millis / 1_000 % 60),
        (DataType::Percentage, _) => format!("{} %", one.value),
        (DataType::Link, _) => part("text").unwrap_or_default(),
        (DataType::Number | DataType::Text, Some(text)) => text.to_owned(),
        (DataType::Number | DataType::Text, None) => one.value.to_string(),
    };
    let href = (one.kind == DataType::Link).then(|| part("href")).flatten();
    Figure { title: one.title.clone(), text, href }
}

fn row(at: &Located, commit: &ObjectId, one: &Annotation) -> AnnotationRow {
    let place = match &one.path {
        Some(path) if one.line > 0 => format!("{path}:{}", one.line),
        Some(path) => path.clone(),
        None => String::new(),
    };
    let href = one.path.as_ref().map(|path| {
        let parts = [at.workspace.slug.as_str(), at.repository.slug.as_str(), "src", commit.as_str()];
        let file = pages::address::with_path(&parts, path.as_bytes());
        if one.line > 0 { format!("{file}#L{}", one.line) } else { file }
    });
    AnnotationRow {
        severity: one.severity.map(|severity| match severity {
            Severity::Critical => Mark::new("Critical", "danger"),
            Severity::High => Mark::new("High", "danger"),
            Severity::Medium => Mark::new("Medium", "warning"),
            Severity::Low => Mark::new("Low", ""),
        }),
        result: one.result.and_then(|result| match result {
            AnnotationResult::Failed => None,
            AnnotationResult::Passed => Some(Mark::new("Passed", "open")),
            AnnotationResult::Skipped => Some(Mark::new("Skipped", "")),
            AnnotationResult::Ignored => Some(Mark::new("Ignored", "")),
        }),
        kind: match one.annotation_type {
            AnnotationType::Vulnerability => "Vulnerability",
            AnnotationType::CodeSmell => "Code smell",
            AnnotationType::Bug => "Bug",
        },
        summary: one.summary.clone(),
        details: one.details.clone().unwrap_or_default(),
        place,
        href,
        link: one.link.clone(),
    }
}
