//! One attempt at a step, from its assignment to its verdict.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pipeline::image::Image;
use pipeline::protocol::{Assignment, AwsAccess, Finish, STEP_LOG, Verdict, heartbeat};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::agent::Agent;
use crate::aws::{self, Aws};
use crate::checkout::{Checkout, Failure};
use crate::container::{self, Container, Layers};
use crate::keep::{Keeper, Kept};
use crate::lease::{Ending, Lease};
use crate::limits::{Group, Limits};
use crate::local::{self, Local};
use crate::log::{Log, hidden};
use crate::process::{self, Ended};
use crate::script::{self, Inside};
use crate::secrets::Secrets;
use crate::server::Attempt;
use crate::variables::{self, Environment};
use crate::workspace::{Workspace, usage};
use crate::{sarif, ssh, system, test_report};

/// How often it is looked how much lies on the disk, at the most.
const LOOK: Duration = Duration::from_secs(1);

/// Labels of steps that run without an image.
const SHELLS: [&str; 3] = ["linux.shell", "macos", "windows"];

/// Runs a step, and tells what came of it.
pub(crate) async fn execute(agent: &Agent, slot: u32, assignment: Assignment) {
    let attempt = Attempt { step: assignment.step.clone(), number: assignment.attempt };
    let suits = Duration::from_secs(u64::from(heartbeat(assignment.lease)));
    let every = agent.settings.heartbeat.unwrap_or(suits);
    let (lease, _renewing) =
        Lease::begin(attempt, Instant::now(), assignment.lease, every, agent.server.clone());
    let name = format!("{}-{}", plain(&assignment.step), assignment.attempt);
    tracing::info!(step = %name, "a step begins");
    let (server, clock) = (agent.server.clone(), agent.settings.clock.clone());
    let aws = Aws::of(&assignment, server, lease.clone(), clock, local::secret(&agent.settings.random));
    let step = Step { agent, assignment: &assignment, name, slot, lease: lease.clone(), aws };
    let mut lost = lease.clone();
    // A lease that is lost ends everything, wherever it is; what runs is killed as it is dropped.
    let finish = tokio::select! {
        finish = step.run() => finish,
        () = lost.lost() => None,
    };
    if let Some(finish) = finish {
        let told = tokio::select! {
            told = agent.server.finish(lease.attempt(), &finish) => told,
            () = lost.lost() => Ok(()),
        };
        if let Err(error) = told {
            tracing::warn!(%error, step = %step.name, "the verdict was not taken");
        }
    }
    step.clean().await;
    tracing::info!(step = %step.name, "a step has ended");
}

/// The id of a step as a name of files and containers.
fn plain(id: &str) -> String {
    id.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').take(64).collect()
}

struct Step<'a> {
    agent: &'a Agent,
    assignment: &'a Assignment,
    name: String,
    slot: u32,
    lease: Lease,
    aws: Option<Arc<Aws>>,
}

