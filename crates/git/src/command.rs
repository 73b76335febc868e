//! The only place that starts `git`: with an environment made from nothing, typed arguments, a process group of
//! its own, and bounds on what it may print and how long it may take.
//!
//! What is not here: any decision. User input reaches git's arguments in two ways only, as an operand behind
//! `--end-of-options` and as a path behind `--`; both take types whose values were checked.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use model::{Error, ObjectId, RefName, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use crate::path::RepoPath;
use crate::repository::Repository;

/// How much of git's standard error is kept for the log.
const STDERR_KEPT: usize = 64 * 1024;

/// How long a process that was asked to end may take to remove its lock files before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// Where `git` is, and the search path that it and its own helpers get. Clones count their processes together.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    search_path: OsString,
    running: Arc<AtomicUsize>,
}

/// A process that is counted until it is gone.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(program: &Program) -> Self {
        program.running.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&program.running))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Program {
    fn default() -> Self {
        Self::with_search_path("/usr/local/bin:/usr/bin:/bin")
    }
}

impl Program {
    /// Another search path, as read from the server's own environment at start.
    #[must_use]
    pub fn with_search_path(search_path: impl Into<OsString>) -> Self {
        Self { path: PathBuf::from("git"), search_path: search_path.into(), running: Arc::default() }
    }

    /// How many processes that were started here run now; those that git starts itself are not counted.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// The version that git tells, such as `2.39.5`.
    ///
    /// # Errors
    /// When git cannot be started.
    pub async fn version(&self) -> Result<String> {
        let mut command = Command::new(&self.path);
        scrub(&mut command, self);
        let _counted = Counted::new(self);
        let output = command.arg("version").output().await.map_err(cannot_start)?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.trim().trim_start_matches("git version ").to_owned())
    }
}

fn cannot_start(error: io::Error) -> Error {
    Error::Internal(format!("git cannot be started: {error}"))
}

/// An environment made from nothing: no user's or system's configuration, no prompt, no network.
fn scrub(command: &mut Command, program: &Program) {
    command
        .env_clear()
        .env("PATH", &program.search_path)
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", "none")
        .env("GIT_LITERAL_PATHSPECS", "1")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_ADVICE", "0");
}

/// What a command may print and how long it may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes of standard output.
    pub(crate) bytes: usize,
    /// From start to end.
    pub(crate) time: Duration,
}

impl Bounds {
    /// For questions that are answered in milliseconds, or something is wrong.
    pub(crate) const QUICK: Self = Self { bytes: 16 << 20, time: Duration::from_secs(30) };
    /// For work in proportion to the repository, such as repacking.
    pub(crate) const LONG: Self = Self { bytes: 16 << 20, time: Duration::from_secs(6 * 3600) };
}

