//! What steps leave to later ones, and what caches keep: files that a runner sends and fetches, with their SHA-256.

use std::path::PathBuf;

use model::{CacheId, Error, Result, StepId, act};
use pipeline::protocol::Kept;
use sha2::{Digest, Sha256};
use store::step_artifact::{ArtifactRow, CacheRow};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use crate::access::RepositoryPath;
use crate::{Caller, Service};

/// The largest artifact, in bytes.
const LARGEST_ARTIFACT: u64 = 5 * 1024 * 1024 * 1024;
/// The largest cache, in bytes.
const LARGEST_CACHE: u64 = 2 * 1024 * 1024 * 1024;
/// The most artifacts of one step.
const MOST_ARTIFACTS: usize = 50;
/// The longest name of an artifact or a cache, and the longest key of a version, in bytes.
const LONGEST_NAME: usize = 200;

/// A file that is kept.
pub struct KeptFile {
    /// Its bytes.
    pub bytes: ReaderStream<tokio::fs::File>,
    /// Its length, in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

fn named(field: &str, text: &str) -> Result<()> {
    if text.is_empty() || text.len() > LONGEST_NAME || text.chars().any(char::is_control) {
        return Err(Error::invalid_field(
            field,
            format!("1 to {LONGEST_NAME} bytes, without control characters"),
        ));
    }
    Ok(())
}

impl Service {
    fn kept_folder(&self, kind: &str) -> PathBuf {
        self.settings.data.join("pipelines").join(kind)
    }

    /// Writes what comes into a file of its own, which is on disk when this returns.
    async fn keep_file<R>(&self, kind: &str, id: Uuid, limit: u64, mut input: R) -> Result<(u64, String)>
    where
        R: AsyncRead + Send + Unpin,
    {
        let folder = self.kept_folder(kind);
        tokio::fs::create_dir_all(&folder).await.map_err(Error::internal)?;
        let path = folder.join(id.to_string());
        let written = async {
            let mut file = tokio::fs::File::create(&path).await.map_err(Error::internal)?;
            let (mut digest, mut size) = (Sha256::new(), 0_u64);
            let mut buffer = vec![0; 256 * 1024];
            loop {
                let read = input.read(&mut buffer).await;
                let read = read.map_err(|_| Error::invalid("the body ended early"))?;
                let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
                size = size.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                if size > limit {
                    return Err(Error::TooLarge { limit });
                }
                digest.update(bytes);
                file.write_all(bytes).await.map_err(Error::internal)?;
            }
            file.flush().await.map_err(Error::internal)?;
            file.sync_all().await.map_err(Error::internal)?;
            let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            Ok((size, digest))
        }
        .await;
        if written.is_err() {
            let _ = tokio::fs::remove_file(&path).await;
        }
        written
    }

