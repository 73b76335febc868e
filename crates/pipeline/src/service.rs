//! Containers that run beside a step: databases and the like, and `docker`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    diagnostic::Code,
    image::{self, Image},
    node::Node,
    read::{Reader, error_at},
};

/// The name of the service that lets a step build images and run containers.
pub const DOCKER: &str = "docker";
/// The memory of a service that names none, in megabytes.
pub const MEMORY: u32 = 1024;
/// The least memory of a service, in megabytes.
const LEAST_MEMORY: u32 = 128;

/// A service as it is defined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its name, by which steps ask for it.
    pub name: String,
    /// What it runs; nothing for `docker` with the image that the runner has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// The most memory it may use, in megabytes.
    pub memory: u32,
    /// Whether it is a Docker daemon for the step.
    pub docker: bool,
    /// What its container finds in its environment.
    pub variables: BTreeMap<String, String>,
}

/// The Docker service where the file does not define it.
#[must_use]
pub fn docker() -> Service {
    Service { name: DOCKER.to_owned(), image: None, memory: MEMORY, docker: true, variables: BTreeMap::new() }
}

pub(crate) fn read(reader: &mut Reader, name: &str, node: &Node) -> Option<Service> {
    let mut fields = reader.map(node, "a service is a map with `image`")?;
    let image = fields.take("image");
    let memory = fields.take("memory").map(|node| reader.whole(node, "memory", LEAST_MEMORY));
    let kind = fields.take("type").and_then(|node| reader.choice(node, "type", &[(DOCKER, true)]));
    let variables = fields.take("variables").map(|node| read_variables(reader, node)).unwrap_or_default();
    reader.finish(&fields, "a service");
    let docker = kind.unwrap_or(name == DOCKER);
    if image.is_none() && !docker {
        let message = "a service has an `image`, and there is none";
        reader.push(error_at(node, Code::MissingKey, message));
    }
    let image = match image {
        Some(node) => Some(image::read(reader, node)?),
        None => None,
    };
    let memory = memory.flatten().unwrap_or(MEMORY);
    Some(Service { name: name.to_owned(), image, memory, docker, variables })
}

fn read_variables(reader: &mut Reader, node: &Node) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for entry in reader.named(node, "`variables` of a service is a map of names and values") {
        reader.variable_name(&entry.key, entry.key_span);
        let value = reader.text(&entry.value, "a value of a variable is a text");
        variables.extend(value.map(|value| (entry.key.clone(), value)));
    }
    variables
}
