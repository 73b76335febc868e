//! A repository whose pushes start pipelines, what is asked about its runs, and who runs their steps: the program's own
//! runner, or a bare client of the runners' protocol, which does what a test says and nothing else.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use model::Secret;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{in_path, program, register_runner};
use crate::{Answer, GitClient, Login, Running, Server, World};

/// The runs of `one`.
pub const PIPELINES: &str = "/2.0/repositories/acme/one/pipelines";
/// The runners of `one`.
pub const RUNNERS: &str = "/2.0/repositories/acme/one/pipelines-config/runners";
/// The file that says what runs.
pub const FILE: &str = "bitbucket-pipelines.yml";
/// The labels of a runner that runs steps in a shell.
pub const SHELL: &[&str] = &["self.hosted", "linux.shell"];

/// How long anything but a run may take, and a whole run that a real runner runs: generous, since nothing is asserted on it.
const PATIENCE: Duration = Duration::from_secs(60);
const A_RUN: Duration = Duration::from_secs(120);
/// How long until it is looked for again.
const LOOK: Duration = Duration::from_millis(50);

/// The world with a working copy of `one`, whose git is the writer's. Nothing is pushed yet.
pub struct Scene {
    /// The world.
    pub world: World,
    /// Where `one` is cloned from.
    pub address: String,
    /// The writer's git.
    pub git: GitClient,
    /// The working copy.
    pub work: PathBuf,
    /// A folder for what the test keeps: the directory `runner` of [`Scene::agent`] among it.
    pub folder: TempDir,
}

/// A runner as the protocol has it.
pub struct BareRunner {
    /// Its credential.
    pub login: Login,
}

impl BareRunner {
    /// A runner with the credential that an answer gives it.
    ///
    /// # Panics
    /// When the answer gives none.
    #[must_use]
    pub fn of(answer: &Value) -> Self {
        let secret = answer["credential"].as_str().expect("a credential").to_owned();
        Self { login: Login::Bearer(Secret::new(secret)) }
    }
}

/// What a bare runner tells of its program.
#[must_use]
pub fn runner_program() -> Value {
    json!({ "version": "0.1.0", "os": "linux", "arch": "x86_64" })
}

/// Makes a runner of `one` as its administrator; the code to register it with.
///
/// # Panics
/// When it is refused.
pub async fn runner_code(world: &World, name: &str) -> String {
    let login = world.app_password("repoadmin");
    let made = world.server.send("POST", RUNNERS, &login, &json!({ "name": name })).await.expect(200);
    made["registration"]["code"].as_str().expect("a code").to_owned()
}

impl Scene {
    /// On a new server.
    pub async fn new() -> Self {
        Self::on(Server::start()).await
    }

    /// On a server.
    ///
    /// # Panics
    /// When any call fails.
    pub async fn on(server: Server) -> Self {
        let world = World::on(server).await;
        let (address, git) = (world.address("one"), world.git("writer"));
        let work = git.working_copy("work");
        let folder = tempfile::tempdir().expect("a folder");
        Self { world, address, git, work, folder }
    }

    /// Pushes the configuration to `main`, and whatever was committed before; the commit.
    ///
    /// # Panics
    /// When it is refused.
    pub fn push(&self, configuration: &str) -> String {
        let commit = self.git.commit(&self.work, FILE, configuration);
        let _ = self.git.run(&self.work, ["push", &self.address, "HEAD:main"]).expect_success();
        commit
    }

    /// A request of somebody's with an app password.
    pub async fn send(&self, person: &str, method: &str, path: &str, body: Value) -> Answer {
        self.world.server.send(method, path, &self.world.app_password(person), &body).await
    }

    /// The values of a page of a list, as the reader sees it.
    async fn list(&self, path: &str) -> Vec<Value> {
        values(self.send("reader", "GET", path, Value::Null).await.expect(200))
    }