    async fn open_kept(&self, kind: &str, id: Uuid, size: i64, sha256: String) -> Result<KeptFile> {
        let path = self.kept_folder(kind).join(id.to_string());
        let file = tokio::fs::File::open(&path).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::not_found("the file"),
            _ => Error::internal(error),
        })?;
        Ok(KeptFile { bytes: ReaderStream::new(file), size: u64::try_from(size).unwrap_or(0), sha256 })
    }

    /// Keeps what a step leaves to later ones.
    pub async fn put_artifact<R>(
        &self,
        caller: &Caller,
        step: StepId,
        attempt: u32,
        name: &str,
        input: R,
    ) -> Result<Kept>
    where
        R: AsyncRead + Send + Unpin,
    {
        named("artifact", name)?;
        self.leased(caller, step, attempt).await?;
        let row = self.store.read(move |reader| store::pipeline_step::get(reader, step)).await?;
        let row = row.ok_or_else(|| Error::not_found("the step"))?;
        let pipeline = row.pipeline;
        let kept = self.store.read(move |reader| store::step_artifact::of_pipeline(reader, pipeline)).await?;
        if kept.iter().filter(|one| one.step == step && one.name != name).count() >= MOST_ARTIFACTS {
            return Err(Error::Conflict(format!("a step leaves at most {MOST_ARTIFACTS} artifacts")));
        }
        let id = StepId::new(&self.random).uuid();
        let (size, sha256) = self.keep_file("artifacts", id, LARGEST_ARTIFACT, input).await?;
        // It may have taken long.
        self.leased(caller, step, attempt).await?;
        let artifact = ArtifactRow {
            id,
            step,
            pipeline,
            position: row.position,
            name: name.to_owned(),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            sha256,
            created_on: self.clock.now(),
        };
        self.store.keep(move |books| store::step_artifact::put(books, &artifact)).await?;
        Ok(Kept { id: id.to_string(), size })
    }

    /// What an earlier step of the same run has left.
    pub async fn artifact(&self, caller: &Caller, step: StepId, attempt: u32, id: Uuid) -> Result<KeptFile> {
        self.leased(caller, step, attempt).await?;
        let found = self
            .store
            .read(move |reader| {
                let Some(row) = store::pipeline_step::get(reader, step)? else { return Ok(None) };
                let all = store::step_artifact::of_pipeline(reader, row.pipeline)?;
                Ok(all.into_iter().find(|one| one.id == id && one.position < row.position))
            })
            .await?;
        let found = found.ok_or_else(|| Error::not_found("the artifact"))?;
        self.open_kept("artifacts", found.id, found.size, found.sha256).await
    }

    /// Keeps a version of a cache, for all later runs of the repository.
    pub async fn put_cache<R>(
        &self,
        caller: &Caller,
        step: StepId,
        attempt: u32,
        name: &str,
        key: &str,
        input: R,
    ) -> Result<Kept>
    where
        R: AsyncRead + Send + Unpin,
    {
        let repository = self.cache_of(caller, step, attempt, name, key).await?;
        let id = CacheId::new(&self.random);
        let (size, sha256) = self.keep_file("caches", id.uuid(), LARGEST_CACHE, input).await?;
        self.leased(caller, step, attempt).await?;
        let row = CacheRow {
            id,
            repository,
            name: name.to_owned(),
            key: key.to_owned(),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            sha256,
            created_on: self.clock.now(),
        };
        self.store.keep(move |books| store::step_artifact::put_cache(books, &row)).await?;
        Ok(Kept { id: id.to_string(), size })
    }

    /// A version of a cache.
    pub async fn cache(
        &self,
        caller: &Caller,
        step: StepId,
        attempt: u32,
        name: &str,
        key: &str,
    ) -> Result<KeptFile> {
        let repository = self.cache_of(caller, step, attempt, name, key).await?;
        let (name, key) = (name.to_owned(), key.to_owned());
        let found = self
            .store
            .read(move |reader| store::step_artifact::find_cache(reader, repository, &name, &key))
            .await?;
        let found = found.ok_or_else(|| Error::not_found("the cache"))?;
        self.open_kept("caches", found.id.uuid(), found.size, found.sha256).await
    }

    /// Lets a step at the caches alone that it names.
    async fn cache_of(
        &self,
        caller: &Caller,
        step: StepId,
        attempt: u32,
        name: &str,
        key: &str,
    ) -> Result<model::RepositoryId> {
        named("cache", name)?;
        if !key.is_empty() {
            named("key", key)?;
        }
        self.leased(caller, step, attempt).await?;
        let row = self.store.read(move |reader| store::pipeline_step::get(reader, step)).await?;
        let row = row.ok_or_else(|| Error::not_found("the step"))?;
        let plan: pipeline::PlannedStep = serde_json::from_value(row.plan).map_err(Error::internal)?;
        if !plan.caches.iter().any(|cache| cache.name == name) {
            return Err(Error::not_found("the cache"));
        }
        Ok(row.repository)
    }

    /// What a repository's caches keep.
    pub async fn caches(&self, caller: &Caller, path: &RepositoryPath) -> Result<Vec<CacheRow>> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineRead, ground.as_ref())?;
        let repository = ground.subject.repository.id;
        self.store.read(move |reader| store::step_artifact::caches(reader, repository)).await
    }

    /// Removes what caches keep: all versions of one name, one version by its id, or everything.
    pub async fn remove_caches(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        id: Option<CacheId>,
        name: Option<String>,
    ) -> Result<()> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::PipelineCacheRemove, ground.as_ref())?;
        let repository = ground.subject.repository.id;
        let gone = self
            .store
            .write(&permit, move |writer| {
                let wanted = |row: &CacheRow| {
                    id.is_none_or(|id| row.id == id) && name.as_ref().is_none_or(|name| row.name == *name)
                };
                let all = store::step_artifact::caches(writer, repository)?;
                let gone: Vec<CacheRow> = all.into_iter().filter(wanted).collect();
                if gone.is_empty() && id.is_some() {
                    return Err(Error::not_found("the cache"));
                }
                for row in &gone {
                    store::step_artifact::remove_cache(writer, repository, row.id)?;
                }
                let told: Vec<_> = gone.iter().map(|row| (row.id.braced(), row.name.clone())).collect();
                writer.note(serde_json::json!({ "caches": told }), serde_json::Value::Null);
                Ok(gone)
            })
            .await?;
        for row in gone {
            let _ = tokio::fs::remove_file(self.kept_folder("caches").join(row.id.to_string())).await;
        }
        Ok(())
    }
}
