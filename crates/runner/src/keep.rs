//! Caches and artifacts of a step: what it begins with, and what is kept of it.
//!
//! Everything here happens while nothing of the step runs, so no folder changes under the hand that looks into it. No
//! link is followed: the agent may read what the step may not.

use std::io;
use std::path::{Path, PathBuf};

use pipeline::artifact::CaptureOn;
use pipeline::cache::Cache;
use pipeline::glob::Glob;
use pipeline::protocol::{Assignment, PIPE_STORAGE};
use sha2::{Digest, Sha256};

use crate::archive;
use crate::log::Log;
use crate::server::{Attempt, CallError, Place, Server};
use crate::workspace::{Workspace, without_links};

/// The largest cache and the largest artifact, packed, in bytes.
const PACKED: u64 = 2 * 1024 * 1024 * 1024;
/// And unpacked.
const UNPACKED: u64 = 16 * 1024 * 1024 * 1024;

/// A cache of a step: where it lies, and which version of it is asked for.
pub(crate) struct Kept {
    name: String,
    folder: PathBuf,
    key: String,
    restored: bool,
}

/// Moves what is kept.
pub(crate) struct Keeper<'a> {
    pub(crate) server: &'a Server,
    pub(crate) attempt: &'a Attempt,
    pub(crate) workspace: &'a Workspace,
    pub(crate) log: &'a Log,
}

