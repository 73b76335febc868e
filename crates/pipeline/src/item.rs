//! What a pipeline is made of: steps, parallel groups and stages.

use crate::{
    condition::{self, Condition},
    deployment::EnvironmentName,
    diagnostic::{Code, Diagnostic, quoted},
    node::{Entry, Node, Value},
    read::{Reader, error_at},
    span::{Span, Spanned},
    step::{self, Place, Step},
    suggest,
    variable::{self, Variable},
};

/// An item of a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// One step.
    Step(Box<Step>),
    /// Steps that run at the same time.
    Parallel(Parallel),
    /// Steps that run one after the other, and share an environment, a trigger and a condition.
    Stage(Box<Stage>),
}

/// Steps that run at the same time.
#[derive(Clone, Debug, PartialEq)]
pub struct Parallel {
    pub(crate) span: Span,
    pub(crate) steps: Vec<Step>,
    pub(crate) fail_fast: bool,
}

/// Steps that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    pub(crate) span: Span,
    pub(crate) name: Option<String>,
    pub(crate) steps: Vec<Step>,
    pub(crate) deployment: Option<Spanned<EnvironmentName>>,
    pub(crate) manual: bool,
    pub(crate) condition: Option<Condition>,
}

impl Item {
    /// Its steps, in the order of the file.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        match self {
            Self::Step(step) => std::slice::from_ref(step),
            Self::Parallel(parallel) => &parallel.steps,
            Self::Stage(stage) => &stage.steps,
        }
    }
}

/// The items of a pipeline, and its variables where it may have some.
pub(crate) fn read_items(reader: &mut Reader, node: &Node, variables: bool) -> (Vec<Item>, Vec<Variable>) {
    const WHAT: &str = "a pipeline is a list of steps";
    let mut items = Vec::new();
    let mut declared = Vec::new();
    if let Value::Map(entries) = &*node.value {
        let first = entries.first().map_or("step", |entry| entry.key.as_str());
        let hint = match first {
            "step" | "parallel" | "stage" | "variables" => format!("write `- {first}:`, with a hyphen"),
            _ => "write `- step:`, and below it what the step does, indented further".to_owned(),
        };
        reader.expected(node, WHAT, Some(hint));
        return (items, declared);
    }
    for (at, item) in reader.list(node, WHAT).iter().enumerate() {
        if let Value::Map(entries) = &*item.value
            && let Some(entry) = entries.iter().find(|entry| entry.key == "variables")
            && !entries.iter().any(|entry| is_item(&entry.key))
        {
            if !variables {
                let message = "only custom pipelines have `variables`";
                reader.push(Diagnostic::error(Code::Misplaced, entry.key_span, message));
            } else if at > 0 {
                let message = "`variables` stands first in a custom pipeline";
                reader.push(Diagnostic::error(Code::Misplaced, entry.key_span, message));
            }
            declared = variable::read(reader, &entry.value);
            continue;
        }
        items.extend(read_item(reader, item));
    }
    if items.is_empty() && !declared.is_empty() {
        reader.push(error_at(node, Code::MissingKey, "a pipeline has at least one step, and there is none"));
    }
    (items, declared)
}

fn is_item(key: &str) -> bool {
    matches!(key, "step" | "parallel" | "stage")
}

fn read_item(reader: &mut Reader, node: &Node) -> Option<Item> {
    let entry = only_entry(reader, node, "an item of a pipeline is `step`, `parallel` or `stage`", is_item)?;
    match entry.key.as_str() {
        "step" => read_step(reader, node, entry, Place::Pipeline).map(|step| Item::Step(Box::new(step))),
        "parallel" => read_parallel(reader, entry).map(Item::Parallel),
        _ => read_stage(reader, entry).map(|stage| Item::Stage(Box::new(stage))),
    }
}

