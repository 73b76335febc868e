//! A step as it is written.

use std::collections::BTreeMap;

use crate::{
    artifact::{self, Artifacts},
    aws::{self, AwsRole},
    bounds,
    clone::{self, CloneSettings},
    condition::{self, Condition},
    deployment::EnvironmentName,
    diagnostic::{Code, Diagnostic, quoted},
    image::{self, Image},
    node::{Entry, Node, Value},
    oidc::{self, Oidc},
    read::{Fields, Reader, error_at},
    runtime::{self, Runtime, Size},
    script::{self, ScriptItem},
    span::{Span, Spanned},
    suggest,
};

/// A step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Where it is written: its key `step`.
    pub span: Span,
    pub(crate) name: Option<String>,
    pub(crate) work: Work,
    pub(crate) image: Option<Image>,
    pub(crate) after_script: Vec<ScriptItem>,
    pub(crate) size: Option<Size>,
    pub(crate) max_time: Option<u32>,
    pub(crate) manual: bool,
    pub(crate) deployment: Option<Spanned<EnvironmentName>>,
    pub(crate) services: Vec<Spanned<String>>,
    pub(crate) caches: Vec<Spanned<String>>,
    pub(crate) artifacts: Artifacts,
    pub(crate) clone: CloneSettings,
    pub(crate) oidc: Option<Oidc>,
    pub(crate) aws: Option<AwsRole>,
    pub(crate) runtime: Option<Runtime>,
    pub(crate) runs_on: Vec<String>,
    pub(crate) condition: Option<Condition>,
    pub(crate) fail_fast: Option<bool>,
    pub(crate) concurrency_group: Option<String>,
    pub(crate) output_variables: Vec<String>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Work {
    Script(Vec<ScriptItem>),
    /// Runs a custom pipeline as a child.
    Child {
        custom: Option<Spanned<String>>,
        input_variables: BTreeMap<String, String>,
        span: Span,
    },
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Pipeline,
    Parallel,
    Stage,
}

/// Reads a step: what stands below its key.
pub(crate) fn read(reader: &mut Reader, key_span: Span, node: &Node, place: Place) -> Option<Step> {
    let mut fields = reader.map(node, "a step is a map with `script`")?;
    let name = fields.take("name").and_then(|node| reader.text(node, "`name` of a step is a text"));
    let work = read_work(reader, &mut fields, key_span);
    let after_script = fields
        .take("after-script")
        .map(|node| script::read(reader, node, "after-script"))
        .unwrap_or_default();
    let step = Step {
        span: key_span,
        name,
        work,
        image: fields.take("image").and_then(|node| image::read(reader, node)),
        after_script,
        size: fields.take("size").and_then(|node| runtime::read_size(reader, node)),
        max_time: fields.take("max-time").and_then(|node| reader.whole(node, "max-time", 1)),
        manual: read_trigger(reader, &mut fields),
        deployment: read_deployment(reader, &mut fields, "a step"),
        services: read_names(reader, &mut fields, "services"),
        caches: read_names(reader, &mut fields, "caches"),
        artifacts: fields.take("artifacts").map(|node| artifact::read(reader, node)).unwrap_or_default(),
        clone: fields.take("clone").map(|node| clone::read(reader, node)).unwrap_or_default(),
        oidc: fields.take("oidc").and_then(|node| oidc::read(reader, node)),
        aws: fields.take("aws").and_then(|node| aws::read(reader, node)),
        runtime: fields.take("runtime").and_then(|node| runtime::read(reader, node)),
        runs_on: fields.take("runs-on").map(|node| read_runs_on(reader, node)).unwrap_or_default(),
        condition: read_condition(reader, &mut fields, place),
        fail_fast: fields.take("fail-fast").and_then(|node| reader.truth(node, "fail-fast")),
        concurrency_group: fields
            .take("concurrency-group")
            .and_then(|node| read_label(reader, node, "concurrency-group")),
        output_variables: fields
            .take("output-variables")
            .map(|node| read_output_variables(reader, node))
            .unwrap_or_default(),
    };
    reader.finish(&fields, "a step");
    if let Some(services) = fields.key_span("services") {
        reader.at_most(services, step.services.len(), bounds::SERVICES, "services");
    }
    Some(step)
}

fn read_work(reader: &mut Reader, fields: &mut Fields<'_>, span: Span) -> Work {
    let kind = fields.take("type");
    let child = kind.and_then(|node| reader.choice(node, "type", &[("inline", false), ("pipeline", true)]));
    let custom = fields.take("custom");
    let inputs = fields.take("input-variables");
    let script = fields.take("script");
    if child == Some(true) {
        let custom = custom.and_then(|node| reader.filled(node, "`custom` is the name of a pipeline"));
        if !fields.has("custom") {
            let message =
                "a step of `type: pipeline` names the pipeline that it runs as `custom`; there is none";
            reader.push(Diagnostic::error(Code::MissingKey, span, message));
        }
        if let Some(script) = script {
            let message = "a step of `type: pipeline` runs another pipeline, and has no `script`";
            reader.push(error_at(script, Code::Conflict, message));
        }
        let input_variables = inputs.map(|node| read_inputs(reader, node)).unwrap_or_default();
        return Work::Child { custom, input_variables, span: kind.map_or(span, |node| node.span) };
    }
    for (key, node) in [("custom", custom), ("input-variables", inputs)] {
        if let Some(node) = node {
            let message = format!("`{key}` belongs to a step of `type: pipeline`");
            reader.push(error_at(node, Code::Conflict, message));
        }
    }
    match script {
        Some(script) => Work::Script(script::read(reader, script, "script")),
        None => {
            missing_script(reader, fields, span);
            Work::Script(Vec::new())
        }
    }
}

