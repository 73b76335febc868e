//! From nodes to values, with a diagnostic wherever something else stands than is expected. Every reader goes on
//! after an error, so that one look at a file tells all that is wrong with it.

use crate::{
    bounds,
    diagnostic::{Code, Diagnostic, Diagnostics, listed, quoted},
    expression::Expression,
    glob::Glob,
    node::{Entry, Node, Scalar, Style, Value},
    span::{Span, Spanned},
    suggest, variable,
};

/// Reads, and complains.
#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) diagnostics: Diagnostics,
}

/// The entries of a map, and which of them have been asked for.
pub(crate) struct Fields<'n> {
    entries: &'n [Entry],
    asked: Vec<&'static str>,
    forgiven: fn(&Entry) -> bool,
}

impl<'n> Fields<'n> {
    pub(crate) fn take(&mut self, key: &'static str) -> Option<&'n Node> {
        self.asked.push(key);
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    pub(crate) fn key_span(&self, key: &str) -> Option<Span> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| entry.key_span)
    }

    /// Nothing is said of these, though nobody asks for them.
    pub(crate) fn forgive(&mut self, which: fn(&Entry) -> bool) {
        self.forgiven = which;
    }

    /// What nobody asked for.
    pub(crate) fn rest(&self) -> impl Iterator<Item = &'n Entry> {
        self.entries
            .iter()
            .filter(|entry| !self.asked.contains(&entry.key.as_str()) && !(self.forgiven)(entry))
    }
}

/// What a plain scalar looks like to YAML.
enum Looks {
    Truth(bool),
    Number,
    Text,
}

fn looks(scalar: &Scalar) -> Looks {
    if scalar.style != Style::Plain {
        return Looks::Text;
    }
    match scalar.text.as_str() {
        "true" | "True" | "TRUE" => Looks::Truth(true),
        "false" | "False" | "FALSE" => Looks::Truth(false),
        text if text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'))
            && text.parse::<f64>().is_ok() =>
        {
            Looks::Number
        }
        _ => Looks::Text,
    }
}

/// What stands there, in words.
pub(crate) fn found(node: &Node) -> String {
    match &*node.value {
        Value::Null => "nothing".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map".to_owned(),
        Value::Broken => "something unreadable".to_owned(),
        Value::Scalar(scalar) => match looks(scalar) {
            Looks::Truth(truth) => format!("the truth value `{truth}`"),
            Looks::Number => format!("the number {}", quoted(&scalar.text)),
            Looks::Text => format!("the text {}", quoted(&scalar.text)),
        },
    }
}

/// An error at a node; where it came by an alias, with the place of that.
pub(crate) fn error_at(node: &Node, code: Code, message: impl Into<String>) -> Diagnostic {
    let error = Diagnostic::error(code, node.span, message);
    match node.alias {
        Some(alias) => error.related(alias, "used here by an alias"),
        None => error,
    }
}

impl Reader {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Complains that something else was expected, unless all has been said already.
    pub(crate) fn expected(&mut self, node: &Node, what: &str, hint: Option<String>) {
        if !matches!(*node.value, Value::Broken) {
            let message = format!("{what}; found {}", found(node));
            self.push(error_at(node, Code::WrongType, message).maybe_hint(hint));
        }
    }

