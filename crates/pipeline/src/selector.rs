//! `pipelines`: which pipeline is for what.

use crate::{
    bounds,
    diagnostic::{Code, Diagnostic, quoted},
    glob::Glob,
    item::{self, Item},
    node::{Entry, Node, Value},
    read::{Reader, error_at},
    span::{Span, Spanned},
    variable::Variable,
};

/// A pipeline as it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// Where it is written: its key.
    pub span: Span,
    /// What whoever starts it may set.
    pub variables: Vec<Variable>,
    pub(crate) body: Body,
}

/// What a pipeline does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    Items(Vec<Item>),
    /// What another repository shares: `repository:reference:name`.
    Import(Spanned<String>),
}

impl Pipeline {
    /// Its items; none where it is imported.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        match &self.body {
            Body::Items(items) => items,
            Body::Import(_) => &[],
        }
    }
}

/// A pipeline for the names that fit a pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// The pattern.
    pub pattern: Spanned<Glob>,
    /// For pull requests, patterns of the destination; otherwise, and where these are not given, one pipeline.
    pub target: Target,
}

/// What a pattern leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A pipeline.
    Pipeline(Pipeline),
    /// Pipelines by the destination of the pull request.
    Destinations(Vec<Selector>),
}

/// All pipelines of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pipelines {
    /// For branches that no pattern fits.
    pub default: Option<Pipeline>,
    /// By the name of the branch.
    pub branches: Vec<Selector>,
    /// By the name of the tag.
    pub tags: Vec<Selector>,
    /// By the source branch of the pull request.
    pub pull_requests: Vec<Selector>,
    /// By their own name.
    pub custom: Vec<(String, Pipeline)>,
}

impl Target {
    fn pipelines(&self) -> Box<dyn Iterator<Item = &Pipeline> + '_> {
        match self {
            Self::Pipeline(pipeline) => Box::new(std::iter::once(pipeline)),
            Self::Destinations(selectors) => {
                Box::new(selectors.iter().flat_map(|selector| selector.target.pipelines()))
            }
        }
    }
}

impl Pipelines {
    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Pipeline> {
        let patterns = self.branches.iter().chain(&self.tags).chain(&self.pull_requests);
        let selected = patterns.flat_map(|selector| selector.target.pipelines());
        self.default.iter().chain(selected).chain(self.custom.iter().map(|(_, pipeline)| pipeline))
    }

    /// The custom pipeline of this name.
    #[must_use]
    pub fn custom(&self, name: &str) -> Option<&Pipeline> {
        self.custom.iter().find(|(known, _)| known == name).map(|(_, pipeline)| pipeline)
    }
}

pub(crate) fn read(reader: &mut Reader, node: &Node) -> Pipelines {
    const WHAT: &str = "`pipelines` is a map with `default`, `branches`, `tags`, `pull-requests` or `custom`";
    let Some(mut fields) = reader.map(node, WHAT) else { return Pipelines::default() };
    let default_span = fields.key_span("default").unwrap_or_default();
    let pipelines = Pipelines {
        default: fields.take("default").and_then(|node| read_pipeline(reader, default_span, node, false)),
        branches: fields
            .take("branches")
            .map(|node| read_patterns(reader, node, "branches"))
            .unwrap_or_default(),
        tags: fields.take("tags").map(|node| read_patterns(reader, node, "tags")).unwrap_or_default(),
        pull_requests: fields
            .take("pull-requests")
            .map(|node| read_patterns(reader, node, "pull-requests"))
            .unwrap_or_default(),
        custom: fields.take("custom").map(|node| read_custom(reader, node, "custom")).unwrap_or_default(),
    };
    if let (Some(bookmarks), Some(span)) = (fields.take("bookmarks"), fields.key_span("bookmarks")) {
        let message = "`bookmarks` are Mercurial's; these pipelines never run";
        reader.push(Diagnostic::warning(Code::NotYet, span, message).hint("move them below `branches`"));
        read_patterns(reader, bookmarks, "bookmarks");
    }
    for entry in fields.rest().filter(|entry| matches!(*entry.value.value, Value::List(_))) {
        let message = format!("{} is not a key of `pipelines`; it is ignored", quoted(&entry.key));
        let warning = Diagnostic::warning(Code::UnknownKey, entry.key_span, message);
        reader
            .push(warning.hint(
                "the pipeline of a branch stands below `branches`, and one with a name below `custom`",
            ));
    }
    fields.forgive(|entry| matches!(*entry.value.value, Value::List(_)));
    reader.finish(&fields, "`pipelines`");
    if pipelines == Pipelines::default() && !reader.diagnostics.has_errors() {
        reader.push(error_at(node, Code::MissingKey, format!("{WHAT}; found none of them")));
    }
    pipelines
}

