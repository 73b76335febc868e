//! A configuration as JSON, and back as YAML: the form in which providers of dynamic pipelines are handed one and answer.
//!
//! Aliases and merge keys are carried out, and what stands there only to be anchored is left away. A number or a truth
//! value stays one where its text is the usual one (`7`, `true`); what is written otherwise (`007`) is text. Written
//! again, the form reads as the file that it was made from.

use serde_json::{Map, Value as Json};

use crate::{
    bounds,
    diagnostic::Diagnostics,
    event::Event,
    node::{self, Node, Scalar, Style, Value},
    plan::{Plan, PlannedPipeline, SelectorKind},
};

/// The keys of a file's root. Another is left away where it holds what is anchored.
const ROOT: [&str; 8] =
    ["image", "clone", "options", "export", "labels", "triggers", "definitions", "pipelines"];
/// Those below `definitions`.
const DEFINITIONS: [&str; 3] = ["caches", "services", "pipelines"];

/// Reads YAML as JSON; nothing where it is none, or larger than [`bounds`] admit.
#[must_use]
pub fn of_text(text: &str) -> Option<Json> {
    let root = tree(text).ok()?;
    let mut form = json(&root);
    if let (Json::Object(map), Value::Map(entries)) = (&mut form, &*root.value) {
        let aside =
            entries.iter().filter(|entry| entry.value.anchored && !ROOT.contains(&entry.key.as_str()));
        aside.for_each(|entry| drop(map.shift_remove(&entry.key)));
        if let Some(Json::Object(definitions)) = map.get_mut("definitions") {
            definitions.retain(|key, _| DEFINITIONS.contains(&key.as_str()));
            if definitions.is_empty() {
                map.shift_remove("definitions");
            }
        }
    }
    Some(form)
}

/// Any YAML, or the first thing that is wrong with it.
pub(crate) fn tree(text: &str) -> Result<Node, String> {
    if text.len() > bounds::FILE {
        return Err(format!("it has {} bytes; at most {} are read", text.len(), bounds::FILE));
    }
    let mut diagnostics = Diagnostics::default();
    let root = node::parse(text, &mut diagnostics);
    let valid = !diagnostics.has_errors();
    match root {
        Some(root) if valid => Ok(root),
        _ => {
            let first = diagnostics.sorted().into_iter().next();
            let told = first.map(|one| format!("line {}: {}", one.span.start.line, one.message));
            Err(told.unwrap_or_else(|| "it is empty".to_owned()))
        }
    }
}

/// The depth of nodes is bounded, so that this recursion is.
pub(crate) fn json(node: &Node) -> Json {
    match &*node.value {
        Value::Null | Value::Broken => Json::Null,
        Value::Scalar(scalar) => scalar_json(scalar),
        Value::List(items) => Json::Array(items.iter().map(json).collect()),
        Value::Map(entries) => {
            Json::Object(entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect())
        }
    }
}

fn scalar_json(scalar: &Scalar) -> Json {
    let text = scalar.text.as_str();
    if scalar.style == Style::Plain {
        match text {
            "true" | "True" | "TRUE" => return Json::Bool(true),
            "false" | "False" | "FALSE" => return Json::Bool(false),
            _ => {}
        }
        // What is no number to JSON either, and whatever would come back written otherwise, is text.
        let number = text.parse::<i64>().ok().map(serde_json::Number::from);
        let number = number.or_else(|| text.parse::<f64>().ok().and_then(serde_json::Number::from_f64));
        if let Some(number) = number.filter(|number| number.to_string() == text) {
            return Json::Number(number);
        }
    }
    Json::String(text.to_owned())
}

/// Writes a configuration as YAML.
///
/// # Errors
/// When it is larger, deeper or more than a file may be.
pub fn to_yaml(form: &Json) -> Result<String, String> {
    let mut writer = Writer { out: String::new(), values: 0 };
    match form {
        Json::Object(map) if !map.is_empty() => writer.map(map, 0)?,
        other => {
            writer.value(other, 0)?;
            writer.out = writer.out.trim_start().to_owned();
        }
    }
    Ok(writer.out)
}

/// The longest name of a map that stands on one line, in bytes (YAML 1.2.2, section 7.4.2).
const LONGEST_NAME: usize = 1024;

struct Writer {
    out: String,
    values: usize,
}

impl Writer {
    fn count(&mut self, depth: usize) -> Result<(), String> {
        self.values += 1;
        if depth > bounds::DEPTH {
            return Err(format!("more than {} lists and maps stand within each other", bounds::DEPTH));
        }
        if self.values > bounds::VALUES || self.out.len() > bounds::FILE {
            let (values, bytes) = (bounds::VALUES, bounds::FILE);
            return Err(format!("it has more than {values} values, or as YAML more than {bytes} bytes"));
        }
        Ok(())
    }

    fn indent(&mut self, depth: usize) {
        self.out.extend(std::iter::repeat_n("  ", depth));
    }

    fn map(&mut self, map: &Map<String, Json>, depth: usize) -> Result<(), String> {
        self.count(depth)?;
        for (at, (key, value)) in map.iter().enumerate() {
            // The first key of a map in a list stands behind the hyphen.
            if at > 0 || self.out.is_empty() || self.out.ends_with('\n') {
                self.indent(depth);
            }
            let name = line(key);
            if name.len() > LONGEST_NAME {
                return Err(format!("a name has more than {LONGEST_NAME} bytes, as YAML writes it"));
            }
            self.out.push_str(&name);
            self.out.push(':');
            self.value(value, depth)?;
        }
        Ok(())
    }

