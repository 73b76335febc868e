//! What is to be said of a file: errors, after which nothing runs, and warnings, after which it does.

use std::collections::HashSet;

use serde::Serialize;

use crate::span::Span;

/// The most that is said of one file.
pub const MOST: usize = 100;

/// Whether the file can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, though something in it may not mean what its author thinks.
    Warning,
}

/// The kind of a diagnostic: a stable name for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// Not YAML.
    Syntax,
    /// Larger, deeper or more than is read.
    TooLarge,
    /// An alias that names no anchor, or one that contains the alias itself.
    Alias,
    /// The same key twice in one map.
    DuplicateKey,
    /// A list where a map belongs, and the like.
    WrongType,
    /// A value of the right type that is not among the admitted ones.
    WrongValue,
    /// A key that must be there.
    MissingKey,
    /// A key that is not known.
    UnknownKey,
    /// A known key, or a step's content, on a level where it does not belong.
    Misplaced,
    /// A cache, a service or a pipeline that is not defined.
    UnknownName,
    /// Two things that exclude each other.
    Conflict,
    /// More than is admitted of something.
    TooMany,
    /// A pattern that cannot be read.
    Pattern,
    /// An expression that cannot be read.
    Expression,
    /// Text was meant, something else was written, and is read as text.
    ReadAsText,
    /// Known, and does not run yet.
    NotYet,
    /// Admitted, and unwise.
    Unwise,
}

/// Something to say of a place in the file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Diagnostic {
    /// Whether the file can be used.
    pub severity: Severity,
    /// The kind.
    pub code: Code,
    /// What was found, and what was expected: one line, user input in backticks.
    pub message: String,
    /// Where.
    #[serde(flatten)]
    pub span: Span,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Another place that matters: where a name was first used, where an alias was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub related: Option<Related>,
}

/// Another place that matters, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Related {
    /// Why.
    pub message: String,
    /// Where.
    #[serde(flatten)]
    pub span: Span,
}

impl Diagnostic {
    pub(crate) fn error(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, message: message.into(), span, hint: None, related: None }
    }

    pub(crate) fn warning(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(crate) fn maybe_hint(self, hint: Option<String>) -> Self {
        Self { hint: hint.or(self.hint), ..self }
    }

    pub(crate) fn related(self, span: Span, message: impl Into<String>) -> Self {
        Self { related: Some(Related { message: message.into(), span }), ..self }
    }
}

/// Collects them: each once, though an anchored step is read wherever it is used.
#[derive(Default)]
pub(crate) struct Diagnostics {
    list: Vec<Diagnostic>,
    said: HashSet<Diagnostic>,
    errors: usize,
}

impl Diagnostics {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        // Errors keep their room, however many warnings come before them.
        let error = diagnostic.severity == Severity::Error;
        let full = if error { self.errors >= MOST } else { self.list.len() - self.errors >= MOST };
        if full || !self.said.insert(diagnostic.clone()) {
            return;
        }
        self.errors += usize::from(error);
        self.list.push(diagnostic);
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// In the order of the file.
    pub(crate) fn sorted(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|diagnostic| diagnostic.span.start);
        self.list
    }
}

/// User input in backticks: one line, and not a long one.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let line = text.lines().next().unwrap_or_default();
    let shown: String = line.chars().take(LONGEST).collect();
    let more = if shown.len() < text.trim_end().len() { "…" } else { "" };
    format!("`{shown}{more}`")
}

/// `a`, `b` and `c`.
pub(crate) fn listed(words: &[&str], last: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((end, rest)) => format!("{} {last} {end}", rest.join(", ")),
    }
}
