//! The file as a tree whose every part knows where it stands. Aliases are shared, not copied, and counted as if they
//! were; merge keys are carried out; what is wrong with the YAML itself is said here, and nowhere else.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use granit_parser::{Event, Marker, Parser, ScalarStyle};

use crate::{
    bounds,
    diagnostic::{Code, Diagnostic, Diagnostics, quoted},
    span::{Position, Span},
    syntax,
};

/// A value of the file.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Rc<Value>,
    /// Where it is written; behind an alias, where the anchor is.
    pub(crate) span: Span,
    /// Where the alias is written, if it came by one.
    pub(crate) alias: Option<Span>,
    /// Whether it, or something in it, has an anchor: then it is there to be used elsewhere.
    pub(crate) anchored: bool,
}

#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Something of which all has been said already.
    Broken,
}

#[derive(Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) style: Style,
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Quoted,
    /// After `|` or `>`.
    Block,
}

/// A key of a map and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

/// How much a node counts: with all that its aliases stand for.
#[derive(Clone, Copy, Default)]
struct Weight {
    values: usize,
    text: usize,
    depth: usize,
    anchored: bool,
}

impl Weight {
    fn add(&mut self, other: Self) {
        self.values = self.values.saturating_add(other.values);
        self.text = self.text.saturating_add(other.text);
        self.depth = self.depth.max(other.depth + 1);
        self.anchored |= other.anchored;
    }
}

/// A list or a map whose end has not come yet.
struct Open {
    anchor: usize,
    start: Span,
    weight: Weight,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, merged: Vec<Node>, key: Option<Key> },
}

/// A key whose value has not come yet.
enum Key {
    Plain(String, Span),
    Merge,
    /// Already complained about: its value is dropped.
    Broken,
}

/// Reads a file. Nothing where there is no YAML to speak of; what is wrong stands in the diagnostics.
pub(crate) fn parse(text: &str, diagnostics: &mut Diagnostics) -> Option<Node> {
    let options = granit_parser::options! {
        emit_unresolved_aliases: true,
        block_nesting_limit: bounds::DEPTH,
        flow_nesting_limit: bounds::DEPTH,
    };
    let mut builder =
        Builder { diagnostics, open: Vec::new(), anchors: HashMap::new(), root: None, stumbled: false };
    for next in Parser::new_from_str_with_options(text, options) {
        let taken = match next {
            Ok((event, span)) => builder.take(&event, span_of(span.start, span.end)),
            Err(error) => Err(Box::new(syntax::diagnostic(text, &error))),
        };
        if let Err(fatal) = taken {
            // What YAML took for an alias lets it stumble a little later: once is said enough.
            if !builder.stumbled {
                builder.diagnostics.push(*fatal);
            }
            return None;
        }
    }
    builder.root.map(|(node, _)| node)
}

pub(crate) fn position(marker: &Marker) -> Position {
    let offset = marker.byte_offset().unwrap_or_default();
    Position { line: marker.line(), column: marker.col() + 1, offset }
}

fn span_of(start: Marker, end: Marker) -> Span {
    Span { start: position(&start), end: position(&end) }
}

struct Builder<'d> {
    diagnostics: &'d mut Diagnostics,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, Weight)>,
    root: Option<(Node, Weight)>,
    /// Whether a pattern without quotes was taken for an alias.
    stumbled: bool,
}

/// What ends the reading of a file.
type Fatal = Box<Diagnostic>;

