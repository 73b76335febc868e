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
mod pipe;

use std::path::{Path, PathBuf};

use model::Secret;
use pipeline::image::{Image, RegistryAccess};
use pipeline::protocol::Assignment;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

pub(crate) use engine::Engine;
use fifo::Fifo;

use crate::agent::Agent;
use crate::lease::Lease;
use crate::limits::Limits;
use crate::log::{Log, Sending};
use crate::process::{self, Ended, Running};
use crate::script::Inside;
use crate::variables::Environment;
use crate::workspace::{Owner, Workspace};

/// Where a step finds its things in every image.
const AGENT: &str = "/opt/atlassian/pipelines/agent";
/// The socket on which the agent answers, below what is kept from the step.
pub(crate) const SOCKET: &str = "agent.sock";
/// The home of the user that images run as, where they name no other.
const HOME: &str = "/root";

/// Whose the files of a step in an image are.
pub(crate) fn owner(image: &Image) -> Owner {
    Owner(image.run_as_user.filter(|_| rustix::process::geteuid().is_root()))
}

/// Where things are in every image.
pub(crate) fn inside() -> Inside {
    let below = |name: &str| format!("{AGENT}/{name}");
    Inside { build: below("build"), tmp: below("tmp"), control: below("control"), script: below("script") }
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
}

/// A service that runs beside a step.
struct Beside {
    running: tokio::task::JoinHandle<()>,
    sending: Sending,
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
        let _pipes = self.answer_pipes()?;
        self.create(engine, limits).await?;
        let command = engine.command(["start", "--attach", &self.own()]);
        let mut running = process::start(command, self.log).map_err(|error| error.to_string())?;
        let mut forwarding = None;
        let beside = match self.ready(&mut running, ready).await {
            true => {
                forwarding = self.forward(engine).await;
                self.services(engine).await?
            }
            false => Vec::new(),
        };
        start.write(b"go\n").await.map_err(|error| error.to_string())?;
        let ended = running.end(self.lease.clone()).await.map_err(|error| error.to_string());
        drop(forwarding);
        engine.remove(self.name).await;
        for service in beside {
            service.running.abort();
            let _ = service.running.await;
            service.sending.end().await;
        }
        ended
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
        let helper = self.agent.settings.helper("forward");
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
        command.arg(self.workspace.kept().join(SOCKET)).arg(crate::local::PORT.to_string());
        command.env_clear().env("PATH", crate::sandbox::PATH).kill_on_drop(true);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
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

    async fn create(&self, engine: &Engine, limits: Limits) -> Result<(), String> {
        let plan = &self.assignment.plan;
        let services: u32 = plan.services.iter().map(|service| service.memory).sum();
        let memory = (limits.memory / 1024 / 1024).saturating_sub(u64::from(services)).max(256);
        let mut command = engine.command(["create", "--name", &self.own()]);
        engine.labelled(&mut command, self.name);
        engine.limited(&mut command, memory, Some(limits));
        command.args(["--add-host", "host.docker.internal:127.0.0.1", "--workdir", &self.inside.build]);
        for (from, to, mode) in [
            (self.workspace.build(), &self.inside.build, "rw"),
            (self.workspace.tmp(), &self.inside.tmp, "rw"),
            (self.workspace.control(), &self.inside.control, "rw"),
            (self.workspace.script(), &self.inside.script, "ro"),
        ] {
            command.arg("--volume").arg(format!("{}:{to}:{mode}", from.display()));
        }
        for cache in &plan.caches {
            let Some(path) = cache.path.as_deref().filter(|path| path.starts_with(['/', '~'])) else {
                continue;
            };
            if let (Some(from), Some(to)) = (self::cache(self.workspace, path), mounted(path)) {
                std::fs::create_dir_all(&from).map_err(|error| error.to_string())?;
                command.arg("--volume").arg(format!("{}:{to}", from.display()));
            }
        }
        if let Some(user) = plan.image.run_as_user {
            command.arg("--user").arg(user.to_string());
        }
        let access = self.access(engine, &plan.image)?;
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
                self.workspace.open_to_all().map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    /// Makes a container; what the engine says goes into the log, and into the verdict where it fails.
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

    /// Starts the services. Each has a log by its name.
    async fn services(&self, engine: &Engine) -> Result<Vec<Beside>, String> {
        let mut beside = Vec::new();
        for (at, service) in self.assignment.plan.services.iter().enumerate() {
            let Some(image) = service.image.as_ref().filter(|_| !service.docker) else {
                let told = "there is no Docker daemon for steps on this runner; pipes work without one";
                self.log.line(&format!("Service {}: {told}", service.name)).await;
                continue;
            };
            let name = format!("{}-service-{at}", self.own());
            let mut command = engine.command(["create", "--name", &name]);
            engine.labelled(&mut command, self.name);
            engine.limited(&mut command, u64::from(service.memory), None);
            command.arg("--network").arg(format!("container:{}", self.own()));
            let variables =
                service.variables.iter().map(|(name, value)| (name.clone(), self.expanded(value)));
            let file = self.workspace.kept().join(format!("service-{at}"));
            let text = environment_text(variables.collect(), &mut command);
            write_private(&file, &text).map_err(|error| error.to_string())?;
            command.arg("--env-file").arg(&file);
            if let Some(user) = image.run_as_user {
                command.arg("--user").arg(user.to_string());
            }
            self.access(engine, image)?.apply(&mut command);
            command.arg(self.image(&image.name)?);
            let made = self.made(command).await;
            let _ = std::fs::remove_file(file);
            made.map_err(|error| format!("the service {} cannot be started: {error}", service.name))?;
            let secrets = &self.environment.secrets;
            let limit = self.agent.settings.log_limit;
            let server = self.agent.server.clone();
            let (log, sending) = Log::begin(&service.name, secrets, limit, server, self.lease.clone())
                .map_err(|error| error.to_string())?;
            let command = engine.command(["start", "--attach", &name]);
            let lease = self.lease.clone();
            let running = tokio::spawn(async move {
                // How a service ends is its own affair; its log tells.
                let _ = process::run(command, &log, lease).await;
            });
            beside.push(Beside { running, sending });
        }
        Ok(beside)
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
    fn access(&self, engine: &Engine, image: &Image) -> Result<engine::Access, String> {
        match &image.access {
            None => Ok(engine::Access::none()),
            Some(RegistryAccess::Password { username, password }) => {
                let (user, password) = (self.expanded(username), Secret::new(self.expanded(password)));
                let folder = self.workspace.kept();
                engine
                    .access(&folder, &self.image(&image.name)?, &user, &password)
                    .map_err(|error| error.to_string())
            }
            Some(RegistryAccess::AwsKeys { .. } | RegistryAccess::AwsRole { .. }) => Err(
                "images of Amazon's registry cannot be fetched with `aws` yet; use `username` and `password`"
                    .to_owned(),
            ),
        }
    }
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
fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    let _ = std::fs::remove_file(file);
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
        if crate::script::can_be_set(name) {
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
