//! What keeps a step without an image apart from the machine and from other steps.
//!
//! On Linux, `bwrap` makes the walls: namespaces for processes, mounts, messages, the host's name and control groups;
//! a tree of files that has the system read-only, the step's own folder, and nothing else; and the promise that all of
//! it dies with the agent. Where the agent is root, the step gets a user of its own, without capabilities; otherwise a
//! user namespace. Before it, [`crate::tied`] makes that promise hold from the first moment on; inside, [`crate::enter`]
//! adds limits, Landlock and seccomp. The network is the machine's own.
//!
//! Where there is no `bwrap`, steps run as the agent's user with nothing in between, and their logs say so.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::settings::Settings;
use crate::workspace::{Owner, Workspace};

/// What of the system a step sees, where it is there. The operator may add folders.
const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/opt",
    "/nix",
    "/snap",
    "/run/systemd/resolve",
    "/var/lib/ca-certificates",
];
/// Where the helper is seen inside.
const HELPER: &str = "/run/bastide";
/// How large the memory that steps share by name may be, in bytes.
const SHARED_MEMORY: &str = "536870912";
/// Where programs are looked for.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How steps are kept apart here.
#[derive(Clone, Debug)]
pub(crate) struct Sandbox {
    walls: bool,
    root: bool,
    /// The agent's own folder, which no step sees.
    directory: PathBuf,
    /// What the agent's program does before the walls, and behind them.
    tied: Vec<OsString>,
    helper: Vec<OsString>,
    exposed: Vec<PathBuf>,
    /// What cannot be had, in sentences.
    pub(crate) missing: Vec<String>,
}

impl Sandbox {
    /// Finds out what can be had.
    pub(crate) async fn probe(settings: &Settings, directory: &Path, exposed: &[PathBuf]) -> Self {
        let mut sandbox = Self {
            walls: cfg!(target_os = "linux"),
            root: rustix::process::geteuid().is_root(),
            directory: directory.to_owned(),
            tied: settings.helper("tied"),
            helper: settings.helper("sandbox"),
            exposed: exposed.to_vec(),
            missing: Vec::new(),
        };
        if sandbox.walls {
            let probe = Workspace { root: directory.join("probe"), owner: sandbox.owner(0) };
            let ended = match Workspace::make(probe.root.clone(), probe.owner) {
                Ok(_) => sandbox.command(&probe, 64, &["true".into()], &[]).output().await,
                Err(error) => Err(error),
            };
            probe.remove();
            match ended {
                Ok(output) if output.status.success() => return sandbox,
                Ok(output) => {
                    let told = String::from_utf8_lossy(&output.stderr);
                    sandbox.missing.push(format!("bwrap does not work here: {}", told.trim()));
                }
                Err(error) => sandbox.missing.push(format!("bwrap cannot be started: {error}")),
            }
        } else {
            sandbox.missing.push("there is no sandbox for this system".to_owned());
        }
        sandbox.walls = false;
        let told = "the step runs as the agent's own user and sees what that sees";
        sandbox.missing.push(told.to_owned());
        sandbox
    }

    /// Whose the files of a step in this slot are.
    pub(crate) fn owner(&self, slot: u32) -> Owner {
        // Numbers that no system gives to people or programs.
        Owner((self.walls && self.root).then_some(0x4000_0000 + slot))
    }

    /// A program in the sandbox: its environment empty but for `PATH` and `HOME`, its input empty, its output to be set.
    pub(crate) fn command(
        &self,
        workspace: &Workspace,
        processes: u32,
        program: &[OsString],
        doors: &[PathBuf],
    ) -> Command {
        let mut line = Line::default();
        line.0.extend(self.tied.iter().cloned());
        line.add([std::process::id().to_string().as_str()]);
        line.0.extend(doors.iter().map(|door| door.into()));
        line.add(["--"]);
        let inside = if self.walls { self.walled(workspace, processes, program) } else { program.to_vec() };
        line.0.extend(inside);
        let mut arguments = line.0.into_iter();
        let mut command = Command::new(arguments.next().unwrap_or_default());
        command.args(arguments).env_clear().env("PATH", PATH).env("HOME", workspace.home());
        command.stdin(Stdio::null()).kill_on_drop(true).process_group(0);
        if !self.walls {
            command.current_dir(workspace.build());
        }
        command
    }

