//! Deployment environments, and which run deploys to each now.
//!
//! A repository has three environments before anybody changes any. They are kept from the first change on, under the ids
//! that they were shown with before.

use model::environment::EnvironmentRole;
use model::{
    AwsRegion, Environment, EnvironmentId, Error, Glob, PipelineId, RepositoryId, Result, VariablePlace,
};
use serde_json::Value as Json;

use crate::{OrConflict, Query, Reader, Row, Writer, params};

const COLUMNS: &str = "SELECT id, repository_id, name, slug, kind, rank_in_kind, hidden, admin_only, branches, \
     required_approvals, lock_enabled, aws_role, aws_session_duration, aws_region, created_on, updated_on \
     FROM environment WHERE repository_id = ";

/// What two names of one environment have in common.
fn folded(name: &str) -> String {
    name.to_lowercase()
}

/// The role of the steps that deploy to it.
fn role(row: &Row) -> Result<Option<EnvironmentRole>> {
    let Some(arn) = row.parse_some("aws_role")? else { return Ok(None) };
    let seconds: i64 = row.get("aws_session_duration")?;
    let session_duration = u32::try_from(seconds).map_err(Error::internal)?;
    Ok(Some(EnvironmentRole { arn, session_duration, region: row.parse_some("aws_region")? }))
}

fn from_row(row: &Row) -> Result<Environment> {
    let branches: Vec<String> = serde_json::from_value(row.get("branches")?).map_err(Error::internal)?;
    Ok(Environment {
        id: row.get("id")?,
        repository: row.get("repository_id")?,
        name: row.get("name")?,
        slug: row.get("slug")?,
        kind: row.parse("kind")?,
        rank: row.get("rank_in_kind")?,
        hidden: row.get("hidden")?,
        admin_only: row.get("admin_only")?,
        branches: branches.iter().map(|one| one.parse().map_err(Error::internal)).collect::<Result<_>>()?,
        required_approvals: row.get("required_approvals")?,
        lock_enabled: row.get("lock_enabled")?,
        aws: role(row)?,
        created_on: row.get("created_on")?,
        updated_on: row.get("updated_on")?,
    })
}

/// The three of the beginning, where they are not kept.
fn defaults(reader: &mut Reader<'_>, repository: RepositoryId) -> Result<Option<[Environment; 3]>> {
    let kept = "SELECT repository_id FROM environment_kept WHERE repository_id = $1";
    if reader.one(kept, params![repository])?.is_some() {
        return Ok(None);
    }
    let made = reader.one("SELECT created_on FROM repository WHERE id = $1", params![repository])?;
    let made = made.map(|row| row.only()).transpose()?.unwrap_or_else(|| reader.now());
    Ok(Some(Environment::defaults(repository, made)))
}

/// A repository's environments: by type, by rank, the oldest first.
pub fn list(reader: &mut Reader<'_>, repository: RepositoryId) -> Result<Vec<Environment>> {
    if let Some(defaults) = defaults(reader, repository)? {
        return Ok(defaults.into());
    }
    let mut query = Query::new(COLUMNS);
    query.bind(repository).sql(" ORDER BY kind_rank, rank_in_kind, created_on, name_folded");
    reader.query(&query)?.iter().map(from_row).collect()
}

/// One of a repository's environments.
pub fn find(
    reader: &mut Reader<'_>,
    repository: RepositoryId,
    id: EnvironmentId,
) -> Result<Option<Environment>> {
    Ok(list(reader, repository)?.into_iter().find(|one| one.id == id))
}

/// The one of this name; case does not matter.
pub fn named(reader: &mut Reader<'_>, repository: RepositoryId, name: &str) -> Result<Option<Environment>> {
    let name = folded(name);
    Ok(list(reader, repository)?.into_iter().find(|one| folded(&one.name) == name))
}

/// Keeps the three of the beginning, before the first change.
fn keep(writer: &mut Writer<'_>, repository: RepositoryId) -> Result<()> {
    let Some(defaults) = defaults(writer, repository)? else { return Ok(()) };
    let sql =
        "INSERT INTO environment_kept (repository_id) VALUES ($1) ON CONFLICT (repository_id) DO NOTHING";
    // Where another one has just kept them, they are there.
    if writer.execute(sql, params![repository])? == 1 {
        for one in &defaults {
            put(writer, one)?;
        }
    }
    Ok(())
}

fn branches(one: &Environment) -> Json {
    one.branches.iter().map(Glob::as_str).collect()
}

