//! A real `bastide` process on a free port of loopback, with a data directory of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use model::Secret;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

/// How long a server may take to listen: generous, since nothing is asserted on it.
const START: Duration = Duration::from_secs(60);

/// The program under test: beside the tests' own programs.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn program() -> PathBuf {
    let mut folder = std::env::current_exe().expect("the test's own program has a path");
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    let program = folder.join("bastide");
    assert!(program.exists(), "`{}` is missing: build it with `cargo build -p server`", program.display());
    program
}

/// How a request authenticates.
#[derive(Clone)]
pub enum Login {
    /// Not at all.
    Nobody,
    /// `Authorization: Bearer`.
    Bearer(Secret),
    /// `Authorization: Basic`.
    Basic(String, Secret),
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body, where it is JSON.
    pub json: Value,
    /// The body as text.
    pub text: String,
}

impl Answer {
    /// The body of an answer that must have this status.
    ///
    /// # Panics
    /// When it has another one, with all that was said.
    #[track_caller]
    #[must_use]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.json
    }

    /// A header's text; empty when there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A running server, its first administrator, and a client.
pub struct Server {
    child: Child,
    data: PathBuf,
    /// Removes the data directory at the end, where it is the server's own.
    _own: Option<TempDir>,
    arguments: Vec<String>,
    client: reqwest::Client,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// The first administrator's API token.
    pub administrator: Login,
}

impl Server {
    /// A server on SQLite in a new data directory, with its first administrator `root`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        let own = tempfile::tempdir().expect("a temporary directory");
        let mut server = Self::start_in(own.path(), &[]);
        server._own = Some(own);
        server
    }

    /// The same in a directory of the test's choosing and with more arguments for every command that takes `--data`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_in(data: &Path, arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let output = Command::new(program())
            .args(["admin", "init", "--json", "--username", "root", "--email", "root@example.com", "--data"])
            .arg(data)
            .args(&arguments)
            .output()
            .expect("`bastide admin init` runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let made: Value = serde_json::from_slice(&output.stdout).expect("`admin init --json` prints JSON");
        let token = made["api_token"].as_str().expect("the first token").to_owned();
        let administrator = Login::Basic("root@example.com".to_owned(), Secret::new(token));
        Self::open(data, arguments, administrator)
    }

    /// A server on data that are there already, with a token of an administrator's in them.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn open(data: &Path, arguments: Vec<String>, administrator: Login) -> Self {
        let (child, url) = spawn(data, &arguments);
        Self {
            child,
            data: data.to_owned(),
            _own: None,
            arguments,
            client: reqwest::Client::new(),
            url,
            administrator,
        }
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process without a word, as a crash does.
    ///
    /// # Panics
    /// When it cannot be ended.
    pub fn kill(&mut self) {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("the server has ended");
    }

    /// Asks the process to end and waits for it; its exit code.
    ///
    /// # Panics
    /// When it cannot be asked.
    pub fn stop(&mut self) -> Option<i32> {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(asked.expect("kill runs").success());
        self.child.wait().expect("the server has ended").code()
    }

    /// Starts it again on the same data, on another port.
    pub fn restart(&mut self) {
        let (child, url) = spawn(&self.data, &self.arguments);
        self.child = child;
        self.url = url;
    }

    /// Runs a command of the program on this server's data directory.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> std::process::Output {
        Command::new(program())
            .args(words)
            .arg("--data")
            .arg(&self.data)
            .args(&self.arguments)
            .output()
            .expect("the command runs")
    }

    /// One request with a JSON body, or none for `Value::Null`.
    ///
    /// # Panics
    /// When no answer comes.
    pub async fn send(&self, method: &str, path: &str, login: &Login, body: &Value) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        request = match login {
            Login::Nobody => request,
            Login::Bearer(secret) => request.bearer_auth(secret.expose()),
            Login::Basic(user, secret) => request.basic_auth(user, Some(secret.expose())),
        };
        if !body.is_null() {
            request = request.json(body);
        }
        read(request.send().await.expect("an answer")).await
    }

    /// A request of the first administrator's that must succeed; its body.
    ///
    /// # Panics
    /// When it does not.
    pub async fn administer(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.send(method, path, &self.administrator, body).await;
        assert!(answer.status.is_success(), "{method} {path}: {} {}", answer.status, answer.text);
        answer.json
    }

    /// The client, for what [`Server::send`] does not do.
    #[must_use]
    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn read(response: reqwest::Response) -> Answer {
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.unwrap_or_default();
    let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Answer { status, headers, json, text: String::from_utf8_lossy(&bytes).into_owned() }
}

fn spawn(data: &Path, arguments: &[String]) -> (Child, String) {
    let mut child = Command::new(program())
        .args(["serve", "--json", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the server starts");
    let stdout = child.stdout.take().expect("its output is read");
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Read to the end, so that the server never waits for its reader.
            let _ = sender.send(line);
        }
    });
    let end = Instant::now() + START;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        let Ok(line) = receiver.recv_timeout(left) else { break };
        let told: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
        if let Some(url) = told["listening"].as_str() {
            return (child, url.to_owned());
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    panic!("the server did not say where it listens");
}
