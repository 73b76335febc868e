//! What the command line prints: results on standard output, everything else on standard error. Colour is for
//! terminals alone, and never the only sign of anything.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use model::{Error, Result};
use serde::Serialize;

/// Standard output.
pub(super) struct Output {
    colour: bool,
}

impl Output {
    /// With colour where a person looks on and has not said otherwise.
    pub(super) fn new() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: io::stdout().is_terminal() && !refused }
    }

    /// A line.
    pub(super) fn line(&self, text: impl Display) -> Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| {
            // Whoever reads has gone: there is nothing left to do, and nobody to tell.
            Error::Internal(format!("standard output: {error}"))
        })
    }

    /// Text that has its own lines.
    pub(super) fn text(&self, text: &str) -> Result<()> {
        self.bytes(text.as_bytes())
    }

    /// Whether a person looks on who has nothing against colour.
    pub(super) fn has_colour(&self) -> bool {
        self.colour
    }

    /// Bytes as they are.
    pub(super) fn bytes(&self, bytes: &[u8]) -> Result<()> {
        let told = |error| Error::Internal(format!("standard output: {error}"));
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(told)
    }

    /// An empty line.
    pub(super) fn gap(&self) -> Result<()> {
        self.line("")
    }

    /// One line of JSON, for programs.
    pub(super) fn json(&self, value: &impl Serialize) -> Result<()> {
        self.line(serde_json::to_string(value).map_err(Error::internal)?)
    }

    fn styled(&self, code: &str, text: impl Display) -> String {
        match self.colour {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_string(),
        }
    }

    /// A heading, or the word that matters in a line.
    pub(super) fn strong(&self, text: impl Display) -> String {
        self.styled("1", text)
    }

    /// What is there to be looked up, not read.
    pub(super) fn quiet(&self, text: impl Display) -> String {
        self.styled("2", text)
    }

    /// The one accent: what can be typed.
    pub(super) fn typed(&self, text: impl Display) -> String {
        self.styled("36", text)
    }

    /// Danger; always beside a word that says so.
    pub(super) fn wrong(&self, text: impl Display) -> String {
        self.styled("31", text)
    }
}

/// A failure, on standard error. The cause of a failure of ours is shown: whoever runs the command may see it.
pub(super) fn failure(error: &Error) {
    let text = match error {
        Error::Internal(cause) => cause.clone(),
        other => other.to_string(),
    };
    let _ = writeln!(io::stderr().lock(), "bastide: {text}");
}

/// A notice, on standard error.
pub(super) fn notice(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
