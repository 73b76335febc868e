//! A server behind a certificate of a throwaway authority, with a runner that trusts that authority.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::pipeline::FILE;
use testkit::server::{program, register_runner};
use testkit::{GitClient, Running, Server, World, free_port, in_path};

/// What the server's certificate says.
const NAMES: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n\
    subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";

fn openssl(folder: &Path, words: &str) {
    let made = Command::new("openssl").args(words.split(' ')).current_dir(folder).output();
    let made = made.expect("`openssl` runs: Debian's package openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// An authority: its certificate.
pub(crate) fn authority(folder: &Path, name: &str) -> PathBuf {
    let words = format!(
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -addext keyUsage=critical,keyCertSign \
         -keyout {name}.key -out {name}.pem"
    );
    openssl(folder, &words);
    folder.join(format!("{name}.pem"))
}

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) folder: tempfile::TempDir,
    /// The authority's certificate.
    pub(crate) trusted: PathBuf,
    /// The address by which clients know the server.
    pub(crate) base: String,
    git: GitClient,
}

impl Scene {
    pub(crate) async fn new(flags: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path();
        let trusted = authority(at, "authority");
        openssl(at, "req -new -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out request.pem");
        std::fs::write(at.join("names"), NAMES).expect("a file");
        openssl(
            at,
            "x509 -req -in request.pem -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 \
             -extfile names -out certificate.pem",
        );
        let port = free_port();
        let base = format!("https://localhost:{port}");
        let (listen, text) = (format!("127.0.0.1:{port}"), |name: &str| at.join(name).display().to_string());
        let (certificate, key) = (text("certificate.pem"), text("key.pem"));
        let mut all =
            vec!["--listen", &listen, "--base-url", &base, "--tls-cert", &certificate, "--tls-key", &key];
        all.extend(flags);
        let pem = std::fs::read(&trusted).expect("the certificate");
        let root = reqwest::Certificate::from_pem(&pem).expect("a certificate");
        let client = reqwest::Client::builder().tls_certs_only([root]).build().expect("a client");
        let world = World::on(Server::start_for(client, &all, environment)).await;
        let git = GitClient::new()
            .with_login(&base, &world.app_password("owner"))
            .setting("http.sslCAInfo", &trusted.display().to_string());
        Self { world, folder, trusted, base, git }
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Value) -> testkit::Answer {
        let login = match path.starts_with("/api/") {
            true => self.world.password("owner"),
            false => self.world.app_password("owner"),
        };
        self.world.server.send(method, path, &login, &body).await
    }

    /// The issuer of a workspace's tokens.
    pub(crate) async fn issuer(&self, workspace: &str) -> String {
        let found = self.send("GET", &format!("/2.0/workspaces/{workspace}"), Value::Null).await.expect(200);
        let id = found["uuid"].as_str().expect("an id").trim_matches(['{', '}']).to_owned();
        format!("{}/2.0/workspaces/{id}/pipelines-config/identity/oidc", self.base)
    }

    /// Registers a runner of the workspace with the command, and starts it.
    pub(crate) async fn agent(&self, flags: &[&str]) -> Running {
        self.agent_within(flags, &[]).await
    }

    /// The same, with more in its environment.
    pub(crate) async fn agent_within(&self, flags: &[&str], environment: &[(&str, &Path)]) -> Running {
        let runners = "/2.0/workspaces/acme/pipelines-config/runners";
        let made = self.send("POST", runners, json!({ "name": "builder" })).await.expect(200);
        let code = made["registration"]["code"].as_str().expect("a code");
        let directory = self.folder.path().join("runner");
        register_runner(&self.base, &directory, code, &["--trust".as_ref(), self.trusted.as_ref()]);
        let mut agent = Command::new(program());
        agent.args(["runner", "run", "--log", "warn", "--directory"]).arg(&directory).args(flags);
        agent.envs(environment.iter().copied());
        Running(agent.spawn().expect("the runner starts"))
    }

    /// Pushes files, the configuration among them, to a branch of a repository that has none of them, and waits for the
    /// run that this starts: how it went, and the logs of its steps.
    pub(crate) async fn run(
        &self,
        repository: &str,
        branch: &str,
        configuration: &str,
        files: &[(&str, &str)],
    ) -> (Value, Vec<String>) {
        let work = self.git.working_copy(&format!("{repository}-{branch}"));
        for (name, text) in files {
            let _ = self.git.commit(&work, name, text);
        }
        let _ = self.git.commit(&work, FILE, configuration);
        let address = format!("{}/acme/{repository}.git", self.base);
        let _ = self.git.run(&work, ["push", &address, &format!("HEAD:{branch}")]).expect_success();
        let pipelines = format!("/2.0/repositories/acme/{repository}/pipelines");
        let begun = Instant::now();
        loop {
            let runs = self.send("GET", &pipelines, Value::Null).await.expect(200);
            let runs = runs["values"].as_array().expect("runs");
            let run = runs.iter().find(|run| run["target"]["ref_name"] == branch).cloned();
            let run = run.unwrap_or_default();
            if run["state"]["name"] == "COMPLETED" {
                let logs = self.logs(&pipelines, &run).await;
                return (run, logs);
            }
            if begun.elapsed() > Duration::from_secs(180) {
                panic!("{run}\n{}", self.logs(&pipelines, &run).await.join("\n----\n"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) async fn logs(&self, pipelines: &str, run: &Value) -> Vec<String> {
        let steps = format!("{pipelines}/{}/steps", run["build_number"]);
        let found = self.send("GET", &steps, Value::Null).await.expect(200);
        let mut logs = Vec::new();
        for step in found["values"].as_array().expect("steps") {
            let path = format!("{steps}/{}/log", in_path(&step["uuid"]));
            logs.push(self.send("GET", &path, Value::Null).await.text);
        }
        logs
    }
}
