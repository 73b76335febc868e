//! What scanners found, uploaded as SARIF or left among a step's artifacts: a report for each tool, in place of the one
//! before.

use std::sync::Arc;

use model::report::{DataType, LONGEST_NAME, LONGEST_SUMMARY, ReportData, ReportResult, ReportType};
use model::{Action, Annotation, AnnotationId, Error, Report, ReportId, Result, StepId, Timestamp, act};
use pipeline::sarif::{Finding, SarifError, ToolReport, slug};
use serde_json::{Value, json};
use store::pipeline_step::Lease;
use store::repository::{Located, RepositoryName};

use crate::access::{RepositoryPath, repository_target};
use crate::access_question::usual_scopes;
use crate::field::Fields;
use crate::report::{Content, put, put_annotations, shown, tool_of};
use crate::step_claim::holds;
use crate::{Caller, Service};

pub use pipeline::sarif::LONGEST as LONGEST_SARIF;

/// What is uploaded.
#[derive(Clone, Debug, Default)]
pub struct SarifUpload {
    /// The file.
    pub file: bytes::Bytes,
    /// What the report is called; `sarif-` and the tool's name without it.
    pub report: Option<String>,
    /// Its heading; the tool's name without it.
    pub title: Option<String>,
}

/// A report that came of a file.
#[derive(Clone, Debug)]
pub struct SarifReport {
    /// The report.
    pub report: Report,
    /// How many annotations it has.
    pub annotations: u64,
    /// How many findings have none, because there were too many.
    pub left_out: u64,
}

/// What the reports are called, one after the other: each otherwise.
fn names(asked: Option<&str>, found: &[ToolReport]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(found.len());
    for one in found {
        let name = match (asked, found) {
            (Some(asked), [_]) => asked.to_owned(),
            (asked, _) => format!("{}-{}", asked.unwrap_or("sarif"), slug(&one.tool)),
        };
        let mut free = name.clone();
        for number in 2.. {
            if !names.contains(&free) {
                break;
            }
            free = format!("{name}-{number}");
        }
        names.push(free);
    }
    names
}

fn number(title: &str, count: u64) -> ReportData {
    ReportData { title: title.to_owned(), kind: DataType::Number, value: json!(count) }
}

fn content(title: Option<&str>, alone: bool, found: &ToolReport) -> Content {
    let open = found.open.iter().fold(0, |sum: u64, count| sum.saturating_add(*count));
    let shown = found.findings.len();
    let mut details = match open {
        0 => "No open findings.".to_owned(),
        1 => "1 open finding.".to_owned(),
        open => format!("{open} open findings."),
    };
    if found.ignored > 0 {
        details.push_str(&format!(" {} suppressed.", found.ignored));
    }
    if found.left_out > 0 {
        details.push_str(&format!(
            " The {shown} gravest are shown here; {} more are not: the tool's own report has them.",
            found.left_out
        ));
    }
    let words = ["Critical", "High", "Medium", "Low"];
    let mut data: Vec<ReportData> =
        words.iter().zip(found.open).map(|(word, count)| number(word, count)).collect();
    for (word, count) in [("Suppressed", found.ignored), ("Not shown", found.left_out)] {
        if count > 0 {
            data.push(number(word, count));
        }
    }
    let reporter = match &found.version {
        Some(version) => format!("{} {version}", found.tool),
        None => found.tool.clone(),
    };
    let title = match (title, alone) {
        (Some(title), true) => title.to_owned(),
        (Some(title), false) => format!("{title}: {}", found.tool),
        (None, _) => found.tool.clone(),
    };
    Content {
        title: title.chars().take(LONGEST_SUMMARY).collect(),
        details: Some(details),
        reporter: Some(reporter.chars().take(LONGEST_SUMMARY).collect()),
        tool: Some(tool_of(&found.tool)),
        link: found.link.clone(),
        remote_link_enabled: false,
        logo_url: None,
        // A tool that found nothing says little of what it looks for; most look for weaknesses.
        report_type: Some(match found.security || found.findings.is_empty() {
            true => ReportType::Security,
            false => ReportType::Bug,
        }),
        result: Some(if open > 0 { ReportResult::Failed } else { ReportResult::Passed }),
        data,
    }
}