    fn walled(&self, workspace: &Workspace, processes: u32, program: &[OsString]) -> Vec<OsString> {
        let mut line = Line::default();
        line.add(["bwrap", "--die-with-parent", "--new-session", "--unshare-pid", "--unshare-ipc"]);
        line.add(["--unshare-uts", "--hostname", "bastide", "--unshare-cgroup-try"]);
        if self.root {
            // Taken away again before anything of the step runs.
            for capability in ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"] {
                line.add(["--cap-add", capability]);
            }
        } else {
            line.add(["--unshare-user"]);
        }
        for path in SYSTEM {
            line.system(Path::new(path));
        }
        line.add(["--proc", "/proc", "--dev", "/dev", "--size", SHARED_MEMORY, "--perms", "1777"]);
        line.add(["--tmpfs", "/dev/shm", "--remount-ro", "/dev"]);
        line.mount("--bind", [&workspace.tmp(), Path::new("/tmp")]);
        line.mount("--bind", [&workspace.tmp(), Path::new("/var/tmp")]);
        // After the folders of temporary files, which would hide what lies below them on the machine; what lies above is
        // made first, since bwrap by itself would let nobody but the agent's user through.
        for path in &self.exposed {
            if let Some(above) = path.parent() {
                line.add(["--perms", "0755"]);
                line.mount("--dir", [above]);
            }
            line.system(path);
        }
        line.mount("--tmpfs", [&self.directory]);
        if let Some(above) = workspace.root.parent() {
            line.add(["--perms", "0755"]);
            line.mount("--dir", [above]);
        }
        line.mount("--bind", [&workspace.root, &workspace.root]);
        line.mount("--ro-bind", [&workspace.script(), &workspace.script()]);
        line.mount("--tmpfs", [&workspace.kept()]);
        if let Some(helper) = self.helper.first() {
            line.mount("--ro-bind", [Path::new(helper), Path::new(HELPER)]);
        }
        line.mount("--remount-ro", [&self.directory]);
        line.add(["--remount-ro", "/"]);
        line.mount("--chdir", [&workspace.build()]);
        line.add(["--"]);
        if let Owner(Some(id)) = workspace.owner {
            self.user(&mut line, &id.to_string());
        } else if self.root {
            self.user(&mut line, "0");
        }
        if !self.helper.is_empty() {
            line.add([HELPER]);
            line.0.extend(self.helper.iter().skip(1).cloned());
            line.add([processes.to_string().as_str()]);
            for path in
                [workspace.root.as_path(), Path::new("/tmp"), Path::new("/var/tmp"), Path::new("/dev/shm")]
            {
                line.0.push(path.into());
            }
            line.add(["--"]);
        }
        line.0.extend_from_slice(program);
        line.0
    }

    /// Becomes a user, for good.
    fn user(&self, line: &mut Line, id: &str) {
        line.add(["setpriv", "--reuid", id, "--regid", id, "--clear-groups", "--no-new-privs"]);
        line.add(["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--"]);
    }
}

#[derive(Default)]
struct Line(Vec<OsString>);

impl Line {
    fn add<const N: usize>(&mut self, arguments: [&str; N]) {
        self.0.extend(arguments.map(OsString::from));
    }

    fn mount<const N: usize>(&mut self, how: &str, paths: [&Path; N]) {
        self.0.push(how.into());
        self.0.extend(paths.map(|path| OsStr::new(path).to_owned()));
    }

    /// A part of the system, read-only; a link as a link.
    fn system(&mut self, path: &Path) {
        match std::fs::read_link(path) {
            Ok(target) => self.mount("--symlink", [&target, path]),
            Err(_) if path.exists() => self.mount("--ro-bind", [path, path]),
            Err(_) => {}
        }
    }
}
