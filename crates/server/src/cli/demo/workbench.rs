//! The demonstration's temporary directory: the instance's data, a work tree, and what runs `git` in it. Secrets reach
//! git through its own question for a password, never as an argument.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use model::{Error, Random, RequestId, Result, Secret};
use service::ACCESS_TOKEN_USER;
use tokio::process::Command;

/// Answers git's questions for a user name and a password.
const ASKPASS: &str = "#!/bin/sh
case \"$1\" in
Username*) printf '%s\\n' \"$BASTIDE_USER\" ;;
*) printf '%s\\n' \"$BASTIDE_TOKEN\" ;;
esac
";

/// A temporary directory, which goes when this is dropped.
pub(super) struct Workbench {
    root: PathBuf,
}

/// What a run of git came to.
pub(super) struct Ran {
    /// Whether it succeeded.
    pub(super) good: bool,
    /// What it said, on either channel.
    pub(super) said: String,
}

impl Drop for Workbench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("the demonstration's directory: {error}"))
}

impl Workbench {
    /// Makes the directory.
    pub(super) fn new(random: &Random) -> Result<Self> {
        let name: String = RequestId::new(random).to_string().chars().take(8).collect();
        let root = std::env::temp_dir().join(format!("bastide-demo-{name}"));
        fs::DirBuilder::new().mode(0o700).create(&root).map_err(failed)?;
        let workbench = Self { root };
        let askpass = workbench.askpass();
        fs::write(&askpass, ASKPASS).map_err(failed)?;
        fs::set_permissions(&askpass, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        Ok(workbench)
    }

    /// Where everything lies.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The instance's data directory.
    pub(super) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// What answers git's questions.
    pub(super) fn askpass(&self) -> PathBuf {
        self.root.join("askpass")
    }

    /// The work tree.
    pub(super) fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// A work tree with one commit.
    pub(super) async fn commit(&self) -> Result<()> {
        fs::create_dir(self.work()).map_err(failed)?;
        fs::write(self.work().join("README.md"), "# Website\n").map_err(failed)?;
        for arguments in [
            &["init", "--quiet", "--initial-branch=main"][..],
            &["add", "README.md"],
            &["commit", "--quiet", "--message=Say what this is"],
        ] {
            let ran = self.git(arguments, None).await?;
            if !ran.good {
                return Err(Error::Internal(format!("git {}: {}", arguments.join(" "), ran.said)));
            }
        }
        Ok(())
    }

    /// Runs git in the work tree, with a token to answer its question for a password.
    pub(super) async fn git<S: AsRef<OsStr>>(&self, arguments: &[S], token: Option<&Secret>) -> Result<Ran> {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(self.work()).env_clear();
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        for (name, value) in [
            ("HOME", self.root.as_os_str()),
            ("GIT_CONFIG_GLOBAL", OsStr::new("/dev/null")),
            ("GIT_CONFIG_NOSYSTEM", OsStr::new("1")),
            ("GIT_TERMINAL_PROMPT", OsStr::new("0")),
            ("GIT_ASKPASS", self.askpass().as_os_str()),
            ("GIT_AUTHOR_NAME", OsStr::new("Ann")),
            ("GIT_AUTHOR_EMAIL", OsStr::new("ann@example.com")),
            ("GIT_COMMITTER_NAME", OsStr::new("Ann")),
            ("GIT_COMMITTER_EMAIL", OsStr::new("ann@example.com")),
            ("LC_ALL", OsStr::new("C")),
        ] {
            command.env(name, value);
        }
        if let Some(token) = token {
            command.env("BASTIDE_USER", ACCESS_TOKEN_USER).env("BASTIDE_TOKEN", token.expose());
        }
        let output = command.stdin(std::process::Stdio::null()).kill_on_drop(true).output().await.map_err(
            |error| Error::invalid(format!("git does not start: {error}: install git 2.39 or newer")),
        )?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stdout) + &text(&output.stderr);
        Ok(Ran { good: output.status.success(), said })
    }
}