    /// A value behind a key or a hyphen, to the end of its line or lines.
    fn value(&mut self, value: &Json, depth: usize) -> Result<(), String> {
        self.count(depth)?;
        match value {
            Json::Object(map) if !map.is_empty() => {
                self.out.push('\n');
                self.map(map, depth + 1)?;
            }
            Json::Array(items) if !items.is_empty() => {
                self.out.push('\n');
                for item in items {
                    self.indent(depth + 1);
                    self.out.push('-');
                    match item {
                        Json::Object(map) if !map.is_empty() => {
                            self.out.push(' ');
                            self.map(map, depth + 2)?;
                        }
                        other => self.value(other, depth + 1)?,
                    }
                }
            }
            Json::Object(_) => self.out.push_str(" {}\n"),
            Json::Array(_) => self.out.push_str(" []\n"),
            Json::Null => self.out.push_str(" null\n"),
            Json::Bool(truth) => self.out.push_str(if *truth { " true\n" } else { " false\n" }),
            Json::Number(number) => {
                self.out.push(' ');
                self.out.push_str(&number.to_string());
                self.out.push('\n');
            }
            Json::String(text) => self.text(text, depth + 1),
        }
        Ok(())
    }

    fn text(&mut self, text: &str, depth: usize) {
        if !is_block(text) {
            self.out.push(' ');
            self.out.push_str(&line(text));
            self.out.push('\n');
            return;
        }
        self.out.push_str(if text.ends_with('\n') { " |\n" } else { " |-\n" });
        for line in text.lines() {
            if !line.is_empty() {
                self.indent(depth);
                self.out.push_str(line);
            }
            self.out.push('\n');
        }
    }
}

/// Whether a text of several lines can stand below `|` as it is.
fn is_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.starts_with([' ', '\n'])
        && !body.ends_with(['\n', ' '])
        && body.chars().all(|c| c == '\n' || is_plain(c))
}

/// Whether a character stands for itself everywhere in YAML.
fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~') || (c.is_alphanumeric() && c != '\u{feff}')
}

/// A text on one line: as it is where that reads as itself, else in quotes.
fn line(text: &str) -> String {
    let free = |c: char| c.is_ascii_alphanumeric() || "_./$ -@+=,()%!?;~^".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '$'));
    let number = || text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
    let word = || matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "null");
    let inner = |(at, c): (usize, char)| match c {
        // Followed by more, a colon is one of an address or a tag.
        ':' => text
            .get(at + 1..)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/')),
        c => free(c),
    };
    if begins && !text.ends_with(' ') && text.char_indices().all(inner) && !number() && !word() {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            c if is_plain(c) => quoted.push(c),
            c => quoted.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

/// Where a planned pipeline stands below `pipelines`.
pub(crate) fn path(planned: &PlannedPipeline) -> (&'static str, Option<&str>) {
    let kind = match planned.selector {
        SelectorKind::Default => return ("default", None),
        SelectorKind::Branches => "branches",
        SelectorKind::Tags => "tags",
        SelectorKind::PullRequests => "pull-requests",
        SelectorKind::Custom => "custom",
    };
    (kind, planned.pattern.as_deref())
}

/// A form with those pipelines alone that the event starts; perhaps none. Custom ones stay where a rule of `triggers`
/// or a step may name them.
#[must_use]
pub fn narrowed(form: &Json, event: &Event, plan: Option<&Plan>) -> Json {
    let Json::Object(root) = form else { return form.clone() };
    let mut root = root.clone();
    let planned = plan.map(|plan| plan.pipelines.as_slice()).unwrap_or_default();
    let triggered = event.trigger().is_some() && root.contains_key("triggers");
    if !triggered {
        root.shift_remove("triggers");
    }
    let children = planned.iter().flat_map(|one| &one.steps).any(|step| step.child.is_some());
    let mut kept = Map::new();
    if let Some(Json::Object(pipelines)) = root.get("pipelines") {
        for (kind, value) in pipelines {
            if kind == "custom" && (triggered || children) {
                kept.insert(kind.clone(), value.clone());
                continue;
            }
            let here = planned.iter().map(path).filter(|(of, _)| of == kind);
            for (_, pattern) in here {
                match (pattern, value) {
                    (None, pipeline) => {
                        kept.insert(kind.clone(), pipeline.clone());
                    }
                    (Some(pattern), Json::Object(patterns)) => {
                        let Some(pipeline) = patterns.get(pattern) else { continue };
                        let into = kept.entry(kind.clone()).or_insert_with(|| Json::Object(Map::new()));
                        if let Json::Object(into) = into {
                            into.insert(pattern.to_owned(), pipeline.clone());
                        }
                    }
                    _ => {}
                }
            }
        }
    }
    root.insert("pipelines".to_owned(), Json::Object(kept));
    Json::Object(root)
}

/// The names below `custom`, in the order of the file.
#[must_use]
pub fn custom_names(form: &Json) -> Vec<String> {
    let custom = form.pointer("/pipelines/custom").and_then(Json::as_object);
    custom.map(|custom| custom.keys().cloned().collect()).unwrap_or_default()
}