impl Keeper<'_> {
    /// The clone, where it is still the folder that it was made as.
    pub(crate) fn build(&self) -> Option<PathBuf> {
        let (root, build) = (&self.workspace.root, self.workspace.build());
        without_links(root, build.strip_prefix(root).ok()?).filter(|build| build.is_dir())
    }

    /// Brings the artifacts of earlier steps into the clone.
    ///
    /// # Errors
    /// A sentence for the log: a step does not run without what it begins with.
    pub(crate) async fn bring_artifacts(&self, assignment: &Assignment) -> Result<(), String> {
        for artifact in &assignment.artifacts {
            let told =
                |why: &dyn std::fmt::Display| format!("the artifact {} cannot be had: {why}", artifact.name);
            let file = self.workspace.kept().join("artifact");
            let place = Place::artifact(&artifact.id);
            let fetched = self.server.fetch(self.attempt, &place, &file, PACKED).await;
            if fetched.map_err(|error| told(&error))?.is_none() {
                return Err(told(&"it is gone"));
            }
            let storage = artifact.name == PIPE_STORAGE;
            let (from, sum, workspace) = (file.clone(), artifact.sha256.clone(), self.workspace.clone());
            let to = if storage { workspace.pipe_storage() } else { workspace.build() };
            let unpacked = away(move || {
                make_folders(&workspace, &to)?;
                if !sum.is_empty() && hash(&from)? != sum.to_ascii_lowercase() {
                    return Err(io::Error::other("its content is not what it was"));
                }
                archive::unpack(&from, &to, UNPACKED, workspace.owner)
            });
            unpacked.await.map_err(|error| told(&error))?;
            let _ = std::fs::remove_file(&file);
            let title = if storage {
                "What pipes have kept".to_owned()
            } else {
                format!("Artifact {}", artifact.name)
            };
            self.log.line(&format!("{title}: {} bytes", artifact.size)).await;
        }
        Ok(())
    }

    /// Brings the caches. What cannot be had is told, and does not end the step.
    pub(crate) async fn bring_caches(
        &self,
        caches: &[Cache],
        place_of: impl Fn(&str) -> Option<PathBuf>,
    ) -> Vec<Kept> {
        let mut kept = Vec::new();
        for cache in caches {
            let Some(path) = cache.path.as_deref() else {
                let told = "images of steps are kept by the machine itself, and those of a step's own Docker daemon \
                            end with the step";
                self.log.line(&format!("Cache {}: {told}", cache.name)).await;
                continue;
            };
            let Some(folder) = place_of(path) else {
                self.log
                    .line(&format!("Cache {}: `{path}` is outside of the step's folders", cache.name))
                    .await;
                continue;
            };
            let (build, patterns) = (self.workspace.build(), cache.key_files.clone());
            let key = match away(move || key(&build, &patterns)).await {
                Ok(key) => key,
                Err(error) => {
                    self.log.line(&format!("Cache {}: its key cannot be made: {error}", cache.name)).await;
                    continue;
                }
            };
            let mut one = Kept { name: cache.name.clone(), folder, key, restored: false };
            match self.bring(&one).await {
                Ok(Some(size)) => {
                    one.restored = true;
                    self.log.line(&format!("Cache {}: {size} bytes", one.name)).await;
                }
                Ok(None) => self.log.line(&format!("Cache {}: there is none yet", one.name)).await,
                Err(error) => self.log.line(&format!("Cache {}: it cannot be had: {error}", one.name)).await,
            }
            kept.push(one);
        }
        kept
    }

    async fn bring(&self, cache: &Kept) -> Result<Option<u64>, String> {
        let file = self.workspace.kept().join("cache");
        let place = Place::cache(&cache.name, &cache.key);
        let fetched = self.server.fetch(self.attempt, &place, &file, PACKED).await;
        let Some(size) = fetched.map_err(|error| error.to_string())? else { return Ok(None) };
        let (from, folder, workspace) = (file.clone(), cache.folder.clone(), self.workspace.clone());
        let unpacked = away(move || {
            make_folders(&workspace, &folder)?;
            archive::unpack(&from, &folder, UNPACKED, workspace.owner)
        });
        let unpacked = unpacked.await;
        let _ = std::fs::remove_file(&file);
        unpacked.map_err(|error| error.to_string())?;
        Ok(Some(size))
    }

    /// Keeps the caches that were not there before.
    pub(crate) async fn keep_caches(&self, caches: &[Kept]) {
        for cache in caches.iter().filter(|cache| !cache.restored) {
            let place = Place::cache(&cache.name, &cache.key);
            let root = self.workspace.root.clone();
            // Where a part of the way is a link by now, it may lead anywhere.
            let folder = cache.folder.strip_prefix(&root).ok().and_then(|below| without_links(&root, below));
            let Some(folder) = folder.filter(|folder| folder.is_dir()) else {
                self.log.line(&format!("Cache {}: there is nothing to keep", cache.name)).await;
                continue;
            };
            let found = away(move || Ok((archive::list(&folder)?, folder))).await;
            let told = match found {
                Ok((paths, _)) if paths.is_empty() => "there is nothing to keep".to_owned(),
                Ok((paths, folder)) => match self.keep(folder, paths, &place).await {
                    Ok(size) => format!("{size} bytes are kept"),
                    Err(error) => format!("it cannot be kept: {error}"),
                },
                Err(error) => format!("it cannot be read: {error}"),
            };
            self.log.line(&format!("Cache {}: {told}", cache.name)).await;
        }
    }

    /// Keeps the artifacts of a step that passed or failed. Gives what was kept, named from the clone.
    pub(crate) async fn keep_artifacts(&self, assignment: &Assignment, passed: bool) -> Vec<PathBuf> {
        let mut kept = Vec::new();
        let artifacts = &assignment.plan.artifacts;
        if artifacts.paths.is_empty() && artifacts.upload.is_empty() {
            return kept;
        }
        let Some(build) = self.build() else {
            self.log.line("The artifacts cannot be looked for: the clone is gone").await;
            return kept;
        };
        let all = match away(move || archive::list(&build)).await {
            Ok(all) => all,
            Err(error) => {
                self.log.line(&format!("The artifacts cannot be looked for: {error}")).await;
                return kept;
            }
        };
        if passed && !artifacts.paths.is_empty() {
            kept.extend(self.keep_artifact("artifacts", chosen(&all, &artifacts.paths, &[], None)).await);
        }
        for upload in &artifacts.upload {
            let wanted = match upload.capture_on {
                CaptureOn::Success => passed,
                CaptureOn::Failed => !passed,
                CaptureOn::Always => true,
            };
            if wanted {
                let paths = chosen(&all, &upload.paths, &upload.ignore_paths, upload.depth);
                kept.extend(self.keep_artifact(&upload.name, paths).await);
            }
        }
        kept
    }

    /// Keeps what pipes have put into their folders, for the pipes of later steps.
    pub(crate) async fn keep_pipe_storage(&self) {
        let (root, folder) = (self.workspace.root.clone(), self.workspace.pipe_storage());
        let below = folder.strip_prefix(&root).ok().map(Path::to_owned);
        // Where it is a link by now, it may lead anywhere.
        let folder = below.and_then(|below| without_links(&root, &below)).filter(|folder| folder.is_dir());
        let Some(folder) = folder else { return };
        let looked = folder.clone();
        let told = match away(move || Ok((archive::list(&looked)?, looked))).await {
            Ok((paths, folder)) if paths.iter().all(|path| folder.join(path).is_dir()) => return,
            Ok((paths, folder)) => match self.keep(folder, paths, &Place::artifact(PIPE_STORAGE)).await {
                Ok(size) => format!("{size} bytes"),
                Err(error) => format!("it cannot be kept: {error}"),
            },
            Err(error) => format!("it cannot be looked for: {error}"),
        };
        self.log.line(&format!("What pipes keep for later steps: {told}")).await;
    }

    /// Gives what was kept: the paths, or nothing.
    async fn keep_artifact(&self, name: &str, paths: Vec<PathBuf>) -> Vec<PathBuf> {
        let count = paths.len();
        let (told, kept) = if count == 0 {
            ("no file fits".to_owned(), Vec::new())
        } else {
            match self.keep(self.workspace.build(), paths.clone(), &Place::artifact(name)).await {
                Ok(size) => (format!("{count} files, {size} bytes are kept"), paths),
                Err(error) => (format!("it cannot be kept: {error}"), Vec::new()),
            }
        };
        self.log.line(&format!("Artifact {name}: {told}")).await;
        kept
    }

    async fn keep(&self, root: PathBuf, paths: Vec<PathBuf>, place: &Place) -> Result<u64, String> {
        let file = self.workspace.kept().join("out");
        let into = file.clone();
        let packed = away(move || {
            archive::pack(&root, &paths, &into)?;
            Ok(std::fs::metadata(&into)?.len())
        });
        let size = packed.await.map_err(|error| error.to_string())?;
        if size > PACKED {
            return Err(format!("it has more than {PACKED} bytes"));
        }
        let kept = self.server.keep(self.attempt, place, file.clone()).await;
        let _ = std::fs::remove_file(&file);
        match kept {
            Ok(kept) => Ok(kept.size),
            Err(CallError::Refused { message, .. }) => Err(message),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The files that fit: below the clone, each once. A folder that fits brings all that lies in it.
pub(crate) fn chosen(
    all: &[PathBuf],
    patterns: &[String],
    ignored: &[String],
    depth: Option<u32>,
) -> Vec<PathBuf> {
    let (patterns, ignored) = (globs(patterns), globs(ignored));
    let fits = |globs: &[Glob], path: &Path| {
        path.ancestors()
            .filter_map(archive::name)
            .filter(|name| !name.is_empty())
            .any(|name| globs.iter().any(|glob| glob.matches(&name)))
    };
    let deep = |path: &Path| u32::try_from(path.components().count()).unwrap_or(u32::MAX);
    let files =
        all.iter().filter(|path| !path.starts_with(".git") && depth.is_none_or(|most| deep(path) <= most));
    files.filter(|path| fits(&patterns, path) && !fits(&ignored, path)).cloned().collect()
}

fn globs(patterns: &[String]) -> Vec<Glob> {
    // Those that are none were refused when the file was read.
    let trimmed = patterns.iter().map(|pattern| pattern.trim_start_matches("./").trim_end_matches('/'));
    trimmed.filter_map(|pattern| serde_json::from_value::<Glob>(pattern.into()).ok()).collect()
}

/// Which version of a cache is asked for: what the files of its patterns contain.
fn key(build: &Path, patterns: &[String]) -> io::Result<String> {
    if patterns.is_empty() {
        return Ok(String::new());
    }
    let globs = globs(patterns);
    let mut sum = Sha256::new();
    for path in archive::list(build)? {
        let name = archive::name(&path).unwrap_or_else(|| path.to_string_lossy().into_owned());
        let whole = build.join(&path);
        let is_file = std::fs::symlink_metadata(&whole)?.is_file();
        if is_file && !path.starts_with(".git") && globs.iter().any(|glob| glob.matches(&name)) {
            sum.update(name.as_bytes());
            sum.update([0]);
            sum.update(hash(&whole)?.as_bytes());
        }
    }
    Ok(hex::encode(sum.finalize()))
}

/// The SHA-256 of a file, in hexadecimal.
fn hash(path: &Path) -> io::Result<String> {
    let mut sum = Sha256::new();
    io::copy(&mut std::fs::File::open(path)?, &mut Updating(&mut sum))?;
    Ok(hex::encode(sum.finalize()))
}

struct Updating<'a>(&'a mut Sha256);

impl io::Write for Updating<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes a folder of the workspace, and those above it; no part of the way may be a link.
fn make_folders(workspace: &Workspace, folder: &Path) -> io::Result<()> {
    let outside = || io::Error::new(io::ErrorKind::InvalidData, "a part of its path is a link");
    let below = folder.strip_prefix(&workspace.root).map_err(|_| outside())?;
    without_links(&workspace.root, below).ok_or_else(outside)?;
    let mut whole = workspace.root.clone();
    for part in below.components() {
        whole.push(part);
        if !whole.exists() {
            std::fs::create_dir(&whole)?;
            workspace.owner.give(&whole)?;
        }
    }
    Ok(())
}

/// Work on files, where it holds up nobody.
async fn away<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(patterns: &[&str], ignored: &[&str], depth: Option<u32>) -> Vec<String> {
        let all = ["a.txt", "dist", "dist/b.js", "dist/c", "dist/c/d.map", ".git", ".git/config"];
        let all: Vec<_> = all.iter().map(PathBuf::from).collect();
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let chosen = chosen(&all, &owned(patterns), &owned(ignored), depth);
        chosen.iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn patterns_choose_files_and_whole_folders() {
        assert_eq!(names(&["*.txt"], &[], None), ["a.txt"]);
        assert_eq!(names(&["dist/**"], &["**/*.map"], None), ["dist/b.js", "dist/c"]);
        assert_eq!(names(&["dist/"], &[], None), ["dist", "dist/b.js", "dist/c", "dist/c/d.map"]);
        assert_eq!(names(&["**"], &[], Some(1)), ["a.txt", "dist"]);
    }

    /// The clone's own settings are not a step's to hand on.
    #[test]
    fn the_clones_own_folder_is_never_kept() {
        assert!(names(&[".git/**"], &[], None).is_empty());
    }
}
