//! Other programs: started, waited for, and ended when their owner goes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::Result;

/// A command in the top of the source tree.
pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(program: &str, arguments: &[S]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(crate::root());
    command
}

/// The name of a command and its arguments, for messages.
pub(crate) fn described(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

/// Runs a command to its end; an error when it cannot be started or fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|e| format!("cannot start `{}`: {e}", described(command)))?;
    if status.success() { Ok(()) } else { Err(format!("`{}`: {status}", described(command)).into()) }
}

/// Runs a command to its end, without its noise unless it fails, and gives what it wrote on standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let done = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cannot start `{}`: {e}", described(command)))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = [String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr)].concat();
    Err(format!("`{}`: {}\n{}", described(command), done.status, said.trim_end()).into())
}

/// For how long a command that is watched may say nothing: longer than all takes that compiles in silence.
const SILENCE: Duration = Duration::from_secs(25 * 60);

/// Runs a command, passes each line of its standard output on to ours, and shows it to `each` too. One that says nothing for
/// [`SILENCE`] is ended: a test that hangs must not keep all others from being told of.
pub(crate) fn watched(command: &mut Command, mut each: impl FnMut(&str)) -> Result<()> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot start `{}`: {e}", described(command)))?;
    let (sender, lines) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut line = Vec::new();
            // By bytes: a test may print what is not UTF-8.
            while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                if sender.send(text).is_err() {
                    return;
                }
                line.clear();
            }
        });
    }
    loop {
        match lines.recv_timeout(SILENCE) {
            Ok(text) => {
                println!("{text}");
                each(&text);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                end_all(child.id());
                let _ = child.wait();
                let minutes = SILENCE.as_secs() / 60;
                return Err(format!("`{}` said nothing for {minutes} minutes", described(command)).into());
            }
        }
    }
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(format!("`{}`: {status}", described(command)).into()) }
}

/// Kills a process and all that it has begun.
fn end_all(pid: u32) {
    let begun = children(pid);
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    begun.into_iter().for_each(end_all);
}

/// The processes that all threads of one have begun.
fn children(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    texts
        .flat_map(|text| text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Where a program lies, if it is on the path or among the system's own.
pub(crate) fn found(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Whether we are the superuser.
pub(crate) fn superuser() -> bool {
    rustix::process::geteuid().is_root()
}

/// A program that runs until this value is dropped: asked to end, waited for, and killed when it does not.
pub(crate) struct Running {
    child: Child,
    name: String,
}

impl Running {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let name = described(command);
        let child = command.spawn().map_err(|e| format!("cannot start `{name}`: {e}"))?;
        Ok(Self { child, name })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready` says so. Fails when the program ends before, or after half a minute.
    pub(crate) fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> Result<Duration> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(30) {
            if ready() {
                return Ok(start.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("`{}` ended before it was ready: {status}", self.name).into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(format!("`{}` was not ready after 30 s", self.name).into())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Its children too: fcgiwrap, for one, leaves them behind.
        let begun = children(self.child.id());
        ask_to_end(self.child.id());
        begun.into_iter().for_each(ask_to_end);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask_to_end(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

/// A port of 127.0.0.1 that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}

/// Writes a file that only its owner can read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_an_error_that_says_what_it_wrote() {
        let error = output(&mut command("sh", &["-c", "echo reason >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("reason") && error.contains('3'), "{error}");
    }

    #[test]
    fn a_program_that_ends_at_once_is_not_waited_for() {
        let mut running = Running::start(&mut command("sh", &["-c", "exit 0"])).unwrap();
        assert!(running.wait_until(|| false).is_err());
    }

    #[test]
    fn dropping_ends_the_program_and_its_children() {
        let mut running = Running::start(&mut command("sh", &["-c", "sleep 600 & wait"])).unwrap();
        let file = format!("/proc/{0}/task/{0}/children", running.pid());
        let children = || std::fs::read_to_string(&file).unwrap_or_default();
        running.wait_until(|| !children().is_empty()).unwrap();
        let child = format!("/proc/{}/cmdline", children().trim());
        drop(running);
        assert!(!Path::new(&file).exists());
        // The child is somebody else's to bury; once it has ended, its command line is empty.
        while std::fs::read(&child).is_ok_and(|line| !line.is_empty()) {
            std::thread::yield_now();
        }
    }

    /// Catches what a command has begun and what goes on when it was ended.
    #[test]
    fn a_command_is_ended_with_all_that_it_has_begun() {
        let mut command = Command::new("sh");
        let mut child = command.args(["-c", "sleep 600 & sleep 600 & wait"]).spawn().expect("a shell");
        let start = Instant::now();
        let begun = loop {
            let begun = children(child.id());
            if begun.len() == 2 || start.elapsed() > Duration::from_secs(20) {
                break begun;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        assert_eq!(begun.len(), 2);
        end_all(child.id());
        assert!(!child.wait().expect("it ends").success());
        let gone = |pid: &u32| {
            let told = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            told.is_empty() || told.contains(") Z ")
        };
        while !begun.iter().all(gone) {
            assert!(start.elapsed() < Duration::from_secs(20), "{begun:?} go on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
