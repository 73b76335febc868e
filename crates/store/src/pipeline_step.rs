//! Steps of runs, the queue that ready ones are, and the leases under which runners have them.

use model::{
    CredentialId, EnvironmentId, Error, PipelineId, RepositoryId, Resource, Result, RunnerId, StepId,
    Timestamp,
};
use serde_json::Value as Json;

use crate::bookkeeping::{Bookkeeping, Table};
use crate::{Query, Reader, Row, Writer, params};

const COLUMNS: &str = "s.id, s.pipeline_id, s.repository_id, s.position, s.name, s.plan, s.labels, s.manual, s.started, \
     s.excluded, s.state, s.verdict, s.attempt, s.runner_id, s.credential_id, s.environment_id, \
     s.concurrency_group, s.holds, s.outputs, s.ready_on, s.started_on, s.completed_on";

/// A step of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRow {
    /// Its id.
    pub id: StepId,
    /// Its run.
    pub pipeline: PipelineId,
    /// The run's repository.
    pub repository: RepositoryId,
    /// Its index in the plan.
    pub position: i64,
    /// For people.
    pub name: Option<String>,
    /// What it does: a planned step.
    pub plan: Json,
    /// The labels that its runner must have, sorted.
    pub labels: Vec<String>,
    /// Whether somebody must start it.
    pub manual: bool,
    /// Whether somebody has.
    pub started: bool,
    /// Whether the files that changed leave it out.
    pub excluded: bool,
    /// Its state, in the words of the plan's progress.
    pub state: String,
    /// How its last attempt ended.
    pub verdict: Option<Json>,
    /// How often a runner has taken it.
    pub attempt: i64,
    /// Which runner has or had it.
    pub runner: Option<RunnerId>,
    /// Its token.
    pub credential: Option<CredentialId>,
    /// The environment that it deploys to.
    pub environment: Option<EnvironmentId>,
    /// Steps of one such group never run at the same time.
    pub concurrency_group: Option<String>,
    /// Whether it keeps others from its environment and group.
    pub holds: bool,
    /// What it left to later steps, by name.
    pub outputs: Option<Json>,
    /// Since when a runner may take it.
    pub ready_on: Option<Timestamp>,
    /// When a runner last took it.
    pub started_on: Option<Timestamp>,
    /// When it ended.
    pub completed_on: Option<Timestamp>,
}

/// A lease on a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The step.
    pub step: StepId,
    /// Which attempt at it.
    pub attempt: i64,
    /// Who has it.
    pub runner: RunnerId,
    /// Until when.
    pub until: Timestamp,
    /// Whether it is to be stopped.
    pub stop: bool,
}

/// The labels as the store keeps them: sorted, with blanks between and around.
#[must_use]
pub fn labels_text(labels: &[String]) -> String {
    let mut labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    labels.sort_unstable();
    labels.dedup();
    labels.iter().fold(" ".to_owned(), |text, label| text + label + " ")
}

/// What [`labels_text`] wrote.
#[must_use]
pub fn labels_of(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

fn from_row(row: &Row) -> Result<StepRow> {
    let labels: String = row.get("labels")?;
    Ok(StepRow {
        id: row.get("id")?,
        pipeline: row.get("pipeline_id")?,
        repository: row.get("repository_id")?,
        position: row.get("position")?,
        name: row.get("name")?,
        plan: row.get("plan")?,
        labels: labels_of(&labels),
        manual: row.get("manual")?,
        started: row.get("started")?,
        excluded: row.get("excluded")?,
        state: row.get("state")?,
        verdict: row.get("verdict")?,
        attempt: row.get("attempt")?,
        runner: row.get("runner_id")?,
        credential: row.get("credential_id")?,
        environment: row.get("environment_id")?,
        concurrency_group: row.get("concurrency_group")?,
        holds: row.get("holds")?,
        outputs: row.get("outputs")?,
        ready_on: row.get("ready_on")?,
        started_on: row.get("started_on")?,
        completed_on: row.get("completed_on")?,
    })
}

/// A run's steps, in their order.
pub fn list(reader: &mut Reader<'_>, pipeline: PipelineId) -> Result<Vec<StepRow>> {
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS).sql(" FROM pipeline_step s WHERE s.pipeline_id = ").bind(pipeline);
    query.sql(" ORDER BY s.position");
    reader.query(&query)?.iter().map(from_row).collect()
}

