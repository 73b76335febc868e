//! Runs of pipelines.

use model::{
    Error, PipelineError, PipelineId, PipelineRun, PipelineState, PipelineTrigger, RepositoryId, Result,
    Timestamp, UserId,
};
use serde_json::{Value as Json, json};

use crate::bookkeeping::{Bookkeeping, Table};
use crate::{OrConflict, Query, Reader, Row, Writer, params};

const COLUMNS: &str = "id, repository_id, build_number, trigger_kind, creator_id, creator, ref_name, commit_id, \
     protected, by_administrator, selector, pattern, state, error, created_on, completed_on";

/// What only the engine needs of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Inner {
    /// The plan's groups.
    pub groups: Json,
    /// What was set for this run: a list of name, whether it is secured, and the sealed value in base64.
    pub variables: Json,
}

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// In one of these states, of which there may be none.
    pub states: Option<Vec<PipelineState>>,
    /// Started so.
    pub trigger: Option<PipelineTrigger>,
    /// Started by them.
    pub creator: Option<UserId>,
    /// On one of these refs, of which there may be none.
    pub references: Option<Vec<String>>,
    /// On a ref whose name begins so.
    pub below: Option<&'static str>,
    /// On this commit.
    pub commit: Option<String>,
    /// Chosen from here.
    pub selector: Option<String>,
    /// By this pattern.
    pub pattern: Option<String>,
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    #[default]
    NewestFirst,
    /// The oldest first.
    OldestFirst,
}

fn from_row(row: &Row) -> Result<PipelineRun> {
    let error: Option<Json> = row.get("error")?;
    let text = |key: &str| {
        let found = error.as_ref().and_then(|error| error.get(key)).and_then(Json::as_str);
        found.unwrap_or_default().to_owned()
    };
    Ok(PipelineRun {
        id: row.get("id")?,
        repository: row.get("repository_id")?,
        build_number: row.get("build_number")?,
        trigger: row.parse("trigger_kind")?,
        creator_id: row.get("creator_id")?,
        creator: row.get("creator")?,
        reference: row.parse_some("ref_name")?,
        commit: row.get("commit_id")?,
        protected: row.get("protected")?,
        by_administrator: row.get("by_administrator")?,
        selector: row.get("selector")?,
        pattern: row.get("pattern")?,
        state: row.parse("state")?,
        error: error.as_ref().map(|_| PipelineError { key: text("key"), message: text("message") }),
        created_on: row.get("created_on")?,
        completed_on: row.get("completed_on")?,
    })
}

fn filtered(query: &mut Query, repository: RepositoryId, filter: &Filter) {
    query.bind(repository);
    let states = filter.states.as_ref().map(|states| states.iter().map(|state| state.as_str()).collect());
    let references = filter.references.as_ref().map(|names| names.iter().map(String::as_str).collect());
    for (column, values) in [(" AND state IN ", states), (" AND ref_name IN ", references)] {
        let values: Option<Vec<&str>> = values;
        if values.as_ref().is_some_and(Vec::is_empty) {
            query.sql(" AND 1 = 0");
        } else if let Some(values) = values {
            query.sql(column).bind_list(values);
        }
    }
    if let Some(below) = filter.below {
        query.sql(" AND ref_name LIKE ").bind(format!("{below}%"));
    }
    if let Some(trigger) = filter.trigger {
        query.sql(" AND trigger_kind = ").bind(trigger.as_str());
    }
    if let Some(creator) = filter.creator {
        query.sql(" AND creator_id = ").bind(creator);
    }
    for (column, value) in [
        (" AND commit_id = ", &filter.commit),
        (" AND selector = ", &filter.selector),
        (" AND pattern = ", &filter.pattern),
    ] {
        if let Some(value) = value {
            query.sql(column).bind(value.as_str());
        }
    }
}

/// A repository's runs.
pub fn list(
    reader: &mut Reader<'_>,
    repository: RepositoryId,
    filter: &Filter,
    order: Order,
    limit: i64,
    offset: i64,
) -> Result<Vec<PipelineRun>> {
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS).sql(" FROM pipeline WHERE repository_id = ");
    filtered(&mut query, repository, filter);
    query.sql(match order {
        Order::NewestFirst => " ORDER BY build_number DESC LIMIT ",
        Order::OldestFirst => " ORDER BY build_number LIMIT ",
    });
    query.bind(limit).sql(" OFFSET ").bind(offset);
    reader.query(&query)?.iter().map(from_row).collect()
}

/// How many there are.
pub fn count(reader: &mut Reader<'_>, repository: RepositoryId, filter: &Filter) -> Result<i64> {
    let mut query = Query::new("SELECT count(*) AS n FROM pipeline WHERE repository_id = ");
    filtered(&mut query, repository, filter);
    reader.query(&query)?.first().map_or(Ok(0), Row::only)
}

