//! Schedules of pipelines, and what came of each time that one was due.

use model::{
    Error, PipelineSchedule, RepositoryId, Result, ScheduleExecution, ScheduleId, ScheduleOutcome,
    ScheduleTarget, Timestamp,
};

use crate::{Query, Reader, Row, Writer, params};

/// How many executions of a schedule are kept: the newest.
pub const KEPT_EXECUTIONS: i64 = 100;

const COLUMNS: &str = "SELECT s.id, s.repository_id, s.cron, s.branch, s.selector, s.pattern, s.enabled, s.next_on, \
     s.set_by, s.created_on, s.updated_on FROM pipeline_schedule s";

fn from_row(row: &Row) -> Result<PipelineSchedule> {
    Ok(PipelineSchedule {
        id: row.get("id")?,
        repository: row.get("repository_id")?,
        cron: row.parse("cron")?,
        target: ScheduleTarget {
            branch: row.get("branch")?,
            selector: row.parse("selector")?,
            pattern: row.get("pattern")?,
        },
        enabled: row.get("enabled")?,
        next_on: row.get("next_on")?,
        set_by: row.get("set_by")?,
        created_on: row.get("created_on")?,
        updated_on: row.get("updated_on")?,
    })
}

/// A repository's schedules, the oldest first.
pub fn list(
    reader: &mut Reader<'_>,
    repository: RepositoryId,
    limit: i64,
    offset: i64,
) -> Result<Vec<PipelineSchedule>> {
    let mut query = Query::new(COLUMNS);
    query.sql(" WHERE s.repository_id = ").bind(repository);
    query.sql(" ORDER BY s.created_on, s.id LIMIT ").bind(limit).sql(" OFFSET ").bind(offset);
    reader.query(&query)?.iter().map(from_row).collect()
}

/// How many there are.
pub fn count(reader: &mut Reader<'_>, repository: RepositoryId) -> Result<i64> {
    let sql = "SELECT count(*) AS n FROM pipeline_schedule WHERE repository_id = $1";
    reader.count(sql, params![repository])
}

