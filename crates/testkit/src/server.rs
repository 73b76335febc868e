//! A real `bastide` process on a free port of loopback, with a data directory of its own.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use model::Secret;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

use crate::Transcript;

/// How long a server may take to say something: generous, since nothing is asserted on it.
const PATIENCE: Duration = Duration::from_secs(60);

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

/// Registers a runner with the command, which reads the one-time code from its input.
pub fn register_runner(url: &str, directory: &Path, code: &str, flags: &[&OsStr]) {
    let mut register = Command::new(program());
    register.args(["runner", "register", "--url", url, "--directory"]).arg(directory).args(flags);
    let mut register = register.stdin(Stdio::piped()).spawn().expect("the command runs");
    let mut input = register.stdin.take().expect("an input");
    input.write_all(code.as_bytes()).expect("it reads the code");
    drop(input);
    assert!(register.wait().expect("it ends").success(), "the runner is registered");
}

/// Runs a command of the program to its end, with no master key from this process's environment.
///
/// # Panics
/// When it cannot be run.
#[must_use]
pub fn bastide(words: &[&str]) -> Transcript {
    let mut command = Command::new(program());
    command.args(words).env_remove("BASTIDE_MASTER_KEY").output().expect("the program runs").into()
}

/// A port of loopback that nobody listens on now: for what must be known by its address before it listens, or come back where
/// it was.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// An id as an answer has it, in braces, as a part of a path.
///
/// # Panics
/// When it is no text.
#[must_use]
pub fn in_path(id: &Value) -> String {
    id.as_str().expect("an id").replace('{', "%7B").replace('}', "%7D")
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
    /// The cookie of somebody who signed in with a browser.
    Session(Secret),
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
    process: Process,
    data: PathBuf,
    /// Removes the data directory at the end, where it is the server's own.
    _own: Option<TempDir>,
    arguments: Vec<String>,
    flags: Vec<String>,
    client: reqwest::Client,
    /// `http://127.0.0.1:PORT`; with a certificate, `https://`.
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
        Self::start_with(&[])
    }

    /// The same with more flags for `bastide serve` alone.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_with(flags: &[&str]) -> Self {
        let own = tempfile::tempdir().expect("a temporary directory");
        let administrator = init(own.path(), &[]);
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        let mut server = Self::run(own.path(), Vec::new(), flags, administrator);
        server._own = Some(own);
        server
    }

    /// The same with variables in the server's environment.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_with_environment(flags: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_for(reqwest::Client::new(), flags, environment)
    }

    /// The same for a client of the test's own, such as one that trusts the server's certificate.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_for(client: reqwest::Client, flags: &[&str], environment: &[(&str, &str)]) -> Self {
        let own = tempfile::tempdir().expect("a temporary directory");
        let administrator = init(own.path(), &[]);
        let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let (process, url) = Process::spawn_with(own.path(), &[], &flags, environment);
        let data = own.path().to_owned();
        Self { process, data, _own: Some(own), arguments: Vec::new(), flags, client, url, administrator }
    }

    /// The same, known by the name `localhost`, to which passkeys can be bound; see [`Server::named_url`].
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_named() -> Self {
        let port = free_port();
        let (listen, site) = (format!("127.0.0.1:{port}"), format!("http://localhost:{port}"));
        Self::start_with(&["--listen", &listen, "--base-url", &site])
    }

    /// The address by its name rather than its number.
    #[must_use]
    pub fn named_url(&self) -> String {
        self.url.replacen("127.0.0.1", "localhost", 1)
    }

    /// The same in a directory of the test's choosing and with more arguments for every command that takes `--data`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_in(data: &Path, arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let administrator = init(data, &arguments);
        Self::open(data, arguments, administrator)
    }

    /// A server on data that are there already, with a token of an administrator's in them.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn open(data: &Path, arguments: Vec<String>, administrator: Login) -> Self {
        Self::run(data, arguments, Vec::new(), administrator)
    }

    fn run(data: &Path, arguments: Vec<String>, flags: Vec<String>, administrator: Login) -> Self {
        let (process, url) = Process::spawn(data, &arguments, &flags);
        let client = reqwest::Client::new();
        Self { process, data: data.to_owned(), _own: None, arguments, flags, client, url, administrator }
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.child.id()
    }

    /// Ends the process without a word, as a crash does.
    ///
    /// # Panics
    /// When it cannot be ended.
    pub fn kill(&mut self) {
        self.process.child.kill().expect("the server can be killed");
        let _ = self.wait();
    }

    /// Sends the process a signal, such as `TERM` or `HUP`.
    ///
    /// # Panics
    /// When it cannot be sent.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for the process's end; its exit code.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn wait(&mut self) -> Option<i32> {
        self.process.child.wait().expect("the server has ended").code()
    }

    /// Asks the process to end and waits for it; its exit code.
    ///
    /// # Panics
    /// When it cannot be asked.
    pub fn stop(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.wait()
    }

    /// Waits until the log says something, after what was waited for before; the whole line.
    ///
    /// # Panics
    /// When it does not.
    pub fn logged(&self, text: &str) -> String {
        let lines = self.process.log.lock().unwrap_or_else(PoisonError::into_inner);
        let found = first(&lines, |line| line.contains(text).then(|| line.to_owned()));
        found.unwrap_or_else(|| panic!("the log does not say `{text}`"))
    }

    /// All that this process has written to its log so far.
    #[must_use]
    pub fn whole_log(&self) -> String {
        self.process.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts it again on the same data, on another port.
    pub fn restart(&mut self) {
        let (process, url) = Process::spawn(&self.data, &self.arguments, &self.flags);
        (self.process, self.url) = (process, url);
    }

    /// Runs a command of the program on this server's data directory.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Transcript {
        Command::new(program())
            .args(words)
            .arg("--data")
            .arg(&self.data)
            .args(&self.arguments)
            .output()
            .expect("the command runs")
            .into()
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
            Login::Session(secret) => request.header("cookie", format!("session={}", secret.expose())),
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

pub(crate) async fn read(response: reqwest::Response) -> Answer {
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.unwrap_or_default();
    let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Answer { status, headers, json, text: String::from_utf8_lossy(&bytes).into_owned() }
}

/// Makes an installation with its first administrator `root`.
fn init(data: &Path, arguments: &[String]) -> Login {
    let output = Command::new(program())
        .args(["admin", "init", "--json", "--username", "root", "--email", "root@example.com", "--data"])
        .arg(data)
        .args(arguments)
        .output()
        .expect("`bastide admin init` runs");
    let made = Transcript::from(output);
    let made: Value = serde_json::from_str(made.expect_success()).expect("`admin init --json` prints JSON");
    let token = made["api_token"].as_str().expect("the first token").to_owned();
    Login::Basic("root@example.com".to_owned(), Secret::new(token))
}

/// `bastide serve`, killed when this is dropped.
struct Process {
    child: Child,
    log: Mutex<Receiver<String>>,
    said: Arc<Mutex<String>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts one; also where it listens.
    fn spawn(data: &Path, arguments: &[String], flags: &[String]) -> (Self, String) {
        Self::spawn_with(data, arguments, flags, &[])
    }

    fn spawn_with(
        data: &Path,
        arguments: &[String],
        flags: &[String],
        environment: &[(&str, &str)],
    ) -> (Self, String) {
        let mut command = Command::new(program());
        command.envs(environment.iter().copied());
        command.args(["serve", "--json", "--data"]).arg(data).args(arguments).args(flags);
        if !flags.iter().any(|flag| flag == "--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the server starts");
        let told = lines(child.stdout.take().expect("its output is read"), |_| {});
        // What it says of itself helps whoever looks into a test that failed.
        let said = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&said);
        let log = lines(child.stderr.take().expect("its log is read"), move |line| {
            eprintln!("{line}");
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push_str(line);
            kept.push('\n');
        });
        let process = Self { child, log: Mutex::new(log), said };
        let url = first(&told, |line| {
            let told: Value = serde_json::from_str(line).unwrap_or(Value::Null);
            told["listening"].as_str().map(str::to_owned)
        });
        (process, url.expect("the server says where it listens"))
    }
}

/// Reads lines to the end, so that the writer never waits for its reader.
fn lines(from: impl Read + Send + 'static, seen: impl Fn(&str) + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            seen(&line);
            let _ = sender.send(line);
        }
    });
    receiver
}

/// The first line that something can be found in.
fn first(lines: &Receiver<String>, find: impl Fn(&str) -> Option<String>) -> Option<String> {
    let end = Instant::now() + PATIENCE;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        let line = lines.recv_timeout(left).ok()?;
        if let Some(found) = find(&line) {
            return Some(found);
        }
    }
    None
}