    /// The newest run, once there are so many.
    ///
    /// # Panics
    /// When there never are.
    pub async fn run_number(&self, number: usize) -> Value {
        let begun = Instant::now();
        loop {
            let runs = self.list(PIPELINES).await;
            if runs.len() >= number {
                return runs[0].clone();
            }
            assert!(begun.elapsed() < PATIENCE, "{runs:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The run with this build number when it is over, and the logs of its steps.
    ///
    /// # Panics
    /// When it does not end, with what its steps have said.
    pub async fn result(&self, number: u64) -> (Value, Vec<String>) {
        let begun = Instant::now();
        loop {
            let runs = self.list(PIPELINES).await;
            let run = runs.into_iter().find(|run| run["build_number"] == number).unwrap_or_default();
            let is_over = run["state"]["name"] == "COMPLETED";
            if is_over || begun.elapsed() > A_RUN {
                assert!(!run.is_null(), "there is no run {number}");
                let logs = self.logs(&run).await;
                assert!(is_over, "{run}\n{}", logs.join("\n----\n"));
                return (run, logs);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A run as it is by now.
    ///
    /// # Panics
    /// When it is not found.
    pub async fn refreshed(&self, run: &Value) -> Value {
        let path = format!("{PIPELINES}/{}", in_path(&run["uuid"]));
        self.send("reader", "GET", &path, Value::Null).await.expect(200)
    }

    /// The steps of a run.
    ///
    /// # Panics
    /// When it is not found.
    pub async fn steps(&self, run: &Value) -> Vec<Value> {
        self.list(&format!("{PIPELINES}/{}/steps", in_path(&run["uuid"]))).await
    }

    /// The logs of a run's steps.
    ///
    /// # Panics
    /// When it is not found.
    pub async fn logs(&self, run: &Value) -> Vec<String> {
        let mut logs = Vec::new();
        for step in self.steps(run).await {
            let (run, step) = (in_path(&run["uuid"]), in_path(&step["uuid"]));
            let path = format!("{PIPELINES}/{run}/steps/{step}/log");
            logs.push(self.send("reader", "GET", &path, Value::Null).await.text);
        }
        logs
    }

    /// The audit events that a query of them finds, such as `action=pipeline.run`: the newest first, a hundred at the most.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn events(&self, query: &str) -> Vec<Value> {
        let path = format!("/api/audit/events?{query}&pagelen=100");
        values(self.world.server.administer("GET", &path, &Value::Null).await)
    }

    /// Registers the program's own runner, and starts it with these flags.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn agent(&self, flags: &[&str]) -> Running {
        let directory = self.folder.path().join("runner");
        let code = runner_code(&self.world, "builder").await;
        register_runner(&self.world.server.url, &directory, &code, &[]);
        let mut agent = Command::new(program());
        agent.args(["runner", "run", "--log", "warn", "--directory"]).arg(directory).args(flags);
        Running(agent.spawn().expect("the runner starts"))
    }

    /// Makes a runner and registers it by the protocol.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn bare_runner(&self, name: &str) -> BareRunner {
        self.registered(&runner_code(&self.world, name).await).await
    }

    /// Registers a runner by its code.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn registered(&self, code: &str) -> BareRunner {
        let body = json!({ "protocol": 1, "code": code, "program": runner_program() });
        let answer = self.world.server.send("POST", "/api/runner/register", &Login::Nobody, &body).await;
        BareRunner::of(&answer.expect(200))
    }

    /// What a runner asks.
    pub async fn ask(&self, runner: &BareRunner, path: &str, body: Value) -> Answer {
        self.world.server.send("POST", &format!("/api/runner/{path}"), &runner.login, &body).await
    }

    /// Asks for a step to run, for so many seconds; the job, where there is one.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn claim(&self, runner: &BareRunner, labels: &[&str], wait: u32) -> Option<Value> {
        let body = json!({ "protocol": 1, "program": runner_program(), "labels": labels, "wait": wait });
        let answer = self.ask(runner, "claim", body).await;
        match answer.status.as_u16() {
            204 => None,
            200 => Some(answer.json),
            other => panic!("{other}: {}", answer.text),
        }
    }

    /// What a runner says of the step that it runs: a call such as `heartbeat`, and what it says there beside the attempt.
    ///
    /// # Panics
    /// When the job names no step.
    pub async fn say(&self, runner: &BareRunner, job: &Value, call: &str, mut body: Value) -> Answer {
        body["attempt"] = job["attempt"].clone();
        let step = job["step"].as_str().expect("a step");
        self.ask(runner, &format!("steps/{step}/{call}"), body).await
    }

    /// The end of a step.
    ///
    /// # Panics
    /// When the job names no step.
    pub async fn finish(&self, runner: &BareRunner, job: &Value, verdict: Value, outputs: Value) -> Answer {
        self.say(runner, job, "finish", json!({ "verdict": verdict, "outputs": outputs })).await
    }
}

fn values(mut page: Value) -> Vec<Value> {
    match page["values"].take() {
        Value::Array(values) => values,
        other => panic!("a list, not {other}"),
    }
}