impl Builder<'_> {
    fn take(&mut self, event: &Event<'_>, span: Span) -> Result<(), Fatal> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                let node = Node { value: Rc::new(scalar(text, *style)), span, alias: None, anchored: false };
                let weight = Weight { values: 1, text: text.len(), ..Weight::default() };
                self.place(node, weight, *anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                self.begin(*anchor, span, Content::List(Vec::new()));
                Ok(())
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                let content = Content::Map { entries: Vec::new(), merged: Vec::new(), key: None };
                self.begin(*anchor, span, content);
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(anchor) => self.alias(*anchor, span),
            Event::UnresolvedAlias(name) => {
                self.unknown_alias(name, span);
                self.place(broken(span), Weight { values: 1, ..Weight::default() }, 0)
            }
            Event::DocumentStart(..) if self.root.is_some() => {
                let message = "a second document begins here; a configuration is one document";
                let hint = "take the line `---` away, or what follows it";
                Err(Box::new(Diagnostic::error(Code::Syntax, span, message).hint(hint)))
            }
            _ => Ok(()),
        }
    }

    /// A tag is hardly ever meant.
    fn refuse_tag(&mut self, tag: Option<&granit_parser::Tag>, span: Span) {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            let message =
                format!("found the YAML tag {}; tags have no meaning here", quoted(&tag.original()));
            self.diagnostics.push(
                Diagnostic::error(Code::Syntax, span, message)
                    .hint("text that begins with `!` must stand in quotes"),
            );
        }
    }

    fn unknown_alias(&mut self, name: &str, span: Span) {
        // Anchors that people write have plain names.
        let pattern = !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
        self.stumbled |= pattern;
        let error = if pattern {
            let shown = quoted(&format!("*{}", name.trim_end_matches(':')));
            let message = format!("{shown} stands without quotes, and YAML takes it for an alias");
            Diagnostic::error(Code::Alias, span, message)
                .hint("a pattern that begins with `*` must stand in quotes")
        } else {
            let shown = quoted(&format!("*{name}"));
            let message = format!("the alias {shown} refers to an anchor, and there is none before it");
            Diagnostic::error(Code::Alias, span, message).hint(format!("an anchor is written as `&{name}`"))
        };
        self.diagnostics.push(error);
    }

    fn begin(&mut self, anchor: usize, start: Span, content: Content) {
        self.open.push(Open { anchor, start, weight: Weight { values: 1, ..Weight::default() }, content });
    }

    fn end(&mut self, end: Span) -> Result<(), Fatal> {
        let Some(Open { anchor, start, weight, content }) = self.open.pop() else { return Ok(()) };
        let value = match content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, merged, .. } => {
                Value::Map(merge(unique(entries, self.diagnostics), &merged))
            }
        };
        let span = Span { start: start.start, end: end.end };
        self.place(Node { value: Rc::new(value), span, alias: None, anchored: false }, weight, anchor)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Fatal> {
        let Some((node, weight)) = self.anchors.get(&anchor) else {
            let message = "this alias stands within the anchor that it refers to";
            return Err(Box::new(Diagnostic::error(Code::Alias, span, message)));
        };
        let node = Node { alias: Some(span), ..node.clone() };
        // Using what is anchored anchors nothing.
        let weight = Weight { anchored: false, ..*weight };
        self.place(node, weight, 0)
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, mut node: Node, mut weight: Weight, anchor: usize) -> Result<(), Fatal> {
        if weight.depth > bounds::DEPTH {
            let message = format!("more than {} lists and maps stand within each other", bounds::DEPTH);
            let span = node.alias.unwrap_or(node.span);
            return Err(Box::new(Diagnostic::error(Code::TooLarge, span, message)));
        }
        weight.anchored |= anchor != 0;
        node.anchored = weight.anchored;
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some((node, weight));
            return Ok(());
        };
        open.weight.add(weight);
        if open.weight.values > bounds::VALUES || open.weight.text > bounds::TEXT {
            let message = format!(
                "with all that aliases stand for, the file has more than {} values or {} bytes of text",
                bounds::VALUES,
                bounds::TEXT
            );
            let span = node.alias.unwrap_or(node.span);
            return Err(Box::new(Diagnostic::error(Code::TooLarge, span, message)));
        }
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map { key: pending @ None, .. } => *pending = Some(key(&node, self.diagnostics)),
            Content::Map { entries, merged, key } => match key.take() {
                Some(Key::Plain(key, key_span)) => {
                    // A value that was left out stands where its key stands.
                    let span = if matches!(*node.value, Value::Null) { key_span } else { node.span };
                    entries.push(Entry { key, key_span, value: Node { span, ..node } });
                }
                Some(Key::Merge) => merge_sources(node, merged, self.diagnostics),
                Some(Key::Broken) | None => {}
            },
        }
        Ok(())
    }
}

fn broken(span: Span) -> Node {
    Node { value: Rc::new(Value::Broken), span, alias: None, anchored: false }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    let style = match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
    };
    if style == Style::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    Value::Scalar(Scalar { text: text.to_owned(), style })
}

fn key(node: &Node, diagnostics: &mut Diagnostics) -> Key {
    match &*node.value {
        Value::Scalar(Scalar { text, style: Style::Plain }) if text == "<<" => Key::Merge,
        Value::Scalar(scalar) => Key::Plain(scalar.text.clone(), node.alias.unwrap_or(node.span)),
        Value::Broken => Key::Broken,
        _ => {
            diagnostics.push(Diagnostic::error(Code::WrongType, node.span, "a key must be a piece of text"));
            Key::Broken
        }
    }
}

/// Each key once: which of two values was meant cannot be known.
fn unique(entries: Vec<Entry>, diagnostics: &mut Diagnostics) -> Vec<Entry> {
    let mut first: HashMap<String, Span> = HashMap::new();
    let mut kept = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Some(before) = first.get(&entry.key) {
            let message = format!("the key {} stands twice in this map", quoted(&entry.key));
            let twice = Diagnostic::error(Code::DuplicateKey, entry.key_span, message);
            diagnostics.push(twice.related(*before, "here first"));
            continue;
        }
        first.insert(entry.key.clone(), entry.key_span);
        kept.push(entry);
    }
    kept
}

/// The maps that a merge key names.
fn merge_sources(node: Node, merged: &mut Vec<Node>, diagnostics: &mut Diagnostics) {
    match &*node.value {
        Value::Map(_) => merged.push(node),
        Value::List(items) if items.iter().all(|item| matches!(*item.value, Value::Map(_))) => {
            merged.extend(items.iter().cloned());
        }
        Value::Broken => {}
        _ => diagnostics.push(Diagnostic::error(
            Code::WrongType,
            node.alias.unwrap_or(node.span),
            "`<<` merges a map, or a list of maps, into this one; found something else",
        )),
    }
}

/// A map's own entries, then what is merged into it: own keys win, then earlier maps.
fn merge(mut entries: Vec<Entry>, merged: &[Node]) -> Vec<Entry> {
    if merged.is_empty() {
        return entries;
    }
    let mut known: HashSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
    for node in merged {
        let Value::Map(others) = &*node.value else { continue };
        for entry in others {
            if known.insert(entry.key.clone()) {
                entries.push(entry.clone());
            }
        }
    }
    entries
}
