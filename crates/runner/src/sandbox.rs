//! What keeps a step without an image apart from the machine and from other steps.
//!
//! On Linux, `bwrap` makes the walls: namespaces for processes, mounts, messages, the host's name and control groups;
//! a tree of files that has the system read-only, the step's own folder, and nothing else; and the promise that all of
//! it dies with the agent. Where the agent is root, the step gets a user of its own, without capabilities; otherwise a
//! user namespace. Before it, [`crate::tied`] makes that promise hold from the first moment on; inside, [`crate::enter`]
//! adds limits, Landlock and seccomp. The network is the machine's own.
//!
//! Where there is no `bwrap`, as on every other system, steps run as the agent's user with nothing in between, and their
//! logs say so.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::settings::Settings;
use crate::system::{self, Tree};
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
    hidden: Vec<PathBuf>,
    /// What cannot be had, in sentences.
    pub(crate) missing: Vec<String>,
}

impl Sandbox {
    /// Finds out what can be had.
    pub(crate) async fn probe(settings: &Settings, directory: &Path, exposed: &[PathBuf]) -> Self {
        let mut sandbox = Self {
            walls: cfg!(target_os = "linux"),
            root: system::user() == Some(0),
            directory: directory.to_owned(),
            tied: settings.helper("tied"),
            helper: settings.helper("sandbox"),
            exposed: exposed.to_vec(),
            hidden: settings.hidden.clone(),
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

    /// A program in the sandbox: its environment empty but for what [`system::environment`] has, its input empty, its output to be set.
    pub(crate) fn command(
        &self,
        workspace: &Workspace,
        processes: u32,
        program: &[OsString],
        doors: &[PathBuf],
    ) -> Command {
        let mut line = Line::default();
        if cfg!(target_os = "linux") {
            line.0.extend(self.tied.iter().cloned());
            line.add([std::process::id().to_string().as_str()]);
            line.0.extend(doors.iter().map(|door| door.into()));
            line.add(["--"]);
        }
        let inside = if self.walls { self.walled(workspace, processes, program) } else { program.to_vec() };
        line.0.extend(inside);
        let mut arguments = line.0.into_iter();
        let mut command = Command::new(arguments.next().unwrap_or_default());
        command.args(arguments).env_clear().envs(system::environment(workspace));
        command.stdin(Stdio::null()).kill_on_drop(true);
        Tree::apart(&mut command);
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
        for path in &self.hidden {
            // Where a link leads may change: certificates are renewed so. What is gone needs no hiding.
            let Ok(path) = path.canonicalize() else { continue };
            match path.is_dir() {
                true => line.mount("--tmpfs", [&path]),
                false => line.mount("--ro-bind", [Path::new("/dev/null"), &path]),
            }
        }
        line.mount("--tmpfs", [&self.directory]);
        if let Some(above) = workspace.root.parent() {
            line.add(["--perms", "0755"]);
            line.mount("--dir", [above]);
        }
        // The step may change what lies in its folders, and not the folders: what the agent looks into when the step has
        // ended must be what it has made, and no link to elsewhere by the same name.
        line.mount("--ro-bind", [&workspace.root, &workspace.root]);
        for folder in [workspace.build(), workspace.home(), workspace.tmp(), workspace.control()] {
            line.mount("--bind", [&folder, &folder]);
        }
        line.mount("--ro-bind", [&workspace.script(), &workspace.script()]);
        line.mount("--ro-bind", [&workspace.ssh(), &workspace.ssh()]);
        // `ssh` asks the system who it is and where its home is, and not its environment.
        if let Some(file) = users(workspace) {
            line.mount("--ro-bind", [&file, Path::new("/etc/passwd")]);
        }
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

/// The system's users as the step sees them: with its own, whose home is the step's. None where the file cannot be
/// written or is not there to be covered: then `ssh` finds no user.
fn users(workspace: &Workspace) -> Option<PathBuf> {
    let id = match workspace.owner {
        Owner(Some(id)) => id,
        Owner(None) => system::user()?,
    };
    let system = std::fs::read_to_string("/etc/passwd").ok()?;
    let home = workspace.home();
    let own =
        format!("bastide:x:{id}:{id}:A step:{}:/bin/sh\n", home.to_str().filter(|home| !home.contains(':'))?);
    let number = id.to_string();
    let others = system.lines().filter(|line| {
        let mut fields = line.split(':');
        fields.next() != Some("bastide") && fields.nth(1) != Some(number.as_str())
    });
    let text = others.fold(own, |text, line| text + line + "\n");
    let file = workspace.script().join("passwd");
    std::fs::write(&file, text).ok()?;
    Some(file)
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
