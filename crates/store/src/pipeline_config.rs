//! How a repository's pipelines run: whether they do, and the number of the last run.

use model::{Error, RepositoryId, Result};

use crate::{Reader, Writer, params};

/// How a repository's pipelines run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PipelineConfig {
    /// Whether they do.
    pub enabled: bool,
    /// The number of the last run; 0 before the first.
    pub last_build_number: i64,
}

impl Default for PipelineConfig {
    fn default() -> Self {
        Self { enabled: true, last_build_number: 0 }
    }
}

/// A repository's.
pub fn of(reader: &mut Reader<'_>, repository: RepositoryId) -> Result<PipelineConfig> {
    let sql = "SELECT enabled, last_build_number FROM pipeline_config WHERE repository_id = $1";
    let Some(row) = reader.one(sql, params![repository])? else { return Ok(PipelineConfig::default()) };
    Ok(PipelineConfig { enabled: row.get("enabled")?, last_build_number: row.get("last_build_number")? })
}

/// Lets them run, or not.
pub fn enable(writer: &mut Writer<'_>, repository: RepositoryId, enabled: bool) -> Result<()> {
    writer
        .execute(
            "INSERT INTO pipeline_config (repository_id, enabled, last_build_number) VALUES ($1, $2, 0)
             ON CONFLICT (repository_id) DO UPDATE SET enabled = excluded.enabled",
            params![repository, enabled],
        )
        .map(drop)
}

/// The number of the next run, given once: no two runs of a repository have the same.
pub fn next_build_number(writer: &mut Writer<'_>, repository: RepositoryId) -> Result<i64> {
    let rows = writer.returning(
        "INSERT INTO pipeline_config (repository_id, enabled, last_build_number) VALUES ($1, $2, 1)
         ON CONFLICT (repository_id) DO UPDATE SET last_build_number = pipeline_config.last_build_number + 1
         RETURNING last_build_number",
        params![repository, true],
    )?;
    rows.first().ok_or_else(|| Error::internal("a repository without a build number"))?.only()
}

/// Lets the next run have a number; false where one as high was given already.
pub fn raise_build_number(writer: &mut Writer<'_>, repository: RepositoryId, next: i64) -> Result<bool> {
    let last = next.saturating_sub(1);
    let changed = writer.execute(
        "INSERT INTO pipeline_config (repository_id, enabled, last_build_number) VALUES ($1, $2, $3)
         ON CONFLICT (repository_id) DO UPDATE SET last_build_number = excluded.last_build_number
         WHERE pipeline_config.last_build_number <= excluded.last_build_number",
        params![repository, true, last],
    )?;
    Ok(changed > 0)
}

/// Removes all that a repository had.
pub(crate) fn forget(writer: &mut Writer<'_>, repository: RepositoryId) -> Result<()> {
    writer.execute("DELETE FROM pipeline_config WHERE repository_id = $1", params![repository]).map(drop)
}