/// A step.
pub fn get(reader: &mut Reader<'_>, id: StepId) -> Result<Option<StepRow>> {
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS).sql(" FROM pipeline_step s WHERE s.id = ").bind(id);
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// The step whose runner was given this credential last.
pub fn by_credential(reader: &mut Reader<'_>, credential: CredentialId) -> Result<Option<StepRow>> {
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS).sql(" FROM pipeline_step s WHERE s.credential_id = ").bind(credential);
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// Adds a step.
pub fn insert(writer: &mut Writer<'_>, step: &StepRow) -> Result<()> {
    writer
        .execute(
            "INSERT INTO pipeline_step (id, pipeline_id, repository_id, position, name, plan, labels, manual, started,
                 excluded, state, attempt, environment_id, concurrency_group, holds, ready_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12, $13, FALSE, $14)",
            params![
                step.id,
                step.pipeline,
                step.repository,
                step.position,
                step.name.clone(),
                step.plan.clone(),
                labels_text(&step.labels),
                step.manual,
                step.started,
                step.excluded,
                step.state.as_str(),
                step.environment,
                step.concurrency_group.clone(),
                step.ready_on,
            ],
        )
        .map(drop)
}

/// Which of these steps there are.
pub fn known(reader: &mut Reader<'_>, steps: &[StepId]) -> Result<Vec<StepId>> {
    let mut query = Query::new("SELECT id FROM pipeline_step WHERE id IN ");
    query.bind_list(steps.iter().copied());
    reader.query(&query)?.iter().map(|row| row.get("id")).collect()
}

/// Ready steps that a runner with these labels may take where it is registered, the longest waiting first: the step, and
/// its repository.
pub fn ready_for(
    reader: &mut Reader<'_>,
    bound_to: Resource,
    labels: &[String],
    not_of: &[RepositoryId],
    limit: i64,
) -> Result<Vec<(StepId, RepositoryId)>> {
    let wanted = reader.all("SELECT DISTINCT labels FROM pipeline_step WHERE state = 'ready'", &[])?;
    let mut fitting: Vec<String> = Vec::new();
    for row in wanted {
        let text: String = row.get("labels")?;
        if labels_of(&text).iter().all(|label| labels.contains(label)) {
            fitting.push(text);
        }
    }
    if fitting.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = Query::new(
        "SELECT s.id, s.repository_id FROM pipeline_step s JOIN repository r ON r.id = s.repository_id
         WHERE s.state = 'ready' AND r.deleted_on IS NULL AND s.labels IN ",
    );
    query.bind_list(fitting.iter().map(String::as_str));
    match bound_to {
        Resource::Instance => {}
        Resource::Workspace(id) => drop(query.sql(" AND r.workspace_id = ").bind(id)),
        Resource::Repository(id) => drop(query.sql(" AND r.id = ").bind(id)),
        _ => return Err(Error::internal("a runner is registered for what runners are not registered for")),
    }
    if !not_of.is_empty() {
        query.sql(" AND r.id NOT IN ").bind_list(not_of.iter().copied());
    }
    query.sql(NOT_HELD_BACK).sql(" ORDER BY s.ready_on, s.id LIMIT ").bind(limit);
    reader.query(&query)?.iter().map(|row| Ok((row.get("id")?, row.get("repository_id")?))).collect()
}

/// That no other run keeps the step from its environment, and no other step from its group.
const NOT_HELD_BACK: &str = " AND NOT EXISTS (
    SELECT 1 FROM pipeline_step o WHERE o.holds AND o.repository_id = s.repository_id AND o.id <> s.id AND (
        (o.environment_id = s.environment_id AND o.pipeline_id <> s.pipeline_id AND NOT EXISTS (
            SELECT 1 FROM environment e WHERE e.id = s.environment_id AND NOT e.lock_enabled))
        OR (o.concurrency_group = s.concurrency_group AND o.state = 'running')))";