/// A `git` command under construction.
#[derive(Debug)]
pub(crate) struct GitCommand {
    repository: Repository,
    subcommand: &'static str,
    transport: bool,
    flags: Vec<OsString>,
    operands: Vec<OsString>,
    paths: Option<Vec<OsString>>,
    config: Vec<(&'static str, OsString)>,
    environment: Vec<(&'static str, OsString)>,
    inherited: Vec<OwnedFd>,
}

impl GitCommand {
    /// A command that works in `repository`.
    pub(crate) fn new(repository: &Repository, subcommand: &'static str) -> Self {
        Self {
            repository: repository.clone(),
            subcommand,
            transport: false,
            flags: Vec::new(),
            operands: Vec::new(),
            paths: None,
            config: Vec::new(),
            environment: Vec::new(),
            inherited: Vec::new(),
        }
    }

    /// A command that takes the repository's directory as its operand: upload-pack and receive-pack.
    pub(crate) fn transport(repository: &Repository, subcommand: &'static str) -> Self {
        Self { transport: true, ..Self::new(repository, subcommand) }
    }

    /// A constant argument.
    pub(crate) fn flag(mut self, flag: &'static str) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// `flag` if `condition`.
    pub(crate) fn flag_if(self, condition: bool, flag: &'static str) -> Self {
        if condition { self.flag(flag) } else { self }
    }

    /// `--name=42`.
    pub(crate) fn number(mut self, name: &'static str, value: u64) -> Self {
        self.flags.push(format!("{name}={value}").into());
        self
    }

    /// An object as operand.
    pub(crate) fn object(mut self, id: &ObjectId) -> Self {
        self.operands.push(id.as_str().into());
        self
    }

    /// What is reachable from the object is left out: `^id`.
    pub(crate) fn exclude(mut self, id: &ObjectId) -> Self {
        self.operands.push(format!("^{id}").into());
        self
    }

    /// A ref's full name as operand.
    pub(crate) fn reference(mut self, name: &RefName) -> Self {
        self.operands.push(name.as_str().into());
        self
    }

    /// A constant operand.
    pub(crate) fn operand(mut self, constant: &'static str) -> Self {
        self.operands.push(constant.into());
        self
    }

    /// An object as the value of the flag before it (`-p <id>`): digits, never an option.
    pub(crate) fn object_value(mut self, id: &ObjectId) -> Self {
        self.flags.push(id.as_str().into());
        self
    }

    /// A constant word that must stand before all flags: a subcommand of the subcommand.
    pub(crate) fn operand_first(mut self, constant: &'static str) -> Self {
        self.flags.insert(0, constant.into());
        self
    }

    /// A place in a repository's own directory as operand.
    pub(crate) fn directory_operand(mut self, path: OsString) -> Self {
        self.operands.push(path);
        self
    }

    /// A path as operand, for commands that take no `--` (ls-tree).
    pub(crate) fn path_operand(mut self, path: &RepoPath) -> Self {
        self.operands.push(OsStr::from_bytes(path.as_bytes()).to_owned());
        self
    }

    /// Paths behind `--`; with none of them, the `--` alone.
    pub(crate) fn paths<'p>(mut self, paths: impl IntoIterator<Item = &'p RepoPath>) -> Self {
        let list = self.paths.get_or_insert_default();
        list.extend(paths.into_iter().map(|path| OsString::from_vec(path.as_bytes().to_vec())));
        self
    }

    /// One setting; it outranks the files.
    pub(crate) fn config(mut self, key: &'static str, value: impl Into<OsString>) -> Self {
        self.config.push((key, value.into()));
        self
    }

    /// One variable of the environment.
    pub(crate) fn environment(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// A descriptor that git and all its children keep open: 3 for the first, then upwards.
    pub(crate) fn inherit(mut self, descriptor: OwnedFd) -> Self {
        self.inherited.push(descriptor);
        self
    }

    /// The arguments, without the program's name.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut arguments = Vec::new();
        if !self.transport {
            let mut git_dir = OsString::from("--git-dir=");
            git_dir.push(self.repository.path());
            arguments.push(git_dir);
        }
        arguments.push(self.subcommand.into());
        arguments.extend(self.flags.iter().cloned());
        if self.transport {
            arguments.push("--end-of-options".into());
            arguments.push(self.repository.path().into());
        } else if !self.operands.is_empty() {
            arguments.push("--end-of-options".into());
            arguments.extend(self.operands.iter().cloned());
        }
        if let Some(paths) = &self.paths {
            arguments.push("--".into());
            arguments.extend(paths.iter().cloned());
        }
        arguments
    }

    /// Starts it with pipes on all three streams.
    pub(crate) fn spawn(mut self) -> Result<Running> {
        let program = self.repository.program();
        let mut command = Command::new(&program.path);
        scrub(&mut command, program);
        command.args(self.arguments());
        for (name, value) in self.repository.environment().into_iter().chain(self.environment.drain(..)) {
            command.env(name, value);
        }
        let settings = self.repository.config().into_iter().chain(self.config.drain(..));
        let mut count = 0_usize;
        for (key, value) in settings {
            command.env(format!("GIT_CONFIG_KEY_{count}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{count}"), value);
            count += 1;
        }
        command.env("GIT_CONFIG_COUNT", count.to_string());
        if !self.inherited.is_empty() {
            let mappings = (3..)
                .zip(self.inherited.drain(..))
                .map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd })
                .collect();
            command.fd_mappings(mappings).map_err(Error::internal)?;
        }
        command
            .current_dir(self.repository.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let counted = Counted::new(program);
        let mut child = command.spawn().map_err(cannot_start)?;
        let stderr = child.stderr.take();
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Running {
            subcommand: self.subcommand,
            child: Some((child, counted)),
            group,
            stderr: Some(tokio::spawn(keep_head(stderr))),
        })
    }

    /// Runs it on `input` and gives what it printed. A failure of git is an internal error.
    pub(crate) async fn output(self, input: Vec<u8>, bounds: Bounds) -> Result<Vec<u8>> {
        let subcommand = self.subcommand;
        let finished = self.finish(input, bounds).await?;
        if finished.status.success() {
            Ok(finished.stdout)
        } else {
            Err(Error::Internal(format!("git {subcommand}: {}: {}", finished.status, finished.stderr)))
        }
    }

    /// Runs it on `input` to its end, whatever that is.
    pub(crate) async fn finish(self, input: Vec<u8>, bounds: Bounds) -> Result<Finished> {
        let mut running = self.spawn()?;
        let stdin = running.stdin();
        let stdout = running.stdout();
        let work = async {
            let write = async move {
                if let Some(mut stdin) = stdin {
                    // A command that has seen enough closes its end: its status tells whether that was an error.
                    let _ = stdin.write_all(&input).await;
                }
            };
            let (stdout, ()) = tokio::join!(read_bounded(stdout, bounds.bytes), write);
            let stdout = stdout?;
            let (status, stderr) = running.wait().await?;
            Ok(Finished { status, stdout, stderr })
        };
        tokio::time::timeout(bounds.time, work).await.map_err(|_| Error::Unavailable)?
    }
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// How.
    pub(crate) status: ExitStatus,
    /// What it printed.
    pub(crate) stdout: Vec<u8>,
    /// The head of what it complained about.
    pub(crate) stderr: String,
}

