//! A Git host under measurement: Bastide, git's own http-backend behind nginx, or the file system.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{content, usage};
use crate::process::{self, Running};
use crate::{Result, bench::content::Shape};

/// Which host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// The program.
    Bastide,
    /// `git http-backend` behind nginx and fcgiwrap.
    HttpBackend,
    /// The same, with the processor time of each `git http-backend` written down.
    AccountedHttpBackend,
    /// `file://`: git and nothing else.
    File,
}

/// One running host.
pub(super) struct Host {
    pub(super) kind: Kind,
    pub(super) name: &'static str,
    /// What a repository's name is appended to, with its slash.
    pub(super) base: String,
    /// The header that opens it, if any: `Authorization: Basic …`.
    pub(super) authorization: Option<String>,
    /// Where the processor time of children that nobody waits for is written down.
    pub(super) accounts: Option<PathBuf>,
    /// Its programs.
    pub(super) running: Vec<Running>,
    /// How it makes an empty repository.
    pub(super) create: Create,
    /// For temporary clones.
    pub(super) folder: PathBuf,
}

/// How a host makes an empty repository.
pub(super) enum Create {
    /// By `git init` in this folder.
    Init(PathBuf),
    /// By a POST to this address and the name.
    Post(String),
}

impl Host {
    /// Where git finds a repository.
    pub(super) fn url(&self, repository: &str) -> String {
        format!("{}{repository}.git", self.base)
    }

    /// Makes an empty repository.
    pub(super) fn create(&self, repository: &str) -> Result<()> {
        match &self.create {
            Create::Init(root) => {
                let path = root.join(format!("{repository}.git"));
                content::git(root, &["init", "--quiet", "--bare", &path.display().to_string()])?;
                content::git(&path, &["config", "http.receivepack", "true"]).map(|_| ())
            }
            Create::Post(base) => {
                let authorization = self.authorization.as_deref().unwrap_or_default();
                super::bastide::create_repository(base, authorization, repository)
            }
        }
    }

    /// Makes a repository and pushes content to it. A baseline is then packed as well as git can.
    pub(super) fn fill(&self, repository: &str, shape: &Shape) -> Result<()> {
        let content = content::repository(&self.folder, shape)?;
        self.create(repository)?;
        process::output(&mut self.push(&content, repository))?;
        if let Create::Init(root) = &self.create {
            let path = root.join(format!("{repository}.git"));
            content::git(&path, &["repack", "-q", "-a", "-d", "-b"])?;
            content::git(&path, &["pack-refs", "--all"])?;
        }
        Ok(())
    }

    /// A push of all branches of a local repository.
    pub(super) fn push(&self, from: &Path, repository: &str) -> Command {
        self.git(from, &["push", "--quiet", "--all", &self.url(repository)])
    }

    /// git as a client of this host. The credential travels by the environment, not by the command line.
    pub(super) fn git(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(folder);
        command.envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null")]);
        command.env("GIT_TERMINAL_PROMPT", "0");
        if let Some(header) = &self.authorization {
            command.envs([("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "http.extraHeader")]);
            command.env("GIT_CONFIG_VALUE_0", header);
        }
        command
    }

    /// The processor time used so far, in seconds, of all its programs and their children.
    pub(super) fn processor_seconds(&self) -> f64 {
        // A child may still be ending when the client already has its answer.
        std::thread::sleep(Duration::from_millis(100));
        let pids: Vec<u32> = self.running.iter().map(Running::pid).collect();
        let accounts = self.accounts.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        usage::processor_seconds(&pids) + usage::written_down(&accounts.unwrap_or_default())
    }
}
