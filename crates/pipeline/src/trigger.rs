//! `triggers`: custom pipelines that start upon events whose facts fit a condition.

use serde::{Deserialize, Serialize};

use crate::{
    bounds,
    diagnostic::{Code, Diagnostic, quoted},
    expression::Expression,
    node::Node,
    read::{Reader, error_at},
    span::{Span, Spanned},
    suggest,
};

/// A rule: upon this event, where the condition holds, these pipelines start.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// Where it is written.
    pub span: Span,
    /// The event.
    pub event: TriggerEvent,
    /// What must hold; nothing: the rule always fits.
    pub condition: Option<Expression>,
    /// Names of custom pipelines.
    pub pipelines: Vec<Spanned<String>>,
}

/// An event that rules can stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TriggerEvent {
    /// A branch or a tag was pushed.
    RepositoryPush,
    /// A pull request was created, or its source was pushed.
    PullrequestPush,
}

const EVENTS: [(&str, TriggerEvent); 2] =
    [("repository-push", TriggerEvent::RepositoryPush), ("pullrequest-push", TriggerEvent::PullrequestPush)];

/// Events that are known, and start nothing yet.
const LATER: [&str; 7] = [
    "pipeline-completed",
    "deployment-completed",
    "pullrequest-created",
    "pullrequest-updated",
    "pullrequest-fulfilled",
    "pullrequest-rejected",
    "pullrequest-reviewer-status-updated",
];

impl TriggerEvent {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RepositoryPush => "repository-push",
            Self::PullrequestPush => "pullrequest-push",
        }
    }
}

pub(crate) fn read(reader: &mut Reader, node: &Node) -> Vec<Trigger> {
    let mut triggers = Vec::new();
    for entry in reader.named(node, "`triggers` is a map of events, each with a list of rules") {
        let event = EVENTS.iter().find(|(name, _)| *name == entry.key).map(|(_, event)| *event);
        if event.is_none() {
            let key = quoted(&entry.key);
            let later = LATER.contains(&entry.key.as_str());
            let (code, message) = if later {
                (Code::NotYet, format!("the event {key} starts nothing yet"))
            } else {
                (Code::UnknownKey, format!("{key} is not the name of an event; its rules are ignored"))
            };
            let names = EVENTS.iter().map(|(name, _)| *name).chain(LATER);
            let hint = if later { None } else { suggest::did_you_mean(&entry.key, names) };
            reader.push(Diagnostic::warning(code, entry.key_span, message).maybe_hint(hint));
        }
        let rules = reader.list(&entry.value, "an event has a list of rules");
        reader.at_most(entry.key_span, rules.len(), bounds::RULES, "rules");
        for item in rules.iter().take(bounds::RULES) {
            let rule = read_rule(reader, item);
            if let (Some(event), Some((condition, pipelines))) = (event, rule) {
                triggers.push(Trigger { span: item.span, event, condition, pipelines });
            }
        }
    }
    triggers
}

fn read_rule(reader: &mut Reader, node: &Node) -> Option<(Option<Expression>, Vec<Spanned<String>>)> {
    let mut fields = reader.map(node, "a rule is a map with `condition` and `pipelines`")?;
    let condition = fields.take("condition");
    let pipelines = fields.take("pipelines");
    reader.finish(&fields, "a rule");
    if pipelines.is_none() {
        let message = "a rule has `pipelines`, and there are none";
        reader.push(error_at(node, Code::MissingKey, message));
    }
    let condition = match condition {
        // A rule whose condition cannot be read must not become one without a condition.
        Some(node) => Some(reader.expression(node, "condition")?),
        None => None,
    };
    let names =
        reader.texts(pipelines?, "`pipelines` is a list of names of custom pipelines", "a name is a text");
    Some((condition, names))
}
