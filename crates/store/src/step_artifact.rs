//! What steps leave to later ones, and what caches keep. The bytes lie in files.

use model::{CacheId, PipelineId, RepositoryId, Result, StepId, Timestamp};
use uuid::Uuid;

use crate::bookkeeping::{Bookkeeping, Table};
use crate::{Reader, Row, Writer, params};

/// An artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactRow {
    /// Its id.
    pub id: Uuid,
    /// The step that left it.
    pub step: StepId,
    /// Its run.
    pub pipeline: PipelineId,
    /// The step's index.
    pub position: i64,
    /// Its name.
    pub name: String,
    /// Its length, in bytes.
    pub size: i64,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// When it was left.
    pub created_on: Timestamp,
}

/// What a cache keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheRow {
    /// Its id.
    pub id: CacheId,
    /// The repository.
    pub repository: RepositoryId,
    /// Its name.
    pub name: String,
    /// The key of its version.
    pub key: String,
    /// The run that made it, where that was noted.
    pub pipeline: Option<PipelineId>,
    /// The step that made it, likewise.
    pub step: Option<StepId>,
    /// Where its content lay in the step, likewise.
    pub path: Option<String>,
    /// Its length, in bytes.
    pub size: i64,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// When it was kept.
    pub created_on: Timestamp,
}

fn artifact(row: &Row) -> Result<ArtifactRow> {
    Ok(ArtifactRow {
        id: row.get("id")?,
        step: row.get("step_id")?,
        pipeline: row.get("pipeline_id")?,
        position: row.get("position")?,
        name: row.get("name")?,
        size: row.get("size")?,
        sha256: row.get("sha256")?,
        created_on: row.get("created_on")?,
    })
}

fn cache(row: &Row) -> Result<CacheRow> {
    Ok(CacheRow {
        id: row.get("id")?,
        repository: row.get("repository_id")?,
        name: row.get("name")?,
        key: row.get("cache_key")?,
        pipeline: row.get("pipeline_id")?,
        step: row.get("step_id")?,
        path: row.get("path")?,
        size: row.get("size")?,
        sha256: row.get("sha256")?,
        created_on: row.get("created_on")?,
    })
}

/// A run's artifacts, in the order of its steps.
pub fn of_pipeline(reader: &mut Reader<'_>, pipeline: PipelineId) -> Result<Vec<ArtifactRow>> {
    let rows = reader.all(
        "SELECT * FROM step_artifact WHERE pipeline_id = $1 ORDER BY position, name",
        params![pipeline],
    )?;
    rows.iter().map(artifact).collect()
}

/// What one step has left, by name.
pub fn of_step(reader: &mut Reader<'_>, step: StepId) -> Result<Vec<ArtifactRow>> {
    let rows = reader.all("SELECT * FROM step_artifact WHERE step_id = $1 ORDER BY name", params![step])?;
    rows.iter().map(artifact).collect()
}

fn ids(rows: &[Row]) -> Result<Vec<Uuid>> {
    rows.iter().map(Row::only).collect()
}

/// Adds an artifact, in the place of one of the same name that the step left before, whose id is told.
pub fn put(books: &mut Bookkeeping<'_>, row: &ArtifactRow) -> Result<Vec<Uuid>> {
    let replaced = books.returning(
        Table::StepArtifact,
        "DELETE FROM step_artifact WHERE step_id = $1 AND name = $2 RETURNING id",
        params![row.step, row.name.as_str()],
    )?;
    books
        .execute(
            Table::StepArtifact,
            "INSERT INTO step_artifact (id, step_id, pipeline_id, position, name, size, sha256, created_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            params![
                row.id,
                row.step,
                row.pipeline,
                row.position,
                row.name.as_str(),
                row.size,
                row.sha256.as_str(),
                row.created_on,
            ],
        )
        .map(drop)?;
    ids(&replaced)
}

/// A repository's caches.
pub fn caches(reader: &mut Reader<'_>, repository: RepositoryId) -> Result<Vec<CacheRow>> {
    let rows = reader.all(
        "SELECT * FROM pipeline_cache WHERE repository_id = $1 ORDER BY name, created_on DESC",
        params![repository],
    )?;
    rows.iter().map(cache).collect()
}

/// One version of a cache.
pub fn find_cache(
    reader: &mut Reader<'_>,
    repository: RepositoryId,
    name: &str,
    key: &str,
) -> Result<Option<CacheRow>> {
    let row = reader.one(
        "SELECT * FROM pipeline_cache WHERE repository_id = $1 AND name = $2 AND cache_key = $3",
        params![repository, name, key],
    )?;
    row.as_ref().map(cache).transpose()
}

/// Keeps a version of a cache, in the place of the one before, whose id is told.
pub fn put_cache(books: &mut Bookkeeping<'_>, row: &CacheRow) -> Result<Vec<Uuid>> {
    let replaced = books.returning(
        Table::PipelineCache,
        "DELETE FROM pipeline_cache WHERE repository_id = $1 AND name = $2 AND cache_key = $3 RETURNING id",
        params![row.repository, row.name.as_str(), row.key.as_str()],
    )?;
    books
        .execute(
            Table::PipelineCache,
            "INSERT INTO pipeline_cache (id, repository_id, name, cache_key, size, sha256, created_on, pipeline_id,
                 step_id, path)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            params![
                row.id,
                row.repository,
                row.name.as_str(),
                row.key.as_str(),
                row.size,
                row.sha256.as_str(),
                row.created_on,
                row.pipeline,
                row.step,
                row.path.as_deref(),
            ],
        )
        .map(drop)?;
    ids(&replaced)
}

/// Removes a version of a cache; whether it was there.
pub fn remove_cache(writer: &mut Writer<'_>, repository: RepositoryId, id: CacheId) -> Result<bool> {
    let gone = writer.execute(
        "DELETE FROM pipeline_cache WHERE repository_id = $1 AND id = $2",
        params![repository, id],
    )?;
    Ok(gone > 0)
}

/// Forgets artifacts that were left before a time: some of them, whose ids are told; none when there are no more.
pub fn expire(books: &mut Bookkeeping<'_>, before: Timestamp) -> Result<Vec<Uuid>> {
    let gone = books.returning(
        Table::StepArtifact,
        "DELETE FROM step_artifact
         WHERE id IN (SELECT id FROM step_artifact WHERE created_on < $1 ORDER BY created_on LIMIT 500) RETURNING id",
        params![before],
    )?;
    ids(&gone)
}

/// The same of caches.
pub fn expire_caches(books: &mut Bookkeeping<'_>, before: Timestamp) -> Result<Vec<Uuid>> {
    let gone = books.returning(
        Table::PipelineCache,
        "DELETE FROM pipeline_cache
         WHERE id IN (SELECT id FROM pipeline_cache WHERE created_on < $1 ORDER BY created_on LIMIT 500) RETURNING id",
        params![before],
    )?;
    ids(&gone)
}

/// Whether there is an artifact of this id.
pub fn exists(reader: &mut Reader<'_>, id: Uuid) -> Result<bool> {
    Ok(reader.one("SELECT 1 FROM step_artifact WHERE id = $1", params![id])?.is_some())
}

/// Whether there is a cache of this id.
pub fn cache_exists(reader: &mut Reader<'_>, id: Uuid) -> Result<bool> {
    Ok(reader.one("SELECT 1 FROM pipeline_cache WHERE id = $1", params![id])?.is_some())
}
