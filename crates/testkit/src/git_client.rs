//! The real git, as a person has it: a home of its own, none of this machine's settings, no terminal to ask at, and
//! credentials in a file, never on the command line. What it said is kept as a transcript.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use model::Secret;
use tempfile::TempDir;

use crate::{Login, Transcript};

/// One person's git.
pub struct GitClient {
    home: TempDir,
    variables: Vec<(String, String)>,
}

impl GitClient {
    /// A git without credentials, of Ann Example.
    ///
    /// # Panics
    /// When no temporary folder can be made.
    #[must_use]
    pub fn new() -> Self {
        let home =
            tempfile::Builder::new().prefix("git-client-").tempdir().expect("a temporary folder is made");
        let settings = "[user]\n\tname = Ann Example\n\temail = ann@example.com\n\
                        [init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n\
                        [protocol]\n\tversion = 2\n[push]\n\tdefault = simple\n[gc]\n\tauto = 0\n";
        std::fs::write(home.path().join(".gitconfig"), settings).expect("settings are written");
        Self { home, variables: Vec::new() }
    }

    /// Gives it a credential for all repositories of a server, in the store that `credential.helper=store` reads: as
    /// with any client, the first request goes without it, and a refusal asks for it.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn with_credential(self, server: &str, user: &str, secret: &Secret) -> Self {
        let (scheme, host) = server.trim_end_matches('/').split_once("://").expect("`http://host:port`");
        let line = format!("{scheme}://{}:{}@{host}\n", escaped(user), escaped(secret.expose()));
        let path = self.home.path().join(".git-credentials");
        let mut file = std::fs::OpenOptions::new();
        let mut file = file.create(true).append(true).mode(0o600).open(path).expect("the store opens");
        file.write_all(line.as_bytes()).expect("a credential is written");
        self.setting("credential.helper", "store")
    }

    /// The same for a login that requests are made with.
    ///
    /// # Panics
    /// When git cannot use it: a session's, or nobody's.
    #[must_use]
    pub fn with_login(self, server: &str, login: &Login) -> Self {
        match login {
            Login::Basic(user, secret) => self.with_credential(server, user, secret),
            Login::Bearer(secret) => self.with_credential(server, "x-token-auth", secret),
            Login::Session(_) | Login::Nobody => panic!("a credential that git can use"),
        }
    }

    /// Adds a setting to its configuration.
    ///
    /// # Panics
    /// When git refuses it.
    #[must_use]
    pub fn setting(self, key: &str, value: &str) -> Self {
        let _ = self.run(self.home.path(), ["config", "--global", key, value]).expect_success();
        self
    }

    /// Adds an environment variable, such as `GIT_TRACE_CURL` or `GIT_SSH_COMMAND`.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Its home, a good place for working copies too.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs a command in a folder.
    ///
    /// # Panics
    /// When git cannot be started.
    pub fn run<A: AsRef<OsStr>>(&self, folder: &Path, arguments: impl IntoIterator<Item = A>) -> Transcript {
        self.command(folder, arguments).output().expect("git can be started").into()
    }

    /// The same as a command, for a test that runs it beside others or ends it half-way.
    #[must_use]
    pub fn command<A: AsRef<OsStr>>(&self, folder: &Path, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.home.path()).env("LC_ALL", "C.UTF-8");
        command.envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_TERMINAL_PROMPT", "0"), ("GIT_ASKPASS", "")]);
        // Commits made by a test have the same names every time.
        command.envs([("GIT_AUTHOR_DATE", "1790000000 +0000"), ("GIT_COMMITTER_DATE", "1790000000 +0000")]);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// A new working copy with one commit of one file, `README.md`, on `main`.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn working_copy(&self, name: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::create_dir(&path).expect("a folder is made");
        let _ = self.run(&path, ["init", "--quiet"]).expect_success();
        let _ = self.commit(&path, "README.md", "# one\n");
        path
    }

    /// Writes a file, commits it, and gives the commit's name.
    ///
    /// # Panics
    /// When it cannot be written or committed.
    #[must_use]
    pub fn commit(&self, folder: &Path, file: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(folder.join(file), content).expect("a file is written");
        let _ = self.run(folder, ["add", "--", file]).expect_success();
        let _ = self.run(folder, ["commit", "--quiet", "-m", &format!("change {file}")]).expect_success();
        self.run(folder, ["rev-parse", "HEAD"]).expect_success().to_owned()
    }

    /// Commits a file of so many bytes that nothing can make smaller, the same every time, and gives the commit's name.
    ///
    /// # Panics
    /// When it cannot be written or committed.
    #[must_use]
    pub fn commit_noise(&self, folder: &Path, file: &str, length: usize) -> String {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let words = std::iter::repeat_with(|| {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()
        });
        let noise: Vec<u8> = words.flatten().take(length).collect();
        self.commit(folder, file, noise)
    }
}

impl Default for GitClient {
    fn default() -> Self {
        Self::new()
    }
}

/// What the store of credentials holds is the text of a URL.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_commits_and_pushes_without_the_settings_of_this_machine() {
        let git = GitClient::new();
        let copy = git.working_copy("one");
        let settings = git.run(&copy, ["config", "--list", "--show-scope"]);
        assert!(!settings.expect_success().contains("system\t"), "{settings}");
        assert_eq!(
            git.run(&copy, ["log", "--format=%an <%ae>"]).expect_success(),
            "Ann Example <ann@example.com>"
        );
        let _ = git.run(git.home(), ["init", "--quiet", "--bare", "bare.git"]).expect_success();
        let _ = git.run(&copy, ["push", "--quiet", "../bare.git", "main"]).expect_success();
        let refused = git.run(&copy, ["push", "../bare.git", "nothing"]);
        assert!(refused.expect_failure().contains("src refspec"), "{refused}");
    }

    #[test]
    fn commits_have_the_same_names_every_time() {
        let name = || {
            let git = GitClient::new();
            let copy = git.working_copy("one");
            git.run(&copy, ["rev-parse", "HEAD"]).expect_success().to_owned()
        };
        assert_eq!(name(), name());
    }

    #[test]
    fn a_credential_is_found_by_git_and_by_nobody_else() {
        let secret = Secret::new("a/b:c@d".to_owned());
        let git = GitClient::new().with_credential("http://127.0.0.1:7", "ann@example.com", &secret);
        let mut fill = git.command(git.home(), ["credential", "fill"]);
        let mut child = fill.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"protocol=http\nhost=127.0.0.1:7\n\n").unwrap();
        let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        assert!(said.contains("username=ann@example.com\n") && said.contains("password=a/b:c@d\n"), "{said}");
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(git.home().join(".git-credentials")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
}