/// A runner takes a step; none where it is not to be had any more. Gives the attempt.
pub fn claim(
    writer: &mut Writer<'_>,
    step: StepId,
    runner: RunnerId,
    credential: CredentialId,
    until: Timestamp,
) -> Result<Option<i64>> {
    let now = writer.now();
    let mut query =
        Query::new("UPDATE pipeline_step AS s SET state = 'running', attempt = attempt + 1, holds = TRUE, ");
    query.sql("runner_id = ").bind(runner).sql(", credential_id = ").bind(credential);
    query
        .sql(", started_on = ")
        .bind(now)
        .sql(", completed_on = NULL, verdict = NULL, outputs = NULL WHERE s.id = ");
    query.bind(step).sql(" AND s.state = 'ready'").sql(NOT_HELD_BACK).sql(" RETURNING attempt");
    let rows = writer.returning_query(&query)?;
    let Some(row) = rows.first() else { return Ok(None) };
    let attempt: i64 = row.get("attempt")?;
    writer.execute(
        "INSERT INTO step_lease (step_id, attempt, runner_id, lease_until, stop) VALUES ($1, $2, $3, $4, FALSE)",
        params![step, attempt, runner, until],
    )?;
    Ok(Some(attempt))
}

/// Sets the state of a step that no runner has.
pub fn set_state(writer: &mut Writer<'_>, id: StepId, state: &str) -> Result<()> {
    let now = writer.now();
    let ready = (state == "ready").then_some(now);
    let over = matches!(state, "passed" | "failed" | "stopped" | "skipped" | "not-run").then_some(now);
    writer
        .execute(
            "UPDATE pipeline_step SET state = $2, ready_on = coalesce($3, ready_on), completed_on = $4 WHERE id = $1",
            params![id, state, ready, over],
        )
        .map(drop)
}

/// Somebody starts a step that waited for them.
pub fn set_started(writer: &mut Writer<'_>, id: StepId) -> Result<()> {
    writer.execute("UPDATE pipeline_step SET started = TRUE WHERE id = $1", params![id]).map(drop)
}

/// Has the steps that are ready to deploy to an environment wait for their turn anew, but for those that somebody has let go on.
/// Gives their runs.
pub fn wait_again(writer: &mut Writer<'_>, environment: EnvironmentId) -> Result<Vec<PipelineId>> {
    let rows = writer.all(
        "SELECT DISTINCT pipeline_id FROM pipeline_step
         WHERE environment_id = $1 AND state = 'ready' AND NOT started",
        params![environment],
    )?;
    let runs = rows.iter().map(|row| row.get("pipeline_id")).collect::<Result<_>>()?;
    writer.execute(
        "UPDATE pipeline_step SET state = 'pending', ready_on = NULL
         WHERE environment_id = $1 AND state = 'ready' AND NOT started",
        params![environment],
    )?;
    Ok(runs)
}

/// A step's attempt has ended. `holds` is whether it goes on keeping others from its environment.
pub fn finish(
    writer: &mut Writer<'_>,
    id: StepId,
    state: &str,
    verdict: Json,
    outputs: Option<Json>,
    holds: bool,
) -> Result<()> {
    let now = writer.now();
    writer.execute(
        "UPDATE pipeline_step SET state = $2, verdict = $3, outputs = $4, holds = $5, completed_on = $6 WHERE id = $1",
        params![id, state, verdict, outputs, holds, now],
    )?;
    writer.execute("DELETE FROM step_lease WHERE step_id = $1", params![id]).map(drop)
}

/// A step is to be taken again: its attempt was lost, or somebody wants the run's failed steps once more.
pub fn make_ready_again(writer: &mut Writer<'_>, id: StepId) -> Result<()> {
    let now = writer.now();
    writer.execute(
        "UPDATE pipeline_step SET state = 'ready', holds = FALSE, ready_on = $2, completed_on = NULL WHERE id = $1",
        params![id, now],
    )?;
    writer.execute("DELETE FROM step_lease WHERE step_id = $1", params![id]).map(drop)
}

