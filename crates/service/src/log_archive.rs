//! What becomes of a log that does not grow any more: it is compressed, goes into the operator's bucket where there is one,
//! and is removed when its run is.
//!
//! At every moment one of three files tells where a log is: `step.log` while it may grow, `step.log.gz` afterwards, and an
//! empty `step.log.away` when it lies in the bucket. The next one is there before the one before is removed.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use model::{Error, Result, StepId, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::jobs::log_text;
use crate::step_log::read_plain;
use crate::{Service, log_pack};

/// The kind of the job that compresses the logs of an attempt at a step.
pub(crate) const PACK: &str = "log-pack";
/// How long after the end of an attempt that is done, in seconds: what was sent before it ended may still be written.
const PACK_AFTER: i64 = 5;
/// How long a log that was fetched from the bucket is kept for who reads on, in seconds.
const FETCHED: i64 = 3_600;
/// A folder of logs is this old before it is asked whether its step is gone, in seconds.
const ORPHANED: i64 = 3_600;
/// How many steps are asked about at once.
const MANY: usize = 500;

/// Has the logs of an attempt that ends compressed.
pub(crate) fn enqueue(writer: &mut store::Writer<'_>, step: StepId, attempt: i64) -> Result<()> {
    let key = format!("{step} {attempt}");
    let payload = json!({ "step": step, "attempt": attempt });
    store::job::enqueue(&mut writer.bookkeeping(), PACK, &key, payload, PACK_AFTER)
}

/// The compressed log, beside the one that grew.
pub(crate) fn packed(log: &Path) -> PathBuf {
    log.with_extension("log.gz")
}

/// What tells that the log lies in the bucket.
pub(crate) fn away(log: &Path) -> PathBuf {
    log.with_extension("log.away")
}

/// Whether a log does not grow any more. Asked under the lock of the log's file, the answer stays true until it is given back.
pub(crate) fn has_ended(log: &Path) -> bool {
    packed(log).exists() || away(log).exists()
}

impl Service {
    fn logs(&self) -> PathBuf {
        self.settings.data.join("pipelines/logs")
    }

    /// Compresses the logs of an attempt, and takes them to the bucket: the work of a job.
    pub(crate) async fn pack_logs(&self, job: &Value) -> Result<()> {
        let lost = || Error::internal("a job of logs cannot be read");
        let step: StepId =
            job.get("step").and_then(Value::as_str).and_then(|id| id.parse().ok()).ok_or_else(lost)?;
        let attempt = job.get("attempt").and_then(Value::as_i64).ok_or_else(lost)?;
        let folder = self.logs().join(step.to_string()).join(attempt.to_string());
        let logs = blocking(move || pack_folder(&folder)).await.map_err(Error::internal)?;
        let Some(bucket) = &self.log_bucket else { return Ok(()) };
        for log in logs {
            let (packed, away) = (packed(&log), away(&log));
            bucket.put(&self.key(&packed)?, &packed).await?;
            let marked = blocking(move || mark(&away)).await;
            marked.map_err(Error::internal)?;
            tokio::fs::remove_file(&packed).await.map_err(Error::internal)?;
        }
        Ok(())
    }

    /// The name of an object: the file's own place below the folder of all logs.
    fn key(&self, file: &Path) -> Result<String> {
        let below = file.strip_prefix(self.logs()).map_err(Error::internal)?;
        Ok(format!("logs/{}", below.display()))
    }