fn missing_script(reader: &mut Reader, fields: &Fields<'_>, span: Span) {
    let error = Diagnostic::error(Code::MissingKey, span, "a step has a `script`, and there is none");
    let near = |entry: &&Entry| suggest::nearest(&entry.key, ["script"]).is_some();
    let slip = fields.rest().find(near);
    reader.push(match slip {
        Some(entry) => {
            let hint = format!("did you mean `script` where {} is written?", quoted(&entry.key));
            error.hint(hint).related(entry.key_span, "here")
        }
        None => error,
    });
}

fn read_inputs(reader: &mut Reader, node: &Node) -> BTreeMap<String, String> {
    let entries = reader.named(node, "`input-variables` is a map of names and values");
    reader.at_most(node.span, entries.len(), bounds::INPUT_VARIABLES, "variables");
    let mut inputs = BTreeMap::new();
    for entry in entries {
        reader.variable_name(&entry.key, entry.key_span);
        let value = reader.text(&entry.value, "a value of a variable is a text");
        inputs.extend(value.map(|value| (entry.key.clone(), value)));
    }
    inputs
}

/// `trigger` of a step or a stage: whether somebody must start it.
pub(crate) fn read_trigger(reader: &mut Reader, fields: &mut Fields<'_>) -> bool {
    let words = [("automatic", false), ("manual", true)];
    fields.take("trigger").and_then(|node| reader.choice(node, "trigger", &words)).unwrap_or_default()
}

/// `deployment`, or `environment`, which says the same.
pub(crate) fn read_deployment(
    reader: &mut Reader,
    fields: &mut Fields<'_>,
    place: &str,
) -> Option<Spanned<EnvironmentName>> {
    let mut name = |reader: &mut Reader, key: &'static str| {
        let node = fields.take(key)?;
        let text = reader.filled(node, &format!("`{key}` is the name of an environment"))?;
        Some(Spanned { value: EnvironmentName::new(text.value), span: text.span })
    };
    let deployment = name(reader, "deployment");
    let environment = name(reader, "environment");
    if let (Some(deployment), Some(environment)) = (&deployment, &environment)
        && deployment.value != environment.value
    {
        let message = format!("`deployment` and `environment` of {place} name different environments");
        let error = Diagnostic::error(Code::Conflict, environment.span, message);
        reader.push(error.related(deployment.span, "here is the other one"));
    }
    deployment.or(environment)
}

fn read_names(reader: &mut Reader, fields: &mut Fields<'_>, key: &'static str) -> Vec<Spanned<String>> {
    let Some(node) = fields.take(key) else { return Vec::new() };
    let mut names: Vec<Spanned<String>> = Vec::new();
    for name in reader.texts(node, &format!("`{key}` is a list of names"), "a name is a text") {
        if names.len() > bounds::NAMES {
            break;
        }
        match names.iter().find(|other| other.value == name.value) {
            Some(before) => {
                let twice = format!("{} is named twice", quoted(&name));
                let warning = Diagnostic::warning(Code::Unwise, name.span, twice);
                reader.push(warning.related(before.span, "here first"));
            }
            None => names.push(name),
        }
    }
    reader.at_most(node.span, names.len(), bounds::NAMES, "names");
    names
}

fn read_runs_on(reader: &mut Reader, node: &Node) -> Vec<String> {
    if let Value::Scalar(_) = &*node.value {
        return read_label(reader, node, "runs-on").into_iter().collect();
    }
    let labels: Vec<String> = reader
        .list(node, "`runs-on` is a label of a runner, or a list of labels")
        .iter()
        .filter_map(|item| read_label(reader, item, "runs-on"))
        .collect();
    reader.at_most(node.span, labels.len(), bounds::RUNNER_LABELS, "labels");
    labels
}

fn read_label(reader: &mut Reader, node: &Node, key: &str) -> Option<String> {
    let label = reader.filled(node, &format!("`{key}` is a text"))?;
    if label.chars().count() > bounds::LABEL {
        let message = format!("`{key}` has at most {} characters", bounds::LABEL);
        reader.push(error_at(node, Code::WrongValue, message));
    }
    Some(label.value)
}

fn read_condition(reader: &mut Reader, fields: &mut Fields<'_>, place: Place) -> Option<Condition> {
    let node = fields.take("condition")?;
    if place == Place::Stage {
        let span = fields.key_span("condition").unwrap_or(node.span);
        let message = "a step within a stage has no `condition`";
        reader.push(Diagnostic::error(Code::Misplaced, span, message).hint("the stage itself may have one"));
    }
    condition::read(reader, node)
}

fn read_output_variables(reader: &mut Reader, node: &Node) -> Vec<String> {
    let names =
        reader.texts(node, "`output-variables` is a list of names", "the name of a variable is a text");
    for name in &names {
        reader.variable_name(name, name.span);
    }
    names.into_iter().map(|name| name.value).collect()
}
