//! A server with one repository whose pipelines run, and pushes to it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::super::bastide::{self, Installation};
use super::super::host::Host;
use super::super::{content, load::Request};
use crate::{Result, process};

const REPOSITORY: &str = "built";

/// A running server and a clone of its repository.
pub(super) struct Site {
    /// Keeps the server running.
    host: Host,
    /// The server's address.
    pub(super) address: String,
    clone: PathBuf,
    administrator: String,
}

impl Site {
    /// Starts one on an installation.
    pub(super) fn start(folder: &Path, installation: &Installation) -> Result<Self> {
        let (host, address) = bastide::started(folder, installation)?;
        host.create(REPOSITORY)?;
        let clone = tempfile::Builder::new().prefix("pushed-").tempdir_in(folder)?.keep();
        content::git(&clone, &["init", "--quiet", "--initial-branch=main"])?;
        Ok(Self { host, address, clone, administrator: installation.authorization.clone() })
    }

    /// Where git finds the repository.
    pub(super) fn url(&self) -> String {
        self.host.url(REPOSITORY)
    }

    /// A command of git's in the clone that may read and write the repository.
    pub(super) fn git(&self, arguments: &[&str]) -> Command {
        self.host.git(&self.clone, arguments)
    }

    /// Commits a configuration.
    pub(super) fn commit(&self, configuration: &str) -> Result<()> {
        std::fs::write(self.clone.join("bitbucket-pipelines.yml"), configuration)?;
        content::git(&self.clone, &["add", "--all"])?;
        let who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"];
        content::git(&self.clone, &[&who[..], &["commit", "--quiet", "--message=x"]].concat()).map(drop)
    }

    /// Pushes, and returns when the push is acknowledged.
    pub(super) fn push(&self) -> Result<()> {
        let url = self.url();
        process::output(&mut self.git(&["push", "--quiet", &url, "HEAD:main"])).map(drop)
    }

    /// How many of the repository's runs are in a state.
    pub(super) fn runs_in(&self, state: &str) -> Result<u64> {
        let url = format!("{}/2.0/repositories/bench/{REPOSITORY}/pipelines?status={state}", self.address);
        let said = Request::get(&url, &self.administrator).send()?;
        let said: Value = serde_json::from_str(&said)?;
        Ok(said.get("size").and_then(Value::as_u64).unwrap_or(0))
    }

    /// Makes a runner; its one-time code.
    pub(super) fn runner_code(&self, name: &str) -> Result<String> {
        let url = format!("{}/2.0/repositories/bench/{REPOSITORY}/pipelines-config/runners", self.address);
        let said = Request::post(&url, &self.administrator, &json!({ "name": name })).send()?;
        let said: Value = serde_json::from_str(&said)?;
        let code = said.pointer("/registration/code").and_then(Value::as_str);
        Ok(code.ok_or("no code was given for a runner")?.to_owned())
    }
}