    /// A part of a log, wherever it is, and how long it is; none where there is no such log.
    pub(crate) async fn read_log(
        &self,
        log: PathBuf,
        offset: u64,
        limit: usize,
    ) -> Result<Option<(Vec<u8>, u64)>> {
        let (plain, gz, is_away) = (log.clone(), packed(&log), away(&log));
        let found = blocking(move || {
            // A file that came to be beside what is compressed holds nothing of the log.
            let ended = has_ended(&plain);
            match read_plain(&plain, offset, limit) {
                Ok(found) if !ended => Ok(found),
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => log_pack::read(&gz, offset, limit),
            }
        });
        match found.await {
            Ok(found) => return Ok(Some(found)),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::internal(error)),
            Err(_) if !tokio::fs::try_exists(&is_away).await.map_err(Error::internal)? => return Ok(None),
            Err(_) => {}
        }
        let fetched = self.fetched(&packed(&log)).await?;
        let looked = fetched.clone();
        let read = blocking(move || log_pack::read(&looked, offset, limit)).await;
        if read.is_err() {
            // It is fetched again for who asks next.
            let _ = tokio::fs::remove_file(&fetched).await;
        }
        read.map(Some).map_err(Error::internal)
    }

    async fn fetched(&self, packed: &Path) -> Result<PathBuf> {
        let Some(bucket) = &self.log_bucket else {
            return Err(Error::internal("a log lies in a bucket, and --log-bucket is not set any more"));
        };
        let key = self.key(packed)?;
        let folder = self.settings.data.join("pipelines/fetched-logs");
        let file = folder.join(key.replace('/', "-"));
        if !tokio::fs::try_exists(&file).await.map_err(Error::internal)? {
            tokio::fs::create_dir_all(&folder).await.map_err(Error::internal)?;
            let fresh = folder.join(StepId::new(&self.random).to_string());
            let got = bucket.get(&key, &fresh).await;
            if got.is_err() {
                let _ = tokio::fs::remove_file(&fresh).await;
            }
            got?;
            tokio::fs::rename(&fresh, &file).await.map_err(Error::internal)?;
        }
        Ok(file)
    }

    /// Removes logs whose steps are gone, and copies of logs that nobody has fetched for a while.
    pub(crate) async fn sweep_logs(&self) -> Result<()> {
        let (logs, fetched) = (self.logs(), self.settings.data.join("pipelines/fetched-logs"));
        let now = self.clock.now();
        let old = blocking(move || {
            for file in older(&fetched, now.plus_seconds(-FETCHED))? {
                std::fs::remove_file(file)?;
            }
            older(&logs, now.plus_seconds(-ORPHANED))
        });
        let old = old.await.map_err(Error::internal)?;
        let steps: Vec<StepId> = old
            .iter()
            .filter_map(|folder| folder.file_name().and_then(OsStr::to_str)?.parse::<Uuid>().ok())
            .map(StepId::from_uuid)
            .collect();
        for some in steps.chunks(MANY) {
            let asked = some.to_vec();
            let there = self.store.read(move |reader| store::pipeline_step::known(reader, &asked)).await?;
            for step in some.iter().filter(|step| !there.contains(step)) {
                if let Err(error) = self.remove_logs(self.logs().join(step.to_string())).await {
                    tracing::warn!(error = log_text(&error), %step, "logs of a step that is gone are left behind");
                }
            }
        }
        Ok(())
    }

    async fn remove_logs(&self, folder: PathBuf) -> Result<()> {
        let inside = folder.clone();
        let away = blocking(move || files(&inside, "away")).await.map_err(Error::internal)?;
        for marker in away {
            let Some(bucket) = &self.log_bucket else {
                tracing::warn!(folder = %folder.display(), "logs in a bucket outlive their run: --log-bucket is not set");
                return Ok(());
            };
            bucket.remove(&self.key(&marker.with_extension("gz"))?).await?;
        }
        tokio::fs::remove_dir_all(&folder).await.map_err(Error::internal)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Leaves a mark, which is on the disk when this returns.
fn mark(away: &Path) -> io::Result<()> {
    std::fs::File::create(away)?.sync_all()?;
    away.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
}

/// Compresses what is plain in a folder. Gives the logs that are compressed now, those of an earlier try among them.
fn pack_folder(folder: &Path) -> io::Result<Vec<PathBuf>> {
    for log in files(folder, "log")? {
        // Who appends has the same lock, and sees afterwards that the log has ended.
        let open = std::fs::File::options().read(true).append(true).open(&log)?;
        open.lock()?;
        // What has ended already is whole where it is, whatever has come to lie here again.
        if !has_ended(&log) {
            let fresh = log.with_extension("log.fresh");
            if fresh.exists() {
                std::fs::remove_file(&fresh)?;
            }
            log_pack::pack(&log, &fresh)?;
            std::fs::rename(&fresh, packed(&log))?;
            std::fs::File::open(folder).and_then(|folder| folder.sync_all())?;
        }
        std::fs::remove_file(&log)?;
    }
    // `step.log.gz` without its last extension.
    Ok(files(folder, "gz")?.into_iter().map(|packed| packed.with_extension("")).collect())
}

/// The files with an extension, at any depth.
fn files(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, extension)?);
        } else if path.extension() == Some(OsStr::new(extension)) {
            found.push(path);
        }
    }
    Ok(found)
}

/// What lies in a folder and has not changed since then.
fn older(folder: &Path, before: Timestamp) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let changed = entry.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if i64::try_from(changed).is_ok_and(|changed| changed < before.seconds()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Would catch: a log that is lost, or counted twice, when the process ends between two steps.
    #[test]
    fn what_was_cut_off_is_done_when_it_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("step.log");
        std::fs::write(&log, "one\n").unwrap();
        std::fs::write(folder.path().join("step.log.fresh"), "half a fi").unwrap();
        assert_eq!(pack_folder(folder.path()).unwrap(), std::slice::from_ref(&log));
        assert!(!log.exists() && packed(&log).exists());
        // Compressed, but not removed: it is there once.
        std::fs::write(&log, "one\n").unwrap();
        assert_eq!(pack_folder(folder.path()).unwrap(), std::slice::from_ref(&log));
        assert_eq!(log_pack::read(&packed(&log), 0, 10).unwrap(), (b"one\n".to_vec(), 4));
        assert_eq!(pack_folder(&folder.path().join("none")).unwrap(), Vec::<PathBuf>::new());
    }

    /// Would catch: an empty file where a log was, left by who came too late, that is compressed in the place of the log.
    #[test]
    fn what_comes_to_lie_where_a_log_has_ended_does_not_replace_it() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("step.log");
        std::fs::write(&log, "one\n").unwrap();
        pack_folder(folder.path()).unwrap();
        std::fs::write(&log, "").unwrap();
        assert_eq!(pack_folder(folder.path()).unwrap(), std::slice::from_ref(&log));
        assert_eq!(log_pack::read(&packed(&log), 0, 10).unwrap(), (b"one\n".to_vec(), 4));
        // In the bucket an object would be written over.
        mark(&away(&log)).unwrap();
        std::fs::remove_file(packed(&log)).unwrap();
        std::fs::write(&log, "").unwrap();
        assert_eq!(pack_folder(folder.path()).unwrap(), Vec::<PathBuf>::new());
        assert!(!log.exists() && away(&log).exists());
    }
}
