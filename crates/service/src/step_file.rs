//! What steps leave to later ones, and what caches keep: files that a runner sends and fetches, with their SHA-256.

use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use model::{CacheId, Error, Result, StepId, act};
use pipeline::protocol::Kept;
use sha2::{Digest, Sha256};
use store::Reader;
use store::pipeline_step::{Lease, StepRow};
use store::step_artifact::{ArtifactRow, CacheRow};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use crate::access::RepositoryPath;
use crate::{Caller, Listing, Service, Window};

/// The largest artifact, in bytes.
const LARGEST_ARTIFACT: u64 = 5 * 1024 * 1024 * 1024;
/// The largest cache, in bytes.
const LARGEST_CACHE: u64 = 2 * 1024 * 1024 * 1024;
/// The most artifacts of one step.
const MOST_ARTIFACTS: usize = 50;
/// The longest name of an artifact or a cache, and the longest key of a version, in bytes.
const LONGEST_NAME: usize = 200;

/// How long artifacts are kept, in days, and caches: so long Bitbucket keeps them.
pub(crate) const ARTIFACT_DAYS: i64 = 14;
const CACHE_DAYS: i64 = 7;
/// How long a file may be on its way before it is taken for left behind, in seconds: longer than any step may take.
const ON_ITS_WAY: u64 = 86_400;

/// Which caches are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheName {
    /// One version.
    Id(CacheId),
    /// All versions of this name.
    Name(String),
}

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

