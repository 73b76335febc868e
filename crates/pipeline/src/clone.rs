//! How the repository comes into a step.

use serde::{Deserialize, Serialize};

use crate::{
    diagnostic::Code,
    node::{Node, Value},
    read::{Reader, error_at, found},
};

/// How many commits are fetched where nothing else is said.
pub const DEPTH: u32 = 50;

/// What a file says of cloning, at its root or in a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloneSettings {
    pub(crate) enabled: Option<bool>,
    pub(crate) depth: Option<Depth>,
    pub(crate) lfs: Option<bool>,
    pub(crate) skip_ssl_verify: Option<bool>,
    pub(crate) strategy: Option<Strategy>,
    pub(crate) filter: Option<String>,
    pub(crate) tags: Option<bool>,
    pub(crate) sparse_checkout: Option<SparseCheckout>,
}

/// How a step's repository is cloned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloneOptions {
    /// Whether it is cloned at all.
    pub enabled: bool,
    /// How many commits are fetched.
    pub depth: Depth,
    /// Whether large files are fetched.
    pub lfs: bool,
    /// Whether certificates go unverified.
    pub skip_ssl_verify: bool,
    /// By which command.
    pub strategy: Strategy,
    /// A partial clone: `blob:none` or `tree:<n>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Whether tags are fetched.
    pub tags: bool,
    /// Which folders are checked out; all where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sparse_checkout: Option<SparseCheckout>,
}

/// How many commits are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// All.
    Full,
    /// This many.
    Commits(u32),
}

/// By which command a repository comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// `git fetch` of the one commit.
    Fetch,
    /// `git clone` of the branch.
    Clone,
}

/// A checkout of some folders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SparseCheckout {
    /// Whether patterns are whole folders.
    pub cone_mode: bool,
    /// What is checked out.
    pub patterns: Vec<String>,
}

impl CloneSettings {
    /// What holds for a step: its own settings, then those of the root, then the defaults.
    pub(crate) fn over(&self, root: &Self) -> CloneOptions {
        CloneOptions {
            enabled: self.enabled.or(root.enabled).unwrap_or(true),
            depth: self.depth.or(root.depth).unwrap_or(Depth::Commits(DEPTH)),
            lfs: self.lfs.or(root.lfs).unwrap_or(false),
            skip_ssl_verify: self.skip_ssl_verify.or(root.skip_ssl_verify).unwrap_or(false),
            strategy: self.strategy.or(root.strategy).unwrap_or(Strategy::Fetch),
            filter: self.filter.clone().or_else(|| root.filter.clone()),
            tags: self.tags.or(root.tags).unwrap_or(false),
            sparse_checkout: self.sparse_checkout.clone().or_else(|| root.sparse_checkout.clone()),
        }
    }
}

pub(crate) fn read(reader: &mut Reader, node: &Node) -> CloneSettings {
    if let Value::Scalar(_) = &*node.value {
        let hint = "write `enabled: false` below it for a step without a clone";
        reader.expected(node, "`clone` is a map of settings", Some(hint.to_owned()));
        return CloneSettings::default();
    }
    let Some(mut fields) = reader.map(node, "`clone` is a map of settings") else {
        return CloneSettings::default();
    };
    let settings = CloneSettings {
        enabled: fields.take("enabled").and_then(|node| reader.truth(node, "enabled")),
        depth: fields.take("depth").and_then(|node| read_depth(reader, node)),
        lfs: fields.take("lfs").and_then(|node| reader.truth(node, "lfs")),
        skip_ssl_verify: fields
            .take("skip-ssl-verify")
            .and_then(|node| reader.truth(node, "skip-ssl-verify")),
        strategy: fields.take("strategy").and_then(|node| {
            reader.choice(node, "strategy", &[("fetch", Strategy::Fetch), ("clone", Strategy::Clone)])
        }),
        filter: fields.take("filter").and_then(|node| read_filter(reader, node)),
        tags: fields.take("tags").and_then(|node| reader.truth(node, "tags")),
        sparse_checkout: fields.take("sparse-checkout").and_then(|node| read_sparse_checkout(reader, node)),
    };
    reader.finish(&fields, "`clone`");
    settings
}

fn read_depth(reader: &mut Reader, node: &Node) -> Option<Depth> {
    if let Value::Scalar(scalar) = &*node.value
        && scalar.text == "full"
    {
        return Some(Depth::Full);
    }
    if let Value::Scalar(scalar) = &*node.value
        && scalar.text.parse::<u32>().is_err()
    {
        let message = format!("`depth` is a whole number, 1 or more, or `full`; found {}", found(node));
        reader.push(error_at(node, Code::WrongValue, message));
        return None;
    }
    reader.whole(node, "depth", 1).map(Depth::Commits)
}

fn read_filter(reader: &mut Reader, node: &Node) -> Option<String> {
    const WHAT: &str = "`filter` is `blob:none` or `tree:` with a number";
    let filter = reader.filled(node, WHAT)?.value;
    let tree = |depth: &str| !depth.is_empty() && depth.bytes().all(|b| b.is_ascii_digit());
    if filter != "blob:none" && !filter.strip_prefix("tree:").is_some_and(tree) {
        reader.push(error_at(node, Code::WrongValue, format!("{WHAT}; found {}", found(node))));
        return None;
    }
    Some(filter)
}

fn read_sparse_checkout(reader: &mut Reader, node: &Node) -> Option<SparseCheckout> {
    let mut fields = reader.map(node, "`sparse-checkout` is a map of settings")?;
    let enabled = fields.take("enabled").and_then(|node| reader.truth(node, "enabled")).unwrap_or(true);
    let cone_mode = fields.take("cone-mode").and_then(|node| reader.truth(node, "cone-mode")).unwrap_or(true);
    let patterns = fields.take("patterns").map(|node| {
        let texts = reader.texts(node, "`patterns` is a list of folders", "a pattern is a text");
        texts.into_iter().map(|text| text.value).collect()
    });
    reader.finish(&fields, "`sparse-checkout`");
    enabled.then(|| SparseCheckout { cone_mode, patterns: patterns.unwrap_or_default() })
}
