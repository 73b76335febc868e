//! Bastide under measurement: started on a data directory of its own, with one workspace and one project.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::host::{Create, Host, Kind};
use super::load;
use crate::process::{self, Running};
use crate::{Result, bench::load::Request};

const WORKSPACE: &str = "bench";
const PROJECT: &str = "BENCH";

/// A data directory with an administrator.
pub(super) struct Installation {
    data: PathBuf,
    program: PathBuf,
    /// The address of a PostgreSQL database, and its password; SQLite in the directory without.
    database: Option<(String, String)>,
    /// The header that opens REST: `Authorization: Basic …` of the administrator's API token.
    pub(super) authorization: String,
}

impl Installation {
    /// Makes the directory and the administrator.
    pub(super) fn new(folder: &Path, program: &Path) -> Result<Self> {
        Self::with(folder, program, None)
    }

    /// The same with its metadata in an empty database of PostgreSQL's.
    pub(super) fn on_postgres(folder: &Path, program: &Path, url: &str, password: &str) -> Result<Self> {
        Self::with(folder, program, Some((url.to_owned(), password.to_owned())))
    }

    fn with(folder: &Path, program: &Path, database: Option<(String, String)>) -> Result<Self> {
        let data = tempfile::Builder::new().prefix("bastide-").tempdir_in(folder)?.keep();
        let mut init = Command::new(program);
        init.args(["admin", "init", "--username", "ann", "--email", "ann@example.com", "--json", "--data"]);
        let said = process::output(in_database(init.arg(&data), database.as_ref()))?;
        let said: Value = serde_json::from_str(&said)?;
        let text = |field: &str| said.get(field).and_then(Value::as_str).unwrap_or_default();
        let pair = format!("{}:{}", text("email"), text("api_token"));
        let authorization = format!("Authorization: Basic {}", base64(pair.as_bytes()));
        Ok(Self { data, program: program.to_owned(), database, authorization })
    }

    /// The data directory.
    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// The server's log.
    pub(super) fn log(&self) -> PathBuf {
        self.data.with_extension("log")
    }

    /// Starts the server, and gives its port. It may not answer yet.
    pub(super) fn serve(&self) -> Result<(Running, u16)> {
        let port = process::free_port()?;
        let log = std::fs::File::create(self.log())?;
        let mut serve = Command::new(&self.program);
        // What is measured is the server, not its budgets.
        serve
            .args(["serve", "--rate-limit", "all=off", "--listen"])
            .arg(format!("127.0.0.1:{port}"))
            .arg("--data")
            .arg(&self.data);
        serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Ok((Running::start(in_database(&mut serve, self.database.as_ref()))?, port))
    }
}

/// Tells a command which database it is about. A password is no argument: every user of a machine can read those.
fn in_database<'a>(command: &'a mut Command, database: Option<&(String, String)>) -> &'a mut Command {
    match database {
        Some((url, password)) => {
            command.env("BASTIDE_DATABASE", url).env("BASTIDE_DATABASE_PASSWORD", password)
        }
        None => command,
    }
}

/// Starts a fresh one with the workspace and the project.
pub(super) fn start(folder: &Path, program: &Path) -> Result<Host> {
    let installation = Installation::new(folder, program)?;
    started(folder, &installation).map(|(host, _)| host)
}

/// Starts this one, and gives its address too.
pub(super) fn started(folder: &Path, installation: &Installation) -> Result<(Host, String)> {
    let (mut running, port) = installation.serve()?;
    running.wait_until(|| load::status(port, "/healthz", None) == Some(200))?;
    let site = format!("http://127.0.0.1:{port}");
    let authorization = &installation.authorization;
    let post = |path: &str, body: &Value| Request::post(&format!("{site}{path}"), authorization, body).send();
    post("/api/workspaces", &json!({"slug": WORKSPACE, "name": "Bench"}))?;
    post(&format!("/2.0/workspaces/{WORKSPACE}/projects"), &json!({"key": PROJECT, "name": "Bench"}))?;
    // What is measured is what machines use: an access token, which the same header opens REST and git with.
    let scopes = json!({"name": "bench", "scopes": ["repository:write", "repository:admin"]});
    let made = post(&format!("/api/workspaces/{WORKSPACE}/access-tokens"), &scopes)?;
    let made: Value = serde_json::from_str(&made)?;
    let token = made.get("token").and_then(Value::as_str).unwrap_or_default();
    let authorization = format!("Authorization: Bearer {token}");
    let host = Host {
        kind: Kind::Bastide,
        accounts: None,
        name: "Bastide",
        base: format!("{site}/{WORKSPACE}/"),
        authorization: Some(authorization),
        running: vec![running],
        create: Create::Post(format!("{site}/2.0/repositories/{WORKSPACE}/")),
        folder: folder.to_owned(),
    };
    Ok((host, site))
}

/// Makes an empty private repository.
pub(super) fn create_repository(base: &str, authorization: &str, name: &str) -> Result<()> {
    let body = json!({"scm": "git", "is_private": true, "project": {"key": PROJECT}});
    Request::post(&format!("{base}{name}"), authorization, &body).send().map(|_| ())
}

/// RFC 4648, with padding: enough for a header.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4usize {
            let at = usize::try_from(group >> (18 - 6 * digit) & 63).unwrap_or(0);
            let shown = if digit > chunk.len() { b'=' } else { DIGITS.get(at).copied().unwrap_or(b'=') };
            text.push(char::from(shown));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_by_the_examples_of_the_rfc() {
        for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(plain.as_bytes()), text);
        }
    }
}