/// Whether a step may leave an artifact of this name beside the others.
///
/// # Errors
/// `Forbidden` when there are too many.
fn has_room(reader: &mut Reader<'_>, step: StepId, name: &str) -> Result<()> {
    let kept = store::step_artifact::of_step(reader, step)?;
    if kept.iter().filter(|one| one.name != name).count() >= MOST_ARTIFACTS {
        return Err(Error::forbidden(format!("a step leaves at most {MOST_ARTIFACTS} artifacts")));
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

    /// A file that is kept, to be read.
    ///
    /// # Errors
    /// `NotFound` when it is gone.
    pub(crate) async fn open_kept(
        &self,
        kind: &str,
        id: Uuid,
        size: i64,
        sha256: String,
    ) -> Result<KeptFile> {
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
        let lease = self.leased(caller, step, attempt).await?;
        let wanted = name.to_owned();
        let found = self.store.read(move |reader| {
            has_room(reader, step, &wanted)?;
            store::pipeline_step::get(reader, step)
        });
        let row = found.await?.ok_or_else(|| Error::not_found("the step"))?;
        let id = StepId::new(&self.random).uuid();
        let (size, sha256) = self.keep_file("artifacts", id, LARGEST_ARTIFACT, input).await?;
        let artifact = ArtifactRow {
            id,
            step,
            pipeline: row.pipeline,
            position: row.position,
            name: name.to_owned(),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            sha256,
            created_on: self.clock.now(),
        };
        let put = self.keep_leased(caller, lease, move |books| {
            // Others may have come while this one did.
            has_room(books, step, &artifact.name)?;
            store::step_artifact::put(books, &artifact)
        });
        self.replace_kept("artifacts", id, put.await).await?;
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
        let (lease, step_row, path) = self.cache_of(caller, step, attempt, name, key).await?;
        let id = CacheId::new(&self.random);
        let (size, sha256) = self.keep_file("caches", id.uuid(), LARGEST_CACHE, input).await?;
        let row = CacheRow {
            id,
            repository: step_row.repository,
            name: name.to_owned(),
            key: key.to_owned(),
            pipeline: Some(step_row.pipeline),
            step: Some(step),
            path,
            size: i64::try_from(size).unwrap_or(i64::MAX),
            sha256,
            created_on: self.clock.now(),
        };
        let put = self.keep_leased(caller, lease, move |books| store::step_artifact::put_cache(books, &row));
        self.replace_kept("caches", id.uuid(), put.await).await?;
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
        let repository = self.cache_of(caller, step, attempt, name, key).await?.1.repository;
        let (name, key) = (name.to_owned(), key.to_owned());
        let found = self
            .store
            .read(move |reader| store::step_artifact::find_cache(reader, repository, &name, &key))
            .await?;
        let found = found.ok_or_else(|| Error::not_found("the cache"))?;
        self.open_kept("caches", found.id.uuid(), found.size, found.sha256).await
    }

    /// Lets a step at the caches alone that it names; gives its lease, the step, and where the cache lies in it.
    async fn cache_of(
        &self,
        caller: &Caller,
        step: StepId,
        attempt: u32,
        name: &str,
        key: &str,
    ) -> Result<(Lease, StepRow, Option<String>)> {
        named("cache", name)?;
        if !key.is_empty() {
            named("key", key)?;
        }
        let lease = self.leased(caller, step, attempt).await?;
        let row = self.store.read(move |reader| store::pipeline_step::get(reader, step)).await?;
        let row = row.ok_or_else(|| Error::not_found("the step"))?;
        let plan: pipeline::PlannedStep =
            serde_json::from_value(row.plan.clone()).map_err(Error::internal)?;
        let cache = plan.caches.into_iter().find(|cache| cache.name == name);
        let cache = cache.ok_or_else(missing_cache)?;
        Ok((lease, row, cache.path))
    }

    /// A part of what a repository's caches keep: by name, the newest of each first.
    pub async fn caches(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        window: Window,
    ) -> Result<Listing<CacheRow>> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineRead, ground.as_ref())?;
        let repository = ground.subject.repository.id;
        let all = self.store.read(move |reader| store::step_artifact::caches(reader, repository)).await?;
        Ok(Listing::cut(all, window))
    }

    /// What one cache keeps: the packed files.
    pub async fn cache_content(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        id: CacheId,
    ) -> Result<KeptFile> {
        let row = self.cache_row(caller, path, id).await?;
        self.open_kept("caches", row.id.uuid(), row.size, row.sha256).await
    }

    /// One cache of a repository.
    pub async fn cache_row(&self, caller: &Caller, path: &RepositoryPath, id: CacheId) -> Result<CacheRow> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineCacheRead, ground.as_ref())?;
        let repository = ground.subject.repository.id;
        let all = self.store.read(move |reader| store::step_artifact::caches(reader, repository)).await?;
        all.into_iter().find(|row| row.id == id).ok_or_else(missing_cache)
    }

    /// Removes what caches keep, with the files. Steps that run keep what they were given.
    pub async fn remove_caches(&self, caller: &Caller, path: &RepositoryPath, of: CacheName) -> Result<()> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::PipelineCacheRemove, ground.as_ref())?;
        let repository = ground.subject.repository.id;
        let gone = self
            .store
            .write(&permit, move |writer| {
                let wanted = |row: &CacheRow| match &of {
                    CacheName::Id(id) => row.id == *id,
                    CacheName::Name(name) => row.name == *name,
                };
                let all = store::step_artifact::caches(writer, repository)?;
                let gone: Vec<CacheRow> = all.into_iter().filter(wanted).collect();
                if gone.is_empty() {
                    return Err(missing_cache());
                }
                for row in &gone {
                    store::step_artifact::remove_cache(writer, repository, row.id)?;
                }
                let told: Vec<_> = gone.iter().map(|row| (row.id.braced(), row.name.clone())).collect();
                writer.note(serde_json::json!({ "caches": told }), serde_json::Value::Null);
                Ok(gone)
            })
            .await?;
        self.drop_kept("caches", gone.iter().map(|row| row.id.uuid()).collect()).await;
        Ok(())
    }

    /// The file that came stays where its row was written, and those go whose rows it has replaced; else it goes itself.
    async fn replace_kept(&self, kind: &str, id: Uuid, put: Result<Vec<Uuid>>) -> Result<()> {
        let (gone, outcome) = match put {
            Ok(replaced) => (replaced, Ok(())),
            // Whether the row was written may be unknown then: the sweep finds out whether one names the file.
            Err(error @ Error::Internal(_)) => (Vec::new(), Err(error)),
            Err(error) => (vec![id], Err(error)),
        };
        self.drop_kept(kind, gone).await;
        outcome
    }

    /// Removes files whose rows are gone. What fails is found again by [`Service::sweep_step_files`].
    async fn drop_kept(&self, kind: &str, ids: Vec<Uuid>) {
        for id in ids {
            let _ = tokio::fs::remove_file(self.kept_folder(kind).join(id.to_string())).await;
        }
    }

    /// Removes artifacts and caches that are too old, and files that nothing names any more: of repositories that are
    /// gone, and of uploads that were cut off.
    pub(crate) async fn sweep_step_files(&self) -> Result<()> {
        let now = self.clock.now();
        let before = |days: i64| now.plus_seconds(-days.saturating_mul(86_400));
        let (artifacts, caches) = (before(ARTIFACT_DAYS), before(CACHE_DAYS));
        loop {
            let gone = self.store.keep(move |books| store::step_artifact::expire(books, artifacts)).await?;
            if gone.is_empty() {
                break;
            }
            self.drop_kept("artifacts", gone).await;
        }
        loop {
            let gone =
                self.store.keep(move |books| store::step_artifact::expire_caches(books, caches)).await?;
            if gone.is_empty() {
                break;
            }
            self.drop_kept("caches", gone).await;
        }
        self.sweep_unnamed("artifacts", store::step_artifact::exists).await?;
        self.sweep_unnamed("caches", store::step_artifact::cache_exists).await
    }

    async fn sweep_unnamed(
        &self,
        kind: &str,
        exists: fn(&mut Reader<'_>, Uuid) -> Result<bool>,
    ) -> Result<()> {
        let mut entries = match tokio::fs::read_dir(self.kept_folder(kind)).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::internal(error)),
        };
        while let Some(entry) = entries.next_entry().await.map_err(Error::internal)? {
            let name = entry.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse::<Uuid>().ok()) else { continue };
            let Ok(found) = entry.metadata().await else { continue };
            let written = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let written = written.map_or(u64::MAX, |time| time.as_secs());
            let now = u64::try_from(self.clock.now().seconds()).unwrap_or(0);
            if written.saturating_add(ON_ITS_WAY) < now
                && !self.store.read(move |reader| exists(reader, id)).await?
            {
                self.drop_kept(kind, vec![id]).await;
            }
        }
        Ok(())
    }
}

