//! The folder of one attempt at a step: made for it, removed behind it, never used again.
//!
//! | below `work/<step>-<attempt>` | what for |
//! |---|---|
//! | `build` | the clone |
//! | `home` | the home of a step without an image |
//! | `tmp` | temporary files, the variables file, files of tokens |
//! | `control` | named pipes between the step's shell and the agent |
//! | `script` | what the shell runs; read-only for the step |
//! | `ssh` | the key, known hosts and settings for SSH, where the step has them; read-only likewise |
//! | `kept` | archives on their way; not seen by the step |

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::system;

/// The folder of what pipes keep, below that of temporary files.
pub(crate) const PIPE_STORAGE: &str = "pipes";

/// Whom the files of a step belong to: a user of its own where the agent is root, else the agent's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owner(pub(crate) Option<u32>);

impl Owner {
    /// Gives a file to the owner; a link itself, not what it points to.
    pub(crate) fn give(self, path: &Path) -> io::Result<()> {
        self.0.map_or(Ok(()), |id| system::give(path, id))
    }
}

/// The folder of an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) owner: Owner,
}

impl Workspace {
    /// Makes it, anew.
    pub(crate) fn make(root: PathBuf, owner: Owner) -> io::Result<Self> {
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        if let Some(above) = root.parent()
            && let Err(error) = system::folder(above, 0o711)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(error);
        }
        system::folder(&root, 0o711)?;
        let workspace = Self { root, owner };
        for (name, mode) in [("build", 0o755), ("home", 0o700), ("tmp", 0o700), ("control", 0o700)] {
            let path = workspace.root.join(name);
            system::folder(&path, mode)?;
            owner.give(&path)?;
        }
        system::folder(&workspace.script(), 0o755)?;
        system::folder(&workspace.ssh(), 0o755)?;
        system::folder(&workspace.kept(), 0o700)?;
        Ok(workspace)
    }

    /// The clone.
    pub(crate) fn build(&self) -> PathBuf {
        self.root.join("build")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// What pipes keep for each other and for later steps.
    pub(crate) fn pipe_storage(&self) -> PathBuf {
        self.tmp().join(PIPE_STORAGE)
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.root.join("control")
    }

    pub(crate) fn script(&self) -> PathBuf {
        self.root.join("script")
    }

    pub(crate) fn ssh(&self) -> PathBuf {
        self.root.join("ssh")
    }

    pub(crate) fn kept(&self) -> PathBuf {
        self.root.join("kept")
    }

    /// Writes a file that the step's user alone can read.
    pub(crate) fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        system::private_file(path)?.write_all(text.as_bytes())?;
        self.owner.give(path)
    }

    /// Puts another text in the place of a file that the step's user reads, at once: whoever reads has the one or the other.
    /// What the step may have put there is not followed.
    pub(crate) fn replace(&self, path: &Path, text: &str) -> io::Result<()> {
        let made = self.kept().join("replaced");
        let _ = fs::remove_file(&made);
        self.write(&made, text)?;
        // An image's own user, who has no name here, reads what lies in a folder that was opened.
        if let Some(folder) = path.parent() {
            system::open_as_folder(&made, folder)?;
        }
        fs::rename(made, path)
    }

    /// Removes it. A step may have taken permissions from its own folders.
    pub(crate) fn remove(&self) {
        if fs::remove_dir_all(&self.root).is_err() {
            open_folders(&self.root);
            if let Err(error) = fs::remove_dir_all(&self.root) {
                tracing::warn!(%error, folder = %self.root.display(), "a step's folder is left behind");
            }
        }
    }
}

/// How many bytes lie in folders on the disk.
pub(crate) fn usage(mut folders: Vec<PathBuf>) -> u64 {
    let mut total = 0_u64;
    while let Some(folder) = folders.pop() {
        // What goes away meanwhile is not counted.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(found) = entry.metadata() else { continue };
            total = total.saturating_add(system::on_disk(&found));
            if found.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    total
}

/// Makes folders passable again.
fn open_folders(root: &Path) {
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        system::make_passable(&folder);
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
}

/// Reads a file that a step has written: no link, no pipe, and not more than so many bytes.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = system::open_no_link(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() > usize::try_from(limit).unwrap_or(usize::MAX) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {limit} bytes")));
    }
    Ok(bytes)
}

/// Whether a path below a folder is a file and no part of the way a link.
pub(crate) fn is_plain_file(root: &Path, below: &Path) -> bool {
    let above = below.parent().unwrap_or(Path::new(""));
    without_links(root, above).is_some()
        && fs::symlink_metadata(root.join(below)).is_ok_and(|found| found.is_file())
}

/// A path below a folder, where no part of the way is a link; the last part may be missing.
pub(crate) fn without_links(root: &Path, below: &Path) -> Option<PathBuf> {
    let mut whole = root.to_owned();
    for part in below.components() {
        match part {
            std::path::Component::Normal(part) => whole.push(part),
            std::path::Component::CurDir => continue,
            _ => return None,
        }
        if fs::symlink_metadata(&whole).is_ok_and(|found| !found.is_dir()) {
            return None;
        }
    }
    Some(whole)
}
