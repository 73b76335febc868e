//! Folders that are kept from one run to the next.

use serde::{Deserialize, Serialize};

use crate::{
    diagnostic::Code,
    node::{Node, Value},
    read::{Reader, error_at},
};

/// A cache as it is defined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// Its name.
    pub name: String,
    /// The folder, absolute, below `~`, or below the clone. Nothing for `docker`: the layers of images.
    pub path: Option<String>,
    /// Patterns of the files whose content decides which version of the cache is used; none: there is one version.
    pub key_files: Vec<String>,
}

/// Those that need no definition.
const PREDEFINED: [(&str, Option<&str>); 9] = [
    ("docker", None),
    ("composer", Some("~/.composer/cache")),
    ("dotnetcore", Some("~/.nuget/packages")),
    ("gradle", Some("~/.gradle/caches")),
    ("ivy2", Some("~/.ivy2/cache")),
    ("maven", Some("~/.m2/repository")),
    ("node", Some("node_modules")),
    ("pip", Some("~/.cache/pip")),
    ("sbt", Some("~/.sbt")),
];

/// The cache of this name that needs no definition.
#[must_use]
pub fn predefined(name: &str) -> Option<Cache> {
    let (name, path) = PREDEFINED.into_iter().find(|(known, _)| *known == name)?;
    Some(Cache { name: name.to_owned(), path: path.map(str::to_owned), key_files: Vec::new() })
}

/// The names of those that need no definition.
pub(crate) fn predefined_names<'a>() -> impl Iterator<Item = &'a str> {
    PREDEFINED.into_iter().map(|(name, _)| name)
}

pub(crate) fn read(reader: &mut Reader, name: &str, node: &Node) -> Option<Cache> {
    const WHAT: &str = "a cache is the path of a folder, or a map with `path` and `key`";
    let path = |reader: &mut Reader, node: &Node| reader.filled(node, "the path of a cache is a text");
    if let Value::Scalar(_) = &*node.value {
        let path = path(reader, node)?.value;
        return Some(Cache { name: name.to_owned(), path: Some(path), key_files: Vec::new() });
    }
    let mut fields = reader.map(node, WHAT)?;
    let place = fields.take("path");
    let key_files = fields.take("key").map(|node| read_key(reader, node)).unwrap_or_default();
    reader.finish(&fields, "a cache");
    let Some(place) = place else {
        reader.push(error_at(node, Code::MissingKey, "a cache has a `path`, and there is none"));
        return None;
    };
    Some(Cache { name: name.to_owned(), path: Some(path(reader, place)?.value), key_files })
}

fn read_key(reader: &mut Reader, node: &Node) -> Vec<String> {
    let Some(mut fields) = reader.map(node, "`key` of a cache is a map with `files`") else {
        return Vec::new();
    };
    let files = fields.take("files");
    reader.finish(&fields, "`key` of a cache");
    match files {
        Some(files) => {
            let globs = reader.globs(files, "`files` is a list of patterns of files");
            globs.iter().map(|glob| glob.as_str().to_owned()).collect()
        }
        None => {
            reader.push(error_at(node, Code::MissingKey, "`key` of a cache has `files`, and there are none"));
            Vec::new()
        }
    }
}