fn taken(one: &Environment) -> String {
    format!(
        "there is an environment `{}` already, or one whose name is as good as the same: use that one",
        one.name
    )
}

fn put(writer: &mut Writer<'_>, one: &Environment) -> Result<()> {
    writer
        .execute(
            "INSERT INTO environment (id, repository_id, name, name_folded, slug, kind, kind_rank, rank_in_kind, hidden,
                 admin_only, branches, lock_enabled, created_on, updated_on, required_approvals, aws_role,
                 aws_session_duration, aws_region)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
            params![
                one.id,
                one.repository,
                one.name.as_str(),
                folded(&one.name),
                one.slug.as_str(),
                one.kind.as_str(),
                one.kind.rank(),
                one.rank,
                one.hidden,
                one.admin_only,
                branches(one),
                one.lock_enabled,
                one.created_on,
                one.updated_on,
                one.required_approvals,
                one.aws.as_ref().map(|role| role.arn.as_str()),
                one.aws.as_ref().map(|role| i64::from(role.session_duration)),
                one.aws.as_ref().and_then(|role| role.region.as_ref()).map(AwsRegion::as_str),
            ],
        )
        .or_conflict(taken(one))
        .map(drop)
}

/// Makes an environment.
///
/// # Errors
/// `Conflict` where the repository has one of this name, or one that could not be told from it in an address.
pub fn insert(writer: &mut Writer<'_>, one: &Environment) -> Result<()> {
    keep(writer, one.repository)?;
    put(writer, one)
}

/// Writes an environment back.
///
/// # Errors
/// `Conflict` where the repository has another one of this name.
pub fn update(writer: &mut Writer<'_>, one: &Environment) -> Result<()> {
    keep(writer, one.repository)?;
    writer
        .execute(
            "UPDATE environment SET name = $3, name_folded = $4, slug = $5, rank_in_kind = $6, hidden = $7,
                 admin_only = $8, branches = $9, lock_enabled = $10, updated_on = $11, required_approvals = $12,
                 aws_role = $13, aws_session_duration = $14, aws_region = $15
             WHERE id = $1 AND repository_id = $2",
            params![
                one.id,
                one.repository,
                one.name.as_str(),
                folded(&one.name),
                one.slug.as_str(),
                one.rank,
                one.hidden,
                one.admin_only,
                branches(one),
                one.lock_enabled,
                one.updated_on,
                one.required_approvals,
                one.aws.as_ref().map(|role| role.arn.as_str()),
                one.aws.as_ref().map(|role| i64::from(role.session_duration)),
                one.aws.as_ref().and_then(|role| role.region.as_ref()).map(AwsRegion::as_str),
            ],
        )
        .or_conflict(taken(one))
        .map(drop)
}

/// Removes an environment with its variables and what went to it.
pub fn remove(writer: &mut Writer<'_>, repository: RepositoryId, id: EnvironmentId) -> Result<()> {
    keep(writer, repository)?;
    forget_what_is_of(writer, id)?;
    let sql = "DELETE FROM environment WHERE id = $1 AND repository_id = $2";
    writer.execute(sql, params![id, repository]).map(drop)
}

fn forget_what_is_of(writer: &mut Writer<'_>, id: EnvironmentId) -> Result<()> {
    crate::pipeline_variable::forget(writer, VariablePlace::Environment(id))?;
    writer.execute("DELETE FROM deployment WHERE environment_id = $1", params![id]).map(drop)
}

/// Removes all that a repository had.
pub(crate) fn forget(writer: &mut Writer<'_>, repository: RepositoryId) -> Result<()> {
    // Those of the beginning may have variables, and a run may deploy to them, before they are kept.
    for one in list(writer, repository)? {
        forget_what_is_of(writer, one.id)?;
    }
    writer.execute("DELETE FROM environment WHERE repository_id = $1", params![repository])?;
    writer.execute("DELETE FROM environment_kept WHERE repository_id = $1", params![repository]).map(drop)
}

/// The run that deploys to an environment now, where it is one at a time: the oldest that holds it.
pub fn holder(reader: &mut Reader<'_>, environment: &Environment) -> Result<Option<PipelineId>> {
    if !environment.lock_enabled {
        return Ok(None);
    }
    let sql =
        "SELECT pipeline_id FROM pipeline_step WHERE holds AND environment_id = $1 AND repository_id = $2
               ORDER BY started_on LIMIT 1";
    reader.one(sql, params![environment.id, environment.repository])?.map(|row| row.only()).transpose()
}