fn read_patterns(reader: &mut Reader, node: &Node, key: &'static str) -> Vec<Selector> {
    let entries = reader.named(node, &format!("`{key}` is a map of patterns, each with a pipeline"));
    reader.at_most(node.span, entries.len(), bounds::PATTERNS, "patterns");
    let mut selectors = Vec::new();
    for entry in entries.iter().take(bounds::PATTERNS) {
        let pattern = reader.glob(&entry.key, entry.key_span);
        let target = read_target(reader, entry, key == "pull-requests");
        if let (Some(value), Some(target)) = (pattern, target) {
            selectors.push(Selector { pattern: Spanned { value, span: entry.key_span }, target });
        }
    }
    selectors
}

fn read_target(reader: &mut Reader, entry: &Entry, pull_requests: bool) -> Option<Target> {
    if pull_requests
        && let Value::Map(entries) = &*entry.value.value
        && let Some(destinations) = entries.iter().find(|entry| entry.key == "destinations")
    {
        return Some(Target::Destinations(read_patterns(reader, &destinations.value, "destinations")));
    }
    read_pipeline(reader, entry.key_span, &entry.value, false).map(Target::Pipeline)
}

/// Pipelines by their own names: `custom`, and those that are shared.
pub(crate) fn read_custom(reader: &mut Reader, node: &Node, key: &str) -> Vec<(String, Pipeline)> {
    let entries = reader.named(node, &format!("`{key}` is a map of names, each with a pipeline"));
    let read = |entry: &Entry| {
        let pipeline = read_pipeline(reader, entry.key_span, &entry.value, true)?;
        Some((entry.key.clone(), pipeline))
    };
    entries.iter().filter_map(read).collect()
}

fn read_pipeline(reader: &mut Reader, span: Span, node: &Node, variables: bool) -> Option<Pipeline> {
    if let Value::Map(entries) = &*node.value
        && let Some(import) = entries.iter().find(|entry| entry.key == "import")
    {
        if let Some(other) = entries.iter().find(|entry| entry.key != "import") {
            let message = format!("{} stands beside `import`, which stands alone", quoted(&other.key));
            reader.push(Diagnostic::error(Code::Conflict, other.key_span, message));
        }
        let import = read_import(reader, &import.value)?;
        return Some(Pipeline { span, variables: Vec::new(), body: Body::Import(import) });
    }
    let (items, variables) = item::read_items(reader, node, variables);
    if items.is_empty() {
        return None;
    }
    Some(Pipeline { span, variables, body: Body::Items(items) })
}

fn read_import(reader: &mut Reader, node: &Node) -> Option<Spanned<String>> {
    const WHAT: &str = "`import` is `repository:branch-or-tag:pipeline`";
    let import = reader.filled(node, WHAT)?;
    let parts: Vec<&str> = import.split(':').collect();
    if parts.len() != 3 || parts.iter().any(|part| part.is_empty()) {
        let message = format!("{WHAT}; found {}", quoted(&import));
        reader.push(error_at(node, Code::WrongValue, message));
        return None;
    }
    Some(import)
}
