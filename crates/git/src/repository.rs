//! Bare repositories on disk: where they lie, how one is made, opened and removed.
//!
//! A repository's directory is named by its id alone, so that no name a user chose ever becomes a path. What a
//! name stands for, and who may open it, is not known here.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{Error, RefName, RepositoryId, Result};

use crate::command::Program;
use crate::durability::sync_directory;
use crate::hook::Quarantine;
use crate::lock::LOCK_FILE;

/// Refs below this are the server's own: never shown to a client, never taken from one.
pub const INTERNAL_REFS: &str = "refs/bastide";

/// The files' settings are only what makes the directory a repository; all others are given with each command.
pub(crate) const CONFIG_FILE: &str =
    "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n";

/// A repository that has been in the making for this long is nobody's any more.
const LEFT: Duration = Duration::from_secs(3_600);

/// All repositories of one data directory.
#[derive(Clone, Debug)]
pub struct Repositories {
    root: PathBuf,
    program: Program,
}

impl Repositories {
    /// Repositories below `root`, which is made if it is missing.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn new(root: &Path, program: Program) -> Result<Self> {
        make_directories(root).map_err(disk)?;
        let root = root.canonicalize().map_err(disk)?;
        Ok(Self { root, program })
    }

    /// How many processes of git run now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.program.running()
    }

    /// Makes an empty repository. It appears whole or not at all: it is built under another name, synced, renamed.
    ///
    /// # Errors
    /// `Conflict` when it exists.
    pub async fn create(&self, id: RepositoryId, default_branch: &RefName) -> Result<Repository> {
        if default_branch.as_branch().is_none() {
            return Err(Error::invalid(format!("`{default_branch}` is not a branch")));
        }
        let target = self.path(id);
        let head = format!("ref: {default_branch}\n");
        let root = self.root.clone();
        let made = tokio::task::spawn_blocking(move || build(&root, &target, id, &head));
        match made.await.map_err(Error::internal)? {
            Ok(()) => self.open(id),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Error::Conflict("the repository's directory exists already".to_owned()))
            }
            Err(error) => Err(disk(error)),
        }
    }

    /// The repository, if it is there.
    ///
    /// # Errors
    /// `NotFound` when it is not.
    pub fn open(&self, id: RepositoryId) -> Result<Repository> {
        let path = self.path(id);
        if !path.join("HEAD").is_file() {
            return Err(Error::not_found("the repository's content"));
        }
        Ok(Repository::at(path, self.program.clone()))
    }

    /// Whether it is there.
    #[must_use]
    pub fn exists(&self, id: RepositoryId) -> bool {
        self.path(id).join("HEAD").is_file()
    }

    /// Removes it: at one moment it is gone under its name, and then its files are deleted. Removing what is not
    /// there is no error.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn remove(&self, id: RepositoryId) -> Result<()> {
        let from = self.path(id);
        let trash = from.with_file_name(format!(".trash-{id}"));
        let work = move || {
            remove_tree(&trash)?;
            match fs::rename(&from, &trash) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                other => other?,
            }
            from.parent().map_or(Ok(()), sync_directory)?;
            remove_tree(&trash)
        };
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)?.map_err(disk)
    }

    /// Deletes what a crash during [`Self::create`] or [`Self::remove`] left behind. Only for the start of the
    /// only process that works on this directory.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn sweep(&self) -> Result<()> {
        let root = self.root.clone();
        let work = move || {
            for first in directories(&root)? {
                for second in directories(&first)? {
                    for entry in directories(&second)? {
                        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
                        // A `.new-` directory may be another request's that is just being made.
                        if name.starts_with(".trash-") || name.starts_with(".new-") && is_left(&entry)? {
                            remove_tree(&entry)?;
                        }
                    }
                }
            }
            Ok(())
        };
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)?.map_err(disk)
    }

    /// `ab/cd/<id>.git`, so that no directory grows without bound.
    fn path(&self, id: RepositoryId) -> PathBuf {
        let name = id.to_string();
        let first = name.get(0..2).unwrap_or_default();
        let second = name.get(2..4).unwrap_or_default();
        self.root.join(first).join(second).join(format!("{name}.git"))
    }
}

fn disk(error: io::Error) -> Error {
    Error::Internal(format!("the repositories' directory: {error}"))
}

