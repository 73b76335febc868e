//! Amazon, as far as steps go (`tests/secretless/amazon.py`), its SDK, and an image of a pipe that has it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use testkit::Running;

pub(crate) const IMAGE: &str = "localhost/bastide-amazon:1";
/// The same with a service in it, which answers over HTTP at port 5000.
pub(crate) const SERVICE: &str = "localhost/bastide-amazon-service:1";
const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/secretless");

/// Where Python's packages are, beside what was built.
pub(crate) fn packages() -> PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| {
        let mut folder = std::env::current_exe().expect("a path");
        for _ in 0..3 {
            folder.pop();
        }
        let folder = folder.join("amazon");
        let wanted = std::fs::read_to_string(format!("{OURS}/requirements.txt")).expect("a file");
        let complete = folder.join("installed.txt");
        if std::fs::read_to_string(&complete).ok().as_ref() != Some(&wanted) {
            let told = "python3 makes an environment: Debian's package python3-venv";
            let made = Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(&folder).status();
            assert!(made.expect("python3 runs").success(), "{told}");
            let mut pip = Command::new(folder.join("bin/pip"));
            pip.args(["install", "--quiet", "-r", &format!("{OURS}/requirements.txt")]);
            assert!(pip.status().expect("pip runs").success(), "pip installs moto and boto3");
            std::fs::write(complete, wanted).expect("a file");
        }
        folder
    });
    installed.clone()
}

fn succeeds(command: &mut Command) {
    let made = command.output().expect("the program runs");
    assert!(made.status.success(), "{command:?}: {}", String::from_utf8_lossy(&made.stderr));
}

/// The image of a pipe, made of what this machine has.
pub(crate) fn image(folder: &Path) {
    let tar = folder.join("image.tar");
    let versions = std::fs::read_dir(packages().join("lib")).expect("a folder");
    let version = versions.flatten().next().expect("a version of Python").path();
    let mut made = Command::new("/usr/bin/python3");
    made.arg(format!("{OURS}/image.py")).arg(version.join("site-packages"));
    succeeds(made.arg(format!("{OURS}/cloud.py")).arg(&tar));
    let pipe = r#"ENTRYPOINT ["/usr/bin/python3","-u","/pipe.py"]"#;
    let service = r#"ENTRYPOINT ["/usr/bin/python3","-m","http.server","5000"]"#;
    for (name, entrypoint) in [(IMAGE, pipe), (SERVICE, service)] {
        succeeds(Command::new("podman").args(["import", "--change", entrypoint]).arg(&tar).arg(name));
    }
}

pub(crate) struct Amazon {
    _running: Running,
    pub(crate) port: u16,
    client: reqwest::Client,
}

impl Amazon {
    pub(crate) fn start(trusted: &Path) -> Self {
        let mut python = Command::new(packages().join("bin/python"));
        python.arg(format!("{OURS}/amazon.py")).arg(trusted).env_remove("SSL_CERT_DIR");
        python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut running = Running(python.spawn().expect("python runs"));
        let mut line = String::new();
        let output = running.0.stdout.take().expect("an output");
        let _ = BufReader::new(output).read_line(&mut line).expect("a line");
        let port = line.trim().parse().expect("moto starts and a port is told");
        Self { _running: running, port, client: reqwest::Client::new() }
    }

    async fn ask(&self, method: reqwest::Method, path: &str, body: Option<&Value>) -> Value {
        let mut request = self.client.request(method, format!("http://127.0.0.1:{}/-/{path}", self.port));
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.expect("an answer").json().await.expect("JSON")
    }

    /// Says what the account holds: `users`, `providers`, `roles`.
    pub(crate) async fn holds(&self, account: &Value) {
        let _ = self.ask(reqwest::Method::PUT, "account", Some(account)).await;
    }

    /// What was asked of the token service, and what came of it.
    pub(crate) async fn log(&self) -> Vec<Value> {
        let told = self.ask(reqwest::Method::GET, "log", None).await;
        told.as_array().expect("a list").clone()
    }
}
