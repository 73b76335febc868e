//! What is said of a file, as a compiler says it, and as JSON.

use std::fmt::Write;

use serde::Serialize;

use crate::{
    check::Checked,
    diagnostic::{Diagnostic, Severity},
    span::Span,
};

/// How a report looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    #[default]
    Off,
    /// With the escape sequences of terminals.
    On,
}

/// The longest line that is shown, in characters.
const WIDTH: usize = 160;

const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const BLUE: &str = "\x1b[1;34m";
const GREEN: &str = "\x1b[1;32m";
const RESET: &str = "\x1b[0m";

impl Colour {
    pub(crate) fn paint(self, colour: &str, text: &str) -> String {
        match self {
            Self::Off => text.to_owned(),
            Self::On => format!("{colour}{text}{RESET}"),
        }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint(BOLD, text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.paint(GREEN, text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.paint(YELLOW, text)
    }
}

/// A report as JSON.
#[derive(Debug, Serialize)]
pub struct Report<'c> {
    file: &'c str,
    valid: bool,
    errors: usize,
    warnings: usize,
    diagnostics: &'c [Diagnostic],
}

impl Checked {
    /// For programs.
    #[must_use]
    pub fn report(&self) -> Report<'_> {
        Report {
            file: &self.file,
            valid: self.configuration.is_some(),
            errors: self.count(Severity::Error),
            warnings: self.count(Severity::Warning),
            diagnostics: &self.diagnostics,
        }
    }

    /// For people.
    #[must_use]
    pub fn render(&self, colour: Colour) -> String {
        let mut out = String::new();
        for diagnostic in &self.diagnostics {
            self.render_one(diagnostic, colour, &mut out);
        }
        let file = visible(&self.file);
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        let summary = match (errors, warnings) {
            (0, 0) => format!("{file}: {}", colour.green("nothing to complain about")),
            (0, _) => format!("{file}: {}", counted(warnings, "warning")),
            (_, 0) => format!("{file}: {}", counted(errors, "error")),
            _ => format!("{file}: {}, {}", counted(errors, "error"), counted(warnings, "warning")),
        };
        out.push_str(&summary);
        out.push('\n');
        out
    }

    fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
    }

    fn render_one(&self, diagnostic: &Diagnostic, colour: Colour, out: &mut String) {
        let (word, paint) = match diagnostic.severity {
            Severity::Error => ("error", RED),
            Severity::Warning => ("warning", YELLOW),
        };
        let related = diagnostic.related.as_ref();
        let lines = related.map_or(diagnostic.span.start.line, |other| {
            other.span.start.line.max(diagnostic.span.start.line)
        });
        let margin = lines.to_string().len();
        let bar = colour.paint(BLUE, "|");
        // Writing into a string does not fail.
        let _ =
            writeln!(out, "{}: {}", colour.paint(paint, word), colour.bold(&visible(&diagnostic.message)));
        self.snippet(diagnostic.span, margin, '^', paint, colour, out);
        if let Some(related) = related {
            let _ = writeln!(out, "{:margin$} {bar}", "");
            let _ = writeln!(out, "{:margin$} = {}:", "", visible(&related.message));
            self.snippet(related.span, margin, '-', BLUE, colour, out);
        }
        if let Some(hint) = &diagnostic.hint {
            let _ = writeln!(out, "{:margin$} {bar}", "");
            let _ = writeln!(out, "{:margin$} = {} {}", "", colour.bold("help:"), visible(hint));
        }
        out.push('\n');
    }

    /// The line of a place, and a mark below it.
    fn snippet(&self, span: Span, margin: usize, mark: char, paint: &str, colour: Colour, out: &mut String) {
        let (line, column) = (span.start.line, span.start.column);
        let bar = colour.paint(BLUE, "|");
        let arrow = colour.paint(BLUE, "-->");
        let _ = writeln!(out, "{:margin$}{arrow} {}:{line}:{column}", "", visible(&self.file));
        let text = visible(self.line_at(span.start.offset));
        let from = column.saturating_sub(1);
        // Of a long line, the part around the place.
        let skip = if from > WIDTH * 3 / 4 { from - WIDTH / 4 } else { 0 };
        let shown: String = text.chars().skip(skip).take(WIDTH).collect();
        let left = shown.chars().count().saturating_sub(from - skip);
        let width = if span.end.line == line { span.end.column.saturating_sub(column) } else { left };
        let marks = mark.to_string().repeat(width.clamp(1, left.max(1)));
        let number = colour.paint(BLUE, &format!("{line:margin$}"));
        let _ = writeln!(out, "{:margin$} {bar}", "");
        let _ = writeln!(out, "{number} {bar} {shown}");
        let _ = writeln!(
            out,
            "{:margin$} {bar} {:indent$}{}",
            "",
            "",
            colour.paint(paint, &marks),
            indent = from - skip
        );
    }

    fn line_at(&self, offset: usize) -> &str {
        let is_break = ['\n', '\r'];
        let before = self.text.get(..offset).unwrap_or_default();
        let start = before.rfind(is_break).map_or(0, |at| at + 1);
        let rest = self.text.get(start..).unwrap_or_default();
        rest.split(is_break).next().unwrap_or_default()
    }
}

pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Text without what a terminal would obey: each character as one that can be seen.
pub(crate) fn visible(text: &str) -> String {
    let hidden = |c: char| {
        // Marks that turn the direction of writing hide what follows them.
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let seen = |c: char| match c {
        '\t' => ' ',
        c if hidden(c) => '\u{fffd}',
        c => c,
    };
    text.chars().map(seen).collect()
}