fn annotation(finding: &Finding) -> Annotation {
    Annotation {
        id: AnnotationId::from_uuid(uuid::Uuid::nil()),
        report: ReportId::from_uuid(uuid::Uuid::nil()),
        external_id: finding.external_id.clone(),
        annotation_type: finding.annotation_type,
        summary: finding.summary.clone(),
        details: Some(finding.details.clone()).filter(|text| !text.is_empty()),
        path: finding.path.clone(),
        line: finding.line,
        severity: Some(finding.severity),
        result: Some(finding.result),
        link: finding.link.clone(),
        created_on: Timestamp::from_micros(0),
        updated_on: Timestamp::from_micros(0),
    }
}

fn refused(error: SarifError) -> Error {
    match error {
        SarifError::TooLarge => Error::TooLarge { limit: u64::try_from(LONGEST_SARIF).unwrap_or(u64::MAX) },
        other => Error::invalid(other.to_string()),
    }
}

impl Service {
    /// Makes a report of what each tool of a file found, in place of the report of the same name with its annotations.
    pub async fn upload_sarif(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        revision: &str,
        upload: SarifUpload,
    ) -> Result<(Located, Vec<SarifReport>)> {
        self.put_sarif(caller, path, revision, upload, None).await
    }

    /// Where a step's runner brings it, the step's lease must be held when it is written.
    async fn put_sarif(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        revision: &str,
        upload: SarifUpload,
        lease: Option<Lease>,
    ) -> Result<(Located, Vec<SarifReport>)> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::ReportSet, ground.as_ref())?;
        let mut fields = Fields::default();
        // A tool's name may come behind it.
        let name = fields.name("report", upload.report.as_deref(), LONGEST_NAME - 150);
        let title = fields.text("title", upload.title.as_deref(), LONGEST_SUMMARY - 150);
        fields.finish()?;
        let setter = self.setter(caller, ground.as_ref());
        let located = ground.subject.clone();
        let commit = self.commit_id(&located, revision).await?;
        let file = upload.file;
        let found = tokio::task::spawn_blocking(move || pipeline::sarif::read(&file));
        let found = found.await.map_err(Error::internal)?.map_err(refused)?;
        let names = names(name.as_deref(), &found);
        let (repository, at) = (located.repository.id, located.clone());
        let made = self
            .store
            .write(&permit, move |writer| {
                if let Some(lease) = &lease {
                    // It may write for seconds: the runner must be able to renew its lease meanwhile.
                    holds(writer, lease)?;
                }
                let mut made = Vec::with_capacity(found.len());
                let alone = found.len() == 1;
                for (place, (name, one)) in names.iter().zip(&found).enumerate() {
                    let content = content(title.as_deref(), alone, one);
                    let (before, report) = put(writer, (repository, &commit), name, content, &setter)?;
                    store::report::remove_annotations(writer, report.id)?;
                    let all: Vec<Annotation> = one.findings.iter().map(annotation).collect();
                    put_annotations(writer, report.id, &all)?;
                    let (before, after) = (before.as_ref().map_or(Value::Null, shown), shown(&report));
                    match place {
                        0 => writer.note(before, after),
                        _ => writer.also(Action::ReportSet, repository_target(&at), before, after),
                    }
                    let annotations = u64::try_from(all.len()).unwrap_or(u64::MAX);
                    made.push(SarifReport { report, annotations, left_out: one.left_out });
                }
                Ok(made)
            })
            .await?;
        Ok((located, made))
    }

    /// The same for a file among the artifacts of a running step, on the commit of its run: by the step's own credential, as if
    /// the step had uploaded it itself. Its runner brings it, and may do no more than that.
    pub async fn upload_step_sarif(
        &self,
        caller: &Caller,
        step: StepId,
        attempt: u32,
        upload: SarifUpload,
    ) -> Result<Vec<SarifReport>> {
        let lease = self.leased(caller, step, attempt).await?;
        self.put_step_sarif(caller, lease, upload).await
    }

    async fn put_step_sarif(
        &self,
        caller: &Caller,
        lease: Lease,
        upload: SarifUpload,
    ) -> Result<Vec<SarifReport>> {
        let step = lease.step;
        let found = self
            .store
            .read(move |reader| {
                let gone = || Error::not_found("the step");
                let row = store::pipeline_step::get(reader, step)?.ok_or_else(gone)?;
                let run = store::pipeline_run::get(reader, row.pipeline)?.ok_or_else(gone)?;
                let credential = row.credential.map(|id| store::credential::find(reader, id)).transpose()?;
                Ok((row.repository, run.commit, credential.flatten()))
            })
            .await?;
        let (repository, commit, credential) = found;
        let credential = credential.filter(|credential| credential.is_live(self.clock.now()));
        let credential = credential.ok_or_else(|| Error::forbidden("the step's own token has ended"))?;
        let as_step = Caller::access_token(Arc::new(credential), caller);
        let as_step = as_step.requiring(usual_scopes(Action::ReportSet));
        let path = RepositoryPath { workspace: None, repository: RepositoryName::Id(repository) };
        let made = self.put_sarif(&as_step, &path, &commit, upload, Some(lease)).await;
        let (_, made) = self.told_to_runner(caller, lease, made).await?;
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step_claim::tests::Scene;

    /// Attack: a runner that was let in while it had the step, and brings a clean report for the step's commit when it has lost
    /// it. The step's own token lives on until that is noticed.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_report_that_comes_after_the_loss_of_its_step_is_not_written() {
        let scene = Scene::new("{script: [a]}").await;
        let (service, lease) = (&scene.service, scene.lease().await);
        let bring = async |tool: &str| {
            let driver = json!({ "driver": { "name": tool } });
            let file = json!({ "version": "2.1.0", "runs": [{ "tool": driver, "results": [] }] });
            let upload = SarifUpload { file: file.to_string().into(), report: None, title: None };
            service.put_step_sarif(&scene.caller, lease, upload).await
        };
        assert_eq!(bring("first").await.unwrap().len(), 1);
        scene.lose();
        let refused = bring("second").await;
        assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
        let (repository, commit) = (scene.step.repository, scene.commit.parse::<model::ObjectId>().unwrap());
        let known = service
            .store
            .read(move |reader| store::report::list(reader, repository, &commit, (10, 0)))
            .await
            .unwrap();
        assert_eq!(known.iter().map(|one| one.external_id.as_str()).collect::<Vec<_>>(), ["sarif-first"]);
    }

    fn found(tool: &str) -> ToolReport {
        ToolReport {
            tool: tool.to_owned(),
            version: None,
            link: None,
            security: false,
            findings: Vec::new(),
            open: [0; 4],
            ignored: 0,
            left_out: 0,
        }
    }

    #[test]
    fn each_tool_has_a_report_of_its_own_name() {
        assert_eq!(names(None, &[found("Semgrep OSS")]), ["sarif-semgrep-oss"]);
        assert_eq!(names(Some("mine"), &[found("Semgrep OSS")]), ["mine"]);
        let several = [found("a b"), found("a-b"), found("!")];
        assert_eq!(names(Some("mine"), &several), ["mine-a-b", "mine-a-b-2", "mine-tool"]);
    }

    #[test]
    fn a_report_tells_what_it_does_not_show() {
        let mut one = found("a");
        (one.open, one.ignored, one.left_out) = ([1, 0, 0, 7], 2, 3);
        let content = content(Some("Mine"), true, &one);
        assert_eq!((content.title.as_str(), content.result), ("Mine", Some(ReportResult::Failed)));
        assert!(
            content.details.as_ref().unwrap().contains("8 open findings. 2 suppressed."),
            "{:?}",
            content.details
        );
        let told: Vec<_> = content.data.iter().map(|one| (one.title.as_str(), one.value.as_u64())).collect();
        assert_eq!(told[3..], [("Low", Some(7)), ("Suppressed", Some(2)), ("Not shown", Some(3))]);
    }
}
