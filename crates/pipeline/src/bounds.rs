//! How much of everything is read, in one place. Whoever can push can write a file: the bounds keep its reading, and
//! what an event starts, within a second and some tens of megabytes.

/// The largest file, in bytes.
pub const FILE: usize = 1024 * 1024;
/// How many values a file may have, each alias counted as all that it stands for.
pub const VALUES: usize = 100_000;
/// How many bytes of text a file may have, each alias counted as all that it stands for.
pub const TEXT: usize = 4 * 1024 * 1024;
/// How many lists and maps may stand within each other.
pub const DEPTH: usize = 40;
/// How many steps a pipeline may have.
pub const STEPS: usize = 100;
/// How many services a step may have.
pub const SERVICES: usize = 5;
/// How many caches a step may name.
pub const NAMES: usize = 50;
/// How many patterns of branches, of tags, or of pull requests a file may have, and a condition of paths.
pub const PATTERNS: usize = 500;
/// The longest pattern, in bytes.
pub const PATTERN: usize = 256;
/// The longest expression, in bytes.
pub const EXPRESSION: usize = 4096;
/// How deep parentheses and `!` of an expression may stand within each other.
pub const EXPRESSION_DEPTH: usize = 50;
/// How much work is put into asking whether changed paths fit a condition: a letter held against a part of a pattern.
pub const MATCHING: usize = 10_000_000;
/// How many audiences a token may have.
pub const AUDIENCES: usize = 10;
/// The longest audience, in characters.
pub const AUDIENCE: usize = 150;
/// How many tokens a step may name.
pub const TOKENS: usize = 10;
/// How many labels `runs-on` may have, and how long each may be.
pub const RUNNER_LABELS: usize = 10;
/// The longest label of a runner, and the longest name of a concurrency group, in characters.
pub const LABEL: usize = 50;
/// How many variables a step may hand to a child pipeline.
pub const INPUT_VARIABLES: usize = 20;
/// How large `labels` may be, in bytes of JSON.
pub const LABELS: usize = 10 * 1024;
/// How many references a push may touch for pipelines to start.
pub const REFERENCES: usize = 5;
/// How large what all steps share may be: the root's image and settings, services and caches, in bytes of JSON.
pub const SHARED: usize = 32 * 1024;
/// How many rules `triggers` may have.
pub const RULES: usize = 100;
/// How many pipelines the rules of `triggers` start upon one event.
pub const TRIGGERED: usize = 20;
/// How large all secrets of a step may be together, in bytes. Identity tokens that it asks for while it runs are counted apart.
pub const SECRETS: usize = 64 * 1024;
/// How many identity tokens that a step has asked for while it runs are hidden at once. Looking for one takes some 20 kilobytes
/// of memory.
pub const HIDDEN_TOKENS: usize = 1000;