/// A step waits for its turn once more, and for whoever must start or approve it.
pub fn make_pending(writer: &mut Writer<'_>, id: StepId) -> Result<()> {
    crate::step_approval::forget(writer, id)?;
    writer
        .execute(
            "UPDATE pipeline_step SET state = 'pending', holds = FALSE, started = FALSE, ready_on = NULL,
                 completed_on = NULL, verdict = NULL, outputs = NULL WHERE id = $1",
            params![id],
        )
        .map(drop)
}

/// No step of the run keeps others from this environment any more.
pub fn give_up(writer: &mut Writer<'_>, pipeline: PipelineId, environment: EnvironmentId) -> Result<()> {
    writer
        .execute(
            "UPDATE pipeline_step SET holds = FALSE
             WHERE pipeline_id = $1 AND environment_id = $2 AND holds AND state <> 'running'",
            params![pipeline, environment],
        )
        .map(drop)
}

/// No step of the run keeps others from its environment any more.
pub fn release(writer: &mut Writer<'_>, pipeline: PipelineId) -> Result<()> {
    writer
        .execute(
            "UPDATE pipeline_step SET holds = FALSE WHERE pipeline_id = $1 AND holds AND state <> 'running'",
            params![pipeline],
        )
        .map(drop)
}

/// The lease on a step.
pub fn lease(reader: &mut Reader<'_>, step: StepId) -> Result<Option<Lease>> {
    let row = reader.one(
        "SELECT step_id, attempt, runner_id, lease_until, stop FROM step_lease WHERE step_id = $1",
        params![step],
    )?;
    row.as_ref().map(lease_from).transpose()
}

fn lease_from(row: &Row) -> Result<Lease> {
    Ok(Lease {
        step: row.get("step_id")?,
        attempt: row.get("attempt")?,
        runner: row.get("runner_id")?,
        until: row.get("lease_until")?,
        stop: row.get("stop")?,
    })
}

/// Renews a lease that has not ended; tells whether the step is to be stopped, or none where the lease is lost.
pub fn renew(
    books: &mut Bookkeeping<'_>,
    step: StepId,
    attempt: i64,
    runner: RunnerId,
    until: Timestamp,
) -> Result<Option<bool>> {
    let now = books.now();
    let rows = books.returning(
        Table::StepLease,
        "UPDATE step_lease SET lease_until = $4 WHERE step_id = $1 AND attempt = $2 AND runner_id = $3
             AND lease_until > $5 RETURNING stop",
        params![step, attempt, runner, until, now],
    )?;
    rows.first().map(|row| row.get("stop")).transpose()
}

/// Whether a runner still has a step by a lease: asked in the transaction that writes something of the step. The lease's row
/// counts as changed by it, so that whoever ends the step at the same moment comes before, or sees what was written: on
/// PostgreSQL bookkeeping is not serializable.
pub fn hold(books: &mut Bookkeeping<'_>, lease: &Lease) -> Result<bool> {
    let now = books.now();
    let held = books.execute(
        Table::StepLease,
        "UPDATE step_lease SET stop = stop WHERE step_id = $1 AND attempt = $2 AND runner_id = $3 AND lease_until > $4",
        params![lease.step, lease.attempt, lease.runner, now],
    )?;
    Ok(held > 0)
}

/// Asks a running step to be stopped: its runner is told with its next sign of life.
pub fn ask_to_stop(writer: &mut Writer<'_>, step: StepId) -> Result<()> {
    writer.execute("UPDATE step_lease SET stop = TRUE WHERE step_id = $1", params![step]).map(drop)
}

/// Leases that ended before a moment.
pub fn leases_before(reader: &mut Reader<'_>, before: Timestamp, limit: i64) -> Result<Vec<Lease>> {
    let rows = reader.all(
        "SELECT step_id, attempt, runner_id, lease_until, stop FROM step_lease WHERE lease_until < $1
         ORDER BY lease_until LIMIT $2",
        params![before, limit],
    )?;
    rows.iter().map(lease_from).collect()
}

/// How many steps wait for a runner, and how many are with one.
pub fn queue(reader: &mut Reader<'_>) -> Result<(i64, i64)> {
    let ready = reader.count("SELECT count(*) FROM pipeline_step WHERE state = 'ready'", &[])?;
    let leased = reader.count("SELECT count(*) FROM step_lease", &[])?;
    Ok((ready, leased))
}
