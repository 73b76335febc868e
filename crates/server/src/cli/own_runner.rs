//! `bastide serve --with-runner`: a runner of the installation itself, on the server's own machine.
//!
//! It is a process of its own, so that what steps do to their agent they do not do to the server, and it ends with the
//! server. Each start gives it a new credential, which nobody sees and no later start can use.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use model::{Clock, Error, Random, RequestId, Result};
use rustix::process::{Pid, Signal, kill_process};
use service::{Caller, Service};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Its folder, in the data directory.
const FOLDER: &str = "runner";
/// How long it may take to end its steps with the server; then they are killed, and begun anew by whoever claims them next.
const GRACE: Duration = Duration::from_secs(10);
/// How long is waited before one that ended by itself is begun again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// What it is told of the server's environment, by how the names begin: what programs and containers need. Nothing else
/// goes there, since passwords and keys of the server may stand in its environment.
const TOLD: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_",
    "TZ",
    "TMPDIR",
    "XDG_",
    "CONTAINERS_",
    "DOCKER_",
    "DBUS_SESSION_BUS_ADDRESS",
    "SSL_CERT_",
];

/// How it is begun.
#[derive(Clone)]
pub(super) struct How {
    /// The data directory.
    pub data: PathBuf,
    /// How the server is reached from here.
    pub url: String,
    /// Certificates that are trusted beside the system's.
    pub trusted: Option<PathBuf>,
    /// What steps must not see beside the data directory: files that hold what the server keeps secret.
    pub hidden: Vec<PathBuf>,
    /// How many steps may run at once.
    pub steps: u32,
}

/// A runner that runs, or is begun again when it ended by itself.
pub(super) struct OwnRunner {
    watching: JoinHandle<()>,
    end: watch::Sender<bool>,
}

impl OwnRunner {
    /// Begins it.
    ///
    /// # Errors
    /// When its folder cannot be used, or the program cannot be started.
    pub(super) async fn begin(service: Service, how: How) -> Result<Self> {
        let first = begin(&service, &how).await?;
        let (end, ended) = watch::channel(false);
        Ok(Self { watching: tokio::spawn(watch_over(first, service, how, ended)), end })
    }

    /// Ends it, and the steps that it runs.
    pub(super) async fn finish(self) {
        // Nobody may be left to hear it.
        let _ = self.end.send(true);
        if let Err(error) = self.watching.await {
            tracing::error!(%error, "the runner was not watched over");
        }
    }
}

async fn begin(service: &Service, how: &How) -> Result<Child> {
    let directory = how.data.join(FOLDER);
    let operator = Caller::operator(RequestId::new(&Random::system()));
    let registered = service.begin_own_runner(&operator).await?;
    runner::enroll(&directory, &how.url, how.trusted.as_deref(), registered, &Clock::system()).await?;
    let program = std::env::current_exe().map_err(Error::internal)?;
    let steps = how.steps.to_string();
    let mut command = Command::new(&program);
    // Tied first: it ends with this process, however that ends.
    command.args(["runner", "tied", &std::process::id().to_string(), "--"]).arg(&program);
    command.args(["runner", "run", "--sandboxed", "--max-steps", &steps, "--directory"]).arg(&directory);
    for path in std::iter::once(&how.data).chain(&how.hidden) {
        command.arg("--hide").arg(path);
    }
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| told(name)));
    command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    command.spawn().map_err(|error| Error::internal(format!("the runner cannot be started: {error}")))
}

fn told(name: &OsString) -> bool {
    name.to_str().is_some_and(|name| TOLD.iter().any(|begin| name.starts_with(begin)))
}

async fn watch_over(mut child: Child, service: Service, how: How, mut end: watch::Receiver<bool>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let begun = Instant::now();
        tokio::select! {
            status = child.wait() => {
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                tracing::error!(%status, "the installation's runner ended, and is begun again");
            }
            () = told_to_end(&mut end) => return stop(child).await,
        }
        if begun.elapsed() > LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        }
        child = loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                () = told_to_end(&mut end) => return,
            }
            match begin(&service, &how).await {
                Ok(child) => break child,
                Err(error) => tracing::error!(%error, "the installation's runner cannot be begun"),
            }
        };
    }
}

async fn told_to_end(end: &mut watch::Receiver<bool>) {
    // Where nobody is left to tell it, it ends as well.
    let _ = end.wait_for(|end| *end).await;
}

async fn stop(mut child: Child) {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(id) = id {
        // Where it has just ended there is nobody to tell.
        let _ = kill_process(id, Signal::TERM);
    }
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        tracing::warn!("steps of the installation's runner are cut off: they begin anew on the next runner");
        let _ = child.kill().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a server's password that reaches the agent of untrusted steps.
    #[test]
    fn what_the_server_keeps_secret_is_not_told() {
        for name in ["PATH", "XDG_RUNTIME_DIR", "CONTAINERS_CONF", "LC_ALL"] {
            assert!(told(&name.into()), "{name}");
        }
        for name in ["BASTIDE_MASTER_KEY", "BASTIDE_DATABASE_PASSWORD", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY"]
        {
            assert!(!told(&name.into()), "{name}");
        }
    }
}
