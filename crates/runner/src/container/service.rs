//! What runs beside a step in its network: databases and the like, and a Docker daemon where the runner gives steps one.
//!
//! A daemon's container has every privilege, so it is made only where whoever runs the agent has said so
//! ([`Settings::docker_image`](crate::Settings)); a configuration file may choose its image, and never that there is one.

use std::path::PathBuf;
use std::time::Duration;

use pipeline::image::Image;
use pipeline::plan::PlannedStep;
use pipeline::service::Service;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::engine::Privileges;
use super::{Container, Engine, environment_text, write_private};
use crate::log::{Log, Sending};
use crate::settings::Settings;
use crate::{process, script};

/// Where a step finds its daemon.
pub(crate) const HOST: &str = "tcp://localhost:2375";
const PORT: &str = "2375";
/// By which address containers of the daemon reach the step.
pub(super) const INTERNAL: &str = "BITBUCKET_DOCKER_HOST_INTERNAL";
/// How long a daemon may take until it answers, in seconds.
const PATIENCE: u64 = 60;
/// Where the daemon's image has the program that steps call, and where steps and pipes find it.
const PROGRAM_IN_IMAGE: &str = "/usr/local/bin/docker";
pub(super) const PROGRAM: &str = "/usr/bin/docker";
/// How often it is looked whether a daemon has ended, while it is waited for.
const LOOK: Duration = Duration::from_millis(200);
/// What the engines call a container that has not been started yet.
const NOT_STARTED: [&str; 3] = ["created", "configured", "initialized"];

/// A service that runs beside a step.
pub(super) struct Beside {
    name: String,
    running: tokio::task::JoinHandle<()>,
    sending: Sending,
}

impl Beside {
    /// Waits for the end of its log, when its container is gone.
    pub(super) async fn end(self) {
        self.running.abort();
        let _ = self.running.await;
        self.sending.end().await;
    }
}

/// The image of the daemon that a step has beside it: the file's own, or the runner's. Nothing where it asks for none, or
/// the runner gives none.
pub(crate) fn daemon(settings: &Settings, plan: &PlannedStep) -> Option<Image> {
    let ours = settings.docker_image.as_ref()?;
    let asked = plan.services.iter().find(|service| service.docker)?;
    let of_runner = || Image { name: ours.clone(), run_as_user: None, access: None };
    Some(asked.image.clone().unwrap_or_else(of_runner))
}