    /// The entries of a map. `what` is a sentence: "`clone` is a map of settings".
    pub(crate) fn map<'n>(&mut self, node: &'n Node, what: &str) -> Option<Fields<'n>> {
        match &*node.value {
            Value::Map(entries) => Some(Fields { entries, asked: Vec::new(), forgiven: |_| false }),
            _ => {
                self.expected(node, what, None);
                None
            }
        }
    }

    /// The entries of a map whose keys are names of the author's.
    pub(crate) fn named<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Entry] {
        match &*node.value {
            Value::Map(entries) => entries,
            Value::List(_) => {
                self.expected(node, what, Some("write the names without `- ` before them".to_owned()));
                &[]
            }
            _ => {
                self.expected(node, what, None);
                &[]
            }
        }
    }

    /// The items of a list with at least one.
    pub(crate) fn list<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &*node.value {
            Value::List(items) if items.is_empty() => {
                self.push(error_at(node, Code::WrongValue, format!("{what}; found an empty list")));
                items
            }
            Value::List(items) => items,
            Value::Scalar(scalar) => {
                let hint = format!(
                    "write `- {}` on a line of its own",
                    scalar.text.lines().next().unwrap_or_default()
                );
                self.expected(node, what, Some(hint).filter(|_| scalar.text.len() < 80));
                &[]
            }
            _ => {
                self.expected(node, what, None);
                &[]
            }
        }
    }

    /// Text. What YAML takes for something else is read as it is written, and told.
    pub(crate) fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        if let Value::Scalar(scalar) = &*node.value
            && !matches!(looks(scalar), Looks::Text)
        {
            let message = format!("{what}; {} is read as text", found(node));
            let hint = format!("put it in quotes: `\"{}\"`", scalar.text);
            self.push(Diagnostic::warning(Code::ReadAsText, node.span, message).hint(hint));
        }
        self.loose_text(node, what)
    }

    /// Text, where a number or a truth value is as good.
    pub(crate) fn loose_text(&mut self, node: &Node, what: &str) -> Option<String> {
        match &*node.value {
            Value::Scalar(scalar) => Some(scalar.text.clone()),
            _ => {
                self.expected(node, what, None);
                None
            }
        }
    }

    /// Text with at least one visible character.
    pub(crate) fn filled(&mut self, node: &Node, what: &str) -> Option<Spanned<String>> {
        let value = self.text(node, what)?;
        if value.trim().is_empty() {
            self.push(error_at(node, Code::WrongValue, format!("{what}; found an empty text")));
            return None;
        }
        Some(Spanned { value, span: node.span })
    }

    /// A list of filled texts.
    pub(crate) fn texts(&mut self, node: &Node, what: &str, each: &str) -> Vec<Spanned<String>> {
        self.list(node, what).iter().filter_map(|item| self.filled(item, each)).collect()
    }

    pub(crate) fn truth(&mut self, node: &Node, key: &str) -> Option<bool> {
        let Value::Scalar(scalar) = &*node.value else {
            self.expected(node, &format!("`{key}` is `true` or `false`"), None);
            return None;
        };
        if let Looks::Truth(truth) = looks(scalar) {
            return Some(truth);
        }
        let hint = match scalar.text.to_ascii_lowercase().as_str() {
            "true" | "false" => Some("write it without quotes".to_owned()),
            "yes" | "on" => Some("write `true`".to_owned()),
            "no" | "off" => Some("write `false`".to_owned()),
            _ => None,
        };
        self.expected(node, &format!("`{key}` is `true` or `false`"), hint);
        None
    }

    pub(crate) fn whole(&mut self, node: &Node, key: &str, least: u32) -> Option<u32> {
        let what = format!("`{key}` is a whole number, {least} or more");
        let Value::Scalar(scalar) = &*node.value else {
            self.expected(node, &what, None);
            return None;
        };
        match scalar.text.parse() {
            Ok(number) if scalar.style == Style::Plain && number >= least => Some(number),
            Ok(_) if scalar.style != Style::Plain => {
                self.expected(node, &what, Some("write it without quotes".to_owned()));
                None
            }
            _ => {
                self.push(error_at(node, Code::WrongValue, format!("{what}; found {}", found(node))));
                None
            }
        }
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&mut self, node: &Node, key: &str, words: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let what = format!("`{key}` is {}", listed(&names, "or"));
        let text = self.loose_text(node, &what)?;
        let known = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if known.is_none() {
            let hint = suggest::did_you_mean(&text, names);
            let message = format!("{what}; found {}", found(node));
            self.push(error_at(node, Code::WrongValue, message).maybe_hint(hint));
        }
        known
    }

    /// A pattern of branches, tags or paths.
    pub(crate) fn glob(&mut self, text: &str, span: Span) -> Option<Glob> {
        match Glob::parse(text) {
            Ok(glob) => Some(glob),
            Err(malformed) => {
                let message = format!("{} is not a pattern: {}", quoted(text), malformed.0);
                self.push(Diagnostic::error(Code::Pattern, span, message));
                None
            }
        }
    }

    /// Patterns of paths.
    pub(crate) fn globs(&mut self, node: &Node, what: &str) -> Vec<Glob> {
        let texts = self.texts(node, what, "a pattern of paths is a text");
        self.at_most(node.span, texts.len(), bounds::PATTERNS, "patterns");
        texts.iter().filter_map(|text| self.glob(text, text.span)).collect()
    }

    /// A condition over variables. An error in it is shown at its own character where the text stands on one line.
    pub(crate) fn expression(&mut self, node: &Node, key: &str) -> Option<Expression> {
        let text = self
            .loose_text(node, &format!("`{key}` is an expression such as `BITBUCKET_BRANCH == \"main\"`"))?;
        match Expression::parse(&text) {
            Ok(expression) => Some(expression),
            Err(malformed) => {
                let span = match &*node.value {
                    Value::Scalar(Scalar { style: Style::Block, .. }) => node.span,
                    _ if node.span.start.line != node.span.end.line => node.span,
                    Value::Scalar(Scalar { style: Style::Quoted, .. }) => {
                        node.span.behind_quote().within(&text, malformed.at, 1)
                    }
                    _ => node.span.within(&text, malformed.at, 1),
                };
                let message = format!("the expression of `{key}` cannot be read: {}", malformed.message);
                self.push(Diagnostic::error(Code::Expression, span, message));
                None
            }
        }
    }

    /// The name of an environment variable.
    pub(crate) fn variable_name(&mut self, text: &str, span: Span) {
        if !variable::is_name(text) {
            let message = format!("{} is not the name of a variable", quoted(text));
            let hint = "letters, digits and `_`; no digit at the start";
            self.push(Diagnostic::error(Code::WrongValue, span, message).hint(hint));
        }
    }

    /// Complains of more than is admitted.
    pub(crate) fn at_most(&mut self, span: Span, there: usize, most: usize, what: &str) {
        if there > most {
            let message = format!("{there} {what} stand here; at most {most} may");
            self.push(Diagnostic::error(Code::TooMany, span, message));
        }
    }

    /// Warns of keys that nobody asked for. `place` is where they stand: "a step".
    pub(crate) fn finish(&mut self, fields: &Fields<'_>, place: &str) {
        for entry in fields.rest() {
            let key = quoted(&entry.key);
            let near = suggest::nearest(&entry.key, fields.asked.iter().copied());
            let belongs = home(&entry.key).filter(|_| near.is_none());
            let (code, hint) = match (near, belongs) {
                (Some(near), _) => (Code::UnknownKey, Some(format!("did you mean `{near}`?"))),
                (None, Some(home)) => (Code::Misplaced, Some(format!("it belongs {home}"))),
                (None, None) => (Code::UnknownKey, None),
            };
            let message = format!("{key} is not a key of {place}; it is ignored");
            self.push(Diagnostic::warning(code, entry.key_span, message).maybe_hint(hint));
        }
    }
}

/// Where a key belongs that stands elsewhere.
pub(crate) fn home(key: &str) -> Option<&'static str> {
    Some(match key {
        "image" => "at the root of the file, in a step or in a service",
        "script" | "after-script" | "artifacts" | "runs-on" | "oidc" | "concurrency-group" => "in a step",
        "output-variables" | "deployment" | "trigger" | "aws" => "in a step",
        "step" | "parallel" | "stage" => "in the list of a pipeline",
        "default" | "branches" | "tags" | "custom" | "pull-requests" => "below `pipelines`",
        "caches" | "services" => "below `definitions`; a step lists the names that it uses",
        "max-time" | "size" | "runtime" => "in a step, or below `options`",
        "docker" => "below `options`",
        "depth" | "lfs" | "skip-ssl-verify" => "below `clone`",
        "includePaths" | "excludePaths" => "below `condition` and `changesets`",
        "changesets" | "state" => "below `condition`",
        "variables" => "in a pipe, in a service, or first in a custom pipeline",
        "fail-fast" => "in a `parallel` group, or in one of its steps",
        _ => return None,
    })
}
