//! Files that outlive their step.

use serde::{Deserialize, Serialize};

use crate::{
    diagnostic::{Code, Diagnostic, quoted},
    node::{Node, Value},
    read::{Reader, error_at},
    span::Span,
};

/// What a step takes from earlier ones and leaves to later ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifacts {
    /// What is taken from earlier steps.
    pub download: Download,
    /// Patterns of the files that are left to later steps, below the clone.
    pub paths: Vec<String>,
    /// The same under a name, with more to say about each.
    pub upload: Vec<Upload>,
}

/// Which artifacts of earlier steps a step gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Download {
    /// All.
    #[default]
    All,
    /// None.
    None,
    /// Those of these names.
    Named(Vec<String>),
}

/// An artifact with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Its name.
    pub name: String,
    /// What becomes of it.
    #[serde(rename = "type")]
    pub kind: UploadKind,
    /// Patterns of its files, below the clone.
    pub paths: Vec<String>,
    /// Patterns of files that do not belong to it.
    pub ignore_paths: Vec<String>,
    /// After which result it is kept.
    pub capture_on: CaptureOn,
    /// How deep folders are searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<u32>,
}

/// What becomes of an artifact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UploadKind {
    /// Later steps get it.
    #[default]
    Shared,
    /// It can be downloaded by people alone.
    Scoped,
    /// It is read as results of tests.
    TestReports,
}

/// After which result of the step an artifact is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaptureOn {
    /// When it passed.
    #[default]
    Success,
    /// When it failed.
    Failed,
    /// Whatever happened.
    Always,
}

pub(crate) fn read(reader: &mut Reader, node: &Node) -> Artifacts {
    const WHAT: &str = "`artifacts` is a list of patterns, or a map with `paths`, `download` or `upload`";
    if let Value::List(_) = &*node.value {
        return Artifacts { paths: read_paths(reader, node, WHAT), ..Artifacts::default() };
    }
    let Some(mut fields) = reader.map(node, WHAT) else { return Artifacts::default() };
    let download = fields.take("download").and_then(|node| read_download(reader, node)).unwrap_or_default();
    let paths = fields.take("paths").map(|node| read_paths(reader, node, "`paths` is a list of patterns"));
    let uploads = fields.take("upload").map(|node| {
        let items = reader.list(node, "`upload` is a list of artifacts");
        items.iter().filter_map(|item| read_upload(reader, item)).collect()
    });
    reader.finish(&fields, "`artifacts`");
    Artifacts { download, paths: paths.unwrap_or_default(), upload: uploads.unwrap_or_default() }
}

fn read_download(reader: &mut Reader, node: &Node) -> Option<Download> {
    if let Value::List(_) = &*node.value {
        let names = reader.texts(node, "`download` is a list of names", "the name of an artifact is a text");
        return Some(Download::Named(names.into_iter().map(|name| name.value).collect()));
    }
    let all = reader.truth(node, "download")?;
    Some(if all { Download::All } else { Download::None })
}

fn read_upload(reader: &mut Reader, node: &Node) -> Option<Upload> {
    let mut fields = reader.map(node, "an artifact of `upload` is a map with `name` and `paths`")?;
    let name = fields.take("name").and_then(|node| {
        let name = reader.filled(node, "the name of an artifact is a text")?;
        if name.value.starts_with("bastide:") {
            let message = format!(
                "no artifact is named {}: what begins with `bastide:` is not for files",
                quoted(&name.value)
            );
            reader.push(error_at(node, Code::WrongValue, message));
        }
        Some(name)
    });
    let paths = fields.take("paths").map(|node| read_paths(reader, node, "`paths` is a list of patterns"));
    let kinds = [
        ("shared", UploadKind::Shared),
        ("scoped", UploadKind::Scoped),
        ("test-reports", UploadKind::TestReports),
    ];
    let kind = fields.take("type").and_then(|node| reader.choice(node, "type", &kinds)).unwrap_or_default();
    let results =
        [("success", CaptureOn::Success), ("failed", CaptureOn::Failed), ("always", CaptureOn::Always)];
    let capture_on = fields
        .take("capture-on")
        .and_then(|node| reader.choice(node, "capture-on", &results))
        .unwrap_or_default();
    let depth = fields.take("depth").and_then(|node| reader.whole(node, "depth", 1));
    let ignored = fields
        .take("ignore-paths")
        .map(|node| read_paths(reader, node, "`ignore-paths` is a list of patterns"));
    reader.finish(&fields, "an artifact of `upload`");
    for key in ["name", "paths"] {
        if !fields.has(key) {
            let message = format!("an artifact of `upload` has `{key}`, and there is none");
            reader.push(error_at(node, Code::MissingKey, message));
        }
    }
    let ignore_paths = ignored.unwrap_or_default();
    Some(Upload { name: name?.value, kind, paths: paths?, ignore_paths, capture_on, depth })
}

fn read_paths(reader: &mut Reader, node: &Node, what: &str) -> Vec<String> {
    let globs: Vec<_> = reader
        .texts(node, what, "a pattern of paths is a text")
        .into_iter()
        .filter_map(|text| Some((reader.glob(&text, text.span)?, text.span)))
        .collect();
    for (glob, span) in &globs {
        warn_of_place(reader, glob.as_str(), *span);
    }
    globs.iter().map(|(glob, _)| glob.as_str().to_owned()).collect()
}

/// Artifacts lie below the clone, and their patterns name them from there.
fn warn_of_place(reader: &mut Reader, pattern: &str, span: Span) {
    let outside = pattern.starts_with(['/', '~']);
    if outside || pattern.split('/').any(|part| part == "." || part == "..") {
        let message = format!("the artifact {} may match nothing", quoted(pattern));
        let hint = "patterns begin at the folder of the clone, without `/`, `.` or `..`";
        reader.push(Diagnostic::warning(Code::Unwise, span, message).hint(hint));
    }
}