async fn read_bounded(stdout: Option<ChildStdout>, bytes: usize) -> Result<Vec<u8>> {
    let mut output = Vec::new();
    let limit = u64::try_from(bytes).unwrap_or(u64::MAX);
    if let Some(stdout) = stdout {
        stdout.take(limit.saturating_add(1)).read_to_end(&mut output).await.map_err(Error::internal)?;
    }
    if output.len() > bytes { Err(Error::TooLarge { limit }) } else { Ok(output) }
}

/// Keeps the head of a stream and reads the rest away, so that the writer never blocks.
async fn keep_head<R: AsyncRead + Unpin>(stream: Option<R>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else { return kept };
    let mut buffer = vec![0; 4096];
    while let Ok(read) = stream.read(&mut buffer).await {
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        let room = STDERR_KEPT.saturating_sub(kept.len());
        kept.extend(bytes.iter().take(room));
    }
    kept
}

/// A running command. Dropped before its end, it and all its children are asked to end (so that git removes its
/// lock files), and killed when they do not.
#[derive(Debug)]
pub(crate) struct Running {
    subcommand: &'static str,
    child: Option<(Child, Counted)>,
    group: Option<Pid>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    /// The pipe to its standard input; once.
    pub(crate) fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.as_mut().and_then(|(child, _)| child.stdin.take())
    }

    /// The pipe from its standard output; once.
    pub(crate) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.as_mut().and_then(|(child, _)| child.stdout.take())
    }

    /// The name of the command.
    pub(crate) fn subcommand(&self) -> &'static str {
        self.subcommand
    }

    /// Asks the whole group to end.
    pub(crate) fn terminate(&self) {
        signal(self.group, Signal::TERM);
    }

    /// Waits for its end; gives its status and the head of its standard error.
    pub(crate) async fn wait(&mut self) -> Result<(ExitStatus, String)> {
        let Some((child, _)) = self.child.as_mut() else {
            return Err(Error::Internal(format!("git {} was waited for twice", self.subcommand)));
        };
        let status = child.wait().await.map_err(Error::internal)?;
        self.child = None;
        let stderr = match self.stderr.take() {
            // A grandchild may still hold the pipe: what it has to say is not worth waiting for.
            Some(task) => match tokio::time::timeout(GRACE, task).await {
                Ok(bytes) => bytes.unwrap_or_default(),
                Err(_) => Vec::new(),
            },
            None => Vec::new(),
        };
        Ok((status, String::from_utf8_lossy(&stderr).trim_end().to_owned()))
    }

    /// Asks it to end, then kills it; waits until it is gone.
    pub(crate) async fn stop(&mut self) {
        self.terminate();
        if let Some(child) = self.child.take() {
            reap(child, self.group).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(child) = self.child.take() else { return };
        signal(self.group, Signal::TERM);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(reap(child, self.group));
            }
            Err(_) => signal(self.group, Signal::KILL),
        }
    }
}

async fn reap((mut child, _counted): (Child, Counted), group: Option<Pid>) {
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        signal(group, Signal::KILL);
        let _ = child.wait().await;
    }
}

fn signal(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // A group that is gone is what was wanted.
        let _ = kill_process_group(group, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> Repository {
        Repository::at(PathBuf::from("/data/ab/cd/x.git"), Program::default())
    }

    fn text(command: &GitCommand) -> Vec<String> {
        command.arguments().iter().map(|a| a.to_string_lossy().into_owned()).collect()
    }

    /// Attack: a ref or path named like an option (`--output=/etc/x`) is taken for one.
    #[test]
    fn values_stand_behind_the_end_of_options() {
        let id: ObjectId = "a".repeat(40).parse().unwrap();
        let path = RepoPath::new(b"--output=x").unwrap();
        let command =
            GitCommand::new(&repository(), "diff-tree").flag("-p").exclude(&id).object(&id).paths([&path]);
        let expected = [
            "--git-dir=/data/ab/cd/x.git",
            "diff-tree",
            "-p",
            "--end-of-options",
            &format!("^{id}"),
            id.as_str(),
        ];
        assert_eq!(text(&command)[..6], expected);
        assert_eq!(text(&command)[6..], ["--", "--output=x"]);
    }

    #[test]
    fn a_transport_takes_the_directory_as_its_operand() {
        let command = GitCommand::transport(&repository(), "upload-pack").flag("--stateless-rpc");
        assert_eq!(
            text(&command),
            ["upload-pack", "--stateless-rpc", "--end-of-options", "/data/ab/cd/x.git"]
        );
    }
}
