//! What the test tools of steps report: runners tell it, people look at it.

use model::{Error, Result, StepId, TestCaseId, act};
use pipeline::test_report::TestReport;
use store::pipeline_step::Lease;
use store::test_report::{TestCaseRow, TestReportRow};

use crate::access::RepositoryPath;
use crate::pipeline_run::PipelineName;
use crate::{Caller, Listing, Service, Window};

impl Service {
    /// Keeps what a step's test tools reported, in the place of what the step reported before.
    pub async fn put_test_report(
        &self,
        caller: &Caller,
        step: StepId,
        attempt: u32,
        told: TestReport,
    ) -> Result<()> {
        let lease = self.leased(caller, step, attempt).await?;
        self.keep_test_report(caller, lease, told).await
    }

    async fn keep_test_report(&self, caller: &Caller, lease: Lease, told: TestReport) -> Result<()> {
        if !told.is_bounded() {
            return Err(Error::invalid("the report has more or longer cases than a step may tell of"));
        }
        let step = lease.step;
        let row = self.store.read(move |reader| store::pipeline_step::get(reader, step)).await?;
        let row = row.ok_or_else(|| Error::not_found("the step"))?;
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let report = TestReportRow {
            step,
            repository: row.repository,
            attempt: lease.attempt,
            passed: number(told.totals.passed),
            failed: number(told.totals.failed),
            errors: number(told.totals.errors),
            skipped: number(told.totals.skipped),
            duration: number(told.totals.duration),
            created_on: self.clock.now(),
        };
        let cases: Vec<TestCaseRow> = told
            .cases
            .into_iter()
            .map(|case| TestCaseRow {
                id: TestCaseId::new(&self.random),
                suite: case.suite,
                class_name: case.class_name,
                name: case.name,
                status: case.status.as_str().to_owned(),
                duration: number(case.duration),
                reason: case.reason,
                output: case.output,
            })
            .collect();
        self.keep_leased(caller, lease, move |books| store::test_report::put(books, &report, &cases)).await
    }

    /// How many of a step's test cases ended how, in its last attempt.
    pub async fn test_report(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        pipeline: PipelineName,
        step: StepId,
    ) -> Result<TestReportRow> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineRead, ground.as_ref())?;
        let repository = ground.subject.repository.id;
        let found = self
            .store
            .read(move |reader| {
                let run = crate::pipeline_run::named(reader, repository, pipeline)?;
                let row = store::pipeline_step::get(reader, step)?.filter(|row| row.pipeline == run.id);
                let row = row.ok_or_else(|| Error::not_found("the step"))?;
                // What an earlier attempt told is not what this one did.
                let report = store::test_report::get(reader, step)?;
                Ok(report.filter(|report| report.attempt == row.attempt))
            })
            .await?;
        found.ok_or_else(|| Error::not_found("a report of tests"))
    }

    /// A part of a step's test cases, those that failed first.
    pub async fn test_cases(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        (pipeline, step): (PipelineName, StepId),
        window: Window,
    ) -> Result<Listing<TestCaseRow>> {
        self.test_report(caller, path, pipeline, step).await?;
        let (limit, offset) = (window.limit, window.offset);
        let (cases, count) =
            self.store.read(move |reader| store::test_report::cases(reader, step, limit, offset)).await?;
        Ok(Listing::new(cases, count))
    }

    /// One test case of a step.
    pub async fn test_case(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        (pipeline, step): (PipelineName, StepId),
        case: TestCaseId,
    ) -> Result<TestCaseRow> {
        self.test_report(caller, path, pipeline, step).await?;
        let found = self.store.read(move |reader| store::test_report::find(reader, step, case)).await?;
        found.ok_or_else(|| Error::not_found("the test case"))
    }
}

#[cfg(test)]
mod tests {
    use pipeline::test_report::TestTotals;

    use super::*;
    use crate::step_claim::tests::Scene;

    /// Attack: a runner that was let in while it had the step, and replaces what its tests reported when it has lost it.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_report_that_comes_after_the_loss_of_its_step_is_not_kept() {
        let scene = Scene::new("{script: [a]}").await;
        let (service, id) = (&scene.service, scene.step.id);
        let lease = scene.lease().await;
        let keep = async |failed: u64| {
            let told =
                TestReport { totals: TestTotals { failed, ..TestTotals::default() }, cases: Vec::new() };
            service.keep_test_report(&scene.caller, lease, told).await
        };
        keep(1).await.unwrap();
        scene.lose();
        let refused = keep(0).await;
        assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
        let kept = service.store.read(move |reader| store::test_report::get(reader, id)).await.unwrap();
        assert_eq!(kept.unwrap().failed, 1);
    }
}
