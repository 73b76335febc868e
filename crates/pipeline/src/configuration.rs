//! The whole file: what stands at its root.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::{
    bounds,
    cache::{self, Cache},
    clone::{self, CloneSettings},
    diagnostic::{Code, Diagnostic},
    image::{self, Image},
    node::{Node, Value},
    oidc,
    read::{Reader, error_at},
    runtime::{self, Runtime, Size},
    selector::{self, Pipeline, Pipelines},
    service::{self, Service},
    step::Step,
    trigger::{self, Trigger},
};

/// A configuration: `bitbucket-pipelines.yml`, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configuration {
    pub(crate) image: Option<Image>,
    pub(crate) clone: CloneSettings,
    pub(crate) options: Options,
    pub(crate) caches: BTreeMap<String, Cache>,
    pub(crate) services: BTreeMap<String, Service>,
    /// What other repositories may import.
    pub shared: Vec<(String, Pipeline)>,
    /// Whether other repositories may import anything.
    pub export: bool,
    /// Free words about the repository.
    pub labels: Map<String, Json>,
    /// Rules that start custom pipelines.
    pub triggers: Vec<Trigger>,
    /// What runs.
    pub pipelines: Pipelines,
}

impl Configuration {
    /// The services that a step runs beside: those that it names, and `docker` where the options ask for it.
    pub(crate) fn services_of(&self, step: &Step) -> Vec<Service> {
        let everywhere = self.options.docker && !step.services.iter().any(|name| **name == service::DOCKER);
        let names = step.services.iter().map(|name| name.as_str());
        let names = names.chain(everywhere.then_some(service::DOCKER));
        let defined = |name: &str| {
            let predefined = || (name == service::DOCKER).then(service::docker);
            self.services.get(name).cloned().or_else(predefined)
        };
        names.filter_map(defined).collect()
    }

    /// The caches that a step uses.
    pub(crate) fn caches_of(&self, step: &Step) -> Vec<Cache> {
        let names = step.caches.iter();
        names
            .filter_map(|name| self.caches.get(&**name).cloned().or_else(|| cache::predefined(name)))
            .collect()
    }
}

/// What holds for all steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Options {
    pub(crate) docker: bool,
    pub(crate) max_time: Option<u32>,
    pub(crate) size: Option<Size>,
    pub(crate) runtime: Option<Runtime>,
    /// Audiences of the tokens that steps ask for.
    pub(crate) audiences: Option<Vec<String>>,
}

pub(crate) fn read(reader: &mut Reader, node: &Node) -> Configuration {
    if let Value::List(_) = &*node.value {
        let message = "a configuration is a map that begins with `pipelines:`; found a list";
        let hint = "write `pipelines:` and `default:` above it, and indent it below them";
        reader.push(Diagnostic::error(Code::WrongType, node.span, message).hint(hint));
        return Configuration::default();
    }
    let Some(mut fields) = reader.map(node, "a configuration is a map that begins with `pipelines:`") else {
        return Configuration::default();
    };
    let image = fields.take("image").and_then(|node| image::read(reader, node));
    let clone = fields.take("clone").map(|node| clone::read(reader, node)).unwrap_or_default();
    let options = fields.take("options").map(|node| read_options(reader, node)).unwrap_or_default();
    let export = fields.take("export").and_then(|node| reader.truth(node, "export")).unwrap_or_default();
    let labels = fields.take("labels").map(|node| read_labels(reader, node)).unwrap_or_default();
    let triggers = fields.take("triggers").map(|node| trigger::read(reader, node)).unwrap_or_default();
    let definitions = fields.take("definitions");
    let mut configuration =
        Configuration { image, clone, options, export, labels, triggers, ..Configuration::default() };
    if let Some(definitions) = definitions {
        read_definitions(reader, definitions, &mut configuration);
    }
    // Each step of a plan has its own copy.
    let Configuration { image, services, caches, .. } = &configuration;
    let shared = serde_json::to_string(&(
        image,
        configuration.clone.over(&CloneSettings::default()),
        services,
        caches,
    ));
    if shared.is_ok_and(|shared| shared.len() > bounds::SHARED) {
        let span = fields.key_span("definitions").unwrap_or(node.span);
        let message = format!("what all steps share has at most {} bytes", bounds::SHARED);
        reader.push(Diagnostic::error(Code::TooLarge, span, message));
    }
    match fields.take("pipelines") {
        Some(node) => configuration.pipelines = selector::read(reader, node),
        None if configuration.shared.is_empty() => {
            let message = "a configuration has `pipelines`, and there are none";
            let misplaced = fields.rest().find(|entry| entry.key == "default" || entry.key == "branches");
            let error = Diagnostic::error(Code::MissingKey, node.span, message);
            reader.push(match misplaced {
                Some(entry) => error
                    .hint(format!("write `pipelines:` above `{}`, and indent that below it", entry.key))
                    .related(entry.key_span, "here"),
                None => error,
            });
        }
        None => {}
    }
    // A key whose content is used by aliases has done its work.
    fields.forgive(|entry| entry.value.anchored);
    reader.finish(&fields, "a configuration");
    configuration
}