/// A task that ends when this is dropped.
struct Background(JoinHandle<()>);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Step<'_> {
    fn root(&self) -> PathBuf {
        self.agent.directory.join("work").join(&self.name)
    }

    fn in_shell(&self) -> bool {
        self.assignment.plan.runs_on.iter().any(|label| SHELLS.contains(&label.as_str()))
    }

    /// The image of the Docker daemon that it has beside it.
    fn daemon(&self) -> Option<Image> {
        let (settings, plan) = (&self.agent.settings, &self.assignment.plan);
        container::daemon(settings, plan).filter(|_| !self.in_shell())
    }

    /// Runs it. Nothing where the lease was lost.
    async fn run(&self) -> Option<Finish> {
        let verdict = match self.prepare() {
            Ok((workspace, inside, environment)) => {
                let (name, limit) = (STEP_LOG, self.agent.settings.log_limit);
                let server = self.agent.server.clone();
                let secrets = Secrets::new(&environment.secrets);
                match Log::begin(name, secrets, limit, server, self.lease.clone()) {
                    Ok((log, sending)) => {
                        let finish = self.within(workspace, inside, environment, &log).await;
                        drop(log);
                        sending.end().await;
                        return finish;
                    }
                    Err(error) => Verdict::Error { message: error.to_string() },
                }
            }
            Err(error) => Verdict::Error { message: format!("the step's folder cannot be made: {error}") },
        };
        Some(self.finish(verdict))
    }

    fn finish(&self, verdict: Verdict) -> Finish {
        Finish { attempt: self.assignment.attempt, verdict, outputs: Default::default() }
    }

    fn prepare(&self) -> std::io::Result<(Workspace, Inside, Environment)> {
        let owner = if self.in_shell() {
            self.agent.sandbox.owner(self.slot)
        } else {
            container::owner(&self.assignment.plan.image)
        };
        let workspace = Workspace::make(self.root(), owner)?;
        let text = |path: PathBuf| path.display().to_string();
        let inside = if self.in_shell() {
            Inside {
                build: text(workspace.build()),
                tmp: text(workspace.tmp()),
                control: text(workspace.control()),
                script: text(workspace.script()),
                ssh: text(workspace.ssh()),
            }
        } else {
            container::inside()
        };
        let docker_host = self.daemon().map(|_| container::DOCKER_HOST);
        let mut environment = variables::prepare(self.assignment, &workspace, &inside, docker_host)?;
        ssh::prepare(self.assignment, &workspace, &inside, &mut environment)?;
        environment.secret("BASTIDE_OIDC_REQUEST_TOKEN", &local::secret(&self.agent.settings.random));
        if self.in_shell() {
            let of_system = system::environment(&workspace).into_iter();
            let of_system = of_system.map(|(name, value)| (name, value.to_string_lossy().into_owned()));
            let of_shell = system::OF_SHELL.iter().map(|(name, value)| (*name, (*value).to_owned()));
            for (name, value) in of_system.chain(of_shell) {
                environment.variables.entry(name.to_owned()).or_insert(value);
            }
        }
        Ok((workspace, inside, environment))
    }

    /// With a log that can be written.
    async fn within(
        &self,
        workspace: Workspace,
        inside: Inside,
        environment: Environment,
        log: &Log,
    ) -> Option<Finish> {
        let _time = self.watch_time();
        let _disk = self.watch_disk(&workspace);
        self.header(&environment, log).await;
        let keeper =
            Keeper { server: &self.agent.server, attempt: self.lease.attempt(), workspace: &workspace, log };
        let mut environment = environment;
        let _local = match self.answer_locally(&workspace, &mut environment, log).await {
            Ok(answering) => Some(answering),
            Err(error) => {
                log.line(&format!("The step cannot ask its agent for tokens: {error}")).await;
                None
            }
        };
        let _token = match (&self.aws, &self.assignment.aws) {
            (Some(aws), Some(access)) => aws.refresh(access, &workspace, log),
            _ => None,
        };
        let mut lease = self.lease.clone();
        let set_up = tokio::select! {
            set_up = self.set_up(&workspace, &inside, &environment, log, &keeper) => set_up,
            ending = lease.ending() => Err(self.killed(ending)),
        };
        let (ended, caches) = match set_up {
            Ok(caches) => (self.carry_out(&workspace, &inside, &environment, log).await, caches),
            Err(verdict) => (Err(verdict), Vec::new()),
        };
        let verdict = match ended {
            Ok(Ended::Exit(0)) => Verdict::Passed,
            Ok(Ended::Exit(exit_code)) => Verdict::Failed { exit_code },
            Ok(Ended::Killed(ending)) => self.killed(ending)?,
            Err(verdict) => verdict?,
        };
        let verdict = told_to_readers(verdict, log);
        let passed = verdict == Verdict::Passed;
        let mut finish = self.finish(verdict.clone());
        if passed {
            let named = &self.assignment.plan.output_variables;
            let (outputs, complaints) = variables::outputs(&workspace, named, log.secrets());
            for complaint in complaints {
                log.line(&complaint).await;
            }
            finish.outputs = outputs;
            keeper.keep_caches(&caches).await;
        }
        if matches!(verdict, Verdict::Passed | Verdict::Failed { .. } | Verdict::TimedOut { .. }) {
            let uploads = &self.assignment.plan.artifacts.upload;
            test_report::tell(&keeper, uploads).await;
            let kept = keeper.keep_artifacts(self.assignment, passed).await;
            sarif::tell(&keeper, kept).await;
            keeper.keep_pipe_storage().await;
        }
        self.farewell(&verdict, log).await;
        Some(finish)
    }

    /// Answers what the step asks while it runs: on a port of the machine where it shares its network, else on a socket
    /// that a port inside leads to.
    async fn answer_locally(
        &self,
        workspace: &Workspace,
        environment: &mut Environment,
        log: &Log,
    ) -> std::io::Result<local::Answering> {
        let secret = environment.variables.get("BASTIDE_OIDC_REQUEST_TOKEN").cloned().unwrap_or_default();
        let (server, lease) = (self.agent.server.clone(), self.lease.clone());
        let proxy = !self.in_shell();
        let local = Local::new(self.assignment, server, lease, log.clone(), &secret, proxy, self.aws.clone());
        let (port, answering) = if proxy {
            container::answer(local, workspace)?
        } else {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            (listener.local_addr()?.port(), local.on_port(listener))
        };
        let url = format!("http://localhost:{port}{}", local::TOKENS);
        environment.variables.insert("BASTIDE_OIDC_REQUEST_URL".to_owned(), url);
        if let (Some(aws), Some(AwsAccess::Session { .. })) = (&self.aws, &self.assignment.aws) {
            // An address, not a name: some of Amazon's tools ask no other.
            let url = format!("http://127.0.0.1:{port}{}", aws::CREDENTIALS);
            environment.variables.insert("AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned(), url);
            let (name, secret) = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", aws.secret().expose());
            log.secrets().hide(&[(name, secret)], None).map_err(std::io::Error::other)?;
            environment.secret(name, secret);
        }
        Ok(answering)
    }

    async fn set_up(
        &self,
        workspace: &Workspace,
        inside: &Inside,
        environment: &Environment,
        log: &Log,
        keeper: &Keeper<'_>,
    ) -> Result<Vec<Kept>, Option<Verdict>> {
        let error = |message: String| Some(Verdict::Error { message });
        if self.assignment.plan.clone.enabled {
            let trusted = self.agent.trusted.as_deref();
            let checkout = Checkout {
                sandbox: &self.agent.sandbox,
                workspace,
                assignment: self.assignment,
                log,
                lease: &self.lease,
                server: &self.agent.server,
                trusted,
            };
            match checkout.run().await {
                Ok(()) => {}
                Err(Failure::Git(why)) => {
                    return Err(error(format!("the repository could not be cloned: {why}")));
                }
                Err(Failure::MustEnd) => {
                    return Err(self.lease.must_end().and_then(|ending| self.killed(ending)));
                }
            }
        }
        keeper.bring_artifacts(self.assignment).await.map_err(error)?;
        let caches = keeper
            .bring_caches(&self.assignment.plan.caches, |path| {
                if self.in_shell() {
                    in_workspace(workspace, path)
                } else {
                    container::cache(workspace, path)
                }
            })
            .await;
        script::write(workspace, &self.assignment.plan, inside, &environment.variables)
            .map_err(|why| error(format!("the script cannot be written: {why}")))?;
        Ok(caches)
    }

    /// Runs the script.
    async fn carry_out(
        &self,
        workspace: &Workspace,
        inside: &Inside,
        environment: &Environment,
        log: &Log,
    ) -> Result<Ended, Option<Verdict>> {
        let error = |message: String| Some(Verdict::Error { message });
        let limits = Limits::of(self.assignment.plan.size, self.agent.settings.processes);
        let container = Container {
            engine: self.agent.engine.as_ref(),
            agent: self.agent,
            name: &self.name,
            assignment: self.assignment,
            workspace,
            inside,
            environment,
            log,
            lease: &self.lease,
            aws: self.aws.as_ref(),
            daemon: self.daemon(),
            address: Arc::default(),
        };
        if !self.in_shell() {
            return container.run(limits).await.map_err(error);
        }
        let _pipes = container.answer_pipes().map_err(error)?;
        let (group, missing) = Group::make(&self.name, limits);
        if !missing.is_empty() {
            log.line(&format!("Isolation: there is no limit of {} here", missing.join(", "))).await;
        }
        let doors: Vec<_> = group.doors().collect();
        let program = system::shell(&script::main_file(workspace));
        let command = self.agent.sandbox.command(workspace, limits.processes, &program, &doors);
        let ended = process::run(command, log, self.lease.clone(), process::Rest::Ends).await;
        group.remove().await;
        ended.map_err(|why| error(format!("the step cannot be started: {why}")))
    }

    /// What the log begins with.
    async fn header(&self, environment: &Environment, log: &Log) {
        let agent = self.agent;
        let plan = &self.assignment.plan;
        log.line(&format!("Runner: {} {{{}}}", agent.name, agent.id)).await;
        log.line(&format!("Runner labels: {}", agent.labels.join(", "))).await;
        log.line(&format!("Runner version: {}", env!("CARGO_PKG_VERSION"))).await;
        if self.in_shell() {
            for missing in &agent.sandbox.missing {
                log.line(&format!("Isolation: {missing}")).await;
            }
        } else {
            log.line(&format!("Image: {}", plan.image.name)).await;
        }
        let daemon = self.daemon();
        for service in &plan.services {
            let name = &service.name;
            if self.in_shell() {
                let what = if service.docker { "a Docker daemon is" } else { "services are" };
                log.line(&format!("Service {name}: it is left out: {what} for steps in images")).await;
                continue;
            }
            let image = if service.docker { daemon.as_ref() } else { service.image.as_ref() };
            let image = image.map_or("-", |image| image.name.as_str());
            log.line(&format!("Service: {name} ({image})")).await;
        }
        let names: Vec<_> = environment.variables.keys().map(String::as_str).collect();
        log.line(&format!("Variables: {}", names.join(", "))).await;
        for variable in self.assignment.variables.iter().filter(|variable| variable.output) {
            log.line(&format!("Output variable: {}={}", variable.name, variable.value)).await;
        }
        for name in &environment.left_out {
            log.line(&format!("The variable {name} cannot be set in a shell, and is left out")).await;
        }
    }

    async fn farewell(&self, verdict: &Verdict, log: &Log) {
        let told = match verdict {
            Verdict::Passed => return,
            Verdict::Failed { exit_code } => format!("The step failed with status {exit_code}"),
            Verdict::Stopped => "The step was stopped".to_owned(),
            Verdict::TimedOut { minutes } => format!("The step took longer than {minutes} minutes"),
            Verdict::Error { message } => format!("The step could not be run: {message}"),
        };
        log.line(&told).await;
    }

    /// The verdict of a step that had to end; nothing of one whose lease is lost.
    fn killed(&self, ending: Ending) -> Option<Verdict> {
        match ending {
            Ending::Lost => None,
            Ending::Stopped => Some(Verdict::Stopped),
            Ending::TimedOut => Some(Verdict::TimedOut { minutes: self.assignment.plan.max_time }),
            Ending::Exceeded(message) => Some(Verdict::Error { message }),
        }
    }

    fn watch_time(&self) -> Background {
        let (lease, time) = (self.lease.clone(), self.agent.settings.minute * self.assignment.plan.max_time);
        Background(tokio::spawn(async move {
            sleep(time).await;
            lease.end(Ending::TimedOut);
        }))
    }

    /// What its containers write, where it has any.
    fn layers(&self) -> Option<Layers> {
        let has = !self.in_shell() || !script::pipes(&self.assignment.plan).is_empty();
        let engine = self.agent.engine.clone().filter(|_| has);
        engine.map(|engine| Layers::new(engine, self.name.clone()))
    }

    /// Ends a step that has too much on the disk, in its folder and its containers. The more there is to look at, the more
    /// seldom it is looked.
    fn watch_disk(&self, workspace: &Workspace) -> Background {
        let (lease, root, limit) = (self.lease.clone(), workspace.root.clone(), self.agent.settings.disk);
        let mut layers = self.layers();
        Background(tokio::spawn(async move {
            loop {
                let begun = Instant::now();
                let (mut folders, elsewhere) = match &mut layers {
                    Some(layers) => layers.look().await,
                    None => (Vec::new(), 0),
                };
                folders.push(root.clone());
                let measured = tokio::task::spawn_blocking(move || usage(folders)).await.unwrap_or_default();
                let whole = measured.saturating_add(elsewhere);
                if whole > limit {
                    let told = format!("it had {whole} bytes on the disk, and may have {limit}");
                    return lease.end(Ending::Exceeded(told));
                }
                sleep((begun.elapsed() * 10).max(LOOK)).await;
            }
        }))
    }

    /// Removes all that is left of it.
    async fn clean(&self) {
        if let Some(engine) = &self.agent.engine {
            engine.remove(&self.name).await;
        }
        let workspace = Workspace { root: self.root(), owner: Default::default() };
        let removed = tokio::task::spawn_blocking(move || workspace.remove());
        // It tells what is left behind itself.
        let _ = removed.await;
    }
}

/// The verdict as it may be shown: what an engine or git says of a failure may hold a secret.
fn told_to_readers(verdict: Verdict, log: &Log) -> Verdict {
    let Verdict::Error { message } = verdict else { return verdict };
    let message = match log.secrets().masker() {
        Ok(mut masker) => hidden(&mut masker, &message),
        Err(error) => error.to_string(),
    };
    Verdict::Error { message }
}

/// The folder of a cache of a step without an image; nothing where it is not the step's.
fn in_workspace(workspace: &Workspace, path: &str) -> Option<PathBuf> {
    let below = |root: PathBuf, path: &str| crate::workspace::without_links(&root, Path::new(path));
    match path.strip_prefix('~') {
        Some("") => None,
        Some(rest) => below(workspace.home(), rest.strip_prefix('/')?),
        None if path.starts_with('/') => {
            Path::new(path).strip_prefix(&workspace.root).ok()?;
            let rest = Path::new(path).strip_prefix(workspace.build()).ok()?;
            crate::workspace::without_links(&workspace.build(), rest)
        }
        None => below(workspace.build(), path),
    }
}
