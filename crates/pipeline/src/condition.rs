//! Whether a step or a stage runs at all: by what was changed, and by the state of variables.

use serde::{Deserialize, Serialize};

use crate::{
    bounds,
    diagnostic::{Code, Diagnostic, quoted},
    expression::Expression,
    glob::Glob,
    node::Node,
    read::{Reader, error_at},
};

/// What must hold for a step to run: all that is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// About the files that were changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changesets: Option<Changesets>,
    /// About variables, at the moment before the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Expression>,
}

/// A condition on the files that were changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Changesets {
    /// Holds when any of them matches any pattern.
    IncludePaths(Vec<Glob>),
    /// Holds unless each of them matches some pattern.
    ExcludePaths(Vec<Glob>),
}

impl Condition {
    /// Whether the step runs, as far as changed files decide it.
    ///
    /// Finding out costs a bounded amount of work ([`bounds::MATCHING`]); a condition that would cost more holds, for
    /// a step that runs without need is the lesser harm.
    #[must_use]
    pub fn changeset_matches<P: AsRef<str>>(&self, paths: &[P]) -> bool {
        self.changesets.as_ref().is_none_or(|changesets| changesets.hold(paths))
    }

    /// Whether the step runs, as far as variables decide it.
    pub fn state_holds(&self, variable: impl Fn(&str) -> Option<String>) -> bool {
        self.state.as_ref().is_none_or(|state| state.holds(variable))
    }
}

impl Changesets {
    fn hold<P: AsRef<str>>(&self, paths: &[P]) -> bool {
        let mut work = bounds::MATCHING;
        let (globs, include) = match self {
            Self::IncludePaths(globs) => (globs, true),
            Self::ExcludePaths(globs) => (globs, false),
        };
        for path in paths {
            let Some(some) = any_matches(globs, path.as_ref(), &mut work) else { return true };
            // One file that matches is enough to include; one that does not is enough not to exclude.
            if some == include {
                return true;
            }
        }
        false
    }
}

fn any_matches(globs: &[Glob], path: &str, work: &mut usize) -> Option<bool> {
    for glob in globs {
        if glob.matches_within(path, work)? {
            return Some(true);
        }
    }
    Some(false)
}

pub(crate) fn read(reader: &mut Reader, node: &Node) -> Option<Condition> {
    const WHAT: &str = "`condition` is a map with `changesets` or `state`";
    let mut fields = reader.map(node, WHAT)?;
    let changesets = fields.take("changesets");
    let state = fields.take("state");
    reader.finish(&fields, "`condition`");
    if changesets.is_none() && state.is_none() {
        reader.push(error_at(node, Code::MissingKey, format!("{WHAT}; found neither")));
    }
    let changesets = changesets.and_then(|node| read_changesets(reader, node));
    let state = state.and_then(|node| reader.expression(node, "state"));
    Some(Condition { changesets, state })
}

fn read_changesets(reader: &mut Reader, node: &Node) -> Option<Changesets> {
    const WHAT: &str = "`changesets` is a map with `includePaths` or `excludePaths`";
    let mut fields = reader.map(node, WHAT)?;
    let include = fields.take("includePaths");
    let exclude = fields.take("excludePaths");
    for entry in fields.rest() {
        let message = format!("{WHAT}; found {}", quoted(&entry.key));
        let hint = crate::suggest::did_you_mean(&entry.key, ["includePaths", "excludePaths"]);
        reader.push(Diagnostic::error(Code::UnknownKey, entry.key_span, message).maybe_hint(hint));
    }
    match (include, exclude) {
        (Some(_), Some(exclude)) => {
            let message = "`includePaths` and `excludePaths` exclude each other";
            let first = fields.key_span("includePaths").unwrap_or(node.span);
            let error = error_at(exclude, Code::Conflict, message).related(first, "here is the other one");
            reader.push(error);
            None
        }
        (Some(include), None) => {
            Some(Changesets::IncludePaths(reader.globs(include, "`includePaths` is a list of patterns")))
        }
        (None, Some(exclude)) => {
            Some(Changesets::ExcludePaths(reader.globs(exclude, "`excludePaths` is a list of patterns")))
        }
        (None, None) => {
            if fields.rest().next().is_none() {
                reader.push(error_at(node, Code::MissingKey, format!("{WHAT}; found neither")));
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(patterns: &[&str]) -> Vec<Glob> {
        patterns.iter().map(|pattern| Glob::parse(pattern).unwrap()).collect()
    }

    fn include(patterns: &[&str]) -> Condition {
        Condition { changesets: Some(Changesets::IncludePaths(globs(patterns))), state: None }
    }

    fn exclude(patterns: &[&str]) -> Condition {
        Condition { changesets: Some(Changesets::ExcludePaths(globs(patterns))), state: None }
    }

    #[test]
    fn one_included_file_is_enough() {
        let condition = include(&["docs/**", "*.md"]);
        assert!(condition.changeset_matches(&["src/main.rs", "docs/a/b.txt"]));
        assert!(condition.changeset_matches(&["README.md"]));
        assert!(!condition.changeset_matches(&["src/README.md"]));
        assert!(!condition.changeset_matches::<&str>(&[]));
    }

    #[test]
    fn one_file_outside_what_is_excluded_is_enough() {
        let condition = exclude(&["docs/**", "*.md"]);
        assert!(condition.changeset_matches(&["README.md", "src/main.rs"]));
        assert!(!condition.changeset_matches(&["README.md", "docs/a.txt"]));
    }

    #[test]
    fn no_condition_always_holds() {
        assert!(Condition::default().changeset_matches::<&str>(&[]));
        assert!(Condition::default().state_holds(|_| None));
    }

    /// Patterns and paths made to cost as much as possible must not hold up whoever asks.
    #[test]
    fn a_condition_that_costs_too_much_holds() {
        let hostile = "*a".repeat(127);
        let condition = include(&vec![hostile.as_str(); 500]);
        let paths = vec!["a".repeat(4000) + "b"; 10_000];
        assert!(condition.changeset_matches(&paths));
    }
}
