//! The folder of one attempt at a step: made for it, removed behind it, never used again.
//!
//! | below `work/<step>-<attempt>` | what for |
//! |---|---|
//! | `build` | the clone |
//! | `home` | the home of a step without an image |
//! | `tmp` | temporary files, the variables file, files of tokens |
//! | `control` | named pipes between the step's shell and the agent |
//! | `script` | what the shell runs; read-only for the step |
//! | `kept` | archives on their way; not seen by the step |

use std::ffi::CString;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, OFlags, Uid, chownat};

/// Whom the files of a step belong to: a user of its own where the agent is root, else the agent's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owner(pub(crate) Option<u32>);

impl Owner {
    /// Gives a file to the owner; a link itself, not what it points to.
    pub(crate) fn give(self, path: &Path) -> io::Result<()> {
        let Some(id) = self.0 else { return Ok(()) };
        let name = CString::new(path.as_os_str().as_bytes())?;
        chownat(CWD, name, Some(Uid::from_raw(id)), Some(Gid::from_raw(id)), AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(())
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
        DirBuilder::new().recursive(true).mode(0o711).create(&root)?;
        let workspace = Self { root, owner };
        for (name, mode) in [("build", 0o755), ("home", 0o700), ("tmp", 0o700), ("control", 0o700)] {
            let path = workspace.root.join(name);
            DirBuilder::new().mode(mode).create(&path)?;
            owner.give(&path)?;
        }
        DirBuilder::new().mode(0o755).create(workspace.script())?;
        DirBuilder::new().mode(0o700).create(workspace.kept())?;
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

    pub(crate) fn control(&self) -> PathBuf {
        self.root.join("control")
    }

    pub(crate) fn script(&self) -> PathBuf {
        self.root.join("script")
    }

    pub(crate) fn kept(&self) -> PathBuf {
        self.root.join("kept")
    }

    /// Writes a file that the step's user alone can read.
    pub(crate) fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        self.owner.give(path)
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

    /// Lets every user of the machine who gets into the folder read and write all that is the step's.
    pub(crate) fn open_to_all(&self) -> io::Result<()> {
        for root in [self.build(), self.tmp(), self.control(), self.script()] {
            let mut paths = vec![root];
            while let Some(path) = paths.pop() {
                let found = fs::symlink_metadata(&path)?;
                if found.is_symlink() {
                    continue;
                }
                let run = if found.is_dir() || found.mode() & 0o100 != 0 { 0o777 } else { 0o666 };
                fs::set_permissions(&path, Permissions::from_mode(run))?;
                if found.is_dir() {
                    for entry in fs::read_dir(&path)? {
                        paths.push(entry?.path());
                    }
                }
            }
        }
        Ok(())
    }

    /// How many bytes lie in it on the disk.
    pub(crate) fn usage(&self) -> u64 {
        let mut total = 0_u64;
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            // What goes away meanwhile is not counted.
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let Ok(found) = entry.metadata() else { continue };
                total = total.saturating_add(found.blocks().saturating_mul(512));
                if found.is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        total
    }
}

/// Makes folders passable again.
fn open_folders(root: &Path) {
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let _ = fs::set_permissions(&folder, Permissions::from_mode(0o700));
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
}

/// Reads a file that a step has written: no link, no pipe, and not more than so many bytes.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
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