fn missing_cache() -> Error {
    Error::not_found("the cache")
}

#[cfg(test)]
mod tests {
    use model::{Clock, RepositoryId, Timestamp};
    use tokio::io::DuplexStream;

    use super::*;
    use crate::housekeeping::tests::{DAY, service};
    use crate::step_claim::tests::Scene;

    /// Would catch: a disk that fills up for ever, and a sweep that takes what is still named or still on its way.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_too_old_or_named_by_nobody_goes_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        // The files are of now: what the sweep holds their times against must not lie before them.
        let made = folder.path().metadata().unwrap().modified().unwrap();
        let now = i64::try_from(made.duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
        let clock = Clock::manual(Timestamp::from_micros(now));
        let service = service(folder.path(), &clock).await;
        let repository = RepositoryId::new(&service.random);
        let keep = async |name: &str| {
            let id = CacheId::new(&service.random);
            let (size, sha256) = service.keep_file("caches", id.uuid(), 10, &b"bytes"[..]).await.unwrap();
            let row = CacheRow {
                id,
                repository,
                name: name.to_owned(),
                key: String::new(),
                pipeline: None,
                step: None,
                path: None,
                size: i64::try_from(size).unwrap(),
                sha256,
                created_on: service.clock.now(),
            };
            let replaced =
                service.store.keep(move |books| store::step_artifact::put_cache(books, &row)).await;
            (id, replaced.unwrap())
        };
        let files = || {
            let named = |kind: &str| {
                let entries = std::fs::read_dir(service.kept_folder(kind)).into_iter().flatten().flatten();
                entries.map(|entry| entry.file_name().into_string().unwrap()).collect::<Vec<_>>()
            };
            let mut all = [named("caches"), named("artifacts")].concat();
            all.sort_unstable();
            all
        };
        let sorted = |mut names: Vec<String>| {
            names.sort_unstable();
            names
        };
        let (first, replaced) = keep("a").await;
        assert!(replaced.is_empty());
        let (second, replaced) = keep("a").await;
        assert_eq!(replaced, [first.uuid()]);
        let stray = CacheId::new(&service.random).uuid();
        service.keep_file("artifacts", stray, 10, &b"cut off"[..]).await.unwrap();
        service.sweep_step_files().await.unwrap();
        // Nobody names two of them, but they may be on their way.
        assert_eq!(files(), sorted(vec![first.to_string(), second.to_string(), stray.to_string()]));
        clock.advance(2 * DAY);
        let (third, _) = keep("b").await;
        service.sweep_step_files().await.unwrap();
        assert_eq!(files(), sorted(vec![second.to_string(), third.to_string()]));
        clock.advance(6 * DAY);
        service.sweep_step_files().await.unwrap();
        assert_eq!(files(), [third.to_string()]);
        let left = service.store.read(move |reader| store::step_artifact::caches(reader, repository)).await;
        assert_eq!(left.unwrap().iter().map(|row| row.id).collect::<Vec<_>>(), [third]);
    }

