//! Steps that run in an image: by the command line of podman, or of docker where there is no podman.
//!
//! The step's own container is made first and waits; services join its network, so that the step finds them at
//! `localhost`; then it goes on. Everything has a label with the step's name, by which it is removed at the end, and a
//! label of the agent, by which the next start removes what a crash has left.
//!
//! Nothing secret stands in an argument: variables come as a file that the step's own shell reads, or as a file for the
//! container's environment that is removed at once.

mod engine;
mod fifo;
mod layers;
mod pipe;
mod service;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use model::Secret;
use pipeline::image::{Image, RegistryAccess};
use pipeline::protocol::Assignment;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::net::UnixListener;

pub(crate) use engine::Engine;
use engine::Privileges;
use fifo::Fifo;
pub(crate) use layers::Layers;
pub(crate) use service::{HOST as DOCKER_HOST, daemon};

use crate::agent::Agent;
use crate::aws::Aws;
use crate::lease::Lease;
use crate::limits::Limits;
use crate::local::{self, Local};
use crate::log::Log;
use crate::process::{self, Ended, Rest, Running};
use crate::script::{self, Inside};
use crate::ssh;
use crate::system::PATH;
use crate::variables::Environment;
use crate::workspace::{Owner, Workspace};

/// Where a step finds its things in every image.
const AGENT: &str = "/opt/atlassian/pipelines/agent";
/// The socket on which the agent answers, below what is kept from the step.
const SOCKET: &str = "agent.sock";
/// The home of the user that images run as, where they name no other.
const HOME: &str = "/root";

/// Whose the files of a step in an image are.
pub(crate) fn owner(image: &Image) -> Owner {
    Owner(image.run_as_user.filter(|_| rustix::process::geteuid().is_root()))
}

/// Where things are in every image.
pub(crate) fn inside() -> Inside {
    let below = |name: &str| format!("{AGENT}/{name}");
    Inside {
        build: below("build"),
        tmp: below("tmp"),
        control: below("control"),
        script: below("script"),
        ssh: below("ssh"),
    }
}

/// Where the content of a cache lies on the machine.
pub(crate) fn cache(workspace: &Workspace, path: &str) -> Option<PathBuf> {
    if path.starts_with(['/', '~']) {
        let sum = hex::encode(Sha256::digest(mounted(path)?.as_bytes()));
        return Some(workspace.root.join("cache").join(sum));
    }
    crate::workspace::without_links(&workspace.build(), Path::new(path))
}

/// Where it lies in the image, if not in the clone.
fn mounted(path: &str) -> Option<String> {
    let whole = match path.strip_prefix('~') {
        Some(rest) => format!("{HOME}{}", rest.strip_prefix('/').map(|rest| format!("/{rest}"))?),
        None => path.to_owned(),
    };
    let plain = whole.starts_with('/')
        && whole.len() > 1
        && !whole.contains([':', ',', '\n'])
        && Path::new(&whole).components().all(|part| !matches!(part, std::path::Component::ParentDir));
    plain.then_some(whole)
}

/// Answers what a step in an image asks its agent: on a socket that a port inside leads to.
pub(crate) fn answer(local: Arc<Local>, workspace: &Workspace) -> io::Result<(u16, local::Answering)> {
    let listener = UnixListener::bind(workspace.kept().join(SOCKET))?;
    Ok((local::PORT, local.on_socket(listener)))
}

/// A step in its image.
pub(crate) struct Container<'a> {
    pub(crate) engine: Option<&'a Engine>,
    pub(crate) agent: &'a Agent,
    pub(crate) name: &'a str,
    pub(crate) assignment: &'a Assignment,
    pub(crate) workspace: &'a Workspace,
    pub(crate) inside: &'a Inside,
    pub(crate) environment: &'a Environment,
    pub(crate) log: &'a Log,
    pub(crate) lease: &'a Lease,
    pub(crate) aws: Option<&'a Arc<Aws>>,
    /// The image of the step's Docker daemon, where it has one.
    pub(crate) daemon: Option<Image>,
    /// By which address containers of the step's Docker daemon reach it, when that is known.
    pub(crate) address: Arc<OnceLock<String>>,
}

