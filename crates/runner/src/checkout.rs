//! The repository of a step: the one commit, by git, in the sandbox, before anything of the step runs.
//!
//! Git gets nothing of the agent's environment. The step's token reaches it as a header in git's own environment, which
//! ends with it: it stands in no argument, no address and no file, so the step finds none in `.git/config`. Hooks,
//! helpers and settings of the system do not count.

use std::ffi::OsString;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pipeline::clone::{CloneOptions, Depth, Strategy};
use pipeline::protocol::{Assignment, Source};
use tokio::process::Command;

use crate::lease::Lease;
use crate::log::Log;
use crate::process::{self, Ended};
use crate::sandbox::Sandbox;
use crate::server::Server;
use crate::workspace::Workspace;

/// How often git is tried where the network may be to blame. A try during which the server was away is none.
const TRIES: u32 = 3;
/// How many processes git may have.
const PROCESSES: u32 = 256;

/// The environment variables that tell of a way to the network, for agents behind a proxy.
const PROXIES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy"];

/// Brings the commit into the workspace.
pub(crate) struct Checkout<'a> {
    pub(crate) sandbox: &'a Sandbox,
    pub(crate) workspace: &'a Workspace,
    pub(crate) assignment: &'a Assignment,
    pub(crate) log: &'a Log,
    pub(crate) lease: &'a Lease,
    pub(crate) server: &'a Server,
    /// A file of certificates that are trusted.
    pub(crate) trusted: Option<&'a std::path::Path>,
}

/// Why there is no commit.
pub(crate) enum Failure {
    /// The step must end.
    MustEnd,
    /// Git could not.
    Git(String),
}