    /// Sends a byte, does something when it is being read, which is when its sender was let in, and ends.
    async fn during<T>(
        put: impl AsyncFnOnce(DuplexStream) -> Result<T>,
        meanwhile: impl Future<Output = ()>,
    ) -> Result<T> {
        let (mut ours, theirs) = tokio::io::duplex(1);
        let sent = async move {
            ours.write_all(b"ab").await.unwrap();
            meanwhile.await;
        };
        tokio::join!(put(theirs), sent).0
    }

    /// Attack: a runner that begins to send a file while it has the step, and is done when it has lost it: later steps would
    /// get what is in no record, and later runs what nobody has vouched for.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_that_comes_after_the_loss_of_its_step_is_not_kept() {
        for kind in ["artifacts", "caches"] {
            let scene = Scene::new("{script: [a], caches: [node]}").await;
            let (service, caller, id) = (&scene.service, &scene.caller, scene.step.id);
            let put = async |input: DuplexStream| match kind {
                "artifacts" => service.put_artifact(caller, id, 1, "a", input).await,
                _ => service.put_cache(caller, id, 1, "node", "", input).await,
            };
            let kept = async || {
                let files = std::fs::read_dir(service.kept_folder(kind)).map_or(0, Iterator::count);
                let repository = scene.step.repository;
                let rows = service.store.read(move |reader| {
                    let artifacts = store::step_artifact::of_step(reader, id)?.len();
                    Ok(artifacts + store::step_artifact::caches(reader, repository)?.len())
                });
                (files, rows.await.unwrap())
            };
            scene.lease().await;
            let refused = during(put, async { scene.lose() }).await;
            assert!(matches!(refused, Err(Error::Conflict(_))), "{kind}");
            assert_eq!(kept().await, (0, 0), "{kind}");

            // The same where the next attempt has the step by then.
            scene.clock.advance(DAY);
            service.give_up_lost_steps().await.unwrap();
            let next = scene.lease().await.attempt;
            let put = async |input: DuplexStream| match kind {
                "artifacts" => service.put_artifact(caller, id, 2, "a", input).await,
                _ => service.put_cache(caller, id, 2, "node", "", input).await,
            };
            let taken = async {
                scene.clock.advance(DAY);
                service.give_up_lost_steps().await.unwrap();
                assert_eq!(scene.lease().await.attempt, next + 1);
            };
            let refused = during(put, taken).await;
            assert!(matches!(refused, Err(Error::Conflict(_))), "{kind}");
            assert_eq!(kept().await, (0, 0), "{kind}");
        }
    }

    /// Attack: a step that sends many artifacts at once, each of which finds room.
    #[tokio::test(flavor = "multi_thread")]
    async fn artifacts_that_come_at_once_find_room_once() {
        let scene = Scene::new("{script: [a]}").await;
        let (service, caller, id) = (&scene.service, &scene.caller, scene.step.id);
        let lease = scene.lease().await;
        let row = |at: usize| ArtifactRow {
            id: StepId::new(&service.random).uuid(),
            step: id,
            pipeline: scene.step.pipeline,
            position: 0,
            name: format!("a{at}"),
            size: 1,
            sha256: String::new(),
            created_on: scene.clock.now(),
        };
        let rows: Vec<ArtifactRow> = (1..MOST_ARTIFACTS).map(row).collect();
        let fill = service.keep_leased(caller, lease, move |books| {
            rows.iter().try_for_each(|row| store::step_artifact::put(books, row).map(drop))
        });
        fill.await.unwrap();
        let send = async |name: &str| service.put_artifact(caller, id, 1, name, b"x".as_slice()).await;
        let put = async |input: DuplexStream| service.put_artifact(caller, id, 1, "late", input).await;
        let late = during(put, async { send("last").await.map(drop).unwrap() });
        assert!(matches!(late.await, Err(Error::Forbidden { .. })));
        // One that takes the place of another finds room always.
        send("last").await.unwrap();
        assert!(matches!(send("more").await, Err(Error::Forbidden { .. })));
        let kept = service.store.read(move |reader| store::step_artifact::of_step(reader, id)).await.unwrap();
        assert_eq!(kept.len(), MOST_ARTIFACTS);
        let files = std::fs::read_dir(service.kept_folder("artifacts")).unwrap().count();
        assert_eq!(files, 1, "what found no room is gone with its file");
    }
}
