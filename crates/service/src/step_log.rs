//! Logs of steps: files that grow while a step runs, one for its commands and one for each service beside it.
//!
//! A runner sends what it has from a place on, and is told how far the file goes: so nothing is lost and nothing is there
//! twice, whatever was cut off in between.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use model::{Error, PipelineId, Result, StepId, act};
use pipeline::protocol::{LOG_CHUNK, LOG_LIMIT, LogPosition, STEP_LOG};

use crate::access::RepositoryPath;
use crate::log_archive::has_ended;
use crate::{Caller, Service};

/// What a log may hold beyond the runner's own limit: the sentence that tells of it.
const OVER: u64 = 64 * 1024;
/// How much of a log is held at once while its lines are counted, in bytes.
const COUNTED: u64 = 4 * 1024 * 1024;

/// A part of a log.
#[derive(Clone, Debug)]
pub struct LogPart {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Where they begin.
    pub offset: u64,
    /// How long the log is now.
    pub length: u64,
    /// Whether it may still grow.
    pub grows: bool,
    /// Which attempt at the step it is of.
    pub attempt: i64,
}

/// Which log.
#[derive(Clone, Debug)]
pub struct LogName {
    /// Which attempt at the step; the last one where nothing is said.
    pub attempt: Option<i64>,
    /// Of the step's own commands, or of a service.
    pub name: String,
}

impl Default for LogName {
    fn default() -> Self {
        Self { attempt: None, name: STEP_LOG.to_owned() }
    }
}

/// The name of a log as a file's: services are named by whoever writes the configuration.
fn file_name(log: &str) -> Result<String> {
    if log.is_empty() || log.len() > 100 {
        return Err(Error::invalid_field("log", "a log's name has 1 to 100 bytes"));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let escaped = log.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("_{byte:02x}"),
    });
    Ok(escaped.collect::<String>() + ".log")
}

impl Service {
    fn log_file(&self, step: StepId, attempt: i64, log: &str) -> Result<PathBuf> {
        let folder = self.settings.data.join("pipelines/logs").join(step.to_string());
        Ok(folder.join(attempt.to_string()).join(file_name(log)?))
    }

    /// Appends what a runner sends. What it repeats is kept once; a gap is refused, with how far the log goes.
    pub(crate) async fn append_to_log(
        &self,
        step: StepId,
        attempt: i64,
        log: &str,
        offset: u64,
        bytes: Vec<u8>,
    ) -> Result<LogPosition> {
        if bytes.len() > LOG_CHUNK {
            return Err(Error::TooLarge { limit: u64::try_from(LOG_CHUNK).unwrap_or(u64::MAX) });
        }
        let path = self.log_file(step, attempt, log)?;
        let length = tokio::task::spawn_blocking(move || append(&path, offset, &bytes)).await;
        let length = length.map_err(Error::internal)??;
        self.progress.notify_waiters();
        Ok(LogPosition { length })
    }

    /// A part of a step's log, for who may see the run: at most `limit` bytes from `offset` on.
    pub async fn step_log(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        (pipeline, step): (PipelineId, StepId),
        log: &LogName,
        offset: u64,
        limit: usize,
    ) -> Result<LogPart> {
        let (file, attempt, grows) = self.log_for(caller, path, (pipeline, step), log).await?;
        let (bytes, length) = match self.read_log(file, offset, limit).await? {
            Some(found) => found,
            None if grows => (Vec::new(), 0),
            None => return Err(Error::not_found("the log")),
        };
        Ok(LogPart { bytes, offset, length, grows, attempt })
    }

    /// How many lines of a step's log end before `offset`, for who may see the run. The log is read piece by piece.
    pub async fn step_log_lines(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        (pipeline, step): (PipelineId, StepId),
        log: &LogName,
        offset: u64,
    ) -> Result<u64> {
        let (file, ..) = self.log_for(caller, path, (pipeline, step), log).await?;
        let (mut at, mut lines) = (0_u64, 0_u64);
        while at < offset {
            let limit = usize::try_from((offset - at).min(COUNTED)).unwrap_or(usize::MAX);
            let bytes =
                self.read_log(file.clone(), at, limit).await?.map(|(bytes, _)| bytes).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            lines = lines.saturating_add(line_breaks(&bytes));
            at = at.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        }
        Ok(lines)
    }

