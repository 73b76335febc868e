//! Windows, where nothing of this is tested: it is checked by the compiler alone.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::OwnedHandle;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use model::{Error, Result};
use tokio::process::{Child, Command};
use tokio::signal::windows::{CtrlC, CtrlShutdown, ctrl_c, ctrl_shutdown};
use win32job::{ExtendedLimitInfo, Job};

use crate::workspace::Workspace;

/// What of the agent's own environment programs need on this system.
const NEEDED: [&str; 14] = [
    "PATH",
    "PATHEXT",
    "SystemRoot",
    "SystemDrive",
    "windir",
    "ComSpec",
    "OS",
    "NUMBER_OF_PROCESSORS",
    "PROCESSOR_ARCHITECTURE",
    "ProgramData",
    "ProgramFiles",
    "ProgramFiles(x86)",
    "CommonProgramFiles",
    "PSModulePath",
];
/// How a script is run.
const POWERSHELL: [&str; 6] =
    ["-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-File"];
/// Begins a process in a group of its own (`CREATE_NEW_PROCESS_GROUP`).
const OWN_GROUP: u32 = 0x0000_0200;
/// Opens a link itself (`FILE_FLAG_OPEN_REPARSE_POINT`).
const NO_LINK: u32 = 0x0020_0000;

/// Makes a folder that is its owner's, the system's and the administrators' alone, and those above it.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    let mut command = std::process::Command::new("icacls");
    command.arg(path).args(["/inheritance:r", "/q"]);
    // By their numbers, which are the same in every language.
    for who in ["*S-1-3-4", "*S-1-5-18", "*S-1-5-32-544"] {
        command.arg("/grant:r").arg(format!("{who}:(OI)(CI)F"));
    }
    let ended = command.output()?;
    match ended.status.success() {
        true => Ok(()),
        false => {
            let told = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
            Err(io::Error::other(format!("icacls cannot make it private: {told}")))
        }
    }
}

/// Makes a folder; who may use it follows from the folder that it lies in.
pub(crate) fn folder(path: &Path, _mode: u32) -> io::Result<()> {
    fs::create_dir(path)
}

/// Makes a file, where none is; who may read it follows from its folder.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Opens a file that is locked, and makes it where none is.
pub(crate) fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).open(path)
}

/// Opens a file for reading. A link is opened itself, and is no file then.
pub(crate) fn open_no_link(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(NO_LINK).open(path)
}

/// A folder cannot be synced here.
pub(crate) fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// A path that is the same wherever the agent stands. Not the canonical one, which shells and git do not know.
pub(crate) fn absolute(path: &Path) -> io::Result<PathBuf> {
    std::path::absolute(path)
}

/// Users have no numbers here.
pub(crate) fn user() -> Option<u32> {
    None
}

/// Files are given to nobody here.
pub(crate) fn give(_path: &Path, _user: u32) -> io::Result<()> {
    Ok(())
}

/// Files are opened to nobody here.
pub(crate) fn open_as_folder(_file: &Path, _folder: &Path) -> io::Result<()> {
    Ok(())
}

/// The agent may remove what it has made.
pub(crate) fn make_passable(_folder: &Path) {}

/// How much a file holds, in bytes.
pub(crate) fn on_disk(found: &Metadata) -> u64 {
    found.len()
}

/// What programs have in their environment, and nothing else of the agent's.
pub(crate) fn environment(workspace: &Workspace) -> Vec<(&'static str, OsString)> {
    let mut variables: Vec<_> =
        NEEDED.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))).collect();
    for (name, folder) in [
        ("HOME", workspace.home()),
        ("USERPROFILE", workspace.home()),
        ("APPDATA", workspace.home().join("AppData").join("Roaming")),
        ("LOCALAPPDATA", workspace.home().join("AppData").join("Local")),
        ("TEMP", workspace.tmp()),
        ("TMP", workspace.tmp()),
    ] {
        variables.push((name, folder.into()));
    }
    variables
}

/// What a step's shell sets for it beside that.
pub(crate) const OF_SHELL: &[(&str, &str)] = &[];

/// What runs a step's script: the newest PowerShell that is there.
pub(crate) fn shell(script: &Path) -> Vec<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let newest =
        std::env::split_paths(&path).map(|folder| folder.join("pwsh.exe")).find(|file| file.is_file());
    let program = newest.map_or_else(|| "powershell.exe".into(), OsString::from);
    let mut line = vec![program];
    line.extend(POWERSHELL.map(OsString::from));
    line.push(script.into());
    line
}

/// A process with its descendants: a job, which ends with the agent.
pub(crate) struct Tree(Option<Job>);

impl Tree {
    /// Sees to it that Ctrl-C reaches the agent alone. Every process can be put into a job.
    pub(crate) fn apart(command: &mut Command) {
        command.creation_flags(OWN_GROUP);
    }

    /// Of a process that has just begun. What it begins before it is in its job stays outside.
    pub(crate) fn of(child: &mut Child) -> io::Result<Self> {
        let mut limits = ExtendedLimitInfo::new();
        limits.limit_kill_on_job_close();
        let job = Job::create_with_limit_info(&limits).map_err(io::Error::other)?;
        if let Some(handle) = child.raw_handle() {
            let assigned = job.assign_process(handle as isize);
            // One that has ended needs no job.
            if let (Err(error), None) = (assigned, child.try_wait()?) {
                return Err(io::Error::other(error));
            }
        }
        Ok(Self(Some(job)))
    }

    /// Kills them all: a job ends its processes when it is closed.
    pub(crate) fn kill(&mut self) {
        drop(self.0.take());
    }
}

/// The signals by which a program is told to end: Ctrl-C, and that of a system that shuts down.
pub struct Signals {
    interrupt: CtrlC,
    shutdown: CtrlShutdown,
}

impl Signals {
    /// Waits for them from now on. Within a tokio runtime.
    ///
    /// # Errors
    /// When the system does not let them be waited for.
    pub fn new() -> Result<Self> {
        Ok(Self {
            interrupt: ctrl_c().map_err(Error::internal)?,
            shutdown: ctrl_shutdown().map_err(Error::internal)?,
        })
    }

    /// Returns at the next of them.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.shutdown.recv() => {}
        }
    }
}

/// A pipe's end; a thread is held up for each read.
pub(crate) fn read_end(pipe: io::PipeReader) -> io::Result<tokio::fs::File> {
    Ok(tokio::fs::File::from_std(File::from(OwnedHandle::from(pipe))))
}

/// The exit status.
pub(crate) fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(1)
}
