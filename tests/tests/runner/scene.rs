//! A server, a repository that is pushed to, and the real runner.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::server::{program, register_runner};
use testkit::{Answer, GitClient, Login, Running, World};

pub(crate) const PIPELINES: &str = "/2.0/repositories/acme/one/pipelines";
pub(crate) const RUNNERS: &str = "/2.0/repositories/acme/one/pipelines-config/runners";
pub(crate) const FILE: &str = "bitbucket-pipelines.yml";

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) address: String,
    pub(crate) git: GitClient,
    pub(crate) work: PathBuf,
    pub(crate) folder: tempfile::TempDir,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::on(World::new().await)
    }

    /// On a port of its own, so that a server that comes back is found again.
    pub(crate) async fn on_a_port() -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("its address").to_string();
        drop(free);
        Self::on(World::on(testkit::Server::start_with(&["--listen", &address])).await)
    }

    pub(crate) fn on(world: World) -> Self {
        let address = format!("{}/acme/one.git", world.server.url);
        let Login::Basic(name, secret) = world.app_password("writer") else { panic!("an app password") };
        let git = GitClient::new().with_credential(&world.server.url, &name, &secret);
        let work = git.working_copy("work");
        let folder = tempfile::tempdir().expect("a folder");
        Self { world, address, git, work, folder }
    }

    pub(crate) async fn send(&self, person: &str, method: &str, path: &str, body: Value) -> Answer {
        self.world.server.send(method, path, &self.world.app_password(person), &body).await
    }

    /// Registers a runner with the command, and starts it.
    pub(crate) async fn agent(&self, flags: &[&str]) -> Running {
        let made = self.send("repoadmin", "POST", RUNNERS, json!({ "name": "builder" })).await.expect(200);
        let code = made["registration"]["code"].as_str().expect("a code");
        let directory = self.folder.path().join("runner");
        register_runner(&self.world.server.url, &directory, code, &[]);
        let agent = Command::new(program())
            .args(["runner", "run", "--log", "warn", "--directory"])
            .arg(&directory)
            .args(flags)
            .spawn();
        Running(agent.expect("the runner starts"))
    }

    pub(crate) fn push(&self, configuration: &str) {
        let _ = self.git.commit(&self.work, FILE, configuration);
        let _ = self.git.run(&self.work, ["push", &self.address, "HEAD:main"]).expect_success();
    }

    /// The newest run when it is over, and the logs of its steps.
    pub(crate) async fn result(&self) -> (Value, Vec<String>) {
        let begun = Instant::now();
        loop {
            let runs = self.send("reader", "GET", PIPELINES, Value::Null).await.expect(200);
            let run = runs["values"][0].clone();
            if run["state"]["name"] == "COMPLETED" {
                let logs = self.logs(&run).await;
                return (run, logs);
            }
            if begun.elapsed() > Duration::from_secs(120) {
                panic!("{run}\n{}", self.logs(&run).await.join("\n----\n"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) async fn logs(&self, run: &Value) -> Vec<String> {
        let steps = format!("{PIPELINES}/{}/steps", run["build_number"]);
        let found = self.send("reader", "GET", &steps, Value::Null).await.expect(200);
        let mut logs = Vec::new();
        for step in found["values"].as_array().expect("steps") {
            let uuid = step["uuid"].as_str().expect("an id").replace('{', "%7B").replace('}', "%7D");
            logs.push(self.send("reader", "GET", &format!("{steps}/{uuid}/log"), Value::Null).await.text);
        }
        logs
    }
}
