//! What a step runs: commands and pipes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    diagnostic::{Code, Diagnostic, quoted},
    node::{Node, Value},
    read::{Reader, error_at},
};

/// An item of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ScriptItem {
    /// A command, or several lines of them.
    Command {
        /// For the shell.
        command: String,
    },
    /// A container that is run.
    Pipe(Pipe),
}

/// A pipe: a container that is run from a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pipe {
    /// `owner/repository:version`, or `docker://image`.
    pub pipe: String,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What its container finds in its environment.
    pub variables: BTreeMap<String, PipeValue>,
}

/// A value of a variable of a pipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PipeValue {
    /// One text.
    Text(String),
    /// Several, handed over as `NAME_0`, `NAME_1` … and `NAME_COUNT`.
    List(Vec<String>),
}

/// The image that a pipe runs: what the table says of its name, with or without its version; else `docker://image` as it is,
/// and `owner/name:version` as an image of that name. Those of `atlassian` are published under another.
#[must_use]
pub fn image_of(pipe: &str, table: &BTreeMap<String, String>) -> String {
    if let Some(image) = table.get(pipe) {
        return image.clone();
    }
    if let Some(image) = pipe.strip_prefix("docker://") {
        return image.to_owned();
    }
    let (name, version) = match pipe.rsplit_once(':') {
        Some((name, version)) if !version.contains('/') => (name, version),
        _ => (pipe, "latest"),
    };
    match (table.get(name), name.strip_prefix("atlassian/")) {
        (Some(image), _) => format!("{image}:{version}"),
        (None, Some(rest)) => format!("bitbucketpipelines/{rest}:{version}"),
        (None, None) => format!("{name}:{version}"),
    }
}

/// What is wrong with a table of [`image_of`], in a sentence: a name without a version takes on each pipe's version, so its
/// image has none of its own.
///
/// # Errors
/// With the first entry that is none.
pub fn check_images(table: &BTreeMap<String, String>) -> Result<(), String> {
    for (name, image) in table {
        let versioned =
            |text: &str| text.contains('@') || text.rsplit('/').next().is_some_and(|last| last.contains(':'));
        let problem = if image.is_empty() || image.starts_with('-') || image.contains(char::is_whitespace) {
            "is no image"
        } else if !versioned(name) && versioned(image) {
            "has a tag or digest, where the pipe is named without a version, whose tag is the pipe's: leave one of them out"
        } else {
            continue;
        };
        return Err(format!("`{}` of the pipe `{}` {problem}", image.escape_debug(), name.escape_debug()));
    }
    Ok(())
}

/// Reads `script` or `after-script`.
pub(crate) fn read(reader: &mut Reader, node: &Node, key: &str) -> Vec<ScriptItem> {
    let what = format!("`{key}` is a list of commands");
    reader.list(node, &what).iter().filter_map(|item| read_item(reader, item)).collect()
}

fn read_item(reader: &mut Reader, node: &Node) -> Option<ScriptItem> {
    match &*node.value {
        Value::Scalar(scalar) if scalar.text.trim().is_empty() => {
            reader.push(error_at(node, Code::WrongValue, "a command is a text; found an empty one"));
            None
        }
        Value::Scalar(scalar) => Some(ScriptItem::Command { command: scalar.text.clone() }),
        Value::Map(entries) if !entries.iter().any(|entry| entry.key == "pipe") => {
            let message = "a command is a text, and a pipe a map with `pipe`; found a map without `pipe`";
            let hint = match entries.first().map(|entry| entry.key.as_str()) {
                Some("step" | "parallel" | "stage") => {
                    "is this line indented too far? a step does not stand in a script"
                }
                _ => "a command with `: ` in it must stand in quotes, or on lines of its own below `- |`",
            };
            reader.push(error_at(node, Code::WrongType, message).hint(hint));
            None
        }
        Value::Map(_) => read_pipe(reader, node).map(ScriptItem::Pipe),
        _ => {
            let hint = match &*node.value {
                Value::List(_) => Some("lists do not merge: name the commands one by one".to_owned()),
                _ => None,
            };
            reader.expected(node, "a command is a text, and a pipe a map with `pipe`", hint);
            None
        }
    }
}

