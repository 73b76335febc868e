//! One look at a file: what it says, and what is wrong with it.

use crate::{
    bounds,
    configuration::{self, Configuration},
    diagnostic::{Code, Diagnostic, Diagnostics},
    node,
    read::Reader,
    rules,
    span::Span,
};

/// A file that was looked at.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Its name, as it was given.
    pub file: String,
    /// What it says; nothing where there are errors.
    pub configuration: Option<Configuration>,
    /// What is to be said of it, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// For the lines that are shown.
    pub(crate) text: String,
}

/// Looks at a file. `name` is only shown.
#[must_use]
pub fn check(name: &str, text: &str) -> Checked {
    let file = name.to_owned();
    if text.len() > bounds::FILE {
        let message = format!("the file has {} bytes; at most {} are read", text.len(), bounds::FILE);
        let diagnostics = vec![Diagnostic::error(Code::TooLarge, start(), message)];
        return Checked { file, configuration: None, diagnostics, text: String::new() };
    }
    let (configuration, diagnostics) = read(text);
    Checked { file, configuration, diagnostics, text: text.to_owned() }
}

fn read(text: &str) -> (Option<Configuration>, Vec<Diagnostic>) {
    let mut diagnostics = Diagnostics::default();
    let root = node::parse(text, &mut diagnostics);
    let mut reader = Reader { diagnostics };
    let Some(root) = root else {
        if !reader.diagnostics.has_errors() {
            let message = "the file is empty; a configuration is a map that begins with `pipelines:`";
            reader.push(Diagnostic::error(Code::MissingKey, start(), message));
        }
        return (None, reader.diagnostics.sorted());
    };
    let configuration = configuration::read(&mut reader, &root);
    let mut diagnostics = reader.diagnostics;
    rules::check(&configuration, &mut diagnostics);
    let valid = !diagnostics.has_errors();
    (valid.then_some(configuration), diagnostics.sorted())
}

fn start() -> Span {
    let mut span = Span::default();
    span.start.line = 1;
    span.start.column = 1;
    span.end = span.start;
    span
}
