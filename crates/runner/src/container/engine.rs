//! The program that runs containers.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::Secret;
use rustix::process::{Resource, getrlimit};
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::limits::Limits;
use crate::system::PATH;
use crate::workspace::{Owner, Workspace};

/// What the program itself may need of the agent's environment. Nothing of it reaches a container.
const ENVIRONMENT: [&str; 9] = [
    "HOME",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
    "DOCKER_HOST",
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
    "CONTAINERS_REGISTRIES_CONF",
];

/// The labels by which everything is found again.
const OF_AGENT: &str = "org.bastide.runner";
const OF_STEP: &str = "org.bastide.step";

/// What a container may have open, and how many processes of one user, where no group counts them.
const OPEN_FILES: u64 = 65_536;
const PROCESSES: u64 = 16_384;

/// What a container may do to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privileges {
    /// Nothing beyond its walls, and nothing new.
    None,
    /// All: there are no walls.
    All,
}

/// Podman or docker.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    program: &'static str,
    version: String,
    /// What is limited here, in the engine's words.
    controllers: String,
    /// What an agent marks its containers with.
    tag: String,
    init: bool,
}

impl Engine {
    /// Finds one that works.
    pub(crate) async fn probe(directory: &Path) -> Option<Self> {
        let sum = hex::encode(Sha256::digest(directory.as_os_str().as_encoded_bytes()));
        for (program, format) in [
            ("podman", "{{.Version.Version}} {{.Host.CgroupControllers}}"),
            (
                "docker",
                "{{.ServerVersion}} {{if .MemoryLimit}}memory{{end}} {{if .CPUCfsQuota}}cpu{{end}} \
                 {{if .PidsLimit}}pids{{end}}",
            ),
        ] {
            let mut engine = Self {
                program,
                version: String::new(),
                controllers: String::new(),
                tag: sum.chars().take(16).collect(),
                init: program == "docker" || catatonit(),
            };
            let Ok(told) = engine.command(["info", "--format", format]).output().await else { continue };
            if !told.status.success() {
                let why = String::from_utf8_lossy(&told.stderr);
                tracing::info!(program, why = %why.trim(), "containers do not work by this program");
                continue;
            }
            let told = String::from_utf8_lossy(&told.stdout).trim().to_owned();
            let (version, controllers) = told.split_once(' ').unwrap_or((&told, ""));
            engine.version = version.to_owned();
            engine.controllers = controllers.to_owned();
            return Some(engine);
        }
        None
    }

