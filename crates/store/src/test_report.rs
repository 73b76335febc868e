//! What the test tools of steps reported: totals, and cases, not all of which are kept of many.

use model::{RepositoryId, Result, StepId, TestCaseId, Timestamp};

use crate::bookkeeping::{Bookkeeping, Table};
use crate::{Query, Reader, Row, Writer, params};

/// How many cases one statement adds.
const AT_ONCE: usize = 50;

/// What a step reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestReportRow {
    /// The step.
    pub step: StepId,
    /// Its repository.
    pub repository: RepositoryId,
    /// Which attempt at the step.
    pub attempt: i64,
    /// How many cases passed.
    pub passed: i64,
    /// How many failed.
    pub failed: i64,
    /// How many could not be carried out.
    pub errors: i64,
    /// How many were left out.
    pub skipped: i64,
    /// How long all took, in microseconds.
    pub duration: i64,
    /// When it was told.
    pub created_on: Timestamp,
}

/// A test case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestCaseRow {
    /// Its id.
    pub id: TestCaseId,
    /// The suite that it stands in; may be empty.
    pub suite: String,
    /// Its class or file; may be empty.
    pub class_name: String,
    /// Its name.
    pub name: String,
    /// How it ended: `passed`, `failed`, `error` or `skipped`.
    pub status: String,
    /// How long it took, in microseconds.
    pub duration: i64,
    /// Why it failed or was left out, where that is told.
    pub reason: Option<String>,
    /// What else is told of a failure.
    pub output: Option<String>,
}

fn report(row: &Row) -> Result<TestReportRow> {
    Ok(TestReportRow {
        step: row.get("step_id")?,
        repository: row.get("repository_id")?,
        attempt: row.get("attempt")?,
        passed: row.get("passed")?,
        failed: row.get("failed")?,
        errors: row.get("errors")?,
        skipped: row.get("skipped")?,
        duration: row.get("duration")?,
        created_on: row.get("created_on")?,
    })
}

fn case(row: &Row) -> Result<TestCaseRow> {
    Ok(TestCaseRow {
        id: row.get("id")?,
        suite: row.get("suite")?,
        class_name: row.get("class_name")?,
        name: row.get("name")?,
        status: row.get("status")?,
        duration: row.get("duration")?,
        reason: row.get("reason")?,
        output: row.get("output")?,
    })
}

/// What a step reported last.
pub fn get(reader: &mut Reader<'_>, step: StepId) -> Result<Option<TestReportRow>> {
    let row = reader.one("SELECT * FROM test_report WHERE step_id = $1", params![step])?;
    row.as_ref().map(report).transpose()
}

/// A part of a step's cases, those that failed first; and how many are kept.
pub fn cases(
    reader: &mut Reader<'_>,
    step: StepId,
    limit: i64,
    offset: i64,
) -> Result<(Vec<TestCaseRow>, i64)> {
    let rows = reader.all(
        "SELECT * FROM test_case WHERE step_id = $1 ORDER BY position LIMIT $2 OFFSET $3",
        params![step, limit, offset],
    )?;
    let count = reader.one("SELECT count(*) AS n FROM test_case WHERE step_id = $1", params![step])?;
    let count = count.map_or(Ok(0), |row| row.get("n"))?;
    Ok((rows.iter().map(case).collect::<Result<_>>()?, count))
}

/// One case of a step.
pub fn find(reader: &mut Reader<'_>, step: StepId, id: TestCaseId) -> Result<Option<TestCaseRow>> {
    let row = reader.one("SELECT * FROM test_case WHERE step_id = $1 AND id = $2", params![step, id])?;
    row.as_ref().map(case).transpose()
}

/// Keeps what a step reports, in the place of what it reported before.
pub fn put(books: &mut Bookkeeping<'_>, row: &TestReportRow, cases: &[TestCaseRow]) -> Result<()> {
    let step = row.step;
    books.execute(Table::TestCase, "DELETE FROM test_case WHERE step_id = $1", params![step])?;
    books.execute(Table::TestReport, "DELETE FROM test_report WHERE step_id = $1", params![step])?;
    books.execute(
        Table::TestReport,
        "INSERT INTO test_report (step_id, repository_id, attempt, passed, failed, errors, skipped, duration, created_on)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        params![
            step,
            row.repository,
            row.attempt,
            row.passed,
            row.failed,
            row.errors,
            row.skipped,
            row.duration,
            row.created_on,
        ],
    )?;
    let mut position = 0_i64;
    for some in cases.chunks(AT_ONCE) {
        let mut query = Query::new(
            "INSERT INTO test_case (id, step_id, position, suite, class_name, name, status, duration, reason, output) VALUES ",
        );
        for (at, case) in some.iter().enumerate() {
            query.sql(if at > 0 { ", (" } else { "(" }).bind(case.id).sql(", ").bind(step);
            query.sql(", ").bind(position).sql(", ").bind(case.suite.as_str());
            query.sql(", ").bind(case.class_name.as_str()).sql(", ").bind(case.name.as_str());
            query.sql(", ").bind(case.status.as_str()).sql(", ").bind(case.duration);
            query.sql(", ").bind(case.reason.as_deref()).sql(", ").bind(case.output.as_deref()).sql(")");
            position += 1;
        }
        books.execute_query(Table::TestCase, &query)?;
    }
    Ok(())
}

/// Removes all that a repository had.
pub(crate) fn forget(writer: &mut Writer<'_>, repository: RepositoryId) -> Result<()> {
    writer.execute(
        "DELETE FROM test_case WHERE step_id IN (SELECT step_id FROM test_report WHERE repository_id = $1)",
        params![repository],
    )?;
    writer.execute("DELETE FROM test_report WHERE repository_id = $1", params![repository]).map(drop)
}
