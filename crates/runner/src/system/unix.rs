//! Linux and macOS.

use std::ffi::{CString, OsString};
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use model::{Error, Result};
use rustix::fs::{AtFlags, CWD, Gid, OFlags, Uid, chownat};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::signal::unix::{self as signal, SignalKind};

use crate::workspace::Workspace;

/// Where programs are looked for.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Makes a folder that is the agent's alone, and those above it.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes a folder with these permissions.
pub(crate) fn folder(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().mode(mode).create(path)
}

/// Makes a file that its owner alone can read, where none is.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Opens a file that is locked, and makes it where none is. Whoever can open it could hold the lock.
pub(crate) fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Opens a file for reading, unless it is a link. It may be anything else: whoever asks looks.
pub(crate) fn open_no_link(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Sees to it that what happened to names in a folder is on the disk.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// A path that is the same wherever the agent stands.
pub(crate) fn absolute(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize()
}

/// The number of the agent's own user.
pub(crate) fn user() -> Option<u32> {
    Some(rustix::process::geteuid().as_raw())
}

/// Gives a file to a user; a link itself, not what it points to.
pub(crate) fn give(path: &Path, user: u32) -> io::Result<()> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    chownat(CWD, name, Some(Uid::from_raw(user)), Some(Gid::from_raw(user)), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

/// Lets everybody read and write a file, where everybody may do so in its folder.
pub(crate) fn open_as_folder(file: &Path, folder: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(folder)?;
    if found.is_dir() && found.mode() & 0o777 == 0o777 {
        fs::set_permissions(file, Permissions::from_mode(0o666))?;
    }
    Ok(())
}

/// Lets the agent remove what lies in a folder.
pub(crate) fn make_passable(folder: &Path) {
    let _ = fs::set_permissions(folder, Permissions::from_mode(0o700));
}

/// How much of the disk a file takes, in bytes.
pub(crate) fn on_disk(found: &Metadata) -> u64 {
    found.blocks().saturating_mul(512)
}

/// What programs have in their environment, and nothing else of the agent's.
pub(crate) fn environment(workspace: &Workspace) -> Vec<(&'static str, OsString)> {
    // Elsewhere tools lie where their users have put them.
    let inherited = std::env::var_os("PATH").filter(|_| !cfg!(target_os = "linux"));
    vec![("PATH", inherited.unwrap_or_else(|| PATH.into())), ("HOME", workspace.home().into())]
}

/// What a step's shell sets for it beside that.
pub(crate) const OF_SHELL: &[(&str, &str)] =
    &[("LANG", "C.UTF-8"), ("USER", "bastide"), ("SHELL", "/bin/sh")];

/// What runs a step's script.
pub(crate) fn shell(script: &Path) -> Vec<OsString> {
    vec!["/bin/sh".into(), script.into()]
}

/// A process with its descendants, as far as they stay in its group.
pub(crate) struct Tree(Option<Pid>);

impl Tree {
    /// Sees to it that a process will have a group of its own.
    pub(crate) fn apart(command: &mut Command) {
        command.process_group(0);
    }

    /// Of a process that was begun so.
    pub(crate) fn of(child: &mut Child) -> io::Result<Self> {
        Ok(Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)))
    }

    /// Kills them all.
    pub(crate) fn kill(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// The signals by which a program is told to end: SIGTERM and SIGINT. As long as one of these is there, and after it, they do
/// not end the program by themselves.
pub struct Signals {
    terminate: signal::Signal,
    interrupt: signal::Signal,
}

impl Signals {
    /// Waits for them from now on. Within a tokio runtime.
    ///
    /// # Errors
    /// When the system does not let them be waited for.
    pub fn new() -> Result<Self> {
        let of = |kind| signal::signal(kind).map_err(Error::internal);
        Ok(Self { terminate: of(SignalKind::terminate())?, interrupt: of(SignalKind::interrupt())? })
    }

    /// Returns at the next of them.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A pipe's end, read without holding up a thread.
pub(crate) fn read_end(pipe: io::PipeReader) -> io::Result<pipe::Receiver> {
    pipe::Receiver::from_owned_fd(pipe.into())
}

/// The exit status, as shells tell it: 128 and the signal where one ended the process.
pub(crate) fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}