/// The one entry of an item. Its siblings, if it has any, are the step's content, not indented far enough.
fn only_entry<'n>(
    reader: &mut Reader,
    node: &'n Node,
    what: &str,
    wanted: impl Fn(&str) -> bool,
) -> Option<&'n Entry> {
    let Value::Map(entries) = &*node.value else {
        let bare = matches!(&*node.value, Value::Scalar(scalar) if wanted(&scalar.text));
        let hint = if bare { Some("a `:` is missing behind it".to_owned()) } else { None };
        reader.expected(node, what, hint);
        return None;
    };
    let Some(entry) = entries.iter().find(|entry| wanted(&entry.key)) else {
        let first = entries.first()?;
        let content = entries.iter().any(|entry| matches!(entry.key.as_str(), "script" | "name" | "image"));
        let hint = if content {
            Some("write `- step:` above it, and indent what belongs to the step further".to_owned())
        } else {
            suggest::did_you_mean(
                &first.key,
                ["step", "parallel", "stage"].into_iter().filter(|key| wanted(key)),
            )
        };
        let message = format!("{what}; found {}", quoted(&first.key));
        reader.push(Diagnostic::error(Code::WrongType, first.key_span, message).maybe_hint(hint));
        return None;
    };
    if let Some(sibling) = entries.iter().find(|other| other.key != entry.key) {
        let message = format!("{} stands beside `{}`, not below it", quoted(&sibling.key), entry.key);
        let hint = if entry.value.alias.is_some() {
            "to change what an alias stands for, write `<<:` and the alias below, and beside that what differs".to_owned()
        } else {
            format!("indent it further than `{}`; an item has one key", entry.key)
        };
        let error = Diagnostic::error(Code::Misplaced, sibling.key_span, message).hint(hint);
        reader.push(error.related(entry.key_span, "the item begins here"));
    }
    Some(entry)
}

/// A step; where nothing stands below its key, of what stands beside it.
fn read_step(reader: &mut Reader, item: &Node, entry: &Entry, place: Place) -> Option<Step> {
    match (&*entry.value.value, &*item.value) {
        (Value::Null, Value::Map(entries)) if entries.len() > 1 => {
            let others = entries.iter().filter(|other| other.key != entry.key).cloned().collect();
            let node = Node { value: std::rc::Rc::new(Value::Map(others)), ..item.clone() };
            step::read(reader, entry.key_span, &node, place)
        }
        _ => step::read(reader, entry.key_span, &entry.value, place),
    }
}

fn read_steps(reader: &mut Reader, node: &Node, what: &str, place: Place) -> Vec<Step> {
    let group = if place == Place::Stage { "a stage" } else { "a parallel group" };
    let mut steps = Vec::new();
    for item in reader.list(node, what) {
        let each = format!("{group} is made of `step` alone");
        if let Some(entry) = only_entry(reader, item, &each, |key| key == "step") {
            steps.extend(read_step(reader, item, entry, place));
        }
    }
    steps
}

fn read_parallel(reader: &mut Reader, entry: &Entry) -> Option<Parallel> {
    let (span, node) = (entry.key_span, &entry.value);
    const WHAT: &str = "`parallel` is a list of steps, or a map with `steps`";
    if let Value::List(_) = &*node.value {
        let steps = read_steps(reader, node, WHAT, Place::Parallel);
        return Some(Parallel { span, steps, fail_fast: false });
    }
    let mut fields = reader.map(node, WHAT)?;
    let steps = fields.take("steps");
    let fail_fast = fields.take("fail-fast").and_then(|node| reader.truth(node, "fail-fast"));
    reader.finish(&fields, "`parallel`");
    let Some(steps) = steps else {
        reader.push(Diagnostic::error(Code::MissingKey, span, format!("{WHAT}; there are no `steps`")));
        return None;
    };
    let steps = read_steps(reader, steps, "`steps` is a list of steps", Place::Parallel);
    Some(Parallel { span, steps, fail_fast: fail_fast.unwrap_or_default() })
}

fn read_stage(reader: &mut Reader, entry: &Entry) -> Option<Stage> {
    let (span, node) = (entry.key_span, &entry.value);
    let mut fields = reader.map(node, "`stage` is a map with `steps`")?;
    let name = fields.take("name").and_then(|node| reader.text(node, "`name` of a stage is a text"));
    let steps = fields.take("steps");
    let deployment = step::read_deployment(reader, &mut fields, "a stage");
    let manual = step::read_trigger(reader, &mut fields);
    let condition = fields.take("condition").and_then(|node| condition::read(reader, node));
    reader.finish(&fields, "a stage");
    let Some(steps) = steps else {
        let message = "a stage has `steps`, and there are none";
        reader.push(Diagnostic::error(Code::MissingKey, span, message));
        return None;
    };
    let steps = read_steps(reader, steps, "`steps` of a stage is a list of steps", Place::Stage);
    Some(Stage { span, name, steps, deployment, manual, condition })
}
