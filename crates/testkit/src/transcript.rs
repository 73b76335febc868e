//! What a program came to: how it ended, and all it said.

use std::fmt;
use std::process::Output;

/// What a program said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error; of git: progress, refusals and what the server says (`remote: …`).
    pub stderr: String,
}

impl From<Output> for Transcript {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

impl Transcript {
    /// Whether it succeeded.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// The lines that came from the server through git, without `remote: ` and what git pads them with.
    #[must_use]
    pub fn remote(&self) -> Vec<&str> {
        self.stderr.lines().filter_map(|line| line.strip_prefix("remote:")).map(str::trim).collect()
    }

    /// Standard output without the end of its last line, of a command that must succeed.
    ///
    /// # Panics
    /// When it did not, with all it said.
    #[track_caller]
    #[must_use]
    pub fn expect_success(&self) -> &str {
        assert!(self.success(), "the command was to succeed:\n{self}");
        self.stdout.trim_end()
    }

    /// Standard error, of a command that must fail.
    ///
    /// # Panics
    /// When it did not, with all it said.
    #[track_caller]
    #[must_use]
    pub fn expect_failure(&self) -> &str {
        assert!(!self.success(), "the command was to fail:\n{self}");
        self.stderr.trim_end()
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "exit code {:?}\n--- stdout\n{}--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}
