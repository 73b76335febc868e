//! The agent: asks for steps, runs as many at once as it may, and keeps its credential fresh.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::{Error, Result};
use pipeline::protocol::{Claim, LONGEST_WAIT, Program, VERSION};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::container::Engine;
use crate::registration::Registration;
use crate::sandbox::Sandbox;
use crate::server::{CallError, Server};
use crate::settings::Settings;
use crate::step;

/// How long is waited after a claim that failed, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What all slots of an agent have in common.
pub(crate) struct Agent {
    pub(crate) settings: Settings,
    pub(crate) server: Server,
    pub(crate) sandbox: Sandbox,
    pub(crate) engine: Option<Engine>,
    pub(crate) labels: Vec<String>,
    pub(crate) directory: PathBuf,
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) trusted: Option<PathBuf>,
}

/// Runs the agent of a folder until `shutdown` says so; steps that run then are brought to their end.
///
/// # Errors
/// When no runner is registered in the folder, another agent works in it, or the server knows the runner no more.
pub async fn run(mut settings: Settings, shutdown: watch::Receiver<bool>) -> Result<()> {
    let registration = Registration::open(&settings.directory).await?;
    let server = registration.server()?;
    let directory = registration.directory().to_owned();
    let engine = if settings.containers { Engine::probe(&directory).await } else { None };
    // What an agent that was killed has left.
    if let Some(engine) = &engine {
        engine.sweep().await;
    }
    let work = directory.join("work");
    for entry in std::fs::read_dir(&work).into_iter().flatten().flatten() {
        let owner = crate::workspace::Owner::default();
        crate::workspace::Workspace { root: entry.path(), owner }.remove();
    }
    for path in &settings.hidden {
        if let Err(error) = path.canonicalize() {
            return Err(Error::invalid(format!("--hide: `{}` cannot be hidden: {error}", path.display())));
        }
    }
    let mut exposed = settings.exposed.clone();
    exposed.extend(registration.trusted().map(std::path::Path::to_owned));
    let sandbox = Sandbox::probe(&settings, &directory, &exposed).await;
    for missing in &sandbox.missing {
        tracing::warn!(%missing, "isolation");
    }
    if settings.sandboxed && !sandbox.missing.is_empty() && settings.shell {
        settings.shell = false;
        tracing::warn!("no step without an image is taken here, since there is no sandbox for it");
    }
    if !settings.shell && engine.is_none() {
        let message =
            "no kind of step can be run here: there are no containers, and no other steps are taken";
        return Err(Error::invalid(message));
    }
    let agent = Arc::new(Agent {
        labels: labels(&settings, engine.as_ref()),
        name: registration.name().to_owned(),
        id: registration.id().to_owned(),
        trusted: registration.trusted().map(std::path::Path::to_owned),
        settings,
        server,
        sandbox,
        engine,
        directory,
    });
    tracing::info!(name = %agent.name, labels = ?agent.labels, "the runner asks for steps");
    let mut slots = JoinSet::new();
    for slot in 0..agent.settings.steps.max(1) {
        slots.spawn(claim_steps(agent.clone(), slot, shutdown.clone()));
    }
    let rotating = rotate(registration, agent.clone());
    let ended = async {
        while let Some(ended) = slots.join_next().await {
            ended.map_err(Error::internal)??;
        }
        Ok(())
    };
    tokio::select! {
        ended = ended => ended,
        never = rotating => never,
    }
}

/// What runs here.
pub(crate) fn program(engine: Option<&Engine>) -> Program {
    Program {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        containers: engine.map(Engine::title),
    }
}

/// What follows from what can be done here.
fn labels(settings: &Settings, engine: Option<&Engine>) -> Vec<String> {
    let mut labels = vec!["self.hosted".to_owned()];
    match std::env::consts::OS {
        "linux" => {
            if settings.shell {
                labels.push("linux.shell".to_owned());
            }
            if engine.is_some() {
                labels.push("linux".to_owned());
                if std::env::consts::ARCH == "aarch64" {
                    labels.push("linux.arm64".to_owned());
                }
            }
        }
        other if settings.shell => labels.push(other.to_owned()),
        _ => {}
    }
    labels
}

/// One slot: a step after the other.
async fn claim_steps(agent: Arc<Agent>, slot: u32, mut shutdown: watch::Receiver<bool>) -> Result<()> {
    let claim = Claim {
        protocol: VERSION,
        program: program(agent.engine.as_ref()),
        labels: agent.labels.clone(),
        wait: LONGEST_WAIT,
    };
    let mut pause = FIRST_PAUSE;
    loop {
        let asked = Instant::now();
        let claimed = tokio::select! {
            claimed = agent.server.claim(&claim) => claimed,
            _ = shutdown.wait_for(|end| *end) => return Ok(()),
        };
        match claimed {
            Ok(Some(assignment)) => {
                pause = FIRST_PAUSE;
                // The lease began somewhere within the wait, so it is renewed at once.
                step::execute(&agent, slot, assignment).await;
                if agent.settings.once {
                    return Ok(());
                }
            }
            Ok(None) => {
                pause = FIRST_PAUSE;
                // A server that does not wait is not asked without end.
                if asked.elapsed() < Duration::from_millis(100) {
                    sleep(Duration::from_millis(250)).await;
                }
            }
            Err(CallError::Refused { status: 401 | 403, message }) => {
                return Err(Error::invalid(format!(
                    "the server does not know this runner any more ({message}); register it anew"
                )));
            }
            Err(error) => {
                tracing::warn!(%error, "no step could be asked for");
                tokio::select! {
                    () = sleep(pause) => {}
                    _ = shutdown.wait_for(|end| *end) => return Ok(()),
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Replaces the credential whenever it is time.
async fn rotate(mut registration: Registration, agent: Arc<Agent>) -> Result<()> {
    loop {
        sleep(Duration::from_secs(registration.rotates_in(&agent.settings.clock).max(1))).await;
        match registration.rotate(&agent.server, &agent.settings.clock).await {
            Ok(()) => tracing::info!("the credential was replaced"),
            Err(error) => {
                tracing::warn!(%error, "the credential could not be replaced; it is tried again");
                sleep(LONGEST_PAUSE).await;
            }
        }
    }
}