impl Container<'_> {
    /// The file on the machine that holds the program for the step's daemon.
    pub(super) fn program(&self) -> PathBuf {
        self.workspace.kept().join("docker")
    }

    /// Takes the program that speaks to daemons from the daemon's image, for the step and its pipes.
    pub(super) async fn take_program(&self, engine: &Engine) -> Result<(), String> {
        let Some(image) = &self.daemon else { return Ok(()) };
        let failed = |why: String| format!("the service docker cannot be started: {why}");
        let name = format!("{}-program", self.own());
        let mut command = engine.command(["create", "--name", &name]);
        engine.labelled(&mut command, self.name, Privileges::None);
        // Its file is there until the container was made.
        let access = self.access(engine, image).await.map_err(failed)?;
        access.apply(&mut command);
        // It is never started.
        command.arg(self.image(&image.name).map_err(failed)?).arg(PROGRAM_IN_IMAGE);
        self.made(command).await.map_err(failed)?;
        let file = self.program();
        let copied = engine.command(["cp", &format!("{name}:{PROGRAM_IN_IMAGE}")]).arg(&file).output().await;
        let _ = engine.command(["rm", "--force", "--volumes", &name]).output().await;
        let whole = copied.is_ok_and(|copied| copied.status.success())
            && std::fs::symlink_metadata(&file).is_ok_and(|found| found.is_file());
        if !whole {
            let _ = std::fs::remove_file(&file);
            let told = "the step needs a `docker` of its own";
            self.log
                .line(&format!("Service docker: its image has no program {PROGRAM_IN_IMAGE}; {told}"))
                .await;
        }
        Ok(())
    }

    /// Starts the services, and waits until the daemon among them answers. Each has a log by its name; those that were
    /// started are in `beside`, whatever came of the others.
    pub(super) async fn services(&self, engine: &Engine, beside: &mut Vec<Beside>) -> Result<(), String> {
        let mut daemon = None;
        for (at, service) in self.assignment.plan.services.iter().enumerate() {
            if !service.docker {
                let Some(image) = &service.image else { continue };
                beside.push(self.start(engine, at, service, image).await?);
                continue;
            }
            let Some(image) = &self.daemon else {
                let told = "this runner gives steps no Docker daemon: it is run without `--docker-image`";
                self.log.line(&format!("Service {}: {told}; pipes work without one", service.name)).await;
                continue;
            };
            if daemon.is_some() {
                let told = "it is left out: the step has a Docker daemon already";
                self.log.line(&format!("Service {}: {told}", service.name)).await;
                continue;
            }
            daemon = Some((beside.len(), &service.name));
            beside.push(self.start(engine, at, service, image).await?);
        }
        for service in beside.iter() {
            self.started(engine, service).await;
        }
        let Some((at, name)) = daemon else { return Ok(()) };
        let Some(running) = beside.get(at) else { return Ok(()) };
        let address = self.answered(engine, running).await;
        let address = address.map_err(|why| format!("the service {name} cannot be used: {why}"))?;
        if !address.is_empty() && !self.environment.variables.contains_key(INTERNAL) {
            let mut variables = self.environment.variables.clone();
            variables.insert(INTERNAL.to_owned(), address.clone());
            let written = script::write_again(self.workspace, &variables);
            written.map_err(|error| format!("the variables cannot be written: {error}"))?;
            // Nobody has set it before.
            let _ = self.address.set(address);
        }
        Ok(())
    }

    async fn start(
        &self,
        engine: &Engine,
        at: usize,
        service: &Service,
        image: &Image,
    ) -> Result<Beside, String> {
        let name = format!("{}-service-{at}", self.own());
        let mut command = engine.command(["create", "--name", &name]);
        let privileges = if service.docker { Privileges::All } else { Privileges::None };
        engine.labelled(&mut command, self.name, privileges);
        engine.limited(&mut command, u64::from(service.memory), None);
        command.arg("--network").arg(format!("container:{}", self.own()));
        let mut variables: Vec<_> =
            service.variables.iter().map(|(name, value)| (name.clone(), self.expanded(value))).collect();
        if service.docker {
            self.suits_daemon(&mut command, &mut variables);
        }
        let file = self.workspace.kept().join(format!("service-{at}"));
        let text = environment_text(variables, &mut command);
        write_private(&file, &text).map_err(|error| error.to_string())?;
        command.arg("--env-file").arg(&file);
        if let Some(user) = image.run_as_user {
            command.arg("--user").arg(user.to_string());
        }
        // Its file is there until the container was made.
        let access = self.access(engine, image).await?;
        access.apply(&mut command);
        command.arg(self.image(&image.name)?);
        let made = self.made(command).await;
        let _ = std::fs::remove_file(file);
        made.map_err(|error| format!("the service {} cannot be started: {error}", service.name))?;
        // A service may print what the step was given while it ran.
        let (secrets, limit) = (self.log.secrets().clone(), self.agent.settings.log_limit);
        let server = self.agent.server.clone();
        let (log, sending) = Log::begin(&service.name, secrets, limit, server, self.lease.clone())
            .map_err(|error| error.to_string())?;
        let command = engine.command(["start", "--attach", &name]);
        let lease = self.lease.clone();
        let running = tokio::spawn(async move {
            // How a service ends is its own affair; its log tells.
            let _ = process::run(command, &log, lease, process::Rest::Stays).await;
        });
        Ok(Beside { name, running, sending })
    }

    /// Waits until a service was started. One whose start comes when the step is over would start the step's container once
    /// more, since it shares its network.
    async fn started(&self, engine: &Engine, service: &Beside) {
        while !service.running.is_finished() && self.lease.must_end().is_none() {
            let asked =
                engine.command(["inspect", "--format", "{{.State.Status}}", &service.name]).output().await;
            let told = asked.map(|told| told.stdout).unwrap_or_default();
            if !NOT_STARTED.contains(&String::from_utf8_lossy(&told).trim()) {
                return;
            }
            sleep(LOOK / 4).await;
        }
    }

    /// What a daemon's container has beside what others have: the step's folders where the step has them, so that the
    /// step's own paths mean the same to it; and the word that it is to listen without TLS, which nobody else hears.
    fn suits_daemon(&self, command: &mut Command, variables: &mut Vec<(String, String)>) {
        for (from, to) in
            [(self.workspace.build(), &self.inside.build), (self.workspace.tmp(), &self.inside.tmp)]
        {
            command.arg("--volume").arg(format!("{}:{to}", from.display()));
        }
        variables.retain(|(name, _)| name != "DOCKER_TLS_CERTDIR");
        variables.push(("DOCKER_TLS_CERTDIR".to_owned(), String::new()));
    }

    /// Waits until the daemon answers; gives the step's own address in its network, or nothing.
    async fn answered(&self, engine: &Engine, daemon: &Beside) -> Result<String, String> {
        let missing = || "the step's network cannot be entered".to_owned();
        let mut command = self.entered(engine, "reach").await.ok_or_else(missing)?;
        let child = command.arg(PORT).spawn().map_err(|_| missing())?;
        let ended = async {
            while !daemon.running.is_finished() {
                sleep(LOOK).await;
            }
        };
        let told = tokio::select! {
            told = timeout(Duration::from_secs(PATIENCE), output(child)) => told,
            () = ended => return Err("it has ended; its log tells why".to_owned()),
            _ = self.ending() => return Err("the step had to end".to_owned()),
        };
        match told {
            Ok(Some(address)) => Ok(address),
            Ok(None) => Err(missing()),
            Err(_) => Err(format!("no Docker daemon answered at {HOST} within {PATIENCE} seconds")),
        }
    }
}

/// What a process says until it ends; nothing where it fails. Its input is held open until then.
async fn output(mut child: tokio::process::Child) -> Option<String> {
    use tokio::io::AsyncReadExt;

    let _input = child.stdin.take();
    let mut text = String::new();
    child.stdout.take()?.read_to_string(&mut text).await.ok()?;
    child.wait().await.ok()?.success().then(|| text.trim().to_owned())
}