fn read_pipe(reader: &mut Reader, node: &Node) -> Option<Pipe> {
    let mut fields = reader.map(node, "a pipe is a map")?;
    let pipe = fields.take("pipe").and_then(|node| {
        let pipe = reader.filled(node, "`pipe` is `owner/repository:version` or `docker://image:tag`")?;
        check_name(reader, &pipe, node);
        Some(pipe.value)
    });
    let name = fields.take("name").and_then(|node| reader.text(node, "`name` of a pipe is a text"));
    let variables = fields.take("variables").map(|node| read_variables(reader, node)).unwrap_or_default();
    reader.finish(&fields, "a pipe");
    Some(Pipe { pipe: pipe?, name, variables })
}

fn check_name(reader: &mut Reader, pipe: &str, node: &Node) {
    if pipe.strip_prefix("docker://").is_some_and(|image| !image.is_empty()) {
        return;
    }
    let (path, version) = pipe.split_once(':').map_or((pipe, None), |(path, version)| (path, Some(version)));
    let named = path.split('/').count() == 2 && path.split('/').all(|part| !part.is_empty());
    let error = if !named {
        let message = format!("{} names no pipe: one is `owner/repository:version`", quoted(pipe));
        error_at(node, Code::WrongValue, message)
            .hint("for an image that is no pipe, write `docker://image:tag`")
    } else if version.is_none_or(str::is_empty) {
        let message = format!("the pipe {} has no version", quoted(pipe));
        error_at(node, Code::WrongValue, message).hint(format!("name one, as in `{path}:1.0.0`"))
    } else {
        return;
    };
    reader.push(error);
}

fn read_variables(reader: &mut Reader, node: &Node) -> BTreeMap<String, PipeValue> {
    let mut variables = BTreeMap::new();
    for entry in reader.named(node, "`variables` of a pipe is a map of names and values") {
        reader.variable_name(&entry.key, entry.key_span);
        let value = match &*entry.value.value {
            Value::List(items) => {
                let text = |item| reader.text(item, "a value of a variable is a text");
                Some(PipeValue::List(items.iter().filter_map(text).collect()))
            }
            // Left out, it is empty; so it is in files that pass on what may not be set.
            Value::Null => {
                let message =
                    format!("the variable {} has no value; it is read as empty text", quoted(&entry.key));
                reader.push(Diagnostic::warning(Code::ReadAsText, entry.key_span, message));
                Some(PipeValue::Text(String::new()))
            }
            _ => reader
                .text(&entry.value, "a value of a variable is a text, or a list of texts")
                .map(PipeValue::Text),
        };
        variables.extend(value.map(|value| (entry.key.clone(), value)));
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, image: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), image.to_owned())])
    }

    #[test]
    fn a_pipe_without_a_version_gives_its_image_one() {
        for (name, image) in [
            ("acme/deploy", "images.example.com:5000/deploy"),
            ("acme/deploy:1.0.0", "images.example.com/deploy:7"),
            ("acme/deploy:1.0.0", "deploy"),
            ("acme/deploy:1.0.0", "deploy@sha256:0"),
        ] {
            assert_eq!(check_images(&table(name, image)), Ok(()), "{name} {image}");
        }
        assert_eq!(image_of("acme/deploy:2.1.0", &table("acme/deploy", "h:5000/d")), "h:5000/d:2.1.0");
        for (name, image) in
            [("acme/deploy", "deploy:1"), ("acme/deploy", "deploy@sha256:0"), ("a/b:1", ""), ("a/b:1", "--x")]
        {
            assert!(check_images(&table(name, image)).is_err(), "{name} {image}");
        }
    }
}