    /// Its name and version.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.program, self.version)
    }

    /// What it cannot hold, in sentences.
    pub(crate) fn missing(&self) -> Vec<String> {
        let wanted = [("memory", "memory"), ("cpu", "processors"), ("pids", "processes")];
        let missing = wanted.iter().filter(|(controller, _)| !self.has(controller));
        missing.map(|(_, what)| format!("{} holds no limit of {what} here", self.program)).collect()
    }

    fn has(&self, controller: &str) -> bool {
        self.controllers.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|word| word == controller)
    }

    /// A call of the program, with nothing in its environment but what it needs itself.
    pub(crate) fn command<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = Command::new(self.program);
        command.args(arguments).env_clear().env("PATH", PATH).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).process_group(0);
        for name in ENVIRONMENT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    /// What every container has, with no privileges or all of them.
    pub(crate) fn labelled(&self, command: &mut Command, step: &str, privileges: Privileges) {
        command.arg("--label").arg(format!("{OF_AGENT}={}", self.tag));
        command.arg("--label").arg(format!("{OF_STEP}={step}"));
        // Bitbucket's own mark, which some pipes look for.
        command.args(["--label", "org.bitbucket.pipelines.system=true"]);
        command.args(["--pull", "missing", "--log-driver", "none"]);
        match privileges {
            Privileges::None => command.args(["--security-opt", "no-new-privileges"]),
            Privileges::All => command.arg("--privileged"),
        };
        if self.program == "podman" {
            command.arg("--http-proxy=false");
        }
        // Podman would raise these as far as its own user may on most machines, and fails on the others.
        for (name, resource, wanted) in
            [("nofile", Resource::Nofile, OPEN_FILES), ("nproc", Resource::Nproc, PROCESSES)]
        {
            let most = wanted.min(getrlimit(resource).maximum.unwrap_or(u64::MAX));
            command.arg("--ulimit").arg(format!("{name}={most}:{most}"));
        }
    }

    /// Limits, as far as they hold here; `memory` in megabytes.
    pub(crate) fn limited(&self, command: &mut Command, memory: u64, limits: Option<Limits>) {
        if self.has("memory") {
            command.arg("--memory").arg(format!("{memory}m"));
        }
        if let Some(limits) = limits {
            if self.init {
                command.arg("--init");
            }
            let there = std::thread::available_parallelism().map_or(1, usize::from);
            if self.has("cpu") {
                let there = u32::try_from(there).unwrap_or(u32::MAX);
                command.arg("--cpus").arg(limits.processors.min(there).to_string());
            }
        }
        if self.has("pids") {
            command.arg("--pids-limit").arg(limits.map_or(4096, |limits| limits.processes).to_string());
        }
    }

    /// A call that lists the ids of all containers of a step.
    pub(crate) fn listed(&self, step: &str) -> Command {
        self.list(&format!("{OF_STEP}={step}"))
    }

    fn list(&self, label: &str) -> Command {
        let filter = format!("label={label}");
        self.command(["ps", "--all", "--quiet", "--filter", &filter])
    }

    /// Removes all containers of a step.
    pub(crate) async fn remove(&self, step: &str) {
        self.remove_labelled(&format!("{OF_STEP}={step}")).await;
    }

    /// Removes all that an agent of this folder has left.
    pub(crate) async fn sweep(&self) {
        self.remove_labelled(&format!("{OF_AGENT}={}", self.tag)).await;
    }

    async fn remove_labelled(&self, label: &str) {
        for _ in 0..3 {
            let Ok(listed) = self.list(label).output().await else { return };
            let ids = String::from_utf8_lossy(&listed.stdout).into_owned();
            // The newest first: those that joined another's network go before it.
            let ids: Vec<_> = ids.split_whitespace().collect();
            if ids.is_empty() {
                return;
            }
            let mut command = self.command(["rm", "--force", "--volumes"]);
            if self.program == "podman" {
                command.args(["--time", "0", "--depend"]);
            }
            let _ = command.args(ids).output().await;
        }
        tracing::warn!(label, "containers are left behind");
    }

    /// Lets the program fetch an image with a name and a password, by a file that is the step's alone.
    pub(crate) fn access(
        &self,
        folder: &Path,
        image: &str,
        user: &str,
        password: &Secret,
    ) -> io::Result<Access> {
        let first = image.split('/').next().unwrap_or_default();
        let hub = ["docker.io", "index.docker.io", "registry-1.docker.io"].contains(&first);
        let named = image.contains('/') && !hub && (first.contains(['.', ':']) || first == "localhost");
        let registry = match (named, self.program) {
            (true, _) => first,
            (false, "docker") => "https://index.docker.io/v1/",
            (false, _) => "docker.io",
        };
        let auth = STANDARD.encode(format!("{user}:{}", password.expose()));
        let text = serde_json::json!({ "auths": { registry: { "auth": auth } } }).to_string();
        let folder = folder.join("registry");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder)?;
        let file = folder.join("config.json");
        Workspace { root: folder.clone(), owner: Owner::default() }.write(&file, &text)?;
        Ok(Access { file: Some(file), podman: self.program == "podman" })
    }
}

/// How a registry is asked; removed when dropped.
pub(crate) struct Access {
    file: Option<PathBuf>,
    podman: bool,
}

impl Access {
    pub(crate) fn none() -> Self {
        Self { file: None, podman: true }
    }

    pub(crate) fn apply(&self, command: &mut Command) {
        match &self.file {
            Some(file) if self.podman => {
                command.arg("--authfile").arg(file);
            }
            Some(file) => {
                command.env("DOCKER_CONFIG", file.parent().unwrap_or(Path::new("/")));
            }
            None => {}
        }
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Whether podman finds the program that it runs first in a container.
fn catatonit() -> bool {
    ["/usr/libexec/podman/catatonit", "/usr/lib/podman/catatonit", "/usr/bin/catatonit"]
        .iter()
        .any(|path| Path::new(path).exists())
}
