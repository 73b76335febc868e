//! Receivers of the audit trail: the list with how each stands, and the page that shows a webhook's key once.

use askama::Template;

use crate::form::Field;
use crate::frame::Frame;
use crate::measure::Moment;
use crate::principal::Known;

/// What went wrong when something was last sent, and what comes next.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// Why, as a sentence.
    pub why: String,
    /// When.
    pub on: Moment,
    /// How often in a row; 0 where what came after was received.
    pub times: u64,
    /// When it is tried again.
    pub retry: Option<Moment>,
}

/// A receiver in the list.
#[derive(Clone, Debug)]
pub struct SinkRow {
    /// How it is spoken to: `Webhook`.
    pub kind: &'static str,
    /// Where it is.
    pub address: String,
    /// The place in the ledger that it is told next: everything before it was received.
    pub next: String,
    /// How many places it has not been told of.
    pub behind: u64,
    /// The same, with its noun.
    pub waiting: String,
    /// When something was last received.
    pub received: Option<Moment>,
    /// When something was last not received.
    pub trouble: Option<Trouble>,
    /// Who added it.
    pub creator: Known,
    /// When.
    pub created: Moment,
    /// Where it is removed.
    pub remove: String,
    /// Proves that the form for removing was made for this session.
    pub remove_token: String,
}

impl SinkRow {
    /// The trouble that lasts.
    #[must_use]
    pub fn failing(&self) -> Option<&Trouble> {
        self.trouble.as_ref().filter(|trouble| trouble.times > 0)
    }

    /// The trouble that is over.
    #[must_use]
    pub fn failed_once(&self) -> Option<&Trouble> {
        self.trouble.as_ref().filter(|trouble| trouble.times == 0)
    }
}

/// The receivers of a trail.
#[derive(Clone, Debug, Template)]
#[template(path = "audit_sinks.html")]
pub struct AuditSinksPage {
    /// What is around it.
    pub frame: Frame,
    /// What they are told: `what happens in the workspace acme`.
    pub told: String,
    /// What is wrong with what was sent, apart from the fields.
    pub error: String,
    /// The receivers, the oldest first.
    pub sinks: Vec<SinkRow>,
    /// Whether the viewer may add and remove them.
    pub may_change: bool,
    /// The form that adds one.
    pub fields: Vec<Field>,
    /// Where it goes.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
    /// The audit log, where the viewer may read it.
    pub log: Option<String>,
    /// The alerts, where the viewer may see them.
    pub alerts: Option<String>,
}

/// A webhook's key, this once.
#[derive(Clone, Debug, Template)]
#[template(path = "audit_sink_added.html")]
pub struct AddedAuditSinkPage {
    /// What is around it.
    pub frame: Frame,
    /// Where the webhook is.
    pub address: String,
    /// The key.
    pub secret: String,
    /// The list.
    pub list: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> SinkRow {
        SinkRow {
            kind: "Webhook",
            address: text.to_owned(),
            next: text.to_owned(),
            behind: 1,
            waiting: text.to_owned(),
            received: None,
            trouble: None,
            creator: Known { kind: text.to_owned(), name: text.to_owned() },
            created: Moment::default(),
            remove: text.to_owned(),
            remove_token: text.to_owned(),
        }
    }

    fn page(sinks: Vec<SinkRow>) -> AuditSinksPage {
        AuditSinksPage {
            frame: Frame::default(),
            told: "what happens".to_owned(),
            error: String::new(),
            sinks,
            may_change: true,
            fields: Vec::new(),
            action: "/a".to_owned(),
            form_token: String::new(),
            log: None,
            alerts: None,
        }
    }

    /// Attack: an address or an error that is markup, on the page of who looks why nothing arrives.
    #[test]
    fn addresses_and_errors_are_text() {
        let markup = "<script>alert(1)</script>\"'><img src=x>";
        let trouble = |times| Trouble {
            why: markup.to_owned(),
            on: Moment::default(),
            times,
            retry: Some(Moment { text: markup.to_owned(), ..Moment::default() }),
        };
        let rows = [1, 0].map(|times| SinkRow { trouble: Some(trouble(times)), ..row(markup) });
        let html = crate::html(&page(rows.to_vec())).unwrap();
        assert!(!html.contains("<script>alert") && !html.contains("<img src=x"), "{html}");
        assert!(html.matches("alert(1)").count() >= 12, "{html}");
    }

    #[test]
    fn how_a_receiver_stands_is_told_in_words() {
        let said = |row: SinkRow| crate::html(&page(vec![row])).unwrap();
        let failed = Trouble { why: "It failed.".to_owned(), on: Moment::default(), times: 2, retry: None };
        let over = Trouble { times: 0, ..failed.clone() };
        let failing = said(SinkRow { trouble: Some(failed), ..row("x") });
        assert!(failing.contains(">Failing<") && !failing.contains(">Waiting<"), "{failing}");
        assert!(said(row("x")).contains(">Waiting<"));
        let told = said(SinkRow { behind: 0, trouble: Some(over), ..row("x") });
        assert!(told.contains(">Up to date<") && told.contains("It failed."), "{told}");
    }
}