impl Container<'_> {
    /// The name of the step's own container.
    fn own(&self) -> String {
        format!("bastide-{}", self.name)
    }

    fn engine(&self) -> Result<&Engine, String> {
        self.engine.ok_or_else(|| "it needs podman or docker, and neither works on this runner".to_owned())
    }

    /// Runs the script in the step's image, with its services.
    pub(crate) async fn run(&self, limits: Limits) -> Result<Ended, String> {
        let engine = self.engine()?;
        for missing in engine.missing() {
            self.log.line(&format!("Isolation: {missing}")).await;
        }
        let _alive = self.fifo("alive")?;
        let start = self.fifo("start")?;
        let ready = self.fifo("ready")?;
        self.take_program(engine).await?;
        let _pipes = self.answer_pipes()?;
        self.create(engine, limits).await?;
        let command = engine.command(["start", "--attach", &self.own()]);
        let mut running = process::start(command, self.log).map_err(|error| error.to_string())?;
        let mut forwarding = None;
        let mut beside = Vec::new();
        let begun = match self.ready(&mut running, ready).await {
            true => {
                forwarding = self.forward(engine).await;
                self.services(engine, &mut beside).await
            }
            false => Ok(()),
        };
        let begun = begun.and_then(|()| script::begun(self.workspace).map_err(|error| error.to_string()));
        let begun = match begun {
            Ok(()) => start.write(b"go\n").await.map_err(|error| error.to_string()),
            Err(why) => Err(why),
        };
        if begun.is_err() {
            // It waits for a word that does not come.
            engine.remove(self.name).await;
        }
        let ended = running.end(self.lease.clone(), Rest::Stays).await.map_err(|error| error.to_string());
        drop(forwarding);
        engine.remove(self.name).await;
        for service in beside {
            service.end().await;
        }
        match (begun, self.lease.must_end()) {
            (Ok(()), _) => ended,
            (Err(_), Some(ending)) => Ok(Ended::Killed(ending)),
            (Err(why), None) => Err(why),
        }
    }

    fn fifo(&self, name: &str) -> Result<Fifo, String> {
        let path = self.workspace.control().join(name);
        Fifo::make(&path, self.workspace.owner).map_err(|error| format!("`{name}` cannot be made: {error}"))
    }

    /// Waits until the step's shell waits; false where it ends before.
    async fn ready(&self, running: &mut Running, mut ready: Fifo) -> bool {
        let mut byte = [0];
        tokio::select! {
            read = ready.read.read(&mut byte) => read.is_ok_and(|length| length > 0),
            () = running.exited() => false,
        }
    }

    /// Brings the agent's socket to a port in the step's network: by the agent's own program, which enters that network
    /// and nothing else of the container.
    async fn forward(&self, engine: &Engine) -> Option<tokio::process::Child> {
        let mut command = self.entered(engine, "forward").await?;
        command.arg(self.workspace.kept().join(SOCKET)).arg(local::PORT.to_string());
        let mut child = command.spawn().ok()?;
        let mut byte = [0];
        let waiting = child.stdout.as_mut()?.read(&mut byte);
        match tokio::time::timeout(std::time::Duration::from_secs(5), waiting).await {
            Ok(Ok(1)) => Some(child),
            _ => {
                self.log.line("The step cannot ask its agent: its network cannot be entered").await;
                None
            }
        }
    }

    /// One of the hidden commands of the agent's own program, in the step's network. Its input and output are pipes.
    async fn entered(&self, engine: &Engine, helper: &str) -> Option<tokio::process::Command> {
        let helper = self.agent.settings.helper(helper);
        let (program, rest) = helper.split_first()?;
        let asked = engine.command(["inspect", "--format", "{{.State.Pid}}", &self.own()]).output().await;
        let number = asked.ok().and_then(|told| String::from_utf8(told.stdout).ok())?;
        let number = number.trim().parse::<u32>().ok()?.to_string();
        let mut command = tokio::process::Command::new("nsenter");
        command.args(["--target", &number, "--net"]);
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--").arg(program).args(rest);
        command.env_clear().env("PATH", PATH).kill_on_drop(true);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        Some(command)
    }

    async fn create(&self, engine: &Engine, limits: Limits) -> Result<(), String> {
        let plan = &self.assignment.plan;
        let services: u32 = plan.services.iter().map(|service| service.memory).sum();
        let memory = (limits.memory / 1024 / 1024).saturating_sub(u64::from(services)).max(256);
        let mut command = engine.command(["create", "--name", &self.own()]);
        engine.labelled(&mut command, self.name, Privileges::None);
        engine.limited(&mut command, memory, Some(limits));
        command.args(["--add-host", "host.docker.internal:127.0.0.1", "--workdir", &self.inside.build]);
        for (from, to, mode) in [
            (self.workspace.build(), &self.inside.build, "rw"),
            (self.workspace.tmp(), &self.inside.tmp, "rw"),
            (self.workspace.control(), &self.inside.control, "rw"),
            (self.workspace.script(), &self.inside.script, "ro"),
            (self.workspace.ssh(), &self.inside.ssh, "ro"),
        ] {
            command.arg("--volume").arg(format!("{}:{to}:{mode}", from.display()));
        }
        if self.program().exists() {
            command.arg("--volume").arg(format!("{}:{}:ro", self.program().display(), service::PROGRAM));
        }
        for cache in &plan.caches {
            let Some(path) = cache.path.as_deref().filter(|path| path.starts_with(['/', '~'])) else {
                continue;
            };
            if let (Some(from), Some(to)) = (self::cache(self.workspace, path), mounted(path)) {
                fs::create_dir_all(&from).map_err(|error| error.to_string())?;
                command.arg("--volume").arg(format!("{}:{to}", from.display()));
            }
        }
        if let Some(user) = plan.image.run_as_user {
            command.arg("--user").arg(user.to_string());
        }
        let access = self.access(engine, &plan.image).await?;
        access.apply(&mut command);
        command.args(["--entrypoint", "/bin/sh"]).arg(self.image(&plan.image.name)?);
        command.arg(format!("{}/main.sh", self.inside.script));
        self.made(command).await?;
        if plan.image.run_as_user.is_none() {
            let mut asked = engine.command(["inspect", "--format", "{{.Config.User}}", &self.own()]);
            let told = asked.output().await.map_err(|error| error.to_string())?;
            let user = String::from_utf8_lossy(&told.stdout).trim().to_owned();
            if !matches!(user.as_str(), "" | "0" | "root" | "0:0" | "root:root") {
                // The image's own user has no name here; the folder above lets nobody else in.
                open_to_all(self.workspace)
                    .and_then(|()| ssh::copied(self.workspace, self.inside))
                    .map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    /// Makes a container; gives the last of what the engine says where that fails.
    async fn made(&self, mut command: tokio::process::Command) -> Result<(), String> {
        let made = tokio::select! {
            made = command.output() => made.map_err(|error| error.to_string())?,
            _ = self.ending() => return Err("the step had to end".to_owned()),
        };
        if made.status.success() {
            return Ok(());
        }
        let told = String::from_utf8_lossy(&made.stderr);
        Err(told.lines().last().unwrap_or("the container could not be made").to_owned())
    }

    async fn ending(&self) -> crate::lease::Ending {
        self.lease.clone().ending().await
    }

    /// A text of the file with the step's variables in it: `$NAME` and `${NAME}`.
    fn expanded(&self, text: &str) -> String {
        expand(text, |name| self.environment.variables.get(name).cloned())
    }

    /// The name of an image. It must not be read as a flag.
    fn image(&self, name: &str) -> Result<String, String> {
        let name = self.expanded(name);
        if name.is_empty() || name.starts_with('-') || name.contains(char::is_whitespace) {
            return Err(format!("`{name}` is no name of an image"));
        }
        Ok(name)
    }

    /// How the registry of an image is asked.
    async fn access(&self, engine: &Engine, image: &Image) -> Result<engine::Access, String> {
        let name = self.image(&image.name)?;
        let asked = match &image.access {
            None => return Ok(engine::Access::none()),
            Some(RegistryAccess::Password { username, password }) => {
                let password = Secret::new(self.expanded(password));
                return self.shown_to(engine, &name, &self.expanded(username), &password);
            }
            Some(RegistryAccess::AwsKeys { access_key, secret_key }) => RegistryAccess::AwsKeys {
                access_key: self.expanded(access_key),
                secret_key: self.expanded(secret_key),
            },
            Some(RegistryAccess::AwsRole { oidc_role }) => {
                RegistryAccess::AwsRole { oidc_role: self.expanded(oidc_role) }
            }
        };
        let registry = name.split('/').next().unwrap_or_default().to_owned();
        let login = self.agent.server.registry(self.lease.attempt(), registry, asked).await;
        let login = login.map_err(|error| format!("the image `{name}` cannot be fetched: {error}"))?;
        let hidden = self.log.secrets().hide(&[("REGISTRY_PASSWORD", &login.password)], None);
        hidden.map_err(|error| format!("the image `{name}` cannot be fetched: {error}"))?;
        self.shown_to(engine, &name, &login.username, &Secret::new(login.password))
    }

    /// A name and a password for the registry of an image, in a file that is the agent's alone.
    fn shown_to(
        &self,
        engine: &Engine,
        image: &str,
        user: &str,
        password: &Secret,
    ) -> Result<engine::Access, String> {
        engine.access(&self.workspace.kept(), image, user, password).map_err(|error| error.to_string())
    }
}

/// Lets every user of the machine who gets into a step's folder read and write all that is the step's.
fn open_to_all(workspace: &Workspace) -> io::Result<()> {
    let mut paths =
        vec![workspace.build(), workspace.tmp(), workspace.control(), workspace.script(), workspace.ssh()];
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
    Ok(())
}

/// A file for a container's environment. What has several lines cannot stand in one: that is handed over by name.
fn environment_text(variables: Vec<(String, String)>, command: &mut tokio::process::Command) -> String {
    let mut text = String::new();
    for (name, value) in variables {
        if !value.contains(['\n', '\r']) {
            text.push_str(&format!("{name}={value}\n"));
        } else if may_be_handed_over(&name) {
            command.env(&name, value).arg("--env").arg(name);
        }
    }
    text
}

/// Writes a file that the agent alone can read.
fn write_private(file: &Path, text: &str) -> io::Result<()> {
    let _ = fs::remove_file(file);
    Workspace { root: PathBuf::new(), owner: Owner::default() }.write(file, text)
}

/// Whether a variable may stand in the environment of the engine's own program.
fn may_be_handed_over(name: &str) -> bool {
    const KEPT: [&str; 12] = [
        "LD_",
        "PATH",
        "HOME",
        "XDG_",
        "DOCKER_",
        "CONTAINER",
        "PODMAN_",
        "GO",
        "TMPDIR",
        "SSL_",
        "DBUS_",
        "STORAGE_",
    ];
    !KEPT.iter().any(|kept| name.to_ascii_uppercase().starts_with(kept))
        && !name.to_ascii_lowercase().ends_with("_proxy")
}

fn expand(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (name, left) = braced.unwrap_or_else(|| {
            let end = after.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            after.split_at(end.unwrap_or(after.len()))
        });
        if script::can_be_set(name) {
            expanded.push_str(&value(name).unwrap_or_default());
            rest = left;
        } else {
            expanded.push('$');
            rest = after;
        }
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_into_a_text_once() {
        let value = |name: &str| (name == "A").then(|| "$B".to_owned());
        assert_eq!(expand("x$A-${A}y$ $1 ${", value), "x$B-$By$ $1 ${");
        assert_eq!(expand("$MISSING.", value), ".");
    }

    /// A value of several lines reaches a container through the engine's own environment; these would change the
    /// engine itself, which runs outside of every wall.
    #[test]
    fn what_would_change_the_engine_is_not_handed_over() {
        for name in ["LD_PRELOAD", "PATH", "DOCKER_HOST", "CONTAINERS_CONF", "GODEBUG", "HTTPS_PROXY", "HOME"]
        {
            assert!(!may_be_handed_over(name), "{name}");
        }
        assert!(may_be_handed_over("SSH_KEY"));
    }

    #[test]
    fn a_cache_is_mounted_nowhere_odd() {
        assert_eq!(mounted("~/.m2/repository").as_deref(), Some(format!("{HOME}/.m2/repository").as_str()));
        for odd in ["/", "/a/../etc", "/a:/etc", "~", "~root/x"] {
            assert!(mounted(odd).is_none(), "{odd}");
        }
    }
}