fn directories(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Whether nobody has touched a directory for so long that whoever made it is gone.
fn is_left(path: &Path) -> io::Result<bool> {
    match fs::metadata(path).and_then(|metadata| metadata.modified()) {
        Ok(modified) => Ok(modified.elapsed().is_ok_and(|age| age >= LEFT)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn make_directories(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn build(root: &Path, target: &Path, id: RepositoryId, head: &str) -> io::Result<()> {
    if target.exists() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let parent = target.parent().unwrap_or(root);
    make_directories(parent)?;
    let new = parent.join(format!(".new-{id}"));
    remove_tree(&new)?;
    let names = ["", "objects", "objects/pack", "objects/info", "refs", "refs/heads", "refs/tags", "info"];
    for name in names {
        make_directories(&new.join(name))?;
    }
    for (name, content) in [("HEAD", head), ("config", CONFIG_FILE), (LOCK_FILE, "")] {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new.join(name))?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
    }
    for name in names {
        sync_directory(&new.join(name))?;
    }
    fs::rename(&new, target)?;
    let mut above = Some(parent);
    while let Some(directory) = above.filter(|directory| directory.starts_with(root)) {
        File::open(directory)?.sync_all()?;
        above = directory.parent();
    }
    Ok(())
}

/// One bare repository, or one seen from inside a push's quarantine.
#[derive(Clone, Debug)]
pub struct Repository {
    path: PathBuf,
    program: Program,
    quarantine: Option<PathBuf>,
}

impl Repository {
    /// The repository at a path that is known to hold one.
    pub(crate) fn at(path: PathBuf, program: Program) -> Self {
        Self { path, program, quarantine: None }
    }

    /// The same repository with the objects of a push that is not accepted yet.
    ///
    /// # Errors
    /// When the quarantine is not one of this repository.
    pub fn in_quarantine(&self, quarantine: &Quarantine) -> Result<Self> {
        let path = quarantine.path_in(self)?;
        Ok(Self { quarantine: Some(path), ..self.clone() })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    /// The same repository, writing new objects into `directory`.
    pub(crate) fn with_objects_in(&self, directory: PathBuf) -> Self {
        Self { quarantine: Some(directory), ..self.clone() }
    }

    /// Whether some of its objects lie outside of its directory for objects.
    pub(crate) fn has_objects_elsewhere(&self) -> bool {
        self.quarantine.is_some()
    }

    /// The variables that a quarantine needs.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        match &self.quarantine {
            Some(directory) => vec![
                ("GIT_OBJECT_DIRECTORY", directory.into()),
                ("GIT_ALTERNATE_OBJECT_DIRECTORIES", self.path.join("objects").into()),
                // With it set, git refuses to move refs to objects that may yet vanish.
                ("GIT_QUARANTINE_PATH", directory.into()),
            ],
            None => Vec::new(),
        }
    }

    /// The settings of every command in this repository.
    pub(crate) fn config(&self) -> Vec<(&'static str, OsString)> {
        let mut settings: Vec<(&'static str, OsString)> =
            SETTINGS.iter().map(|(key, value)| (*key, OsString::from(*value))).collect();
        settings.push(("safe.directory", self.path.clone().into()));
        settings
    }
}

/// Settings of every command. Each push becomes one pack, everything that git writes is synced, nothing runs in
/// the background, no hook runs unless a command names the directory of ours.
const SETTINGS: &[(&str, &str)] = &[
    ("core.fsync", "all"),
    ("core.fsyncMethod", "fsync"),
    ("core.hooksPath", "/dev/null"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.logAllRefUpdates", "false"),
    ("core.quotePath", "false"),
    ("core.bigFileThreshold", "64m"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("receive.autogc", "false"),
    ("receive.advertisePushOptions", "true"),
    ("receive.unpackLimit", "1"),
    ("transfer.unpackLimit", "1"),
    ("receive.fsckObjects", "true"),
    // Found in old, honest histories, and harmless: told, not refused.
    ("receive.fsck.zeroPaddedFilemode", "warn"),
    ("receive.fsck.badTimezone", "warn"),
    ("receive.fsck.missingSpaceBeforeDate", "warn"),
    ("receive.updateServerInfo", "false"),
    ("receive.shallowUpdate", "false"),
    ("transfer.hideRefs", INTERNAL_REFS),
    ("transfer.advertiseObjectInfo", "false"),
    ("uploadpack.allowFilter", "true"),
    ("uploadpack.allowTipSHA1InWant", "false"),
    ("uploadpack.allowReachableSHA1InWant", "false"),
    ("uploadpack.allowAnySHA1InWant", "false"),
    ("repack.writeBitmaps", "true"),
    ("pack.writeBitmapHashCache", "true"),
    ("pack.threads", "2"),
    ("pack.windowMemory", "256m"),
    ("diff.renameLimit", "1000"),
    ("log.showSignature", "false"),
    ("i18n.logOutputEncoding", "UTF-8"),
];

#[cfg(test)]
mod tests {
    use model::Random;

    use super::*;

    fn repositories() -> (tempfile::TempDir, Repositories) {
        let directory = tempfile::tempdir().unwrap();
        let repositories =
            Repositories::new(&directory.path().join("repositories"), Program::default()).unwrap();
        (directory, repositories)
    }

    #[tokio::test]
    async fn a_repository_is_made_once_opened_and_removed() {
        let (_directory, repositories) = repositories();
        let id = RepositoryId::new(&Random::seeded(1));
        let main = RefName::branch("main").unwrap();
        assert!(matches!(repositories.open(id), Err(Error::NotFound { .. })));
        let made = repositories.create(id, &main).await.unwrap();
        assert!(made.path().ends_with(format!(
            "{}/{}/{id}.git",
            &id.to_string()[..2],
            &id.to_string()[2..4]
        )));
        assert!(matches!(repositories.create(id, &main).await, Err(Error::Conflict(_))));
        assert!(repositories.exists(id));
        repositories.remove(id).await.unwrap();
        repositories.remove(id).await.unwrap();
        assert!(!repositories.exists(id));
    }

    /// What a crash leaves under a temporary name neither counts as a repository nor stands in the way.
    #[tokio::test]
    async fn leftovers_of_a_crash_are_swept_and_do_not_block() {
        let (_directory, repositories) = repositories();
        let id = RepositoryId::new(&Random::seeded(2));
        let half = repositories.path(id).with_file_name(format!(".new-{id}"));
        fs::create_dir_all(half.join("objects")).unwrap();
        assert!(!repositories.exists(id));
        repositories.create(id, &RefName::branch("main").unwrap()).await.unwrap();
        fs::create_dir_all(&half).unwrap();
        // One that another request is just making stays.
        repositories.sweep().await.unwrap();
        assert!(half.exists());
        File::open(&half).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        repositories.sweep().await.unwrap();
        assert!(!half.exists() && repositories.exists(id));
    }
}