fn read_options(reader: &mut Reader, node: &Node) -> Options {
    let Some(mut fields) = reader.map(node, "`options` is a map of settings") else {
        return Options::default();
    };
    let options = Options {
        docker: fields.take("docker").and_then(|node| reader.truth(node, "docker")).unwrap_or_default(),
        max_time: fields.take("max-time").and_then(|node| reader.whole(node, "max-time", 1)),
        size: fields.take("size").and_then(|node| runtime::read_size(reader, node)),
        runtime: fields.take("runtime").and_then(|node| runtime::read(reader, node)),
        audiences: fields.take("oidc").and_then(|node| oidc::read_options(reader, node)),
    };
    reader.finish(&fields, "`options`");
    options
}

/// Keys that are not known are where authors keep what they anchor: nothing is said of them.
fn read_definitions(reader: &mut Reader, node: &Node, configuration: &mut Configuration) {
    let Some(mut fields) =
        reader.map(node, "`definitions` is a map with `caches`, `services` or `pipelines`")
    else {
        return;
    };
    if let Some(caches) = fields.take("caches") {
        for entry in reader.named(caches, "`caches` is a map of names, each with a path") {
            let cache = cache::read(reader, &entry.key, &entry.value);
            configuration.caches.extend(cache.map(|cache| (entry.key.clone(), cache)));
        }
    }
    if let Some(services) = fields.take("services") {
        for entry in reader.named(services, "`services` is a map of names, each with an image") {
            let service = service::read(reader, &entry.key, &entry.value);
            configuration.services.extend(service.map(|service| (entry.key.clone(), service)));
        }
    }
    if let Some(pipelines) = fields.take("pipelines") {
        configuration.shared = selector::read_custom(reader, pipelines, "pipelines");
    }
}

fn read_labels(reader: &mut Reader, node: &Node) -> Map<String, Json> {
    if !matches!(&*node.value, Value::Map(_)) {
        reader.expected(node, "`labels` is a map", None);
        return Map::new();
    }
    let labels = json(node);
    if labels.to_string().len() > bounds::LABELS {
        let message = format!("`labels` has at most {} bytes", bounds::LABELS);
        reader.push(error_at(node, Code::TooLarge, message));
        return Map::new();
    }
    match labels {
        Json::Object(labels) => labels,
        _ => Map::new(),
    }
}

/// The depth of nodes is bounded, so that this recursion is.
fn json(node: &Node) -> Json {
    match &*node.value {
        Value::Null | Value::Broken => Json::Null,
        Value::Scalar(scalar) => Json::String(scalar.text.clone()),
        Value::List(items) => Json::Array(items.iter().map(json).collect()),
        Value::Map(entries) => {
            Json::Object(entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect())
        }
    }
}