/// One of a repository's schedules.
pub fn find(
    reader: &mut Reader<'_>,
    repository: RepositoryId,
    id: ScheduleId,
) -> Result<Option<PipelineSchedule>> {
    let mut query = Query::new(COLUMNS);
    query.sql(" WHERE s.repository_id = ").bind(repository).sql(" AND s.id = ").bind(id);
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// Schedules that are due, those that have waited longest first; none of repositories that were deleted, or whose
/// pipelines do not run.
pub fn due(reader: &mut Reader<'_>, now: Timestamp, limit: i64) -> Result<Vec<PipelineSchedule>> {
    let mut query = Query::new(COLUMNS);
    query.sql(
        " JOIN repository r ON r.id = s.repository_id LEFT JOIN pipeline_config c ON c.repository_id = s.repository_id \
         WHERE r.deleted_on IS NULL AND s.enabled = ",
    );
    query.bind(true).sql(" AND (c.enabled IS NULL OR c.enabled = ").bind(true);
    query.sql(") AND s.next_on <= ").bind(now).sql(" ORDER BY s.next_on, s.id LIMIT ").bind(limit);
    reader.query(&query)?.iter().map(from_row).collect()
}

/// Makes a schedule.
pub fn insert(writer: &mut Writer<'_>, one: &PipelineSchedule) -> Result<()> {
    writer
        .execute(
            "INSERT INTO pipeline_schedule (id, repository_id, cron, branch, selector, pattern, enabled, next_on,
                 set_by, created_on, updated_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            params![
                one.id,
                one.repository,
                one.cron.as_str(),
                one.target.branch.as_str(),
                one.target.selector.as_str(),
                one.target.pattern.clone(),
                one.enabled,
                one.next_on,
                one.set_by,
                one.created_on,
                one.updated_on,
            ],
        )
        .map(drop)
}

/// Writes a schedule back.
pub fn update(writer: &mut Writer<'_>, one: &PipelineSchedule) -> Result<()> {
    writer
        .execute(
            "UPDATE pipeline_schedule SET cron = $3, branch = $4, selector = $5, pattern = $6, enabled = $7,
                 next_on = $8, set_by = $9, updated_on = $10
             WHERE id = $1 AND repository_id = $2",
            params![
                one.id,
                one.repository,
                one.cron.as_str(),
                one.target.branch.as_str(),
                one.target.selector.as_str(),
                one.target.pattern.clone(),
                one.enabled,
                one.next_on,
                one.set_by,
                one.updated_on,
            ],
        )
        .map(drop)
}

/// Removes a schedule.
pub fn remove(writer: &mut Writer<'_>, id: ScheduleId) -> Result<()> {
    writer.execute("DELETE FROM pipeline_schedule_execution WHERE schedule_id = $1", params![id])?;
    writer.execute("DELETE FROM pipeline_schedule WHERE id = $1", params![id]).map(drop)
}

/// Takes a time at which a schedule was due, once: false where another process has, or where the schedule has changed
/// since. What was missed meanwhile is not made up for: `next` is reckoned from now.
pub fn take(writer: &mut Writer<'_>, one: &PipelineSchedule) -> Result<bool> {
    let Some(due_on) = one.next_on else { return Ok(false) };
    let next = one.cron.next_after(writer.now());
    let sql = "UPDATE pipeline_schedule SET next_on = $3 WHERE id = $1 AND next_on = $2 AND enabled = $4";
    Ok(writer.execute(sql, params![one.id, due_on, next, true])? > 0)
}

/// Notes what came of a time that was taken.
pub fn mark_run(writer: &mut Writer<'_>, one: &ScheduleExecution) -> Result<()> {
    let (pipeline, key, message) = match &one.outcome {
        ScheduleOutcome::Started(pipeline) => (Some(*pipeline), None, None),
        ScheduleOutcome::Failed { key, message } => (None, Some(key.as_str()), Some(message.as_str())),
    };
    writer.execute(
        "INSERT INTO pipeline_schedule_execution (schedule_id, due_on, ran_on, pipeline_id, error_key, error)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (schedule_id, due_on) DO NOTHING",
        params![one.schedule, one.due_on, one.ran_on, pipeline, key, message],
    )?;
    writer
        .execute(
            "DELETE FROM pipeline_schedule_execution WHERE schedule_id = $1 AND due_on < (
                 SELECT min(due_on) FROM (
                     SELECT due_on FROM pipeline_schedule_execution WHERE schedule_id = $1
                     ORDER BY due_on DESC LIMIT $2) AS newest)",
            params![one.schedule, KEPT_EXECUTIONS],
        )
        .map(drop)
}

/// What came of a schedule, the newest first.
pub fn executions(
    reader: &mut Reader<'_>,
    schedule: ScheduleId,
    limit: i64,
    offset: i64,
) -> Result<Vec<ScheduleExecution>> {
    let rows = reader.all(
        "SELECT schedule_id, due_on, ran_on, pipeline_id, error_key, error FROM pipeline_schedule_execution
         WHERE schedule_id = $1 ORDER BY due_on DESC LIMIT $2 OFFSET $3",
        params![schedule, limit, offset],
    )?;
    let execution = |row: &Row| {
        let outcome = match row.get("pipeline_id")? {
            Some(pipeline) => ScheduleOutcome::Started(pipeline),
            None => ScheduleOutcome::Failed { key: row.get("error_key")?, message: row.get("error")? },
        };
        let (due_on, ran_on) = (row.get("due_on")?, row.get("ran_on")?);
        Ok::<_, Error>(ScheduleExecution { schedule: row.get("schedule_id")?, due_on, ran_on, outcome })
    };
    rows.iter().map(execution).collect()
}

/// How many times are kept.
pub fn count_executions(reader: &mut Reader<'_>, schedule: ScheduleId) -> Result<i64> {
    let sql = "SELECT count(*) AS n FROM pipeline_schedule_execution WHERE schedule_id = $1";
    reader.count(sql, params![schedule])
}

/// Removes all that a repository had.
pub(crate) fn forget(writer: &mut Writer<'_>, repository: RepositoryId) -> Result<()> {
    for sql in [
        "DELETE FROM pipeline_schedule_execution WHERE schedule_id IN (
             SELECT id FROM pipeline_schedule WHERE repository_id = $1)",
        "DELETE FROM pipeline_schedule WHERE repository_id = $1",
    ] {
        writer.execute(sql, params![repository])?;
    }
    Ok(())
}
