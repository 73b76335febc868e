//! Deployments. The lock on an environment is `environment`'s.

use model::{
    Deployment, DeploymentId, DeploymentResult, DeploymentState, EnvironmentId, Error, PipelineId,
    RepositoryId, Result, StepId, Timestamp, UserId,
};

use crate::{Query, Reader, Row, Writer, params};

const COLUMNS: &str = "SELECT id, repository_id, environment_id, number, pipeline_id, step_id, release_name, commit_hash, \
     deployer_id, state, created_on, started_on, completed_on FROM deployment WHERE ";

/// A deployment that is to be.
#[derive(Clone, Debug)]
pub struct NewDeployment {
    /// Its id.
    pub id: DeploymentId,
    /// In which repository.
    pub repository: RepositoryId,
    /// To which environment.
    pub environment: EnvironmentId,
    /// The run that it is of.
    pub pipeline: PipelineId,
    /// The step that it is.
    pub step: StepId,
    /// What is deployed, in words.
    pub release: String,
    /// The commit that is deployed.
    pub commit: String,
    /// Who started the run, where it was a user.
    pub deployer: Option<UserId>,
}

fn from_row(row: &Row) -> Result<Deployment> {
    Ok(Deployment {
        id: row.get("id")?,
        repository: row.get("repository_id")?,
        environment: row.get("environment_id")?,
        number: row.get("number")?,
        pipeline: row.get("pipeline_id")?,
        step: row.get("step_id")?,
        release: row.get("release_name")?,
        commit: row.get("commit_hash")?,
        deployer: row.get("deployer_id")?,
        state: row.parse("state")?,
        created_on: row.get("created_on")?,
        started_on: row.get("started_on")?,
        completed_on: row.get("completed_on")?,
    })
}

fn filtered(query: &mut Query, repository: RepositoryId, environment: Option<EnvironmentId>) {
    query.sql("repository_id = ").bind(repository);
    if let Some(environment) = environment {
        query.sql(" AND environment_id = ").bind(environment);
    }
}

/// A repository's deployments, the newest first; those to one environment where it is named.
pub fn list(
    reader: &mut Reader<'_>,
    repository: RepositoryId,
    environment: Option<EnvironmentId>,
    limit: i64,
    offset: i64,
) -> Result<Vec<Deployment>> {
    let mut query = Query::new(COLUMNS);
    filtered(&mut query, repository, environment);
    query.sql(" ORDER BY created_on DESC, id LIMIT ").bind(limit).sql(" OFFSET ").bind(offset);
    reader.query(&query)?.iter().map(from_row).collect()
}

/// How many there are.
pub fn count(
    reader: &mut Reader<'_>,
    repository: RepositoryId,
    environment: Option<EnvironmentId>,
) -> Result<i64> {
    let mut query = Query::new("SELECT count(*) AS n FROM deployment WHERE ");
    filtered(&mut query, repository, environment);
    reader.query_one(&query)?.as_ref().map_or(Ok(0), Row::only)
}

/// One of a repository's deployments.
pub fn find(
    reader: &mut Reader<'_>,
    repository: RepositoryId,
    id: DeploymentId,
) -> Result<Option<Deployment>> {
    let mut query = Query::new(COLUMNS);
    query.sql("repository_id = ").bind(repository).sql(" AND id = ").bind(id);
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// The deployment that a step is.
pub fn of_step(reader: &mut Reader<'_>, step: StepId) -> Result<Option<Deployment>> {
    let mut query = Query::new(COLUMNS);
    query.sql("step_id = ").bind(step);
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// The last deployment to an environment that succeeded: what is there now.
pub fn current(reader: &mut Reader<'_>, environment: EnvironmentId) -> Result<Option<Deployment>> {
    let mut query = Query::new(COLUMNS);
    query.sql("environment_id = ").bind(environment).sql(" AND state = ");
    query.bind(DeploymentState::Completed(DeploymentResult::Successful).as_str());
    query.sql(" ORDER BY completed_on DESC, number DESC LIMIT 1");
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// Makes a deployment that waits, under the environment's next number.
pub fn insert(writer: &mut Writer<'_>, new: &NewDeployment) -> Result<Deployment> {
    let now: Timestamp = writer.now();
    let rows = writer.returning(
        "INSERT INTO deployment (id, repository_id, environment_id, number, pipeline_id, step_id, release_name,
             commit_hash, deployer_id, state, created_on)
         VALUES ($1, $2, $3, (SELECT COALESCE(max(number), 0) + 1 FROM deployment WHERE environment_id = $3), $4, $5, $6,
             $7, $8, $9, $10)
         RETURNING number",
        params![
            new.id,
            new.repository,
            new.environment,
            new.pipeline,
            new.step,
            new.release.as_str(),
            new.commit.as_str(),
            new.deployer,
            DeploymentState::Undeployed.as_str(),
            now,
        ],
    )?;
    let number = rows.first().ok_or_else(|| Error::internal("a deployment without a number"))?.only()?;
    Ok(Deployment {
        id: new.id,
        repository: new.repository,
        environment: new.environment,
        number,
        pipeline: new.pipeline,
        step: new.step,
        release: new.release.clone(),
        commit: new.commit.clone(),
        deployer: new.deployer,
        state: DeploymentState::Undeployed,
        created_on: now,
        started_on: None,
        completed_on: None,
    })
}

/// Notes that a step's deployment runs; also again, when the step is run again. False where the step is none.
pub fn start(writer: &mut Writer<'_>, step: StepId) -> Result<bool> {
    let now = writer.now();
    let changed = writer.execute(
        "UPDATE deployment SET state = $2, started_on = $3, completed_on = NULL WHERE step_id = $1",
        params![step, DeploymentState::InProgress.as_str(), now],
    )?;
    Ok(changed > 0)
}

/// Notes how a step's deployment ended. False where the step is none, or its deployment has ended already.
pub fn finish(writer: &mut Writer<'_>, step: StepId, result: DeploymentResult) -> Result<bool> {
    let now = writer.now();
    let changed = writer.execute(
        "UPDATE deployment SET state = $2, completed_on = $3 WHERE step_id = $1 AND completed_on IS NULL",
        params![step, DeploymentState::Completed(result).as_str(), now],
    )?;
    Ok(changed > 0)
}