impl Checkout<'_> {
    /// Runs git.
    pub(crate) async fn run(&self) -> Result<(), Failure> {
        let source = &self.assignment.source;
        let options = &self.assignment.plan.clone;
        let branch = source.reference.as_deref().and_then(|name| name.strip_prefix("refs/heads/"));
        self.log.line(&format!("Cloning {} at {}", source.url, source.commit)).await;
        if !is_id(&source.commit) {
            return Err(Failure::Git("the commit is no id".to_owned()));
        }
        self.begin(&source.url).await?;
        self.fetch(source, options).await?;
        if let Some(sparse) = &options.sparse_checkout {
            let mode = if sparse.cone_mode { "--cone" } else { "--no-cone" };
            let mut arguments = vec!["sparse-checkout", "set", mode, "--end-of-options"];
            arguments.extend(sparse.patterns.iter().map(String::as_str));
            self.git(&arguments, 1).await?;
        }
        match branch {
            Some(branch) => {
                self.git(&["checkout", "--quiet", "-B", branch, &source.commit, "--"], TRIES).await?
            }
            None => self.git(&["checkout", "--quiet", "--detach", &source.commit, "--"], TRIES).await?,
        }
        if options.lfs {
            self.git(&["lfs", "install", "--local", "--skip-repo"], 1).await?;
            self.git(&["lfs", "pull", "origin"], TRIES).await?;
        }
        Ok(())
    }

    async fn fetch(&self, source: &Source, options: &CloneOptions) -> Result<(), Failure> {
        let depth = match options.depth {
            Depth::Full => None,
            Depth::Commits(count) => Some(format!("--depth={count}")),
        };
        let filter = options.filter.as_ref().map(|filter| format!("--filter={filter}"));
        let tags = if options.tags { "--tags" } else { "--no-tags" };
        let mut first = vec!["fetch", "--quiet", "--force", tags];
        first.extend(depth.as_deref());
        first.extend(filter.as_deref());
        first.push("origin");
        let reference = source.reference.as_deref();
        // The commit may lie deeper in its ref than the depth by now, or not at all: it is asked for as well.
        let wanted = match options.strategy == Strategy::Clone || depth.is_none() {
            true => vec![reference.and_then(mapped), Some(source.commit.clone())],
            false => vec![Some(match reference.and_then(|name| name.strip_prefix("refs/heads/")) {
                Some(branch) => format!("+{}:refs/remotes/origin/{branch}", source.commit),
                None => source.commit.clone(),
            })],
        };
        first.extend(wanted.iter().flatten().map(String::as_str));
        self.git(&first, TRIES).await
    }

    /// An empty repository that knows where it comes from.
    async fn begin(&self, url: &str) -> Result<(), Failure> {
        const BEGIN: &str = "git init --quiet --initial-branch main && git remote add origin \"$1\" && \
             printf '[user]\\n\\tname = bastide-pipelines\\n\\temail = pipelines@bastide.invalid\\n[push]\\n\\tdefault = current\\n' >> .git/config";
        if cfg!(windows) {
            self.git(&["init", "--quiet", "--initial-branch", "main"], 1).await?;
            self.git(&["remote", "add", "origin", url], 1).await?;
            for (name, value) in [
                ("user.name", "bastide-pipelines"),
                ("user.email", "pipelines@bastide.invalid"),
                ("push.default", "current"),
            ] {
                self.git(&["config", name, value], 1).await?;
            }
            return Ok(());
        }
        // One process behind walls for all of it: each costs more than what it does here.
        let program = ["/bin/sh", "-c", BEGIN, "sh", url].map(OsString::from);
        self.tried("init", || self.command(&program), 1).await
    }

    async fn git(&self, arguments: &[&str], tries: u32) -> Result<(), Failure> {
        let program: Vec<OsString> = ["git"].iter().chain(arguments).map(OsString::from).collect();
        let verb = arguments.first().copied().unwrap_or_default();
        self.tried(verb, || self.command(&program), tries).await
    }

    async fn tried(&self, verb: &str, command: impl Fn() -> Command, tries: u32) -> Result<(), Failure> {
        let mut pause = std::time::Duration::from_millis(500);
        let mut left = tries;
        loop {
            left -= 1;
            let ended = process::run(command(), self.log, self.lease.clone(), process::Rest::Ends).await;
            match ended {
                Ok(Ended::Exit(0)) => return Ok(()),
                Ok(Ended::Killed(_)) => return Err(Failure::MustEnd),
                // A server that comes back within the lease finds the step still trying.
                Ok(Ended::Exit(_)) if tries > 1 && self.server.was_away(self.lease.attempt()).await => {
                    left += 1;
                }
                Ok(Ended::Exit(_)) if left > 0 => {
                    tokio::time::sleep(pause).await;
                    pause *= 4;
                }
                Ok(Ended::Exit(code)) => {
                    return Err(Failure::Git(format!("`git {verb}` ended with status {code}")));
                }
                Err(error) => return Err(Failure::Git(format!("git cannot be started: {error}"))),
            }
        }
    }

    fn command(&self, program: &[OsString]) -> Command {
        let mut command = self.sandbox.command(self.workspace, PROCESSES, program, &[]);
        let source = &self.assignment.source;
        let given = STANDARD.encode(format!("x-token-auth:{}", source.token));
        let mut settings = vec![
            ("core.hooksPath".to_owned(), "/dev/null".to_owned()),
            ("advice.detachedHead".to_owned(), "false".to_owned()),
            ("credential.helper".to_owned(), String::new()),
            ("protocol.ext.allow".to_owned(), "never".to_owned()),
            // The folder is the step's user's; the agent may be another.
            ("safe.directory".to_owned(), "*".to_owned()),
        ];
        if source.url.starts_with("http") {
            settings
                .push((format!("http.{}.extraHeader", source.url), format!("Authorization: Basic {given}")));
            if let Some(lfs) = source.url.strip_suffix('/').or(Some(&source.url)) {
                let lfs = format!("http.{lfs}/info/lfs.extraHeader");
                settings.push((lfs, format!("Authorization: Basic {given}")));
            }
        }
        if self.assignment.plan.clone.skip_ssl_verify {
            settings.push(("http.sslVerify".to_owned(), "false".to_owned()));
        }
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (at, (name, value)) in settings.into_iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{at}"), name).env(format!("GIT_CONFIG_VALUE_{at}"), value);
        }
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_LFS_SKIP_SMUDGE", "1").env("LC_ALL", "C.UTF-8");
        if let Some(trusted) = self.trusted {
            command.env("GIT_SSL_CAINFO", trusted);
        }
        for name in PROXIES {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }
}

/// What a ref of the server becomes here.
fn mapped(reference: &str) -> Option<String> {
    if let Some(branch) = reference.strip_prefix("refs/heads/") {
        return Some(format!("+refs/heads/{branch}:refs/remotes/origin/{branch}"));
    }
    reference.strip_prefix("refs/tags/").map(|tag| format!("+refs/tags/{tag}:refs/tags/{tag}"))
}

/// The full id of a commit.
fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
