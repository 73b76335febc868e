//! The audit log: its events as a list that can be searched and followed, and the events of one request with all they
//! hold.

use askama::Template;

use crate::form::Field;
use crate::frame::Frame;
use crate::measure::Moment;
use crate::principal::Known;

/// The longest text of a state that is shown, in bytes.
const LONGEST_STATE: usize = 20_000;

/// An event in the list.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// The page of its request.
    pub href: String,
    /// When.
    pub time: Moment,
    /// Who.
    pub actor: Known,
    /// What was done.
    pub action: String,
    /// What to.
    pub resource: String,
    /// `done`, `refused` or `reported`.
    pub outcome: &'static str,
    /// From where; empty where nobody knows.
    pub address: String,
}

/// The list.
#[derive(Clone, Debug, Template)]
#[template(path = "audit_events.html")]
pub struct AuditEventsPage {
    /// What is around it.
    pub frame: Frame,
    /// Whose: `the workspace acme`, `this instance`.
    pub of: String,
    /// The fields of the search.
    pub fields: Vec<Field>,
    /// The names of actions, to choose from.
    pub actions: Vec<&'static str>,
    /// Whether anything is asked for.
    pub filtered: bool,
    /// What is wrong with the search as a whole.
    pub error: String,
    /// The page.
    pub address: String,
    /// The events, the newest first.
    pub events: Vec<EventRow>,
    /// The older ones; none where these are the oldest.
    pub older: Option<String>,
    /// The newest; none where the page begins with them.
    pub newest: Option<String>,
    /// Where the events are followed from.
    pub stream: String,
    /// The page of a request, but for its id.
    pub requests: String,
    /// The alerts, where the viewer may see them.
    pub alerts: Option<String>,
    /// The receivers, where the viewer may see them.
    pub receivers: Option<String>,
    /// The exports: what each is, and where.
    pub exports: Vec<(&'static str, String)>,
}

/// An event with all it holds.
#[derive(Clone, Debug)]
pub struct WholeEvent {
    /// Its id.
    pub id: String,
    /// When.
    pub time: Moment,
    /// Who, as the trail names them.
    pub actor: String,
    /// The actor's own id.
    pub actor_id: String,
    /// With what.
    pub credential: String,
    /// From where.
    pub address: String,
    /// What was done.
    pub action: String,
    /// What to.
    pub resource: String,
    /// Its kind and id.
    pub resource_id: String,
    /// The workspace's id.
    pub workspace_id: String,
    /// `done`, `refused` or `reported`.
    pub outcome: &'static str,
    /// What decided.
    pub reasons: Vec<String>,
    /// The state before; empty where there was none.
    pub before: String,
    /// The state after; empty where there is none.
    pub after: String,
}

/// The text of a state, as far as it is shown.
#[must_use]
pub fn state(mut text: String) -> String {
    if text.len() > LONGEST_STATE {
        let cut = (0..=LONGEST_STATE).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
        text.push_str("\n… cut off here: the export holds all of it");
    }
    text
}

/// The events of one request.
#[derive(Clone, Debug, Template)]
#[template(path = "audit_request.html")]
pub struct AuditRequestPage {
    /// What is around it.
    pub frame: Frame,
    /// The request's id.
    pub request_id: String,
    /// Its events, the newest first.
    pub events: Vec<WholeEvent>,
    /// Why it was refused; none where nothing of it was.
    pub refusal: Option<String>,
    /// The list.
    pub list: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_state_is_cut_between_characters_and_says_so() {
        let cut = state("ä".repeat(LONGEST_STATE));
        assert!(cut.len() < LONGEST_STATE + 100 && cut.ends_with("all of it"));
        assert_eq!(state("{}".to_owned()), "{}");
    }
}