    /// Where a log is, for who may see the run; of which attempt it is, and whether it may still grow.
    async fn log_for(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        (pipeline, step): (PipelineId, StepId),
        log: &LogName,
    ) -> Result<(PathBuf, i64, bool)> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineRead, ground.as_ref())?;
        let row = self.step_row(ground.subject.repository.id, pipeline, step).await?;
        let attempt = log.attempt.unwrap_or(row.attempt);
        let grows = attempt == row.attempt && row.state == "running";
        Ok((self.log_file(step, attempt, &log.name)?, attempt, grows))
    }

    /// Waits until some log may have grown, or a moment has passed.
    pub async fn progress(&self) {
        let told = self.progress.notified();
        // Another process of the same installation tells nobody here.
        let _ = tokio::time::timeout(std::time::Duration::from_millis(500), told).await;
    }
}

fn line_breaks(bytes: &[u8]) -> u64 {
    let count = bytes.iter().filter(|byte| **byte == b'\n').count();
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn ended() -> Error {
    Error::Conflict("the log has ended".to_owned())
}

fn append(path: &Path, offset: u64, bytes: &[u8]) -> Result<u64> {
    if has_ended(path) {
        return Err(ended());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(Error::internal)?;
    }
    let open = OpenOptions::new().create(true).append(true).read(true).open(path);
    append_to(&mut open.map_err(Error::internal)?, path, offset, bytes)
}

fn append_to(file: &mut File, path: &Path, offset: u64, bytes: &[u8]) -> Result<u64> {
    // A request that was cut off may still be at work when it is repeated.
    file.lock().map_err(Error::internal)?;
    let length = file.metadata().map_err(Error::internal)?.len();
    // It may have been compressed since it was opened: what is written now would be lost, and a file that was made anew
    // would hide what is compressed.
    if has_ended(path) {
        if length == 0 {
            let _ = std::fs::remove_file(path);
        }
        return Err(ended());
    }
    let Some(known) = length.checked_sub(offset) else {
        return Ok(length);
    };
    let new = usize::try_from(known).ok().and_then(|known| bytes.get(known..)).unwrap_or_default();
    let grown = length.saturating_add(u64::try_from(new.len()).unwrap_or(u64::MAX));
    if grown > LOG_LIMIT + OVER {
        return Err(Error::TooLarge { limit: LOG_LIMIT });
    }
    file.write_all(new).map_err(Error::internal)?;
    Ok(grown)
}

pub(crate) fn read_plain(path: &Path, offset: u64, limit: usize) -> std::io::Result<(Vec<u8>, u64)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    if offset < length {
        file.seek(SeekFrom::Start(offset))?;
        file.take(u64::try_from(limit).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
    }
    Ok((bytes, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_archive::packed;

    /// Would catch: bytes that are acknowledged and go with the file that was compressed meanwhile, and an empty file that
    /// hides the compressed one.
    #[test]
    fn what_comes_for_a_log_that_was_just_compressed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("step.log");
        let opened = || OpenOptions::new().create(true).append(true).read(true).open(&path).unwrap();
        assert_eq!(append(&path, 0, b"one").unwrap(), 3);
        let before = opened();
        std::fs::write(packed(&path), b"compressed").unwrap();
        std::fs::remove_file(&path).unwrap();
        for mut file in [before, opened()] {
            let refused = append_to(&mut file, &path, 3, b"two");
            assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
        }
        assert!(!path.exists());
        assert!(matches!(append(&path, 3, b"two"), Err(Error::Conflict(_))));
        assert!(!path.exists());
    }

    #[test]
    fn what_is_repeated_is_kept_once_and_a_gap_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.log");
        assert_eq!(append(&path, 0, b"one ").unwrap(), 4);
        assert_eq!(append(&path, 0, b"one two ").unwrap(), 8);
        assert_eq!(append(&path, 4, b"two ").unwrap(), 8);
        assert_eq!(append(&path, 20, b"lost").unwrap(), 8);
        assert_eq!(append(&path, 8, b"three").unwrap(), 13);
        assert_eq!(std::fs::read(&path).unwrap(), b"one two three");
        assert_eq!(read_plain(&path, 4, 3).unwrap(), (b"two".to_vec(), 13));
        assert_eq!(read_plain(&path, 50, 3).unwrap(), (Vec::new(), 13));
    }

    #[test]
    fn a_service_cannot_be_named_out_of_its_folder() {
        assert_eq!(file_name("step").unwrap(), "step.log");
        assert_eq!(file_name("../x").unwrap(), "_2e_2e_2fx.log");
        assert!(file_name("").is_err());
    }
}