/// One of a repository's runs.
pub fn find(
    reader: &mut Reader<'_>,
    repository: RepositoryId,
    id: PipelineId,
) -> Result<Option<PipelineRun>> {
    let run = get(reader, id)?;
    Ok(run.filter(|run| run.repository == repository))
}

/// The one with this number.
pub fn numbered(
    reader: &mut Reader<'_>,
    repository: RepositoryId,
    number: i64,
) -> Result<Option<PipelineRun>> {
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS).sql(" FROM pipeline WHERE repository_id = ").bind(repository);
    query.sql(" AND build_number = ").bind(number);
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// A run.
pub fn get(reader: &mut Reader<'_>, id: PipelineId) -> Result<Option<PipelineRun>> {
    let mut query = Query::new("SELECT ");
    query.sql(COLUMNS).sql(" FROM pipeline WHERE id = ").bind(id);
    reader.query_one(&query)?.as_ref().map(from_row).transpose()
}

/// What only the engine needs of it.
pub fn inner(reader: &mut Reader<'_>, id: PipelineId) -> Result<Inner> {
    let row = reader.one("SELECT groups, variables FROM pipeline WHERE id = $1", params![id])?;
    let row = row.ok_or_else(|| Error::not_found("the run of a pipeline"))?;
    Ok(Inner { groups: row.get("groups")?, variables: row.get("variables")? })
}

/// Where its configuration came from, and its text.
pub fn configuration(reader: &mut Reader<'_>, id: PipelineId) -> Result<Option<(String, String)>> {
    let row =
        reader.one("SELECT source, text FROM pipeline_configuration WHERE pipeline_id = $1", params![id])?;
    row.map(|row| Ok((row.get("source")?, row.get("text")?))).transpose()
}

/// Notes that something has started runs; false where it had already.
pub fn first_time(writer: &mut Writer<'_>, key: &str) -> Result<bool> {
    let now = writer.now();
    let added = writer.execute(
        "INSERT INTO pipeline_started (key, started_on) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING",
        params![key, now],
    )?;
    Ok(added > 0)
}

/// The one statement by which bookkeeping may forget what has started runs. A key begins with the key of its job.
pub(crate) const FORGET_STARTED: &str = "DELETE FROM pipeline_started WHERE key IN (
         SELECT key FROM pipeline_started WHERE started_on < $1 AND NOT EXISTS (
             SELECT 1 FROM job WHERE job.kind = $2 AND job.key = substr(pipeline_started.key, 1, 36)) LIMIT 1000)";

/// Forgets what has started runs before a time and has no job of this kind any more: some of it; 0 when there is no more.
pub fn forget_started(books: &mut Bookkeeping<'_>, before: Timestamp, kind: &str) -> Result<u64> {
    books.execute(Table::PipelineStarted, FORGET_STARTED, params![before, kind])
}

/// Adds a run and what it was planned from.
pub fn insert(
    writer: &mut Writer<'_>,
    run: &PipelineRun,
    inner: &Inner,
    source: &str,
    text: &str,
) -> Result<()> {
    let error = run.error.as_ref().map(|error| json!({ "key": error.key, "message": error.message }));
    writer
        .execute(
            "INSERT INTO pipeline (id, repository_id, build_number, trigger_kind, creator_id, creator, ref_name,
                 commit_id, protected, selector, pattern, groups, variables, state, error, created_on, completed_on,
                 by_administrator)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
            params![
                run.id,
                run.repository,
                run.build_number,
                run.trigger.as_str(),
                run.creator_id,
                run.creator.as_str(),
                run.reference.as_ref().map(|name| name.as_str().to_owned()),
                run.commit.as_str(),
                run.protected,
                run.selector.as_str(),
                run.pattern.clone(),
                inner.groups.clone(),
                inner.variables.clone(),
                run.state.as_str(),
                error,
                run.created_on,
                run.completed_on,
                run.by_administrator,
            ],
        )
        .or_conflict("a run of this number is there already")?;
    writer
        .execute(
            "INSERT INTO pipeline_configuration (pipeline_id, source, text) VALUES ($1, $2, $3)",
            params![run.id, source, text],
        )
        .map(drop)
}

/// Sets whether an administrator of the repository is behind a run.
pub fn set_by_administrator(writer: &mut Writer<'_>, id: PipelineId, is: bool) -> Result<()> {
    writer.execute("UPDATE pipeline SET by_administrator = $2 WHERE id = $1", params![id, is]).map(drop)
}

/// Sets where a run stands, and why it failed where no step did. One that is over has a time at which it ended.
pub fn set_state(
    writer: &mut Writer<'_>,
    id: PipelineId,
    state: PipelineState,
    error: Option<&PipelineError>,
    ended: Option<Timestamp>,
) -> Result<()> {
    let error = error.map(|error| json!({ "key": error.key, "message": error.message }));
    writer
        .execute(
            "UPDATE pipeline SET state = $2, completed_on = $3, error = $4 WHERE id = $1",
            params![id, state.as_str(), ended, error],
        )
        .map(drop)
}
